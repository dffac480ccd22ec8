package serve

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"

	"pintle/internal/engine"
	"pintle/internal/relay"
	"pintle/internal/unit"
)

// This file shows services as units: what of s6's words and states has a name in pintle's.

// mostRuns is how many ends of runs are kept of each service.
const mostRuns = 32

// status is a service as a unit.
func (s *service) status() engine.Status {
	st := engine.Status{
		Name: s.unit, Kind: unit.Service, Desired: "down", Run: s.number, Origin: s.path,
		Since: s.m.status.Stamp.Time(), Failures: s.failures,
	}
	if s.m.status.WantUp {
		st.Desired = "up"
	}
	if s.m.files.NotificationFD >= 0 {
		st.ReadyBy = fmt.Sprintf("notification-fd %d", s.m.files.NotificationFD)
	}
	if s.run != nil && s.m.state == up {
		st.PID = s.run.Pid()
	}
	if n := len(s.ends); n > 0 {
		end := s.ends[n-1].RunEnd
		st.Last = &end
	}
	st.State, st.Reason, st.Because = s.state()
	if st.State == unit.Backoff || s.m.dying {
		st.Next = s.m.due
	}
	if s.owner.uid != s.tree.o.Self {
		st.Because += fmt.Sprintf("; it runs as %s, who can write %s", s.owner.identity.Name, s.path)
	}
	return st
}

// state is what pintle calls the state, and why.
func (s *service) state() (unit.State, unit.Reason, string) {
	switch {
	case s.m.state == up && s.m.dying:
		return unit.Stopping, unit.Asked, "it was asked to end"
	case s.m.state == up && !s.m.status.ReadyFlag && s.m.files.NotificationFD >= 0:
		return unit.Starting, unit.NotReady, "it has not said yet that it is ready"
	case s.m.state == up && s.because == unit.Declared:
		return unit.Up, unit.Declared, "its service directory wants it up"
	case s.m.state == up && s.because == unit.Asked:
		return unit.Up, unit.Asked, "somebody asked for it"
	case s.m.state == up:
		return unit.Up, unit.Crashed, "its last run ended by itself"
	case s.m.state == finishing:
		return unit.Stopping, s.lastly(), "its finish is under way"
	case s.m.state == down && s.starting:
		return unit.Starting, unit.NotReady, "its run is being executed"
	case s.m.status.WantUp && s.m.files.Startable() != nil:
		return unit.Failed, unit.CannotExecute, s.m.files.Startable().Error()
	case s.m.status.WantUp && s.failed != "":
		return unit.Backoff, unit.CannotExecute, s.failed
	case s.m.status.WantUp:
		return unit.Backoff, s.lastly(), "it starts again a second after its last run"
	case s.m.permanent:
		return unit.Failed, unit.ExitRule, "its finish exited with code 125"
	case s.number > 0:
		return unit.Down, unit.Asked, "somebody stopped it"
	}
	return unit.Down, unit.NeverStarted, "its service directory has a file down"
}

// lastly is why the latest run ended.
func (s *service) lastly() unit.Reason {
	if n := len(s.ends); n > 0 {
		return s.ends[n-1].Cause
	}
	return unit.Crashed
}

// changed tells those who watch.
func (s *service) changed() {
	if s.m != nil && s.tree.relay.Count() > 0 {
		status := s.status()
		status.Gone = s.over
		s.tree.relay.Say(&status)
	}
}

// died notes how a run ended.
func (s *service) died(exit unit.Exit) {
	now := s.tree.o.Now()
	cause := unit.Crashed
	if s.told = s.told || s.m.dying; s.told {
		cause = unit.Asked
	} else {
		s.failures++
	}
	s.ends = append(s.ends, engine.RunRecord{RunEnd: engine.RunEnd{
		Run: s.number, PID: s.m.status.PID, Started: s.began, Ended: now, Exit: exit, Cause: cause, Asked: cause == unit.Asked,
	}})
	s.ends = s.ends[max(0, len(s.ends)-mostRuns):]
	s.tree.o.Log.Info(fmt.Sprintf("%s: run %d %s after %s", s.unit, s.number, exit, unit.Span(now.Sub(s.began))))
}

// ask has the loop answer. It fails once that has ended, or with ctx.
func ask[T any](ctx context.Context, t *Tree, what func() T) (answer T, err error) {
	answered := make(chan T, 1)
	t.do(func() { answered <- what() })
	select {
	case answer = <-answered:
		return answer, nil
	case <-t.done:
		return answer, engine.Errorf(engine.Unavailable, "cannot ask about %s: it is not supervised any more", t.o.Directory)
	case <-ctx.Done():
		return answer, ctx.Err()
	}
}

// list is all services as units.
func (t *Tree) list() []engine.Status {
	var all []engine.Status
	for _, s := range t.services {
		if s.m != nil {
			all = append(all, s.status())
		}
	}
	return all
}

// find is the service that is a unit; nil where there is none.
func (t *Tree) find(name unit.Name) *service {
	for _, s := range t.services {
		if s.unit == name && s.m != nil && !s.over {
			return s
		}
	}
	return nil
}

// joined is an engine whose units are those of another one, and the services of trees.
type joined struct {
	engine.Engine
	trees []*Tree
}

// Join makes an engine of another one and trees. Their services are started, stopped and signalled by s6's own means; they
// are made and removed by making and removing their directories.
func Join(inner engine.Engine, trees ...*Tree) engine.Engine {
	if len(trees) == 0 {
		return inner
	}
	return &joined{inner, trees}
}

// of finds the tree of a unit; nil: the unit is none of theirs.
func (j *joined) of(ctx context.Context, name unit.Name) *Tree {
	for _, t := range j.trees {
		if has, err := ask(ctx, t, func() bool { return t.find(name) != nil }); has && err == nil {
			return t
		}
	}
	return nil
}

// List implements engine.Engine.
func (j *joined) List(ctx context.Context) ([]engine.Status, error) {
	all, err := j.Engine.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range j.trees {
		more, err := ask(ctx, t, t.list)
		if engine.KindOf(err) == engine.Unavailable {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	slices.SortFunc(all, func(a, b engine.Status) int {
		if main := unit.MainName; (a.Name == main) != (b.Name == main) {
			return map[bool]int{true: -1, false: 1}[a.Name == main]
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return all, nil
}

// Get implements engine.Engine.
func (j *joined) Get(ctx context.Context, name unit.Name) (engine.Status, error) {
	return j.with(ctx, name, func(*service) error { return nil }, func() (engine.Status, error) { return j.Engine.Get(ctx, name) })
}

// with does something with the service that a unit is, and returns its status; where the unit is none, it does otherwise.
func (j *joined) with(ctx context.Context, name unit.Name, do func(*service) error, otherwise func() (engine.Status, error)) (engine.Status, error) {
	type answer struct {
		status engine.Status
		err    error
		found  bool
	}
	for _, t := range j.trees {
		a, err := ask(ctx, t, func() answer {
			s := t.find(name)
			if s == nil {
				return answer{}
			}
			err := do(s)
			return answer{s.status(), err, true}
		})
		if err == nil && a.found {
			return a.status, a.err
		}
	}
	return otherwise()
}

// tell has command bytes be carried out, as if they had come by the control FIFO.
func tell(bytes string) func(*service) error {
	return func(s *service) error {
		s.obey([]byte(bytes), func() {})
		return nil
	}
}

// Start implements engine.Engine.
func (j *joined) Start(ctx context.Context, name unit.Name) (engine.Status, error) {
	return j.with(ctx, name, tell("u"), func() (engine.Status, error) { return j.Engine.Start(ctx, name) })
}

// Stop implements engine.Engine.
func (j *joined) Stop(ctx context.Context, name unit.Name) (engine.Status, error) {
	return j.with(ctx, name, tell("d"), func() (engine.Status, error) { return j.Engine.Stop(ctx, name) })
}

// Restart implements engine.Engine. A service that is down is started.
func (j *joined) Restart(ctx context.Context, name unit.Name) (engine.Status, error) {
	return j.with(ctx, name, tell("ru"), func() (engine.Status, error) { return j.Engine.Restart(ctx, name) })
}

// Signal implements engine.Engine.
func (j *joined) Signal(ctx context.Context, name unit.Name, sig unit.Signal) (engine.Status, error) {
	return j.with(ctx, name, func(s *service) error {
		if s.run == nil || s.m.state != up {
			return engine.Errorf(engine.Conflict, "cannot signal %s: it has no run", name)
		}
		return s.run.Signal(sig)
	}, func() (engine.Status, error) { return j.Engine.Signal(ctx, name, sig) })
}

// Remove implements engine.Engine.
func (j *joined) Remove(ctx context.Context, name unit.Name) (engine.Status, error) {
	return j.with(ctx, name, func(s *service) error {
		return engine.Errorf(engine.Conflict, "cannot remove %s: it is there as long as its service directory %s is", name, s.path)
	}, func() (engine.Status, error) { return j.Engine.Remove(ctx, name) })
}

// Logs implements engine.Engine.
func (j *joined) Logs(ctx context.Context, req engine.LogRequest) iter.Seq2[engine.Line, error] {
	return func(yield func(engine.Line, error) bool) {
		if t := j.of(ctx, req.Name); t != nil {
			t.o.Logs.Journal(req.Name).Read(ctx, req)(yield)
			return
		}
		j.Engine.Logs(ctx, req)(yield)
	}
}

// Runs implements engine.Engine.
func (j *joined) Runs(ctx context.Context, name unit.Name, limit int) ([]engine.RunRecord, error) {
	t := j.of(ctx, name)
	if t == nil {
		return j.Engine.Runs(ctx, name, limit)
	}
	return ask(ctx, t, func() []engine.RunRecord {
		s := t.find(name)
		if s == nil {
			return nil
		}
		if limit < 0 || limit > len(s.ends) {
			limit = len(s.ends)
		}
		return slices.Clone(s.ends[len(s.ends)-limit:])
	})
}

// Watch implements engine.Engine.
func (j *joined) Watch(ctx context.Context) iter.Seq2[engine.Status, error] {
	return func(yield func(engine.Status, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		type item struct {
			status engine.Status
			err    error
		}
		items := make(chan item)
		send := func(i item) bool {
			select {
			case items <- i:
				return true
			case <-ctx.Done():
				return false
			}
		}
		over := make(chan struct{})
		go func() {
			defer close(over)
			for s, err := range j.Engine.Watch(ctx) {
				if !send(item{s, err}) {
					return
				}
			}
		}()
		for _, t := range j.trees {
			go t.watched(ctx, func(s engine.Status) bool { return send(item{status: s}) })
		}
		for {
			select {
			case i := <-items:
				if !yield(i.status, i.err) || i.err != nil {
					return
				}
			case <-over:
				return
			}
		}
	}
}

// watched tells of all services, and then of each change, until ctx ends or say returns false.
func (t *Tree) watched(ctx context.Context, say func(engine.Status) bool) {
	r, err := ask(ctx, t, func() *relay.Reader {
		r := relay.NewReader(t.list())
		t.relay.Join(r)
		return r
	})
	if err != nil {
		return
	}
	defer t.relay.Leave(r)
	for {
		for _, s := range r.Take() {
			if !say(s) {
				return
			}
		}
		select {
		case <-r.Wake():
		case <-ctx.Done():
			return
		case <-t.done:
			return
		}
	}
}
