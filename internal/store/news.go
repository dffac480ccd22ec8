package store

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"pintle/internal/unit"
)

// News is what another container that shares the state directory has done to a record: what is asked of a unit that one
// of them at a time may run is asked of all of them.
type News struct {
	Record
	// Removed is set when there is no record any more; of Record only Unit is known then.
	Removed bool
}

// known is a record as it was last read or written here: the sum of its text.
type known struct {
	sum [sha256.Size]byte
	// from is what its file was like when it had that text; zero where that is not known.
	from stamp
}

func (d *disk) know(name unit.Name, text []byte, from stamp) {
	if d.known == nil {
		d.known = map[unit.Name]known{}
	}
	d.known[name] = known{sha256.Sum256(text), from}
}

// whole tells whether the directory of records is there.
func (d *disk) whole() bool {
	_, err := d.volume.Stat(intentsDir)
	return err == nil && !d.volume.Gone()
}

// stamp tells one state of a file from another.
type stamp struct {
	inode    uint64
	size     int64
	modified time.Time
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{size: info.Size(), modified: info.ModTime()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = stat.Ino
	}
	return s
}

// quietLooks is how many looks in a row must have found the directory unchanged for the next one to believe it: two
// changes can have the same time, and a network file system may tell of one late.
const quietLooks = 2

// news is what others have written and removed of these units, of all of them if look is set, and what was heard on the way.
func (d *disk) news(look bool, units []unit.Name) []News {
	all := d.heard
	d.heard = nil
	if d.volume == nil {
		return all
	}
	if look {
		all = append(all, d.look()...)
	}
	for _, name := range units {
		all = append(all, d.lookAt(name)...)
	}
	return all
}

// look finds what others have written and removed. Mostly that is one question: whether names in the directory have changed.
func (d *disk) look() []News {
	dir, err := d.volume.Stat(intentsDir)
	if err != nil {
		return nil // the next write has something to say about that
	}
	if !dir.ModTime().Equal(d.changed) {
		d.changed, d.quiet = dir.ModTime(), 0
	}
	if d.quiet++; d.quiet > quietLooks {
		return nil
	}
	files, err := d.volume.List(intentsDir)
	if err != nil {
		return nil
	}
	var all []News
	for _, file := range files {
		if base, ok := strings.CutSuffix(file, suffix); ok && !strings.HasPrefix(file, temporary) {
			all = append(all, d.lookAt(unit.Name(base))...)
		}
	}
	for name := range d.known {
		if _, found := slices.BinarySearch(files, string(name)+suffix); !found {
			all = append(all, d.lookAt(name)...) // a listing can lack a file that is being replaced
		}
	}
	return all
}

// lookAt finds out whether another has written a unit's record. One that can't be read is left to whoever opens the
// directory next.
func (d *disk) lookAt(name unit.Name) []News {
	k, ok := d.known[name]
	info, err := d.volume.Stat(fileName(name))
	switch {
	case ok && errors.Is(err, fs.ErrNotExist) && d.whole():
		delete(d.known, name)
		return []News{{Record: Record{Unit: name}, Removed: true}}
	case err != nil:
		return nil
	}
	if ok && k.from == stampOf(info) {
		return nil
	}
	r, text, err := d.get(name)
	if err != nil {
		return nil
	}
	d.know(name, text, stampOf(info)) // of before it was read: what has changed since is found at the next look
	if ok && k.sum == d.known[name].sum {
		return nil
	}
	return []News{{Record: r}}
}
