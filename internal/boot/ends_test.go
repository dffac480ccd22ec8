package boot

import (
	"fmt"
	"testing"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// This file holds how a container ends by itself because of another unit than main.

// TestRequiredOneshot: a container whose required oneshot fails ends with 125, and
// says why, with the last lines of its log. Main has not begun.
func TestRequiredOneshot(t *testing.T) {
	t.Parallel()
	p := start(t, `
main: {command: [echo, main-has-begun]}
oneshots:
  prep:
    up: [sh, -c, "echo looking; echo nothing-found >&2; exit 7"]
    retries: 1
    backoff: {initial: 10ms}
`)
	if code := p.code(t); code != 125 {
		t.Errorf("code %d", code)
	}
	p.says(t, "cannot go on without prep, which is required: it failed 2 times in a row, at last: it exited with code 7", "\npintle |   prep | looking\n", "\npintle |   prep | nothing-found\n")
	if out, _ := p.stdout.ReadString('\n'); out != "" {
		t.Errorf("main said %q", out)
	}
}

// TestOneshotThatIsNotRequired fails alone.
func TestOneshotThatIsNotRequired(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, "main: {command: "+self("until", dir+"/go", "3")+"}\noneshots: {prep: {up: [sh, -c, exit 7], required: false}}")
	p.untilUnit(t, "prep", is(unit.Failed))
	p.untilUnit(t, "main", is(unit.Up))
	touch(t, dir+"/go")
	if code := p.code(t); code != 3 {
		t.Errorf("code %d\n%s", code, &p.stderr)
	}
}

// TestMainWaitsForWhatIsRequired: main begins when the required oneshots are done, and finds what they did.
func TestMainWaitsForWhatIsRequired(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, "main: {command: [cat, "+dir+"/made]}\noneshots: {prep: {up: [sh, -c, 'sleep 0.1; echo made > "+dir+"/made']}}")
	p.expect(t, "made")
	if code := p.code(t); code != 0 {
		t.Errorf("code %d\n%s", code, &p.stderr)
	}
}

// TestFailureStopsTheContainer: a unit with on_failure: stop_container, once it is
// given up, ends the container with its code and its last lines.
func TestFailureStopsTheContainer(t *testing.T) {
	t.Parallel()
	p := start(t, `
main: {command: `+self("sleep")+`}
services:
  vital:
    command: [sh, -c, "echo no-license; exit 9"]
    restart: on-failure
    backoff: {initial: 10ms}
    give_up: {after: 2}
    on_failure: stop_container
`)
	if code := p.code(t); code != 9 {
		t.Errorf("code %d", code)
	}
	p.says(t, "vital has failed, and the container ends with it: it failed 2 times in a row, at last: it exited with code 9", "\npintle |   vital | no-license\n")
}

// TestNoMain: a container without a main program is there for as long as anything
// of it runs, and its code says whether all went well.
func TestNoMain(t *testing.T) {
	t.Parallel()
	service := func(name, command string) string {
		return fmt.Sprintf("  %s: {command: %s, restart: never}\n", name, command)
	}
	for _, c := range []struct {
		name, yaml string
		term       bool
		code       int
	}{
		{"all done", service("b", shell("exit 0")), false, 0},
		{"the first that failed", service("b", shell("exit 4")), false, 4},
		{"asked to end", "  b: {command: " + self("sleep") + "}\n", true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := start(t, "services:\n"+service("a", self("until", dir+"/go", map[bool]string{false: "0", true: "5"}[c.code != 0]))+c.yaml)
			p.untilUnit(t, "a", is(unit.Up))
			switch {
			case c.term:
				p.term(t)
			case c.code != 0:
				p.untilUnit(t, "b", is(unit.Failed))
			default:
				p.untilUnit(t, "b", is(unit.Done))
			}
			if !c.term {
				p.untilUnit(t, "a", is(unit.Up)) // the container goes on
			}
			touch(t, dir+"/go")
			if code := p.code(t); code != c.code {
				t.Errorf("code %d, want %d\n%s", code, c.code, &p.stderr)
			}
		})
	}
}

// TestNoMainAndStopped: what somebody has stopped keeps a container without main, for it may be started again.
func TestNoMainAndStopped(t *testing.T) {
	t.Parallel()
	p := start(t, "services:\n  a: {command: "+self("sleep")+"}\n  b: {command: ['true'], restart: on-failure}\n")
	p.untilUnit(t, "b", is(unit.Done))
	client := p.client(t)
	if _, err := client.Stop(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	p.untilUnit(t, "a", is(unit.Down))
	if _, err := client.Start(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	p.untilUnit(t, "a", is(unit.Up))
	p.term(t)
	if code := p.code(t); code != 0 {
		t.Errorf("code %d\n%s", code, &p.stderr)
	}
}

// TestMainThatCannotBegin: where main depends on what has failed, the container
// ends with 125 and says so; where it is asked to end while main waits, as if TERM had ended it.
func TestMainThatCannotBegin(t *testing.T) {
	t.Parallel()
	p := start(t, "main: {command: [echo, main-has-begun], depends_on: [db]}\nservices:\n  db: {command: [/no/such/db], restart: on-failure, give_up: {after: 2}}\n")
	if code := p.code(t); code != 125 {
		t.Errorf("code %d", code)
	}
	p.says(t, "pintle: cannot start the main program: it depends on db, which has failed\n", "cannot execute /no/such/db: there is no such file")

	p = start(t, "main: {command: [echo, main-has-begun], depends_on: {db: {condition: ready}}}\nservices:\n  db: {command: "+self("sleep")+", readiness: {exec: ['false']}}\n")
	p.untilUnit(t, "main", is(unit.Waiting))
	p.untilUnit(t, "db", func(s engine.Status) bool { return s.Reason == unit.NotReady })
	p.term(t)
	if code := p.code(t); code != 143 {
		t.Errorf("code %d", code)
	}
	p.says(t, "the main program was never started")
}
