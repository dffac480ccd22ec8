package process

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// TestPlaces: pintle's own cgroup is found where it can be seen, and nowhere else.
func TestPlaces(t *testing.T) {
	t.Parallel()
	const (
		host    = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
		plain   = "30 20 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n"
		bound   = "30 20 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
		outside = "30 20 0:26 /../.. /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
		spaced  = `30 20 0:26 / /a\040b ro - cgroup2 cgroup rw` + "\n"
	)
	for _, c := range []struct {
		own, mounts string
		want        []place
	}{
		{"9:name=systemd:/x\n0::/\n", host, []place{{"/sys/fs/cgroup/unified", "/"}}},
		{"0::/\n", plain, []place{{"/sys/fs/cgroup", "/"}}},
		{"0::/\n", plain + host, []place{{"/sys/fs/cgroup", "/"}, {"/sys/fs/cgroup/unified", "/"}}},
		{"0::/user.slice/a b\n", spaced, []place{{"/a b/user.slice/a b", "/user.slice/a b"}}},
		{"0::/docker/abc\n", bound, []place{{"/sys/fs/cgroup", "/docker/abc"}}},
		{"0::/docker/abc/in\n", bound, []place{{"/sys/fs/cgroup/in", "/docker/abc/in"}}},
		{"0::/docker/abcd\n", bound, nil}, // a sibling
		{"0::/../other\n", plain, nil},
		{"0::/\n", outside, nil},
		{"0::/\n", "31 23 0:28 / /sys/fs/cgroup rw - cgroup cgroup rw,cpu\n", nil},
		{"1:cpu:/\n", plain, nil}, // version 1 alone
		{"", "", nil},
	} {
		if got := placesIn(c.own, c.mounts); !slices.Equal(got, c.want) {
			t.Errorf("%q in %q: %v, want %v", c.own, c.mounts, got, c.want)
		}
	}
}

// TestDirIn: a process is in a run's cgroup by the whole name, also deeper in it and when that has been removed.
func TestDirIn(t *testing.T) {
	t.Parallel()
	g := &cgroups{base: "/m/pintle.x", place: "/own/pintle.x"}
	for text, want := range map[string]cgroup{
		"0::/own/pintle.x/web.1\n":               "/m/pintle.x/web.1",
		"3:cpu:/a\n0::/own/pintle.x/web.1/sub\n": "/m/pintle.x/web.1",
		"0::/own/pintle.x/web.1 (deleted)\n":     "/m/pintle.x/web.1",
		"0::/own/pintle.x\n":                     "",
		"0::/own/pintle.xy/web.1\n":              "",
		"3:cpu:/own/pintle.x/web.1\n":            "",
		"":                                       "",
	} {
		if got := g.dirIn([]byte(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// withCgroups runs a test that is about cgroups alone.
func withCgroups(t *testing.T, s surroundings, body func(w *world)) {
	s.Cgroup = true
	alone(t, s, func(t *testing.T) { body(newWorldOf(t, SetsCgroup)) })
}

// TestARunsCgroup is there while the run is, and holds all of it.
func TestARunsCgroup(t *testing.T) {
	withCgroups(t, container, func(w *world) {
		t := w.t
		if w.Sets() != "cgroup v2" {
			t.Errorf("the means is said to be %q", w.Sets())
		}
		c := hostile.does("say leader sleep")
		c.Unit, c.Number = "web@a", 7
		l, same := w.start(c), w.start(c)
		if want := w.cgroups.base.file("web@a.7"); string(l.cgroup) != want || !strings.HasPrefix(string(same.cgroup), want+".") {
			t.Errorf("the cgroups are %s and %s", l.cgroup, same.cgroup)
		}
		if pids := l.cgroup.pids(); !slices.Equal(pids, []int{l.hears("leader").pid}) {
			t.Errorf("in it are %v", pids)
		}
		l.Kill()
		l.ends()
		l.sweep()
		l.emptied()
		if _, err := os.Stat(string(l.cgroup)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", l.cgroup, err)
		}
		for _, path := range []string{"/nowhere", "/etc/passwd"} {
			c := Command{Path: path, Args: []string{"x"}, Unit: "bad", Identity: &hostile}
			if _, err := w.Start(c, Hooks{}); err == nil {
				t.Errorf("%s was started", path)
			}
			c.Identity = nil
			if _, err := w.Start(c, Hooks{}); err == nil {
				t.Errorf("%s was started", path)
			}
		}
		w.cgroups.retry()
		entries, err := os.ReadDir(string(w.cgroups.base))
		must(t, err)
		dirs := slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !e.IsDir() })
		if len(dirs) != 1 || len(w.living()) != 1 {
			t.Errorf("cgroups are left of what was not started: %v", dirs)
		}
	})
}

// TestARunWithoutItsCgroup: where a run can't get one it does without, and that is said once.
func TestARunWithoutItsCgroup(t *testing.T) {
	for name, spoil := range map[string]func(t testing.TB, base cgroup){
		"none can be made": func(t testing.TB, base cgroup) { must(t, base.write("cgroup.max.descendants", "0")) },
		"none takes a process": func(t testing.TB, base cgroup) {
			threads := cgroup(base.file("threads"))
			must(t, os.Mkdir(string(threads), 0o700))
			must(t, threads.write("cgroup.type", "threaded")) // from now on what is made in base can have no processes
		},
	} {
		t.Run(name, func(t *testing.T) {
			withCgroups(t, container, func(w *world) {
				t := w.t
				spoil(t, w.cgroups.base)
				l := w.start(hostile.does("fork [ setsid fork [ ignore TERM say stray sleep ] exit 0 ] say leader sleep"))
				stray := l.hears("stray")
				p, err := l.of(w, "say probe sleep")
				must(t, err)
				probe := p.hears("probe")
				if said := w.log.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "cannot make a cgroup for run "+strings.SplitN(l.mark, "/", 2)[1]) {
					t.Errorf("the Kernel said %q", said)
				}
				if r := w.RunOf(stray.pid); r != l.Run {
					t.Errorf("the stray belongs to %v", r)
				}
				l.Terminate(unit.SIGTERM, "")
				l.ends()
				l.sweep()
				within(t, "the report", l.left)
				l.Kill()
				l.emptied()
				mustBeGone(t, stray, probe)
			})
		})
	}
}

// TestCgroupsOfDeadPintles are removed where nothing is left in them, and where their pintle is dead.
func TestCgroupsOfDeadPintles(t *testing.T) {
	alone(t, surroundings{Cgroup: true}, func(t *testing.T) {
		places, err := ownPlaces()
		must(t, err)
		// A place of this test's own, so that it is not disturbed by others.
		own := cgroup(places[0].dir + "/test.dead")
		must(t, os.MkdirAll(string(own), 0o700))
		defer func() { must(t, own.remove()) }()
		at := place{string(own), places[0].name + "/test.dead"}
		dead, full, living := cgroup(own.file("pintle.dead")), cgroup(own.file("pintle.full")), cgroup(own.file("pintle.living"))
		for _, g := range []cgroup{dead, full, living} {
			must(t, os.MkdirAll(g.file("web.1/sub"), 0o700))
		}
		lock, err := lockDir(living)
		must(t, err)
		defer lock.Close()
		must(t, cgroup(full.file("web.1")).write("cgroup.procs", "0"))
		g, err := openAt(at)
		must(t, err)
		defer func() { must(t, g.close()) }()
		for dir, want := range map[cgroup]bool{dead: false, full: true, cgroup(full.file("web.1")): true, living: true, cgroup(living.file("web.1/sub")): true} {
			if _, err := os.Stat(string(dir)); (err == nil) != want {
				t.Errorf("%s: %v", dir, err)
			}
		}
		must(t, cgroup(places[0].dir).write("cgroup.procs", "0"))
	})
}

// TestAChangeIsTold: nobody has to look again and again for a cgroup to become empty.
func TestAChangeIsTold(t *testing.T) {
	alone(t, surroundings{Cgroup: true}, func(t *testing.T) {
		places, err := ownPlaces()
		must(t, err)
		g, err := openAt(places[0])
		must(t, err)
		changed, over := make(chan bool, 10), make(chan bool)
		go func() {
			g.listen(func() { changed <- true })
			close(over)
		}()
		dir, err := g.add("web", 1)
		must(t, err)
		if dir.populated() {
			t.Error("a new cgroup has processes")
		}
		g.watch(dir)
		must(t, dir.write("cgroup.procs", "0"))
		within(t, "a change", changed)
		if !dir.populated() {
			t.Error("there is none in it")
		}
		if g.drop(dir); len(g.kept) != 1 {
			t.Error("a cgroup with a process in it was removed")
		}
		must(t, cgroup(places[0].dir).write("cgroup.procs", "0"))
		within(t, "a change", changed)
		g.retry()
		if _, err := os.Stat(string(dir)); !errors.Is(err, os.ErrNotExist) || len(g.kept) > 0 {
			t.Errorf("%s is left: %v", dir, err)
		}
		must(t, g.close())
		within(t, "the listener's end", over)
	})
}

// TestWhenAScanIsNeeded: not for what the run's cgroup tells.
func TestWhenAScanIsNeeded(t *testing.T) {
	t.Parallel()
	stop := func(target unit.Target) wishes {
		return wishes{sweep: func() {}, kill: true, terminate: []termination{{unit.SIGTERM, target}}}
	}
	confined := &Run{belonging: belonging{confined: true}}
	probe := &Run{belonging: belonging{of: confined}}
	late := wishes{terminate: []termination{{unit.SIGTERM, unit.TargetGroup}}}
	for i, c := range []struct {
		r    *Run
		w    wishes
		want bool
	}{
		{&Run{}, late, true}, {confined, stop(unit.TargetSet), false}, {probe, late, false}, {probe, stop(""), true},
		{probe, wishes{terminate: []termination{{unit.SIGTERM, unit.TargetSet}}}, true},
		{&Run{belonging: belonging{of: &Run{}}}, late, true},
	} {
		if got := c.r.needsAll(c.w); got != c.want {
			t.Errorf("%d: %t", i, got)
		}
	}
}

// TestNoCgroupToBeHad: who insists is told why there is none, anybody else does without.
func TestNoCgroupToBeHad(t *testing.T) {
	alone(t, surroundings{Cgroup: true, UID: 12345, GID: 12345}, func(t *testing.T) {
		if _, err := New(Options{Sets: SetsCgroup}); err == nil || !strings.Contains(err.Error(), "cannot use cgroups: ") {
			t.Errorf("%v", err)
		}
		w := newWorldOf(t, SetsAuto)
		if w.cgroups != nil || w.Sets() != "session, process group, descent and mark" {
			t.Errorf("the means is said to be %q", w.Sets())
		}
		l := w.start(as("exit 0"))
		l.ends()
		l.sweep()
		l.emptied()
	})
}

// TestADelegatedCgroup: a pintle that is not root uses a cgroup that it was given, and finds what moved itself out of its run's.
func TestADelegatedCgroup(t *testing.T) {
	alone(t, surroundings{Delegate: "test.delegated", UID: 12345, GID: 12345, NoCaps: true}, func(t *testing.T) {
		places, err := ownPlaces()
		must(t, err)
		outside := cgroup(places[0].dir)
		w := newWorldOf(t, SetsCgroup)
		if !strings.HasPrefix(w.Sets(), "cgroup v2, session") {
			t.Errorf("the means is said to be %q", w.Sets())
		}
		l := w.start(as("fork [ setsid fork [ ignore TERM cgroup " + string(outside) + " say moved sleep ] exit 0 ] " +
			"fork [ setsid clear fork [ ignore TERM say lost sleep ] exit 0 ] say leader sleep"))
		moved, lost := l.hears("moved"), l.hears("lost")
		if pids := l.cgroup.pids(); slices.Contains(pids, moved.pid) || !slices.Contains(pids, lost.pid) {
			t.Errorf("in the cgroup are %v", pids)
		}
		l.Terminate(unit.Signal(unix.SIGTERM), unit.TargetSet)
		l.ends()
		l.sweep()
		within(t, "the report", l.left)
		mustLive(t, moved, lost)
		l.Kill()
		l.emptied()
		mustBeGone(t, moved, lost)
	})
}
