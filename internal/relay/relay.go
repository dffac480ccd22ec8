// Package relay tells readers of units what these are now, however slow the readers are: what one of them has not read is
// kept once for each unit. It promises that nobody waits for a reader, that a reader misses what lies between two looks but
// never the last, and is told that a unit is gone before it is told of another of that name.
package relay

import (
	"maps"
	"sync"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// Relay tells the readers of changes what the loop says, in a goroutine of its own:
// the loop says it once, however many read. Anybody who reaches the socket may read.
//
// What has not been passed on yet is kept once for each unit, like a reader's news.
type Relay struct {
	mu sync.Mutex // held for moments only: never while readers are told
	// said counts what was said.
	said  uint64
	news  map[unit.Name]saying
	order []unit.Name // the keys of news, as they came
	// readers, and how much had been said when each came: that was in what it was given at first. Never changed, but replaced.
	readers map[*Reader]uint64
	wake    chan struct{}
}

// saying is what was said last of one name, and when: that the unit it was is gone, and what it is now. Either may be nil.
type saying struct {
	gone, now     *engine.Status
	goneAt, nowAt uint64
}

// New makes a Relay, which passes nothing on before Run.
func New() *Relay {
	return &Relay{news: map[unit.Name]saying{}, wake: make(chan struct{}, 1)}
}

// Join has a reader be told what is said from now on.
func (r *Relay) Join(w *Reader) {
	r.mu.Lock()
	defer r.mu.Unlock()
	readers := make(map[*Reader]uint64, len(r.readers)+1)
	maps.Copy(readers, r.readers)
	readers[w] = r.said
	r.readers = readers
}

// Leave is the end of that; a reader that never came may leave, too.
func (r *Relay) Leave(w *Reader) {
	r.mu.Lock()
	defer r.mu.Unlock()
	readers := maps.Clone(r.readers)
	delete(readers, w)
	r.readers = readers
}

// Count is how many readers there are.
func (r *Relay) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.readers)
}

// Say has all readers be told what a unit is now.
func (r *Relay) Say(s *engine.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said++
	n, waiting := r.news[s.Name]
	if !waiting {
		r.order = append(r.order, s.Name)
	}
	if s.Gone {
		n = saying{gone: s, goneAt: r.said}
	} else {
		n.now, n.nowAt = s, r.said
	}
	r.news[s.Name] = n
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run passes on what is said until done is closed.
func (r *Relay) Run(done <-chan struct{}) {
	for {
		select {
		case <-r.wake:
			r.pass()
		case <-done:
			return
		}
	}
}

// pass tells the readers what they have not been told.
func (r *Relay) pass() {
	r.mu.Lock()
	news, order, readers := r.news, r.order, r.readers
	r.news, r.order = map[unit.Name]saying{}, nil
	r.mu.Unlock()
	for w, since := range readers {
		for _, name := range order {
			n := news[name]
			if n.gone != nil && n.goneAt > since {
				w.put(n.gone)
			}
			if n.now != nil && n.nowAt > since {
				w.put(n.now)
			}
		}
	}
}
