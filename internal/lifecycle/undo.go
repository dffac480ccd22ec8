package lifecycle

import (
	"time"

	"pintle/internal/unit"
)

// This file is a oneshot's command for the way down, which is a run of its own.

// undo runs a oneshot's command for the way down.
func undo(m *machine, e Event) {
	if !m.undoes() {
		goneDown(m, e)
		return
	}
	m.undo(goDown, e.reason(unit.Asked))
}

func undoAndStart(m *machine, e Event) {
	switch {
	case m.Halted:
	case m.undoes():
		m.undo(startAgain, e.reason(unit.Asked))
	default:
		beginAfresh(m, e)
	}
}

func undoForHalt(m *machine, e Event) {
	m.Halted = true
	if m.undoes() {
		m.undo(goDown, unit.ContainerStopping)
	}
}

// undoes tells whether there is a command for the way down, and time for it: in a hurry it would be killed at its birth.
func (m *machine) undoes() bool { return len(m.spec.Down) > 0 && !m.Hurried }

// accomplished tells whether the run was a oneshot's that did its work before anybody asked it to end, although its set
// is empty only now: what it did has to be undone like that of any other that is done.
func (m *machine) accomplished() bool {
	return m.undoes() && !m.Undoing && !m.Asked && m.decide(0).Verdict == unit.VerdictDone
}

func (m *machine) undo(then next, why unit.Reason) {
	m.newRun()
	m.Undoing = true
	m.ends(then, why)
	m.do(Undo)
}

// undoTime is how long a oneshot's command for the way down may take.
func (m *machine) undoTime() time.Duration {
	if m.spec.StartTimeout > 0 {
		return m.spec.StartTimeout
	}
	return m.spec.Stop.Grace
}
