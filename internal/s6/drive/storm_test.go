package drive

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// TestStorm: 200 instances are created, started, stopped, started and removed, each time all at once and by an
// unprivileged user in a tree of root's, and nothing is left of them: no s6-supervise, no directory, no run.
func TestStorm(t *testing.T) {
	uid := user
	if os.Getenv(asVariable) == "" && os.Geteuid() != 0 {
		uid = os.Geteuid()
	}
	inWorld(t, uid, treeOf(uid), func(t *testing.T, w *world) {
		const many = 200
		tree := w.open(template())
		var names []unit.Name
		for i := range many {
			names = append(names, unit.Name(fmt.Sprintf("gateway@n%d", i)))
		}
		began := time.Now()
		all := func(what string, do func(ctx context.Context, name unit.Name) error) {
			t.Helper()
			at := time.Now()
			var wg sync.WaitGroup
			for _, name := range names {
				wg.Go(func() {
					if err := do(t.Context(), name); err != nil {
						t.Errorf("%s: %v", what, err)
					}
				})
			}
			wg.Wait()
			t.Logf("figure: %s %d at once: %v", what, many, time.Since(at).Round(time.Millisecond))
		}
		are := func(state unit.State) {
			t.Helper()
			at := time.Now()
			w.eventually("all to be "+string(state), func() bool {
				list, err := tree.List(t.Context())
				must(t, err)
				n := 0
				for _, s := range list {
					if s.State == state {
						n++
					}
				}
				return n == many
			})
			t.Logf("figure: all %s after another %v", state, time.Since(at).Round(time.Millisecond))
		}
		verb := func(do func(context.Context, unit.Name) (engine.Status, error)) func(context.Context, unit.Name) error {
			return func(ctx context.Context, name unit.Name) error { _, err := do(ctx, name); return err }
		}
		all("create", func(ctx context.Context, name unit.Name) error {
			_, created, err := tree.Create(ctx, engine.CreateRequest{Name: name, Down: true})
			if err == nil && !created {
				return fmt.Errorf("%s is not created", name)
			}
			return err
		})
		all("start", verb(tree.Start))
		are(unit.Up)
		all("restart", verb(tree.Restart))
		are(unit.Up)
		all("stop", verb(tree.Stop))
		are(unit.Down)
		all("start", verb(tree.Start))
		are(unit.Up)
		all("remove", verb(tree.Remove))
		if s, l := w.supervisors(), w.left(); len(s)+len(l) > 0 {
			t.Errorf("%d s6-supervise and %v are left", len(s), l)
		}
		t.Logf("figure: all of it took %v", time.Since(began).Round(time.Millisecond))
	})
}

// TestSameName: however many ask for the creation, the start and the removal of the same few names at once, each answer
// is one that could have been given alone, and in the end nothing is left.
func TestSameName(t *testing.T) {
	eachUser(t, func(t *testing.T, w *world) {
		var wg sync.WaitGroup
		for range 6 {
			tree := w.open(template(func(u *unit.Template) { u.Spec.Log = &unit.Log{Directory: w.dir + "/logs/%i", Size: 100_000, Keep: 1} }))
			wg.Go(func() {
				for range 12 {
					name := unit.Name(fmt.Sprintf("gateway@n%d", rand.N(3)))
					var err error
					verb := rand.N(5)
					switch verb {
					case 0:
						_, err = tree.Remove(t.Context(), name)
					case 1:
						_, err = tree.Restart(t.Context(), name)
					case 2:
						_, err = tree.Stop(t.Context(), name)
					default:
						_, _, err = tree.Create(t.Context(), engine.CreateRequest{Name: name, Down: verb == 3})
					}
					if err != nil && (engine.KindOf(err) != engine.NotFound || verb > 2) {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		tree := w.open(template())
		for i := range 3 {
			if _, err := tree.Remove(t.Context(), unit.Name(fmt.Sprintf("gateway@n%d", i))); err != nil && engine.KindOf(err) != engine.NotFound {
				t.Error(err)
			}
		}
		if s, l := w.supervisors(), w.left(); len(s)+len(l) > 0 {
			t.Errorf("%v and %v are left", s, l)
		}
	})
}

// treeOf is who the tree is of: root, where it can be.
func treeOf(uid int) int {
	if os.Geteuid() == 0 {
		return 0
	}
	return uid
}
