package main

import (
	"fmt"
	"net"
	"os"
	"time"
)

// A witness proves of a gateway when it ran, and that it was alone: it holds an address that the kernel gives to one
// process at a time, and writes to a file that the gateways of several containers may share. Each line is one write:
//
//	MILLISECONDS FENCE HOST PID WORD
//
// The word is begin, beat (every beatEvery of its life), end after a polite one, or refused where somebody else has the
// address. So in the file's order lines of two gateways that never ran at once do not mix.
type witness struct {
	address string // of a unix socket; "" for none
	journal string // the file; "" for none

	holding net.Listener
	file    *os.File
	stop    chan struct{}
	stopped chan struct{}
}

const beatEvery = 100 * time.Millisecond

// begin is called before the gateway does anything else. Without keys it does nothing.
func (w *witness) begin() (err error) {
	if w.journal != "" {
		if w.file, err = os.OpenFile(w.journal, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644); err != nil {
			return fmt.Errorf("cannot open the journal: %w", err)
		}
	}
	if w.address != "" {
		if w.holding, err = net.Listen("unix", w.address); err != nil {
			w.write("refused")
			return fmt.Errorf("cannot hold the address %s: %w", w.address, err)
		}
	}
	w.write("begin")
	w.stop, w.stopped = make(chan struct{}), make(chan struct{})
	go w.beat()
	return nil
}

func (w *witness) beat() {
	defer close(w.stopped)
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.write("beat")
		case <-w.stop:
			return
		}
	}
}

// end is called last of all, and only where begin has succeeded.
func (w *witness) end() {
	close(w.stop)
	<-w.stopped
	w.write("end")
	if w.holding != nil {
		w.holding.Close()
	}
}

// write adds a line. A journal that cannot be written has lines missing, which is for its reader to see.
func (w *witness) write(word string) {
	if w.file == nil {
		return
	}
	host, _ := os.Hostname()
	fence := os.Getenv("PINTLE_FENCE")
	if fence == "" {
		fence = "0"
	}
	fmt.Fprintf(w.file, "%d %s %s %d %s\n", time.Now().UnixMilli(), fence, host, os.Getpid(), word)
}
