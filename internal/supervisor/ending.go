package supervisor

import (
	"fmt"

	"pintle/internal/unit"
)

// This file decides when the container has come to its end by itself:
//
//   - main has ended: with its code;
//   - main cannot start, or a required oneshot has failed: with 125;
//   - a unit whose failure stops the container has failed: with its code;
//   - there is neither main nor a template, and every unit is done, has failed or
//     is disabled: with 0, or the code of the unit that failed first. What
//     somebody has stopped keeps the container, and so does a template, since an
//     instance may come.

// Verdict is how the container ends.
type Verdict struct {
	Code int
	// Message is what there is to be said about it; empty where main's own end says all.
	Message string
	// Unit is the unit because of which it ends, where it is not main's own end; its last lines may say more.
	Unit unit.Name
}

// exitFailed is the code for pintle's own failure, and exitOrdinary that of a failure without a code of its own.
const (
	exitFailed   = 125
	exitOrdinary = 1
)

// Over is closed when the container has come to its end by itself. After that Verdict tells how.
func (s *Supervisor) Over() <-chan struct{} { return s.over }

// Verdict is how the container ends. It may be called once Over is closed.
func (s *Supervisor) Verdict() Verdict { return s.verdict }

// conclude ends the container, once.
func (s *Supervisor) conclude(v Verdict) {
	select {
	case <-s.over:
	default:
		s.verdict = v
		close(s.over)
	}
}

// concludeFailure is what it means for the container that a unit is given up.
func (s *Supervisor) concludeFailure(u *record) {
	code := exitOrdinary
	if u.last != nil && u.last.Exit.ShellCode() != 0 {
		code = u.last.Exit.ShellCode()
	}
	if s.firstFailure == 0 {
		s.firstFailure = code
	}
	name := u.spec.Name
	switch {
	case u.spec.Kind == unit.Main: // it has not even begun
		s.conclude(Verdict{exitFailed, "cannot start the main program: " + s.because(u), ""})
	case u.spec.Kind == unit.Oneshot && u.spec.Required:
		s.conclude(Verdict{exitFailed, fmt.Sprintf("cannot go on without %s, which is required: %s", name, s.because(u)), name})
	case u.spec.OnFailure == unit.FailureStopContainer:
		if u.life.Run == 0 {
			code = exitFailed
		}
		s.conclude(Verdict{code, fmt.Sprintf("%s has failed, and the container ends with it: %s", name, s.because(u)), name})
	}
}

// concludeIdle ends a container without main once all has been done.
func (s *Supervisor) concludeIdle() {
	if s.o.Main != nil || s.o.Kept || !s.booted || s.stopping || s.rounds > 0 || s.active > 0 || len(s.templates) > 0 {
		return
	}
	for _, u := range s.units {
		if u.life.State == unit.Down {
			return
		}
	}
	s.conclude(Verdict{Code: s.firstFailure})
}
