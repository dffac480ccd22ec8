package store

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

const gw = unit.Name("gateway@default")

// kept is a keeper under synctest, with what it told.
type kept struct {
	*Keeper
	t       *testing.T
	mu      sync.Mutex
	changes int
	back    []unit.Name
}

func keep(t *testing.T, dir string, mount func(string, int, ...string) (volume, error)) *kept {
	t.Helper()
	return keepLife(t, dir, "", nil, mount)
}

// keepLife is keep for a life of a container that has a run-time directory.
func keepLife(t *testing.T, dir, run string, life func(*ownerFile), mount func(string, int, ...string) (volume, error)) *kept {
	t.Helper()
	k := &kept{t: t}
	k.Keeper = NewKeeper(KeeperOptions{
		Directory: dir, UID: os.Geteuid(), mount: mount, Noticed: func() {}, RunDirectory: run, life: life,
		TookBack: func(names []unit.Name) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.back = append(k.back, names...)
		},
		Changed: func(unit.Name) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.changes++
		},
	})
	return k
}

func (k *kept) close() {
	k.t.Helper()
	if err := k.Close(context.Background()); err != nil {
		k.t.Error(err)
	}
}

// is fails the test unless the unit is held with that fence, or not held.
func (k *kept) is(want bool, fence uint64) {
	k.t.Helper()
	synctest.Wait()
	if got, ok := k.Holds(gw); ok != want || got != fence {
		k.t.Errorf("held: %t with fence %d, want %t with %d", ok, got, want, fence)
	}
}

// until waits until the unit is held, and returns how long that took.
func (k *kept) until(most time.Duration) time.Duration {
	k.t.Helper()
	begin := time.Now()
	for time.Since(begin) < most {
		synctest.Wait()
		if _, ok := k.Holds(gw); ok {
			return time.Since(begin)
		}
		time.Sleep(100 * time.Millisecond)
	}
	k.t.Fatalf("not held after %v", most)
	return 0
}

// Two keepers share a directory: the second one waits, knows for whom, and has the lease soon after the first is done.
func TestKeepersTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(scratch(t), "state")
		a, b := keep(t, dir, nil), keep(t, dir, nil)
		a.is(false, 0)
		a.Want(gw)
		a.is(true, 1)
		b.Want(gw)
		b.is(false, 0)
		host, _ := os.Hostname()
		if got := b.Holder(gw); got.Container != host || got.Fence != 1 {
			t.Errorf("held by %v", got)
		}
		time.Sleep(time.Minute)
		a.is(true, 1)
		b.is(false, 0)
		if got := b.Holder(gw); !got.Alive {
			t.Errorf("held by %v, which is not seen to be alive", got)
		}
		a.Release(gw)
		a.is(false, 0)
		if took := b.until(time.Minute); took > defaultLeaseRule.Beat+time.Second {
			t.Errorf("it took %v", took)
		}
		b.is(true, 2)
		a.Want(gw)
		a.is(false, 0)
		b.Release(gw)
		b.close() // releases it, and at once
		a.until(defaultLeaseRule.Beat + time.Second)
		a.is(true, 3)
		if a.changes != 3 || b.changes != 3 { // who holds it instead, and that he is alive, too; a release is no news to who asked for it
			t.Errorf("%d and %d changes", a.changes, b.changes)
		}
		a.Release(gw)
		a.close()
	})
}

// A keeper that ends without a release is followed, in the time that is promised.
func TestKeeperTakesOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(scratch(t), "state")
		a, b := keep(t, dir, nil), keep(t, dir, nil)
		a.Want(gw)
		a.is(true, 1)
		b.Want(gw)
		b.is(false, 0)
		a.close()
		rule := defaultLeaseRule
		took := b.until(time.Minute)
		if took < rule.TTL-rule.Beat || took > rule.TTL+rule.Beat+rule.Settle+time.Second {
			t.Errorf("it took %v", took)
		}
		b.is(true, 2)
		b.Release(gw)
		b.close()
	})
}

// The next life of a container that was killed takes its lease back at once, and says so; another container waits on.
func TestKeeperTakesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		scratch := scratch(t)
		dir := filepath.Join(scratch, "state")
		run := filepath.Join(scratch, "run")
		life := func(name, first string) *kept {
			return keepLife(t, dir, filepath.Join(scratch, name), func(o *ownerFile) { *o = livesIn(o.directory, first) }, nil)
		}
		a, b := life("run", "100"), life("beta", "100")
		a.Want(gw)
		a.is(true, 1)
		b.Want(gw)
		b.is(false, 0)
		a.close()
		kill(t, a.desk.lock)

		again := life("run", "200")
		again.is(false, 0)
		if _, err := os.Stat(run); err != nil {
			t.Error("the first life has left nothing")
		}
		again.Want(gw)
		again.is(true, 2)
		if a.back != nil || len(again.back) != 1 || again.back[0] != gw || again.changes != 1 {
			t.Errorf("taken back: %q by the first, %q by the second life, which has told of %d changes", a.back, again.back, again.changes)
		}
		time.Sleep(time.Minute)
		again.is(true, 2)
		b.is(false, 0)
		again.Release(gw)
		again.Want(gw) // what it released itself is nothing to take back
		again.until(time.Minute)
		if len(again.back) != 1 {
			t.Errorf("taken back: %q", again.back)
		}
		for _, k := range []*kept{again, b} {
			k.Release(gw)
			k.close()
			kill(t, k.desk.lock)
		}
	})
}

// blocked is a disk that can stop to answer while it is in use.
type blocked struct {
	volume
	mu *sync.Mutex
	on *chan struct{}
}

func (b blocked) List(dir string) ([]string, error) {
	b.mu.Lock()
	on := *b.on
	b.mu.Unlock()
	if on != nil {
		<-on
	}
	return b.volume.List(dir)
}

// While a disk does not answer, nobody who asks waits, and a lease is lost after Hold; it is not had back by the same
// claim when the disk answers, and another may have it only once the run has ended.
func TestKeeperOnADiskThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(scratch(t), "state")
		var mu sync.Mutex
		var on chan struct{}
		a := keep(t, dir, func(directory string, uid int, dirs ...string) (volume, error) {
			v, err := openTree(directory, uid, dirs...)
			return blocked{v, &mu, &on}, err
		})
		b := keep(t, dir, nil)
		a.Want(gw)
		a.is(true, 1)
		b.Want(gw)
		b.is(false, 0)
		begin := time.Now()
		mu.Lock()
		on = make(chan struct{})
		mu.Unlock()
		for {
			synctest.Wait()
			if _, ok := a.Holds(gw); !ok {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(begin); took > defaultLeaseRule.Hold {
			t.Errorf("it was held for %v", took)
		}
		a.is(false, 1) // the run that is being killed has its fence
		if c := a.Conditions(); len(c) != 1 || c[0].Code != engine.LeasesUnusable || !strings.Contains(c[0].Text, "exclusive units wait: cannot use "+dir+": it has not answered for 5.0 s") {
			t.Errorf("conditions %q", c)
		}
		mu.Lock()
		close(on)
		on = nil
		mu.Unlock()
		time.Sleep(10 * time.Second)
		a.is(false, 1)
		b.is(false, 0) // a's heart beats, and its run may not have ended
		if c := a.Conditions(); c != nil {
			t.Errorf("conditions %q", c)
		}
		a.Ended(gw)
		time.Sleep(3 * defaultLeaseRule.Beat)
		_, held := a.Holds(gw)
		_, other := b.Holds(gw)
		if held == other {
			t.Errorf("held by a: %t, by b: %t", held, other)
		}
		for _, k := range []*kept{a, b} {
			k.Release(gw)
			k.close()
		}
	})
}

// A disk that fails in passing when the directory is first needed makes nobody believe that he is alone: another container
// may be at work in it.
func TestKeeperOnADiskThatFailsAtFirst(t *testing.T) {
	t.Parallel()
	for _, passing := range []error{syscall.EIO, syscall.ESTALE, syscall.ETIMEDOUT, syscall.EMFILE, syscall.ENOTCONN} {
		t.Run(passing.Error(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				dir := filepath.Join(scratch(t), "state")
				a := keep(t, dir, nil)
				a.Want(gw)
				a.is(true, 1)
				fails := 3
				b := keep(t, dir, func(directory string, uid int, dirs ...string) (volume, error) {
					if fails--; fails >= 0 {
						return nil, fmt.Errorf("cannot open %s: %w", directory, passing)
					}
					return openTree(directory, uid, dirs...)
				})
				b.Want(gw)
				b.is(false, 0)
				if c := b.Conditions(); len(c) != 1 || !strings.HasPrefix(c[0].Text, "exclusive units wait: cannot open "+dir) {
					t.Errorf("conditions %q", c)
				}
				time.Sleep(4 * defaultLeaseRule.Beat)
				b.is(false, 0)
				if c := b.Conditions(); c != nil {
					t.Errorf("conditions %q", c)
				}
				a.Release(gw)
				b.until(defaultLeaseRule.Beat + time.Second)
				b.is(true, 2)
				b.Release(gw)
				a.close()
				b.close()
			})
		})
	}
}

// readOnly is a volume that was mounted so, with everything in it that is needed.
type readOnly struct{ volume }

func (readOnly) Create(name string, _ fs.FileMode) (file, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EROFS}
}

// A read-only volume, on which containers have been before, is shared with nobody from here: what is exclusive runs, and
// that it is not is said.
func TestKeeperOnAReadOnlyVolume(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(scratch(t), "state")
		a := keep(t, dir, nil)
		a.Want(gw)
		a.is(true, 1)
		a.Release(gw)
		a.close()
		b := keep(t, dir, func(directory string, uid int, dirs ...string) (volume, error) {
			v, err := openTree(directory, uid, dirs...)
			return readOnly{v}, err
		})
		b.Want(gw)
		b.is(true, 0)
		if c := b.Conditions(); len(c) != 1 || c[0].Code != engine.NotExclusive || !strings.HasSuffix(c[0].Text, "read-only file system") {
			t.Errorf("conditions %q", c)
		}
		b.Release(gw)
		b.close()
	})
}

// Where there is no directory, or none that can be used from the start, everything is granted, and said to be.
func TestKeeperWithoutADirectory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, "", nil)
		if c := k.Conditions(); c != nil {
			t.Errorf("conditions %q", c)
		}
		k.Want(gw)
		k.is(true, 0)
		if c := k.Conditions(); len(c) != 1 || c[0].Code != engine.NotExclusive || !strings.HasPrefix(c[0].Text, "exclusive units are not exclusive: ") {
			t.Errorf("conditions %q", c)
		}
		k.Ended(gw)
		k.is(true, 0)
		k.Release(gw)
		k.is(false, 0)
		k.close()

		dir := filepath.Join(scratch(t), "file", "state")
		if err := os.WriteFile(filepath.Dir(dir), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		k = keep(t, dir, nil)
		k.Want(gw)
		synctest.Wait()
		k.is(true, 0)
		if c := k.Conditions(); len(c) != 1 || c[0].Code != engine.NotExclusive || !strings.HasPrefix(c[0].Text, "exclusive units are not exclusive: cannot open "+dir) {
			t.Errorf("conditions %q", c)
		}
		k.Release(gw)
		k.is(false, 0)
		k.close()
	})
}
