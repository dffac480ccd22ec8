package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// Mark is a directory that every state directory has, once it was opened: by it one
// is known, whatever its name.
const Mark = intentsDir

// disk is the directory of intents. One goroutine at a time uses it.
type disk struct {
	directory string
	uid       int
	// mount opens the volume; openTree but in tests.
	mount func(directory string, uid int, dirs ...string) (volume, error)

	volume volume // nil when not open

	// known is each record as it was last read or written here; changed is when the directory last had other names, as
	// far as is known, and quiet how many looks have found that: see look.
	known   map[unit.Name]known
	changed time.Time
	quiet   int
	// heard is the news that nobody has been told of yet.
	heard []News
}

const intentsDir = "intents"

// spoilt is a record that could not be read.
type spoilt struct {
	unit      unit.Name // as far as the file's name tells
	condition engine.Condition
}

func (d *disk) path(name string) string { return filepath.Join(d.directory, name) }

// open opens the directory, unless it is open, and clears away what an interrupted write left.
func (d *disk) open() error {
	if d.volume != nil {
		return nil
	}
	v, err := d.mount(d.directory, d.uid, intentsDir, asideDir, livesDir)
	if err != nil {
		return err
	}
	d.volume, d.known = v, nil
	clearAway(v, intentsDir)
	clearAway(v, livesDir)
	return nil
}

// clearAway removes what an interrupted write left. What cannot be listed is found out by those who need it.
func clearAway(v volume, dir string) {
	names, _ := v.List(dir)
	for _, name := range names {
		if strings.HasPrefix(name, temporary) {
			_ = v.Remove(dir + "/" + name)
		}
	}
}

func (d *disk) close() {
	if d.volume != nil {
		d.volume.Close()
		d.volume = nil
	}
}

// readAll reads every record, and sets aside those that it cannot read.
func (d *disk) readAll() (records []Record, bad []spoilt) {
	names, err := d.volume.List(intentsDir)
	if err != nil {
		bad = append(bad, spoilt{condition: engine.Conditionf(engine.StateUnreadable, "desired states are not known: cannot read %s: %v", d.path(intentsDir), cause(err))})
	}
	for _, name := range names {
		if !strings.HasSuffix(name, suffix) || strings.HasPrefix(name, temporary) {
			continue
		}
		file := intentsDir + "/" + name
		r, text, err := d.get(unit.Name(strings.TrimSuffix(name, suffix)))
		if err == nil {
			d.know(r.Unit, text, stamp{})
			records = append(records, r)
			continue
		}
		err = cause(err)
		bad = append(bad, spoilt{
			unit: unit.Name(strings.TrimSuffix(name, suffix)),
			condition: engine.Conditionf(engine.StateUnreadable, "a desired state is not known: cannot read %s: %v; %s",
				d.path(file), err, setAside(d.volume, intentsDir, name, err)),
		})
	}
	return records, bad
}

// write makes changes durable. It returns those that it could not, and a fault: the first reason.
func (d *disk) write(batch map[unit.Name]*change) (failed map[unit.Name]error, fault error) {
	failed = map[unit.Name]error{}
	fail := func(name unit.Name, err error) {
		failed[name] = err
		if fault == nil {
			fault = err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(batch)) {
		if err := d.put(name, batch[name]); err != nil {
			fail(name, fmt.Errorf("cannot write %s: %w", d.path(fileName(name)), cause(err)))
		}
	}
	if len(failed) < len(batch) {
		// One sync of the directory makes all the renames durable.
		if err := d.volume.Sync(intentsDir); err != nil {
			err = fmt.Errorf("cannot write %s: %w", d.path(intentsDir), cause(err))
			for name := range batch {
				fail(name, err)
			}
		}
	}
	if fault != nil && d.volume.Gone() {
		d.close() // the next round makes a new one
	}
	return failed, fault
}

// put exchanges a record's file for a new one, or removes it when there is to be none.
func (d *disk) put(name unit.Name, c *change) error {
	r := c.record
	if r == nil {
		delete(d.known, name)
		if _, err := d.volume.Stat(fileName(name)); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return d.volume.Remove(fileName(name))
	}
	if c.repeats {
		news := d.lookAt(name)
		d.heard = append(d.heard, news...)
		if other, _, err := d.get(name); err == nil && !other.Intent.Same(r.Intent) && (len(news) > 0 || other.Intent.Generation >= r.Intent.Generation) {
			return nil
		}
	}
	text, err := encode(*r)
	if err != nil {
		return err
	}
	if err := replace(d.volume, fileName(name), rand.Text(), text, 0o600); err != nil {
		return err
	}
	d.know(name, text, stamp{})
	return nil
}

// get reads a unit's record, and returns its text, too.
func (d *disk) get(name unit.Name) (r Record, text []byte, err error) {
	if text, err = read(d.volume, fileName(name), d.uid, maxRecord); err == nil {
		r, err = decode(string(name)+suffix, text)
	}
	return r, text, err
}
