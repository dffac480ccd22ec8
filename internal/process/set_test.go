package process

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// escapes are ways in which a run's process gets away from its leader. Each says
// its name when it has.
var escapes = map[string]string{
	"group":       "fork [ say group sleep ]",
	"ownGroup":    "fork [ setpgid 0 say ownGroup sleep ]",
	"session":     "fork [ setsid say session sleep ]",
	"double":      "fork [ setsid fork [ say double sleep ] exit 0 ]",
	"deaf":        "fork [ setsid fork [ ignore TERM say deaf sleep ] exit 0 ]",
	"stopped":     "fork [ setsid fork [ say stopped stop sleep ] exit 0 ]",
	"stoppedDeaf": "fork [ setsid fork [ ignore TERM say stoppedDeaf stop sleep ] exit 0 ]",
	"cleared":     "fork [ fork [ clear say cleared sleep ] exit 0 ]",          // an orphan, but in the session
	"liar":        "fork [ fork [ env PINTLE_MARK=x say liar sleep ] exit 0 ]", // the same
	"overwritten": "fork [ setsid overwrite say overwritten sleep ]",           // in no session, but no orphan
	"foreign":     "fork [ setsid clear say foreign sleep ]",                   // the same
	"headless":    "fork [ setsid fork [ threadexit ignore TERM say headless sleep ] exit 0 ]",
	"storm":       "fork [ setsid fork [ storm 200 say storm sleep ] exit 0 ]",
}

// TestStoppedMeansEmpty: whichever way the processes of a run try to get away,
// Terminate, Sweep and Kill leave none of them, and the run is told empty then,
// and once. As in a container: root without CAP_SYS_PTRACE and a service that is
// somebody else; as a subreaper; and as an ordinary user.
func TestStoppedMeansEmpty(t *testing.T) {
	for name, s := range map[string]struct {
		surroundings
		as *Identity
	}{
		"PID 1 of a container": {surroundings{PID1: true, Caps: dockerCaps}, &hostile},
		"subreaper":            {surroundings{}, nil},
		"user":                 {surroundings{UID: 12345, GID: 12345, NoCaps: true}, nil},
		"root in a group":      {surroundings{PID1: true, Caps: dockerCaps}, &Identity{Name: "root", GID: 50}},
	} {
		t.Run(name, func(t *testing.T) {
			forms := inBothForms
			if s.UID != 0 {
				forms = attributed // it may make no cgroup
			}
			forms(t, s.surroundings, func(w *world) {
				t := w.t
				lives := map[string]*life{}
				for name, words := range escapes {
					c := as(words + " say leader sleep")
					c.Identity = s.as
					lives[name] = w.start(c)
				}
				for name, l := range lives {
					p := l.hears(name)
					if strings.HasPrefix(name, "stopped") {
						eventually(t, "its stop", func() bool { return stateOf(p.pid) == "T" })
					}
					l.hears("leader")
					l.Terminate(unit.SIGTERM, unit.TargetGroup)
					if e := l.ends(); e.Signal != unit.SIGTERM {
						t.Errorf("%s: the leader %v", name, e)
					}
					l.sweep()
					if slices.Contains([]string{"deaf", "stoppedDeaf", "headless", "storm"}, name) {
						within(t, name+" reported as left", l.left)
						if name != "storm" { // there it is its children who are deaf
							mustLive(t, l.hears(name))
						}
						l.Kill()
					}
					l.emptied()
					mustBeGone(t, l.hears(name))
				}
				eventually(t, "no child left", childless)
				for name, l := range lives {
					l.Kill()
					l.sweep()
					if len(l.empty) > 0 {
						t.Errorf("%s was told empty twice", name)
					}
				}
			})
		})
	}
}

// TestACrashIsSweptToo: the leader ends by itself, and nobody had looked before.
func TestACrashIsSweptToo(t *testing.T) {
	inBothForms(t, surroundings{PID1: true, Caps: dockerCaps}, func(w *world) {
		t := w.t
		for _, name := range []string{"group", "session", "double", "stopped", "cleared", "liar", "headless"} {
			c := as(escapes[name] + " say leader exit 3")
			c.Identity = &hostile
			l := w.start(c)
			p := l.hears(name)
			if name == "stopped" {
				eventually(t, "its stop", func() bool { return stateOf(p.pid) == "T" })
			}
			if e := l.ends(); e.Code != 3 {
				t.Errorf("%s: the leader %v", name, e)
			}
			l.sweep()
			if name == "headless" {
				within(t, "headless reported", l.left)
				l.Kill()
			}
			l.emptied()
			mustBeGone(t, p)
		}
	})
}

// TestAHeadlessLeader: a leader whose main thread has ended is a zombie to look at, but runs.
func TestAHeadlessLeader(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		w := newWorld(t)
		l := w.start(as("threadexit ignore TERM say leader sleep"))
		p := l.hears("leader")
		l.Terminate(unit.SIGTERM, unit.TargetGroup)
		mustLive(t, p)
		l.Kill()
		if e := l.ends(); e.Signal != unit.SIGKILL {
			t.Errorf("it %v", e)
		}
	})
}

// TestTerminateReachesTheGroup: also what is stopped in it.
func TestTerminateReachesTheGroup(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		w := newWorld(t)
		l := w.start(as("fork [ say child stop sleep ] say leader stop sleep"))
		child := l.hears("child")
		l.hears("leader")
		within(t, "the stop", w.stopped)
		eventually(t, "the child stopped", func() bool { return stateOf(child.pid) == "T" })
		l.Terminate(unit.Signal(unix.SIGUSR2), unit.TargetGroup) // the declared signal, not always TERM
		l.Terminate(unit.SIGTERM, unit.TargetGroup)
		if e := l.ends(); e.Signal != unit.SIGTERM {
			t.Errorf("the leader %v", e)
		}
		eventually(t, "the child gone", func() bool { return !alive(child) })
		l.Terminate(unit.SIGTERM, unit.TargetGroup) // to nobody
		if err := l.Signal(unit.SIGTERM); err != nil {
			t.Error(err)
		}
	})
}

// TestOtherRunsAreLeftAlone: the end of one run touches nothing of another, nor what belongs to none.
func TestOtherRunsAreLeftAlone(t *testing.T) {
	alone(t, surroundings{PID1: true, Caps: dockerCaps}, func(t *testing.T) {
		w := newWorld(t)
		const words = "fork [ setsid fork [ say double sleep ] exit 0 ] fork [ say group sleep ] say leader "
		start := func(end string) (*life, []process) {
			c := as(words + end)
			c.Identity = &hostile
			l := w.start(c)
			return l, []process{l.hears("double"), l.hears("group"), l.hears("leader")}
		}
		one, ofOne := start("sleep")
		other, ofOther := start("sleep")
		crashed, ofCrashed := start("exit 1") // has ended, and nobody has swept it yet
		crashed.ends()

		lost := w.start(as("fork [ setsid clear fork [ say lost sleep ] exit 0 ] exit 0"))
		nobodys := lost.hears("lost")
		lost.ends()
		eventually(t, "an orphan", func() bool { p, _ := readProcess(nobodys.pid); return p.ppid == os.Getpid() })
		lost.sweep()
		lost.emptied() // it can't be known whose it was

		one.Kill()
		one.ends()
		one.sweep()
		one.emptied()
		mustBeGone(t, ofOne...)
		mustLive(t, ofOther...)
		mustLive(t, ofCrashed[:2]...)
		mustLive(t, nobodys)

		crashed.sweep()
		crashed.emptied()
		mustBeGone(t, ofCrashed...)
		mustLive(t, ofOther...)
		mustLive(t, nobodys)

		everything := w.Everything()
		gone := make(chan bool)
		everything.Sweep(func() { close(gone) }, nil)
		within(t, "everything gone", gone)
		everything.Kill() // once more, as at a second signal: it is not told again, which would close gone twice
		other.ends()
		mustBeGone(t, append(ofOther, nobodys)...)
	})
}

// TestEverything: at the end nothing is left, and every leader's exit has been told before that is.
func TestEverything(t *testing.T) {
	for name, s := range map[string]surroundings{"PID 1": {PID1: true}, "subreaper": {}} {
		t.Run(name, func(t *testing.T) {
			inBothForms(t, s, func(w *world) {
				t := w.t
				var all []process
				var lives []*life
				for _, words := range []string{
					"ignore TERM say a sleep",
					"fork [ setsid clear fork [ ignore TERM say a sleep ] exit 0 ] say leader sleep",
					"fork [ setsid fork [ storm 200 overwrite say a sleep ] exit 0 ] say leader sleep",
					"threadexit ignore TERM say a sleep",
				} {
					l := w.start(as(words))
					all = append(all, l.hears("a"))
					lives = append(lives, l)
				}
				everything := w.Everything()
				gone, left := make(chan bool, 10), make(chan []Left, 100)
				everything.Sweep(func() { gone <- true }, func(l []Left) { left <- l })
				within(t, "what is left", left)
				everything.Kill()
				within(t, "everything gone", gone)
				mustBeGone(t, all...)
				for i, l := range lives {
					if len(l.exit) != 1 {
						t.Errorf("the end of run %d had not been told", i)
					}
				}
				if err := everything.Signal(unit.SIGTERM); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestEverythingWaitsForTheReaper: a leader that has ended but has not been reaped is something that is left.
func TestEverythingWaitsForTheReaper(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		w := newWorld(t)
		w.mu.Lock()
		w.leaders[1<<22] = &Run{} // stands for one: no process has this number
		w.mu.Unlock()
		gone := make(chan bool, 1)
		w.Everything().Sweep(func() { gone <- true }, nil)
		w.look()
		if len(gone) > 0 {
			t.Error("it was told empty")
		}
		w.mu.Lock()
		delete(w.leaders, 1<<22)
		w.mu.Unlock()
		within(t, "everything gone", gone)
	})
}

// TestWhatWasSeenIsRemembered: a process that was seen while it could be known for the run's stays the run's, and what it makes.
func TestWhatWasSeenIsRemembered(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		w := newWorld(t)
		stdin, release, err := os.Pipe()
		must(t, err)
		c := as("fork [ ignore TERM setsid clear ignore TERM say foreign eof fork [ setsid ignore TERM say late sleep ] sleep ] say leader sleep")
		c.Files[0] = stdin
		l := w.start(c)
		stdin.Close()
		l.hears("foreign")
		l.hears("leader")
		l.Terminate(unit.SIGTERM, unit.TargetGroup)
		l.ends()
		l.sweep()
		within(t, "the first reported", l.left)
		release.Close()
		late := l.hears("late")
		for left := within(t, "both reported", l.left); len(left) < 2; {
			left = within(t, "both reported", l.left)
		}
		l.Kill()
		l.emptied()
		mustBeGone(t, l.hears("foreign"), late)
	})
}

// TestAReport names what is left, whenever that changes.
func TestAReport(t *testing.T) {
	inBothForms(t, surroundings{}, func(w *world) {
		t := w.t
		l := w.start(as("fork [ setsid ignore TERM say one sleep ] fork [ setsid ignore TERM say two sleep ] say leader exit 0"))
		one, two := l.hears("one"), l.hears("two")
		l.ends()
		l.sweep()
		seen := func(want ...process) {
			for {
				var pids, wanted []int
				left := within(t, "a report", l.left)
				for _, p := range left {
					pids = append(pids, p.PID)
					if !strings.HasSuffix(p.String(), fmt.Sprintf(" (pid %d)", p.PID)) {
						t.Errorf("%q", p)
					}
				}
				for _, p := range want {
					wanted = append(wanted, p.pid)
				}
				slices.Sort(wanted)
				if slices.Equal(pids, wanted) {
					return
				}
			}
		}
		seen(one, two)
		must(t, unix.Kill(two.pid, unix.SIGKILL))
		seen(one)
		l.Kill()
		l.emptied()
		seen()
	})
}

// TestANumberUsedAgain: a process that has got the number of a run's dead leader,
// and the session that it makes, are not the run's.
func TestANumberUsedAgain(t *testing.T) {
	alone(t, surroundings{PID1: true}, func(t *testing.T) {
		w := newWorld(t)
		var deaf process
		old, heir := w.inherit("fork [ setsid fork [ ignore TERM say deaf sleep ] exit 0 ] say leader exit 0", func(old *life) {
			deaf = old.hears("deaf")
			old.ends()
			old.sweep()
			within(t, "the report", old.left)
			// The new run leaves an orphan without a mark in its session.
		}, "fork [ fork [ clear say orphan sleep ] exit 0 ] say leader eof sleep")
		orphan := heir.hears("orphan")
		mustLive(t, heir.hears("leader"))
		old.Kill()
		old.emptied()
		mustBeGone(t, deaf)
		mustLive(t, orphan, heir.hears("leader"))
		heir.Terminate(unit.SIGTERM, unit.TargetGroup)
		heir.ends()
		heir.sweep()
		heir.emptied()
		mustBeGone(t, orphan)
	})
}

// TestADeadHeir is the same, but the new leader has ended too when the old run is killed.
func TestADeadHeir(t *testing.T) {
	alone(t, surroundings{PID1: true}, func(t *testing.T) {
		w := newWorld(t)
		old, heir := w.inherit("fork [ setsid fork [ ignore TERM say deaf sleep ] exit 0 ] say leader exit 0", func(old *life) {
			old.hears("deaf")
			old.ends()
			old.sweep()
			within(t, "the report", old.left)
			w.look() // from here on nobody has the number
		}, "fork [ fork [ clear say orphan sleep ] exit 0 ] say leader exit 0")
		orphan := heir.hears("orphan")
		heir.ends()
		old.Kill()
		old.emptied()
		mustLive(t, orphan)
	})
}

// look waits until the census has looked at all processes once more.
func (w *world) look() {
	w.t.Helper()
	done := make(chan bool)
	(&Run{k: w.Kernel, pid: -1, mark: "nobody's"}).Sweep(func() { close(done) }, nil)
	within(w.t, "a look", done)
}

// inherit starts a run, has it end as ending does, and starts another one that gets its number.
func (w *world) inherit(first string, ending func(old *life), second string) (old, heir *life) {
	w.t.Helper()
	for range 20 { // a thread that Go makes just then takes the number, too
		old = w.start(as(first))
		ending(old)
		must(w.t, os.WriteFile("/proc/sys/kernel/ns_last_pid", fmt.Append(nil, old.pid-1), 0))
		if heir = w.start(as(second)); heir.pid == old.pid {
			return old, heir
		}
	}
	w.t.Fatal("no new run got the number of an old one")
	return nil, nil
}

// TestASignalReachesWhoItIsFor: not who has the number by now, be it a leader.
func TestASignalReachesWhoItIsFor(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		w := newWorld(t)
		stdin, release, err := os.Pipe()
		must(t, err)
		c := as("fork [ say child eof say stillChild sleep ] say leader eof say stillLeader sleep")
		c.Files[0] = stdin
		l := w.start(c)
		stdin.Close()
		child, leader := l.hears("child"), l.hears("leader")
		for _, p := range []process{child, leader, {pid: 1 << 22, start: 1}} {
			p.start++
			must(t, w.kill(p, unix.SIGKILL))
		}
		release.Close()
		l.hears("stillChild")
		l.hears("stillLeader")
		for _, p := range []process{child, leader} {
			must(t, w.kill(p, unix.SIGKILL))
			eventually(t, "its end", func() bool { return !alive(p) })
		}
		if e := l.ends(); e.Signal != unit.SIGKILL {
			t.Errorf("the leader %v", e)
		}
	})
}

// TestANumberTaken: a process that has the number of a dead leader ends the belief that its session is the run's.
func TestANumberTaken(t *testing.T) {
	t.Parallel()
	r, other := &Run{pid: 100}, &Run{pid: 101}
	l := &look{all: map[int]info{100: {}, 101: {}}, leaderOf: map[int]*Run{101: other}}
	if known := index(l, []*Run{r, other}); known.byNumber[100] != nil || known.byNumber[101] == nil || r.set.numbers != anybodys {
		t.Errorf("%+v", known)
	}
}

// TestDescent: whose parent's number was used again during a scan descends from nobody, and a cycle of numbers ends.
func TestDescent(t *testing.T) {
	t.Parallel()
	made := func(pid, ppid int, start uint64) info { return info{process: process{pid, start}, ppid: ppid} }
	all := map[int]info{}
	for _, p := range []info{
		made(10, 1, 100), made(11, 10, 100), made(12, 11, 150), // 10 is asked for
		made(20, 99, 120), // its parent is gone
		made(30, 11, 90),  // older than who has its parent's number
		made(31, 30, 95),
		made(40, 41, 130), made(41, 40, 130),
		made(50, 0, 10), // from outside the namespace
	} {
		all[p.pid] = p
	}
	for pid, want := range map[int]bool{10: false, 11: true, 12: true, 20: false, 30: false, 31: false, 40: false, 50: false} {
		if got := descends(all, all[pid], 10); got != want {
			t.Errorf("process %d descends: %t", pid, got)
		}
	}
}

// TestDoubtsEnd: looks that may have missed somebody are taken again, but not for ever.
func TestDoubtsEnd(t *testing.T) {
	t.Parallel()
	for _, l := range []*look{{}, {made: true}, {blank: true}, {made: true, blank: true}} {
		c := &census{}
		r, told := &Run{k: &Kernel{}}, 0
		for i := range l.maxDoubts() + 1 {
			if told > 0 {
				t.Errorf("it was told empty after %d doubtful looks", i)
			}
			if wait := c.serve(r, wishes{sweep: func() { told++ }}, l); (wait == lookAgainDoubt) != (i < l.maxDoubts()) {
				t.Errorf("after %d doubtful looks the next is in %v", i, wait)
			}
		}
		if told != 1 {
			t.Errorf("it was told empty %d times", told)
		}
	}
}

// TestSeenWhileExecuting: a process that is just executing something has no
// environment for a moment, and is not overlooked for that.
func TestSeenWhileExecuting(t *testing.T) {
	alone(t, surroundings{PID1: true}, func(t *testing.T) {
		w := newWorld(t)
		for range rounds(10) {
			var lives []*life
			for range 10 {
				lives = append(lives, w.start(as("fork [ setsid fork [ say stray again 1000 ] exit 0 ] say leader exit 0")))
			}
			for _, l := range lives {
				l.hears("stray")
				l.ends()
				l.sweep()
				select {
				case <-l.left:
					l.Kill()
					l.emptied()
				case <-l.empty:
				}
				mustBeGone(t, l.hears("stray"))
			}
		}
	})
}
