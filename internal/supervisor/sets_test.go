package supervisor

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// The tests of this file need that what is executed for a run is one of its
// processes: it ends with the run, it may talk for it, and stop_target reaches it.

// TestLivenessExec: a run whose check fails too often has hung, as has one that answers with errors, see hangs.
func TestLivenessExec(t *testing.T) {
	alone(t, func(t *testing.T) {
		hangs(t, "sh exited with code 3: it is broken", func(dir, _ string) unit.Check {
			return unit.Check{Exec: []string{"/bin/sh", "-c", "test ! -e " + dir + "/broken || { echo it is broken; exit 3; }"}}
		})
	})
}

// TestLivenessHiccup: fewer failures in a row than it takes change nothing, and neither do those of the start period.
func TestLivenessHiccup(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		// It fails every second time.
		flaky := []string{"/bin/sh", "-c", "echo x >> " + dir + "/flaky; test $(($(wc -l < " + dir + "/flaky) % 2)) = 0"}
		early := []string{"/bin/sh", "-c", "echo x >> " + dir + "/early; exit 1"}
		check := func(exec []string, start time.Duration) func(*unit.Spec) {
			return func(s *unit.Spec) {
				s.Liveness = &unit.Liveness{Check: unit.Check{Exec: exec}, Period: 10 * time.Millisecond, Failures: 2, StartPeriod: start, Timeout: 10 * time.Second}
			}
		}
		w := newStagedWorld(t, dir, runs, sleeper("flaky", check(flaky, 0)), sleeper("early", check(early, time.Hour)))
		w.untilLines("flaky", 8)
		w.untilLines("early", 8)
		for _, name := range []unit.Name{"flaky", "early"} {
			if s := w.must(w.Get(context.Background(), name)); s.State != unit.Up || s.Run != 1 {
				t.Errorf("%+v", s)
			}
		}
	})
}

// TestProbeThatHangs: it is killed when its time is over, with what it started; others' checks go on, and so does the loop.
func TestProbeThatHangs(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		asks := func(words string) func(*unit.Spec) {
			return func(s *unit.Spec) {
				s.Readiness = &unit.Readiness{Check: unit.Check{Exec: part(dir, words)}, Timeout: 300 * time.Millisecond, Period: 50 * time.Millisecond}
			}
		}
		w := newStagedWorld(t, dir, runs,
			player("stuck", dir, "sleep", asks("fork [ ignore TERM pid %s/probes sleep ] ignore TERM pid %s/probes sleep")),
			player("fine", dir, "sleep", asks("exit 0")))
		w.untilState("fine", unit.Up)
		s := w.until("stuck", "asked in vain", func(s engine.Status) bool { return strings.HasSuffix(s.Because, ": took longer than 0.3 s") })
		if s.State != unit.Starting {
			t.Errorf("%+v", s)
		}
		w.untilLines("probes", 4) // two tries have begun
		w.must(w.Stop(context.Background(), "stuck"))
		w.untilState("stuck", unit.Down)
		for line := range strings.SplitSeq(w.untilFile("probes"), "\n") {
			if pid, err := strconv.Atoi(line); err != nil || lives(pid) {
				t.Errorf("process %s of a probe is left (%v)", line, err)
			}
		}
	})
}

// TestStopCommandThatHangs: the signals follow when half of the grace period is
// over, and nothing of the command is left when the unit is down.
func TestStopCommandThatHangs(t *testing.T) {
	alone(t, func(t *testing.T) {
		const period = 6 * time.Second // half of which is enough for a busy machine to begin the command
		dir, runs := stage(t)
		with := func(name string) func(*unit.Spec) {
			return func(s *unit.Spec) {
				s.Stop.Grace, s.Stop.Command = period, part(dir, "ignore TERM daemon [ ignore TERM pid %s/"+name+"-child sleep ] pid %s/"+name+"-command sleep")
			}
		}
		w := newStagedWorld(t, dir, runs,
			player("polite", dir, "on TERM [ exit 5 ] write %s/on1 on sleep", with("polite")),
			player("deaf", dir, "ignore TERM write %s/on2 on sleep", with("deaf")))
		ctx := context.Background()
		w.untilFile("on1")
		w.untilFile("on2")
		for name, killed := range map[unit.Name]bool{"polite": false, "deaf": true} {
			began := time.Now()
			w.must(w.Stop(ctx, name))
			s := w.untilState(name, unit.Down)
			if took := s.Last.Ended.Sub(began); took < period/2 || killed && !s.Last.Killed || !killed && s.Last.Exit.Code != 5 {
				t.Errorf("%s took %v: %+v", name, took, s.Last)
			}
			for _, what := range []string{"-command", "-child"} {
				if pid := w.pidIn(string(name) + what); lives(pid) {
					t.Errorf("%s%s is left", name, what)
				}
			}
		}
	})
}

// TestChildSpeaksForItsRun: a child of the leader may say that the run is ready, also from another session.
func TestChildSpeaksForItsRun(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		notify := func(s *unit.Spec) { s.Readiness = &unit.Readiness{Notify: true} }
		w := newStagedWorld(t, dir, runs,
			player("child", dir, "fork [ notify READY=1;STATUS=child sleep ] sleep", notify),
			player("session", dir, "daemon [ notify READY=1;STATUS=session sleep ] sleep", notify))
		for _, name := range []unit.Name{"child", "session"} {
			if s := w.untilState(name, unit.Up); s.Text != string(name) {
				t.Errorf("%+v", s)
			}
		}
	})
}

// TestStopTarget: the stop signals go to the leader alone, to its group, or to all that is of the run.
func TestStopTarget(t *testing.T) {
	for target, want := range map[unit.Target]string{
		unit.TargetLeader: "leader", unit.TargetGroup: "child leader", "": "child leader", unit.TargetSet: "child leader session",
	} {
		t.Run("target "+string(target), func(t *testing.T) {
			alone(t, func(t *testing.T) {
				dir, runs := stage(t)
				notes := func(who string) string { return "on TERM [ write %s/got " + who + " sleep ] write %s/on " + who + " " }
				w := newStagedWorld(t, dir, runs, player("web", dir,
					"fork [ ignore USR1 "+notes("child")+"sleep ] daemon [ ignore USR1 "+notes("session")+"sleep ] on USR1 [ write %s/late x sleep ] "+notes("leader")+"sleep",
					func(s *unit.Spec) {
						s.Stop.Target = target
						// When the second signal has come, whoever was to get the first one has it.
						s.Stop.Signals = []unit.StopSignal{{Signal: unit.SIGTERM}, {Signal: unit.Signal(unix.SIGUSR1), After: 200 * time.Millisecond}}
					}))
				w.untilLines("on", 3)
				w.untilState("web", unit.Up)
				w.must(w.Stop(context.Background(), "web"))
				w.untilFile("late")
				got := strings.Fields(w.untilFile("got"))
				slices.Sort(got)
				if all := strings.Join(got, " "); all != want {
					t.Errorf("the signal reached %q, want %q", all, want)
				}
			})
		})
	}
}
