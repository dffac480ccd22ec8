package supervisor

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// TestStopSignals: they arrive one after the other, each when it is due, as long as the leader lives.
func TestStopSignals(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		signals := func(s *unit.Spec) {
			s.Stop.Signals = []unit.StopSignal{
				{Signal: unit.Signal(unix.SIGUSR1)}, {Signal: unit.Signal(unix.SIGUSR2), After: 100 * time.Millisecond},
				{Signal: unit.SIGTERM, After: 300 * time.Millisecond},
			}
		}
		const each = "on USR1 [ write %s/%n usr1 until %s/never ] on USR2 [ write %s/%n usr2 %2 ] on TERM [ write %s/%n term exit 0 ] write %s/%n-on on sleep"
		words := func(name, second string) string { return strings.NewReplacer("%n", name, "%2", second).Replace(each) }
		w := newStagedWorld(t, dir, runs,
			player("last", dir, words("last", "until %s/never"), signals), player("second", dir, words("second", "exit 5"), signals))
		ctx := context.Background()
		for name, want := range map[unit.Name]struct {
			order string
			after time.Duration
			exit  int
		}{"last": {"usr1\nusr2\nterm", 300 * time.Millisecond, 0}, "second": {"usr1\nusr2", 100 * time.Millisecond, 5}} {
			w.untilFile(string(name) + "-on")
			began := time.Now()
			w.must(w.Stop(ctx, name))
			s := w.untilState(name, unit.Down)
			if order := w.untilFile(string(name)); order != want.order || s.Last.Exit.Code != want.exit || s.Last.Killed || s.Last.Ended.Sub(began) < want.after {
				t.Errorf("%s got %q and ended after %v: %+v", name, order, s.Last.Ended.Sub(began), s.Last)
			}
		}
	})
}

// TestStopCommand: it runs as the unit's user and in its environment, before the signal, and what it says when it fails is in the log.
func TestStopCommand(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		with := func(words string) func(*unit.Spec) {
			return func(s *unit.Spec) {
				s.Environment = map[string]string{"TOLD": "yes"}
				s.Stop.Command = part(dir, words)
			}
		}
		w := newStagedWorld(t, dir, runs,
			player("web", dir, "on TERM [ write %s/order term exit 0 ] write %s/on on sleep", with("copy PINTLE_STOP_FILE %s/note env %s/env write %s/order command")),
			player("fails", dir, "sleep", with("say no-can-do exit 3")),
			sleeper("unfit", func(s *unit.Spec) { s.Stop.Command = []string{"/no/such/command"} }))
		ctx := context.Background()
		w.untilFile("on")
		up := w.untilState("web", unit.Up)
		w.must(w.Stop(ctx, "web"))
		if s := w.untilState("web", unit.Down); !s.Last.Exit.Success() || !s.Last.Asked {
			t.Errorf("%+v", s.Last)
		}
		if order := w.untilFile("order"); order != "command\nterm" {
			t.Errorf("in the order %q", order)
		}
		if note := w.untilFile("note"); !strings.Contains(note, `"then":"end"`) {
			t.Errorf("it was told %s", note)
		}
		env := strings.Split(w.untilFile("env"), "\n")
		for _, want := range []string{"TOLD=yes", "PINTLE_UNIT=web", "PINTLE_RUN=1", fmt.Sprint("PINTLE_MAIN_PID=", up.PID)} {
			if !slices.Contains(env, want) {
				t.Errorf("%s is not in its environment %q", want, env)
			}
		}
		for name, says := range map[unit.Name]string{
			"fails": "stop_command: " + filepath.Base(os.Args[0]) + " exited with code 3: no-can-do",
			"unfit": "stop_command: cannot execute /no/such/command: there is no such file",
		} {
			w.untilState(name, unit.Up)
			w.must(w.Stop(ctx, name))
			if s := w.untilState(name, unit.Down); s.Last.Exit.Signal != unit.SIGTERM || s.Last.Killed {
				t.Errorf("%+v", s.Last)
			}
			w.untilLine(name, says)
		}
	})
}

// TestStopFile: when the signal arrives, the file is there, the unit's user can
// read it, and it says why, for whom, what follows and until when. After the run it is gone.
func TestStopFile(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		binary := filepath.Join(dir, "binary")
		program(t, binary)
		old := unix.Umask(0o077) // what a pintle was started with must not keep the file from its reader
		defer unix.Umask(old)
		tells := player("web", dir, "on TERM [ copy PINTLE_STOP_FILE %s/note exit 0 ] write %s/on on fd 3 ; sleep", saysReady, func(s *unit.Spec) {
			s.Command[0] = binary
			if os.Geteuid() == 0 {
				s.User = "12345"
			}
		})
		w := newStagedWorld(t, dir, runs, tells)
		w.untilState("web", unit.Up)
		ctx := onPeersBehalf(10000)
		for run, verb := range []func(context.Context, unit.Name) (engine.Status, error){w.Restart, w.Stop} {
			asked := w.must(verb(ctx, "web"))
			w.untilLines("note", run+1)
			lines := strings.Split(w.untilFile("note"), "\n")
			var note stopNote
			if err := json.Unmarshal([]byte(lines[run]), &note); err != nil {
				t.Fatal(err)
			}
			want := stopNote{Unit: "web", Run: uint64(run + 1), Reason: unit.Asked, Then: []string{"start", "end"}[run], Actor: "uid 10000 (pintle, pid 33)", Deadline: note.Deadline}
			if note != want || !note.Deadline.Equal(asked.Next) {
				t.Errorf("it was told %+v\nwant %+v, until %v", note, want, asked.Next)
			}
			if run == 0 {
				w.until("web", "up again", func(s engine.Status) bool { return s.State == unit.Up && s.Run == 2 })
			}
		}
		w.untilState("web", unit.Down)
		w.untilNoFile("runs/*.stop*")
	})
}

// TestStopFileOfAHang: a run that hung and will be replaced is told that another one follows; one that will not, that it is the end.
func TestStopFileOfAHang(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		tells := func(name unit.Name, restart unit.RestartPolicy, giveUp int) unit.Spec {
			return player(name, dir, "once %s/first-"+string(name)+" [ on TERM [ copy PINTLE_STOP_FILE %s/note-"+string(name)+" exit 0 ] notify WATCHDOG=trigger sleep ] sleep", func(s *unit.Spec) {
				s.Watchdog, s.Restart, s.GiveUp.After = time.Hour, restart, giveUp
			})
		}
		w := newStagedWorld(t, dir, runs,
			tells("again", unit.RestartAlways, 0), tells("failing", unit.RestartOnFailure, 2), tells("never", unit.RestartNever, 0), tells("gives-up", unit.RestartAlways, 1))
		for name, then := range map[string]string{"again": "start", "failing": "start", "never": "end", "gives-up": "end"} {
			var note stopNote
			if err := json.Unmarshal([]byte(w.untilFile("note-"+name)), &note); err != nil {
				t.Fatal(err)
			}
			if note.Reason != unit.Hung || note.Then != then || note.Actor != "policy" {
				t.Errorf("%s was told %+v", name, note)
			}
		}
	})
}

// untilNoFile waits until nothing in the world's directory has a name like this.
func (w *world) untilNoFile(pattern string) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		found, err := filepath.Glob(filepath.Join(w.dir, pattern))
		if err != nil || time.Now().After(deadline) {
			w.t.Fatalf("%q are left (%v)", found, err)
		}
		if len(found) == 0 {
			return
		}
	}
}
