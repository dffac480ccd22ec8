package supervisor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pintle/internal/engine"
	"pintle/internal/logs"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// sharer is one of the containers that share a state directory: its own supervisor, store and keeper of leases.
type sharer struct {
	*Supervisor
	t      *testing.T
	kept   *store.Store
	keeper *store.Keeper
	log    lines
	kernel *fakeKernel
}

// share starts one, on a directory in which gateways are exclusive.
func share(t *testing.T, dir string) *sharer {
	t.Helper()
	c := sharing(t, dir, exclusiveGateways()...)
	synctest.Wait()
	return c
}

func exclusiveGateways() []unit.Template {
	return []unit.Template{template(func(t *unit.Template) { t.Name, t.Spec.Exclusive, t.Always = "gw", true, []string{"always"} })}
}

// sharing starts one with these templates; a reload gives it exclusive gateways.
func sharing(t *testing.T, dir string, templates ...unit.Template) *sharer {
	t.Helper()
	c := &sharer{t: t, kernel: &fakeKernel{life: func(Launch) (time.Duration, unit.Exit) { return -1, unit.Exit{} }}}
	var records []store.Record
	c.kept, records = store.Open(store.Options{Directory: dir, UID: os.Geteuid()})
	c.keeper = store.NewKeeper(store.KeeperOptions{
		Directory: dir, UID: os.Geteuid(), Noticed: func() {}, Changed: func(name unit.Name) { c.LeaseChanged(name) },
	})
	c.Supervisor = New(Options{
		Kernel: c.kernel, Leases: c.keeper, Store: c.kept, Records: records, Templates: templates,
		Load: func() (Declarations, error) {
			return Declarations{Templates: exclusiveGateways(), Differ: func(a, b *unit.Spec) []string { return nil }, Commit: func() {}}, nil
		},
		Log: slogTo(&c.log), Logs: logs.NewBook(logs.Options{Now: time.Now}),
	})
	c.Boot()
	return c
}

// end is a clean stop of the container.
func (c *sharer) end() {
	c.t.Helper()
	c.Halt()
	<-c.Idle()
	c.Close()
	for _, closing := range []func(context.Context) error{c.keeper.Close, c.kept.Close} {
		if err := closing(c.t.Context()); err != nil {
			c.t.Error(err)
		}
	}
}

// in checks the state of a unit some seconds from now: what is asked in one container is so in all by then.
func (c *sharer) in(d time.Duration, name unit.Name, state unit.State, desired string) engine.Status {
	c.t.Helper()
	time.Sleep(d)
	synctest.Wait()
	s, err := c.Get(c.t.Context(), name)
	if err != nil {
		c.t.Fatal(err)
	}
	if s.State != state || s.Desired != desired {
		c.t.Errorf("%s is %s because %s, and desired %s; want %s, desired %s\n%s", name, s.State, s.Because, s.Desired, state, desired, &c.log)
	}
	return s
}

func (c *sharer) must(s engine.Status, err error) engine.Status {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// two has two containers share a directory.
func two(t *testing.T, body func(t *testing.T, a, b *sharer, dir string)) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	synctest.Test(t, func(t *testing.T) {
		a := share(t, dir)
		b := share(t, dir)
		body(t, a, b, dir)
		a.end()
		b.end()
	})
}

const both = unit.Name("gw@always")

// What was asked to be down stays down: that its container lets go of it is no reason for another one to run it.
func TestStopIsNoTakeOver(t *testing.T) {
	two(t, func(t *testing.T, a, b *sharer, _ string) {
		if _, _, err := b.Create(t.Context(), engine.CreateRequest{Name: "gw@coder", Down: true}); err != nil {
			t.Fatal(err)
		}
		for i := range 40 {
			a.must(a.Start(t.Context(), both))
			a.in(time.Second, both, unit.Up, "up")
			b.in(4*time.Second, both, unit.Waiting, "up")
			// Whenever it looks for leases, and whenever for wishes.
			time.Sleep(time.Duration(i) * 97 * time.Millisecond)
			b.must(b.Start(t.Context(), "gw@coder"))
			a.must(a.Stop(t.Context(), both))
			for range 7 {
				a.in(0, both, unit.Down, "down")
				time.Sleep(time.Second)
				synctest.Wait()
				if s := get(t, b.Supervisor, both); s.Run != 0 {
					t.Fatalf("another container runs what was stopped: %+v", s)
				}
			}
			b.in(0, both, unit.Down, "down")
			b.must(b.Stop(t.Context(), "gw@coder"))
			time.Sleep(4 * time.Second)
		}
	})
}

func (c *sharer) stateOf(name unit.Name) unit.State { return get(c.t, c.Supervisor, name).State }

// A verb is for the volume: said to the one container it is followed by the other, within 4 s.
func TestVerbsAreFollowed(t *testing.T) {
	two(t, func(t *testing.T, a, b *sharer, _ string) {
		a.must(a.Start(t.Context(), both))
		a.in(time.Second, both, unit.Up, "up")
		s := b.in(8*time.Second, both, unit.Waiting, "up")
		if s.Holder.Fence != 1 || !s.Holder.Alive {
			t.Errorf("held by %+v", s.Holder)
		}
		b.must(b.Restart(t.Context(), both))
		if s := a.in(4*time.Second, both, unit.Up, "up"); s.Run != 2 {
			t.Errorf("restarted from elsewhere, it is in run %d", s.Run)
		}
		b.in(0, both, unit.Waiting, "up")
		b.must(b.Stop(t.Context(), both))
		a.in(4*time.Second, both, unit.Down, "down")
		b.in(0, both, unit.Down, "down")
		if got := a.in(0, both, unit.Down, "down").Because; !strings.HasPrefix(got, "stopped by ") {
			t.Errorf("because %s", got)
		}
		b.must(b.Start(t.Context(), both))
		b.in(4*time.Second, both, unit.Up, "up")
		a.in(4*time.Second, both, unit.Waiting, "up")

		// And again the other way, many times: nobody ever runs it beside the other.
		for range 20 {
			for _, c := range []*sharer{a, b} {
				c.must(c.Stop(t.Context(), both))
				a.in(4*time.Second, both, unit.Down, "down")
				b.in(0, both, unit.Down, "down")
				c.must(c.Start(t.Context(), both))
				time.Sleep(4 * time.Second)
				synctest.Wait()
				if x, y := a.stateOf(both), b.stateOf(both); x == y || x != unit.Up && y != unit.Up {
					t.Fatalf("%s and %s", x, y)
				}
			}
		}
	})
}

// An instance that is made in one container is known in the other, which runs it when its turn comes; and one that is
// removed there is gone here, and not run.
func TestInstancesAreFollowed(t *testing.T) {
	const coder = unit.Name("gw@coder")
	two(t, func(t *testing.T, a, b *sharer, _ string) {
		if _, created, err := a.Create(t.Context(), engine.CreateRequest{Name: coder}); err != nil || !created {
			t.Fatal(err)
		}
		a.in(time.Second, coder, unit.Up, "up")
		b.in(4*time.Second, coder, unit.Waiting, "up")
		a.must(a.Remove(t.Context(), coder))
		time.Sleep(8 * time.Second)
		synctest.Wait()
		for _, c := range []*sharer{a, b} {
			if s, err := c.Get(t.Context(), coder); engine.KindOf(err) != engine.NotFound {
				t.Errorf("it is there: %+v, %v", s, err)
			}
		}
		// What the other one runs is removed here.
		if _, _, err := a.Create(t.Context(), engine.CreateRequest{Name: coder}); err != nil {
			t.Fatal(err)
		}
		a.in(time.Second, coder, unit.Up, "up")
		b.in(4*time.Second, coder, unit.Waiting, "up")
		b.must(b.Remove(t.Context(), coder))
		time.Sleep(4 * time.Second)
		synctest.Wait()
		for _, c := range []*sharer{a, b} {
			if s, err := c.Get(t.Context(), coder); engine.KindOf(err) != engine.NotFound {
				t.Errorf("it is there: %+v, %v", s, err)
			}
		}
	})
}

// A wish that can't be written keeps the lease: nobody else runs what was asked to be down here. When the disk is well
// again, it is written, and the lease is free.
func TestAnUnsavedWishKeepsTheLease(t *testing.T) {
	two(t, func(t *testing.T, a, b *sharer, dir string) {
		a.must(a.Start(t.Context(), both))
		a.in(time.Second, both, unit.Up, "up")
		b.in(4*time.Second, both, unit.Waiting, "up")
		if err := os.Rename(dir+"/intents", dir+"/elsewhere"); err != nil {
			t.Fatal(err)
		}
		a.must(a.Stop(t.Context(), both))
		a.in(time.Minute, both, unit.Down, "down")
		b.in(0, both, unit.Waiting, "up")
		if err := os.Rename(dir+"/elsewhere", dir+"/intents"); err != nil {
			t.Fatal(err)
		}
		b.in(time.Minute, both, unit.Down, "down")
		if got := b.stateOf(both); got != unit.Down {
			t.Error(got)
		}
	})
}

// A container that ends takes nothing down with it: what is wanted up runs in the other one.
func TestTheOtherTakesOver(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	synctest.Test(t, func(t *testing.T) {
		a := share(t, dir)
		b := share(t, dir)
		a.must(a.Start(t.Context(), both))
		a.in(time.Second, both, unit.Up, "up")
		b.in(4*time.Second, both, unit.Waiting, "up")
		a.end()
		b.in(4*time.Second, both, unit.Up, "up")
		b.end()
	})
}

// What a reload makes exclusive is followed, too.
func TestReloadedTemplatesAreFollowed(t *testing.T) {
	const coder = unit.Name("gw@coder")
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	synctest.Test(t, func(t *testing.T) {
		a, b := sharing(t, dir), sharing(t, dir)
		for _, c := range []*sharer{a, b} {
			if _, err := c.Reload(t.Context(), engine.ReloadRequest{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := a.Create(t.Context(), engine.CreateRequest{Name: coder}); err != nil {
			t.Fatal(err)
		}
		a.in(time.Second, coder, unit.Up, "up")
		b.in(4*time.Second, coder, unit.Waiting, "up")
		a.must(a.Stop(t.Context(), coder))
		a.in(8*time.Second, coder, unit.Down, "down")
		b.in(0, coder, unit.Down, "down")
		a.end()
		b.end()
	})
}
