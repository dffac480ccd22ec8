package reference_test

import (
	"testing"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// What it means for the container that a unit fails is declared for each unit: it
// ends with the unit's code, or it goes on (U54: a crash-loop guard of something
// beside must not end what matters).
func TestWhatAFailureMeansForTheContainer(t *testing.T) {
	t.Parallel()
	image := lifeImage(t, map[string]string{
		"stop": `
main: {command: [sleep, infinity]}
services:
  worker: {command: [sh, -c, "echo worker ends; exit 42"], restart: never, on_failure: stop_container}
`,
		"give-up": `
main: {command: [sleep, infinity]}
services:
  worker: {command: [sh, -c, "echo worker ends; kill -SEGV $$$$"], give_up: {after: 3}, on_failure: stop_container}
`,
		"not-there": `
main: {command: [sleep, infinity]}
services:
  worker: {command: [nosuch-program], restart: never, on_failure: stop_container}
`,
		"ignore": `
main: {command: [sh, -c, "trap 'exit 7' TERM; while :; do sleep 0.1; done"]}
services:
  worker: {command: [sh, -c, "exit 42"], give_up: {after: 3}, backoff: {initial: 10ms}}
  sidecar: {command: [sh, -c, "exit 42"], restart: never, on_failure: ignore}
`,
	})
	for _, test := range []struct {
		config string
		code   int
		says   string
	}{
		{"stop", 42, "worker has failed, and the container ends with it: it exited with code 42 after "},
		{"give-up", 128 + 11, "worker has failed, and the container ends with it: it failed 3 times in a row, at last: it was killed by SIGSEGV"},
		{"not-there", 127, "worker has failed, and the container ends with it: "},
	} {
		t.Run(test.config, func(t *testing.T) {
			t.Parallel()
			says(t, dockertest.Run(t, lifeOptions(image, test.config)), test.code, test.says)
		})
	}
	t.Run("ignore", func(t *testing.T) {
		t.Parallel()
		c := boot(t, lifeOptions(image, "ignore"))
		main := becomes(t, c, "main", unit.Up)
		if s := becomes(t, c, "worker", unit.Failed); s.Reason != unit.GaveUp || s.Run != 3 {
			t.Errorf("the worker was given up after run %d: %s", s.Run, s.Because)
		}
		becomes(t, c, "sidecar", unit.Failed)
		says(t, pintle(c, "0", "status"), 0, "condition: worker has failed: it failed 3 times in a row", "condition: sidecar has failed: it exited with code 42")
		says(t, pintle(c, "0", "why", "worker"), 0, "worker has failed, and has been given up", "pintle start worker")
		if s := status(t, c, "main"); s.State != unit.Up || s.PID != main.PID || !c.Running() {
			t.Errorf("main was %+v and is %+v", main, s)
		}
		if code, _ := c.Stop("-t", "60"); code != 7 {
			t.Errorf("the exit code is %d, want main's 7", code)
		}
	})
}

// A container without a main program stays for as long as there is something to do
// (docs/configuration.md, "What follows an end").
func TestAContainerWithoutAMainProgram(t *testing.T) {
	t.Parallel()
	image := lifeImage(t, map[string]string{
		"done": `
oneshots:
  first: {up: [echo, first]}
services:
  job: {command: [sh, -c, "until [ -e /tmp/job ]; do sleep 0.02; done"], restart: never}
  off: {command: [nosuch-program], enabled: false}
`,
		"failed": `
services:
  early: {command: [sh, -c, "exit 7"], restart: never}
  late: {command: [sh, -c, "until [ -e /tmp/late ]; do sleep 0.02; done; exit 9"], restart: never}
  fine: {command: [sh, -c, "until [ -e /tmp/fine ]; do sleep 0.02; done"], restart: never}
`,
		"template": `
services:
  job: {command: [echo, job], restart: never}
templates:
  gateway: {command: [sleep, infinity]}
`,
	})
	t.Run("it ends with 0 when all is done", func(t *testing.T) {
		t.Parallel()
		c := boot(t, lifeOptions(image, "done"))
		becomes(t, c, "first", unit.Done)
		becomes(t, c, "job", unit.Up)
		says(t, pintle(c, "0", "status", "off"), 3, "disabled")
		if !c.Running() {
			t.Error("it has ended before all was done")
		}
		succeeds(t, c.Exec("0", "touch", "/tmp/job"))
		if code := c.Wait(); code != 0 {
			t.Errorf("its exit code is %d, want 0", code)
		}
	})
	t.Run("it ends with the code of the unit that failed first", func(t *testing.T) {
		t.Parallel()
		c := boot(t, lifeOptions(image, "failed"))
		becomes(t, c, "early", unit.Failed)
		succeeds(t, c.Exec("0", "touch", "/tmp/late"))
		becomes(t, c, "late", unit.Failed)
		succeeds(t, c.Exec("0", "touch", "/tmp/fine"))
		if code := c.Wait(); code != 7 {
			t.Errorf("its exit code is %d, want 7", code)
		}
	})
	t.Run("it ends with 0 when it is stopped", func(t *testing.T) {
		t.Parallel()
		c := boot(t, lifeOptions(image, "done"))
		becomes(t, c, "job", unit.Up)
		if code, _ := c.Stop("-t", "60"); code != 0 {
			t.Errorf("its exit code is %d, want 0", code)
		}
	})
	t.Run("what somebody has stopped keeps it", func(t *testing.T) {
		t.Parallel()
		c := boot(t, lifeOptions(image, "done"))
		becomes(t, c, "job", unit.Up)
		says(t, pintle(c, "0", "stop", "job"), 0, "job is down")
		becomes(t, c, "first", unit.Done)
		succeeds(t, c.Exec("0", "touch", "/tmp/job"))
		says(t, pintle(c, "0", "start", "--no-wait", "job"), 0)
		if code := c.Wait(); code != 0 {
			t.Errorf("its exit code is %d, want 0", code)
		}
	})
	t.Run("a template keeps it", func(t *testing.T) {
		t.Parallel()
		c := boot(t, lifeOptions(image, "template"))
		becomes(t, c, "job", unit.Done)
		says(t, pintle(c, "0", "create", "gateway@x"), 0, "gateway@x is up")
		says(t, pintle(c, "0", "remove", "gateway@x"), 0, "gateway@x is removed")
		if code, _ := c.Stop("-t", "60"); code != 0 {
			t.Errorf("its exit code is %d, want 0", code)
		}
	})
}
