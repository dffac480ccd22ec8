package process

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// hostile is the user that attacks; victim is another one.
var (
	hostile = Identity{Name: "hostile", UID: 10000, GID: 10000}
	victim  = Identity{Name: "victim", UID: 10001, GID: 10001}
)

func (id *Identity) does(words string) Command {
	c := as(words)
	c.Identity = id
	return c
}

// TestNobodyCanStopAStart: a process that stops all others of its user as fast as
// it can once stopped all of pintle: the child that pintle was making, in whose
// memory pintle's own thread waited.
func TestNobodyCanStopAStart(t *testing.T) {
	alone(t, surroundings{PID1: true, Caps: dockerCaps}, func(t *testing.T) {
		w := newWorld(t)
		attacker := w.start(hostile.does("say ready stoppers"))
		attacker.hears("ready")
		for range 50 {
			l := w.start(hostile.does("exit 0"))
			other := w.start(victim.does("exit 7"))
			if e := other.ends(); e.Code != 7 {
				t.Errorf("the other user's run %v", e)
			}
			l.Kill()
			l.ends()
		}
	})
}

// TestALyingMark: who puts another run's mark on an orphan of his ends it with that
// run. He does not get it out of his own, and can't keep the other from ending.
func TestALyingMark(t *testing.T) {
	alone(t, surroundings{PID1: true, Caps: dockerCaps}, func(t *testing.T) {
		w := newWorld(t)
		other := w.start(victim.does("fork [ setsid fork [ say stray sleep ] exit 0 ] say leader sleep"))
		lie := fmt.Sprintf("fork [ setsid fork [ env %s=%s ignore TERM say lie sleep ] exit 0 ] ", markName, other.mark)
		liar := w.start(hostile.does(lie + "fork [ say honest sleep ] say leader sleep"))
		lied, honest := liar.hears("lie"), liar.hears("honest")
		other.hears("stray")
		// Until then it is the liar's alone: who descends from a living leader is no orphan that anybody asks for.
		eventually(t, "the lie is an orphan", func() bool {
			p, ok := readProcess(lied.pid)
			return ok && p.ppid == os.Getpid()
		})

		other.Terminate(unit.SIGTERM, unit.TargetGroup)
		other.ends()
		other.sweep()
		for left := range other.left {
			if len(left) == 1 && left[0].PID == lied.pid {
				break // and nobody else is
			}
		}
		if len(other.empty) > 0 {
			t.Error("the other run was told empty while something had its mark")
		}
		other.Kill()
		other.emptied()
		mustBeGone(t, lied, other.hears("stray"))
		mustLive(t, honest, liar.hears("leader"))

		// While it has a parent it is in the liar's run as well.
		mine := strings.Replace(lie, "setsid fork [", "fork [", 1)
		both := w.start(hostile.does(mine + "say leader exit 0"))
		inBoth := both.hears("lie")
		both.ends()
		both.sweep()
		within(t, "a report of the lie", both.left)
		both.Kill()
		both.emptied()
		mustBeGone(t, inBoth)
	})
}

// TestNobodyGetsOthersKilled: what a process can do to seem to be somebody else's,
// or to make somebody else's seem its own, does not make pintle signal them.
func TestNobodyGetsOthersKilled(t *testing.T) {
	inBothForms(t, surroundings{PID1: true, Caps: dockerCaps}, func(w *world) {
		t := w.t
		theirs := w.start(victim.does("fork [ setsid fork [ clear say stray sleep ] exit 0 ] fork [ say child sleep ] say leader sleep"))
		same := w.start(hostile.does("fork [ setsid fork [ say stray sleep ] exit 0 ] say leader sleep")) // the same user's other run
		others := []process{theirs.hears("stray"), theirs.hears("child"), theirs.hears("leader"), same.hears("stray"), same.hears("leader")}
		for _, words := range []string{
			fmt.Sprintf("setpgid %d", theirs.pid), // into its group: another session's
			fmt.Sprintf("fork [ setpgid %d ] eof", theirs.pid),
			fmt.Sprintf("fork [ env %s=%s sleep ] sleep", markName, theirs.mark),
			"subreaper sleep", // a place where orphans come to
			"subreaper fork [ setsid fork [ sleep ] exit 0 ] sleep",
		} {
			l := w.start(hostile.does("say ready " + words))
			l.hears("ready")
			l.Terminate(unit.SIGTERM, unit.TargetGroup)
			l.Kill()
			l.ends()
			l.sweep()
			l.emptied()
			mustLive(t, others...)
		}
	})
}

// TestForksDoNotHoldUpOthers: one user's processes that come and go all the time do not keep another run from being empty.
func TestForksDoNotHoldUpOthers(t *testing.T) {
	inBothForms(t, surroundings{PID1: true, Caps: dockerCaps}, func(w *world) {
		t := w.t
		for range 4 {
			w.start(hostile.does("say ready forks")).hears("ready")
		}
		for range 5 {
			l := w.start(victim.does("exit 0"))
			l.ends()
			began := time.Now()
			l.sweep()
			l.emptied()
			if d := time.Since(began); d > 2*time.Second {
				t.Errorf("it took %v until the run was empty", d)
			}
		}
	})
}

// TestAStormEnds: 200 processes that are deaf to SIGTERM, in a session of their own.
func TestAStormEnds(t *testing.T) {
	inBothForms(t, surroundings{PID1: true, Caps: dockerCaps}, func(w *world) {
		t := w.t
		l := w.start(hostile.does("fork [ setsid fork [ storm 200 say storm forks ] exit 0 ] say leader sleep"))
		l.hears("storm")
		l.Terminate(unit.SIGTERM, unit.TargetGroup)
		l.ends()
		l.sweep()
		l.Kill()
		l.emptied()
		for pid, p := range scan() {
			if p.ppid == unix.Getpid() {
				t.Errorf("%d (%s) is left", pid, p.command)
			}
		}
	})
}
