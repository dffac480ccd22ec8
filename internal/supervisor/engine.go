package supervisor

import (
	"context"
	"iter"
	"os"
	"slices"

	"pintle/internal/engine"
	"pintle/internal/lifecycle"
	"pintle/internal/logs"
	"pintle/internal/unit"
)

var _ engine.Engine = (*Supervisor)(nil)

// ask runs do in the loop and returns what it answers. do may answer later, from
// another goroutine, but must answer once.
func ask[T any](ctx context.Context, s *Supervisor, do func(s *Supervisor, answer func(T, error))) (T, error) {
	type result struct {
		value T
		err   error
	}
	answered := make(chan result, 1)
	ok := s.do(func(s *Supervisor) {
		do(s, func(value T, err error) { answered <- result{value, err} })
	})
	if ok {
		select {
		case r := <-answered:
			return r.value, r.err
		case <-ctx.Done():
			var none T
			return none, engine.Errorf(engine.Unavailable, "cannot wait for the supervisor's answer: %v", context.Cause(ctx))
		case <-s.done:
		}
	}
	var none T
	return none, engine.Errorf(engine.Unavailable, "cannot ask the supervisor: it has ended")
}

// Info implements engine.Engine.
func (s *Supervisor) Info(ctx context.Context) (engine.Info, error) {
	info, err := ask(ctx, s, func(s *Supervisor, answer func(engine.Info, error)) {
		info := engine.Info{
			Version: s.o.Version, PID: os.Getpid(), UID: os.Geteuid(), Started: s.started,
			ProcessSets: s.o.Kernel.Sets(), Stopping: s.stopping, Life: s.o.Store.Life(),
			Durable: s.o.Store.Durable(),
		}
		if s.o.Conditions != nil {
			info.Conditions = s.o.Conditions()
		}
		info.Conditions = append(info.Conditions, s.troubles()...)
		info.Conditions = append(info.Conditions, s.searchTroubles()...)
		answer(info, nil)
	})
	if err == nil {
		info.Strays = s.strays.list(ctx, s.o.Kernel)
	}
	return info, err
}

// List implements engine.Engine.
func (s *Supervisor) List(ctx context.Context) ([]engine.Status, error) {
	list, err := ask(ctx, s, func(s *Supervisor, answer func([]engine.Status, error)) {
		all := make([]engine.Status, 0, len(s.units))
		for _, u := range s.units {
			all = append(all, s.status(u))
		}
		answer(all, nil)
	})
	slices.SortFunc(list, func(a, b engine.Status) int { // here, because the loop has better things to do
		return inOrder(a.Kind, b.Kind, a.Name, b.Name)
	})
	return list, err
}

// list is a snapshot of all units.
func (s *Supervisor) list() []engine.Status {
	all := make([]engine.Status, 0, len(s.units))
	for _, u := range s.sorted() {
		all = append(all, s.status(u))
	}
	return all
}

// Get implements engine.Engine.
func (s *Supervisor) Get(ctx context.Context, name unit.Name) (engine.Status, error) {
	return s.with(ctx, "find", name, func(_ *Supervisor, u *record, answer reply) { answer(s.status(u), nil) })
}

type reply func(engine.Status, error)

// with asks about one unit; verb is for the error when there is none.
func (s *Supervisor) with(ctx context.Context, verb string, name unit.Name, do func(*Supervisor, *record, reply)) (engine.Status, error) {
	again := false
	try := func() (engine.Status, error) {
		return ask(ctx, s, func(s *Supervisor, answer func(engine.Status, error)) {
			u, ok := s.units[name]
			if !ok {
				again = s.searches[name.Template()] != nil
				answer(engine.Status{}, s.unknown(verb, name))
				return
			}
			do(s, u, answer)
		})
	}
	status, err := try()
	if engine.KindOf(err) == engine.NotFound && again && s.lookUp(ctx, name) { // else the loop may not be done with again
		return try()
	}
	return status, err
}

func (s *Supervisor) unknown(verb string, name unit.Name) error {
	if _, ok := s.templates[name.Template()]; ok {
		return engine.Errorf(engine.NotFound, "cannot %s %s: there is no such instance; pintle create %s makes it", verb, name, name)
	}
	return engine.Errorf(engine.NotFound, "cannot %s %s: there is no such unit", verb, name)
}

// Start implements engine.Engine.
func (s *Supervisor) Start(ctx context.Context, name unit.Name) (engine.Status, error) {
	return s.want(ctx, "start", name, true, lifecycle.Start)
}

// Stop implements engine.Engine.
func (s *Supervisor) Stop(ctx context.Context, name unit.Name) (engine.Status, error) {
	return s.want(ctx, "stop", name, false, lifecycle.Stop)
}

// Restart implements engine.Engine.
func (s *Supervisor) Restart(ctx context.Context, name unit.Name) (engine.Status, error) {
	return s.want(ctx, "restart", name, true, lifecycle.Restart)
}

// want changes what is desired of a unit, and lets the event of the wish happen to it.
func (s *Supervisor) want(ctx context.Context, verb string, name unit.Name, up bool, k lifecycle.EventKind) (engine.Status, error) {
	actor := engine.ActorOf(ctx)
	return s.with(ctx, verb, name, func(s *Supervisor, u *record, answer reply) {
		if err := s.refuse(verb, u, up); err != nil {
			answer(engine.Status{}, err)
			return
		}
		s.intend(u, up, actor, k)
		s.keep(u, answer)
	})
}

// refuse tells why a verb can't be done to a unit now; nil when it can.
func (s *Supervisor) refuse(verb string, u *record, up bool) error {
	conflict := func(why string) error {
		return engine.Errorf(engine.Conflict, "cannot %s %s: %s", verb, u.spec.Name, why)
	}
	switch {
	case u.spec.Kind == unit.Main:
		return conflict("it is the main program, whose end ends the container; stop or restart the container instead")
	case u.removing:
		return conflict("it is being removed")
	case up && s.stopping:
		return conflict("the container is stopping")
	case up && u.life.State == unit.Disabled:
		return conflict("it is disabled in this container: " + disabledBecause(u.spec))
	}
	return nil
}

// intend records who wants what of a unit, and lets the event of the wish happen to it.
func (s *Supervisor) intend(u *record, up bool, actor unit.Actor, k lifecycle.EventKind) {
	u.intent = unit.Intent{Up: up, Generation: u.intent.Generation + 1, Time: now(), Actor: actor, Anew: k == lifecycle.Restart}
	u.unsaved = s.isExclusive(u.spec)
	before, by := u.life, u.by
	u.by = actor
	s.step(u, lifecycle.Event{Kind: k})
	if u.life.Like(&before) {
		u.by = by
	}
	s.settle()
	if !u.gone {
		s.publish(u)
	}
}

// keep answers with the unit's status when its intent is on disk, so that what was answered survives. An intent that
// can't be written is a condition in Info, not a refusal: it holds for as long as pintle lives.
func (s *Supervisor) keep(u *record, answer reply) {
	status, r := s.status(u), s.recordOf(u)
	s.save(u, func(done func(error)) { s.o.Store.Put(r, done) }, func() { answer(status, nil) })
}

// Signal implements engine.Engine.
func (s *Supervisor) Signal(ctx context.Context, name unit.Name, sig unit.Signal) (engine.Status, error) {
	return s.with(ctx, "signal", name, func(_ *Supervisor, u *record, answer reply) {
		if u.run == nil || u.life.Ended {
			answer(engine.Status{}, engine.Errorf(engine.Conflict, "cannot signal %s: it is not running", name))
			return
		}
		status := s.status(u)
		u.books.send(sig, engine.ActorOf(ctx).String())
		s.signal(u.run, sig, func(err error) {
			if err != nil {
				answer(engine.Status{}, engine.Errorf(engine.Internal, "cannot signal %s: %v", name, err))
				return
			}
			answer(status, nil)
		})
	})
}

// Logs implements engine.Engine.
func (s *Supervisor) Logs(ctx context.Context, req engine.LogRequest) iter.Seq2[engine.Line, error] {
	return func(yield func(engine.Line, error) bool) {
		// Found in the loop, where the unit can't be removed meanwhile: its journal would come to life again.
		journal, err := ask(ctx, s, func(s *Supervisor, answer func(*logs.Journal, error)) {
			switch u, ok := s.units[req.Name]; {
			case !ok:
				answer(nil, s.unknown("read the log of", req.Name))
			case u.spec.Kind == unit.Main && s.o.Syslog == nil:
				answer(nil, engine.Errorf(engine.Conflict,
					"cannot read the log of main: its output goes to the container's own, see docker logs"))
			default:
				answer(s.o.Logs.Journal(req.Name), nil)
			}
		})
		if err != nil {
			yield(engine.Line{}, err)
			return
		}
		journal.Read(ctx, req)(yield)
	}
}
