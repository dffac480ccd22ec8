package forward

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"pintle/internal/unit"
)

// mostCursors is how many units of a target are remembered; those whose lines are the oldest are forgotten first.
const mostCursors = 4096

// cursors are the numbers of the newest lines that have arrived, for each target and unit, in a file.
type cursors struct {
	path string

	mu      sync.Mutex
	places  map[string]map[unit.Name]uint64
	changed bool
}

// cursorFile is what the file holds.
type cursorFile struct {
	Version int                             `json:"version"`
	Targets map[string]map[unit.Name]uint64 `json:"targets"`
}

// openCursors reads the file, which may not be there yet, and makes sure that it can be written.
func openCursors(path string) (*cursors, error) {
	c := &cursors{path: path, places: map[string]map[unit.Name]uint64{}}
	if path == "" {
		return c, nil
	}
	text, err := os.ReadFile(path)
	var f cursorFile
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("cannot read the cursors: %w", err)
	default:
		if err := json.Unmarshal(text, &f); err != nil {
			return nil, fmt.Errorf("cannot read the cursors in %s: %w", path, err)
		}
		if f.Version != 1 {
			return nil, fmt.Errorf("cannot read the cursors in %s: their version is %d, not 1", path, f.Version)
		}
	}
	for target, places := range f.Targets {
		if places != nil {
			c.places[target] = places
		}
	}
	c.changed = true
	return c, c.save()
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
		if e.lost == 0 && places[e.line.Unit] < e.line.Seq {
			places[e.line.Unit] = e.line.Seq
			c.changed = true
		}
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

// replaceFile has a file be what it was or what it is to be, whatever happens.
func replaceFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
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
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // what was to be is of no use
	}
	return err
}
