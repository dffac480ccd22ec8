package forward

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// reader reads all units for one target into its queue. One goroutine has all of its state. While the queue is full it
// waits, and pintle keeps what is not read.
type reader struct {
	*route
	follower *engine.Follower
	units    map[unit.Name]*followed
	// places are how far units were read, also those that are gone until the target has it all; sweep is how many there may
	// be before that is looked at.
	places map[unit.Name]place
	sweep  int
	// due are the units that are to be read, or tried again, at a time; alarm is when the first of them is.
	due   map[unit.Name]time.Time
	alarm *alarm
	// failures are those in a row that were nobody's in particular.
	failures int
}

// followed is a unit that there is, with how often in a row it could not be read.
type followed struct {
	name     unit.Name
	failures int
}

// place is the number of the newest line that is in the queue, and its time there.
type place struct {
	seq   uint64
	nanos int64
}

func newReader(r *route) *reader {
	n := &reader{
		route: r, units: map[unit.Name]*followed{}, places: map[unit.Name]place{}, sweep: mostCursors,
		due: map[unit.Name]time.Time{}, alarm: newAlarm(),
	}
	// No item waits: what is not in the queue yet is pintle's to keep.
	n.follower = engine.NewFollower(r.f.o.Engine, n.request, r.streams, 0)
	return n
}

// request asks for what comes after what was read.
func (r *reader) request(name unit.Name) engine.LogRequest {
	return engine.LogRequest{Name: name, Tail: -1, Follow: true, After: r.place(name).seq}
}

func (r *reader) place(name unit.Name) place {
	p, known := r.places[name]
	if !known {
		p.seq = r.f.cursors.get(r.target.Name, name)
	}
	return p
}

// run reads until ctx ends.
func (r *reader) run(ctx context.Context) {
	defer r.alarm.stop()
	defer r.follower.Close()
	for ctx.Err() == nil {
		select {
		case i := <-r.follower.Items():
			r.take(ctx, i)
		case <-r.news:
			for name, seen := range r.look() {
				r.notice(name, seen)
			}
		case <-r.alarm.rings():
			r.wantDue()
		case <-ctx.Done():
			return
		}
		r.follower.Open(ctx)
	}
}

// notice is what it means that a unit was seen.
func (r *reader) notice(name unit.Name, seen sighting) {
	if seen.went {
		r.forget(name)
	}
	if seen.here && r.units[name] == nil {
		r.units[name] = &followed{name: name}
		r.later(r.f.t.gather, name)
	}
}

// forget does not read a unit any more that is gone, once its last lines have come.
func (r *reader) forget(name unit.Name) {
	delete(r.units, name)
	delete(r.due, name)
	r.follower.Gone(name)
	if len(r.places) <= r.sweep {
		return
	}
	for _, patient := range []bool{true, false} {
		for name, p := range r.places {
			if r.units[name] == nil && (!patient || r.f.cursors.get(r.target.Name, name) >= p.seq) {
				delete(r.places, name)
			}
		}
		if len(r.places) <= 4*mostCursors {
			break // else the target has taken none for long, and may get lines twice of those that come again
		}
	}
	r.sweep = 2*len(r.places) + mostCursors
}

// later has units be read after a time.
func (r *reader) later(d time.Duration, names ...unit.Name) {
	at := now().Add(d)
	for _, name := range names {
		r.due[name] = at
	}
	if len(names) > 0 {
		r.alarm.by(at)
	}
}

// wantDue has those be read whose time has come, and those whose has nearly, so that they get one stream.
func (r *reader) wantDue() {
	r.alarm.rang()
	soon := now().Add(r.f.t.gather)
	var next time.Time
	var names []unit.Name
	for name, at := range r.due {
		switch {
		case !at.After(soon):
			names = append(names, name)
			delete(r.due, name)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	slices.Sort(names)
	for _, name := range names {
		r.follower.Want(name)
	}
	if !next.IsZero() {
		r.alarm.by(next)
	}
}

// take is what an item means.
func (r *reader) take(ctx context.Context, i engine.Item) {
	e := r.follower.Take(i)
	switch {
	case e.HasLine:
		r.line(ctx, e.Line)
	case e.Err != nil && ctx.Err() == nil:
		r.failed(ctx, e.Over, e.Err)
	default: // they are removed, which we have not heard yet, or there are others of their names
		r.again(e.Over)
	}
}

// line puts a line into the queue.
func (r *reader) line(ctx context.Context, l engine.Line) {
	p := r.place(l.Unit)
	u := r.units[l.Unit]
	if r.failures = 0; u != nil {
		u.failures = 0
		l.Unit = u.name // one copy of each word, not one for each line
	}
	l.Stream = streamWord(l.Stream)
	p.seq, p.nanos = l.Seq, distinct(l.Time.UnixNano(), p.nanos)
	if r.queue.put(ctx, entry{line: l, nanos: p.nanos}) {
		r.places[l.Unit] = p
	}
}

// again has units be read again, the more rarely the more often in a row that was needed.
func (r *reader) again(names []unit.Name) {
	failures := 0
	for _, name := range names {
		if u := r.units[name]; u != nil {
			u.failures++
			failures = max(failures, u.failures)
		}
	}
	r.later(backoff(failures, r.f.t.first, r.f.t.most), names...)
}

// failed is what it means that the lines of units, which came together, can't be read. Those of them that are not why are
// asked for again at once.
func (r *reader) failed(ctx context.Context, names []unit.Name, err error) {
	culprits, rest := names, []unit.Name(nil)
	if about := engine.UnitsOf(err); about != nil {
		isCulprit := make(map[unit.Name]bool, len(about))
		for _, name := range about {
			isCulprit[name] = true
		}
		culprits = nil
		for _, name := range names {
			if isCulprit[name] {
				culprits = append(culprits, name)
			} else {
				rest = append(rest, name)
			}
		}
	}
	switch engine.KindOf(err) {
	case engine.NotFound:
		r.missing(ctx, names)
		return
	case engine.Conflict: // a main program's output is its container's; nobody needs to hear of it
		r.later(r.f.t.most, culprits...)
	case engine.Denied:
		text := err.Error()
		switch n := len(culprits) - 1; {
		case n == 1:
			text += " (nor those of another)"
		case n > 1:
			text += fmt.Sprintf(" (nor those of %d others)", n)
		}
		r.f.says.say("read", text)
		r.again(culprits)
	default:
		r.f.says.say("read", err.Error())
		r.failures++
		r.later(backoff(r.failures, r.f.t.first, r.f.t.most), names...)
		return
	}
	for _, name := range rest {
		r.follower.Want(name)
	}
}

// missing forgets those of units which failed together that are not there any more; nobody says so of those that went
// while pintle was away.
func (r *reader) missing(ctx context.Context, names []unit.Name) {
	all, err := r.f.o.Engine.List(ctx)
	if err != nil {
		r.again(names)
		return
	}
	here := make(map[unit.Name]bool, len(all))
	for _, s := range all {
		here[s.Name] = true
	}
	var rest []unit.Name
	for _, name := range names {
		if here[name] {
			rest = append(rest, name)
		} else {
			r.forget(name)
		}
	}
	if len(rest) == len(names) {
		r.again(rest) // one went, and came again
		return
	}
	for _, name := range rest {
		r.follower.Want(name)
	}
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
	for _, known := range []string{engine.Stdout, engine.Stderr, engine.Syslog, own} {
		if s == known {
			return known
		}
	}
	return s
}
