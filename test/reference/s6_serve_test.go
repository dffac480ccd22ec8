package reference_test

import (
	"strings"
	"testing"
	"time"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// s6Bot is a service that says when it is ready, and has a logger.
const s6Bot = `
	printf '#!/bin/sh\necho "bot is uid $(id -u)"; echo complaint >&2; echo >&3; exec sleep 1000002\n' >run
	echo 3 >notification-fd
	mkdir log
	printf '#!/bin/sh\nexec s6-log n3 s100000 /opt/data/botlog\n' >log/run
	chmod 755 run log/run
`

// TestPintleStandsInForS6: with pintle in the place of s6-svscan, what root has in its scan directory runs as root, what hermes
// puts into his runs as him, the tools of s6 work on either for its owner and nobody else, and pintle's own commands show them.
func TestPintleStandsInForS6(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Image: s6Image(t), Flags: []string{"-e", "WORDS=two  words\n\nand more"}}, "sleep", "infinity")
	vault := becomes(t, c, "vault", unit.Up)
	if said := succeeds(t, c.Exec("root", "cat", "/root/ran")); said != "0\n" {
		t.Errorf("root's service ran as %q", said)
	}
	if comm := succeeds(t, c.Exec("hermes", "cat", "/proc/1/comm")); comm != "s6-svscan\n" {
		t.Errorf("the first process is called %q", comm)
	}

	s6Make(t, c, "bot", s6Bot)
	succeeds(t, c.Exec("hermes", "s6-svwait", "-U", "-t", "30000", "/run/service/bot"))
	bot := becomes(t, c, "bot", unit.Up)
	becomes(t, c, "bot.log", unit.Up)
	if p := processOf(t, c, "sleep 1000002"); p.UID != hermes || p.PPID != 1 || p.PID != bot.PID {
		t.Errorf("the service is %+v, and pintle says %d", p, bot.PID)
	}
	if p := processOf(t, c, "s6-log n3 s100000 /opt/data/botlog"); p.UID != hermes {
		t.Errorf("the logger is %+v", p)
	}
	dockertest.Eventually(t, soon, func() (bool, string) {
		r := c.Exec("hermes", "cat", "/opt/data/botlog/current")
		return r.Stdout == "bot is uid 10000\n", r.String()
	}, "the logger has its line")

	// Each owner's tools.
	for _, line := range []struct {
		user, args string
		code       int
		says       string
	}{
		{"hermes", "s6-svok /run/service/bot", 0, ""},
		{"hermes", "s6-svstat -o up,ready,normallyup /run/service/bot", 0, "true true true\n"},
		{"hermes", "s6-svc -wD -T 30000 -d /run/service/bot", 0, ""},
		{"hermes", "s6-svstat -o up,wantedup /run/service/bot", 0, "false false\n"},
		{"hermes", "s6-svc -wU -T 30000 -u /run/service/bot", 0, ""},
		{"hermes", "s6-svc -wR -T 30000 -k /run/service/bot", 0, ""},
		{"root", "s6-svc -wR -T 30000 -r /run/service/bot", 0, ""},
		{"root", "s6-svc -wr -T 30000 -r /etc/services/vault", 0, ""},
		{"hermes", "s6-svscanctl -an /run/service", 0, ""},
		{"hermes", "s6-svc -d /etc/services/vault", 111, "Permission denied"},
		{"hermes", "s6-svc -k /etc/services/vault", 111, "Permission denied"},
		{"hermes", "s6-svscanctl -t /etc/services", 111, "Permission denied"},
		{"12345", "s6-svc -d /run/service/bot", 111, "Permission denied"},
		{"12345", "s6-svscanctl -a /run/service", 111, "Permission denied"},
	} {
		r := c.Exec(line.user, strings.Fields(line.args)...)
		if r.Code != line.code || line.code == 0 && r.Stdout != line.says || !strings.Contains(r.Stderr+r.Stdout, line.says) {
			t.Errorf("%s as %s: want %d, %q: %s", line.args, line.user, line.code, line.says, r)
		}
	}
	if now := becomes(t, c, "vault", unit.Up); now.Run != vault.Run+1 {
		t.Errorf("root's service has had %d runs, want one more than %d", now.Run, vault.Run)
	}

	// Pintle's own.
	says(t, pintle(c, "hermes", "status", "bot"), 0, "somebody asked for it")
	says(t, pintle(c, "hermes", "why", "bot"), 0, "it runs as hermes, who can write /run/service/bot")
	says(t, pintle(c, "hermes", "logs", "bot"), 0, "complaint")
	says(t, pintle(c, "hermes", "runs", "bot"), 0, "killed by SIGKILL")
	says(t, pintle(c, "hermes", "why", "vault"), 77, "")
	says(t, pintle(c, "hermes", "stop", "vault"), 77, "")
	says(t, pintle(c, "12345", "stop", "bot"), 77, "")
	says(t, pintle(c, "hermes", "restart", "bot"), 0, "bot is up")
	says(t, pintle(c, "hermes", "stop", "bot"), 0, "bot is down")
	becomes(t, c, "bot", unit.Down)
	if r := c.Exec("hermes", "s6-svstat", "-o", "up", "/run/service/bot"); r.Stdout != "false\n" {
		t.Errorf("s6-svstat does not know of it: %s", r)
	}

	// The container's environment.
	if r := c.Exec("hermes", "cat", "/run/s6/container_environment/WORDS"); r.Stdout != "two  words\n\nand more" {
		t.Errorf("the variable is laid as %s", r)
	}
	s6Make(t, c, "contained", `printf '#!/command/with-contenv sh\nprintf "[%%s]" "$WORDS" "$HOME" "$HERMES_HOME" >&2; echo >&2\nexec sleep 1000003\n' >run; chmod 755 run`)
	dockertest.Eventually(t, soon, func() (bool, string) {
		r := pintle(c, "root", "logs", "contained")
		return strings.Contains(r.Stdout, "[two  words\n") && strings.Contains(r.Stdout, "and more][") && strings.Contains(r.Stdout, "[/opt/data]"), r.String()
	}, "a service of with-contenv has the container's environment")

	// A service ends with its directory, whatever becomes of that.
	succeeds(t, c.Exec("hermes", "mv", "/run/service/contained", "/opt/data/aside"))
	dockertest.Eventually(t, soon, func() (bool, string) {
		_, there := find(c.Top(), "sleep 1000003")
		return !there, "it runs"
	}, "the service has ended")

	succeeds(t, c.Exec("root", "s6-svscanctl", "-t", "/run/service"))
	if code := c.Wait(); code != 128+15 {
		t.Errorf("s6-svscanctl -t: the container's exit code is %d, want 143", code)
	}
}

// TestServicesOfS6EndWithinTheBudget: docker stop ends services that pintle runs in s6's place as it ends all others: as soon
// as all have ended, and when the budget is over, also those that do not listen.
func TestServicesOfS6EndWithinTheBudget(t *testing.T) {
	t.Parallel()
	image := s6Image(t)
	for name, test := range map[string]struct {
		script      string
		least, most time.Duration
	}{
		"at once":   {s6Bot, 0, 8 * time.Second},
		"by budget": {`printf '#!/bin/bash\ntrap "" TERM HUP; echo >&3; while :; do sleep 1000002; done\n' >run; chmod 755 run; echo 3 >notification-fd`, 8 * time.Second, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := boot(t, dockertest.Options{Image: image}, "sleep", "infinity")
			becomes(t, c, "vault", unit.Up)
			s6Make(t, c, "bot", test.script)
			succeeds(t, c.Exec("hermes", "s6-svwait", "-U", "-t", "30000", "/run/service/bot"))
			code, took := c.Stop("-t", "60")
			if code != 128+15 || took < test.least || took > test.most {
				t.Errorf("the exit code is %d after %s, want 143 within %s to %s", code, took, test.least, test.most)
			}
		})
	}
}
