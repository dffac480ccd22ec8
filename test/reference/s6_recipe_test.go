package reference_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// The recipe is how the reference customer's Python code has worked with s6-overlay up to now: the tools by path, a service
// directory that is built under a name with a dot and renamed, and no more waiting than is written here.

// recipe is that code as a script: recipe VERB PROFILE.
const recipe = `#!/bin/sh -e
scan=/run/service slot=/run/service/gateway-$2 tmp=/run/service/.gateway-$2.tmp
seed() {
	mkdir -p "$1/event" "$1/supervise/event"
	chmod 3730 "$1/event" "$1/supervise/event"
	chmod 755 "$1/supervise"
	[ -p "$1/supervise/control" ] || mkfifo "$1/supervise/control"
	chmod 660 "$1/supervise/control"
}
case $1 in
register|register-down)
	[ ! -e "$slot" ] || { echo "already registered" >&2; exit 1; }
	rm -rf "$tmp"
	mkdir "$tmp" "$tmp/log"
	echo longrun >"$tmp/type"
	printf '#!/command/with-contenv sh\nexport HOME=/opt/data HERMES_SUPERVISED_CHILD=1\ncd /opt/data\nexec hermes -p %s gateway run --replace\n' "$2" >"$tmp/run"
	printf '#!/bin/sh\ncase $1 in 0|78) exit 125;; esac\nexit 0\n' >"$tmp/finish"
	printf '#!/command/with-contenv sh\nmkdir -p /opt/data/logs/gateways/%s\nrm -f /opt/data/logs/gateways/%s/lock\nexec /command/s6-log 1 n10 s1000000 T /opt/data/logs/gateways/%s\n' "$2" "$2" "$2" >"$tmp/log/run"
	chmod 755 "$tmp/run" "$tmp/finish" "$tmp/log/run"
	[ "$1" = register ] || touch "$tmp/down"
	seed "$tmp"; seed "$tmp/log"
	mv -T "$tmp" "$slot"
	/command/s6-svscanctl -a "$scan" || { rm -rf "$slot"; exit 1; } ;;
start) /command/s6-svc -u "$slot" ;;
stop) [ "$(/command/s6-svstat -o pid "$slot")" -gt 0 ]; /command/s6-svc -d "$slot" ;;
restart) /command/s6-svc -t "$slot" ;;
running) [ "$(/command/s6-svstat -o up "$slot")" = true ] ;;
unregister)
	[ -e "$slot" ] || exit 0
	/command/s6-svc -d "$slot"
	/command/s6-svwait -D -t "${3:-10000}" "$slot" || :
	/command/s6-svscanctl -an "$scan"
	sleep 0.2
	rm -rf "$slot" ;;
esac
`

// recipeStart starts a container in which pintle has s6's place, and all of s6's tools are pintle's.
func recipeStart(t *testing.T) *dockertest.Container {
	t.Helper()
	image := s6Image(t, `RUN rm /command/with-contenv && pintle install-s6 /command && mkdir -p /opt/data/profiles && chown hermes:hermes /opt/data/profiles
ENV S6_KEEP_ENV=0`)
	c := boot(t, dockertest.Options{Image: image, Flags: []string{"-e", "MARK=of the container"}}, "sleep", "infinity")
	succeeds(t, c.Exec("root", "sh", "-c", `printf %s "$1" >/usr/local/bin/recipe; chmod 755 /usr/local/bin/recipe`, "sh", recipe))
	return c
}

// recipeLook is a script by which hermes waits for what s6-svstat of either says of a slot, which is the same.
const recipeLook = `want=$1; shift; for i in $(seq 600); do
	a=$(/command/s6-svstat -o "$1" "$2" 2>&1); b=$(/usr/bin/s6-svstat -o "$1" "$2" 2>&1)
	[ "$a|$b" != "$want|$want" ] || exit 0
	sleep 0.05
done; echo "$a, $b"; exit 1`

func recipeSays(t *testing.T, c *dockertest.Container, slot, fields, want string) {
	t.Helper()
	if r := c.Exec("hermes", "bash", "-c", recipeLook, "bash", want, fields, "/run/service/gateway-"+slot); r.Code != 0 {
		t.Errorf("%s of %s is not %s: %s", fields, slot, want, r)
	}
}

// TestTheRecipe: what the reference customer's code does to s6 works on pintle unchanged, without root: it finds that it is
// supervised, registers, starts, stops and unregisters slots by the tools under /command, and its slots get the container's
// environment and their logs; and Debian's own tools say the same.
func TestTheRecipe(t *testing.T) {
	t.Parallel()
	c := recipeStart(t)
	do := func(verb string, args ...string) string {
		t.Helper()
		return succeeds(t, c.Exec("hermes", append([]string{"recipe", verb}, args...)...))
	}
	succeeds(t, c.Exec("hermes", "sh", "-ec", `[ "$(cat /proc/1/comm)" = s6-svscan ]; [ -d /run/s6/basedir ]; [ "$(/command/with-contenv printenv MARK)" = "of the container" ]`))

	manageConf(t, c, "coder", "HERMES_GATEWAY_TERM_EXIT=75")
	do("register", "coder")
	if r := c.Exec("hermes", "recipe", "register", "coder"); r.Code != 1 || !strings.Contains(r.Stderr, "already registered") {
		t.Errorf("registered twice: %s", r)
	}
	recipeSays(t, c, "coder", "up,wantedup,normallyup,paused", "true true true false")
	do("running", "coder")
	first := processOf(t, c, "hermes -p coder gateway run --replace")
	if first.UID != hermes || first.PPID != 1 {
		t.Errorf("the gateway is %+v", first)
	}
	if env := attackEnviron(t, c, first.PID); env["MARK"] != "of the container" || env["HOME"] != "/opt/data" || env["HERMES_SUPERVISED_CHILD"] != "1" {
		t.Errorf("its environment is %v", env)
	}
	prints(t, c, "gateway coder: starting")
	dockertest.Eventually(t, soon, func() (bool, string) {
		r := c.Exec("hermes", "sh", "-c", "cat /opt/data/logs/gateways/coder/current; stat -c %U /opt/data/logs/gateways/coder")
		return regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+  gateway coder: starting`).MatchString(r.Stdout) && strings.HasSuffix(r.Stdout, "hermes\n"), r.String()
	}, "its log has the line, with a time, in a directory of hermes's")

	for _, end := range [][]string{{"recipe", "restart", "coder"}, {"pkill", "-KILL", "-f", "^hermes -p coder"}} {
		before := processOf(t, c, "hermes -p coder gateway run --replace")
		succeeds(t, c.Exec("hermes", end...))
		dockertest.Eventually(t, soon, func() (bool, string) {
			p, found := find(c.Top(), "hermes -p coder gateway run --replace")
			return found && p.PID != before.PID, fmt.Sprintf("%+v", p)
		}, "the gateway is another one")
	}
	do("stop", "coder")
	recipeSays(t, c, "coder", "up,wantedup,pid", "false false -1")
	becomes(t, c, "gateway-coder", unit.Down)
	do("start", "coder")
	recipeSays(t, c, "coder", "up,wantedup", "true true")

	// What ends with 78 is parked, and the others are not disturbed by it, nor by being many at once.
	manageConf(t, c, "unfit", "HERMES_GATEWAY_EXIT=78")
	do("register", "unfit")
	recipeSays(t, c, "unfit", "up,wantedup,exitcode", "false false 78")
	succeeds(t, c.Exec("hermes", "sh", "-ec", `for i in 1 2 3 4 5 6; do recipe register-down many$i & done; wait; for i in 1 2 3 4 5 6; do until recipe start many$i; do sleep 0.1; done & done; wait`))
	for _, slot := range []string{"many1", "many6"} {
		recipeSays(t, c, slot, "up,normallyup", "true false")
	}
	for user, code := range map[string]int{"root": 0, "12345": 111} {
		if r := c.Exec(user, "/command/s6-svc", "-o", "/run/service/gateway-coder"); r.Code != code {
			t.Errorf("s6-svc as %s: want %d: %s", user, code, r)
		}
	}

	// A slot that is gone has nothing left, and can come again.
	for range 2 {
		do("unregister", "coder")
		dockertest.Eventually(t, soon, func() (bool, string) {
			r := pintle(c, "root", "status", "gateway-coder", "gateway-coder.log")
			_, runs := find(c.Top(), "hermes -p coder gateway run --replace")
			_, logs := find(c.Top(), "/command/s6-log 1 n10 s1000000 T /opt/data/logs/gateways/coder")
			left := c.Exec("root", "test", "-e", "/run/service/gateway-coder").Code == 0
			return r.Code == 4 && !runs && !logs && !left, fmt.Sprint(runs, logs, left, r)
		}, "the slot is gone")
		do("register-down", "coder")
		do("start", "coder")
		recipeSays(t, c, "coder", "up,normallyup", "true false")
	}
	do("unregister", "nosuch")
	if code, took := c.Stop("-t", "60"); code != 128+15 || took > 25*time.Second {
		t.Errorf("docker stop: code %d after %s", code, took)
	}
}

// TestU7ADirtyScanDirectory: what a pintle that was killed has left behind in a scan directory, locks, FIFOs and states, and what
// was only half made, keeps the next one from nothing: each slot is as its directory says.
func TestU7ADirtyScanDirectory(t *testing.T) {
	t.Parallel()
	c := recipeStart(t)
	succeeds(t, c.Exec("hermes", "sh", "-ec", "recipe register coder; recipe register-down idle; recipe register-down gone; recipe start gone"))
	recipeSays(t, c, "coder", "up", "true")
	recipeSays(t, c, "gone", "up", "true")
	c.Kill("KILL")
	c.Wait()
	c.StartAgain()
	answers(t, c)
	for slot, want := range map[string]string{"coder": "true true true", "idle": "false false false", "gone": "false false false"} {
		recipeSays(t, c, slot, "up,wantedup,normallyup", want)
	}

	succeeds(t, c.Exec("hermes", "sh", "-ec", `cd /run/service
		mkdir -p .gateway-half.tmp/supervise; printf '#!/bin/sh\necho HALF\n' >.gateway-half.tmp/run; chmod 755 .gateway-half.tmp/run
		rm gateway-idle/supervise/control; echo >gateway-idle/supervise/control
		rm -r gateway-gone/supervise gateway-gone/event
		mkdir gateway-empty; ln -s nowhere gateway-nowhere; echo >gateway-file; mkfifo gateway-fifo
		: >gateway-coder/supervise/status; head -c 1000 /dev/urandom >gateway-coder/supervise/death_tally
		mkfifo "gateway-coder/event/ftrig1:@400000006500000000000000:abcdef"`))
	succeeds(t, c.Exec("root", "sh", "-ec", "mkdir -p /run/service/.gateway-roots.tmp/supervise; chmod 700 /run/service/.gateway-roots.tmp"))
	for _, again := range []func(){func() { c.Restart("-t", "30") }, func() { c.Kill("KILL"); c.Wait(); c.StartAgain() }} {
		again()
		answers(t, c)
		becomes(t, c, "vault", unit.Up)
		for slot, want := range map[string]string{"coder": "true true true", "gone": "false false false"} {
			recipeSays(t, c, slot, "up,wantedup,normallyup", want)
		}
		if r := c.Exec("hermes", "/command/s6-svstat", "/run/service/gateway-idle"); r.Code == 0 {
			t.Errorf("what has no FIFO is supervised: %s", r)
		}
	}
	succeeds(t, c.Exec("hermes", "sh", "-ec", "recipe register half; recipe start gone"))
	recipeSays(t, c, "half", "up", "true")
	recipeSays(t, c, "gone", "up", "true")
	if stdout, stderr := c.Logs(); strings.Contains(stdout+stderr, "HALF") {
		t.Errorf("what was half made ran:\n%s%s", stdout, stderr)
	}
}
