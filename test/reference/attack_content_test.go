package reference_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// contentUnits have root's and hermes's services read one file, which is hermes's.
const contentUnits = `
services:
  rooted:
    command: [sh, -c, "env >/run/rooted; exec sleep infinity"]
    user: root
    env_file: [{path: "${HERMES_HOME}/both.env", required: false}]
    restart: never
  his:
    command: [sleep, infinity]
    user: hermes
    env_file: [{path: "${HERMES_HOME}/both.env", required: false}]
    restart: never
`

// What hermes writes into files that pintle reads is data of his: it says nothing
// of pintle's own, gives root's programs nothing, and shows nothing of root's files.
// Not by variables with newlines and zero bytes in them, not by LD_PRELOAD or PATH,
// not by names with "%i", slashes or newlines, not by JSON that is deep or huge
// (promise 5).
func TestAttackByContents(t *testing.T) {
	t.Parallel()
	volume := prepareVolume(t, `chown hermes /opt/data`)
	c := boot(t, dockertest.Options{Image: attackImage(t, contentUnits), Flags: []string{"-v", volume + ":/opt/data"}}, "sleep", "infinity")
	vault := becomes(t, c, "vault", unit.Up)

	// Variables.
	succeeds(t, c.Exec("hermes", "bash", "-ec", `
		cat >both.env <<-END
			PINTLE_MARK=$(tr '\0' '\n' </proc/self/environ | sed -n s,^PINTLE_MARK=,,p)
			PINTLE_UNIT=vault
			PINTLE_RUN=99
			PINTLE_TEMPLATE=x
			PINTLE_FENCE=99
			PINTLE_STOP_FILE=/etc/passwd
			NOTIFY_SOCKET=/etc/passwd
			WATCHDOG_USEC=1
			LD_PRELOAD=/opt/data/evil.so
			TEXT="first\nPINTLE_UNIT=main"
			HOME=/root
		END`))
	for _, name := range []string{"rooted", "his"} {
		pintle(c, "root", "restart", "--no-wait", name)
	}
	if s := becomes(t, c, "rooted", unit.Failed); !strings.Contains(s.Because, "cannot trust /opt/data/both.env") {
		t.Errorf("root's service is %+v", s)
	}
	dockertest.Eventually(t, soon, func() (bool, string) {
		s := status(t, c, "his")
		return s.State == unit.Up && s.Run == 2, fmt.Sprintf("%+v", s)
	}, "his service runs with the file")
	environ := attackEnviron(t, c, status(t, c, "his").PID)
	for name, want := range map[string]string{"PINTLE_UNIT": "his", "PINTLE_RUN": "2", "LD_PRELOAD": "/opt/data/evil.so"} {
		if environ[name] != want {
			t.Errorf("his service has %s=%q, want %q", name, environ[name], want)
		}
	}
	for _, name := range []string{"PINTLE_TEMPLATE", "PINTLE_FENCE", "NOTIFY_SOCKET", "WATCHDOG_USEC"} {
		if value, is := environ[name]; is {
			t.Errorf("his service has %s=%q", name, value)
		}
	}
	if !strings.Contains(environ["PINTLE_STOP_FILE"], "/his.2.stop") || environ["PINTLE_MARK"] == "" {
		t.Errorf("his service has %q and %q", environ["PINTLE_STOP_FILE"], environ["PINTLE_MARK"])
	}
	for _, bad := range []string{`printf 'A=1\0B=2\n'`, `printf 'no assignment\n'`, `printf '=x\n'`, `printf 'A\tB=x\n'`, `head -c 2000000 /dev/zero`} {
		succeeds(t, c.Exec("hermes", "sh", "-c", bad+" >both.env"))
		pintle(c, "root", "restart", "--no-wait", "his")
		if s := becomes(t, c, "his", unit.Failed); !strings.Contains(s.Because, "cannot use env_file") {
			t.Errorf("with %s it is %+v", bad, s)
		}
	}
	if r := c.Exec("root", "test", "-e", "/run/rooted"); r.Code != 1 {
		t.Errorf("root's service was run, with a file of hermes's: %s", r)
	}

	// Directories that declare instances, and the files that say what was wanted of those.
	succeeds(t, c.Exec("root", "sh", "-ec", `mkdir -m 700 /etc/own; echo '{"desired_state":"running"}' >/etc/own/up.json; chmod 600 /etc/own/up.json`))
	succeeds(t, c.Exec("hermes", "bash", "-ec", `
		soul() { mkdir -p "profiles/$1"; touch "profiles/$1/SOUL.md"; }
		for name in '%i' '%25i' '..%2f..%2fetc' '-rf' '$(id)' $'a\nb' $'\e]0;x\a' 'a b' '@' 'vault@x' Ä "$(printf '\377')" "$(printf 'x%.0s' {1..250})"; do soul "$name"; done
		for name in fifo zero link hard dir deep huge sparse secret missing bytes; do soul $name; done
		mkdir profiles/no{1..4}
		mkfifo profiles/no1/SOUL.md; ln -s /dev/null profiles/no2/SOUL.md; mkdir profiles/no3/SOUL.md; ln -s /etc/passwd profiles/no4/SOUL.md
		cd profiles
		mkfifo fifo/gateway_state.json
		ln -s /dev/zero zero/gateway_state.json
		ln -s ../../up.json link/gateway_state.json; echo '{"desired_state":"running"}' >../up.json
		mkdir dir/gateway_state.json
		perl -e 'print "{\"desired_state\":" x 60000' >deep/gateway_state.json
		perl -e 'print "{\"desired_state\":\"running\",\"x\":\"", "x" x 70000, "\"}"' >huge/gateway_state.json
		echo '{"desired_state":"running"}' >sparse/gateway_state.json; truncate -s 1G sparse/gateway_state.json
		ln -s /etc/own/up.json secret/gateway_state.json
		printf '{"desired_state":"running\\u0000\377"}' >bytes/gateway_state.json
		soul() { mkdir -p "$1"; touch "$1/SOUL.md"; }
		soul good; echo '{"desired_state":"running"}' >good/gateway_state.json
		rm -rf ../logs/container-boot.log; ln -s /etc/own/up.json ../logs/container-boot.log`))
	before := attackRootsFiles(t, c)
	// They are asked at a start, of instances of which nobody has asked anything.
	c.Restart("-t", "5")
	answers(t, c)
	becomes(t, c, "gateway@good", unit.Up)
	units := statuses(t, pintle(c, "root", "status", "-o", "json"))
	for _, name := range []string{"fifo", "zero", "link", "dir", "deep", "huge", "sparse", "secret", "missing", "bytes"} {
		if s := units["gateway@"+name]; s.State != unit.Down {
			t.Errorf("gateway@%s is %s: %s", name, s.State, s.Because)
		}
	}
	for name := range units {
		if strings.HasPrefix(name, "gateway@no") || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz@") != "" {
			t.Errorf("there is a unit %q", name)
		}
	}
	shown := pintle(c, "root", "status").Stdout
	if strings.ContainsAny(shown, "\x1b\x07") || !utf8.ValidString(shown) || !strings.Contains(shown, "are no instances") {
		t.Errorf("status shows %q", shown)
	}
	if _, stderr := c.Logs(); !strings.Contains(stderr, "cannot write the boot report /opt/data/logs/container-boot.log: it is not a regular file") {
		t.Errorf("nothing is said of the boot report:\n%s", stderr)
	}
	if after := attackRootsFiles(t, c); after != before {
		t.Errorf("what is root's was changed:%s", manageDiff(before, after))
	}
	if s := becomes(t, c, "vault", unit.Up); s.Run != 1 || vault.Run != 1 {
		t.Errorf("vault is %+v", s)
	}
}

// Where pintle runs as the very user who attacks it, there is nothing between the
// two, and docs/state.md says so. Still what he forges is taken for wishes and nothing
// else: it makes no unit, no command and no user, and the container's main program runs.
func TestAttackAsPintlesOwnUser(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Flags: []string{"--user", "10000:10000", "-e", "HERMES_DASHBOARD=1"}}, "sleep", "infinity")
	becomes(t, c, "dashboard", unit.Up)
	succeeds(t, c.Exec("hermes", "bash", "-ec", `
		intent() { echo '{"unit":"'"$1"'","desired":"'$2'","generation":99,"time":"2030-01-01T00:00:00Z","actor":{"kind":"peer","uid":0},"command":["touch","/opt/data/ran"],"user":"root"}'; }
		cd .pintle/intents
		intent main down >main.json
		intent dashboard down >dashboard.json
		intent nosuch up >nosuch.json
		intent nosuch@x up >nosuch@x.json
		intent gateway@made up >gateway@made.json
		intent ../../x up >gateway@a.json
		intent gateway@b sideways >gateway@b.json
		ln -s /etc/shadow gateway@c.json; mkfifo gateway@d.json; mkdir gateway@e.json; ln -s /dev/zero gateway@f.json; truncate -s 1G gateway@g.json
		intent gateway@h up >gateway@h.json; chmod 666 gateway@h.json
		head -c 4000 /dev/urandom >gateway@i.json
		echo '{"unit":"gateway@j","desired":"up","generation":-1}' >gateway@j.json`))
	c.Kill("KILL")
	c.Wait()
	c.StartAgain()
	answers(t, c)
	becomes(t, c, "main", unit.Up)
	becomes(t, c, "dashboard", unit.Down)
	becomes(t, c, "gateway@made", unit.Up)
	units := statuses(t, pintle(c, "hermes", "status", "-o", "json"))
	if len(units) != 4 { // with gateway@default
		t.Errorf("there are %v", units)
	}
	for _, p := range c.Top() {
		if p.UID != hermes && p.PPID != 0 {
			t.Errorf("there is %+v", p)
		}
	}
	if r := c.Exec("hermes", "sh", "-c", "ls /opt/data/ran /opt/data/x.json"); r.Stdout != "" {
		t.Errorf("it made %s", r)
	}
	// The kernel keeps a container's first process from what would end it at once.
	succeeds(t, c.Exec("hermes", "bash", "-c", "kill -KILL 1; kill -STOP 1; true"))
	says(t, pintle(c, "hermes", "healthcheck", "--level", "alive"), 0)
	succeeds(t, c.Exec("hermes", "bash", "-c", "kill -TERM 1"))
	if code := c.Wait(); code != 128+15 {
		t.Errorf("the exit code is %d, want main's", code)
	}
}
