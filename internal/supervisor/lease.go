package supervisor

import (
	"fmt"
	"time"

	"pintle/internal/engine"
	"pintle/internal/lifecycle"
	"pintle/internal/unit"
)

// This file has an exclusive unit run only while this container holds its lease.

// Leases say which container may run an exclusive unit, as *store.Keeper does. Nothing of it waits.
type Leases interface {
	// Want asks for a unit's lease, until Release tells that it is neither run nor wanted here.
	Want(unit.Name)
	Release(unit.Name)
	// Ended tells that nothing runs any more by a lease that was lost.
	Ended(unit.Name)
	// Holds tells whether the unit may run now, and the fence of its lease.
	Holds(unit.Name) (fence uint64, ok bool)
	// Holder is the container that holds it instead, as far as that is known.
	Holder(unit.Name) engine.Holder
}

// lostGrace is how long a run may take to end once its lease was lost; then all of it is killed. The lease is lost
// at most 9 s (Hold) after this container was last sure of it, and nobody else runs the unit before this container's
// heart has stood still for 15 s (TTL), which began no earlier: 6 s lie between. 3 s are for the run, and 3 s for
// this loop and for the kernel to kill it.
const lostGrace = 3 * time.Second

// killAgain is how soon it is looked again at a run that is being executed.
const killAgain = 50 * time.Millisecond

// isExclusive tells whether a unit needs a lease.
func (s *Supervisor) isExclusive(spec *unit.Spec) bool { return spec.Exclusive && s.o.Leases != nil }

func (s *Supervisor) holds(u *record) bool {
	_, ok := s.o.Leases.Holds(u.spec.Name)
	return ok
}

// hasLease tells whether a unit that is to run may do so, and asks for its lease if it must have one.
func (s *Supervisor) hasLease(u *record) bool {
	if !s.isExclusive(u.spec) {
		return true
	}
	if !u.wants {
		u.wants = true
		s.o.Leases.Want(u.spec.Name)
	}
	switch fence, ok := s.o.Leases.Holds(u.spec.Name); {
	case !ok:
		return false
	case u.sure != fence: // a fence of 0 is that of a container alone
		s.makeSure(u, fence)
		return false
	}
	return true
}

// settleLease gives a lease back that is not needed, and lets go of one that was lost. While a unit waits for its
// backoff, its turn or a dependency, this container keeps the lease.
func (s *Supervisor) settleLease(u *record) {
	switch {
	case !u.wants || u.life.Alive():
	case u.unsaved && !activeIn(u.life.State): // see save
	case !activeIn(u.life.State) || !s.isExclusive(u.spec):
		u.wants = false
		s.o.Leases.Release(u.spec.Name)
	case !s.holds(u):
		s.o.Leases.Ended(u.spec.Name)
	}
}

// LeaseChanged tells that a unit's lease was won or lost, or is another's.
func (s *Supervisor) LeaseChanged(name unit.Name) {
	s.do(func(s *Supervisor) {
		u := s.units[name]
		switch {
		case u == nil || !u.wants:
		case s.holds(u):
			s.touch(u)
		default:
			s.loseLease(u)
		}
	})
}

// loseLease ends what runs by a lease that was lost.
func (s *Supervisor) loseLease(u *record) {
	run := u.life.Run
	if u.life.Alive() {
		u.books.killBy = now().Add(lostGrace)
	}
	switch u.life.State {
	case unit.Starting, unit.Up:
		s.o.Log.Warn(fmt.Sprintf("%s: run %d is ended: this container is not sure any more that no other runs it", u.spec.Name, run))
		kind := lifecycle.Restart
		if s.stopping { // its turn to end had not come
			kind = lifecycle.Stop
		}
		s.step(u, lifecycle.Event{Kind: kind, Reason: unit.LostLease})
	case unit.Stopping:
		if u.next.After(u.books.killBy) { // it was promised more
			u.next = u.books.killBy
			s.noteStop(u)
			s.publish(u)
		}
	default:
		s.settleLease(u)
		s.touch(u)
		s.publish(u) // who holds it may have changed alone
		return
	}
	s.later(lostGrace, func(s *Supervisor) { s.killLost(u, run) })
}

// killLost kills a run that has not ended in time, whatever its grace period.
func (s *Supervisor) killLost(u *record, run uint64) {
	switch {
	case u.gone || u.life.Run != run || !u.life.Alive():
	case u.run == nil: // it is being executed
		s.later(killAgain, func(s *Supervisor) { s.killLost(u, run) })
	default:
		s.o.Log.Warn(fmt.Sprintf("%s: run %d has not ended within %s of its lease's loss: killing all of it", u.spec.Name, run, unit.Span(lostGrace)))
		u.next = zeroTime
		u.books.send(unit.SIGKILL, unit.Policy.String())
		u.books.killed = true
		if u.life.Ended {
			u.leftWasKilled()
		}
		u.run.Kill()
	}
}

// fence is the number by which a run's lease can be told from every earlier one; 0 where it has none.
func (s *Supervisor) fence(spec *unit.Spec) uint64 {
	if !s.isExclusive(spec) {
		return 0
	}
	fence, _ := s.o.Leases.Holds(spec.Name)
	return fence
}

// mayKeep tells whether what happens to a unit here may be kept: the records of an exclusive unit's runs are its owner's.
// What a person asks for is kept all the same: it is a wish for the whole volume, whichever container it was said to.
// What is only concluded gives way to that (store.Repeat).
func (s *Supervisor) mayKeep(u *record) bool { return !s.isExclusive(u.spec) || s.holds(u) }

func (s *Supervisor) leaseBecause(u *record) string {
	if s.o.Leases != nil {
		if h := s.o.Leases.Holder(u.spec.Name); h.Fence > 0 {
			return fmt.Sprintf("waiting for container %s, which holds it (fence %d)", h.Container, h.Fence)
		}
	}
	return "waiting until it is sure that no other container runs it"
}

func (u *record) lostBecause() string {
	if u.life.State == unit.Stopping {
		return "this container is not sure any more that no other runs it"
	}
	return "started again after its lease had been lost"
}
