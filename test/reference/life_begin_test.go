package reference_test

import (
	"strings"
	"testing"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// A required oneshot is what main needs: when it fails, main never runs, and the
// container ends with pintle's own code, 125, and says why in its last lines
// (docs/configuration.md, "What starts when"; U66: it says why).
func TestARequiredOneshotThatFailsEndsTheContainer(t *testing.T) {
	t.Parallel()
	image := lifeImage(t, map[string]string{
		"required": `
main: {command: [echo, main ran]}
oneshots:
  migrate: {up: [sh, -c, "seq 12 | sed 's/^/step /'; exit 3"]}
`,
		"optional": `
main: {command: [echo, main ran]}
oneshots:
  migrate: {up: [sh, -c, "echo step; exit 3"], required: false}
`,
		"needed": `
main: {command: [echo, main ran], depends_on: {migrate: {condition: done}}}
oneshots:
  migrate: {up: [sh, -c, "echo step; exit 3"], required: false}
`,
		"retried": `
main: {command: [echo, main ran]}
oneshots:
  migrate: {up: [sh, -c, "echo attempt $$PINTLE_RUN.; test $$PINTLE_RUN = 3"], retries: 2}
`,
		"retried-in-vain": `
main: {command: [echo, main ran]}
oneshots:
  migrate: {up: [sh, -c, "echo attempt $$PINTLE_RUN.; test $$PINTLE_RUN = 3"], retries: 1}
`,
		"too-slow": `
main: {command: [echo, main ran]}
oneshots:
  migrate: {up: [sleep, infinity], timeout: 300ms}
`,
		"not-there": `
main: {command: [echo, main ran]}
oneshots:
  migrate: {up: [nosuch-program]}
`,
	})
	for _, test := range []struct {
		config string
		code   int
		says   []string // on standard error, in this order, as a whole
		lacks  []string
	}{
		{config: "required", code: 125, says: []string{
			"pintle | cannot go on without migrate, which is required: it failed, at last: it exited with code 3 after ",
			"  migrate | step 3\n", "  migrate | step 12\n",
		}, lacks: []string{"  migrate | step 2\n"}},
		{config: "optional"},
		{config: "needed", code: 125, says: []string{"cannot start the main program: it depends on migrate, which has failed"}},
		{config: "retried", says: []string{"attempt 1.", "attempt 2.", "attempt 3."}, lacks: []string{"attempt 4."}},
		{config: "retried-in-vain", code: 125, says: []string{
			"cannot go on without migrate, which is required: it failed 2 times in a row, at last: it exited with code 1 after ",
			"  migrate | attempt 1.\n", "  migrate | attempt 2.\n",
		}},
		{config: "too-slow", code: 125, says: []string{
			"cannot go on without migrate, which is required: it failed, at last: it took too long after ", "was killed by SIGTERM",
		}},
		{config: "not-there", code: 125, says: []string{"cannot go on without migrate, which is required: ", "nosuch-program"}},
	} {
		t.Run(test.config, func(t *testing.T) {
			t.Parallel()
			r := dockertest.Run(t, lifeOptions(image, test.config))
			if ran := r.Stdout == "main ran\n"; r.Code != test.code || ran != (test.code == 0) || !ran && r.Stdout != "" {
				t.Errorf("want exit code %d: %s", test.code, r)
			}
			rest := r.Stderr
			for _, text := range test.says {
				_, after, found := strings.Cut(rest, text)
				if !found {
					t.Errorf("want %q on standard error, in this order: %s", test.says, r)
					break
				}
				rest = after
			}
			lifeLacks(t, "standard error", r.Stderr, test.lacks...)
		})
	}
}

// On the way up main comes after what it depends on was ready, by whichever way it
// says so; meanwhile why names what is waited for (promise 6).
func TestMainStartsWhenWhatItDependsOnIsReady(t *testing.T) {
	t.Parallel()
	// Each service waits at a gate of its own, a file, before it says that it is ready.
	image := lifeImage(t, map[string]string{"ready": `
main:
  command: [sh, -c, "echo main runs; exec sleep infinity"]
  depends_on:
    message: {condition: ready}
    descriptor: {condition: ready}
    log: {condition: ready}
    port: {condition: ready}
    url: {condition: ready}
    command: {condition: ready}
services:
  message:
    command: [sh, -c, "until [ -e /tmp/message ]; do sleep 0.02; done; life notify STATUS=well READY=1; exec sleep infinity"]
    readiness: {notify: true}
  descriptor:
    command: [sh, -c, "until [ -e /tmp/descriptor ]; do sleep 0.02; done; echo >&3; exec sleep infinity"]
    readiness: {fd: 3}
  log:
    command: [sh, -c, "until [ -e /tmp/log ]; do sleep 0.02; done; echo listening on port 80; exec sleep infinity"]
    readiness: {log: "listening on .*80"}
  port:
    command: [sh, -c, "until [ -e /tmp/port ]; do sleep 0.02; done; exec life serve 127.0.0.1:9001"]
    readiness: {tcp: "127.0.0.1:9001"}
  url:
    command: [sh, -c, "until [ -e /tmp/url ]; do sleep 0.02; done; exec life serve 127.0.0.1:9002"]
    readiness: {http: "http://127.0.0.1:9002/ready", period: 100ms}
  command:
    command: [sleep, infinity]
    readiness: {exec: [test, -e, /tmp/command], period: 100ms}
`})
	for _, flags := range [][]string{nil, {"--init"}, {"--user", "12345"}, {"--read-only", "--tmpfs", "/run", "--tmpfs", "/tmp", "--tmpfs", noData}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			t.Parallel()
			c := boot(t, lifeOptions(image, "ready", flags...))
			for _, name := range []string{"message", "descriptor", "log", "port", "url", "command"} {
				becomes(t, c, name, unit.Starting)
				if s := status(t, c, "main"); s.State != unit.Waiting || s.PID != 0 {
					t.Errorf("main is %s (%s) before %s is ready", s.State, s.Because, name)
				}
				says(t, pintle(c, "0", "why", "main"), 0, "main has been waiting", name+" ready (not met)")
				succeeds(t, c.Exec("0", "touch", "/tmp/"+name))
				becomes(t, c, name, unit.Up)
			}
			becomes(t, c, "main", unit.Up)
			prints(t, c, "main runs")
			says(t, pintle(c, "0", "why", "message"), 0, "Says:    well")
		})
	}
}
