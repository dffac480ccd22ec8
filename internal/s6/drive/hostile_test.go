package drive

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/s6/wire"
	"pintle/internal/unit"
)

// TestSkeleton: what a user needs to control, to see and to await an instance is his before s6 has seen it, in the modes
// that keep all others out, also of its logger; and a live one keeps the FIFOs that it has.
func TestSkeleton(t *testing.T) {
	eachUser(t, func(t *testing.T, w *world) {
		tree := w.open(template(func(u *unit.Template) { u.Spec.Log = &unit.Log{Directory: w.dir + "/logs", Size: 100_000, Keep: 1} }))
		_, _, err := tree.Create(t.Context(), engine.CreateRequest{Name: "gateway@a"})
		must(t, err)
		inodes := func() (all []uint64) {
			for _, at := range []string{"", "log/"} {
				for name, mode := range map[string]uint32{
					"event": unix.S_IFDIR | 0o3730, "supervise": unix.S_IFDIR | 0o755,
					"supervise/event": unix.S_IFDIR | 0o3730, "supervise/control": unix.S_IFIFO | 0o660,
				} {
					var st unix.Stat_t
					must(t, unix.Lstat(w.scan+"/gateway@a/"+at+name, &st))
					if st.Mode != mode || int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid() {
						t.Errorf("%s%s is %o, %d:%d", at, name, st.Mode, st.Uid, st.Gid)
					}
				}
				for _, name := range []string{"event", "supervise", "supervise/event", "supervise/control"} {
					var st unix.Stat_t
					must(t, unix.Lstat(w.scan+"/gateway@a/"+at+name, &st))
					all = append(all, st.Ino)
				}
			}
			return all
		}
		before := inodes()
		_, _, err = tree.Create(t.Context(), engine.CreateRequest{Name: "gateway@a"})
		must(t, err)
		ask(t)(tree.Restart(t.Context(), "gateway@a"))
		must(t, tree.Reconcile(t.Context(), func(string) {}))
		for i, ino := range inodes() {
			if ino != before[i] {
				t.Errorf("the %d. of the skeleton is another", i)
			}
		}
		ask(t)(tree.Remove(t.Context(), "gateway@a"))
	})
}

// TestU41: a state is read from s6's file, not from what a tool says of it in words; whichever release wrote it, its length
// tells the kind, whatever release it is said to be; and one that no release writes is said, and believed in nothing.
func TestU41(t *testing.T) {
	inWorld(t, os.Geteuid(), os.Geteuid(), func(t *testing.T, w *world) {
		tree := w.open(template())
		must(t, os.MkdirAll(w.scan+"/web/supervise", 0o755))
		must(t, os.WriteFile(w.scan+"/web/supervise/lock", nil, 0o644))
		d, err := wire.Open(w.scan + "/web")
		must(t, err)
		defer d.Close()
		seat, err := d.Supervise()
		must(t, err)
		defer seat.Close()
		up := wire.Status{Stamp: wire.StampOf(now()), PID: 4711, WantUp: true, PGID: 4711}
		for _, release := range []wire.Version{wire.Default, {2, 13, 1}, {2, 15}} {
			must(t, d.SetStatus(release, up))
			if s := ask(t)(tree.Get(t.Context(), "web")); s.State != unit.Up || s.PID != 4711 {
				t.Errorf("of %s: %+v", release, s)
			}
		}
		for _, size := range []int{0, 1, 34, 36, 42, 44, 10000} {
			must(t, os.WriteFile(w.scan+"/web/supervise/status", make([]byte, size), 0o644))
			if s := ask(t)(tree.Get(t.Context(), "web")); s.State != "unknown" || !strings.Contains(s.Because, "as no s6 writes it") {
				t.Errorf("of %d bytes: %+v", size, s)
			}
		}
	})
}

// TestHalfMade: whatever there is of an instance's directory, it can be seen, and removed, soon. (In a tree of root's, an
// s6-supervise of root's may get hold of a directory without a skeleton, and then nobody else can tell what it does.)
func TestHalfMade(t *testing.T) {
	inWorld(t, os.Geteuid(), os.Geteuid(), func(t *testing.T, w *world) {
		tree := w.open(template())
		at := w.scan + "/.half" // where s6-svscan, which may be looking still, has nothing begin in it
		for what, make := range map[string]func() error{
			"nothing":                 func() error { return nil },
			"a run":                   func() error { return os.WriteFile(at+"/run", []byte("#!/bin/sh\nexec sleep 100000\n"), 0o755) },
			"an empty supervise":      func() error { return os.Mkdir(at+"/supervise", 0o755) },
			"a symlink for event":     func() error { return os.Symlink("/etc", at+"/event") },
			"a symlink for supervise": func() error { return os.Symlink("/etc", at+"/supervise") },
			"a symlink for data":      func() error { return os.Symlink("/etc", at+"/data") },
			"a FIFO for log":          func() error { return unix.Mkfifo(at+"/log", 0o666) },
			"a FIFO for down":         func() error { return unix.Mkfifo(at+"/down", 0o666) },
			"a FIFO for the lock": func() error {
				_ = os.Mkdir(at+"/supervise", 0o755)
				return unix.Mkfifo(at+"/supervise/lock", 0o666)
			},
			"a control FIFO without a reader": func() error {
				_ = os.Mkdir(at+"/supervise", 0o755)
				return unix.Mkfifo(at+"/supervise/control", 0o666)
			},
		} {
			must(t, os.Mkdir(at, 0o755))
			must(t, make())
			must(t, os.Rename(at, w.scan+"/gateway@half"))
			began := time.Now()
			_, err := tree.Get(t.Context(), "gateway@half")
			must(t, err)
			if list, err := tree.List(t.Context()); err != nil || len(list) != 1 {
				t.Errorf("%s: %v, %v", what, list, err)
			}
			if _, err := tree.Remove(t.Context(), "gateway@half"); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if took := time.Since(began); took > patience/2 {
				t.Errorf("%s: it took %v", what, took)
			}
			must(t, tree.Reconcile(t.Context(), func(string) {}))
			if left := w.left(); len(left) > 0 {
				t.Fatalf("%s: %v", what, left)
			}
		}
	})
}

// TestDeafSupervisor: a supervisor that never reads what it is told holds nobody up who tells it; nor does one who has
// the lock of a name for himself.
func TestDeafSupervisor(t *testing.T) {
	inWorld(t, os.Geteuid(), os.Geteuid(), func(t *testing.T, w *world) {
		tree := w.open(template())
		tree.o.Patience = time.Second
		_, _, err := tree.Create(t.Context(), engine.CreateRequest{Name: "gateway@a", Down: true})
		must(t, err)
		control := w.scan + "/gateway@a/supervise/control"
		must(t, os.Remove(control))
		must(t, unix.Mkfifo(control, 0o666))
		deaf, err := os.OpenFile(control, os.O_RDWR|unix.O_NONBLOCK, 0)
		must(t, err)
		defer deaf.Close()
		fd := int(deaf.Fd())
		must(t, unix.SetNonblock(fd, true))
		for {
			if _, err := unix.Write(fd, make([]byte, 4096)); err != nil {
				break // it is full
			}
		}
		began := time.Now()
		if _, err := tree.Start(t.Context(), "gateway@a"); err == nil || !strings.HasPrefix(err.Error(), "cannot start gateway@a: ") {
			t.Errorf("start: %v", err)
		}
		held, err := os.OpenFile(w.scan+"/"+workshop+"/gateway@b"+lockSuffix, os.O_CREATE|os.O_RDWR, 0o600)
		must(t, err)
		defer held.Close()
		if got, err := wire.Lock(held, true); !got || err != nil {
			t.Fatal(got, err)
		}
		if _, _, err := tree.Create(t.Context(), engine.CreateRequest{Name: "gateway@b"}); err == nil || err.Error() != "cannot create gateway@b: cannot lock gateway@b: somebody else has it" {
			t.Errorf("create: %v", err)
		}
		if took := time.Since(began); took > patience/2 {
			t.Errorf("it took %v", took)
		}
	})
}

// TestBirth: an s6-supervise that has its lock and not yet its control FIFO is told what is wanted as soon as it has one.
func TestBirth(t *testing.T) {
	inWorld(t, os.Geteuid(), os.Geteuid(), func(t *testing.T, w *world) {
		supervise := w.scan + "/web/supervise"
		must(t, os.MkdirAll(supervise, 0o755))
		lock, err := os.Create(supervise + "/lock")
		must(t, err)
		defer lock.Close()
		if got, err := wire.Lock(lock, true); !got || err != nil {
			t.Fatal(got, err)
		}
		tree := w.open()
		heard := make(chan string, 1)
		time.AfterFunc(again/2, func() {
			if err := unix.Mkfifo(supervise+"/control", 0o600); err != nil {
				t.Error(err)
			}
			control, err := os.OpenFile(supervise+"/control", os.O_RDWR, 0)
			if err != nil {
				t.Error(err)
			}
			defer control.Close()
			command := make([]byte, 10)
			n, err := control.Read(command)
			if err != nil {
				t.Error(err)
			}
			heard <- string(command[:n])
		})
		ask(t)(tree.Stop(t.Context(), "web"))
		if command := <-heard; command != "d" {
			t.Errorf("it heard %q", command)
		}
	})
}

// TestNames: a name that no unit has leads nowhere, and what is s6's own is not there, for no verb.
func TestNames(t *testing.T) {
	inWorld(t, os.Geteuid(), os.Geteuid(), func(t *testing.T, w *world) {
		tree := w.open(template())
		must(t, os.MkdirAll(w.dir+"/outside/supervise", 0o755))
		must(t, os.MkdirAll(w.scan+"/s6rc-oneshot-runner", 0o755))
		for _, name := range []unit.Name{
			"", ".", "..", "../outside", "gateway@../../outside", "gateway@", "@a", "gateway@a/b", ".pintle", ".s6-svscan", "gateway@a!lock",
			unit.Name(w.dir + "/outside"), unit.Name("gateway@" + strings.Repeat("x", 300)), "gateway@a\x00b", "gateway@a\nb", "s6rc-oneshot-runner",
		} {
			for what, do := range map[string]func() error{
				"find":    func() error { _, err := tree.Get(t.Context(), name); return err },
				"start":   func() error { _, err := tree.Start(t.Context(), name); return err },
				"stop":    func() error { _, err := tree.Stop(t.Context(), name); return err },
				"restart": func() error { _, err := tree.Restart(t.Context(), name); return err },
				"remove":  func() error { _, err := tree.Remove(t.Context(), name); return err },
				"signal":  func() error { _, err := tree.Signal(t.Context(), name, unit.SIGTERM); return err },
				"create": func() error {
					_, _, err := tree.Create(t.Context(), engine.CreateRequest{Name: name})
					return err
				},
			} {
				if err := do(); err == nil || engine.KindOf(err) != engine.NotFound && engine.KindOf(err) != engine.Invalid {
					t.Errorf("%s %.40q: %v", what, name, err)
				}
			}
		}
		if names := w.left(); len(names) != 1 {
			t.Errorf("there are %v", names)
		}
	})
}

// TestRootInAUsersTree: root does nothing with its own rights in a scan directory that is somebody else's, and permits
// nobody what a link of such a one leads to.
func TestRootInAUsersTree(t *testing.T) {
	if os.Geteuid() != 0 || os.Getenv(asVariable) != "" {
		t.Skip("it is about root")
	}
	dir := t.TempDir()
	scan := dir + "/service"
	must(t, os.MkdirAll(scan, 0o755))
	must(t, os.Chown(scan, user, user))
	if tree, err := Open(Options{Scan: scan}); engine.KindOf(err) != engine.Denied {
		t.Errorf("%v, %v", tree, err)
	}
	own := dir + "/servicedirs"
	for _, name := range []string{"s6rc-oneshot-runner", "web"} {
		must(t, os.MkdirAll(own+"/"+name, 0o755))
		d, err := wire.Open(own + "/" + name)
		must(t, err)
		seat, err := d.Supervise()
		must(t, err)
		defer seat.Close()
		defer d.Close()
	}
	modes := func(name string) (all []uint32) {
		for _, n := range []string{"supervise", "supervise/control", "event"} {
			var st unix.Stat_t
			must(t, unix.Stat(own+"/"+name+"/"+n, &st))
			all = append(all, st.Mode, st.Gid)
		}
		return all
	}
	for _, target := range []string{"s6rc-oneshot-runner", "web"} {
		before := modes(target)
		must(t, os.Symlink(own+"/"+target, scan+"/mine"))
		var s said
		_ = Permit("10000", []string{scan}, s.say)
		if after := modes(target); !equal(before, after) {
			t.Errorf("a link to %s is permitted: %o, %o; %q", target, before, after, s.lines)
		}
		must(t, os.Remove(scan+"/mine"))
	}
	// A link of root's own is what it leads to; s6's own services are it by any name.
	must(t, os.Chown(scan, 0, 0))
	must(t, os.Symlink(own+"/web", scan+"/by-link"))
	must(t, os.Symlink(own+"/s6rc-oneshot-runner", scan+"/other-name"))
	before := modes("s6rc-oneshot-runner")
	var s said
	must(t, Permit("10000", []string{scan, own + "/s6rc-oneshot-runner"}, s.say))
	if !equal(before, modes("s6rc-oneshot-runner")) || !s.has("may control "+scan+"/by-link") {
		t.Errorf("%q", s.lines)
	}
}

func equal(a, b []uint32) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestForeignLog: who writes a log can have it be a FIFO, or a link; nobody waits for the one, nor is shown the other.
func TestForeignLog(t *testing.T) {
	inWorld(t, os.Geteuid(), os.Geteuid(), func(t *testing.T, w *world) {
		tree := w.open(template(func(u *unit.Template) { u.Spec.Log = &unit.Log{Directory: w.dir + "/logs", Size: 100_000, Keep: 1} }))
		_, _, err := tree.Create(t.Context(), engine.CreateRequest{Name: "gateway@a", Down: true})
		must(t, err)
		current := w.dir + "/logs/current"
		w.eventually("the logger to begin", func() bool { _, err := os.Stat(current); return err == nil })
		for what, make := range map[string]func() error{
			"a FIFO": func() error { return unix.Mkfifo(current, 0o666) },
			"a link": func() error { return os.Symlink("/etc/passwd", current) },
		} {
			must(t, os.Remove(current))
			must(t, make())
			for l, err := range tree.Logs(t.Context(), engine.LogRequest{Name: "gateway@a", Tail: -1}) {
				if err == nil || l.Text != "" {
					t.Errorf("%s: %+v, %v", what, l, err)
				}
			}
		}
		ask(t)(tree.Remove(t.Context(), "gateway@a"))
	})
}

// TestHeardAtOnce: who waits hears of a change by s6's event, not by looking again; one who may not listen looks again.
func TestHeardAtOnce(t *testing.T) {
	dir := t.TempDir()
	d, err := wire.Open(dir)
	must(t, err)
	defer d.Close()
	must(t, d.Seed(wire.Owner{UID: -1, GID: -1}))
	events, err := d.Events()
	must(t, err)
	defer events.Close()
	least := time.Hour
	for range 20 {
		asked := 0
		began := time.Now()
		must(t, until(t.Context(), []*wire.Dir{d}, func() (bool, error) {
			if asked++; asked == 1 {
				_, err := events.Notify("d")
				return false, err
			}
			return true, nil
		}))
		least = min(least, time.Since(began))
	}
	if least >= again/2 {
		t.Errorf("it took at least %v", least)
	}
	must(t, os.RemoveAll(dir+"/event"))
	asked := 0
	must(t, until(t.Context(), []*wire.Dir{d}, func() (bool, error) { asked++; return asked > 1, nil }))
}
