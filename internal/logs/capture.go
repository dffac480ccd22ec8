package logs

import (
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
	end     error // why reading ended; io.EOF at the stream's end
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

// String names the capture in a sentence.
func (c *capture) String() string {
	return fmt.Sprintf("%s of %s (run %d)", c.stream, c.journal.name, c.run)
}

// drain reads until the end.
func (c *capture) drain() {
	if f, ok := c.r.(*os.File); ok {
		c.drainFile(f)
	} else {
		for c.end == nil {
			c.read(c.r.Read)
		}
	}
	c.journal.finish(&c.split, c.run, c.stream)
	if !errors.Is(c.end, io.EOF) && !errors.Is(c.end, os.ErrClosed) {
		c.journal.Note(c.run, fmt.Sprintf("cannot read %s: %v", c.stream, c.end))
	}
	b := c.journal.book
	b.mu.Lock()
	open := b.remove(c)
	b.mu.Unlock()
	if open {
		c.r.Close() // for reading only: nothing is lost by an error
	}
}

// drainFile reads a file, and waits without a buffer. Each read is a call of its own, so that a Close comes between
// two of them also in a flood.
func (c *capture) drainFile(f *os.File) {
	conn, err := f.SyscallConn()
	if err != nil {
		c.end = err
		return
	}
	ready := c.readDescriptor
	for c.end == nil {
		if err := conn.Read(ready); err != nil && c.end == nil {
			c.end = err
		}
	}
}

// readDescriptor reads once. It returns false when there is nothing to read: the runtime then waits, and calls again.
func (c *capture) readDescriptor(fd uintptr) bool {
	c.read(func(p []byte) (int, error) {
		for {
			n, err := unix.Read(int(fd), p)
			switch {
			case err == unix.EINTR:
			case err != nil:
				return 0, err
			case n == 0:
				return 0, io.EOF
			default:
				return n, nil
			}
		}
	})
	if c.end == unix.EAGAIN {
		c.end = nil
		c.split.rest()
		return false
	}
	return true
}

// read reads once into a borrowed buffer, and adds what came to the journal.
func (c *capture) read(from func([]byte) (int, error)) {
	pool := &c.journal.book.buffers
	buf := pool.Get().(*buffer)
	n, err := from(buf[:])
	if n > 0 {
		c.journal.take(&c.split, c.run, c.stream, buf[:n])
	}
	pool.Put(buf)
	c.end = err
}
