package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// buffer is what one read fills. Half of what a pipe holds by default (pipe(7): 64 KiB) gives followers a turn before
// a flood has gone once around the ring.
type buffer [32 << 10]byte

// capture reads one stream of one run.
type capture struct {
	journal *Journal
	run     uint64
	stream  string
	r       io.ReadCloser
	split   splitter
	buf     *buffer       // borrowed while there is something to read
	n       int           // bytes of it that the last read filled
	end     error         // why reading ended; io.EOF at the stream's end
	over    chan struct{} // made by who waits, and closed when the last line is in the journal; the book guards it
}

// Capture reads r until its end, in a goroutine of its own, and closes it; every line belongs to the run. The stream is
// engine.Stdout or engine.Stderr. Several captures may add to a journal at a time: a process that outlives its run may
// hold the old pipe open.
//
// An *os.File should be in non-blocking mode when it is made (os.Pipe does that): then it takes a buffer only while
// there is something to read, and Book.Close can end it. For another reader the same holds as far as its Close ends a
// Read that waits.
func (j *Journal) Capture(run uint64, stream string, r io.ReadCloser) {
	c := &capture{journal: j, run: run, stream: stream, r: r}
	if !j.book.add(c) {
		r.Close() // for reading only: nothing is lost by an error
		return
	}
	go c.drain()
}

// Drained waits until all that a run has written is in the journal, or ctx ends: whoever holds its pipes open may write more.
func (j *Journal) Drained(ctx context.Context, run uint64) {
	j.book.mu.Lock()
	var open []chan struct{}
	for c := range j.book.captures {
		if c.journal == j && c.run == run {
			if c.over == nil {
				c.over = make(chan struct{})
			}
			open = append(open, c.over)
		}
	}
	j.book.mu.Unlock()
	for _, over := range open {
		select {
		case <-over:
		case <-ctx.Done():
			return
		}
	}
}

// String names the capture in a sentence.
func (c *capture) String() string {
	return fmt.Sprintf("%s of %s (run %d)", c.stream, c.journal.name, c.run)
}

// drain reads until the end.
func (c *capture) drain() {
	if f, ok := c.r.(*os.File); ok {
		c.drainFile(f)
	} else {
		c.drainAny()
	}
	c.journal.finish(&c.split, c.run, c.stream)
	c.journal.flush()
	b := c.journal.book
	b.mu.Lock()
	_, wanted := b.captures[c] // otherwise Close was tired of waiting, and says so itself
	b.mu.Unlock()
	if wanted && !errors.Is(c.end, io.EOF) {
		c.journal.Note(c.run, fmt.Sprintf("cannot read %s: %v", c.stream, c.end))
	}
	b.mu.Lock() // only now: Close must not end before the last line is there
	open := b.remove(c)
	if c.over != nil {
		close(c.over)
		c.over = nil
	}
	b.mu.Unlock()
	if open {
		c.r.Close() // for reading only: nothing is lost by an error
	}
}

// drainAny reads any reader, with one buffer.
func (c *capture) drainAny() {
	c.buf = c.journal.book.buffers.Get().(*buffer)
	for c.end == nil {
		var n int
		n, c.end = c.r.Read(c.buf[:])
		c.journal.take(&c.split, c.run, c.stream, c.buf[:n])
		c.journal.flush()
	}
	c.giveBack()
}

// drainFile reads a file, and waits without a buffer. What was read is taken outside the runtime's call, which is deep
// already: that keeps the stacks of most idle captures at their first size. And since each read is a call of its own,
// a Close comes between two of them also in a flood.
func (c *capture) drainFile(f *os.File) {
	conn, err := f.SyscallConn()
	if err != nil {
		c.end = err
		return
	}
	read := c.readOnce
	for c.end == nil {
		if err := conn.Read(read); err != nil {
			c.end = err
			return
		}
		c.journal.take(&c.split, c.run, c.stream, c.buf[:c.n])
		c.giveBack()
		c.journal.flush()
	}
}

// readOnce reads into a borrowed buffer. It returns false when there is nothing to read: the runtime then waits, and
// calls again.
func (c *capture) readOnce(fd uintptr) bool {
	c.buf = c.journal.book.buffers.Get().(*buffer)
	n, err := unix.Read(int(fd), c.buf[:])
	for err == unix.EINTR {
		n, err = unix.Read(int(fd), c.buf[:])
	}
	c.n = max(n, 0)
	switch {
	case err == unix.EAGAIN:
		c.giveBack()
		c.split.rest()
		return false
	case err != nil:
		c.end = err
	case n == 0:
		c.end = io.EOF
	}
	return true
}

// giveBack returns the borrowed buffer.
func (c *capture) giveBack() {
	c.journal.book.buffers.Put(c.buf)
	c.buf = nil
}
