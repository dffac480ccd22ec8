package supervisor

import (
	"time"

	"pintle/internal/lifecycle"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// This file has what is asked of an exclusive unit be asked of the volume, whichever container it was said to: each of
// those that share the state directory follows what the others have written there.

// followEvery is how often is looked for that: as often as hearts beat, so that a wish is known when its lease is free.
const followEvery = 3 * time.Second

// saveAgain is how soon a wish that could not be written is given to the store again.
const saveAgain = 5 * time.Second

// followOthers begins to hear of what other containers ask, where there is something that is not for this one alone.
func (s *Supervisor) followOthers() {
	if s.following || s.o.Leases == nil {
		return
	}
	for _, t := range s.templates {
		if t.Spec.Exclusive {
			s.following = true
			s.o.Store.Follow(followEvery, func(news []store.News) {
				s.do(func(s *Supervisor) {
					for _, n := range news {
						s.follow(n)
					}
				})
			})
			return
		}
	}
}

// follow has a unit be wanted as another container was asked.
func (s *Supervisor) follow(n store.News) {
	u := s.units[n.Unit]
	if t := s.templates[n.Unit.Template()]; t == nil || !t.Spec.Exclusive {
		return
	}
	if n.Removed {
		s.followRemoval(u, n.Unit)
		return
	}
	if u == nil {
		u = s.recalled(n.Record)
	}
	if u == nil || u.removing || u.intent.Same(n.Intent) {
		return
	}
	s.take(u, n.Record)
	if s.refuse("follow", u, n.Intent.Up) == nil {
		k := lifecycle.Start
		switch {
		case !n.Intent.Up:
			k = lifecycle.Stop
		case n.Intent.Anew:
			k = lifecycle.Restart
		}
		s.step(u, lifecycle.Event{Kind: k})
	}
	if !u.gone {
		s.publish(u)
	}
}

func (s *Supervisor) followRemoval(u *record, name unit.Name) {
	switch {
	case u == nil:
		delete(s.remembered, name)
	case u.removing || !u.created || s.isAlways(u):
	case u.found: // it is there for as long as a directory declares it
		u.created = false
	default:
		u.removing = true
		u.intent = unit.Intent{Generation: u.intent.Generation + 1, Time: now(), Actor: unit.Elsewhere}
		u.by = u.intent.Actor
		s.step(u, lifecycle.Event{Kind: lifecycle.Stop})
	}
}

// makeSure finds out what other containers have asked of a unit whose lease was won: the one that held it may have
// given it back because it is not to run.
func (s *Supervisor) makeSure(u *record, fence uint64) {
	if u.asking {
		return
	}
	u.asking = true
	s.o.Store.Refresh(u.spec.Name, func() {
		s.do(func(s *Supervisor) {
			u.asking, u.sure = false, fence
			s.touch(u)
		})
	})
}

// save has the store keep what was asked of a unit, and answers when it has. Until it is on disk no other container
// gets the unit's lease, which would run it as was asked before.
func (s *Supervisor) save(u *record, put func(done func(error)), answer func()) {
	u.saves++
	nth, shared := u.saves, u.unsaved
	put(func(err error) {
		if answer != nil {
			answer()
		}
		if !shared {
			return
		}
		s.do(func(s *Supervisor) {
			switch {
			case nth != u.saves: // a later wish is on its way
			case err != nil:
				s.later(saveAgain, func(s *Supervisor) {
					if nth == u.saves {
						s.save(u, put, nil)
					}
				})
			default:
				u.unsaved = false
				s.letGo(u)
			}
		})
	})
}

// letGo settles a unit's lease, which by now may be another unit's of its name.
func (s *Supervisor) letGo(u *record) {
	if other := s.units[u.spec.Name]; other != nil && other != u {
		other.wants, u.wants = other.wants || u.wants, false
		u = other
	}
	s.settleLease(u)
}
