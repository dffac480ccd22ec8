package store

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pintle/internal/unit"
)

// Whatever call to the disk goes wrong, and however, the next pintle finds each
// unit's old intent or its new one, and the new one where that was reported durable:
// SIGKILL before the call and behind it, an error before and behind it, half a write.
func TestEveryCallCanGoWrong(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]func(*faulty, func() error) error{
		"SIGKILL before": dies, "SIGKILL after": diesAfter,
		"EIO": fails(syscall.EIO), "ENOSPC": fails(syscall.ENOSPC), "EIO after": failsAfter(syscall.EIO),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := map[string]bool{}
			for at := 1; ; at++ {
				disk := &faulty{at: at, how: how}
				crashOnce(t, disk)
				for _, what := range disk.log {
					verb, _, _ := strings.Cut(what, " ")
					seen[verb] = true
				}
				if !disk.wrong {
					break // it went through with fewer calls
				}
			}
			for _, verb := range []string{"mount", "list", "stat", "open", "read", "create", "write", "fsync", "close", "rename", "sync", "remove"} {
				if !seen[verb] {
					t.Errorf("there was no call to %s", verb)
				}
			}
		})
	}
}

// crashOnce has a pintle on a faulty disk change and remove intents, and judges what the next one finds.
func crashOnce(t *testing.T, disk *faulty) {
	t.Helper()
	dir := filepath.Join(scratch(t), "state")
	s, _ := open(t, dir)
	for _, name := range []unit.Name{"a", "b", "c"} {
		must(t, put(s, record(name, true, 1)))
	}
	must(t, s.Close(t.Context()))
	must(t, os.WriteFile(dir+"/intents/.new-left", []byte("{"), 0o600))

	s, records := Open(Options{Directory: dir, UID: os.Geteuid(), mount: disk.mount})
	for _, r := range records {
		wantRecords(t, []Record{r}, record(r.Unit, true, 1))
	}
	changed, removed := put(s, record("a", false, 2)), remove(s, "c")
	_ = s.Close(t.Context()) // what it says is about a broken disk

	found := map[unit.Name]Record{}
	for _, r := range reopen(t, dir) {
		found[r.Unit] = r
	}
	complain := func(what string) {
		t.Errorf("%s: call %d went wrong (%s): %v\nall calls: %q", what, disk.at, disk.log[min(disk.at, len(disk.log))-1], found, disk.log)
	}
	if a := found["a"]; a.Intent != record("a", true, 1).Intent && a.Intent != record("a", false, 2).Intent {
		complain("a has neither the old intent nor the new one")
	} else if changed == nil && a.Intent.Generation != 2 {
		complain("a has the old intent, and the new one was durable")
	}
	if b := found["b"]; b.Intent != record("b", true, 1).Intent {
		complain("b has changed, which nobody touched")
	}
	if c, ok := found["c"]; ok && (removed == nil || c.Intent != record("c", true, 1).Intent) {
		complain("c is there, and its removal was durable; or it has changed")
	}
	if left, err := filepath.Glob(dir + "/*/.new-*"); err != nil || len(left) != 0 {
		complain(fmt.Sprintf("left behind: %q", left))
	}
}

// When the machine goes down at any call, whatever was not synced may be lost, in
// any combination; what was reported durable is there, and the rest is the old or the new.
func TestMachineGoesDownAtAnyCall(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	for round := range 30 {
		for at := 1; ; at++ {
			p := newPlatter()
			s, _ := Open(Options{Directory: "/state", mount: p.mount})
			must(t, put(s, record("a", true, 1)))
			must(t, put(s, record("c", true, 1)))
			must(t, s.Close(t.Context()))

			disk := &faulty{at: at, how: dies}
			s, records := Open(Options{Directory: "/state", mount: func(directory string, uid int, dirs ...string) (volume, error) {
				v, err := p.mount(directory, uid, dirs...)
				if err == nil {
					err = disk.call("mount", "", func() error { return nil })
				}
				return &view{disk, v}, err
			}})
			if len(records) != 2 && !disk.wrong {
				t.Fatalf("found %v", records)
			}
			durable := uint64(1)
			for generation := uint64(2); generation < 5; generation++ {
				if put(s, record("a", generation%2 == 0, generation)) == nil {
					durable = generation
				}
			}
			removed := remove(s, "c")
			_ = s.Close(t.Context())
			p.lose(rng)

			s, records = Open(Options{Directory: "/state", mount: p.mount})
			if got := s.Conditions(); got != nil {
				t.Errorf("seed %d: conditions %q", seed, got)
			}
			must(t, s.Close(t.Context()))
			if len(records) == 0 || records[0].Unit != "a" || records[0].Intent.Generation < durable {
				t.Fatalf("seed %d: generation %d was durable, found %v after call %d of %q", seed, durable, records, at, disk.log)
			}
			if removed == nil && len(records) != 1 {
				t.Fatalf("seed %d: c came back: %v", seed, records)
			}
			if !disk.wrong {
				break
			}
		}
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
}

// platter is a disk in memory that knows what would be left of it if the machine
// went down: a file's content as of its last fsync, a directory's names as of its
// last sync, and any of the changes since.
type platter struct {
	names, durable map[string]*content
	changes        []renaming // of names, since the last sync of their directories
}

type content struct {
	now, synced []byte
}

// renaming is one atomic change of names: gone is not there any more, name is what to is.
type renaming struct {
	gone, name string
	to         *content
}

func newPlatter() *platter {
	return &platter{names: map[string]*content{}, durable: map[string]*content{}}
}

func (p *platter) mount(_ string, _ int, dirs ...string) (volume, error) {
	if dirs[0] != intentsDir {
		return nil, fs.ErrNotExist // it is for one user at a time
	}
	return p, nil
}

func (r renaming) apply(names map[string]*content) {
	delete(names, r.gone)
	if r.to != nil {
		names[r.name] = r.to
	}
}

func (p *platter) change(r renaming) {
	r.apply(p.names)
	p.changes = append(p.changes, r)
}

// lose is the machine going down and coming back.
func (p *platter) lose(rng *rand.Rand) {
	for _, r := range p.changes {
		if rng.IntN(2) == 0 {
			r.apply(p.durable)
		}
	}
	for _, c := range p.durable {
		if !bytes.Equal(c.now, c.synced) {
			c.now = slices.Concat(c.now[:rng.IntN(len(c.now)+1)], make([]byte, rng.IntN(9)))
		}
		c.synced = c.now
	}
	p.names, p.changes = maps.Clone(p.durable), nil
}

func (p *platter) List(dir string) ([]string, error) {
	var names []string
	for name := range p.names {
		if base, ok := strings.CutPrefix(name, dir+"/"); ok {
			names = append(names, base)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (p *platter) Stat(name string) (fs.FileInfo, error) {
	c, ok := p.names[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return plain{c}, nil
}

func (p *platter) Open(name string) (file, error) {
	c, ok := p.names[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return &head{content: c, Reader: bytes.NewReader(c.now)}, nil
}

func (p *platter) Create(name string, _ fs.FileMode) (file, error) {
	if p.names[name] != nil {
		return nil, fs.ErrExist
	}
	return p.Append(name, 0)
}

func (p *platter) Append(name string, _ fs.FileMode) (file, error) {
	c, ok := p.names[name]
	if !ok {
		c = &content{}
		p.change(renaming{name: name, to: c})
	}
	return &head{content: c}, nil
}

func (p *platter) Link(from, to string) error {
	p.change(renaming{name: to, to: p.names[from]})
	return nil
}

func (p *platter) Rename(from, to string) error {
	p.change(renaming{gone: from, name: to, to: p.names[from]})
	return nil
}

func (p *platter) Remove(name string) error {
	p.change(renaming{gone: name})
	return nil
}

func (p *platter) Sync(dir string) error {
	p.changes = slices.DeleteFunc(p.changes, func(r renaming) bool {
		ours := strings.HasPrefix(r.name+r.gone, dir+"/")
		if ours {
			r.apply(p.durable)
		}
		return ours
	})
	return nil
}

func (p *platter) Gone() bool  { return false }
func (p *platter) Moved() bool { return false }
func (p *platter) Close()      {}

// head is an open file of a platter.
type head struct {
	*content
	io.Reader
}

func (h *head) Write(b []byte) (int, error) { h.now = slices.Concat(h.now, b); return len(b), nil }
func (h *head) Sync() error                 { h.synced = h.now; return nil }
func (h *head) Close() error                { return nil }

// plain is what Stat says of a platter's file.
type plain struct{ *content }

func (p plain) Name() string       { return "" }
func (p plain) Size() int64        { return int64(len(p.now)) }
func (p plain) Mode() fs.FileMode  { return 0o600 }
func (p plain) ModTime() time.Time { return time.Time{} }
func (p plain) IsDir() bool        { return false }
func (p plain) Sys() any           { return nil }
