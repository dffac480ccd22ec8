package boot

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// receive returns the signals that are main's or that begin the stop. From then
// on none of them has its default effect on pintle.
//
// Left out are those that are nobody's to pass on: SIGCHLD is the reaper's,
// SIGURG the Go scheduler's, and SIGTTIN and SIGTTOU tell a background process
// not to touch the terminal, which pintle doesn't.
func receive() chan os.Signal {
	c := make(chan os.Signal, 64) // many may come before the loop is there to take them
	for n := syscall.Signal(1); n <= 64; n++ {
		switch n {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGURG, unix.SIGTTIN, unix.SIGTTOU:
		default:
			signal.Notify(c, n)
		}
	}
	return c
}

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
