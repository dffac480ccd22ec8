package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
)

// consoleQueue bounds the bytes that wait for the console; as many again may be in the hands of the writer.
const consoleQueue = 512 << 10

// consoleRetry is how long a console that could not be written to for want of space is left alone.
const consoleRetry = time.Second

// console shows lines as "NAME | text" on a writer that may block. Whole lines are queued, and one goroutine, which
// lives while there is something to write, writes all that is queued at a time. When the queue is full, lines are
// dropped and counted until the writer has taken it; a line at that place says how many were dropped.
type console struct {
	w   io.Writer
	now func() time.Time

	mu      sync.Mutex
	queue   []byte // whole lines; the first is the rest of one if torn
	writing []byte // what the writer has taken; not changed until it is back
	dropped int    // lines that were dropped behind the last one in queue
	torn    bool   // what was written last ends in the middle of a line
	busy    bool   // the writer lives
	idle    chan struct{}
	problem error // why the last write failed
	dead    bool  // problem is for good
	retry   time.Time
}

func newConsole(w io.Writer, now func() time.Time) *console {
	if f, ok := w.(*os.File); ok {
		w = fileWriter{f}
	}
	return &console{w: w, now: now}
}

// add queues one line, or drops it. It never waits for the writer.
func (c *console) add(who string, text []byte) {
	const between = " | "
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return
	}
	if c.dropped > 0 || len(c.queue)+len(who)+len(between)+len(text)+1 > consoleQueue {
		c.dropped++
	} else {
		c.queue = append(c.queue, who...)
		c.queue = append(c.queue, between...)
		c.queue = append(c.queue, text...)
		c.queue = append(c.queue, '\n')
	}
	if !c.busy && (c.problem == nil || !c.now().Before(c.retry)) {
		c.start()
	}
}

// start lets the writer live. The caller holds c.mu, and has seen that it does not.
func (c *console) start() {
	c.busy = true
	c.idle = make(chan struct{})
	go c.write()
}

// write writes what is queued until nothing is, or it cannot be written.
func (c *console) write() {
	var spare []byte
	for {
		c.mu.Lock()
		if c.dropped > 0 {
			c.queue = append(c.queue, droppedLine(c.dropped)...)
		}
		batch, dropped := c.queue, c.dropped
		c.queue, c.writing, c.dropped = spare[:0], batch, 0
		if len(batch) == 0 {
			c.stop()
			return
		}
		c.mu.Unlock()

		n, err := c.w.Write(batch)

		c.mu.Lock()
		c.problem = err
		if err != nil {
			if n > 0 {
				c.torn = batch[n-1] != '\n'
			}
			c.fail(batch[n:], dropped)
			c.stop()
			return
		}
		c.torn = false
		c.mu.Unlock()
		spare = batch
	}
}

// stop ends the writer, and unlocks c.mu. What is queued then stays for the next one.
func (c *console) stop() {
	c.writing = nil
	if len(c.queue) == 0 {
		c.queue = nil
	}
	c.busy = false
	close(c.idle)
	c.mu.Unlock()
}

// fail counts what could not be written: unwritten, which begins in the middle of a line if c.torn and ends with the
// message about dropped lines if there were any, and all that has been queued since. The rest of a torn line is kept,
// so that it is whole in the end. The caller holds c.mu.
func (c *console) fail(unwritten []byte, dropped int) {
	if !temporary(c.problem) {
		c.dead, c.queue, c.dropped = true, nil, 0
		return
	}
	var kept []byte
	if c.torn {
		end := bytes.IndexByte(unwritten, '\n') + 1
		kept, unwritten = bytes.Clone(unwritten[:end]), unwritten[end:]
	}
	lost := lines(unwritten)
	if lost > 0 && dropped > 0 {
		lost += dropped - 1 // the message is no line of a unit's
	}
	c.dropped += lost + lines(c.queue)
	c.queue = kept
	c.retry = c.now().Add(consoleRetry)
}

// flush waits until all is written, or cannot be, or ctx ends; it returns how many lines were not.
func (c *console) flush(ctx context.Context) int {
	c.mu.Lock()
	if !c.busy && len(c.queue)+c.dropped > 0 {
		c.start()
	}
	busy, idle := c.busy, c.idle
	c.mu.Unlock()
	if busy {
		select {
		case <-idle:
		case <-ctx.Done():
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return lines(c.writing) + lines(c.queue) + c.dropped
}

// conditions says what is wrong with the console.
func (c *console) conditions() []engine.Condition {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.problem == nil:
		return nil
	case c.dead:
		return []engine.Condition{engine.Conditionf(engine.ConsoleClosed, "the console is closed, and shows no output any more: %v", c.problem)}
	}
	return []engine.Condition{engine.Conditionf(engine.ConsoleLossy, "the console cannot be written to, and misses lines: %v", c.problem)}
}

func lines(b []byte) int { return bytes.Count(b, []byte{'\n'}) }

func droppedLine(n int) string {
	if n == 1 {
		return Own + " | 1 line was not shown here: the console did not keep up\n"
	}
	return fmt.Sprintf("%s | %d lines were not shown here: the console did not keep up\n", Own, n)
}

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
