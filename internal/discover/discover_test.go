package discover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

const marker = "SOUL.md"

// place is a directory that is watched.
type place struct {
	t   *testing.T
	dir string

	mu      sync.Mutex
	reports []Found
	changed chan struct{}
}

func newPlace(t *testing.T) *place {
	t.Helper()
	top, err := os.MkdirTemp("/tmp", "pintle-discover-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	must(t, os.Chmod(top, 0o755))
	p := &place{t: t, dir: top + "/profiles", changed: make(chan struct{}, 1)}
	must(t, os.Mkdir(p.dir, 0o755))
	return p
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (p *place) rule() Rule {
	return Rule{Directory: p.dir, Marker: marker, Except: []string{"default"}, Check: unit.NamePattern{}.Check, Max: 2000, UID: os.Geteuid()}
}

// watch watches until the test ends.
func (p *place) watch(r Rule) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Watch(ctx, r, func(f Found) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.reports = append(p.reports, f)
			select {
			case p.changed <- struct{}{}:
			default:
			}
		})
	}()
	p.t.Cleanup(func() { cancel(); <-ended })
}

func (p *place) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.reports)
}

// until waits for a report as judge wants it.
func (p *place) until(what string, judge func(Found) bool) Found {
	p.t.Helper()
	late := time.After(10 * time.Second)
	for {
		p.mu.Lock()
		var last Found
		if n := len(p.reports); n > 0 {
			last = p.reports[n-1]
		}
		n := len(p.reports)
		p.mu.Unlock()
		if n > 0 && judge(last) {
			return last
		}
		select {
		case <-p.changed:
		case <-late:
			p.t.Fatalf("waited too long for %s; the last of %d reports is %+v", what, n, last)
		}
	}
}

func (p *place) untilNames(names ...string) Found {
	p.t.Helper()
	return p.until(fmt.Sprintf("the instances %q", names), func(f Found) bool { return f.Read && slices.Equal(f.Names, names) })
}

// profile makes an entry with its marker.
func (p *place) profile(name string) {
	p.t.Helper()
	must(p.t, os.Mkdir(filepath.Join(p.dir, name), 0o755))
	p.mark(name)
}

func (p *place) mark(name string) {
	p.t.Helper()
	must(p.t, os.WriteFile(filepath.Join(p.dir, name, marker), nil, 0o644))
}

// eachWay runs a test with inotify and with the rescan alone.
func eachWay(t *testing.T, body func(t *testing.T, p *place, r Rule)) {
	for _, deaf := range []bool{false, true} {
		name := map[bool]string{false: "inotify", true: "rescan"}[deaf]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			r := p.rule()
			r.deaf = deaf
			body(t, p, r)
		})
	}
}

// TestComeAndGo: what has a marker is an instance, within two seconds and for as long as that is so.
func TestComeAndGo(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, p *place, r Rule) {
		p.profile("coder")
		p.profile("default") // excepted
		must(t, os.Mkdir(p.dir+"/bare", 0o755))
		must(t, os.WriteFile(p.dir+"/file", nil, 0o644))
		p.watch(r)
		p.untilNames("coder")

		soon := func(names ...string) {
			t.Helper()
			began := time.Now()
			p.untilNames(names...)
			if took := time.Since(began); took > 4*time.Second { // two, and what a busy machine adds
				t.Errorf("%q took %v", names, took)
			}
		}
		p.profile("writer")
		soon("coder", "writer")
		p.mark("bare") // the directory was there before
		soon("bare", "coder", "writer")
		must(t, os.Rename(p.dir+"/coder", p.dir+"/other"))
		p.until("the new name", func(f Found) bool { return slices.Contains(f.Names, "other") && !slices.Contains(f.Names, "coder") })
		must(t, os.Remove(p.dir+"/bare/"+marker))
		p.untilNames("other", "writer")
		must(t, os.RemoveAll(p.dir+"/writer"))
		p.untilNames("other")
		if f := p.until("anything", func(Found) bool { return true }); f.Trouble != "" || len(f.Rejected) > 0 {
			t.Errorf("%+v", f)
		}
	})
}

// TestRescanAlone: where no event ever comes, as from a host through some mounts, one more than a thousand is reported
// within two seconds of its marker all the same, whenever that is made.
func TestRescanAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		var names []string
		for i := range 1000 {
			names = append(names, fmt.Sprintf("p%03d", i))
			p.profile(names[i])
		}
		r := p.rule()
		r.deaf = true
		p.watch(r)
		p.untilNames(names...)
		longest := time.Duration(0)
		for i := range 25 {
			time.Sleep(time.Duration(i) * 370 * time.Millisecond) // at every moment between two looks
			p.untilLater()
			name := fmt.Sprintf("q%02d", i)
			p.profile(name)
			made := time.Now()
			names = append(names, name)
			p.untilNames(names...)
			longest = max(longest, time.Since(made))
		}
		t.Logf("one more was reported after at most %v", longest)
		if longest > 2*time.Second {
			t.Error("that is too late")
		}
	})
}

// untilLater waits until the file system's clock has gone on since the directory was changed: virtual time is faster.
func (p *place) untilLater() {
	p.t.Helper()
	before, err := os.Stat(p.dir)
	must(p.t, err)
	for {
		file := p.dir + "/../clock"
		must(p.t, os.WriteFile(file, []byte("x"), 0o644))
		if info, err := os.Stat(file); err == nil && info.ModTime().After(before.ModTime()) {
			return
		}
	}
}

// TestWithoutMarker: where no marker is asked for, every directory declares an instance.
func TestWithoutMarker(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, p *place, r Rule) {
		r.Marker = ""
		must(t, os.Mkdir(p.dir+"/a", 0o755))
		p.watch(r)
		p.untilNames("a")
		must(t, os.Mkdir(p.dir+"/b", 0o755))
		p.untilNames("a", "b")
		must(t, os.Remove(p.dir+"/a"))
		p.untilNames("b")
	})
}

// TestWrittenAnew: an editor that writes the marker anew, by whatever steps, ends nothing.
func TestWrittenAnew(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, p *place, r Rule) {
		p.profile("coder")
		p.watch(r)
		p.untilNames("coder")
		must(t, os.Rename(p.dir+"/coder/"+marker, p.dir+"/coder/"+marker+"~"))
		p.profile("witness") // it is seen while the marker is away
		p.until("the witness", func(f Found) bool { return slices.Contains(f.Names, "witness") })
		p.mark("coder")
		p.profile("witness2")
		p.untilNames("coder", "witness", "witness2")
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, f := range p.reports {
			if !slices.Contains(f.Names, "coder") {
				t.Errorf("it was gone: %+v", f)
			}
		}
	})
}

// TestTroubleIsNotTheEnd: that the whole directory is missing, hidden or something else ends no instance; its return is seen.
func TestTroubleIsNotTheEnd(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, p *place, r Rule) {
		p.profile("coder")
		p.watch(r)
		p.untilNames("coder")
		away := p.dir + ".away"

		must(t, os.Rename(p.dir, away))
		f := p.until("trouble", func(f Found) bool { return f.Trouble != "" })
		if want := "cannot open " + p.dir + ": no such file or directory; the 1 instances that are known stay"; f.Trouble != want || !slices.Equal(f.Names, []string{"coder"}) {
			t.Errorf("%+v\nwant %s", f, want)
		}
		must(t, os.WriteFile(p.dir, nil, 0o644))
		p.until("other trouble", func(f Found) bool { return strings.Contains(f.Trouble, "not a directory") })
		must(t, os.Remove(p.dir))
		must(t, os.Rename(away, p.dir))
		p.until("the end of trouble", func(f Found) bool { return f.Trouble == "" && len(f.Names) == 1 })

		// Another directory in its place is believed, and watched.
		must(t, os.Rename(p.dir, away))
		must(t, os.Mkdir(p.dir, 0o755))
		p.profile("writer")
		p.untilNames("writer")
		p.profile("third")
		p.untilNames("third", "writer")
	})
}

// TestNotThereYet: a directory that does not exist is no trouble until something was known in it, and is found when it comes.
func TestNotThereYet(t *testing.T) {
	t.Parallel()
	p, q := newPlace(t), newPlace(t)
	for _, x := range []*place{p, q} {
		must(t, os.Remove(x.dir))
	}
	p.watch(p.rule())
	if f := p.until("a report", func(Found) bool { return true }); f.Read || f.Trouble != "" || f.Names != nil {
		t.Errorf("%+v", f)
	}
	must(t, os.Mkdir(p.dir, 0o755))
	p.profile("coder")
	p.untilNames("coder")

	known := q.rule()
	known.Known = []string{"coder"}
	q.watch(known)
	if f := q.until("a report", func(Found) bool { return true }); f.Read || f.Trouble == "" || f.Names != nil {
		t.Errorf("%+v", f)
	}
}

// TestOtherFileSystem: an empty directory of another file system is a mount that went, not the end of all instances.
func TestOtherFileSystem(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.profile("coder")
	w := newScanner(p.rule())
	defer w.close()
	at := time.Unix(1e9, 0)
	if f := w.scan(at); !slices.Equal(f.Names, []string{"coder"}) {
		t.Fatalf("%+v", f)
	}
	w.device++ // as if it had been on another one
	must(t, os.RemoveAll(p.dir+"/coder"))
	for range 5 {
		at = at.Add(time.Minute)
		if f := w.scan(at); !strings.Contains(f.Trouble, "is on another file system now") || len(f.Names) != 1 {
			t.Fatalf("%+v", f)
		}
	}
	p.profile("writer")
	w.scan(at)
	if f := w.scan(at.Add(time.Minute)); f.Trouble != "" || !slices.Equal(f.Names, []string{"writer"}) {
		t.Errorf("%+v", f)
	}
}

// TestBadEntries: each is listed with its reason, on one line, and disturbs no other.
func TestBadEntries(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, name := range []string{"good", "UPPER", "a\nb", "\xff\xfe", "with space", strings.Repeat("x", 200)} {
		p.profile(name)
	}
	must(t, os.Symlink("good", p.dir+"/link"))
	must(t, os.Symlink("/nowhere", p.dir+"/dangling"))
	must(t, unix.Mkfifo(p.dir+"/fifo", 0o666))
	for name, make := range map[string]func(string) error{
		"dirmark":  func(path string) error { return os.Mkdir(path, 0o755) },
		"linkmark": func(path string) error { return os.Symlink("/etc/passwd", path) },
		"fifomark": func(path string) error { return unix.Mkfifo(path, 0o666) },
	} {
		must(t, os.Mkdir(filepath.Join(p.dir, name), 0o755))
		must(t, make(filepath.Join(p.dir, name, marker)))
	}
	p.watch(p.rule())
	f := p.untilNames("good")
	summary := f.Summary(p.dir)
	for _, want := range []string{
		`"UPPER" (cannot use instance name "UPPER": the template allows only`, `"a\nb" (`, `"\xff\xfe" (`, `"with space" (`, `x"… (`,
		`"link" (it is a symlink, which is not followed)`, `"dangling" (it is a symlink`, `"linkmark" (its SOUL.md is not a regular file)`,
		`"dirmark" (its SOUL.md is not`, `"fifomark" (its SOUL.md is not`, "10 entries of " + p.dir + " are no instances: ",
	} {
		if !strings.Contains(summary, want) {
			t.Errorf("it does not say %s:\n%s", want, summary)
		}
	}
	if strings.Contains(summary, "\n") {
		t.Errorf("more than one line: %q", summary)
	}
}

// TestTenThousandBadEntries: they cost little, twenty are named, and one good entry among them is found, also when it comes late.
func TestTenThousandBadEntries(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, p *place, r Rule) {
		for i := range 9_900 {
			must(t, os.Symlink("good", fmt.Sprintf("%s/bad%d", p.dir, i)))
		}
		for i := range 100 {
			p.profile(fmt.Sprintf("BAD%d", i))
		}
		p.profile("good")
		p.watch(r)
		f := p.untilNames("good")
		if len(f.Rejected) != maxRejected || f.More != 10_000-maxRejected || len(f.Summary(p.dir)) > 5000 {
			t.Errorf("%d are named and %d counted: %s", len(f.Rejected), f.More, f.Summary(p.dir))
		}
		p.profile("late")
		p.untilNames("good", "late")
	})
}

// TestMoreThanIsLookedAt: in a directory with more entries than are looked at, those that are known stay.
func TestMoreThanIsLookedAt(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.profile("zzz")
	w := newScanner(p.rule())
	defer w.close()
	w.scan(time.Unix(1e9, 0))
	w.most = 200
	for i := range 300 {
		must(t, os.WriteFile(fmt.Sprintf("%s/aaa%d", p.dir, i), nil, 0o644))
	}
	for i := range 3 {
		f := w.scan(time.Unix(1e9+60*int64(i+1), 0))
		if !slices.Equal(f.Names, []string{"zzz"}) || !strings.Contains(f.Summary(p.dir), "more than 200 entries") {
			t.Fatalf("%+v", f)
		}
	}
	must(t, os.RemoveAll(p.dir+"/zzz"))
	w.scan(time.Unix(2e9, 0))
	if f := w.scan(time.Unix(2e9+60, 0)); len(f.Names) != 0 {
		t.Errorf("%+v", f)
	}
}

// TestMax: what is over the most is listed, those that were there before it stay, and take turns with what goes.
func TestMax(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	r := p.rule()
	r.Max = 2
	r.Known = []string{"y"}
	for _, name := range []string{"a", "b", "y", "z"} {
		p.profile(name)
	}
	p.watch(r)
	f := p.untilNames("a", "y")
	if want := `2 entries of ` + p.dir + ` are no instances: "b" (there are 2 already, which is the most), "z" (there are 2 already, which is the most)`; f.Summary(p.dir) != want {
		t.Errorf("%s\nwant %s", f.Summary(p.dir), want)
	}
	must(t, os.RemoveAll(p.dir+"/y"))
	p.untilNames("a", "b")
}

// TestBurst: a thousand directories made at once are a handful of reports.
func TestBurst(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.watch(p.rule())
	p.untilNames()
	for i := range 1000 {
		p.profile(fmt.Sprintf("p%d", i))
	}
	p.until("a thousand", func(f Found) bool { return len(f.Names) == 1000 })
	if n := p.count(); n > 30 {
		t.Errorf("%d reports", n)
	}
}

// TestNoRights: who may not look says so, and looks again.
func TestNoRights(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.profile("coder")
	r := p.rule()
	refusals := 0
	r.As = func(do func()) error {
		if refusals++; refusals == 1 {
			return errors.New("there is no such user")
		}
		do()
		return nil
	}
	p.watch(r)
	p.until("the reason", func(f Found) bool { return f.Trouble == "there is no such user" || f.Read })
	p.untilNames("coder")
	if p.mu.Lock(); p.reports[0].Trouble != "there is no such user" || p.reports[0].Read {
		t.Errorf("%+v", p.reports[0])
	}
	p.mu.Unlock()
}

// TestUnchangedIsCheap: of a thousand entries in which nothing happens, none is opened.
func TestUnchangedIsCheap(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for i := range 1000 {
		p.profile(fmt.Sprintf("p%d", i))
	}
	w := newScanner(p.rule())
	defer w.close()
	at := time.Unix(1e9, 0)
	w.scan(at)
	asked := func() (n int) {
		for _, e := range w.entries {
			if !e.told {
				n++
			}
		}
		return n
	}
	if n := asked(); n != 1000 {
		t.Errorf("%d are to be looked at again: the first look says nothing about a change in the same tick", n)
	}
	w.scan(at.Add(granularity))
	if n := asked(); n != 0 || !w.read {
		t.Errorf("%d are to be looked at again", n)
	}
}

func BenchmarkUnchanged1000(b *testing.B) {
	dir := b.TempDir()
	for i := range 1000 {
		must(b, os.Mkdir(fmt.Sprintf("%s/p%d", dir, i), 0o755))
		must(b, os.WriteFile(fmt.Sprintf("%s/p%d/%s", dir, i, marker), nil, 0o644))
	}
	w := newScanner(Rule{Directory: dir, Marker: marker, Check: unit.NamePattern{}.Check, Max: 1000, UID: os.Geteuid()})
	defer w.close()
	w.scan(time.Unix(1e9, 0))
	at := time.Unix(2e9, 0)
	for b.Loop() {
		if f := w.scan(at); len(f.Names) != 1000 {
			b.Fatalf("%+v", f)
		}
	}
}

// TestManyKnownAmongTooMany: to look at those that are known costs no more for each where there are many of them.
func TestManyKnownAmongTooMany(t *testing.T) {
	p := newPlace(t)
	w := newScanner(p.rule())
	defer w.close()
	w.scan(time.Unix(1e9, 0))
	w.most = 2000
	for i := range w.most + 1 {
		must(t, os.WriteFile(fmt.Sprintf("%s/a%d", p.dir, i), nil, 0o644))
	}
	for i := range 1000 {
		w.known[fmt.Sprintf("z%d", i)] = time.Time{}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w.scan(time.Unix(1e9, 0))
	runtime.ReadMemStats(&after)
	if size := (after.TotalAlloc - before.TotalAlloc) >> 20; size > 8 {
		t.Errorf("it took %d MiB", size)
	}
}
