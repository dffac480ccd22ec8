package logs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// consoleRetry is how long an outlet that could not be written to for want of space is left alone.
const consoleRetry = time.Second

// outlet is one place where the console is seen. Whole lines are queued, and one goroutine, which lives while there is
// something to write, writes all that is queued at a time.
type outlet struct {
	console  *console
	index    int // in share.tally
	w        io.Writer
	terminal bool      // what is shown there is made harmless
	coloured bool      // and may have colours
	spare    sync.Pool // of *[]byte, which are empty

	// console.mu guards what follows.
	queue   []byte   // whole lines; the first is the rest of one if torn
	sharers []*share // those that have a tally here, but none that is empty
	writing []byte   // what the writer has taken; not changed until it is back
	parts   []part   // what that is
	torn    bool     // what was written last ends in the middle of a line
	busy    bool     // the writer lives
	idle    chan struct{}
	problem error // why the last write failed
	dead    bool  // problem is for good
	retry   time.Time
}

// part is what the writer has taken of a unit. Behind the lines of all units stand those that say how many were dropped,
// in the same order.
type part struct {
	share *share
	tally tally
}

func newOutlet(c *console, index int, w io.Writer, colour bool) *outlet {
	o := &outlet{console: c, index: index, w: w, terminal: isTerminal(w)}
	o.coloured = o.terminal && colour
	if f, ok := w.(*os.File); ok {
		o.w = fileWriter{f}
	}
	return o
}

// queueLine queues a line of the unit s if the share of who pays for it has room, or the unit waits. The caller holds
// console.mu.
func (o *outlet) queueLine(payer, s *share, format unit.ConsoleFormat, l *consoleLine) {
	room := consoleMost - o.console.used - payer.held[o.index]
	t := &payer.tally[o.index]
	// Where lines were dropped, the next to be shown is the one that says so.
	if t.dropped > 0 || len(l.text) > room && !payer.waits() {
		o.drop(payer)
		return
	}
	if o.queue == nil {
		if b, ok := o.spare.Get().(*[]byte); ok {
			o.queue = *b
		}
	}
	before := len(o.queue)
	o.queue = o.console.appendLine(o.queue, o, s, format, l)
	size := len(o.queue) - before
	if size > room && !payer.waits() {
		o.queue = o.queue[:before]
		o.drop(payer)
		return
	}
	o.know(payer)
	t.queued += size
	payer.held[o.index] += size
	o.console.used += size
}

// drop counts a line that is not shown. The caller holds console.mu.
func (o *outlet) drop(s *share) {
	o.know(s)
	s.tally[o.index].dropped++
}

// know puts a unit among those that have a tally here, before it has one. The caller holds console.mu.
func (o *outlet) know(s *share) {
	if s.tally[o.index] == (tally{}) {
		o.sharers = append(o.sharers, s)
	}
}

// start lets the writer live. The caller holds console.mu, and has seen that it does not.
func (o *outlet) start() {
	o.busy = true
	o.idle = make(chan struct{})
	go o.write()
}

// write writes what is queued until nothing is, or it cannot be written.
func (o *outlet) write() {
	c := o.console
	for {
		c.mu.Lock()
		o.take()
		if len(o.writing) == 0 {
			o.stop()
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()

		n, err := o.w.Write(o.writing)

		c.mu.Lock()
		o.problem = err
		if err != nil {
			o.fail(n)
		} else {
			o.torn = false
		}
		o.putAway()
		ready := c.resume()
		if err != nil {
			o.stop()
		}
		c.mu.Unlock()
		for _, tell := range ready {
			tell()
		}
		if err != nil {
			return
		}
	}
}

// take gives the writer all that there is to write. The caller holds console.mu.
func (o *outlet) take() {
	o.parts = o.parts[:0]
	for _, s := range o.sharers {
		t := &s.tally[o.index]
		if t.dropped > 0 {
			o.queue = o.console.appendGap(o.queue, o, s, t.dropped)
		}
		o.parts = append(o.parts, part{s, *t})
		*t = tally{}
	}
	clear(o.sharers)
	o.sharers = o.sharers[:0]
	o.writing, o.queue = o.queue, nil
}

// putAway gives back the room that the writer's lines took. The caller holds console.mu.
func (o *outlet) putAway() {
	for _, p := range o.parts {
		o.free(p.share, p.tally)
	}
	clear(o.parts)
	if b := o.writing[:0]; cap(b) <= consoleMost {
		o.spare.Put(&b)
	}
	o.writing = nil
}

func (o *outlet) free(s *share, t tally) {
	s.held[o.index] -= t.queued
	o.console.used -= t.queued
}

// stop ends the writer. What is queued then stays for the next one. The caller holds console.mu.
func (o *outlet) stop() {
	o.busy, o.writing, o.parts = false, nil, nil
	if len(o.sharers) == 0 {
		o.sharers = nil
	}
	close(o.idle)
}

// fail counts what could not be written: all behind the first n bytes of what the writer has, and all that has been
// queued since. It is not told any more whose it was. The rest of a torn line is kept, so that it is whole in the end. The
// caller holds console.mu.
func (o *outlet) fail(n int) {
	unwritten := o.writing[n:]
	if n > 0 {
		o.torn = o.writing[n-1] != '\n'
	}
	lost := lines(o.queue)
	for _, s := range o.sharers {
		t := &s.tally[o.index]
		lost += t.dropped
		o.free(s, *t)
		*t = tally{}
	}
	o.sharers, o.queue = nil, nil
	if !temporary(o.problem) {
		o.dead = true
		return
	}
	if o.torn {
		end := bytes.IndexByte(unwritten, '\n') + 1
		o.queue, unwritten = bytes.Clone(unwritten[:end]), unwritten[end:]
	}
	rest := lines(unwritten)
	for i := len(o.parts) - 1; i >= 0 && rest > 0; i-- {
		if dropped := o.parts[i].tally.dropped; dropped > 0 { // the line that says so is none of a unit's
			lost += dropped
			rest--
		}
	}
	if lost += rest; lost > 0 {
		own := &o.console.own
		o.know(own)
		own.tally[o.index].dropped += lost
	}
	o.retry = o.console.now().Add(consoleRetry)
}

// flush waits until all is written, or cannot be, or ctx ends; it returns how many lines were not.
func (o *outlet) flush(ctx context.Context) int {
	mu := &o.console.mu
	mu.Lock()
	if !o.busy && len(o.queue)+len(o.sharers) > 0 {
		o.start()
	}
	busy, idle := o.busy, o.idle
	mu.Unlock()
	if busy {
		select {
		case <-idle:
		case <-ctx.Done():
		}
	}
	mu.Lock()
	defer mu.Unlock()
	left := lines(o.writing) + lines(o.queue)
	for _, s := range o.sharers {
		left += s.tally[o.index].dropped
	}
	return left
}

func lines(b []byte) int { return bytes.Count(b, []byte{'\n'}) }

// temporary tells whether a write that failed so may succeed later: the console is a file, and its disk is full.
func temporary(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EAGAIN)
}

// fileWriter writes to a file, past os.File.Write: that ends the whole process on EPIPE at descriptor 1 or 2 (os/signal,
// "SIGPIPE"), and reports EAGAIN where another process has made the description that it shares with us non-blocking.
type fileWriter struct{ f *os.File }

func (w fileWriter) Write(p []byte) (n int, err error) {
	conn, err := w.f.SyscallConn()
	if err != nil {
		return 0, err
	}
	failed := conn.Write(func(fd uintptr) bool {
		for n < len(p) && err == nil {
			var m int
			m, err = unix.Write(int(fd), p[n:])
			switch {
			case err == nil:
				n += m
			case err == unix.EINTR:
				err = nil
			case err == unix.EAGAIN:
				err = awaitWritable(fd)
			}
		}
		return true
	})
	if failed != nil {
		return n, failed
	}
	if err != nil {
		return n, os.NewSyscallError("write", err)
	}
	return n, nil
}

// awaitWritable blocks until a write may get on. An error of the descriptor's is left for the write to find.
func awaitWritable(fd uintptr) error {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
