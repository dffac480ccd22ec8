// Package store keeps what must survive a restart of the container: the desired
// state of each unit, as its last Intent.
//
// It promises that Put never blocks and a disk never stops pintle: what cannot be
// written is kept in memory, said in Conditions, and written again until it
// succeeds. A record that was reported durable survives a crash at any moment, a
// change that was cut short leaves the record before it, and a record that cannot
// be read disturbs no other. Nothing is believed that somebody else than pintle's
// own uid (or root) could have written: see package trust.
//
// It keeps one file for each unit, DIRECTORY/intents/NAME.json, which a person can
// read. It does not say what an intent means, and two stores on one directory are
// not kept apart: each of them sees what the other wrote when it opens next.
package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"pintle/internal/unit"
)

// Record is what is kept of one unit.
type Record struct {
	Unit   unit.Name
	Intent unit.Intent
	// Discovered is set where nobody has created the instance: it is there for as long as a directory declares it.
	Discovered bool
	// Gone is when that directory was found to be gone; zero while it is there.
	Gone time.Time
}

// Options say where and for whom to keep records.
type Options struct {
	// Directory is the state directory. When empty, records are kept in memory only, and that is no fault.
	Directory string
	// UID is pintle's own (effective) user.
	UID int
	// Changed is called after the text of Conditions changed, from the store's goroutine; nil is allowed.
	Changed func()
}

// Store is an open store. Its methods may be called from any goroutine.
type Store struct {
	options Options
	disk    *disk // used by Open, and from then on by the store's goroutine alone

	wake chan struct{} // holds one token when there is something to do
	done chan struct{} // closed when the store's goroutine has ended

	mu sync.Mutex // guards what follows; never held during I/O or a callback
	// pending are the changes that are not durable, the latest for each unit.
	pending map[unit.Name]*change
	// fault is why the last round of writing left something pending; nil when it did not.
	fault error
	// spoilt are the records that could not be read, until their units have new ones.
	spoilt  []spoilt
	closing bool
}

// change is the wish that a unit has this record, or none when record is nil.
type change struct {
	record *Record
	// dones are told how the first attempt ended: those of this wish, and of the wishes that it superseded.
	dones []func(error)
}

// ErrClosed is the outcome of a change that came after Close.
var ErrClosed = errors.New("cannot keep desired state: the store is closed")

// Failed writes are repeated after this long, then twice as long each time.
const (
	minRetry = time.Second
	maxRetry = 30 * time.Second
)

// Open returns a store and the records in it, sorted by unit. It never fails: what
// cannot be had is said in Conditions, and tried again. It creates the directory, but not its parents.
// A record that cannot be read is renamed to NAME.json.rejected.
func Open(o Options) (*Store, []Record) {
	s := &Store{
		options: o,
		disk:    &disk{directory: o.Directory, uid: o.UID},
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		pending: map[unit.Name]*change{},
	}
	var records []Record
	if o.Directory != "" {
		if s.fault = s.disk.open(); s.fault == nil {
			records, s.spoilt = s.disk.readAll()
		}
	}
	go s.run()
	return s, records
}

// Put asks for r to be kept, in place of an earlier record of the unit. It never
// blocks; of several records of a unit only the latest may be written. done is called once, from
// another goroutine, and must not block: with nil when this or a later record of
// the unit is durable, with an error when it is in memory only for now.
func (s *Store) Put(r Record, done func(error)) { s.change(r.Unit, &r, done) }

// Delete asks for the unit's record to be forgotten, with the same promises as Put.
func (s *Store) Delete(name unit.Name, done func(error)) { s.change(name, nil, done) }

func (s *Store) change(name unit.Name, r *Record, done func(error)) {
	c := &change{record: r}
	if done != nil {
		c.dones = append(c.dones, done)
	}
	s.mu.Lock()
	closing := s.closing
	if !closing {
		if old := s.pending[name]; old != nil {
			c.dones = append(old.dones, c.dones...)
		}
		s.pending[name] = c
	}
	s.mu.Unlock()
	if closing {
		go c.tell(ErrClosed)
		return
	}
	s.nudge()
}

func (s *Store) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// tell calls each of the dones for the first and last time.
func (c *change) tell(err error) {
	for _, done := range c.dones {
		done(err)
	}
	c.dones = nil
}

// Conditions are the things that are not as they should be, each one sentence; none when all is well.
func (s *Store) Conditions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	if s.fault != nil {
		all = append(all, fmt.Sprintf("desired states are kept in memory only: %v", s.fault))
	}
	for _, r := range s.spoilt {
		all = append(all, r.condition)
	}
	return all
}

// Close writes what is pending, and ends the store. When ctx ends first, the
// writing goes on behind it for as long as the disk takes. The error says what is
// not durable.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.nudge()
	select {
	case <-s.done:
	case <-ctx.Done():
		return fmt.Errorf("cannot write desired states in time: %w", context.Cause(ctx))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 {
		return nil
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.pending)) {
		names = append(names, string(name))
	}
	return fmt.Errorf("cannot keep the desired state of %s: %w", strings.Join(names, ", "), s.fault)
}

// run is the store's goroutine: it does all the writing.
func (s *Store) run() {
	defer close(s.done)
	defer s.disk.close()
	delay := minRetry
	for {
		var again <-chan time.Time
		if s.faulty() {
			again = time.After(delay)
		} else {
			delay = minRetry
		}
		select {
		case <-s.wake:
		case <-again:
			delay = min(2*delay, maxRetry)
		}
		if last := s.round(); last {
			return
		}
	}
}

func (s *Store) faulty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault != nil
}

// round tries once to make all that is pending durable, and tells those who wait for it.
func (s *Store) round() (last bool) {
	before := s.Conditions()
	s.mu.Lock()
	batch, last := s.pending, s.closing
	s.pending = map[unit.Name]*change{}
	s.mu.Unlock()

	failed, fault := map[unit.Name]error{}, error(nil)
	if s.options.Directory != "" {
		failed, fault = s.disk.write(batch)
	}

	s.mu.Lock()
	s.fault = fault
	for name, c := range batch {
		if failed[name] == nil {
			s.spoilt = slices.DeleteFunc(s.spoilt, func(r spoilt) bool { return r.unit == name })
		} else if s.pending[name] == nil {
			s.pending[name] = &change{record: c.record}
		}
	}
	s.mu.Unlock()

	for name, c := range batch {
		c.tell(failed[name])
	}
	if s.options.Changed != nil && !slices.Equal(before, s.Conditions()) {
		s.options.Changed()
	}
	return last
}
