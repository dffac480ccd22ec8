package signals

import (
	"syscall"
	"testing"
	"time"
)

// TestAllAreReceived: each signal that a process can take arrives once it is registered, whatever it would have done to a
// process that does not ask for it; real-time ones do when they are asked for. Nobody but the first who asks registers any.
func TestAllAreReceived(t *testing.T) {
	c, registered := Receive()
	again, _ := Receive()
	if c != again {
		t.Error("who asks again gets another channel")
	}
	<-registered
	ReceiveRealTime()
	for n := syscall.Signal(1); n <= last; n++ {
		switch n {
		case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGURG, syscall.SIGTTIN, syscall.SIGTTOU:
			continue
		case syscall.SIGPROF, 32, 33, 34: // which Go keeps for its profiler, and leaves to C libraries
			continue
		}
		if err := syscall.Kill(syscall.Getpid(), n); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-c:
			if got != n {
				t.Errorf("%v has arrived in place of %v", got, n)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%v has not arrived", n)
		}
	}
}
