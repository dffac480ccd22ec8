package boot

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// lastStandard is the last signal that has a name; those behind it are the real-time ones (signal(7)).
const lastStandard = 31

// receive returns the signals that are main's or that begin the stop. Once registered is closed, none of them has its
// default effect on pintle; until then all can be done that comes before main, since to tell Go of each takes its time.
//
// Left out are those that are nobody's to pass on: SIGCHLD is the reaper's,
// SIGURG the Go scheduler's, and SIGTTIN and SIGTTOU tell a background process
// not to touch the terminal, which pintle doesn't.
func receive() (c chan os.Signal, registered <-chan struct{}) {
	c = make(chan os.Signal, 64) // many may come before the loop is there to take them
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := syscall.Signal(1); n <= lastStandard; n++ {
			switch n {
			case unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGURG, unix.SIGTTIN, unix.SIGTTOU:
			default:
				signal.Notify(c, n)
				runtime.Gosched() // the reaper is to be told of SIGCHLD, too
			}
		}
	}()
	return c, done
}

// receiveRealTime has the real-time signals come too. They mean something to main alone, so that is started first; until
// then, and without main, Go's runtime drops them.
func receiveRealTime(c chan os.Signal) {
	for n := syscall.Signal(lastStandard + 1); n <= 64; n++ {
		signal.Notify(c, n)
	}
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
