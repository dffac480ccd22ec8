package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"pintle/internal/trust"
)

// volume is all that the store does to the state directory. Names are relative to
// it, with at most one directory in them. It is an interface so that a test can be
// a disk that dies, is full or forgets what was never synced at any of these calls.
type volume interface {
	// List returns the sorted names in a directory.
	List(dir string) ([]string, error)
	// Stat describes what is called name, and follows no symlink.
	Stat(name string) (fs.FileInfo, error)
	Open(name string) (file, error)
	// Create makes a file that must not be there yet; Append adds to one, and makes it where it is not.
	Create(name string, mode fs.FileMode) (file, error)
	Append(name string, mode fs.FileMode) (file, error)
	// Link gives a file another name, which must not be there yet.
	Link(from, to string) error
	Rename(from, to string) error
	// Remove removes what is called name, and all in it.
	Remove(name string) error
	// Sync makes durable which names a directory has.
	Sync(dir string) error
	// Gone tells whether the directory was removed from under the store, and Moved whether it is not where it was opened.
	Gone() bool
	Moved() bool
	Close()
}

// file is an open file of a volume.
type file interface {
	io.Reader
	io.Writer
	Sync() error
	Close() error
}

// temporary begins the names of files that are being written; no unit's name begins so.
const temporary = ".new-"

// tree is the volume on a real disk. It is held open: whatever happens to the path
// meanwhile, it is the directory that was trusted which is worked in.
type tree struct {
	path string
	dirs map[string]*os.File
	root *os.Root
}

// openTree opens the state directory and those in it, which it makes where they are missing.
func openTree(directory string, uid int, dirs ...string) (_ volume, err error) {
	state, err := trust.OpenDir(directory, uid, 0o700)
	if err != nil {
		return nil, err
	}
	t := &tree{path: directory, dirs: map[string]*os.File{".": state}}
	defer func() {
		if err != nil {
			t.Close()
		}
	}()
	for _, name := range dirs {
		dir, err := trust.OpenDirIn(state, name, uid, 0o700)
		if err != nil {
			return nil, err
		}
		t.dirs[name] = dir
	}
	// Not by its path, which may lead elsewhere by now.
	t.root, err = os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", state.Fd()))
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", directory, cause(err))
	}
	return t, nil
}

func (t *tree) List(dir string) ([]string, error) {
	f, err := t.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

func (t *tree) Stat(name string) (fs.FileInfo, error) { return t.root.Lstat(name) }

func (t *tree) Open(name string) (file, error) {
	// Without waiting for the other end of a FIFO, should it be one.
	return wrap(t.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0))
}

func (t *tree) Create(name string, mode fs.FileMode) (file, error) {
	return wrap(t.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode))
}

func (t *tree) Append(name string, mode fs.FileMode) (file, error) {
	return wrap(t.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK, mode))
}

// wrap keeps a nil *os.File from becoming a file that is not nil.
func wrap(f *os.File, err error) (file, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (t *tree) Link(from, to string) error   { return t.root.Link(from, to) }
func (t *tree) Rename(from, to string) error { return t.root.Rename(from, to) }
func (t *tree) Remove(name string) error     { return t.root.RemoveAll(name) }

// Sync syncs the directory that is held, so that it costs no look-up.
func (t *tree) Sync(dir string) error { return t.dirs[dir].Sync() }

func (t *tree) Gone() bool {
	for _, dir := range t.dirs {
		if info, err := dir.Stat(); err == nil && info.Sys().(*syscall.Stat_t).Nlink == 0 {
			return true
		}
	}
	return false
}

func (t *tree) Moved() bool {
	held, err := t.dirs["."].Stat()
	if err != nil {
		return false // this says nothing about it
	}
	there, err := os.Stat(t.path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(held, there)
}

func (t *tree) Close() {
	for _, dir := range t.dirs {
		_ = dir.Close()
	}
	if t.root != nil {
		_ = t.root.Close()
	}
}

// replace exchanges a file for a new one in one step: whenever that is interrupted,
// the file has the old text or the new one. It lasts through a crash of the machine
// once the directory has been synced, too. interim is unlike any other, since
// another container may write to the same directory; one that starts clears it away, and then it is made again.
func replace(v volume, name, interim string, text []byte, mode fs.FileMode) error {
	err := replaceOnce(v, name, interim, text, mode)
	if errors.Is(err, fs.ErrNotExist) {
		err = replaceOnce(v, name, interim, text, mode)
	}
	return err
}

func replaceOnce(v volume, name, interim string, text []byte, mode fs.FileMode) (err error) {
	interim = filepath.Join(filepath.Dir(name), temporary+interim)
	f, err := v.Create(interim, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = v.Remove(interim)
		}
	}()
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return v.Rename(interim, name)
}

// read reads a file of the store's. The directory is pintle's own, but what lies in
// it may be from another time: what is no plain file of root's or pintle's, or is
// longer than most, is refused.
func read(v volume, name string, uid int, most int64) ([]byte, error) {
	// To look before opening is enough here, where nobody else can exchange a file
	// between the two; it keeps a FIFO from being opened.
	info, err := v.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != uid {
		return nil, fmt.Errorf("it belongs to uid %d", stat.Uid)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return nil, fmt.Errorf("it is writable by others (mode %04o)", mode)
	}
	f, err := v.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // for reading only: nothing is lost by an error
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("it is larger than %d bytes", most)
	}
	return text, err
}

// cause is err without the names of system calls and interim files.
func cause(err error) error {
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e
	}
	return err
}
