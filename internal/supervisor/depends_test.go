package supervisor

import (
	"context"
	"strings"
	"testing"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// oneshot is a unit that plays a part to its end; it is tried once.
func oneshot(name unit.Name, directory, words string, change ...func(*unit.Spec)) unit.Spec {
	return player(name, directory, words, append([]func(*unit.Spec){func(s *unit.Spec) {
		s.Kind, s.Restart, s.GiveUp = unit.Oneshot, unit.RestartOnFailure, unit.GiveUp{After: 1}
	}}, change...)...)
}

// saysReady makes a unit ready once it writes a line to descriptor 3.
func saysReady(s *unit.Spec) { s.Readiness = &unit.Readiness{FD: 3} }

// TestDependsOn: each condition is waited for, no longer than it takes, and the wait is a sentence.
func TestDependsOn(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs,
			player("db", dir, "until %s/ready fd 3 ; sleep", saysReady), oneshot("job", dir, "until %s/done exit 0"),
			player("after-start", dir, "sleep", on("db", unit.OnStarted)), player("after-ready", dir, "sleep", on("db", unit.OnReady)),
			player("after-done", dir, "sleep", on("job", unit.OnDone)), player("after-ready-job", dir, "sleep", on("job", unit.OnReady)),
			player("after-both", dir, "sleep", on("db", unit.OnReady), on("job", unit.OnDone)))
		w.untilState("after-start", unit.Up)
		w.until("job", "at work", func(s engine.Status) bool { return s.Reason == unit.Working })
		for name, because := range map[unit.Name]string{
			"after-ready": "waiting for db to be ready, ", "after-done": "waiting for job to be done, ",
			"after-ready-job": "waiting for job to be ready, ", "after-both": "waiting for db to be ready, ",
		} {
			s := w.untilState(name, unit.Waiting)
			if s = w.must(w.Get(context.Background(), name)); s.Reason != unit.AwaitsDependency || s.Run != 0 || !strings.HasPrefix(s.Because, because) {
				t.Errorf("%s is %s because %s", name, s.State, s.Because)
			}
		}
		w.make("ready")
		w.untilState("after-ready", unit.Up)
		s := w.must(w.Get(context.Background(), "after-both"))
		if s.State != unit.Waiting || !strings.HasPrefix(s.Because, "waiting for job to be done, ") || !s.DependsOn[0].Met || s.DependsOn[1].Met {
			t.Errorf("with one of two it is %+v", s)
		}
		w.make("done")
		w.untilState("after-done", unit.Up)
		w.untilState("after-ready-job", unit.Up)
		w.untilState("after-both", unit.Up)
		w.untilState("job", unit.Done)
	})
}

// TestRestartWith: who restarts with another begins anew after it, ready first; who only depends on it goes on.
func TestRestartWith(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		with := on("db", unit.OnReady)
		w := newStagedWorld(t, dir, runs,
			player("db", dir, "write %s/order db fd 3 ; sleep", saysReady),
			player("with", dir, "write %s/order with sleep", with, func(s *unit.Spec) { s.DependsOn[0].RestartWith = true }),
			player("without", dir, "sleep", with))
		before := w.untilState("without", unit.Up)
		w.untilLines("order", 2)
		w.must(w.Restart(onPeersBehalf(7), "db"))
		s := w.until("with", "in its second run", func(s engine.Status) bool { return s.Run == 2 && s.State == unit.Up })
		if s.Reason != unit.DependencyRestarted || s.Failures != 0 || !s.Last.Asked || s.Intent.Generation != 0 {
			t.Errorf("it is %+v, %+v", s, s.Last)
		}
		w.untilLines("order", 4)
		if order := w.untilFile("order"); order != "db\nwith\ndb\nwith" {
			t.Errorf("in the order %q", order)
		}
		if s := w.must(w.Get(context.Background(), "without")); s.PID != before.PID || s.State != unit.Up {
			t.Errorf("who only depends on it is %+v", s)
		}
		// A crash is a new run as well.
		w.must(w.Signal(context.Background(), "db", unit.SIGKILL))
		w.until("with", "in its third run", func(s engine.Status) bool { return s.Run == 3 && s.State == unit.Up })
	})
}

// TestFailedDependency: who depends on what has failed has failed too, and all of
// them come back by themselves when it is mended.
func TestFailedDependency(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs,
			player("db", dir, "once %s/first [ exit 3 ] fd 3 ; sleep", saysReady, func(s *unit.Spec) { s.Restart = unit.RestartNever }),
			player("web", dir, "sleep", on("db", unit.OnReady)), player("proxy", dir, "sleep", on("web", unit.OnReady)),
			player("spare", dir, "sleep", on("db", unit.OnReady), func(s *unit.Spec) { s.DependsOn[0].Optional = true }))
		w.untilState("spare", unit.Up) // it can do without
		for name, because := range map[unit.Name]string{
			"web": "it depends on db, which has failed", "proxy": "it depends on web, which has failed",
		} {
			if s := w.untilState(name, unit.Failed); s.Reason != unit.DependencyFailed || s.Because != because || s.Run != 0 {
				t.Errorf("%+v", s)
			}
		}
		w.must(w.Start(context.Background(), "db"))
		for _, name := range []unit.Name{"web", "proxy"} {
			if s := w.untilState(name, unit.Up); s.Failures != 0 || s.Intent.Generation != 0 {
				t.Errorf("mended, it is %+v", s)
			}
		}
	})
}
