package store

import (
	"fmt"
	"maps"
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
	news    []News
	failed  map[unit.Name]error
	fault   error
	moved   bool
}

// run is the store's goroutine.
func (s *Store) run() {
	defer close(s.done)
	defer s.disk.close()
	delay := minRetry
	todo := true // the first round opens and reads
	look, looked := false, now()
	var work *work
	for {
		if (todo || look) && work == nil {
			work = s.begin(look)
			todo, look = false, false
		}
		var again, impatient, next <-chan time.Time
		var back <-chan outcome
		switch {
		case work != nil:
			back, impatient = work.back, work.impatient
		case s.faulty():
			again = time.After(delay)
		default:
			delay = minRetry
			if every := s.following(); every > 0 {
				next = time.After(looked.Add(every).Sub(now()))
			}
		}
		select {
		case <-s.wake:
			todo = true
		case <-again:
			todo = true
			delay = min(2*delay, maxRetry)
		case <-next:
			look, looked = true, now()
		case <-impatient:
			work.impatient = nil
			s.telling(func() []func() { return s.hang(work) })
		case o := <-back:
			s.telling(func() []func() { return s.settle(work, o) })
			if work.last {
				return
			}
			work = nil
		}
	}
}

func (s *Store) following() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.every
}

func (s *Store) faulty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault != nil
}

// work is one round under way.
type work struct {
	batch     map[unit.Name]*change
	look      bool        // for what others wrote
	stale     []unit.Name // likewise, of these units at any rate
	fresh     []func()    // who waits for that
	last      bool        // nothing comes after it
	back      chan outcome
	impatient <-chan time.Time
}

// telling does something that may change the conditions, and tells whom it concerns.
func (s *Store) telling(do func() []func()) {
	before := s.Conditions()
	s.mu.Lock()
	early := !s.isOpen() // nobody can have seen other conditions
	waiting := do()
	s.mu.Unlock()
	for _, tell := range waiting {
		tell()
	}
	if s.options.Changed != nil && !early && !slices.Equal(before, s.Conditions()) {
		s.options.Changed()
	}
}

// begin starts a worker with everything that is pending.
func (s *Store) begin(look bool) *work {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &work{
		batch: s.pending, look: look, stale: slices.Collect(maps.Keys(s.stale)), fresh: slices.Concat(slices.Collect(maps.Values(s.stale))...),
		last: s.closing, back: make(chan outcome, 1), impatient: time.After(s.options.Patience),
	}
	s.pending, s.stale = map[unit.Name]*change{}, map[unit.Name][]func(){}
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
	o.news = s.disk.news(w.look, w.stale)
	if o.fault == nil {
		o.fault = err
	}
	o.moved = s.disk.volume != nil && s.disk.volume.Moved()
	if w.last && code != nil && s.disk.volume != nil {
		if err := s.life.end(s.disk, *code); o.fault == nil {
			o.fault = err
		}
	}
	return o
}

// settle takes what a worker brings back. It and hang are called with the mutex held.
func (s *Store) settle(w *work, o outcome) []func() {
	s.fault, s.hung, s.moved = o.fault, false, o.moved
	s.spoilt = append(s.spoilt, o.bad...)
	var all []func()
	for name, c := range w.batch {
		if o.failed[name] == nil {
			s.spoilt = slices.DeleteFunc(s.spoilt, func(r spoilt) bool { return r.unit == name && name != "" })
		} else if s.pending[name] == nil {
			s.pending[name] = &change{record: c.record, repeats: c.repeats}
		}
		all = append(all, func() { c.tell(o.failed[name]) })
	}
	if o.read && s.options.Directory != "" {
		s.known = s.life.known
	}
	if o.read && !s.read {
		s.read = true
		s.deliver(w, o.records)
	}
	o.news = slices.DeleteFunc(o.news, func(n News) bool { return s.pending[n.Unit] != nil && !s.pending[n.Unit].repeats })
	if hear := s.news; hear != nil && len(o.news) > 0 {
		all = append(all, func() { hear(o.news) })
	}
	all = append(all, w.fresh...) // they know by now
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
func (s *Store) hang(w *work) []func() {
	s.hung = true
	s.fault = fmt.Errorf("cannot use %s: it has not answered for %s", s.options.Directory, unit.Span(s.options.Patience))
	var all []func()
	fault := s.fault
	for _, changes := range []map[unit.Name]*change{w.batch, s.pending} {
		for _, c := range changes {
			early := &change{dones: c.dones}
			all = append(all, func() { early.tell(fault) })
			c.dones = nil
		}
	}
	all = append(all, w.fresh...)
	for _, dones := range s.stale {
		all = append(all, dones...)
	}
	w.fresh, s.stale = nil, map[unit.Name][]func(){}
	s.letOpen()
	return all
}
