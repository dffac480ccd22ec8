package supervisor

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"pintle/internal/unit"
)

// TestOneshotRetries: a oneshot that fails is tried again as often as it may, with backoff, and is done when it succeeds.
func TestOneshotRetries(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		thrice := func(s *unit.Spec) { s.GiveUp.After = 3 }
		w := newStagedWorld(t, dir, runs,
			oneshot("late", dir, "once %s/1 [ exit 1 ] once %s/2 [ exit 1 ] exit 0", quick, thrice),
			oneshot("never", dir, "write %s/tries x exit 4", quick, thrice),
			oneshot("once", dir, "exit 4"))
		if s := w.untilState("late", unit.Done); s.Run != 3 || s.Failures != 0 || s.PID != 0 {
			t.Errorf("%+v", s)
		}
		s := w.untilState("never", unit.Failed)
		if want := "it failed 3 times in a row, at last: it " + howItEnded(s.Last); s.Run != 3 || s.Reason != unit.GaveUp || s.Because != want || w.linesIn("tries") != 3 {
			t.Errorf("%+v\nwant %s", s, want)
		}
		s = w.untilState("once", unit.Failed)
		if want := "it failed, at last: it " + howItEnded(s.Last); s.Run != 1 || s.Because != want {
			t.Errorf("%+v\nwant %s", s, want)
		}
	})
}

// TestOneshotTimeout: what takes too long is ended with all that it started.
func TestOneshotTimeout(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs, oneshot("job", dir,
			"ignore TERM fork [ ignore TERM pid %s/child1 sleep ] daemon [ ignore TERM pid %s/child2 sleep ] pid %s/leader sleep",
			grace(100*time.Millisecond), func(s *unit.Spec) { s.StartTimeout = 800 * time.Millisecond }))
		s := w.untilState("job", unit.Failed)
		if s.Last.Cause != unit.TimedOut || !s.Last.Killed || s.Last.Asked || s.Reason != unit.GaveUp {
			t.Errorf("%+v, %+v", s, s.Last)
		}
		for _, file := range []string{"leader", "child1", "child2"} {
			if !there(filepath.Join(dir, file)) {
				t.Logf("%s had not begun", file) // a busy machine
			} else if pid := w.pidIn(file); lives(pid) {
				t.Errorf("%s lives", file)
			}
		}
	})
}

// TestOneshotDown: what a oneshot did is undone when it is stopped, and not before;
// what it did not do is not undone.
func TestOneshotDown(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		undo := func(s *unit.Spec) { s.Down = part(dir, "env %s/env write %s/down "+string(s.Name)+" exit 0") }
		w := newStagedWorld(t, dir, runs,
			oneshot("mount", dir, "write %s/up mount exit 0", undo), oneshot("broken", dir, "exit 1", undo))
		ctx := context.Background()
		w.untilState("mount", unit.Done)
		w.untilState("broken", unit.Failed)
		if there(dir + "/down") {
			t.Error("it is undone already")
		}
		w.must(w.Stop(ctx, "broken"))
		w.must(w.Stop(ctx, "mount"))
		if s := w.untilState("mount", unit.Down); s.Run != 2 || !s.Last.Asked || !s.Last.Exit.Success() {
			t.Errorf("undone it is %+v, %+v", s, s.Last)
		}
		w.untilState("broken", unit.Down)
		if got := w.untilFile("down"); got != "mount" {
			t.Errorf("undone was %q", got)
		}
		// A restart undoes it and does it again.
		w.must(w.Start(ctx, "mount"))
		w.untilState("mount", unit.Done)
		w.must(w.Restart(ctx, "mount"))
		w.untilLines("up", 3)
		w.untilState("mount", unit.Done)
		if n := w.linesIn("down"); n != 2 {
			t.Errorf("it was undone %d times", n)
		}
	})
}

// TestOneshotThatIsDoneWaitsForItsSet: done means that nothing of it works on.
func TestOneshotThatIsDoneWaitsForItsSet(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs, oneshot("job", dir,
			"daemon [ ignore TERM pid %s/child sleep ] until %s/child exit 0", grace(100*time.Millisecond)))
		s := w.untilState("job", unit.Done)
		if pid := w.pidIn("child"); lives(pid) || s.Run != 1 {
			t.Errorf("its child lives: %v; %+v", lives(pid), s)
		}
	})
}
