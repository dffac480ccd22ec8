package reference_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// lifeLingers is how long main takes to end after its TERM in these tests: long enough to see that nobody else was
// asked to end meanwhile.
const lifeLingers = 700 * time.Millisecond

// lifeOrder is a database that needs a schema, and main that needs the database. Main writes to standard error itself, so
// that its lines are on one stream with the others'.
var lifeOrder = fmt.Sprintf(`
main:
  command: [sh, -c, "exec >&2; trap 'echo main got TERM; sleep %g; echo main ends; exit 7' TERM; echo main begins; while :; do sleep 0.01; done"]
  depends_on: {database: {condition: ready}}
oneshots:
  schema: {up: [echo, schema up], down: [echo, schema down]}
services:
  database:
    command: [sh, -c, "trap 'echo database got TERM; exit 0' TERM; echo database begins; until [ -e /tmp/go ]; do sleep 0.01; done; life notify READY=1; while :; do sleep 0.01; done"]
    depends_on: {schema: {condition: done}}
    readiness: {notify: true}
  aside:
    command: [sh, -c, "trap 'echo aside got TERM; exit 0' TERM; echo aside begins; while :; do sleep 0.01; done"]
`, lifeLingers.Seconds())

// Up along the arrows, down against them: main and what nothing depends on are
// asked to end first, what main needs when main has ended, and what undoes a
// oneshot's work at last (DESIGN.md, "The main program"). And the stop takes as
// long as that and no longer (promise 2, U63): a grace period is never slept.
func TestTheContainerStopsAgainstTheArrows(t *testing.T) {
	t.Parallel()
	image := lifeImage(t, map[string]string{"order": lifeOrder})
	c := boot(t, lifeOptions(image, "order"))
	becomes(t, c, "database", unit.Starting)
	if s := status(t, c, "main"); s.State != unit.Waiting || s.Because == "" {
		t.Errorf("main is %s (%s) before the database is ready", s.State, s.Because)
	}
	// The control is the same main program alone.
	control := dockertest.Start(t, dockertest.Options{Image: image, Flags: []string{"--entrypoint", "sh"}}, "-c",
		fmt.Sprintf("trap 'sleep %g; exit 7' TERM; echo main begins; while :; do sleep 0.01; done", lifeLingers.Seconds()))
	succeeds(t, c.Exec("0", "touch", "/tmp/go"))

	const most = 500 * time.Millisecond
	var least time.Duration
	for round := 1; round == 1 || round <= 8 && least > most; round++ { // a busy machine makes it longer, nothing makes it shorter
		if round > 1 {
			c.StartAgain()
			control.StartAgain()
		}
		for _, name := range []string{"main", "aside", "database"} {
			dockertest.Eventually(t, soon, func() (bool, string) {
				_, stderr := c.Logs()
				return strings.Count(stderr, name+" begins") == round, stderr
			}, name+" begins")
		}
		dockertest.Eventually(t, soon, func() (bool, string) {
			stdout, _ := control.Logs()
			return strings.Count(stdout, "main begins") == round, stdout
		}, "the control begins")
		code, took := c.Stop("-t", "60")
		usual, alone := control.Stop("-t", "60")
		if code != 7 || usual != 7 {
			t.Errorf("the exit codes are %d and alone %d, want main's 7", code, usual)
		}
		if round == 1 {
			_, stderr := c.Logs()
			lifeInOrder(t, stderr, "schema up\n", "database begins\n", "main begins\n", "main got TERM\n", "main ends\n", "database got TERM\n", "schema down\n")
			lifeInOrder(t, stderr, "aside begins\n", "aside got TERM\n", "main ends\n")
			lifeLacks(t, "the log", stderr, "SIGKILL", "killing", "giving up")
		}
		if least = took - alone; round == 1 {
			t.Logf("docker stop took %v, main alone %v", took, alone)
		}
	}
	if least > most {
		t.Errorf("docker stop takes %v longer than main takes alone", least)
	}
}

// What an init above pintle, or podman, has said to pintle is main's alone: a
// service that found its NOTIFY_SOCKET could say the whole container ready, or
// could be taken for watched. And with an init above, all is as it always is (U24, promise 1).
func TestANotifySocketFromOutsideIsMainsAlone(t *testing.T) {
	t.Parallel()
	const say = `echo "$PINTLE_UNIT has [$NOTIFY_SOCKET] [$WATCHDOG_USEC] [$WATCHDOG_PID]"; `
	image := lifeImage(t, map[string]string{"outside": strings.NewReplacer("SAY", strings.ReplaceAll(strings.ReplaceAll(say, "$", "$$"), `"`, `\"`)).Replace(`
main:
  command: [sh, -c, "SAY exec sleep infinity"]
  depends_on: {first: {condition: done}, talks: {condition: ready}, silent: {condition: ready}}
oneshots:
  first: {up: [sh, -c, "SAY"]}
services:
  silent: {command: [sh, -c, "SAY exec sleep infinity"]}
  talks: {command: [sh, -c, "SAY life notify READY=1; exec sleep infinity"], readiness: {notify: true}}
  watched: {command: [sh, -c, "SAY while life notify READY=1 WATCHDOG=1; do sleep 0.1; done"], readiness: {notify: true}, watchdog: 20s}
`)})
	outside := []string{"-e", "NOTIFY_SOCKET=/run/notify/outer.sock", "-e", "WATCHDOG_USEC=1234567", "-e", "WATCHDOG_PID=1"}
	for _, flags := range [][]string{nil, {"--init"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			t.Parallel()
			c := boot(t, lifeOptions(image, "outside", slices.Concat(outside, flags)...))
			becomes(t, c, "main", unit.Up)
			becomes(t, c, "watched", unit.Up)
			prints(t, c, "main has [/run/notify/outer.sock] [1234567] [1]\n")
			prints(t, c, "first has [] [] []\n")
			prints(t, c, "silent has [] [] []\n")
			prints(t, c, "talks has [/run/pintle/runs/")
			prints(t, c, "watched has [/run/pintle/runs/")
			_, stderr := c.Logs()
			if !strings.Contains(stderr, "] [20000000] []\n") || strings.Count(stderr, "outer.sock") > 0 {
				t.Errorf("want the services to have pintle's own:\n%s", stderr)
			}
			pids := map[string]int{}
			for _, p := range c.Top() {
				if strings.HasPrefix(p.Args, "/init") || strings.HasPrefix(p.Args, "pintle") {
					pids["pintle"] = p.PID
				}
			}
			if notPID1 := pids["pintle"] != 1; notPID1 != (flags != nil) {
				t.Errorf("pintle has pid %d: %+v", pids["pintle"], c.Top())
			}
		})
	}
}
