package serve

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// Who owns a scan directory may put there what he likes, and write to FIFOs as fast as he can. This file keeps that from
// taking pintle's memory, its descriptors or the container's console.

const (
	// mostServices is how many services, each with its logger, a tree has. (s6-svscan has 500 of either, or 1000.)
	mostServices = 1000
	// descriptors is how many of pintle's a service with a logger may take, and spare how many are left for all else.
	descriptors, spare = 18, 1024
	// mostWarnings is how many of a scan are said.
	mostWarnings = 16
)

// most is how many services a tree has where pintle may have so many descriptors.
func most(limit uint64) int {
	left := limit - min(spare, limit/2)
	return int(min(mostServices, left/descriptors))
}

// descriptorLimit is how many descriptors pintle may have.
func descriptorLimit() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return spare
	}
	return limit.Cur
}

// doAndWait has the loop do something, and waits for that: who listens at a FIFO takes no more from it until then.
func (t *Tree) doAndWait(what func()) {
	done := make(chan struct{})
	t.do(func() {
		defer close(done)
		what()
	})
	select {
	case <-done:
	case <-t.done:
	}
}

// warnings are what the latest scan has found wrong. What the one before has found, too, is not said again.
type warnings struct {
	said, before map[string]bool
	more         int
}

func (w *warnings) begin() { w.said, w.before, w.more = map[string]bool{}, w.said, 0 }

// warn says what is wrong with the scan directory. Names in it may be anything, and command no terminal.
func (t *Tree) warn(text string) {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, text)
	w := &t.wrong
	switch {
	case w.said[text]:
	case len(w.said) >= mostWarnings:
		w.more++
	default:
		if w.said == nil {
			w.begin()
		}
		if w.said[text] = true; !w.before[text] {
			t.o.Log.Warn(text)
		}
	}
}

// warned ends the warnings of a scan.
func (t *Tree) warned() {
	if t.wrong.more == 0 {
		return
	}
	text := fmt.Sprintf("%s: more is wrong with it, which is not said", t.o.Directory)
	if t.wrong.said[text] = true; !t.wrong.before[text] {
		t.o.Log.Warn(text)
	}
}
