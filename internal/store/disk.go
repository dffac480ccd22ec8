package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"pintle/internal/trust"
	"pintle/internal/unit"
)

// temporary begins the names of files that are being written; no unit's name begins so.
const temporary = ".new-"

// Mark is a directory that every state directory has, once it was opened: by it one
// is known, whatever its name.
const Mark = "intents"

// disk is the directory of records. It is held open: whatever happens to the path
// meanwhile, it is the directory that was trusted which is written to.
type disk struct {
	directory string
	uid       int

	dir  *os.File // nil when not open
	root *os.Root // the same directory, for working in it
}

// spoilt is a record that could not be read.
type spoilt struct {
	unit      unit.Name // as far as the file's name tells
	condition string
}

func (d *disk) path(name string) string { return filepath.Join(d.directory, Mark, name) }

// open opens the directory, unless it is open, and clears away what an interrupted write left.
func (d *disk) open() error {
	if d.dir != nil {
		return nil
	}
	state, err := trust.OpenDir(d.directory, d.uid, 0o700)
	if err != nil {
		return err
	}
	defer state.Close()
	dir, err := trust.OpenDirIn(state, Mark, d.uid, 0o700)
	if err != nil {
		return err
	}
	// Not by its path, which may lead elsewhere by now.
	root, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()))
	if err != nil {
		_ = dir.Close()
		return fmt.Errorf("cannot open %s: %w", d.path(""), cause(err))
	}
	d.dir, d.root = dir, root
	names, _ := d.names() // what cannot be listed is found out by those who need it
	for _, name := range names {
		if strings.HasPrefix(name, temporary) {
			_ = root.Remove(name)
		}
	}
	return nil
}

func (d *disk) close() {
	if d.dir == nil {
		return
	}
	_ = d.root.Close()
	_ = d.dir.Close()
	d.dir, d.root = nil, nil
}

func (d *disk) names() ([]string, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// readAll reads every record, and sets aside those that it cannot read.
func (d *disk) readAll() (records []Record, bad []spoilt) {
	names, err := d.names()
	if err != nil {
		bad = append(bad, spoilt{condition: fmt.Sprintf("desired states are not known: cannot read %s: %v", d.path(""), cause(err))})
	}
	for _, name := range names {
		if !strings.HasSuffix(name, suffix) || strings.HasPrefix(name, temporary) {
			continue
		}
		text, err := d.read(name)
		var r Record
		if err == nil {
			r, err = decode(name, text)
		}
		if err == nil {
			records = append(records, r)
			continue
		}
		// The next bad one of this name takes its place, so they do not heap up.
		aside := "it was set aside as " + name + rejected
		if e := d.root.Rename(name, name+rejected); e != nil {
			aside = fmt.Sprintf("it cannot be set aside: %v", cause(e))
		}
		bad = append(bad, spoilt{
			unit:      unit.Name(strings.TrimSuffix(name, suffix)),
			condition: fmt.Sprintf("a desired state is not known: cannot read %s: %v; %s", d.path(name), cause(err), aside),
		})
	}
	return records, bad
}

// read reads one record's file. The directory is pintle's own, but what lies in it may be from another time.
func (d *disk) read(name string) ([]byte, error) {
	// To look before opening is enough here, where nobody else can exchange a file
	// between the two; it keeps a FIFO from being waited for.
	info, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 0 && int(stat.Uid) != d.uid {
		return nil, fmt.Errorf("it belongs to uid %d", stat.Uid)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return nil, fmt.Errorf("it is writable by others (mode %04o)", mode)
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxRecord+1))
}

// write makes changes durable. It returns those that it could not, and a fault:
// the first reason, or why the directory cannot be had at all.
func (d *disk) write(batch map[unit.Name]*change) (failed map[unit.Name]error, fault error) {
	failed = map[unit.Name]error{}
	fail := func(name unit.Name, err error) {
		failed[name] = err
		if fault == nil {
			fault = err
		}
	}
	if err := d.open(); err != nil {
		for name := range batch {
			fail(name, err)
		}
		return failed, err
	}
	for _, name := range slices.Sorted(maps.Keys(batch)) {
		if err := d.replace(name, batch[name].record); err != nil {
			fail(name, fmt.Errorf("cannot write %s: %w", d.path(fileName(name)), cause(err)))
		}
	}
	if len(failed) < len(batch) {
		// One sync of the directory makes all the renames durable.
		if err := d.dir.Sync(); err != nil {
			err = fmt.Errorf("cannot write %s: %w", d.path(""), cause(err))
			for name := range batch {
				fail(name, err)
			}
		}
	}
	if fault != nil && d.gone() {
		d.close() // the next round makes a new one
	}
	return failed, fault
}

// replace exchanges a record's file for a new one in one step, or removes it when r is nil.
func (d *disk) replace(name unit.Name, r *Record) (err error) {
	if r == nil {
		if err := d.root.Remove(fileName(name)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := encode(*r)
	if err != nil {
		return err
	}
	// A random name, since another container may write to the same directory.
	interim := temporary + rand.Text()
	f, err := d.root.OpenFile(interim, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = d.root.Remove(interim)
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
	return d.root.Rename(interim, fileName(name))
}

// gone tells whether the directory was removed from under the store.
func (d *disk) gone() bool {
	info, err := d.dir.Stat()
	return err == nil && info.Sys().(*syscall.Stat_t).Nlink == 0
}

// cause is err without the names of system calls and interim files.
func cause(err error) error {
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e
	}
	return err
}
