package store

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// leaseDir is a state directory with leases, and who works in it.
func leaseDir(t *testing.T) (dir string, d *leaseDisk) {
	t.Helper()
	dir = filepath.Join(scratch(t), "state")
	return dir, mountLeases(t, dir, openTree)
}

func mountLeases(t *testing.T, dir string, mount func(string, int, ...string) (volume, error)) *leaseDisk {
	t.Helper()
	v, err := mount(dir, os.Geteuid(), leasesDir)
	must(t, err)
	t.Cleanup(v.Close)
	return &leaseDisk{volume: v, uid: os.Geteuid(), host: "c0ffee", boot: "b007"}
}

// linkless is a file system without hard links.
type linkless struct{ volume }

func (linkless) Link(string, string) error { return syscall.EPERM }

// Of many who claim the same fence at once, one gets it, whole; also where there are no links.
func TestOneClaimWins(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(volume) volume{
		"links": func(v volume) volume { return v }, "no links": func(v volume) volume { return linkless{v} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, d := leaseDir(t)
			for fence := uint64(1); fence < 20; fence++ {
				var won atomic.Pointer[string]
				var all sync.WaitGroup
				for _, owner := range []string{"A", "B", "C", "D", "E"} {
					v := change(mountLeases(t, dir, openTree).volume)
					all.Go(func() {
						if (&leaseDisk{volume: v, uid: os.Geteuid()}).Claim(claim{Unit: "a", Fence: fence, Owner: owner}) == nil && won.Swap(&owner) != nil {
							t.Error("two have it")
						}
					})
				}
				all.Wait()
				claims, err := d.Look()
				must(t, err)
				if c := claims["a"]; won.Load() == nil || c.Fence != fence || c.Owner != *won.Load() || c.released {
					t.Fatalf("fence %d: %+v", fence, c)
				}
				must(t, d.Release(claims["a"]))
				must(t, d.Release(claims["a"]))
				if claims, _ := d.Look(); !claims["a"].released {
					t.Error("it is not released")
				}
			}
			names, err := filepath.Glob(dir + "/leases/*")
			must(t, err)
			if len(names) != 2 {
				t.Errorf("left: %q", names)
			}
		})
	}
}

// On a real disk, with real containers' work: the lease goes to one, is kept, and goes on when it is released.
func TestLeasesOnDisk(t *testing.T) {
	t.Parallel()
	dir, first := leaseDir(t)
	clock := time.Duration(0)
	now := func() time.Duration { return clock }
	a := newLeases(first, now, defaultLeaseRule, "A")
	b := newLeases(mountLeases(t, dir, openTree), now, defaultLeaseRule, "B")
	units := []unit.Name{"gateway@a", "gateway@b.c", "plain"}
	for _, name := range units {
		a.want(name)
		b.want(name)
	}
	holders := func() (held string) {
		for _, name := range units {
			for _, l := range []*leases{a, b} {
				if fence, ok := l.holds(name); ok {
					held += l.owner + string(rune('0'+fence))
				}
			}
		}
		return held
	}
	for range 20 {
		a.turn()
		b.turn()
		if got := holders(); got != "A1A1A1" {
			t.Fatalf("held: %s", got)
		}
		clock += defaultLeaseRule.Beat
	}
	a.over("plain", false)
	b.turn()
	if got := holders(); got != "A1A1B2" {
		t.Errorf("held: %s", got)
	}
	for range 8 {
		clock += defaultLeaseRule.Beat
		b.turn() // alone: the other one is dead
	}
	if got := holders(); got != "B2B2B2" {
		t.Errorf("held: %s", got)
	}
	a.turn()
	if !a.units["gateway@a"].lost {
		t.Error("the old owner does not know")
	}
}

// A claim that cannot be read counts by its name, so that nobody gets its fence again; what is no claim is nobody's.
func TestBadClaims(t *testing.T) {
	t.Parallel()
	dir, d := leaseDir(t)
	put := func(name, text string) { must(t, os.WriteFile(dir+"/leases/"+name, []byte(text), 0o600)) }
	put("a.7.claim", "{")
	put("b.2.claim", `{"unit":"b","fence":2,"owner":"../../x"}`)
	put("c.3.claim", `{"unit":"c","fence":3,"owner":"OK"}`)
	put("c.2.claim", `{"unit":"c","fence":2,"owner":"OLD"}`)
	put("d.1.claim", `{"unit":"c","fence":3,"owner":"OK"}`)
	must(t, unix.Mkfifo(dir+"/leases/e.1.claim", 0o600))
	for _, name := range []string{"x.0.claim", "x.07.claim", "x.-1.claim", "x.claim", ".1.claim", "a b.1.claim", "x.99999999999999999999999.claim", "c.9.released"} {
		put(name, "{}")
	}
	got, err := d.Look()
	must(t, err)
	want := map[unit.Name]claim{
		"a": {Unit: "a", Fence: 7, Owner: "nobody"}, "b": {Unit: "b", Fence: 2, Owner: "nobody"},
		"c": {Unit: "c", Fence: 3, Owner: "OK"}, "d": {Unit: "d", Fence: 1, Owner: "nobody"}, "e": {Unit: "e", Fence: 1, Owner: "nobody"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(claim{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Whatever call goes wrong while a claim is made, there is none, or a whole one.
func TestClaimWhenAnyCallGoesWrong(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]func(*faulty, func() error) error{
		"SIGKILL before": dies, "SIGKILL after": diesAfter, "EIO": fails(syscall.EIO), "EIO after": failsAfter(syscall.EIO),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at := 2; ; at++ { // the first is to mount
				dir, d := leaseDir(t)
				disk := &faulty{part: leasesDir, at: at, how: how}
				err := mountLeases(t, dir, disk.mount).Claim(claim{Unit: "a", Fence: 1, Owner: "A"})
				claims, e := d.Look()
				must(t, e)
				if c := claims["a"]; c.Fence != 0 && c.Owner != "A" || err == nil && c.Fence == 0 {
					t.Errorf("after %q: %+v, %v", disk.log, c, err)
				}
				if !disk.wrong {
					break
				}
			}
		})
	}
}

// What dead owners left is cleared away; a heart that somebody's claim names, or that is young, is not.
func TestTidy(t *testing.T) {
	t.Parallel()
	dir, d := leaseDir(t)
	for _, owner := range []string{"OWN", "NAMED", "DEAD", "YOUNG"} {
		must(t, d.Beat(owner, 1))
	}
	must(t, d.Claim(claim{Unit: "a", Fence: 1, Owner: "NAMED"}))
	must(t, os.WriteFile(dir+"/leases/.new-X", nil, 0o600))
	must(t, os.WriteFile(dir+"/leases/.new-Y", nil, 0o600))
	past := time.Now().Add(-time.Hour)
	for _, name := range []string{"NAMED.heart", "DEAD.heart", ".new-X"} {
		must(t, os.Chtimes(dir+"/leases/"+name, past, past))
	}
	d.tidy("OWN")
	entries, err := os.ReadDir(dir + "/leases")
	must(t, err)
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if got := strings.Join(left, " "); got != ".new-Y NAMED.heart OWN.heart YOUNG.heart a.1.claim" {
		t.Errorf("left: %s", got)
	}
	if n, err := d.Heart("NAMED"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := d.Heart("DEAD"); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
