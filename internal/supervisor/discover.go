package supervisor

import (
	"context"
	"slices"
	"time"

	"pintle/internal/discover"
	"pintle/internal/lifecycle"
	"pintle/internal/unit"
)

// This file makes instances of what directories declare. An instance is there for
// as long as somebody who created it has not removed it, or a directory declares
// it, whichever comes later; it makes no difference which came first.

// compare makes one instance what the directory says; it tells whether a file must be asked what is wanted of it first.
func (s *Supervisor) compare(f *search, instance string) (ask bool) {
	name := nameOf(f, instance)
	u, declared := s.units[name], f.declared[instance]
	switch {
	case declared && u == nil && !s.stopping:
		return s.arrive(f, instance)
	case declared && u != nil && !u.found && !u.removing:
		u.found = true
		s.publish(u)
	case !declared && u != nil && u.found && now().After(f.early[instance]):
		s.vanish(u)
	}
	return false
}

func nameOf(f *search, instance string) unit.Name { return unit.Name(f.t.Name + "@" + instance) }

// arrive makes an instance that was found: as it was wanted before, else as a file says, else as its template does.
func (s *Supervisor) arrive(f *search, instance string) (ask bool) {
	name := nameOf(f, instance)
	if r, ok := s.remembered[name]; ok {
		if s.makeFound(f, name, r.Intent, f.atBoot) == nil {
			s.units[name].prior = priorOf(f.t, r.Intent)
			s.regain(r)
		}
		return false
	}
	if f.t.IntentFrom != nil {
		return !f.asking[instance]
	}
	_ = s.makeFound(f, name, unit.Intent{Up: f.t.Initial == unit.InitialUp, Time: now(), Actor: unit.ByDiscovery}, false) // it is in refused
	return false
}

// makeFound makes a found instance known, and starts it if that is wanted; atBoot is set where that is the container's
// start, and no news.
func (s *Supervisor) makeFound(f *search, name unit.Name, intent unit.Intent, atBoot bool) error {
	spec, err := s.instantiate(name)
	if err != nil {
		f.refused[name.Instance()] = err.Error()
		return err
	}
	delete(f.refused, name.Instance())
	u := newRecord(&spec)
	u.found, u.intent, u.by = true, intent, intent.Actor
	s.enter(u)
	s.fulfil(u, atBoot)
	s.publish(u)
	return nil
}

// fulfil begins what is wanted of an instance that nobody has just asked for.
func (s *Supervisor) fulfil(u *record, atBoot bool) {
	switch {
	case u.intent.Up && atBoot:
		s.step(u, lifecycle.Event{Kind: lifecycle.Boot})
	case u.intent.Up:
		u.by = unit.ByDiscovery
		s.step(u, lifecycle.Event{Kind: lifecycle.Start, Reason: unit.Declared})
	case u.intent.Generation > 0:
		s.step(u, lifecycle.Event{Kind: lifecycle.Stop}) // to be told why it is down
	}
}

// vanish is what becomes of an instance that no directory declares any more.
func (s *Supervisor) vanish(u *record) {
	if !u.found {
		return
	}
	u.found = false
	if u.created || s.isAlways(u) || u.removing {
		s.publish(u)
		return
	}
	if u.life.Alive() {
		s.o.Log.Info(string(u.spec.Name) + ": the directory that declared it is gone, or its marker: it is stopped")
	}
	s.remember(u, now())
	u.removing = true
	s.intendBy(u, false, unit.ByDiscovery, lifecycle.Event{Kind: lifecycle.Stop, Reason: unit.Vanished})
}

// isAlways tells whether the template itself declares the instance.
func (s *Supervisor) isAlways(u *record) bool {
	t := s.templates[u.spec.Name.Template()]
	return t != nil && slices.Contains(t.Always, u.spec.Name.Instance())
}

// dropped has those come that waited for an instance to be gone: one of the same name, or any where there were too many.
func (s *Supervisor) dropped(name unit.Name) {
	f := s.searches[name.Template()]
	if f == nil || s.stopping {
		return
	}
	s.missThose(f)
	if f.declared[name.Instance()] {
		f.todo = append(f.todo, name.Instance())
	}
	for instance := range f.refused {
		f.todo = append(f.todo, instance)
	}
	if len(f.todo) > 0 {
		s.goOn(f)
	}
}

// origin says which directory declares an instance; "" where none does.
func (s *Supervisor) origin(u *record) string {
	t := s.templates[u.spec.Name.Template()]
	if !u.found || t == nil || t.Discover == nil {
		return ""
	}
	if u.declaredBy != t.Discover {
		u.declaredBy, u.origin = t.Discover, t.Discover.Origin(u.spec.Name.Instance())
	}
	return u.origin
}

// lookUp finds an instance that was asked for by name and is not known yet: its directory may be a moment old. It runs
// in the asker's goroutine, and tells whether the instance is known now.
func (s *Supervisor) lookUp(ctx context.Context, name unit.Name) bool {
	var (
		rule discover.Rule
		t    *unit.Template
	)
	f, err := ask(ctx, s, func(s *Supervisor, answer func(*search, error)) {
		f := s.searches[name.Template()]
		if f != nil {
			rule, t = f.rule, f.t
		}
		answer(f, nil)
	})
	if err != nil || f == nil || rule.Check == nil {
		return false
	}
	rule.As = asUser(s.o.Accounts, t.Spec.User)
	instance := name.Instance()
	if !discover.Declares(rule, instance) {
		return false
	}
	a := readIntents(s.o.Accounts, t, []string{instance})[instance]
	known, err := ask(ctx, s, func(s *Supervisor, answer func(bool, error)) {
		if s.searches[t.Name] == f && s.units[name] == nil && !s.stopping {
			f.early[instance] = now().Add(earlyFor)
			s.later(earlyFor+time.Millisecond, func(s *Supervisor) { // by then it was found, or it is gone
				delete(f.early, instance)
				if s.searches[t.Name] == f {
					s.compare(f, instance)
				}
			})
			if s.arrive(f, instance) || f.asking[instance] {
				s.decide(f, instance, a)
			}
		}
		answer(s.units[name] != nil, nil)
	})
	return err == nil && known
}

// earlyFor is longer than any look takes.
const earlyFor = 5 * time.Second
