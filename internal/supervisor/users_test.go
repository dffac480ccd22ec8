package supervisor

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// This file keeps the bugs of a system that was run on another supervisor from
// coming back: each test has the number and the story of one (hermes-behaviours.md).

// TestU39: a restart of a unit that is down did nothing and reported success.
// Here it starts it, from wherever it is, and the answer says so.
func TestU39(t *testing.T) {
	alone(t, func(t *testing.T) {
		failed := service("failed", "exit 3", func(s *unit.Spec) { s.Restart = unit.RestartNever })
		backoff := service("backoff", "exit 3", func(s *unit.Spec) { s.Backoff = unit.BackoffRule{Initial: time.Hour, Max: time.Hour, Factor: 1} })
		w := newWorld(t, Options{Services: []unit.Spec{sleeper("web"), failed, backoff}, Records: []store.Record{down("web")}})
		ctx := onPeersBehalf(10000)
		for name, state := range map[unit.Name]unit.State{"web": unit.Down, "failed": unit.Failed, "backoff": unit.Backoff} {
			before := w.untilState(name, state)
			begun := w.watchFor(name, func(s engine.Status) bool { return s.Run > before.Run })
			s := w.must(w.Restart(ctx, name))
			if s.State != unit.Starting || s.Desired != "up" || s.Reason != unit.Asked || s.Because != "started by uid 10000 (pintle, pid 33)" {
				t.Errorf("restart of one that is %s answered %+v", state, s)
			}
			if s := <-begun; s.Run != before.Run+1 {
				t.Errorf("after the restart of one that is %s: %+v", state, s)
			}
		}
		if s := w.untilState("web", unit.Up); s.PID == 0 {
			t.Errorf("%+v", s)
		}
	})
}

// startsOf counts how often a unit that ends at once, with this exit, is started in a time.
func startsOf(t *testing.T, in time.Duration, exit unit.Exit, change ...func(*unit.Spec)) (starts int) {
	t.Run(fmt.Sprint(exit), func(t *testing.T) {
		k := &fakeKernel{life: func(Launch) (time.Duration, unit.Exit) { return time.Millisecond, exit }}
		synctest.Test(t, func(t *testing.T) {
			bubble(t, Options{Kernel: k, Services: []unit.Spec{sleeper("web", change...)}}, func(t *testing.T, _ *Supervisor) {
				time.Sleep(in)
				synctest.Wait()
				starts = k.count()
			})
		})
	})
	return starts
}

// TestU43: a service without its token looped twice a second and filled a disk; the
// remedy was void, because the exit code that it went by never left the process.
// TestU46: one that refused to start ended with code 1, 13 times a minute, for 23 days.
// So the backoff asks for no code: whatever it is, a crash loop is as slow.
func TestU43(t *testing.T) { slowWhateverTheExit(t) }

// TestU46 has its story at TestU43.
func TestU46(t *testing.T) { slowWhateverTheExit(t) }

func slowWhateverTheExit(t *testing.T) {
	t.Parallel()
	restart := func(s *unit.Spec) { s.ExitRules = unit.ExitRules{{Code: 75}: unit.VerdictRestart} }
	want := startsOf(t, time.Hour, unit.Exit{Code: 3}, restart)
	if want < 100 || want > 150 { // every 30 s, but for the first few
		t.Errorf("%d starts in an hour", want)
	}
	for _, exit := range []unit.Exit{{}, {Code: 1}, {Code: 75}, {Code: 126}, {Code: 255}, {Signal: unit.SIGTERM}, {Signal: unit.SIGKILL}, {Signal: unit.Signal(unix.SIGSEGV)}} {
		if got := startsOf(t, time.Hour, exit, restart); got != want {
			t.Errorf("a unit that %s is started %d times in an hour, one that fails with code 3 %d times", exit, got, want)
		}
	}
}

// TestU44: an end with code 0 was followed by another start, at once: more than a
// thousand connections, and a revoked token. Where only failures are restarted, 0 is the end.
func TestU44(t *testing.T) {
	t.Parallel()
	if n := startsOf(t, time.Hour, unit.Exit{}, func(s *unit.Spec) { s.Restart = unit.RestartOnFailure }); n != 1 {
		t.Errorf("started %d times", n)
	}
	if n := startsOf(t, time.Minute, unit.Exit{}); n > 10 {
		t.Errorf("where it is always restarted it started %d times in a minute", n)
	}
}

// TestU45: the opposite: one that was sent SIGTERM while it started ended with
// code 0, which counted as success, and was parked for hours. What ends before it
// was ready has not done its work, whatever its code.
func TestU45(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs, player("web", dir,
			"once %s/first [ on TERM [ exit 0 ] pid %s/on sleep ] fd 3 ; sleep", quick,
			func(s *unit.Spec) { s.Restart, s.Readiness = unit.RestartOnFailure, &unit.Readiness{FD: 3} }))
		starter := w.pidIn("on")
		back := w.watchFor("web", func(s engine.Status) bool { return s.Run == 2 && s.State == unit.Up })
		if err := unix.Kill(starter, unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if s := <-back; s.Failures != 1 || !s.Last.Exit.Success() || s.Last.Asked {
			t.Errorf("after it ended before it was ready it is %+v, %+v", s, s.Last)
		}
	})
}

// TestU55: children of the old run survived a restart and competed with the new
// one. A restart begins when nothing of the run before is left, in whatever session it is.
func TestU55(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs, player("web", dir,
			"once %s/first [ fork [ ignore TERM pid %s/child1 sleep ] daemon [ ignore TERM pid %s/child2 sleep ] until %s/child1 until %s/child2 write %s/on on sleep ] write %s/second on sleep",
			grace(200*time.Millisecond)))
		old := []int{w.pidIn("child1"), w.pidIn("child2")}
		w.untilFile("on")
		w.must(w.Restart(onPeersBehalf(10000), "web"))
		w.untilFile("second")
		for _, pid := range old {
			if lives(pid) {
				t.Errorf("process %d of the first run lives beside the second", pid)
			}
		}
	})
}
