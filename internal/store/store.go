// Package store keeps what must survive a restart of the container: the desired
// state of each unit, as its last Intent; a record of each of its latest runs; and
// whether pintle itself ended as it should.
//
// It promises that Put never blocks and a disk never stops pintle: what cannot be
// written is kept in memory, said in Conditions, and written again until it
// succeeds; and a disk that does not answer is waited for no longer than
// Options.Patience. A record that was reported durable survives a crash at any moment,
// also one of the machine; a change that was cut short leaves the record before it or
// the new one, and a record that cannot be read is set aside and disturbs no other.
// Nothing is believed that somebody else than pintle's own uid (or root) could have
// written: see package trust.
//
// It keeps, in the state directory, what a person can read:
//
//	intents/NAME.json    the desired state of a unit, one JSON object
//	runs/NAME.jsonl      the latest runs of a unit, one JSON object a line, the newest last
//	lives/HOSTNAME.json  the present life of this container, or how the last one ended
//	aside/               what could not be read, each beside the reason (.why); the newest 32
//
// The directory leases says which container may run a unit that one at a time may
// run: see Keeper.
//
// It does not say what an intent means. A run record is no promise: the latest may
// be lost in a crash of the machine, and an old one makes room for a new one. Two
// stores on one directory are not kept apart: of two records of a unit the one that
// was written last is there, and each of them hears of what the other wrote if it
// follows (Store.Follow).
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

	"pintle/internal/engine"
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
	// Changed is called after Conditions changed, from the store's goroutine; nil is allowed.
	Changed func()
	// Late is given the records that could be read only after Open had returned, but for those of units that have new
	// ones by now; at most once, from a goroutine of its own. Nil for nobody.
	Late func([]Record)
	// Patience is how long the disk may take before it is done without; 0 means DefaultPatience.
	Patience time.Duration

	mount func(directory string, uid int, dirs ...string) (volume, error) // openTree, but in tests
}

// DefaultPatience is how long a disk may take. A container that shares its state directory over a network must start
// also when nobody is there to answer.
const DefaultPatience = 5 * time.Second

// Store is an open store. Its methods may be called from any goroutine.
type Store struct {
	options Options
	disk    *disk // used by one worker at a time, and by nobody else
	life    *life // likewise
	runs    *runs

	wake   chan struct{} // holds one token when there is something to do
	opened chan struct{} // closed when Open need not wait any more
	done   chan struct{} // closed when the store's goroutine has ended

	mu sync.Mutex // guards what follows; never held during I/O or a callback
	// pending are the changes that are not durable, the latest for each unit.
	pending map[unit.Name]*change
	// fault is why the last round of writing left something pending; nil when it did not.
	fault error
	// moved is set while the directory is not where it was: what is written lands in it all the same.
	moved bool
	// hung is set while a worker has not come back for longer than is waited for.
	hung bool
	// found are the records that were there, once they have been read.
	found []Record
	read  bool
	known engine.Life
	// news hears of what others wrote, and every is how often is looked for that; nil and 0 for nobody.
	news  func([]News)
	every time.Duration
	// stale are the units of which somebody must know what is on disk now, with whom to tell.
	stale map[unit.Name][]func()
	// spoilt are the records that could not be read, until their units have new ones.
	spoilt  []spoilt
	code    *int // the container's, once it is known
	closing bool
}

// change is the wish that a unit has this record, or none when record is nil.
type change struct {
	record *Record
	// repeats is set where it gives way to what another container has written.
	repeats bool
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

// Open returns a store and the records in it, sorted by unit. It never fails, and it
// waits no longer than the patience lasts: what cannot be had is said in Conditions,
// and tried again. It creates the directory, but not its parents. A record that
// cannot be read is moved into the directory aside, with the reason beside it.
func Open(o Options) (*Store, []Record) {
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	if o.mount == nil {
		o.mount = openTree
	}
	s := &Store{
		options: o,
		disk:    &disk{directory: o.Directory, uid: o.UID, mount: o.mount},
		life:    newLife(),
		runs:    newRuns(o),
		wake:    make(chan struct{}, 1),
		opened:  make(chan struct{}),
		done:    make(chan struct{}),
		pending: map[unit.Name]*change{},
		stale:   map[unit.Name][]func(){},
	}
	go s.run()
	<-s.opened
	s.mu.Lock()
	defer s.mu.Unlock()
	return s, s.found
}

// Life is which life of the container this is, and how the one before ended; the zero value where that is not known (yet).
func (s *Store) Life() engine.Life {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known
}

// Durable tells whether desired states are on disk, or on their way there.
func (s *Store) Durable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.options.Directory != "" && s.fault == nil
}

// End has Close note, when all else has been written, that this life of the container ended as it should, with a code.
func (s *Store) End(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.code = &code
}

// Put asks for r to be kept, in place of an earlier record of the unit. It never
// blocks; of several records of a unit only the latest may be written. done is called once, from
// another goroutine, and must not block: with nil when this or a later record of
// the unit is durable, with an error when it is in memory only for now.
func (s *Store) Put(r Record, done func(error)) { s.change(r.Unit, &change{record: &r}, done) }

// Repeat asks for a record whose intent nobody has just asked for: what pintle knows, or has concluded, of a unit. It
// gives way to another intent, which another container that shares the directory has written, where that is of this
// generation or a later one, or nobody here has heard of it yet.
func (s *Store) Repeat(r Record) { s.change(r.Unit, &change{record: &r, repeats: true}, nil) }

// Delete asks for the unit's record to be forgotten, with the same promises as Put.
// The unit's run records are forgotten with it.
func (s *Store) Delete(name unit.Name, done func(error)) {
	s.runs.forget(name)
	s.change(name, &change{}, done)
}

func (s *Store) change(name unit.Name, c *change, done func(error)) {
	if done != nil {
		c.dones = append(c.dones, done)
	}
	s.mu.Lock()
	var refusal error
	switch {
	case s.closing:
		refusal = ErrClosed
	case s.hung:
		refusal = s.fault // it stays pending, but nobody can be told when that is over
	}
	dones := c.dones
	if refusal != nil {
		c.dones = nil
	}
	if !s.closing {
		if old := s.pending[name]; old != nil {
			c.dones = append(old.dones, c.dones...)
			c.repeats = c.repeats && old.repeats // it repeats what was to be there by now
		}
		s.pending[name] = c
	}
	s.mu.Unlock()
	if refusal != nil {
		go (&change{dones: dones}).tell(refusal)
	}
	s.nudge()
}

// Follow has news be told what somebody else has written or removed since, which is looked for every so often. It is
// called from the store's goroutine, and must not block.
func (s *Store) Follow(every time.Duration, news func([]News)) {
	s.mu.Lock()
	s.every, s.news = every, news
	s.mu.Unlock()
	s.nudge()
}

// Refresh has the unit's record be read again. done is called once, from another goroutine, and must not block: when who
// follows has been told what is new, or when the disk can't be asked.
func (s *Store) Refresh(name unit.Name, done func()) {
	s.mu.Lock()
	refuse := s.closing || s.hung || s.options.Directory == ""
	if !refuse {
		s.stale[name] = append(s.stale[name], done)
	}
	s.mu.Unlock()
	if refuse {
		go done()
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

// Conditions are the things that are not as they should be; none when all is well.
func (s *Store) Conditions() []engine.Condition {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []engine.Condition
	if s.fault != nil {
		all = append(all, engine.Conditionf(engine.StateInMemory, "desired states are kept in memory only: %v", s.fault))
	}
	if s.moved {
		all = append(all, engine.Conditionf(engine.StateMoved,
			"the state directory is not at %s any more: what is asked for is kept where it is now, and the next start will not find it", s.options.Directory))
	}
	for _, r := range s.spoilt {
		all = append(all, r.condition)
	}
	return append(all, s.runs.conditions()...)
}

// Close writes what is pending, and ends the store. When ctx ends first, the
// writing goes on behind it for as long as the disk takes. The error says what is
// not durable.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.nudge()
	runsErr := s.runs.close(ctx)
	select {
	case <-s.done:
	case <-ctx.Done():
		return fmt.Errorf("cannot write desired states in time: %w", context.Cause(ctx))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 {
		return runsErr
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.pending)) {
		names = append(names, string(name))
	}
	return fmt.Errorf("cannot keep the desired state of %s: %w", strings.Join(names, ", "), s.fault)
}
