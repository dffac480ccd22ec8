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
				claims, err := d.Look(eachUnit)
				must(t, err)
				if c := claims["a"]; won.Load() == nil || c.Fence != fence || c.Owner != *won.Load() || c.released {
					t.Fatalf("fence %d: %+v", fence, c)
				}
				must(t, d.Release(claims["a"]))
				must(t, d.Release(claims["a"]))
				if claims, _ := d.Look(eachUnit); !claims["a"].released {
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

// overtaken is a disk on which something happens between a list and what is read by it, some times.
type overtaken struct {
	volume
	times int
	by    func()
}

func (o *overtaken) List(dir string) ([]string, error) {
	names, err := o.volume.List(dir)
	if o.times--; o.times >= 0 {
		o.by()
	}
	return names, err
}

// That another container takes a unit over while somebody looks costs him none of his own.
func TestLookWhileOthersClaim(t *testing.T) {
	t.Parallel()
	dir, other := leaseDir(t)
	clock := time.Duration(0)
	v := &overtaken{volume: mountLeases(t, dir, openTree).volume}
	l := newLeases(&leaseDisk{volume: v, uid: os.Geteuid()}, func() time.Duration { return clock }, defaultLeaseRule, "A")
	l.want("mine")
	l.want("theirs") // to be waited for
	must(t, other.Claim(claim{Unit: "theirs", Fence: 1, Owner: "B"}))
	fence := uint64(1)
	v.by = func() {
		fence++
		must(t, other.Claim(claim{Unit: "theirs", Fence: fence, Owner: "B"}))
	}
	for range 10 {
		v.times = 2
		l.turn()
		clock += defaultLeaseRule.Beat
		if _, ok := l.holds("mine"); !ok {
			t.Fatalf("it is lost after %v", clock)
		}
	}
	if seen := l.units["theirs"].seen; seen.Fence != fence {
		t.Errorf("it has seen %+v, and there is fence %d", seen, fence)
	}
}

// A claim of a unit that is wanted nowhere is not even read: who makes many instances, and removes them, keeps nobody busy.
func TestLookAtWhatIsWanted(t *testing.T) {
	t.Parallel()
	dir, d := leaseDir(t)
	must(t, d.Claim(claim{Unit: "a", Fence: 1, Owner: "A"}))
	must(t, d.Claim(claim{Unit: "b", Fence: 1, Owner: "A"}))
	disk := &faulty{part: leasesDir}
	got, err := mountLeases(t, dir, disk.mount).Look(func(name unit.Name) bool { return name == "b" })
	must(t, err)
	if len(got) != 1 || got["b"].Owner != "A" {
		t.Errorf("%+v", got)
	}
	if log := strings.Join(disk.log, "\n"); strings.Contains(log, "a.1.claim") || !strings.Contains(log, "b.1.claim") {
		t.Errorf("it did\n%s", log)
	}
}

// A heart that cannot be read, for what it is, does not beat: it keeps nobody waiting for ever.
func TestBadHearts(t *testing.T) {
	t.Parallel()
	dir, d := leaseDir(t)
	must(t, os.WriteFile(dir+"/leases/EMPTY.heart", nil, 0o600))
	must(t, os.WriteFile(dir+"/leases/WORD.heart", []byte("beat\n"), 0o600))
	must(t, os.WriteFile(dir+"/leases/LARGE.heart", make([]byte, maxLease+1), 0o600))
	must(t, unix.Mkfifo(dir+"/leases/FIFO.heart", 0o600))
	for _, owner := range []string{"EMPTY", "WORD", "LARGE", "FIFO", "NONE"} {
		if n, err := d.Heart(owner); n != 0 || err != nil {
			t.Errorf("%s: %d, %v", owner, n, err)
		}
	}
	disk := &faulty{part: leasesDir, at: 2, how: fails(syscall.EIO)} // the first is to mount
	if _, err := mountLeases(t, dir, disk.mount).Heart("EMPTY"); err == nil {
		t.Error("what the disk does not give says nothing about a heart")
	}
}

// eachUnit has Look be at all units.
func eachUnit(unit.Name) bool { return true }

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
	got, err := d.Look(eachUnit)
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
				claims, e := d.Look(eachUnit)
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

// looked counts how often a directory is read.
type looked struct {
	volume
	times int
}

func (v *looked) List(dir string) ([]string, error) {
	v.times++
	return v.volume.List(dir)
}

// What a claim costs does not grow with the claims that there are: of a thousand, each would read a thousand.
func TestClaimReadsNoOther(t *testing.T) {
	t.Parallel()
	dir, d := leaseDir(t)
	volume := &looked{volume: d.volume}
	d.volume = volume
	for _, fence := range []uint64{1, 2, 3} {
		for _, name := range []unit.Name{"a", "b", "c"} {
			must(t, d.Claim(claim{Unit: name, Fence: fence, Owner: "OWN"}))
		}
	}
	names, err := filepath.Glob(dir + "/leases/*")
	must(t, err)
	if volume.times != 0 || len(names) != 3 {
		t.Errorf("the directory was read %d times, and has %q", volume.times, names)
	}
}

// What dead owners left is cleared away; a young heart is not.
func TestTidy(t *testing.T) {
	t.Parallel()
	dir, d := leaseDir(t)
	for _, owner := range []string{"OWN", "DEAD", "YOUNG"} {
		must(t, d.Beat(owner, 1))
	}
	must(t, d.Claim(claim{Unit: "a", Fence: 1, Owner: "DEAD"}))
	must(t, os.WriteFile(dir+"/leases/.new-X", nil, 0o600))
	must(t, os.WriteFile(dir+"/leases/.new-Y", nil, 0o600))
	for _, name := range []string{"b.1.claim", "b.1.released", "b.3.claim", "b.4.claim", "b.4.released", "b.5.released"} {
		must(t, os.WriteFile(dir+"/leases/"+name, nil, 0o600)) // by who was killed before he could clear them away
	}
	past := time.Now().Add(-time.Hour)
	for _, name := range []string{"a.1.claim", "DEAD.heart", ".new-X"} {
		must(t, os.Chtimes(dir+"/leases/"+name, past, past))
	}
	d.tidy("OWN")
	entries, err := os.ReadDir(dir + "/leases")
	must(t, err)
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if got := strings.Join(left, " "); got != ".new-Y OWN.heart YOUNG.heart a.1.claim b.4.claim b.4.released b.5.released" {
		t.Errorf("left: %s", got)
	}
	if n, err := d.Heart("YOUNG"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := d.Heart("DEAD"); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
