package process

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// container is what most of these tests are in: root without CAP_SYS_PTRACE, and services that are somebody else.
var container = surroundings{PID1: true, Caps: dockerCaps}

// TestNothingToTellWhose: what has left its session, its parents and its
// environment before any look is known by its cgroup, and without one is nobody's.
func TestNothingToTellWhose(t *testing.T) {
	inBothForms(t, container, func(w *world) {
		t := w.t
		l := w.start(hostile.does("fork [ setsid clear fork [ ignore TERM say lost sleep ] exit 0 ] exit 0"))
		lost := l.hears("lost")
		l.ends()
		eventually(t, "an orphan", func() bool { p, _ := readProcess(lost.pid); return p.ppid == os.Getpid() })
		eventually(t, "the only stray, or none", func() bool { // who made it may be on his way out still
			strays := w.Strays(t.Context())
			if w.cgroups != nil {
				return len(strays) == 0
			}
			return len(strays) == 1 && strays[0].PID == lost.pid
		})
		l.sweep()
		if w.cgroups != nil {
			within(t, "the report", l.left)
			mustLive(t, lost)
			l.Kill()
			l.emptied()
			mustBeGone(t, lost)
			return
		}
		l.emptied()
		mustLive(t, lost)
		everything := w.Everything()
		gone := make(chan bool, 1)
		everything.Sweep(func() { gone <- true }, nil)
		everything.Kill()
		within(t, "everything gone", gone)
		mustBeGone(t, lost)
	})
}

// TestStraysAreNobodys: what belongs to some run is no stray, be it asked for by nobody.
func TestStraysAreNobodys(t *testing.T) {
	inBothForms(t, container, func(w *world) {
		l := w.start(hostile.does("fork [ setsid fork [ say double sleep ] exit 0 ] fork [ fork [ clear say cleared sleep ] exit 0 ] say leader sleep"))
		for _, name := range []string{"double", "cleared", "leader"} {
			l.hears(name)
		}
		p := w.start(func() Command { c := hostile.does("say probe sleep"); c.Of = l.Run; return c }())
		p.hears("probe")
		eventually(w.t, "no strays", func() bool { return len(w.Strays(w.t.Context())) == 0 }) // some are on their way out still
	})
}

// TestAForkBombEnds: what makes processes while it is killed does not outlive that.
func TestAForkBombEnds(t *testing.T) {
	// The limit is for all of a user's processes, so each has a user of its own.
	explodes := func(w *world, uid int) {
		t := w.t
		id := Identity{Name: "bomber", UID: uid, GID: uid}
		l := w.start(id.does("fork [ setsid fork [ say bomb bomb 200 ] exit 0 ] say leader sleep"))
		l.hears("bomb")
		l.hears("leader")
		count := func() (n int) {
			for range scan() {
				n++
			}
			return n
		}
		eventually(t, "its limit, which threads count for", func() bool { return count() >= 150 })
		l.Kill()
		l.ends()
		l.sweep()
		l.emptied()
		nobodyElse(t)
	}
	inBothForms(t, container, func(w *world) {
		if w.cgroups != nil {
			explodes(w, 10098)
		} else {
			explodes(w, 10097)
		}
	})
	t.Run("without cgroup.kill", func(t *testing.T) {
		s := container
		s.Cgroup = true
		alone(t, s, func(t *testing.T) {
			w := newWorldOf(t, SetsCgroup)
			w.cgroups.old = true
			explodes(w, 10099)
		})
	})
}

// TestAMoveWhileTerminated: a member that gets a session of its own, and a child there, while its run is stopped.
func TestAMoveWhileTerminated(t *testing.T) {
	inBothForms(t, container, func(w *world) {
		t := w.t
		stdin, release, err := os.Pipe()
		must(t, err)
		c := hostile.does("fork [ ignore TERM say here eof setsid storm 1 say moved sleep ] say leader sleep")
		c.Files[0] = stdin
		l := w.start(c)
		stdin.Close()
		l.hears("here")
		l.hears("leader")
		l.Terminate(unit.SIGTERM, unit.TargetSet)
		release.Close()
		l.ends()
		l.sweep()
		mustLive(t, l.hears("moved"))
		l.Kill()
		l.emptied()
		nobodyElse(t)
	})
}

// nobodyElse fails the test if any process but this one is alive in its PID namespace.
func nobodyElse(t testing.TB) {
	t.Helper()
	for pid, p := range scan() {
		if pid != os.Getpid() {
			t.Errorf("%d (%s) is left", pid, p.command)
		}
	}
}

// TestAnEndIsNotAPipes: a leader's end is known although a child of it has its standard output.
func TestAnEndIsNotAPipes(t *testing.T) {
	inBothForms(t, container, func(w *world) {
		l := w.start(hostile.does("fork [ ignore TERM say child sleep ] exit 3"))
		child := l.hears("child")
		if e := l.ends(); e.Code != 3 {
			w.t.Errorf("the leader %v", e)
		}
		mustLive(w.t, child)
		l.sweep()
		l.Kill()
		l.emptied()
		for range l.said { // until the pipe's end
		}
	})
}

// TestTargets: a signal reaches whom it is for, and what was stopped goes on.
func TestTargets(t *testing.T) {
	inBothForms(t, container, func(w *world) {
		t := w.t
		for target, want := range map[unit.Target]string{unit.TargetLeader: "leader", unit.TargetGroup: "leader group", "": "leader group", unit.TargetSet: "leader group other stray"} {
			l := w.start(hostile.does("fork [ say group stop sleep ] fork [ setpgid 0 say other sleep ] fork [ setsid fork [ say stray stop sleep ] exit 0 ] say leader stop sleep"))
			got, kept := []process{}, []process{}
			for _, name := range []string{"leader", "group", "other", "stray"} {
				p := l.hears(name)
				if name != "other" {
					eventually(t, "its stop", func() bool { return stateOf(p.pid) == "T" })
				}
				if strings.Contains(want, name) {
					got = append(got, p)
				} else {
					kept = append(kept, p)
				}
			}
			l.Terminate(unit.SIGTERM, target)
			if e := l.ends(); e.Signal != unit.SIGTERM {
				t.Errorf("%q: the leader %v", target, e)
			}
			eventually(t, fmt.Sprintf("%q: %s gone", target, want), func() bool { return !slices.ContainsFunc(got, alive) })
			mustLive(t, kept...)
		}
	})
}

// TestSignalsAreNotLost: of two signals that come before anybody looked, both are sent, in order.
func TestSignalsAreNotLost(t *testing.T) {
	inBothForms(t, container, func(w *world) {
		l := w.start(hostile.does("ignore TERM say leader sleep"))
		l.hears("leader")
		l.Terminate(unit.Signal(unix.SIGHUP), unit.TargetLeader)
		l.Terminate(unit.SIGTERM, unit.TargetSet)
		if e := l.ends(); e.Signal != unit.Signal(unix.SIGHUP) {
			w.t.Errorf("the leader %v", e)
		}
	})
}

// of starts a command that belongs to a run's set.
func (l *life) of(w *world, words string) (*life, error) {
	c := hostile.does(words)
	c.Of = l.Run
	return w.try(c)
}

// TestAProbeBelongs: a probe has an end of its own, and what it leaves ends with the run that it is for.
func TestAProbeBelongs(t *testing.T) {
	inBothForms(t, container, func(w *world) {
		t := w.t
		l := w.start(hostile.does("fork [ setsid fork [ say stray sleep ] exit 0 ] say leader sleep"))
		stray, leader := l.hears("stray"), l.hears("leader")
		const leaves = "fork [ setsid fork [ ignore TERM say left sleep ] exit 0 ] fork [ clear ignore TERM say cleared sleep ] say probe "
		ended, err := l.of(w, leaves+"exit 4")
		must(t, err)
		left := []process{ended.hears("left"), ended.hears("cleared")}
		if e := ended.ends(); e.Code != 4 {
			t.Errorf("the probe %v", e)
		}

		// It is killed for being late: its group, and nobody else.
		late, err := l.of(w, leaves+"sleep")
		must(t, err)
		left = append(left, late.hears("left"))
		inGroup := late.hears("cleared")
		late.hears("probe")
		late.Terminate(unit.Signal(unix.SIGKILL), unit.TargetGroup)
		if e := late.ends(); e.Signal != unit.Signal(unix.SIGKILL) {
			t.Errorf("the late probe %v", e)
		}
		eventually(t, "its group gone", func() bool { return !alive(inGroup) })
		mustLive(t, append(left, stray, leader)...)

		// Killed as a whole it takes what descends from it or is in its session, and nothing of the other run.
		whole, err := l.of(w, "fork [ say same sleep ] say probe sleep")
		must(t, err)
		same := whole.hears("same")
		whole.hears("probe")
		whole.Kill()
		whole.ends()
		whole.sweep()
		whole.emptied()
		mustBeGone(t, same)
		mustLive(t, append(left, stray, leader)...)

		// One that still runs when the run is over is ended too, and then none may come.
		last, err := l.of(w, "ignore TERM say probe sleep")
		must(t, err)
		probe := last.hears("probe")
		if r := w.RunOf(probe.pid); r != l.Run {
			t.Errorf("the probe belongs to %v", r)
		}
		l.Terminate(unit.SIGTERM, "")
		l.ends()
		l.sweep()
		last.sweep() // both are watched now
		for {
			if r := within(t, "a report", l.left); slices.ContainsFunc(r, func(p Left) bool { return p.PID == probe.pid }) {
				break
			}
		}
		l.Kill()
		last.ends()
		l.emptied()
		last.emptied()
		mustBeGone(t, append(left, stray, leader, probe)...)
		var refused *ExecError
		if _, err := l.of(w, "exit 0"); !errors.As(err, &refused) || refused.Code != 126 || !strings.Contains(err.Error(), "is over") {
			t.Errorf("a probe of a run that is over: %v", err)
		}
	})
}

// TestNobodyJoinsUnnoticed: probes that are started while their run becomes empty belong to it or are refused.
func TestNobodyJoinsUnnoticed(t *testing.T) {
	inBothForms(t, container, func(w *world) {
		for range rounds(20) {
			l := w.start(hostile.does("exit 0"))
			l.ends()
			probes := make(chan *life, 100)
			go func() {
				defer close(probes)
				for range cap(probes) {
					p, err := l.of(w, "say probe sleep")
					if err != nil {
						return
					}
					probes <- p
				}
				w.t.Error("the run did not get empty")
			}()
			l.sweep()
			l.emptied()
			for p := range probes {
				if e := p.ends(); e.Signal != unit.SIGTERM {
					w.t.Errorf("the probe %v", e)
				}
			}
		}
	})
}

// TestWhoIsAboutToJoin keeps a run from being told empty, and who has just joined has it looked at again.
func TestWhoIsAboutToJoin(t *testing.T) {
	inBothForms(t, container, func(w *world) {
		l := w.start(hostile.does("exit 0"))
		l.ends()
		joined, err := (&Run{k: w.Kernel}).join(&Command{Of: l.Run}, &syscall.SysProcAttr{})
		must(w.t, err)
		l.sweep()
		w.look()
		w.look() // the first may have begun before the sweep was asked for
		if len(l.empty) > 0 {
			w.t.Error("it was told empty while a run was about to join it")
		}
		joined(true)
		l.emptied()
		if w.census.finish(&Run{k: w.Kernel, set: set{wishes: wishes{joins: 1}}}, wishes{sweep: func() {}}) {
			w.t.Error("a look that began before somebody joined was believed")
		}
	})
}

// TestFiftyRunsAtOnce: each with what has escaped from it, stopped together.
func TestFiftyRunsAtOnce(t *testing.T) {
	inBothForms(t, container, func(w *world) {
		var lives []*life
		for range 50 {
			lives = append(lives, w.start(hostile.does("fork [ setsid fork [ say stray sleep ] exit 0 ] say leader sleep")))
		}
		var all []process
		for _, l := range lives {
			all = append(all, l.hears("stray"), l.hears("leader"))
		}
		for _, l := range lives[1:] {
			l.Terminate(unit.SIGTERM, "")
		}
		for _, l := range lives[1:] {
			l.ends()
			l.sweep()
		}
		for _, l := range lives[1:] {
			l.emptied()
		}
		mustLive(w.t, all[:2]...)
		mustBeGone(w.t, all[2:]...)
	})
}
