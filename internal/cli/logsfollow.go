package cli

import (
	"context"
	"slices"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

const (
	// mostGroups is how many streams there may be for units that came later; then they become one. It keeps the
	// connections of one reader few, however many units come and go.
	mostGroups = 8
	// farewell is how long what is on its way is waited for once the supervisor has ended.
	farewell = 5 * time.Second
	// late is how much later than its time a line may come.
	late = time.Second
)

// logGroup is some units whose lines are one stream.
type logGroup struct {
	reqs   []engine.LogRequest
	cancel context.CancelFunc
	// failed is why it ended; nil where its units were removed. merged is set where its units get another stream.
	failed error
	merged bool
}

// logItem is a line of a group, or with over its end.
type logItem struct {
	group *logGroup
	line  engine.Line
	err   error
	over  bool
}

// logFollower follows units, those that come later too. One goroutine has all of its state.
type logFollower struct {
	*logReader
	items chan logItem
	// followed are the units that need no stream: they have one, or will, or are not for us to read.
	followed map[unit.Name]bool
	// waiting are those of them that will get one.
	waiting []unit.Name
	// groups are the streams, with first, that of the units which were there at first.
	groups []*logGroup
	first  *logGroup
	// merging is how many groups have still to end before all that they had gets one stream.
	merging int
	// mended is set where a stream was opened anew that had failed for no reason that is still there, until a line comes.
	mended bool
	// deaf is set once the units are not watched any more.
	deaf bool
	// patient is set once only what is on its way is waited for, and is that time's end; failed is why, nil where all
	// units were removed.
	patient <-chan time.Time
	failed  error
}

// follow shows the lines of units as they come, until ctx ends.
func (r *logReader) follow(ctx context.Context, names []unit.Name) error {
	if !r.flags.until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, r.flags.until.Add(late))
		defer cancel()
	}
	f := &logFollower{logReader: r, items: make(chan logItem, 256), followed: map[unit.Name]bool{}}
	ctx, cancel := context.WithCancel(ctx)
	statuses, watched := make(chan engine.Status, 64), make(chan error, 1)
	if r.flags.run == nil {
		go func() { watched <- watchAll(ctx, r.eng, statuses) }()
	} else {
		watched <- nil // a run that is there has begun already
	}
	f.want(names...)
	f.open(ctx)
	if len(f.groups) > 0 {
		f.first = f.groups[0]
	}
	err := f.loop(ctx, statuses, watched)
	cancel()
	if !f.deaf {
		<-watched
	}
	for len(f.groups) > 0 {
		if i := <-f.items; i.over {
			f.forget(i.group)
		}
	}
	return err
}

// watchAll passes on what becomes of all units, and returns why that ended.
func watchAll(ctx context.Context, eng engine.Engine, statuses chan<- engine.Status) error {
	for s, err := range eng.Watch(ctx) {
		if err != nil {
			return err
		}
		select {
		case statuses <- s:
		case <-ctx.Done():
			return nil
		}
	}
	return errEnded()
}

// loop shows what comes until ctx ends, or nothing can come any more.
func (f *logFollower) loop(ctx context.Context, statuses <-chan engine.Status, watched <-chan error) error {
	for f.out.err == nil {
		if len(f.groups) == 0 && (f.patient != nil || f.flags.run != nil) {
			return f.failed
		}
		select {
		case i := <-f.items:
			if err := f.take(ctx, i); err != nil {
				return err
			}
		case s := <-statuses:
			f.notice(s)
		case err := <-watched:
			f.deaf = true
			if err != nil && f.flags.run == nil {
				f.end(err)
			}
			watched = nil
		case <-f.patient:
			return f.failed
		case <-ctx.Done():
			return nil
		}
		if len(f.items) == 0 {
			f.print.flush()
		}
		if len(statuses) == 0 {
			f.open(ctx)
		}
	}
	return nil
}

// take is what an item means.
func (f *logFollower) take(ctx context.Context, i logItem) error {
	switch {
	case i.err != nil:
		i.group.failed = i.err
	case !i.over:
		f.mended = false
		return f.show(i.line)
	case f.forget(i.group):
	case i.group.failed != nil && ctx.Err() == nil:
		return f.mend(ctx, i.group)
	}
	return nil
}

// forget takes away a stream that has ended, and tells whether that was because it becomes one with others.
func (f *logFollower) forget(g *logGroup) (merged bool) {
	f.groups = slices.DeleteFunc(f.groups, func(other *logGroup) bool { return other == g })
	if g.merged {
		f.merging--
	}
	return g.merged
}

// mend has those units of a stream that has failed get another one which were not why.
func (f *logFollower) mend(ctx context.Context, g *logGroup) error {
	rest, err := f.prune(ctx, g.reqs, g.failed, false)
	switch {
	case engine.KindOf(err) == engine.Unavailable:
		f.end(err)
		return nil
	case engine.KindOf(err) == engine.NotFound && !f.mended:
		f.mended, rest = true, g.reqs // all are there: one went, and came again before it was looked for
	case err != nil:
		return err
	}
	for _, req := range g.reqs {
		again := slices.ContainsFunc(rest, func(r engine.LogRequest) bool { return r.Name == req.Name })
		if again {
			f.waiting = append(f.waiting, req.Name)
		} else if engine.KindOf(g.failed) == engine.NotFound {
			f.lose(req.Name)
		}
	}
	return nil
}

// lose has a unit that is gone not be followed any more. Of units that were named nothing comes once all are gone.
func (f *logFollower) lose(name unit.Name) {
	delete(f.followed, name)
	if len(f.followed) == 0 && !f.patterns() {
		f.end(nil)
	}
}

// end has only what is on its way be waited for.
func (f *logFollower) end(why error) {
	if f.patient == nil {
		f.failed, f.patient = why, time.After(farewell)
	}
}

// notice is what a unit's status means: it is gone, or there.
func (f *logFollower) notice(s engine.Status) {
	switch {
	case s.Gone:
		f.lose(s.Name)
	case f.chosen(s):
		f.want(s.Name)
	}
}

// want has units be followed that are not.
func (f *logFollower) want(names ...unit.Name) {
	for _, name := range names {
		if !f.followed[name] {
			f.followed[name] = true
			f.waiting = append(f.waiting, name)
		}
	}
}

// open gives those units a stream that wait for one. Where there are too many streams already, it has them end, so that
// all of their units get one together: each goes on after what was shown of it.
func (f *logFollower) open(ctx context.Context) {
	if len(f.waiting) == 0 || f.merging > 0 || f.patient != nil {
		return
	}
	if len(f.groups) > mostGroups {
		for _, g := range f.groups {
			if g == f.first {
				continue
			}
			g.merged = true
			g.cancel()
			f.merging++
			for _, req := range g.reqs {
				if f.followed[req.Name] && !slices.Contains(f.waiting, req.Name) {
					f.waiting = append(f.waiting, req.Name)
				}
			}
		}
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	g := &logGroup{cancel: cancel}
	for _, name := range f.waiting {
		req := f.request(name)
		req.Follow = true
		g.reqs = append(g.reqs, req)
		f.print.width = max(f.print.width, len(name))
	}
	f.waiting = nil
	f.groups = append(f.groups, g)
	go func() {
		defer cancel()
		for l, err := range engine.LogsOf(ctx, f.eng, g.reqs) {
			select {
			case f.items <- logItem{group: g, line: l, err: err}:
				continue
			case <-ctx.Done():
			}
			break
		}
		f.items <- logItem{group: g, over: true} // it is waited for
	}()
}
