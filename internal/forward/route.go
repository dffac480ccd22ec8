package forward

import (
	"context"
	"sync"
	"sync/atomic"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// route is the way to one target: those who read units for it, its queue, and who sends.
type route struct {
	f       *Forwarder
	target  Target
	queue   *queue
	sender  *sender
	readers sync.WaitGroup
	// slots has room for those who read at present; hungry counts those who wait for room.
	slots  chan struct{}
	hungry atomic.Int64

	mu    sync.Mutex
	units map[unit.Name]*followed
}

// followed is a unit that is read. Its Gone is guarded by the route's mutex.
type followed struct {
	name unit.Name
	gone bool
	// place is the number of the newest line that is in the queue, and nanos its time there. They are its reader's.
	place uint64
	nanos int64
}

func newRoute(f *Forwarder, target Target, turns int) *route {
	r := &route{f: f, target: target, slots: make(chan struct{}, turns), units: map[unit.Name]*followed{}}
	r.queue = newQueue(f.o.Queue, f.o.Self)
	r.sender = newSender(f, target, r.queue)
	return r
}

// saw begins to read a unit that is new, and lets one that is gone end.
func (r *route) saw(ctx context.Context, s engine.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u, known := r.units[s.Name]
	switch {
	case known:
		u.gone = s.Gone
	case !s.Gone:
		u = &followed{name: s.Name, place: r.f.cursors.get(r.target.Name, s.Name)}
		r.units[s.Name] = u
		r.readers.Go(func() { r.follow(ctx, u) })
	}
}

// over tells whether a unit is gone, whose lines have all been read; nobody reads it then.
func (r *route) over(u *followed) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u.gone {
		delete(r.units, u.name)
	}
	return u.gone
}

// follow reads one unit, in turns where there are many, until it is gone or ctx ends.
func (r *route) follow(ctx context.Context, u *followed) {
	for failures := 0; ctx.Err() == nil; {
		before := u.place
		ended, err := r.turn(ctx, u)
		if !ended {
			continue
		}
		failures++
		if u.place != before {
			failures = 1
		}
		pause := backoff(failures, r.f.t.first, r.f.t.most)
		switch kind := engine.KindOf(err); {
		case err == nil || kind == engine.NotFound:
			if r.over(u) {
				return
			}
		case kind == engine.Conflict: // a main program's output is its container's; nobody needs to hear of it
			pause = r.f.t.most
		case ctx.Err() == nil:
			r.f.says.say("read", err.Error())
		}
		wait(pause, ctx.Done(), nil)
	}
}

// turn reads a unit's lines from its place on. It is not ended where it only made way for another.
func (r *route) turn(ctx context.Context, u *followed) (ended bool, err error) {
	r.hungry.Add(1)
	select {
	case r.slots <- struct{}{}:
		r.hungry.Add(-1)
	case <-ctx.Done():
		r.hungry.Add(-1)
		return true, nil
	}
	defer func() { <-r.slots }()
	turn, end := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer end()
	watch.Go(func() {
		for turn.Err() == nil {
			wait(r.f.t.turn, turn.Done(), nil)
			if r.hungry.Load() > 0 {
				end()
			}
		}
	})
	for l, err := range r.f.o.Engine.Logs(turn, engine.LogRequest{Name: u.name, Tail: -1, Follow: true, After: u.place}) {
		if err != nil {
			return turn.Err() == nil || ctx.Err() != nil, err
		}
		if l.Seq <= u.place {
			continue // an engine that knows no After gives them again
		}
		// One copy of each word, not one for each line.
		l.Unit, l.Stream = u.name, streamWord(l.Stream)
		u.nanos = distinct(l.Time.UnixNano(), u.nanos)
		if !r.queue.put(ctx, entry{line: l, nanos: u.nanos}) {
			return true, nil
		}
		u.place = l.Seq
	}
	return turn.Err() == nil || ctx.Err() != nil, nil
}

// distinct is the time of a line, moved by nanoseconds where that is needed to be later than the one before: a chunk of
// lines has one time, and a receiver that orders by time, or takes two equal lines of one time for one, needs several.
func distinct(nanos, before int64) int64 {
	const most = 1_000_000 // beyond that it is the clock that was set back
	if nanos <= before && before-nanos < most {
		return before + 1
	}
	return nanos
}

// streamWord is a stream's name; those that there usually are are not copied.
func streamWord(s string) string {
	for _, known := range []string{engine.Stdout, engine.Stderr, own} {
		if s == known {
			return known
		}
	}
	return s
}
