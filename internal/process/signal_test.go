package process

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// TestSignalsWithoutCapKill: whoever may start a process as some user may also
// end it. A container with CAP_SETUID and CAP_SETGID alone once could not be
// stopped: kill(2) was refused.
func TestSignalsWithoutCapKill(t *testing.T) {
	for _, leader := range []string{"", "nodump "} {
		t.Run(fmt.Sprintf("leader%q", leader), func(t *testing.T) {
			alone(t, surroundings{Caps: []int{unix.CAP_SETUID, unix.CAP_SETGID}}, func(t *testing.T) {
				w := newWorld(t)
				c := as(leader + "fork [ setsid ignore TERM say stray sleep ] fork [ say same sleep ] say leader sleep")
				c.Identity = &Identity{Name: "somebody", UID: 12345, GID: 12345}
				l := w.start(c)
				stray, same := l.hears("stray"), l.hears("same")
				l.hears("leader")
				must(t, l.Signal(unit.Signal(unix.SIGCONT)))
				l.Terminate(unit.SIGTERM, unit.TargetGroup)
				if e := l.ends(); e != (unit.Exit{Signal: unit.SIGTERM}) {
					t.Errorf("the leader %v", e)
				}
				l.sweep()
				l.Kill()
				l.emptied()
				mustBeGone(t, stray, same)
			})
		})
	}
}

// TestContinueReachesTheGroup: Ctrl-Z stops all of the foreground, and all of it must go on.
func TestContinueReachesTheGroup(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		w := newWorld(t)
		l := w.start(as("fork [ say child stop say again sleep ] say leader stop say on sleep"))
		child := l.hears("child")
		l.hears("leader")
		if s := within(t, "the leader stops", w.stopped); s != unit.Signal(unix.SIGSTOP) {
			t.Errorf("it was stopped by %s", s)
		}
		eventually(t, "the child stops", func() bool { return stateOf(child.pid) == "T" })
		w.Continue(l.Pid())
		l.hears("on")
		l.hears("again")
		l.Kill()
		l.ends()
		w.Continue(l.Pid()) // has ended: nothing happens
	})
}

// stateOf is a process's state as in ps.
func stateOf(pid int) string {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := bytes.Cut(stat, []byte(") "))
	state, _, _ := bytes.Cut(after, []byte(" "))
	return string(state)
}
