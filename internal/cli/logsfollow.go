package cli

import (
	"context"
	"slices"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

const (
	// mostStreams is how many streams there may be for units that came later, and mostItems how many of their lines wait to
	// be shown.
	mostStreams, mostItems = 8, 256
	// farewell is how long what is on its way is waited for once the supervisor has ended.
	farewell = 5 * time.Second
	// late is how much later than its time a line may come.
	late = time.Second
)

// logFollower follows units, those that come later too. One goroutine has all of its state.
type logFollower struct {
	*logReader
	streams *engine.Follower
	// followed are the units that need no stream: they have one, or will, or are not for us to read.
	followed map[unit.Name]bool
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
	f := &logFollower{logReader: r, followed: map[unit.Name]bool{}}
	f.streams = engine.NewFollower(r.eng, func(name unit.Name) engine.LogRequest {
		r.print.width = max(r.print.width, len(name))
		return r.request(name)
	}, mostStreams, mostItems)
	ctx, cancel := context.WithCancel(ctx)
	statuses, watched := make(chan engine.Status, 64), make(chan error, 1)
	if r.flags.run == nil {
		go func() { watched <- watchAll(ctx, r.eng, statuses) }()
	} else {
		watched <- nil // a run that is there has begun already
	}
	f.want(names...)
	f.streams.Open(ctx)
	err := f.loop(ctx, statuses, watched)
	cancel()
	if !f.deaf {
		<-watched
	}
	f.streams.Close()
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
		if f.streams.Streams() == 0 && (f.patient != nil || f.flags.run != nil) {
			return f.failed
		}
		select {
		case i := <-f.streams.Items():
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
		if len(f.streams.Items()) == 0 {
			f.print.flush()
		}
		if len(statuses) == 0 && f.patient == nil {
			f.streams.Open(ctx)
		}
	}
	return nil
}

// take is what an item means.
func (f *logFollower) take(ctx context.Context, i engine.Item) error {
	e := f.streams.Take(i)
	switch {
	case e.HasLine:
		f.mended = false
		return f.show(e.Line)
	case e.Err != nil && ctx.Err() == nil:
		return f.mend(ctx, e.Over, e.Err)
	case f.flags.until.IsZero() && f.flags.run == nil: // there may be one of the name again
		for _, name := range e.Over {
			f.streams.Want(name)
		}
	}
	return nil
}

// mend has those units of a stream that has failed get another one which were not why.
func (f *logFollower) mend(ctx context.Context, names []unit.Name, failed error) error {
	var reqs []engine.LogRequest
	for _, name := range names {
		reqs = append(reqs, f.request(name))
	}
	rest, err := f.prune(ctx, reqs, failed, false)
	switch {
	case engine.KindOf(err) == engine.Unavailable:
		f.end(err)
		return nil
	case engine.KindOf(err) == engine.NotFound && !f.mended:
		f.mended, rest = true, reqs // all are there: one went, and came again before it was looked for
	case err != nil:
		return err
	}
	for _, name := range names {
		again := slices.ContainsFunc(rest, func(r engine.LogRequest) bool { return r.Name == name })
		if again {
			f.streams.Want(name)
		} else if engine.KindOf(failed) == engine.NotFound {
			f.lose(name)
		}
	}
	return nil
}

// lose has a unit that is gone not be followed any more. Of units that were named nothing comes once all are gone.
func (f *logFollower) lose(name unit.Name) {
	delete(f.followed, name)
	f.streams.Gone(name)
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
			f.streams.Want(name)
		}
	}
}
