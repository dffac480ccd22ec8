package drive

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/s6/wire"
	"pintle/internal/unit"
)

// said collects lines.
type said struct {
	mu    sync.Mutex
	lines []string
}

func (s *said) say(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

func (s *said) has(text string) bool {
	return slices.ContainsFunc(s.lines, func(l string) bool { return strings.Contains(l, text) })
}

// fresh is the scan directory as the container's next life has it: empty.
func (w *world) fresh(t *testing.T, tree *Tree) {
	t.Helper()
	list, err := tree.List(t.Context())
	must(t, err)
	for _, s := range list { // not by Remove, which would forget them
		d, err := tree.open("end", s.Name)
		must(t, err)
		unlock, err := tree.lock(t.Context(), string(s.Name))
		must(t, err)
		must(t, tree.stopped(t.Context(), d))
		must(t, tree.takeAway(t.Context(), d, s.Name, interim(s.Name)))
		unlock()
		d.close()
	}
}

// TestReconcile: in the container's next life each instance is there again and as it was wanted last, one that is new as
// a file of somebody else's or its template says; what cannot be made is said, and keeps no other from it.
func TestReconcile(t *testing.T) {
	eachUser(t, func(t *testing.T, w *world) {
		for _, name := range []string{"found", "wanted", "asked", "Bad Name", "notext"} {
			must(t, os.MkdirAll(w.dir+"/profiles/"+name, 0o755))
			must(t, os.WriteFile(w.dir+"/profiles/"+name+"/MARK", nil, 0o644))
		}
		must(t, os.WriteFile(w.dir+"/profiles/wanted/state.json", []byte(`{"desired": "running"}`), 0o644))
		must(t, os.WriteFile(w.dir+"/profiles/notext/state.json", []byte("{\xff"), 0o644))
		gateway := template(func(u *unit.Template) {
			u.Always = []string{"default"}
			u.Discover = &unit.Discovery{Directory: w.dir + "/profiles", Marker: "MARK"}
			u.IntentFrom = &unit.IntentSource{File: w.dir + "/profiles/%i/state.json", Paths: []string{"desired"}, Up: []string{"running"}}
		})
		broken := template(func(u *unit.Template) {
			u.Name, u.Always, u.Spec.Command = "broken", []string{"x"}, []string{"o\x00ps"}
		})
		tree := w.open(gateway, broken)
		ctx, got := t.Context(), ask(t)

		var first said
		if err := tree.Reconcile(ctx, first.say); engine.KindOf(err) != engine.Internal {
			t.Errorf("%v", err)
		}
		for _, text := range []string{
			"gateway@default: restored, down (boot)", "gateway@found: restored, down (discovery)", "gateway@wanted: restored, up (discovery)",
			"gateway@notext: restored, down (discovery)", "cannot restore broken@x: there is a NUL in what run would say", `"Bad Name"`,
		} {
			if !first.has(text) {
				t.Errorf("%q is not said: %q", text, first.lines)
			}
		}
		untilState(t, tree, "gateway@wanted", unit.Up)
		got(tree.Start(ctx, "gateway@asked"))
		got(tree.Stop(ctx, "gateway@wanted"))
		_, _, err := tree.Create(ctx, engine.CreateRequest{Name: "gateway@made"})
		must(t, err)
		if s := got(tree.Remove(ctx, "gateway@found")); s.Origin == "" {
			t.Errorf("%+v", s)
		}
		if s := got(tree.Start(ctx, "gateway@notext")); s.Desired != "up" {
			t.Errorf("%+v", s)
		}
		must(t, os.MkdirAll(w.dir+"/profiles/late", 0o755))
		must(t, os.WriteFile(w.dir+"/profiles/late/MARK", nil, 0o644))
		got(tree.Start(ctx, "gateway@late")) // its directory alone makes it known
		must(t, os.RemoveAll(w.dir+"/profiles/notext"))

		w.fresh(t, tree)
		must(t, os.WriteFile(w.dir+"/state/intents/gateway@asked.json", []byte("[]"), 0o600))
		next := w.open(gateway)
		var second said
		if err := next.Reconcile(ctx, second.say); engine.KindOf(err) != engine.Internal {
			t.Errorf("%v", err)
		}
		for _, text := range []string{
			"gateway@default: restored, down", "gateway@found: restored, down (uid", "gateway@wanted: restored, down (uid",
			"gateway@made: restored, up (uid", "gateway@late: restored, up (uid", "gateway@asked: restored, down (discovery)", "a desired state is not known",
		} {
			if !second.has(text) {
				t.Errorf("%q is not said: %q", text, second.lines)
			}
		}
		if second.has("gateway@notext") {
			t.Errorf("what no directory declares any more is back: %q", second.lines)
		}
		var third said
		if err := next.Reconcile(ctx, third.say); err != nil || !third.has("gateway@made: it is there already") || third.has("restored") {
			t.Errorf("%v, %q", err, third.lines)
		}
		list, err := next.List(ctx)
		must(t, err)
		for _, s := range list {
			if !slices.Contains(gateway.Always, s.Name.Instance()) {
				got(next.Remove(ctx, s.Name))
			}
		}
		w.fresh(t, next)
	})
}

// TestPermit: a user to whom root has given it sees, waits for and controls a service of root's, and not s6's own; root
// keeps the directories, and what is in the way of that is not followed.
func TestPermit(t *testing.T) {
	if os.Geteuid() != 0 && os.Getenv(asVariable) == "" {
		t.Skip("only root can permit anything")
	}
	needReal(t)
	dir := t.TempDir()
	for _, name := range []string{"web", "s6rc-oneshot-runner", "s6-linux-init-shutdownd", "bad"} {
		must(t, os.MkdirAll(dir+"/"+name+"/log", 0o755))
		d, err := wire.Open(dir + "/" + name)
		must(t, err)
		for _, sub := range []string{"", "log"} {
			at := d
			if sub != "" {
				at, err = d.Sub(sub)
				must(t, err)
			}
			seat, err := at.Supervise()
			must(t, err)
			defer seat.Close()
		}
	}
	victim := dir + "/victim"
	must(t, os.WriteFile(victim, nil, 0o600))
	must(t, os.Remove(dir+"/bad/supervise/control"))
	must(t, os.Symlink(victim, dir+"/bad/supervise/control"))
	var s said
	err := Permit("10000", []string{dir, dir + "/none"}, s.say)
	if err == nil || !s.has("10000 may control "+dir+"/web") || s.has("s6rc") || s.has("s6-linux") || !s.has("cannot permit 10000 to control "+dir+"/bad: control") {
		t.Errorf("%v, %q", err, s.lines)
	}
	check := func(path string, mode, gid uint32) {
		t.Helper()
		var st unix.Stat_t
		must(t, unix.Stat(path, &st))
		if st.Mode&0o7777 != mode || st.Uid != 0 || st.Gid != gid {
			t.Errorf("%s is %o, %d:%d", path, st.Mode&0o7777, st.Uid, st.Gid)
		}
	}
	for _, at := range []string{dir + "/web", dir + "/web/log"} {
		check(at+"/supervise", 0o710, 10000)
		check(at+"/supervise/control", 0o660, 10000)
		check(at+"/event", 0o3730, 10000)
	}
	check(dir+"/s6rc-oneshot-runner/supervise", 0o700, 0)
	check(victim, 0o600, 0)
}

// TestStatic: a service that pintle did not make is shown, and controlled by who may; s6's own are not there at all.
func TestStatic(t *testing.T) {
	eachUser(t, func(t *testing.T, w *world) {
		for _, name := range []string{"web", "s6rc-fdholder", "s6-linux-init-runleveld", wire.CatchAll} {
			must(t, os.MkdirAll(w.dir+"/static/"+name, 0o755))
			must(t, os.WriteFile(w.dir+"/static/"+name+"/run", []byte("#!/bin/sh\nexec sleep 100000\n"), 0o755))
			must(t, os.Symlink(w.dir+"/static/"+name, w.scan+"/"+name))
		}
		tree := w.open(template())
		must(t, tree.rescan(false))
		var list []engine.Status
		w.eventually("web to be there", func() bool {
			var err error
			list, err = tree.List(t.Context())
			must(t, err)
			return len(list) == 1 && (list[0].State == unit.Up || list[0].Restricted)
		})
		ctx := t.Context()
		if _, err := tree.Remove(ctx, "web"); engine.KindOf(err) != engine.Conflict {
			t.Errorf("remove: %v", err)
		}
		if _, _, err := tree.Create(ctx, engine.CreateRequest{Name: "web"}); engine.KindOf(err) != engine.Invalid {
			t.Errorf("create: %v", err)
		}
		if list[0].Restricted { // the tree is root's, and nobody has permitted it
			_, err := tree.Stop(ctx, "web")
			if engine.KindOf(err) != engine.Denied || !strings.Contains(err.Error(), "pintle --engine s6 permit") {
				t.Errorf("stop: %v", err)
			}
			return
		}
		ask(t)(tree.Stop(ctx, "web"))
		untilState(t, tree, "web", unit.Down)
		ask(t)(tree.Restart(ctx, "web"))
		if s := untilState(t, tree, "web", unit.Up); s.Run != 2 || s.Kind != unit.Service {
			t.Errorf("%+v", s)
		}
	})
}

// TestInTheWay: what somebody has put where an instance, its files or the workshop are to be is refused or replaced, never
// followed, and waits for nobody.
func TestInTheWay(t *testing.T) {
	inWorld(t, os.Geteuid(), os.Geteuid(), func(t *testing.T, w *world) {
		ctx := t.Context()
		elsewhere := w.dir + "/elsewhere"
		must(t, os.MkdirAll(elsewhere, 0o755))
		must(t, os.WriteFile(elsewhere+"/precious", nil, 0o644))
		tree := w.open(template())
		untouched := func() {
			t.Helper()
			entries, _ := os.ReadDir(elsewhere)
			for _, e := range entries { // s6-svscan itself goes there
				if name := e.Name(); name != "precious" && name != "event" && name != "supervise" {
					t.Errorf("somebody was elsewhere: %s", name)
				}
			}
		}

		must(t, os.WriteFile(w.scan+"/"+workshop, nil, 0o644))
		if _, _, err := tree.Create(ctx, engine.CreateRequest{Name: "gateway@a"}); err == nil || !strings.Contains(err.Error(), "in the way") {
			t.Errorf("a file as workshop: %v", err)
		}
		must(t, os.Remove(w.scan+"/"+workshop))
		must(t, os.Symlink(elsewhere, w.scan+"/"+workshop))
		if _, _, err := tree.Create(ctx, engine.CreateRequest{Name: "gateway@a"}); err == nil || !strings.Contains(err.Error(), "in the way") {
			t.Errorf("a symlink as workshop: %v", err)
		}
		must(t, os.Remove(w.scan+"/"+workshop))

		must(t, os.Symlink(elsewhere, w.scan+"/gateway@link"))
		must(t, unix.Mkfifo(w.scan+"/gateway@fifo", 0o666))
		for _, name := range []unit.Name{"gateway@link", "gateway@fifo"} {
			for what, do := range map[string]func() error{
				"create": func() error { _, _, err := tree.Create(ctx, engine.CreateRequest{Name: name}); return err },
				"start":  func() error { _, err := tree.Start(ctx, name); return err },
				"remove": func() error { _, err := tree.Remove(ctx, name); return err },
			} {
				if err := do(); err == nil || !strings.Contains(err.Error(), "is no directory, so it was not made by pintle") {
					t.Errorf("%s %s: %v", what, name, err)
				}
			}
		}
		untouched()

		_, _, err := tree.Create(ctx, engine.CreateRequest{Name: "gateway@a", Down: true})
		must(t, err)
		at := w.scan + "/gateway@a/"
		must(t, os.Remove(at+"run"))
		must(t, os.Symlink(elsewhere+"/precious", at+"run"))
		must(t, os.Symlink(elsewhere+"/precious", at+".new-finish"))
		must(t, os.Remove(at+noteFile))
		must(t, unix.Mkfifo(at+noteFile, 0o666))
		if _, err := tree.Get(ctx, "gateway@a"); err != nil {
			t.Errorf("a FIFO as note: %v", err)
		}
		ask(t)(tree.Start(ctx, "gateway@a"))
		untilState(t, tree, "gateway@a", unit.Up)
		if text, _ := os.ReadFile(elsewhere + "/precious"); len(text) > 0 {
			t.Errorf("it was written through a symlink: %q", text)
		}
		if info, err := os.Lstat(at + "run"); err != nil || !info.Mode().IsRegular() {
			t.Errorf("run is %v, %v", info.Mode(), err)
		}

		// What a command that was killed has left is nobody's obstacle, and goes with the next.
		left := w.scan + "/" + interim("gateway@a")
		must(t, os.MkdirAll(filepath.Join(left, "supervise"), 0o755))
		must(t, os.Symlink(elsewhere, left+"/data"))
		held, err := os.OpenFile(w.scan+"/"+workshop+"/gateway@a"+lockSuffix, os.O_CREATE|os.O_RDWR, 0o600)
		must(t, err)
		must(t, held.Close()) // nobody has it
		ask(t)(tree.Remove(ctx, "gateway@a"))
		must(t, tree.Reconcile(ctx, func(string) {}))
		if _, err := os.Lstat(left); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", left, err)
		}
		untouched()
		_ = syscall.Unlink(w.scan + "/gateway@link")
	})
}

// TestMax: a template has no more instances than it may, however many are asked for at once.
func TestMax(t *testing.T) {
	inWorld(t, os.Geteuid(), os.Geteuid(), func(t *testing.T, w *world) {
		tree := w.open(template(func(u *unit.Template) { u.Max = 3 }))
		var mu sync.Mutex
		made, refused := 0, 0
		var wg sync.WaitGroup
		for _, i := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			wg.Go(func() {
				_, _, err := tree.Create(t.Context(), engine.CreateRequest{Name: unit.Name("gateway@" + i), Down: true})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					made++
				case engine.KindOf(err) == engine.Conflict && strings.Contains(err.Error(), "has 3 instances already, which is its max"):
					refused++
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if made != 3 || refused != 5 || len(w.left()) != 3 {
			t.Errorf("%d made, %d refused, %v", made, refused, w.left())
		}
	})
}
