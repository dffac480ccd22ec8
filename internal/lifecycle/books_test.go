package lifecycle

import (
	"slices"
	"time"

	"pintle/internal/unit"
)

// books are what the world knows by itself: never what the machine believes, but for Exit and Cause, which Decide is
// asked about again.
type books struct {
	processes map[uint64]*process
	timers    [timers]*armed
	// leaves is how many Await are unanswered.
	leaves          int
	halted, hurried bool
	// wanted is what was asked for since the current run began.
	wanted wish
	// failures and recent are what the rules of giving up count.
	failures int
	recent   []time.Time
	// killFrom and killBy are when the current run may be killed at the earliest, and must be; zero until it is asked to end.
	killFrom, killBy time.Time
	// signals counts those that the current run was sent; signalBy is when the next is due, zero where none is.
	signals  int
	signalBy time.Time
	// startBy is when the current run must be ready; zero for no matter when.
	startBy time.Time
	// upSince is when it was up, sign when it last gave one of life, stable whether its failures are forgotten.
	upSince, sign time.Time
	stable        bool
}

// armed is a timer as it was last armed.
type armed struct {
	run    uint64
	serial uint32
	due    time.Time
	fired  bool
}

type wish uint8

const (
	nothing wish = iota
	wantsDown
	wantsAgain // somebody does
	wantsFollow
)

// once are the answers that a run gives once; every other one of them is an echo.
var once = []EventKind{Spawned, SpawnFailed, Exited, Empty, CommandEnded}

// stale tells whether an event must change nothing, whatever the machine believes.
func (w *world) stale(s *taken) bool {
	e := s.event
	if e.Kind < Spawned {
		return false
	}
	p := w.processes[e.Run]
	switch {
	case e.Run != s.before.Run || p == nil:
		return true
	case e.Kind == Expired:
		t := w.timers[e.Timer]
		return t == nil || t.fired || t.serial != e.Serial || t.run != e.Run
	}
	return slices.Contains(once, e.Kind) && p.heard[e.Kind]
}

// over tells whether the step is the end of the current run, set and all.
func (w *world) over(s *taken) bool {
	return s.before.Alive() && !w.stale(s) && (s.event.Kind == SpawnFailed || s.event.Kind == Empty)
}

// accomplished tells whether the run did a oneshot's work, by itself, so that it has to be undone.
func (w *world) accomplished(s *taken) bool {
	p := w.processes[s.before.Run]
	return len(w.spec.Down) > 0 && !w.hurried && !p.undo && !p.asked && w.decision(s).Verdict == unit.VerdictDone
}

// decision is what the rules say about the run that is over.
func (w *world) decision(s *taken) Decision {
	p := w.processes[s.before.Run]
	return Decide(w.spec, End{
		Exit: p.exit, Cause: s.after.Cause, WasReady: p.ready, Run: p.run, Failures: w.failures + 1, Recent: len(w.within()) + 1,
	})
}

// within are the failures that give_up still counts.
func (w *world) within() []time.Time {
	return slices.DeleteFunc(slices.Clone(w.recent), func(t time.Time) bool { return w.now.Sub(t) > w.spec.GiveUp.Within })
}

// note takes a step down. What the laws ask about the time before it is in s.
func (w *world) note(s *taken) {
	switch s.event.Kind {
	case Freeze, Halt:
		w.halted = true
	case Hurry:
		w.hurried = true
	}
	if w.stale(s) {
		return
	}
	w.noteWish(s)
	w.noteClocks(s)
}

func (w *world) noteWish(s *taken) {
	switch s.before.State {
	case unit.Starting, unit.Up, unit.Done:
		switch {
		case s.event.Kind == Stop || s.event.Kind == Halt:
			w.wanted = wantsDown
		case s.event.Kind == Restart && !w.halted:
			w.wanted = wantsAgain
		case s.event.Kind == Follow && !w.halted:
			w.wanted = wantsFollow
		}
	case unit.Stopping:
		switch s.event.Kind {
		case Stop, Freeze, Halt:
			w.wanted = wantsDown
		case Start, Restart:
			if !w.halted {
				w.wanted = wantsAgain
			}
		}
	}
	if p := w.processes[s.before.Run]; s.before.State != unit.Stopping && s.after.State == unit.Stopping && p != nil {
		p.asked = w.wanted != nothing
	}
}

func (w *world) noteClocks(s *taken) {
	e, p := s.event, w.processes[s.after.Run]
	switch {
	case s.after.State != unit.Starting:
		w.startBy = time.Time{}
	case e.Kind == Spawned && w.spec.StartTimeout > 0:
		w.startBy = w.now.Add(w.spec.StartTimeout)
	case e.Kind == Extend && !w.startBy.IsZero() && w.now.Add(e.After).After(w.startBy):
		w.startBy = w.now.Add(e.After)
	}
	switch {
	case s.after.State == unit.Up && s.before.State != unit.Up:
		p.ready = true
		w.upSince, w.sign, w.stable = w.now, w.now, false
	case s.after.State == unit.Up && e.Kind == Ping:
		w.sign = w.now
	}
	begins := e.Kind == Ending && s.before.State != unit.Stopping || e.Kind == Spawned && p.undo
	for _, f := range s.effects {
		begins = begins || f.Kind == Terminate || f.Kind == Command || f.Kind == Sweep
	}
	if s.after.State == unit.Stopping && begins && w.killBy.IsZero() {
		least, most := w.spec.Stop.Grace, max(w.spec.Stop.Grace, w.spec.Stop.GraceMax)
		if p.undo && w.spec.StartTimeout > 0 {
			least = w.spec.StartTimeout
		}
		if p.undo {
			most = least
		}
		w.killFrom, w.killBy = w.now.Add(least), w.now.Add(most)
	}
}

// count keeps the failures, after the laws have seen what the step made of those before it.
func (w *world) count(s *taken) {
	e := s.event
	forget := func() { w.failures, w.recent = 0, nil }
	switch {
	case w.stale(s):
	case w.over(s) && w.accomplished(s) && w.wanted != nothing:
	case w.over(s) && (w.halted && !w.accomplished(s) || w.wanted == wantsDown || w.wanted == wantsAgain):
		forget()
	case w.over(s) && w.wanted == wantsFollow:
	case w.over(s):
		if w.decision(s).Verdict == unit.VerdictDone {
			forget()
			return
		}
		w.failures, w.recent = w.failures+1, append(w.within(), w.now)
	case e.Kind == Expired && e.Timer == StableTimer && s.before.State == unit.Up:
		w.failures, w.stable = 0, true
	case s.before.Alive() || s.before.State == unit.Disabled:
	case e.Kind == Stop, s.before.State != unit.Down && (e.Kind == Start || e.Kind == Restart):
		forget()
	}
}

// heard is what remains to be noted once the step's effects are carried out.
func (w *world) heard(s *taken) {
	e := s.event
	list := w.spec.Stop.Signals
	for _, f := range s.effects {
		switch f.Kind {
		case Command:
			w.signalBy = w.now.Add(w.spec.Stop.Grace / 2)
		case Terminate:
			w.signalBy = time.Time{}
			if w.signals++; w.signals < len(list) {
				w.signalBy = w.now.Add(list[w.signals].After - list[w.signals-1].After)
			}
		}
		if f.Kind == Spawn || f.Kind == Undo {
			w.killFrom, w.killBy, w.signals, w.signalBy = time.Time{}, time.Time{}, 0, time.Time{}
		}
		if f.Kind == Spawn {
			w.wanted = nothing
		}
	}
	if e.Kind < Spawned {
		return
	}
	if e.Kind == Expired {
		if t := w.timers[e.Timer]; t != nil && t.serial == e.Serial {
			t.fired = true
		}
		return
	}
	if p := w.processes[e.Run]; p != nil {
		p.heard[e.Kind] = true
	}
}
