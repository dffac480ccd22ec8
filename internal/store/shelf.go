package store

import (
	"fmt"
	"sync"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// Shelf is the desired states in a state directory, for a command that reads them, writes some and ends: it has no
// goroutine and counts no lives of the container. What Put and Delete have returned from is durable, and what
// cannot be done is their error. As with two stores on one directory, the record that was written last is there.
//
// A nil Shelf is an empty one on which nothing can be put.
type Shelf struct {
	mu   sync.Mutex
	disk *disk
}

// OpenShelf opens the state directory, and makes it, but not its parents, where it is missing. uid is pintle's own.
func OpenShelf(directory string, uid int) (*Shelf, error) {
	// What another process is just writing is not cleared away, as disk.open would have it.
	v, err := openTree(directory, uid, intentsDir, asideDir)
	if err != nil {
		return nil, err
	}
	return &Shelf{disk: &disk{directory: directory, uid: uid, volume: v, known: map[unit.Name]known{}}}, nil
}

// Close closes the directory.
func (s *Shelf) Close() {
	if s != nil {
		s.disk.close()
	}
}

// All are the records, sorted by unit. One that cannot be read is set aside, and told of.
func (s *Shelf) All() ([]Record, []engine.Condition) {
	if s == nil {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	records, bad := s.disk.readAll()
	var told []engine.Condition
	for _, b := range bad {
		told = append(told, b.condition)
	}
	return records, told
}

// Get is the record of one unit; ok is false where there is none that can be read.
func (s *Shelf) Get(name unit.Name) (r Record, ok bool) {
	if s == nil {
		return Record{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, _, err := s.disk.get(name)
	return r, err == nil
}

// Put keeps a record, in place of an earlier one of the unit.
func (s *Shelf) Put(r Record) error { return s.change(r.Unit, &r) }

// Delete forgets the unit's record, where there is one.
func (s *Shelf) Delete(name unit.Name) error {
	if s == nil {
		return nil
	}
	return s.change(name, nil)
}

func (s *Shelf) change(name unit.Name, r *Record) error {
	if s == nil {
		return fmt.Errorf("cannot keep the desired state of %s: there is no state directory", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, fault := s.disk.write(map[unit.Name]*change{name: {record: r}})
	if s.disk.volume == nil { // it was removed from under us: the next one who opens it makes it anew
		v, err := openTree(s.disk.directory, s.disk.uid, intentsDir, asideDir)
		if err != nil {
			return err
		}
		s.disk.volume = v
		_, fault = s.disk.write(map[unit.Name]*change{name: {record: r}})
	}
	return fault
}
