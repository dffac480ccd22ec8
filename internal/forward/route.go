package forward

import (
	"sync"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// route is the way to one target: who reads units for it, its queue, and who sends.
type route struct {
	f      *Forwarder
	target Target
	queue  *queue
	sender *sender
	// streams is how many there may be for units that came later.
	streams int
	reader  sync.WaitGroup

	news chan struct{} // has one item once units were seen
	mu   sync.Mutex
	seen map[unit.Name]sighting // those that the reader has not looked at yet
}

// sighting is what was seen of a unit since the reader looked: that it went, and whether there is one.
type sighting struct{ went, here bool }

func newRoute(f *Forwarder, target Target, streams int) *route {
	r := &route{f: f, target: target, streams: streams, news: make(chan struct{}, 1), seen: map[unit.Name]sighting{}}
	r.queue = newQueue(f.o.Queue, f.o.Self)
	r.sender = newSender(f, target, r.queue)
	return r
}

// saw tells the reader of a unit, and waits for nothing: the reader may wait for its target.
func (r *route) saw(s engine.Status) {
	r.mu.Lock()
	r.seen[s.Name] = sighting{went: s.Gone || r.seen[s.Name].went, here: !s.Gone}
	r.mu.Unlock()
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// look is what was seen since it was asked last.
func (r *route) look() map[unit.Name]sighting {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen
	r.seen = map[unit.Name]sighting{}
	return seen
}
