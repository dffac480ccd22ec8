package process

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestRunOf: a process is found to be its run's by what it can't help having.
func TestRunOf(t *testing.T) {
	inBothForms(t, container, func(w *world) {
		t := w.t
		l := w.start(hostile.does("fork [ say child sleep ] fork [ setsid fork [ say marked sleep ] exit 0 ] " +
			"fork [ fork [ clear say session sleep ] exit 0 ] fork [ setsid clear say descends sleep ] zombies 1 say leader sleep"))
		for _, name := range []string{"leader", "child", "marked", "session", "descends"} {
			p := l.hears(name)
			if r := w.RunOf(p.pid); r != l.Run {
				t.Errorf("%s belongs to %v", name, r)
			}
		}
		zombies := 0
		entries, err := os.ReadDir("/proc")
		must(t, err)
		for _, e := range entries {
			var pid int
			if _, err := fmt.Sscan(e.Name(), &pid); err != nil {
				continue
			}
			if p, ended, ok := readProcessOrZombie(pid); ok && ended && p.ppid == l.pid {
				zombies++
				if r := w.RunOf(pid); r != l.Run {
					t.Errorf("zombie %d belongs to %v", pid, r)
				}
			}
		}
		if zombies == 0 {
			t.Error("there is no zombie")
		}
		for _, pid := range []int{os.Getpid(), 0, -1, 1 << 22} {
			if r := w.RunOf(pid); r != nil {
				t.Errorf("process %d belongs to %v", pid, r)
			}
		}

		// The leader has been reaped; the run is not over.
		gone := w.start(hostile.does("fork [ setsid fork [ say marked sleep ] exit 0 ] exit 0"))
		marked := gone.hears("marked")
		gone.ends()
		if r := w.RunOf(marked.pid); r != gone.Run {
			t.Errorf("what a leader left belongs to %v", r)
		}
		gone.sweep()
		gone.emptied()
		if n := len(w.living()); n != 1 {
			t.Errorf("%d runs are known, not one", n)
		}
	})
}

// TestRunOfIsNotFooled: a process does not pass for another user's run.
func TestRunOfIsNotFooled(t *testing.T) {
	inBothForms(t, container, func(w *world) {
		t := w.t
		theirs := w.start(victim.does("say leader sleep"))
		theirs.hears("leader")
		secret, rest, _ := strings.Cut(theirs.mark, "/")
		for _, mark := range []string{"/" + rest, strings.ToLower(secret) + "/" + rest, theirs.mark + "1", theirs.mark[1:], ""} {
			liar := w.start(hostile.does(fmt.Sprintf("fork [ setsid fork [ env %s=%s say lie sleep ] exit 0 ] say leader sleep", markName, mark)))
			lie := liar.hears("lie")
			eventually(t, "an orphan", func() bool { p, _ := readProcess(lie.pid); return p.ppid == os.Getpid() })
			want := liar.Run // by its cgroup
			if w.cgroups == nil {
				want = nil
			}
			if r := w.RunOf(lie.pid); r != want {
				t.Errorf("with the mark %q it belongs to %v, not %v", mark, r, want)
			}
		}
		joiner := w.start(hostile.does(fmt.Sprintf("setpgid %d", theirs.pid))) // is refused
		if e := joiner.ends(); e.Code != 99 {
			t.Errorf("to join another session's group %v", e)
		}
	})
}

// TestRunOfANumberUsedAgain: who has the number of an ended leader is not the run's.
func TestRunOfANumberUsedAgain(t *testing.T) {
	inBothForms(t, surroundings{PID1: true}, func(w *world) {
		t := w.t
		_, heir := w.inherit("fork [ setsid fork [ say stray sleep ] exit 0 ] say leader exit 0", func(old *life) {
			old.hears("stray")
			old.ends()
		}, "say leader sleep")
		heir.hears("leader")
		if r := w.RunOf(heir.pid); r != heir.Run {
			t.Errorf("the heir belongs to %v", r)
		}
	})
}

// TestStraysEnd: who does not wait for the answer gets none, and nobody waits for a Kernel that is closed.
func TestStraysEnd(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		w := newWorld(t)
		done, cancel := context.WithCancel(t.Context())
		cancel()
		_ = w.Strays(done)
		if s := w.Strays(t.Context()); s != nil {
			t.Errorf("strays: %v", s)
		}
	})
}
