package drive

import "time"

// This file is the only one of the package that reads the clock.

func now() time.Time { return time.Now() }

// tick has something every so often, until stop.
func tick(every time.Duration) (c <-chan time.Time, stop func()) {
	t := time.NewTicker(every)
	return t.C, t.Stop
}
