package supervisor

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/lifecycle"
	"pintle/internal/unit"
)

// stubborn is a leader that ignores SIGTERM, and has three children like it in sessions of their own.
// All four write their pids into dir.
func stubborn(dir string) string {
	return fmt.Sprintf(`trap '' TERM
for i in 1 2 3; do setsid sh -c 'echo $$ > %[1]s/child'$i'; exec sleep 1000' & done
echo $$ > %[1]s/leader
while :; do sleep 1000; done`, dir)
}

// TestStoppedMeansNothingLeft is promise 4: what is down has no process, also when
// none of them wanted to end and three have left the session. The grace period is kept.
func TestStoppedMeansNothingLeft(t *testing.T) {
	alone(t, func(t *testing.T) {
		const grace = 300 * time.Millisecond
		dir := t.TempDir()
		w := newWorld(t, Options{Services: []unit.Spec{service("web", stubborn(dir), func(s *unit.Spec) { s.Stop.Grace = grace })}})
		w.dir = dir
		var pids []int
		for _, file := range []string{"leader", "child1", "child2", "child3"} {
			pid, err := strconv.Atoi(w.untilFile(file))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
		w.untilState("web", unit.Up)
		begin := time.Now()
		s := w.must(w.Stop(context.Background(), "web"))
		if d := s.Next.Sub(begin); d < grace || d > grace+10*time.Second {
			t.Errorf("SIGKILL is announced for %v from now", d)
		}
		s = w.untilState("web", unit.Down)
		if d := s.Since.Sub(begin); d < grace || d > grace+10*time.Second {
			t.Errorf("it was down after %v", d)
		}
		if l := s.Last; !l.Asked || !l.Killed || l.Exit.Signal != unit.SIGKILL || l.PID != pids[0] {
			t.Errorf("its end: %+v", l)
		}
		if slices.ContainsFunc(pids, lives) || len(s.Remaining) != 0 {
			t.Errorf("of %d some live; %q", pids, s.Remaining)
		}
		if n := strings.Count(w.log.String(), "has not ended within its grace period"); n != 1 {
			t.Errorf("that it is killed was said %d times:\n%s", n, w.log)
		}
	})
}

// TestStopIsAsFastAsTheUnit: a grace period is a maximum, never a wait.
func TestStopIsAsFastAsTheUnit(t *testing.T) {
	alone(t, func(t *testing.T) {
		w := newWorld(t, Options{Services: []unit.Spec{sleeper("web", func(s *unit.Spec) { s.Stop.Grace = time.Hour })}})
		w.untilState("web", unit.Up)
		w.must(w.Stop(context.Background(), "web"))
		if s := w.untilState("web", unit.Down); s.Last.Killed || s.Last.Exit.Signal != unit.SIGTERM {
			t.Errorf("%+v", s.Last)
		}
	})
}

// TestWhatACrashLeavesBehind: two runs never overlap. What the first left behind is shown, and ended first.
func TestWhatACrashLeavesBehind(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir := t.TempDir()
		script := fmt.Sprintf("setsid sh -c 'trap \"\" TERM; echo $$ >> %[1]s/child; exec sleep 1000' & while [ ! -s %[1]s/child ]; do sleep 0.01; done; exit 3", dir)
		w := newWorld(t, Options{Services: []unit.Spec{service("web", script, func(s *unit.Spec) { s.Stop.Grace = 200 * time.Millisecond })}})
		w.dir = dir
		s := w.until("web", "waiting for what is left", func(s engine.Status) bool { return len(s.Remaining) > 0 })
		pid, err := strconv.Atoi(w.untilFile("child"))
		if err != nil {
			t.Fatal(err)
		}
		if s.State != unit.Stopping || s.PID != 0 || !strings.HasSuffix(s.Remaining[0], fmt.Sprintf("(pid %d)", pid)) ||
			s.Because != "it "+howItEnded(s.Last)+"; what it left behind is being ended" {
			t.Errorf("in between it is %+v", s)
		}
		s = w.until("web", "in its second run", func(s engine.Status) bool { return s.Run == 2 })
		if lives(pid) || s.Last.Exit.Code != 3 || s.Last.Asked || len(s.Remaining) > 0 {
			t.Errorf("the second run found %d alive: %v; %+v", pid, lives(pid), s.Last)
		}
		if !s.Last.Killed {
			t.Errorf("what was left behind had to be killed, and the end does not say so: %+v", s.Last)
		}
	})
}

// TestWhatOutlivesALeaderIsKilled: the leader ends when it is asked to, and somebody of its set does not. That SIGKILL
// was needed is said of the run's end, although its leader's end came before.
func TestWhatOutlivesALeaderIsKilled(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir := t.TempDir()
		script := fmt.Sprintf("setsid sh -c 'trap \"\" TERM; echo $$ > %[1]s/child; exec sleep 1000' & exec sleep 1000", dir)
		w := newWorld(t, Options{Services: []unit.Spec{service("web", script, func(s *unit.Spec) { s.Stop.Grace = 200 * time.Millisecond })}})
		w.dir = dir
		w.untilFile("child")
		w.must(w.Stop(context.Background(), "web"))
		s := w.untilState("web", unit.Down)
		if l := s.Last; !l.Killed || !l.Asked || l.Exit.Signal != unit.SIGTERM {
			t.Errorf("its end: %+v", l)
		}
	})
}

// TestWishesMeanwhile: wishes that come while a unit starts or stops are kept, and the last one counts.
func TestWishesMeanwhile(t *testing.T) {
	alone(t, func(t *testing.T) {
		ctx := onPeersBehalf(10000)
		slow := func(name unit.Name) unit.Spec { // takes its time to end
			return service(name, "trap 'sleep 0.2; exit 0' TERM; echo on; while :; do sleep 0.01; done")
		}
		w := newWorld(t, Options{Services: []unit.Spec{slow("a"), slow("b"), sleeper("c"), sleeper("d")}})
		w.untilAll(4, func(s engine.Status) bool { return s.State == unit.Up })
		w.untilLine("a", "on")
		w.untilLine("b", "on")

		w.must(w.Stop(ctx, "a"))
		if s := w.must(w.Start(ctx, "a")); s.State != unit.Stopping || s.Desired != "up" || s.Because != "being restarted by uid 10000 (pintle, pid 33)" {
			t.Errorf("start of one that stops: %+v", s)
		}
		w.must(w.Restart(ctx, "b"))
		w.must(w.Stop(ctx, "b"))
		if s := w.until("a", "up again", func(s engine.Status) bool { return s.State == unit.Up && s.Run == 2 }); !s.Last.Asked {
			t.Errorf("%+v", s.Last)
		}
		if s := w.untilState("b", unit.Down); s.Run != 1 {
			t.Errorf("stop of one that restarts: %+v", s)
		}

		// Before the leader exists: a stop, and a restart, in the same turn of the loop as the start.
		w.must(w.Stop(ctx, "c"))
		w.must(w.Stop(ctx, "d"))
		w.untilState("c", unit.Down)
		w.untilState("d", unit.Down)
		w.inLoop(func(s *Supervisor) {
			s.intend(s.units["c"], true, unit.Policy, lifecycle.Start)
			s.intend(s.units["c"], false, unit.Policy, lifecycle.Stop)
			s.intend(s.units["d"], true, unit.Policy, lifecycle.Start)
			s.intend(s.units["d"], true, unit.Policy, lifecycle.Restart)
			if c := s.status(s.units["c"]); c.State != unit.Stopping || c.PID != 0 {
				t.Errorf("%+v", c)
			}
		})
		if s := w.untilState("c", unit.Down); s.Run != 2 || s.Last.Run != 2 || !s.Last.Asked {
			t.Errorf("stopped before its leader was there: %+v, %+v", s, s.Last)
		}
		if s := w.until("d", "up", func(s engine.Status) bool { return s.State == unit.Up }); s.Run != 3 {
			t.Errorf("restarted before its leader was there: %+v", s)
		}
	})
}

// TestReadiness: a unit is up when its port accepts a connection, however late, and not before.
func TestReadiness(t *testing.T) {
	alone(t, func(t *testing.T) {
		late, never := closedPort(t), closedPort(t)
		ready := func(address string) func(*unit.Spec) {
			return func(s *unit.Spec) { s.Readiness = &unit.Readiness{Check: unit.Check{TCP: address}} }
		}
		w := newWorld(t, Options{Services: []unit.Spec{
			sleeper("late", ready(late)), sleeper("never", ready(never)), service("dies", "exit 4", ready(never)),
		}})
		s := w.until("late", "executed", func(s engine.Status) bool { return s.PID != 0 })
		if s.State != unit.Starting || s.Reason != unit.NotReady || s.ReadyBy != "tcp "+late || s.Because != "waiting for "+late+" to accept a connection" {
			t.Errorf("before its port is there: %+v", s)
		}
		listener, err := net.Listen("tcp", late)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		if s := w.untilState("late", unit.Up); s.Because != "started with the container" || s.Run != 1 {
			t.Errorf("ready, it is %+v", s)
		}
		if s := w.untilState("dies", unit.Backoff); s.Last.Exit.Code != 4 || s.Last.Asked {
			t.Errorf("dead before it was ready: %+v", s.Last)
		}
		w.until("never", "executed", func(s engine.Status) bool { return s.PID != 0 })
		w.must(w.Stop(context.Background(), "never"))
		if s := w.untilState("never", unit.Down); !s.Last.Asked || s.Run != 1 {
			t.Errorf("stopped before it was ready: %+v", s)
		}
	})
}

// TestHalt: the container's end ends every unit from whatever state it is in, starts nothing, and changes no wish.
func TestHalt(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir := t.TempDir()
		main := mainProgram("trap 'exit 42' TERM; echo on > " + dir + "/on; while :; do sleep 0.01; done")
		off := sleeper("off", func(s *unit.Spec) { s.Enabled = unit.Switch{} })
		unready := sleeper("unready", func(s *unit.Spec) { s.Readiness = &unit.Readiness{Check: unit.Check{TCP: closedPort(t)}} })
		deaf := service("deaf", "trap '' TERM; echo deaf; while :; do sleep 1000; done", func(s *unit.Spec) { s.Stop.Grace = time.Hour })
		w := newWorld(t, Options{Main: &main, Services: []unit.Spec{sleeper("web"), deaf, unfit("unfit"), unready, off}})
		w.until("unready", "executed", func(s engine.Status) bool { return s.PID != 0 })
		w.untilState("web", unit.Up)
		w.untilState("main", unit.Up)
		w.untilState("unfit", unit.Backoff)
		w.untilState("deaf", unit.Up)
		w.untilLine("deaf", "deaf")
		w.dir = dir
		w.untilFile("on")
		select {
		case <-w.Over():
			t.Error("main has ended")
		case <-w.Idle():
			t.Error("it is idle")
		default:
		}
		before, err := w.List(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		w.Halt()
		w.Halt()
		within(t, w.Over(), "main's end")
		if v := w.Verdict(); v.Code != 42 || v.Message != "" {
			t.Errorf("main ended as %+v", v)
		}
		for _, name := range []unit.Name{"web", "unfit", "unready"} {
			if s := w.untilState(name, unit.Down); s.Because != "the container is stopping" || s.Desired != "up" || s.PID != 0 {
				t.Errorf("%+v", s)
			}
		}
		if s := w.must(w.Get(context.Background(), "deaf")); s.State != unit.Stopping || s.PID == 0 || s.Next.IsZero() {
			t.Errorf("%+v", s)
		}
		select {
		case <-w.Idle():
			t.Error("it is idle, and one is still there")
		default:
		}
		w.Hurry()
		within(t, w.Idle(), "everything to end")
		after, err := w.List(context.Background())
		if err != nil || len(after) != len(before) {
			t.Fatal(err, after)
		}
		for i, s := range after {
			if s.Intent != before[i].Intent || s.PID != 0 || activeIn(s.State) || s.Name == "deaf" && (!s.Last.Killed || !s.Last.Asked || !s.Next.IsZero()) {
				t.Errorf("%+v", s)
			}
		}
	})
}

// TestMainsEnd: main's end is told whatever it was, also where it could not be executed.
func TestMainsEnd(t *testing.T) {
	alone(t, func(t *testing.T) {
		main := mainProgram("")
		main.Command = unfit("").Command
		w := newWorld(t, Options{Main: &main})
		w.SignalMain(1) // there is nobody to get it
		within(t, w.Over(), "main's end")
		if v := w.Verdict(); v.Code != 127 || v.Message != "cannot execute /nonexistent/program: there is no such file" {
			t.Errorf("main ended as %+v", v)
		}
		if s := w.untilState("main", unit.Failed); s.Desired != "up" || s.Reason != unit.CannotExecute {
			t.Errorf("%+v", s)
		}
	})
}

// TestSignalMain: signals to main arrive in their order.
func TestSignalMain(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir := t.TempDir()
		script := fmt.Sprintf("trap 'echo hup >> %[1]s/got' HUP; trap 'echo usr1 >> %[1]s/got; exit 9' USR1; echo on > %[1]s/on; while :; do sleep 0.01; done", dir)
		main := mainProgram(script)
		w := newWorld(t, Options{Main: &main})
		w.dir = dir
		w.untilFile("on")
		w.untilState("main", unit.Up)
		w.SignalMain(1)
		w.untilFile("got")
		w.SignalMain(10)
		within(t, w.Over(), "main's end")
		if w.Verdict().Code != 9 || w.untilFile("got") != "hup\nusr1" {
			t.Errorf("main ended as %+v, after %q", w.Verdict(), w.untilFile("got"))
		}
	})
}

// TestEarlySignal: a signal for main that comes while it is being executed reaches it.
func TestEarlySignal(t *testing.T) {
	alone(t, func(t *testing.T) {
		main := mainProgram(forever)
		w := newWorld(t, Options{Main: &main})
		w.SignalMain(12)
		within(t, w.Over(), "main's end")
		if w.Verdict().Code != 128+12 {
			t.Errorf("main ended as %+v", w.Verdict())
		}
	})
}
