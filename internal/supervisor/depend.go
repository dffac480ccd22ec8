package supervisor

import (
	"fmt"
	"time"

	"pintle/internal/lifecycle"
	"pintle/internal/unit"
)

// This file is what units are to each other: who may start, who begins anew with
// whom, who ends after whom. Whenever a unit has changed, those that this may
// concern are put on the agenda; they are looked at when the event is over.

// mostAtOnce bounds how many units are looked at in one turn of the loop, so that
// other events have theirs.
const mostAtOnce = 64

// slotTime is how long a start counts as under way at most: a unit that is slow
// to be ready must not hold up all others.
const slotTime = 10 * time.Second

// touch puts a unit on the agenda.
func (s *Supervisor) touch(u *record) {
	if !u.touched {
		u.touched = true
		s.agenda = append(s.agenda, u)
	}
}

// touchDependents puts on the agenda whom a change of u may concern.
func (s *Supervisor) touchDependents(u *record) {
	for _, d := range s.dependents[u.spec.Name] {
		s.touch(d)
	}
	if s.stopping {
		for _, d := range u.spec.DependsOn {
			if other := s.units[d.On]; other != nil {
				s.touch(other)
			}
		}
	}
}

// eachInTurn does something to every unit that there is now.
func (s *Supervisor) eachInTurn(do func(*record)) {
	all := s.sorted()
	s.inTurns(len(all), func(i int) {
		if u := all[i]; !u.gone {
			do(u)
		}
	}, func() {})
}

// inTurns does n things, a few in each turn of the loop, and then what comes after them.
func (s *Supervisor) inTurns(n int, do func(i int), then func()) {
	s.rounds++
	var from func(i int)
	from = func(i int) {
		for end := min(i+s.most, n); i < end; i++ {
			do(i)
		}
		if i < n && s.do(func(*Supervisor) { from(i) }) {
			return
		}
		s.rounds--
		then()
	}
	from(0)
}

// settle works off the agenda, and has those take their turn for whom there is room.
func (s *Supervisor) settle() {
	if s.reloading { // half of a change would have consequences that the whole has not
		return
	}
	for n := 0; len(s.agenda) > 0 || s.nextTurn(); n++ {
		if n == s.most {
			if !s.settling {
				s.settling = true
				s.do(func(s *Supervisor) { s.settling = false }) // every event ends with a settle
			}
			return
		}
		u := s.agenda[0]
		s.agenda = s.agenda[1:]
		u.touched = false
		s.reconsider(u)
	}
	s.agenda = nil
	s.checkIdle()
	s.concludeIdle()
}

// reconsider looks at a unit whose surroundings have changed.
func (s *Supervisor) reconsider(u *record) {
	switch {
	case u.gone:
		return
	case s.stopping:
		if !u.halted && !s.needed(u) {
			u.halted = true
			s.step(u, lifecycle.Event{Kind: lifecycle.Halt})
		}
	case u.life.State == unit.Waiting:
		s.admit(u)
	case u.life.State == unit.Starting, u.life.State == unit.Up:
		if s.left(u) {
			s.step(u, lifecycle.Event{Kind: lifecycle.Follow})
		}
	case u.life.State == unit.Failed && u.life.Reason == unit.DependencyFailed && u.intent.Up:
		if prospect, _ := s.prospect(u); prospect != lifecycle.Hopeless {
			s.step(u, lifecycle.Event{Kind: lifecycle.Mended})
		}
	}
}

// needed tells whether a unit that depends on u has not ended yet.
func (s *Supervisor) needed(u *record) bool {
	for _, d := range s.dependents[u.spec.Name] {
		if d.life.Alive() || !d.halted && d.life.State == unit.Done && len(d.spec.Down) > 0 {
			return true
		}
	}
	return false
}

// left tells whether a unit that u restarts with has begun anew since u did.
func (s *Supervisor) left(u *record) bool {
	for _, d := range u.spec.DependsOn {
		if other := s.units[d.On]; d.RestartWith && other != nil && other.life.Run != u.with[d.On] && !other.life.Undoing {
			return true
		}
	}
	return false
}

// prospect is the worst prospect of all that u depends on, and of which.
func (s *Supervisor) prospect(u *record) (worst lifecycle.Prospect, of unit.Dependency) {
	for _, d := range u.spec.DependsOn {
		if p := s.look(d); p > worst {
			worst, of = p, d
		}
	}
	return worst, of
}

func (s *Supervisor) look(d unit.Dependency) lifecycle.Prospect {
	other := s.units[d.On]
	switch {
	case other != nil:
		return lifecycle.Look(d, other.spec, &other.life, other.intent.Up)
	case d.Optional:
		return lifecycle.Met
	}
	return lifecycle.Pending // an instance that nobody has made yet
}

// admit decides whether a unit that waits may start.
func (s *Supervisor) admit(u *record) {
	switch prospect, _ := s.prospect(u); {
	case prospect == lifecycle.Hopeless:
		s.step(u, lifecycle.Event{Kind: lifecycle.Refused})
	case prospect == lifecycle.Pending:
		s.hold(u, unit.AwaitsDependency)
	case !s.hasLease(u):
		s.hold(u, unit.AwaitsLease)
	case s.paused(u):
		if !u.calmed {
			u.calmed = true
			s.calmed = append(s.calmed, u)
		}
		s.hold(u, unit.AwaitsCalm)
	case !s.takeSlot(u):
		if !u.queued {
			u.queued = true
			s.turns = append(s.turns, u)
		}
		s.hold(u, unit.AwaitsTurn)
	default:
		s.grant(u)
	}
}

func (s *Supervisor) hold(u *record, why unit.Reason) {
	s.step(u, lifecycle.Event{Kind: lifecycle.Held, Reason: why})
}

func (s *Supervisor) grant(u *record) {
	u.with = nil
	for _, d := range u.spec.DependsOn {
		if other := s.units[d.On]; d.RestartWith && other != nil {
			if u.with == nil {
				u.with = map[unit.Name]uint64{}
			}
			u.with[d.On] = other.life.Run
		}
	}
	s.step(u, lifecycle.Event{Kind: lifecycle.Granted})
}

// paused tells whether u failed and waits until those that failed together have calmed down.
func (s *Supervisor) paused(u *record) bool {
	until, _ := s.governor.Calm()
	return u.spec.Kind != unit.Main && u.life.Began() == unit.Crashed && now().Before(until)
}

// takeSlot asks the governor for leave to start one more unit. Main, and what a
// person asks for when there is no room, start all the same and do not count.
func (s *Supervisor) takeSlot(u *record) bool {
	if u.spec.Kind == unit.Main {
		return true
	}
	if !s.governor.Take() {
		return u.life.Began() == unit.Asked
	}
	u.slot = true
	if u.spec.Readiness != nil || u.spec.Kind == unit.Oneshot {
		run := u.life.Run + 1 // the one that is about to be granted
		u.slotTimer = s.later(slotTime, func(s *Supervisor) {
			if u.life.Run == run {
				s.releaseSlot(u)
			}
		})
	}
	return true
}

// releaseSlot ends a start's being under way, and has the next one take its turn.
func (s *Supervisor) releaseSlot(u *record) {
	if !u.slot {
		return
	}
	u.slot = false
	if u.slotTimer != nil {
		u.slotTimer.Stop()
		u.slotTimer = nil
	}
	s.governor.Release()
	s.nextTurn()
}

// nextTurn puts on the agenda who has waited longest for his turn, if there is room for a start. He may not take it,
// since something else may be missing by now; settle then asks for the next one.
func (s *Supervisor) nextTurn() bool {
	for len(s.turns) > 0 && s.governor.Free() {
		next := s.turns[0]
		s.turns = s.turns[1:]
		next.queued = false
		if next.life.State == unit.Waiting && next.life.Reason == unit.AwaitsTurn {
			s.touch(next)
			return true
		}
	}
	return false
}

// failed tells the governor of a failure.
func (s *Supervisor) failed(u *record) {
	if u.spec.Kind == unit.Main || !s.governor.Failed(u.spec.Name, now(), s.active) {
		return
	}
	until, together := s.governor.Calm()
	pause := until.Sub(now())
	s.o.Log.Warn(fmt.Sprintf("%d units failed within a short time: restarts pause for %s", together, unit.Span(pause)))
	s.calmTimer = s.later(pause, (*Supervisor).calmDown)
}

// calmDown has those start who waited for the end of a pause, unless it has become longer meanwhile.
func (s *Supervisor) calmDown() {
	until, _ := s.governor.Calm()
	if more := until.Sub(now()); more > 0 {
		s.calmTimer = s.later(more, (*Supervisor).calmDown)
		return
	}
	for _, u := range s.calmed {
		u.calmed = false
		s.touch(u)
	}
	s.calmed = nil
}
