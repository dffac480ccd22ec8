package supervisor

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// This file is about units that are wrong, or mean harm: what becomes of them is
// said in words, and nobody else is held up.

// TestNobodyElseSpeaksForARun: what is not of a run can't say for it that it is
// ready: another unit of the same user, and pintle's own process. A stranger can't even send.
func TestNobodyElseSpeaksForARun(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		binary := filepath.Join(dir, "binary")
		program(t, binary)
		socket := runs + "/1.notify" // it is the first
		services := []unit.Spec{
			player("web", dir, "until %s/said notify STATUS=heard until %s/go notify READY=1 sleep", func(s *unit.Spec) { s.Readiness = &unit.Readiness{Notify: true} }),
			player("liar", dir, "until "+socket+" notify-to "+socket+" READY=1;STATUS=lies write %s/lied x sleep"),
		}
		root := os.Geteuid() == 0
		if root {
			services = append(services, player("stranger", dir, "until "+socket+" notify-to "+socket+" READY=1;STATUS=lies exit 0", func(s *unit.Spec) {
				s.Command[0], s.User, s.Restart = binary, "12345", unit.RestartNever
			}))
		}
		w := newStagedWorld(t, dir, runs, services...)
		w.untilFile("lied")
		if err := notifyTo(socket, "READY=1;STATUS=lies"); err != nil {
			t.Error(err)
		}
		if root {
			if s := w.untilState("stranger", unit.Failed); s.Last.Exit.Code != 99 {
				t.Errorf("the stranger's end: %+v", s.Last)
			}
		}
		w.make("said")
		s := w.until("web", "heard", func(s engine.Status) bool { return s.Text != "" })
		if s.Text != "heard" || s.State != unit.Starting {
			t.Errorf("after what others said it is %+v", s)
		}
		if !strings.Contains(w.log.String(), "web: cannot take a message from process ") {
			t.Errorf("pintle said:\n%s", w.log)
		}
		w.make("go")
		w.untilState("web", unit.Up)
	})
}

// TestTooLongAMessage: it is refused as a whole, that is said, and the next one counts.
func TestTooLongAMessage(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs, player("web", dir, "notify-big 1000000 notify-big 100000 notify STATUS=next until %s/go notify READY=1 sleep",
			func(s *unit.Spec) { s.Readiness = &unit.Readiness{Notify: true} }))
		if s := w.until("web", "heard", func(s engine.Status) bool { return s.Text == "next" }); s.State != unit.Starting {
			t.Errorf("%+v", s)
		}
		if !strings.Contains(w.log.String(), "the message is longer than 4096 bytes") {
			t.Errorf("pintle said:\n%s", w.log)
		}
		w.make("go")
		w.untilState("web", unit.Up)
	})
}

// TestProbeThatPrintsALot: what a check prints is read and forgotten, in bounded memory.
func TestProbeThatPrintsALot(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w := newStagedWorld(t, dir, runs, player("web", dir, "sleep", func(s *unit.Spec) {
			s.Readiness = &unit.Readiness{Check: unit.Check{Exec: part(dir, "print 100 exit 0")}, Timeout: 1 << 40}
		}))
		w.untilState("web", unit.Up)
		runtime.ReadMemStats(&after)
		if more := int64(after.HeapSys) - int64(before.HeapSys); more > 16<<20 {
			t.Errorf("it took %d MiB", more>>20)
		}
	})
}

// TestDirectoryAsCommand: it can't be executed, and that is said.
func TestDirectoryAsCommand(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir := t.TempDir()
		w := newWorld(t, Options{Services: []unit.Spec{sleeper("web", func(s *unit.Spec) { s.Command = []string{dir} })}})
		s := w.untilState("web", unit.Backoff)
		if s.Reason != unit.CannotExecute || s.Last.Exit.Code != 126 || s.Because != "cannot execute "+dir+": it is a directory" {
			t.Errorf("%s because %s, %+v", s.State, s.Because, s.Last)
		}
	})
}

// TestWorkingDirectoryThatVanishes: between two runs. It is an ordinary failure, and over when the directory is back.
func TestWorkingDirectoryThatVanishes(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		work := filepath.Join(dir, "work")
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(os.Mkdir(work, 0o755))
		w := newStagedWorld(t, dir, runs, sleeper("web", quick, func(s *unit.Spec) { s.WorkingDir = work }))
		first := w.untilState("web", unit.Up)
		must(os.Remove(work))
		must(unix.Kill(first.PID, unix.SIGKILL))
		s := w.until("web", "tried again and again", func(s engine.Status) bool { return s.Failures > 3 && s.State == unit.Backoff })
		if s.Reason != unit.CannotExecute || s.Last.Exit.Code != 126 || !strings.Contains(s.Because, "working directory") || !strings.Contains(s.Because, work) {
			t.Errorf("%s because %s, %+v", s.State, s.Because, s.Last)
		}
		must(os.Mkdir(work, 0o755))
		w.untilState("web", unit.Up)
		w.must(w.Stop(context.Background(), "web"))
		w.untilState("web", unit.Down)
	})
}
