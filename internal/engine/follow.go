package engine

import (
	"context"
	"slices"

	"pintle/internal/unit"
)

// Follower follows units of which more come, and some go, by few streams: those that are there at first have one, those
// that come together later have one, and where these become too many, they get one together. Each unit's lines come in
// their order, and where a unit changes from one stream to another, none is left out or comes twice.
//
// One goroutine has all of its state: it says which units it wants, opens their streams, receives from Items, and gives
// each item to Take.
type Follower struct {
	engine  Engine
	request func(unit.Name) LogRequest
	most    int
	items   chan Item
	units   map[unit.Name]*followed
	// waiting are the units that are to get a stream.
	waiting []unit.Name
	// streams are those that are open, with first, that of the units which were there at first.
	streams []*stream
	first   *stream
	// merging is how many streams have still to end before all of their units get one together.
	merging int
}

// followed is a unit that has a stream, or waits for one.
type followed struct {
	in *stream // nil: it waits
	// gone is set once nobody wants it any more, and leaving once its lines in this stream come to an end.
	gone, leaving bool
}

// stream is some units whose lines come together.
type stream struct {
	cancel context.CancelFunc
	// leaving is how many of its units are: what they wrote last would be lost with it.
	leaving int
	// merged is set where its units get another stream.
	merged bool
}

// Item is what Take makes an Event of.
type Item struct {
	stream *stream
	line   Line
	over   bool
	err    error
}

// Event is what came: a line, or units that are not followed any more though nobody has said that they are gone.
type Event struct {
	Line    Line
	HasLine bool
	Over    []unit.Name
	// Err is why they are not; nil where their lines are over, as they are when a unit is removed. UnitsOf says whom it is
	// about, where it is not about all.
	Err error
}

// NewFollower makes a Follower of no units. The request for a unit tells where its lines go on; it is asked for whenever a
// unit gets a stream. There are at most about so many streams of units that came later, and so many items may wait.
func NewFollower(e Engine, request func(unit.Name) LogRequest, streams, items int) *Follower {
	return &Follower{engine: e, request: request, most: streams, items: make(chan Item, items), units: map[unit.Name]*followed{}}
}

// Items are what comes.
func (f *Follower) Items() <-chan Item { return f.items }

// Streams is how many are open.
func (f *Follower) Streams() int { return len(f.streams) }

// Want has a unit be followed, once Open is called. One that is followed stays as it is.
func (f *Follower) Want(name unit.Name) {
	if u, known := f.units[name]; known {
		u.gone = false
		return
	}
	f.units[name] = &followed{}
	f.waiting = append(f.waiting, name)
}

// Gone says that a unit was removed. What it wrote last still comes.
func (f *Follower) Gone(name unit.Name) {
	u, known := f.units[name]
	switch {
	case !known:
	case u.in == nil:
		delete(f.units, name)
		f.waiting = slices.DeleteFunc(f.waiting, func(other unit.Name) bool { return other == name })
	default:
		if u.gone = true; !u.leaving {
			u.leaving = true
			u.in.leaving++
		}
	}
}

// Open gives those units a stream that wait for one. Where there are too many already, it first has streams end, so that
// all of their units get one together: it is to be called again after each item.
func (f *Follower) Open(ctx context.Context) {
	if len(f.waiting) == 0 || f.merging > 0 {
		return
	}
	if len(f.streams) > f.most {
		for _, s := range f.streams {
			if s != f.first && s.leaving == 0 {
				s.merged = true
				s.cancel()
				f.merging++
			}
		}
		if f.merging > 0 || len(f.streams) > 2*f.most {
			return
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &stream{cancel: cancel}
	if f.streams = append(f.streams, s); f.first == nil {
		f.first = s
	}
	var reqs []LogRequest
	for _, name := range f.waiting {
		req := f.request(name)
		req.Follow = true
		reqs = append(reqs, req)
		f.units[name].in = s
	}
	f.waiting = nil
	go func() {
		defer cancel()
		over := Item{stream: s, over: true}
		for l, err := range LogsOf(ctx, f.engine, reqs) {
			if over.err = err; err != nil {
				break
			}
			select {
			case f.items <- Item{stream: s, line: l}:
				continue
			case <-ctx.Done():
			}
			break
		}
		f.items <- over // it is waited for
	}()
}

// Take is what an item means.
func (f *Follower) Take(i Item) Event {
	switch {
	case i.over:
		return f.end(i.stream, i.err)
	case !i.line.Over:
		return Event{Line: i.line, HasLine: true}
	}
	name := i.line.Unit
	u, known := f.units[name]
	if !known || u.in != i.stream {
		return Event{}
	}
	delete(f.units, name)
	if u.leaving {
		i.stream.leaving--
	}
	if u.gone {
		return Event{}
	}
	return Event{Over: []unit.Name{name}}
}

// end forgets a stream that is over.
func (f *Follower) end(s *stream, err error) Event {
	f.forget(s)
	if s.merged {
		f.merging--
	}
	e := Event{Err: err}
	for name, u := range f.units {
		switch {
		case u.in != s:
		case s.merged && !u.gone:
			u.in, u.leaving = nil, false
			f.waiting = append(f.waiting, name)
		default:
			delete(f.units, name)
			if !u.gone {
				e.Over = append(e.Over, name)
			}
		}
	}
	slices.Sort(f.waiting)
	slices.Sort(e.Over)
	if s.merged {
		e.Err = nil
	}
	return e
}

func (f *Follower) forget(s *stream) {
	f.streams = slices.DeleteFunc(f.streams, func(other *stream) bool { return other == s })
}

// Close ends all streams, and returns when they have.
func (f *Follower) Close() {
	for _, s := range f.streams {
		s.cancel()
	}
	for len(f.streams) > 0 {
		if i := <-f.items; i.over {
			f.forget(i.stream)
		}
	}
}
