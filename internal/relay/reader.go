package relay

import (
	"slices"
	"sync"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// Reader is one who reads of changes. What it has not read yet is kept once for
// each unit, so that a slow one costs a bounded amount of memory and the loop
// never waits for it.
type Reader struct {
	mu sync.Mutex
	// known are the names that the reader was given a unit of and not yet that it is gone.
	known map[unit.Name]bool
	news  map[unit.Name]news
	order []unit.Name // the keys of news, as they came
	wake  chan struct{}
}

// news is what a reader has not been told of one name: that the unit it knows
// is gone, and what the unit that has the name is now. Either may be nil.
type news struct{ gone, now *engine.Status }

// NewReader makes a reader that is to be told of units as they are first. The loop does so: there may be a thousand.
func NewReader(units []engine.Status) *Reader {
	w := &Reader{
		known: make(map[unit.Name]bool, len(units)), news: make(map[unit.Name]news, len(units)), order: make([]unit.Name, len(units)),
		wake: make(chan struct{}, 1),
	}
	for i := range units {
		name := units[i].Name
		w.known[name], w.news[name], w.order[i] = true, news{now: &units[i]}, name
	}
	return w
}

// put adds a piece of news, which other readers have too: nobody changes it.
func (w *Reader) put(s *engine.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, waiting := w.news[s.Name]
	if !waiting {
		w.order = append(w.order, s.Name)
	}
	switch {
	case !s.Gone:
		n.now = s
	case w.known[s.Name]:
		n = news{gone: s}
	default: // it came and went without the reader
		delete(w.news, s.Name)
		w.order = slices.DeleteFunc(w.order, func(name unit.Name) bool { return name == s.Name })
		return
	}
	w.news[s.Name] = n
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Take returns what has not been read, in the order in which it began to wait.
func (w *Reader) Take() []engine.Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]engine.Status, 0, len(w.order))
	for _, name := range w.order {
		n := w.news[name]
		if n.gone != nil {
			list = append(list, *n.gone)
			delete(w.known, name)
		}
		if n.now != nil {
			list = append(list, *n.now)
			w.known[name] = true
		}
	}
	clear(w.news)
	w.order = w.order[:0]
	return list
}

// Wake has an item once there is something to Take.
func (w *Reader) Wake() <-chan struct{} { return w.wake }
