package supervisor

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/process"
	"pintle/internal/unit"
)

// This file holds pintle to what another supervisor was measured at and failed:
// each test is one row of docs' comparison (peers.md, 1.13), and named after it.

// TestLeaderEndsOnTermAndChildIgnoresIt: a stop is truthful. While a child of the
// leader's group lives, the unit is not down, and when it is down the child is not there.
func TestLeaderEndsOnTermAndChildIgnoresIt(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs, player("web", dir,
			"fork [ ignore TERM pid %s/child sleep ] until %s/child on TERM [ exit 0 ] write %s/on on sleep", grace(500*time.Millisecond)))
		child := w.pidIn("child")
		w.untilFile("on")
		w.untilState("web", unit.Up)
		left := w.watchFor("web", func(s engine.Status) bool { return len(s.Remaining) > 0 })
		w.must(w.Stop(context.Background(), "web"))
		if s := <-left; s.State != unit.Stopping || s.PID != 0 {
			t.Errorf("while its child lives it is %+v", s)
		}
		if s := w.untilState("web", unit.Down); lives(child) || s.Last.Exit != (unit.Exit{}) || !s.Last.Asked {
			t.Errorf("it is down, and its child lives: %v; %+v", lives(child), s.Last)
		}
	})
}

// TestCrashedOnceThenItsBinaryIsRemoved: what can't be executed is tried again like
// any crash, with backoff, and comes back when the binary does.
func TestCrashedOnceThenItsBinaryIsRemoved(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		binary := filepath.Join(dir, "binary")
		program(t, binary)
		web := player("web", dir, "sleep", quick)
		web.Command[0] = binary
		w := newStagedWorld(t, dir, runs, web)
		first := w.untilState("web", unit.Up)
		if err := os.Remove(binary); err != nil {
			t.Fatal(err)
		}
		if err := unix.Kill(first.PID, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		s := w.until("web", "tried several times", func(s engine.Status) bool { return s.Failures >= 5 && s.State == unit.Backoff })
		if s.Reason != unit.CannotExecute || s.Last.Exit.Code != 127 || s.Next.IsZero() || s.Desired != "up" {
			t.Errorf("without its binary it is %+v, %+v", s, s.Last)
		}
		program(t, binary)
		if s := w.untilState("web", unit.Up); s.Run <= 5 || s.PID == first.PID {
			t.Errorf("with its binary it is %+v", s)
		}
	})
}

// TestOldKillTimerNeverHitsTheNextRun: stop, start, stop. The grace period of the
// first stop ends during the second, which has one of its own.
func TestOldKillTimerNeverHitsTheNextRun(t *testing.T) {
	alone(t, func(t *testing.T) {
		const period = 800 * time.Millisecond
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs, player("web", dir,
			"once %s/first [ on TERM [ exit 0 ] write %s/on1 on sleep ] on TERM [ write %s/asked on until %s/go exit 7 ] write %s/on2 on sleep", grace(period)))
		ctx := context.Background()
		w.untilFile("on1")
		old := w.must(w.Stop(ctx, "web")).Next
		w.untilState("web", unit.Down)
		w.must(w.Start(ctx, "web"))
		w.untilFile("on2")
		time.Sleep(time.Until(old) - period/2)
		own := w.must(w.Stop(ctx, "web")).Next
		w.untilFile("asked")
		time.Sleep(time.Until(old) + 30*time.Millisecond)
		if s := w.must(w.Get(ctx, "web")); time.Now().Before(own) && (s.State != unit.Stopping || s.PID == 0 || !s.Next.Equal(own)) {
			t.Errorf("when the old grace period was over, it was %+v", s)
		}
		w.make("go")
		if s := w.untilState("web", unit.Down); s.Last.Killed || s.Last.Exit.Code != 7 || s.Run != 2 {
			t.Errorf("the second stop ended as %+v", s.Last)
		}
	})
}

// TestChainOfTwoStartsWithoutAFixedDelay: two units, one after the other, are up
// in a small multiple of the time that two bare executions take.
func TestChainOfTwoStartsWithoutAFixedDelay(t *testing.T) {
	alone(t, func(t *testing.T) {
		sleep := func(name unit.Name, change ...func(*unit.Spec)) unit.Spec {
			return service(name, "", append(change, func(s *unit.Spec) { s.Command = []string{"sleep", "1000"} })...)
		}
		w := newWorld(t, Options{Services: []unit.Spec{sleep("a"), sleep("b", on("a", unit.OnReady))}})
		ctx := context.Background()
		path, err := process.LookPath("sleep", os.Getenv("PATH"), "", &process.Identity{UID: os.Geteuid()})
		if err != nil {
			t.Fatal(err)
		}
		bare, chain := time.Hour, time.Hour
		for range 5 {
			began := time.Now()
			for range 2 {
				ended := make(chan struct{})
				_, err := w.o.Kernel.Start(Launch{Command: process.Command{Path: path, Args: []string{"sleep", "0"}, Unit: "bare"}},
					Hooks{Exited: func(unit.Exit, unit.Usage) { close(ended) }})
				if err != nil {
					t.Fatal(err)
				}
				within(t, ended, "a bare sleep")
			}
			bare = min(bare, time.Since(began))

			w.untilState("b", unit.Up)
			w.must(w.Stop(ctx, "b"))
			w.must(w.Stop(ctx, "a"))
			w.untilState("a", unit.Down)
			w.untilState("b", unit.Down)
			began = time.Now()
			w.must(w.Start(ctx, "b"))
			w.must(w.Start(ctx, "a"))
			s := w.untilState("b", unit.Up)
			chain = min(chain, s.Since.Sub(began))
		}
		if chain > 25*bare {
			t.Errorf("the chain takes %v, two bare executions %v", chain, bare)
		}
	})
}

// TestCrashIsNoticedAtOnceAlthoughAChildHoldsItsOutput: an end is known from the
// wait status, never from a pipe's end. And after the restart the child of the first run is dead.
func TestCrashIsNoticedAtOnceAlthoughAChildHoldsItsOutput(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs, player("web", dir,
			"once %s/first [ fork [ on TERM [ until %s/go exit 0 ] pid %s/child sleep ] until %s/child until %s/crash exit 3 ] sleep", grace(time.Hour)))
		child := w.pidIn("child")
		ending := w.watchFor("web", func(s engine.Status) bool { return s.State == unit.Stopping })
		w.make("crash")
		if s := <-ending; s.Reason != unit.Crashed || s.Last == nil || s.Last.Exit.Code != 3 || !lives(child) {
			t.Errorf("after its crash it is %+v, %+v; the child lives: %v", s, s.Last, lives(child))
		}
		w.make("go")
		if s := w.until("web", "in its second run", func(s engine.Status) bool { return s.Run == 2 && s.State == unit.Up }); lives(child) {
			t.Errorf("the child of the first run lives beside %+v", s)
		}
	})
}
