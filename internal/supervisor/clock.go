package supervisor

import "time"

// This file is the only one of the package that knows the time; under testing/synctest it is virtual.

var zeroTime time.Time

// now is the time of an event.
func now() time.Time { return time.Now() }

// later has an event happen when d is over.
func (s *Supervisor) later(d time.Duration, e event) *time.Timer {
	return time.AfterFunc(d, func() { s.do(e) })
}
