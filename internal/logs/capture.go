package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// capture is one stream of one run that is read.
type capture struct {
	journal *Journal
	run     uint64
	stream  string
	over    chan struct{} // made by who waits, and closed when the last line is in the journal; the book guards it

	// The rest is the reader's.
	fd    int
	alone bool   // it is not read until resume
	rest  []byte // what was read and not taken yet
	last  bool   // nothing is waited for any more
	split splitter
}

// Capture reads a pipe until its end, and closes it; every line belongs to the run. The stream is engine.Stdout or
// engine.Stderr. Several captures may add to a journal at a time: a process that outlives its run may hold the old pipe
// open. What can't be read, as when there are too many descriptors, is said in the journal.
func (j *Journal) Capture(run uint64, stream string, pipe *os.File) {
	c, err := j.capture(run, stream, pipe)
	pipe.Close() // for reading only: nothing is lost by an error
	if err == nil {
		j.begin(run)
		if err = j.book.read(c); err != nil {
			j.finish(&c.split, run, stream)
		}
	}
	if err != nil {
		j.Note(run, fmt.Sprintf("cannot read %s: %v", stream, err))
	}
}

// capture takes the pipe's descriptor out of Go's hands: an os.File would take more memory than all the rest.
func (j *Journal) capture(run uint64, stream string, pipe *os.File) (*capture, error) {
	c := &capture{journal: j, run: run, stream: stream}
	conn, err := pipe.SyscallConn()
	if err != nil {
		return nil, err
	}
	failed := conn.Control(func(fd uintptr) {
		if c.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			err = unix.SetNonblock(c.fd, true)
		}
	})
	if err = errors.Join(failed, err); err != nil {
		return nil, err
	}
	return c, nil
}

// Drained waits until all that a run has written is in the journal, or ctx ends: whoever holds its pipes open may write more.
func (j *Journal) Drained(ctx context.Context, run uint64) {
	j.book.mu.Lock()
	var open []chan struct{}
	for _, c := range j.captures {
		if c.run == run {
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

// errTired ends a capture whose pipe somebody holds open longer than is waited for; who is tired says so.
var errTired = errors.New("nobody waits for it any more")

// finish is called by the reader when it has read the last of it.
func (c *capture) finish(why error) {
	j := c.journal
	j.finish(&c.split, c.run, c.stream)
	if why != io.EOF && why != errTired {
		j.Note(c.run, fmt.Sprintf("cannot read %s: %v", c.stream, why))
	}
	j.book.remove(c) // only now: Close must not end before the last line is there
}
