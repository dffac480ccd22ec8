// Package signals has the signals that pintle is sent be heard from as early on as can be. It needs next to nothing, so that
// package early can begin with it beside the initialisation of all the rest.
package signals

import (
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
)

// The last of the signals that have a name, and the last of all; those between are the real-time ones (signal(7)).
const (
	lastStandard = 31
	last         = 64
)

// Receive returns the signals that are main's or that begin the stop. Once registered is closed, none of them has its
// default effect on pintle; the first call begins with that, and it takes its time, since Go goes to another thread and
// back for each of them.
//
// Left out are those that are nobody's to pass on: SIGCHLD is the reaper's,
// SIGURG the Go scheduler's, and SIGTTIN and SIGTTOU tell a background process
// not to touch the terminal, which pintle doesn't.
func Receive() (c chan os.Signal, registered <-chan struct{}) { return receive() }

var receive = sync.OnceValues(func() (chan os.Signal, <-chan struct{}) {
	c := make(chan os.Signal, 64) // many may come before the loop is there to take them
	registered := make(chan struct{})
	go func() {
		defer close(registered)
		for n := syscall.Signal(1); n <= lastStandard; n++ {
			switch n {
			case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGURG, syscall.SIGTTIN, syscall.SIGTTOU:
			default:
				signal.Notify(c, n)
				runtime.Gosched() // the reaper is to be told of SIGCHLD, too
			}
		}
	}()
	return c, registered
})

// ReceiveRealTime has the real-time signals come too. They mean something to main alone, so that is started first; until
// then, and without main, Go's runtime drops them.
func ReceiveRealTime() {
	c, _ := receive()
	for n := syscall.Signal(lastStandard + 1); n <= last; n++ {
		signal.Notify(c, n)
	}
}
