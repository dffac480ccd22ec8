package supervisor

import (
	"time"

	"pintle/internal/lifecycle"
)

// This file is the only one of the package that knows the time; under testing/synctest it is virtual.

// now is the time of an event.
func now() time.Time { return time.Now() }

// after lets an event happen to a unit when d is over.
func (s *Supervisor) after(d time.Duration, u *record, e lifecycle.Event) *time.Timer {
	return time.AfterFunc(d, func() { s.happened(u, e) })
}

// pause waits, unless done is closed first; it tells whether it waited to the end.
func pause(d time.Duration, done <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-done:
		return false
	}
}
