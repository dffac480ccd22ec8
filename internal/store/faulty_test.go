package store

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// faulty is a volume on a real disk that counts every call, and at one of them
// fails, dies or hangs.
type faulty struct {
	// part is the directory whose user has this disk; the other's is a good one. "" is the one of intents.
	part string
	// at is the number of the call that goes wrong, from 1 on; calls names calls that always do ("rename a/b"). how is
	// what happens then.
	at    int
	calls []string
	how   func(f *faulty, do func() error) error

	mu    sync.Mutex
	n     int
	dead  bool
	log   []string
	wrong bool // whether something has gone wrong
}

func (f *faulty) mount(directory string, uid int, dirs ...string) (volume, error) {
	var v volume
	if part := cmp.Or(f.part, intentsDir); dirs[0] != part {
		return openTree(directory, uid, dirs...)
	}
	err := f.call("mount", strings.Join(dirs, " "), func() (err error) {
		v, err = openTree(directory, uid, dirs...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &view{f, v}, nil
}

var errDead = errors.New("this process was killed")

// call does one thing to the disk, or what goes wrong instead.
func (f *faulty) call(verb, name string, do func() error) error {
	f.mu.Lock()
	if f.dead {
		f.mu.Unlock()
		return errDead
	}
	f.n++
	what := strings.TrimSpace(verb + " " + name)
	f.log = append(f.log, what)
	goesWrong := f.n == f.at || slices.Contains(f.calls, what)
	f.wrong = f.wrong || goesWrong
	f.mu.Unlock()
	if goesWrong {
		return f.how(f, do)
	}
	return do()
}

// The ways in which a call goes wrong.

func fails(err syscall.Errno) func(*faulty, func() error) error {
	return func(*faulty, func() error) error { return err }
}

// failsAfter does the thing and fails all the same: an answer that was lost.
func failsAfter(err syscall.Errno) func(*faulty, func() error) error {
	return func(_ *faulty, do func() error) error {
		_ = do()
		return err
	}
}

// dies is SIGKILL before the call, diesAfter behind it.
func dies(f *faulty, _ func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
	return errDead
}

func diesAfter(f *faulty, do func() error) error {
	_ = do()
	return dies(f, nil)
}

// view is an open volume of a faulty disk.
type view struct {
	f *faulty
	volume
}

func (v *view) List(dir string) (names []string, err error) {
	err = v.f.call("list", dir, func() (err error) { names, err = v.volume.List(dir); return err })
	return names, err
}

func (v *view) Stat(name string) (info fs.FileInfo, err error) {
	err = v.f.call("stat", name, func() (err error) { info, err = v.volume.Stat(name); return err })
	return info, err
}

func (v *view) opened(verb, name string, open func() (file, error)) (file, error) {
	var inner file
	err := v.f.call(verb, name, func() (err error) { inner, err = open(); return err })
	if err != nil {
		if inner != nil {
			_ = inner.Close()
		}
		return nil, err
	}
	return &openFile{v.f, name, inner}, nil
}

func (v *view) Open(name string) (file, error) {
	return v.opened("open", name, func() (file, error) { return v.volume.Open(name) })
}

func (v *view) Create(name string, mode fs.FileMode) (file, error) {
	return v.opened("create", name, func() (file, error) { return v.volume.Create(name, mode) })
}

func (v *view) Append(name string, mode fs.FileMode) (file, error) {
	return v.opened("append", name, func() (file, error) { return v.volume.Append(name, mode) })
}

func (v *view) Link(from, to string) error {
	return v.f.call("link", from, func() error { return v.volume.Link(from, to) })
}

func (v *view) Rename(from, to string) error {
	return v.f.call("rename", from, func() error { return v.volume.Rename(from, to) })
}

func (v *view) Remove(name string) error {
	return v.f.call("remove", name, func() error { return v.volume.Remove(name) })
}

func (v *view) Sync(dir string) error {
	return v.f.call("sync", dir, func() error { return v.volume.Sync(dir) })
}

// openFile is an open file of a faulty disk. A write that goes wrong has written half.
type openFile struct {
	f    *faulty
	name string
	file
}

func (o *openFile) Read(p []byte) (n int, err error) {
	err = o.f.call("read", o.name, func() error { return nil })
	if err != nil {
		return 0, err
	}
	return o.file.Read(p)
}

func (o *openFile) Write(p []byte) (n int, err error) {
	whole := false
	err = o.f.call("write", o.name, func() error {
		whole = true
		n, err = o.file.Write(p)
		return err
	})
	if !whole {
		n, _ = o.file.Write(p[:len(p)/2])
	}
	return n, err
}

func (o *openFile) Sync() error { return o.f.call("fsync", o.name, o.file.Sync) }

func (o *openFile) Close() error {
	err := o.f.call("close", o.name, func() error { return nil })
	return errors.Join(err, o.file.Close()) // the kernel closes what a dead process had open
}
