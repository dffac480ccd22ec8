package supervisor

import (
	"context"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// TestExtendsItsStart: a run that says that it needs longer to be ready gets it, and who watches sees until when.
func TestExtendsItsStart(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs, player("web", dir, "notify EXTEND_TIMEOUT_USEC=3600000000 until %s/go notify READY=1 sleep",
			func(s *unit.Spec) {
				s.Readiness, s.StartTimeout, s.Restart = &unit.Readiness{Notify: true}, 3*time.Second, unit.RestartNever
			}))
		first := w.until("web", "executed", func(s engine.Status) bool { return s.Reason == unit.NotReady })
		w.until("web", "given more time", func(s engine.Status) bool { return time.Until(s.Next) > time.Minute })
		time.Sleep(time.Until(first.Since.Add(3500 * time.Millisecond))) // its own time is over
		w.make("go")
		if s := w.untilState("web", unit.Up); s.Run != 1 || !s.Next.IsZero() {
			t.Errorf("%+v", s)
		}
	})
}

// TestExtendsItsStop: a run that says that it needs longer to end gets it, up to stop_grace_max; then it is killed.
func TestExtendsItsStop(t *testing.T) {
	alone(t, func(t *testing.T) {
		const period, most = 3 * time.Second, 5 * time.Second // long enough for a busy machine to hear it in time
		dir, runs := stage(t)
		longer := func(s *unit.Spec) { s.Stop.Grace, s.Stop.GraceMax = period, most }
		w := newStagedWorld(t, dir, runs,
			player("slow", dir, "on TERM [ notify EXTEND_TIMEOUT_USEC=3600000000 until %s/go exit 7 ] write %s/slow on sleep", longer),
			player("stuck", dir, "on TERM [ notify EXTEND_TIMEOUT_USEC=3600000000 until %s/never ] write %s/stuck on sleep", longer))
		ctx := context.Background()
		w.untilFile("slow")
		w.untilFile("stuck")
		slow := w.must(w.Stop(ctx, "slow"))
		w.until("slow", "given more time", func(s engine.Status) bool { return s.Next.Sub(slow.Next) > (most-period)/2 })
		time.Sleep(time.Until(slow.Next) + 20*time.Millisecond)
		w.make("go")
		if s := w.untilState("slow", unit.Down); s.Last.Killed || s.Last.Exit.Code != 7 {
			t.Errorf("%+v", s.Last)
		}
		stuck := w.must(w.Stop(ctx, "stuck"))
		s := w.untilState("stuck", unit.Down)
		if late := s.Last.Ended.Sub(stuck.Next); !s.Last.Killed || late < most-period-20*time.Millisecond {
			t.Errorf("it was killed %v after its grace period: %+v", late, s.Last)
		}
	})
}

// TestWatchdog: a run that does not say in time that it is alive has hung, and is replaced.
func TestWatchdog(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs, player("web", dir, "once %s/first [ pings %s/quiet sleep ] pings %s/never",
			func(s *unit.Spec) { s.Watchdog = 3 * time.Second }))
		first := w.untilState("web", unit.Up)
		if first.AliveBy != "watchdog 3.0 s" {
			t.Errorf("alive by %s", first.AliveBy)
		}
		time.Sleep(time.Until(first.Since.Add(3500 * time.Millisecond)))
		if s := w.must(w.Get(context.Background(), "web")); s.State != unit.Up || s.PID != first.PID {
			t.Errorf("while it says that it is alive, it is %+v", s)
		}
		hung := w.watchFor("web", func(s engine.Status) bool { return s.State == unit.Stopping })
		back := w.watchFor("web", func(s engine.Status) bool { return s.State == unit.Up && s.Run == 2 })
		w.make("quiet")
		const detail = "it has not said for 3.0 s that it is alive"
		if s := <-hung; s.Reason != unit.Hung || s.Because != "it hung: "+detail {
			t.Errorf("%+v", s)
		}
		if s := <-back; s.Last.Cause != unit.Hung || s.Last.Detail != detail || s.Failures != 1 || s.Last.Asked {
			t.Errorf("%+v, %+v", s, s.Last)
		}
	})
}

// TestWatchdogTrigger: a run may say itself that it hangs.
func TestWatchdogTrigger(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs, player("web", dir, "once %s/first [ until %s/go notify WATCHDOG=trigger sleep ] sleep",
			func(s *unit.Spec) { s.Watchdog = time.Hour }))
		w.untilState("web", unit.Up)
		w.make("go")
		s := w.until("web", "up again", func(s engine.Status) bool { return s.State == unit.Up && s.Run == 2 })
		if s.Last.Cause != unit.Hung || s.Last.Detail != "it says so itself (WATCHDOG=trigger)" {
			t.Errorf("%+v", s.Last)
		}
	})
}

// TestSaysThatItStops: a run that says that it is stopping is, and what follows is what its rules say of its exit.
func TestSaysThatItStops(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs, player("web", dir,
			"once %s/first [ notify READY=1 until %s/go notify STOPPING=1 until %s/end exit 0 ] notify READY=1 sleep",
			func(s *unit.Spec) { s.Readiness = &unit.Readiness{Notify: true} }))
		first := w.untilState("web", unit.Up)
		w.make("go")
		if s := w.untilState("web", unit.Stopping); s.Reason != unit.EndsItself || s.Because != "it says that it is stopping" || s.PID != first.PID || s.Next.IsZero() {
			t.Errorf("%+v", s)
		}
		w.make("end")
		if s := w.until("web", "up again", func(s engine.Status) bool { return s.State == unit.Up && s.Run == 2 }); s.Last.Asked || s.Last.Killed || !s.Last.Exit.Success() {
			t.Errorf("%+v", s.Last)
		}
	})
}

// TestWordsOfARun: STATUS is shown; MAINPID is refused, in its log, and changes nothing.
func TestWordsOfARun(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs, player("web", dir, "notify MAINPID=1;STATUS=at_work;READY=1 sleep",
			func(s *unit.Spec) { s.Readiness = &unit.Readiness{Notify: true} }))
		s := w.untilState("web", unit.Up)
		if s.Text != "at_work" || s.PID == 1 || !lives(s.PID) {
			t.Errorf("%+v", s)
		}
		w.untilLine("web", "cannot take MAINPID from it: the main process of a run is the one that pintle started")
		w.must(w.Stop(context.Background(), "web"))
		if s := w.untilState("web", unit.Down); s.Text != "" {
			t.Errorf("it still says %s", s.Text)
		}
	})
}
