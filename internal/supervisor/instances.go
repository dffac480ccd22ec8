package supervisor

import (
	"context"
	"slices"

	"pintle/internal/engine"
	"pintle/internal/lifecycle"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// This file is what only instances know: they come and go while the container runs.

// Create implements engine.Engine.
func (s *Supervisor) Create(ctx context.Context, req engine.CreateRequest) (engine.Status, bool, error) {
	type result struct {
		status  engine.Status
		created bool
	}
	actor := engine.ActorOf(ctx)
	r, err := ask(ctx, s, func(s *Supervisor, answer func(result, error)) {
		u, exists := s.units[req.Name]
		switch {
		case req.Name.Template() == "":
			answer(result{}, engine.Errorf(engine.Invalid,
				"cannot create %s: only instances of a template can be created, and their names have an @", req.Name))
			return
		case !exists:
			spec, err := s.instantiate(req.Name)
			if err != nil {
				answer(result{}, engine.Errorf(engine.KindOf(err), "cannot create %s: %v", req.Name, err))
				return
			}
			u = newRecord(&spec)
			u.intent = s.remembered[req.Name].Intent // its generations go on
		}
		if err := s.refuse("create", u, !exists || !req.Down); err != nil {
			answer(result{}, err)
			return
		}
		holds := exists && u.found && !u.created && !s.isAlways(u)
		u.created = true
		switch {
		case exists && req.Down && holds: // only that it stays when its directory does not
			s.keep(u, func(status engine.Status, err error) { answer(result{status: status}, err) })
			return
		case exists && req.Down:
			answer(result{status: s.status(u)}, nil) // nothing is asked of it
			return
		}
		wish := lifecycle.Start
		if req.Down {
			wish = lifecycle.Stop
		}
		if !exists {
			delete(s.remembered, req.Name)
			s.enter(u)
		}
		s.intend(u, !req.Down, actor, wish)
		s.keep(u, func(status engine.Status, err error) { answer(result{status, !exists}, err) })
	})
	return r.status, r.created, err
}

// instantiate makes the spec of one more instance, by its template's rules. The error is a cause, not yet a sentence.
func (s *Supervisor) instantiate(name unit.Name) (unit.Spec, error) {
	t, ok := s.templates[name.Template()]
	if !ok {
		return unit.Spec{}, engine.Errorf(engine.NotFound, "there is no template %s", name.Template())
	}
	spec, err := t.Instantiate(name.Instance())
	if err != nil {
		return unit.Spec{}, engine.Errorf(engine.Invalid, "%v", err)
	}
	count := 0
	for other := range s.units {
		if other.Template() == t.Name {
			count++
		}
	}
	if count >= t.Max {
		return unit.Spec{}, engine.Errorf(engine.Conflict, "template %s has %d instances already, which is its max", t.Name, count)
	}
	return spec, nil
}

// Remove implements engine.Engine. An instance that a directory declares is not forgotten by that: once it is gone it is
// known anew, and down, because that is what was asked. The status says what declares it.
func (s *Supervisor) Remove(ctx context.Context, name unit.Name) (engine.Status, error) {
	actor := engine.ActorOf(ctx)
	return s.with(ctx, "remove", name, func(s *Supervisor, u *record, answer reply) {
		if err := s.refuseRemove(u); err != nil {
			answer(engine.Status{}, err)
			return
		}
		u.removing, u.created = true, false
		if u.found { // before it can be gone: it comes back at once, and is to be down then
			down := unit.Intent{Generation: u.intent.Generation + 1, Time: now(), Actor: actor}
			s.remembered[name] = store.Record{Unit: name, Intent: down, Discovered: true}
		}
		s.intend(u, false, actor, lifecycle.Stop)
		status := s.status(u)
		forget := func(done func(error)) { s.o.Store.Delete(name, done) }
		if r, ok := s.remembered[name]; ok {
			forget = func(done func(error)) { s.o.Store.Put(r, done) }
		}
		s.save(u, forget, func() { answer(status, nil) })
	})
}

func (s *Supervisor) refuseRemove(u *record) error {
	name := u.spec.Name
	t := s.templates[name.Template()]
	switch {
	case u.removing:
		return nil
	case u.spec.Kind != unit.Instance:
		return engine.Errorf(engine.Conflict, "cannot remove %s: it is declared in the configuration; only instances can be removed", name)
	case t != nil && slices.Contains(t.Always, name.Instance()):
		return engine.Errorf(engine.Conflict, "cannot remove %s: template %s declares it as always there; stop it instead", name, name.Template())
	}
	return nil
}

// drop forgets a unit that is being removed and has no process left.
func (s *Supervisor) drop(u *record) {
	u.gone = true
	delete(s.units, u.spec.Name)
	s.undepend(u)
	s.touchDependents(u)
	s.o.Logs.Forget(u.spec.Name)
	s.publish(u)
	s.dropped(u.spec.Name)
}
