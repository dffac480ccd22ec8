package boot

import (
	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// meaning is what a signal to pintle asks for.
type meaning int

const (
	passOn meaning = iota // it is main's
	stopAll
	nothing
)

// means decides what a signal asks for. On a terminal SIGINT is the key that
// interrupts the main program; without one it is somebody who wants the end, as
// with docker run in the foreground.
func means(sig unit.Signal, terminal bool) meaning {
	switch unix.Signal(sig) {
	case unix.SIGTERM:
		return stopAll
	case unix.SIGINT:
		if !terminal {
			return stopAll
		}
	case unix.SIGPIPE: // a closed docker logs; received only so that a write fails instead of ending pintle
		return nothing
	}
	return passOn
}
