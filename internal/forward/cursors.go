package forward

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// mostCursors is how many units of a target are remembered; those whose lines are the oldest are forgotten first.
const mostCursors = 4096

// mostCursorFile bounds what is read of the file, which is another one where it is longer.
const mostCursorFile = 64 << 20

// cursors are the numbers of the newest lines that have arrived, for each target and unit, in a file.
type cursors struct {
	path string
	lock *os.File // held as long as the file is ours; nil where there is none

	mu      sync.Mutex
	places  map[string]map[unit.Name]uint64
	changed bool
}

// cursorFile is what the file holds.
type cursorFile struct {
	Version int                             `json:"version"`
	Targets map[string]map[unit.Name]uint64 `json:"targets"`
}

// openCursors reads the file, which may not be there yet, and makes sure that it can be written and that nobody else does.
// There are good cursors beside the error where only the disk is full.
func openCursors(path string) (*cursors, error) {
	c := &cursors{path: path, places: map[string]map[unit.Name]uint64{}}
	if path == "" {
		return c, nil
	}
	if err := c.own(); err != nil {
		return nil, err
	}
	if err := c.read(); err != nil {
		c.close()
		return nil, err
	}
	c.changed = true
	err := c.save()
	if err != nil && !full(err) {
		c.close()
		return nil, err
	}
	return c, err
}

// full tells whether a disk was, which is no reason not to forward: it may come to have room.
func full(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// own takes the file's lock, which is a file beside it, because the file itself is another one each time.
func (c *cursors) own() error {
	f, err := os.OpenFile(c.path+".lock", os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return fmt.Errorf("cannot keep the cursors: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		c.lock = f
		return nil
	}
	f.Close()
	if err == unix.EWOULDBLOCK {
		err = errors.New("another forwarder does")
	}
	return fmt.Errorf("cannot keep the cursors in %s: %w", c.path, err)
}

func (c *cursors) read() error {
	f, err := os.OpenFile(c.path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the cursors: %w", err)
	}
	defer f.Close()
	var text []byte
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(f, mostCursorFile+1))
	}
	var held cursorFile
	switch {
	case err == nil && len(text) > mostCursorFile:
		err = errors.New("it is too long to be a file of cursors")
	case err == nil:
		err = json.Unmarshal(text, &held)
	}
	if err == nil && held.Version != 1 {
		err = fmt.Errorf("their version is %d, not 1", held.Version)
	}
	if err != nil {
		return fmt.Errorf("cannot read the cursors in %s: %w", c.path, err)
	}
	for target, places := range held.Targets {
		if places != nil {
			c.places[target] = places
		}
	}
	return nil
}

// close lets others have the file.
func (c *cursors) close() {
	if c.lock != nil {
		_ = c.lock.Close()
	}
}

// get is where to go on.
func (c *cursors) get(target string, name unit.Name) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.places[target][name]
}

// passed remembers entries that have arrived, or never will.
func (c *cursors) passed(target string, entries []entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	places := c.places[target]
	if places == nil {
		places = map[unit.Name]uint64{}
		c.places[target] = places
	}
	for _, e := range entries {
		if e.lost == 0 && places[e.line.Unit] != e.line.Seq { // smaller where the clock was set back between two lives of pintle
			places[e.line.Unit] = e.line.Seq
			c.changed = true
		}
	}
	if len(places) > 2*mostCursors {
		forget(places)
	}
}

// save writes them down where they have changed. The file is a whole one at any time.
func (c *cursors) save() error {
	c.mu.Lock()
	if c.path == "" || !c.changed {
		c.mu.Unlock()
		return nil
	}
	for _, places := range c.places {
		forget(places)
	}
	text, err := json.Marshal(cursorFile{Version: 1, Targets: c.places})
	c.changed = false
	c.mu.Unlock()
	if err == nil {
		err = replaceFile(c.path, append(text, '\n'))
	}
	if err != nil {
		c.mu.Lock()
		c.changed = true
		c.mu.Unlock()
		return fmt.Errorf("cannot keep the cursors: %w", err)
	}
	return nil
}

// forget leaves the newest.
func forget(places map[unit.Name]uint64) {
	if len(places) <= mostCursors {
		return
	}
	var all []uint64
	for _, seq := range places {
		all = append(all, seq)
	}
	slices.Sort(all)
	least := all[len(all)-mostCursors]
	for name, seq := range places {
		if seq < least {
			delete(places, name)
		}
	}
}

// replaceFile has a file be what it was or what it is to be, whatever happens. What an earlier attempt has left is written
// over.
func replaceFile(path string, text []byte) error {
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		_ = os.Remove(next) // what was to be is of no use
	}
	return err
}
