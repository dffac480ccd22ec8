package store

import (
	"fmt"
	"slices"
	"time"

	"pintle/internal/unit"
)

// The store's goroutine decides what is to be done and tells who waits for it. What
// touches the disk is done by a worker, one at a time: a disk may take for ever (a
// network file system whose server is away), and then the goroutine says so and
// the container goes on. A worker that comes back late is as good as any other.

// outcome is what a worker brings back.
type outcome struct {
	records []Record // what was read, where that had not been done before
	read    bool
	bad     []spoilt
	failed  map[unit.Name]error
	fault   error
}

// run is the store's goroutine.
func (s *Store) run() {
	defer close(s.done)
	defer s.disk.close()
	delay := minRetry
	todo := true // the first round opens and reads
	var work *work
	for {
		if todo && work == nil {
			todo, work = false, s.begin()
		}
		var again, impatient <-chan time.Time
		var back <-chan outcome
		switch {
		case work != nil:
			back, impatient = work.back, work.impatient
		case s.faulty():
			again = time.After(delay)
		default:
			delay = minRetry
		}
		select {
		case <-s.wake:
			todo = true
		case <-again:
			todo = true
			delay = min(2*delay, maxRetry)
		case <-impatient:
			work.impatient = nil
			s.telling(func() []told { return s.hang(work) })
		case o := <-back:
			s.telling(func() []told { return s.settle(work, o) })
			if work.last {
				return
			}
			work = nil
		}
	}
}

func (s *Store) faulty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault != nil
}

// work is one round under way.
type work struct {
	batch     map[unit.Name]*change
	last      bool // nothing comes after it
	back      chan outcome
	impatient <-chan time.Time
}

// told is who is to be told which outcome.
type told struct {
	change *change
	err    error
}

// telling does something that may change the conditions, and tells whom it concerns.
func (s *Store) telling(do func() []told) {
	before := s.Conditions()
	s.mu.Lock()
	early := !s.isOpen() // nobody can have seen other conditions
	waiting := do()
	s.mu.Unlock()
	for _, t := range waiting {
		t.change.tell(t.err)
	}
	if s.options.Changed != nil && !early && !slices.Equal(before, s.Conditions()) {
		s.options.Changed()
	}
}

// begin starts a worker with everything that is pending.
func (s *Store) begin() *work {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &work{batch: s.pending, last: s.closing, back: make(chan outcome, 1), impatient: time.After(s.options.Patience)}
	s.pending = map[unit.Name]*change{}
	if s.options.Directory == "" {
		w.back <- outcome{read: true}
		return w
	}
	code, read := s.code, s.read
	go func() { w.back <- s.round(w, read, code) }()
	return w
}

// round is a worker: it opens and reads what has not been opened and read, and tries once to make the batch durable.
func (s *Store) round(w *work, read bool, code *int) outcome {
	o := outcome{read: read, failed: map[unit.Name]error{}}
	if o.fault = s.disk.open(); o.fault != nil {
		for name := range w.batch {
			o.failed[name] = o.fault
		}
		return o
	}
	if !read {
		o.read = true
		o.records, o.bad = s.disk.readAll()
	}
	bad, err := s.life.begin(s.disk)
	o.bad = append(o.bad, bad...)
	o.failed, o.fault = s.disk.write(w.batch)
	if o.fault == nil {
		o.fault = err
	}
	if w.last && code != nil && s.disk.volume != nil {
		if err := s.life.end(s.disk, *code); o.fault == nil {
			o.fault = err
		}
	}
	return o
}

// settle takes what a worker brings back. It and hang are called with the mutex held.
func (s *Store) settle(w *work, o outcome) []told {
	s.fault, s.hung = o.fault, false
	s.spoilt = append(s.spoilt, o.bad...)
	var all []told
	for name, c := range w.batch {
		if o.failed[name] == nil {
			s.spoilt = slices.DeleteFunc(s.spoilt, func(r spoilt) bool { return r.unit == name && name != "" })
		} else if s.pending[name] == nil {
			s.pending[name] = &change{record: c.record}
		}
		all = append(all, told{c, o.failed[name]})
	}
	if o.read && s.options.Directory != "" {
		s.known = s.life.known
	}
	if o.read && !s.read {
		s.read = true
		s.deliver(w, o.records)
	}
	s.letOpen()
	return all
}

// deliver hands over what was read: to Open, or to who waits for late records.
func (s *Store) deliver(w *work, records []Record) {
	if !s.isOpen() {
		s.found = records
		return
	}
	records = slices.DeleteFunc(records, func(r Record) bool { return w.batch[r.Unit] != nil || s.pending[r.Unit] != nil })
	if s.options.Late != nil && len(records) > 0 {
		go s.options.Late(records)
	}
}

// isOpen tells whether Open has returned, or is about to.
func (s *Store) isOpen() bool {
	select {
	case <-s.opened:
		return true
	default:
		return false
	}
}

// letOpen has Open return.
func (s *Store) letOpen() {
	if !s.isOpen() {
		close(s.opened)
	}
}

// hang gives up waiting for a worker: who waits for it is told that nothing is durable.
func (s *Store) hang(w *work) []told {
	s.hung = true
	s.fault = fmt.Errorf("cannot use %s: it has not answered for %s", s.options.Directory, unit.Span(s.options.Patience))
	var all []told
	for _, c := range w.batch {
		all = append(all, told{&change{dones: c.dones}, s.fault})
		c.dones = nil
	}
	for _, c := range s.pending {
		all = append(all, told{&change{dones: c.dones}, s.fault})
		c.dones = nil
	}
	s.letOpen()
	return all
}
