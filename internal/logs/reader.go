package logs

import (
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// reader reads all pipes of a book in one goroutine, with one buffer. A pipe costs it a descriptor and an entry in an
// epoll set, and that set waits in Go's own poller, so that an idle reader holds no thread either.
//
// It never waits for anything but pipes: where a unit must wait, its pipes are left alone until it need not.
type reader struct {
	set  *os.File      // the epoll set
	fd   int           // its descriptor
	bell int           // an eventfd in it, which says that there is something to do
	gone chan struct{} // closed when the goroutine has ended

	mu   sync.Mutex
	todo []func() // for the goroutine, which alone changes the set and the captures in it

	// The rest is the goroutine's.
	captures map[int32]*capture
	events   [64]unix.EpollEvent
	ready    int // how many of events there are
	stopped  bool
	buf      [64 << 10]byte // what a pipe holds by default (pipe(7))
}

// newReader makes a reader and lets its goroutine run until stop.
func newReader() (*reader, error) {
	set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("eventfd", err), unix.Close(set))
	}
	err = unix.EpollCtl(set, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(bell)})
	if err == nil {
		err = unix.SetNonblock(set, true) // that is what tells os.NewFile to wait in Go's poller
	}
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("epoll_ctl", err), unix.Close(bell), unix.Close(set))
	}
	r := &reader{set: os.NewFile(uintptr(set), "epoll"), fd: set, bell: bell, gone: make(chan struct{}), captures: map[int32]*capture{}}
	go r.run()
	return r, nil
}

// do has the goroutine do something soon. After stop nothing is done any more.
func (r *reader) do(something func()) {
	r.mu.Lock()
	r.todo = append(r.todo, something)
	first := len(r.todo) == 1
	if first {
		_, _ = unix.Write(r.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // it can't be full
	}
	r.mu.Unlock()
}

// stop ends the goroutine, and waits for that. The captures have ended before.
func (r *reader) stop() {
	r.do(func() { r.stopped = true })
	<-r.gone
}

func (r *reader) run() {
	defer close(r.gone)
	conn, err := r.set.SyscallConn()
	for err == nil && !r.stopped {
		// What is ready is handled outside the call, whose stack is deep already.
		if err = conn.Read(r.look); err == nil {
			r.turn()
		}
	}
	r.mu.Lock()
	r.todo = make([]func(), 1) // so that the bell, which is closed, is not rung any more
	r.mu.Unlock()
	_ = r.set.Close() // there is nothing to lose
	_ = unix.Close(r.bell)
}

// look finds out what is ready; where nothing is, it returns false, and is called again when something may be.
func (r *reader) look(set uintptr) bool {
	n, err := unix.EpollWait(int(set), r.events[:], 0)
	r.ready = max(n, 0)
	return n > 0 || err != nil
}

// turn handles what is ready: of each pipe one buffer at most, so that none of them keeps the others waiting.
func (r *reader) turn() {
	work := false
	for _, e := range r.events[:r.ready] {
		if int(e.Fd) == r.bell {
			work = true
		} else if c := r.captures[e.Fd]; c != nil && !c.alone {
			r.read(c)
		}
	}
	if !work {
		return
	}
	var count [8]byte
	_, _ = unix.Read(r.bell, count[:]) // rings no more until the next one
	r.mu.Lock()
	todo := r.todo
	r.todo = nil
	r.mu.Unlock()
	for _, do := range todo {
		do()
	}
}

// read reads what a pipe has.
func (r *reader) read(c *capture) {
	n, err := unix.Read(c.fd, r.buf[:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
	case err != nil:
		r.finish(c, err)
	case n == 0:
		r.finish(c, io.EOF)
	default:
		r.give(c, r.buf[:n])
	}
}

// give gives bytes to the capture's journal, and tells whether the unit must wait: its pipe is then left alone until resume.
func (r *reader) give(c *capture, chunk []byte) (wait bool) {
	for {
		chunk, wait = c.journal.take(&c.split, c.run, c.stream, chunk)
		c.split.rest()
		switch {
		case !wait:
			c.rest = nil
			return false
		case !c.last && c.journal.pause(c):
			c.rest = append([]byte(nil), chunk...) // nil where there is nothing
			if !c.alone {
				_ = r.await(c, true) // it is in the set
			}
			return true
		}
	}
}

// add begins to read a pipe.
func (r *reader) add(c *capture) {
	r.captures[int32(c.fd)] = c
	err := unix.EpollCtl(r.fd, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.fd)})
	if err != nil {
		r.finish(c, os.NewSyscallError("epoll_ctl", err))
	}
}

// await has the set tell of a pipe: that there is something to read, or, while it is left alone, at most once that it has
// come to its end, which is always told. The pipe stays in the set, since there may be no room for it later (epoll(7),
// max_user_watches).
func (r *reader) await(c *capture, alone bool) error {
	c.alone = alone
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.fd)}
	if alone {
		e.Events = unix.EPOLLONESHOT
	}
	return unix.EpollCtl(r.fd, unix.EPOLL_CTL_MOD, c.fd, &e)
}

// resume goes on with a pipe that was left alone.
func (r *reader) resume(c *capture) {
	switch {
	case r.captures[int32(c.fd)] != c: // it has ended meanwhile
	case c.rest != nil && r.give(c, c.rest):
	default:
		_ = r.await(c, false) // it is in the set
	}
}

// giveUp ends all captures, with what their pipes hold: as much as one can, and no more where somebody goes on writing.
func (r *reader) giveUp() {
	const mostPipe = 1 << 20 // pipe(7), pipe-max-size
	for _, c := range r.captures {
		if c.last = true; c.rest != nil {
			r.give(c, c.rest)
		}
		for range mostPipe / len(r.buf) {
			n, err := unix.Read(c.fd, r.buf[:])
			if n <= 0 || err != nil {
				break
			}
			r.give(c, r.buf[:n])
		}
		r.finish(c, errTired)
	}
}

// finish ends a capture; why is io.EOF at the pipe's end.
func (r *reader) finish(c *capture, why error) {
	delete(r.captures, int32(c.fd))
	_ = unix.EpollCtl(r.fd, unix.EPOLL_CTL_DEL, c.fd, nil) // a process that is just being made may have it open too
	_ = unix.Close(c.fd)                                   // for reading only: nothing is lost by an error
	c.finish(why)
}
