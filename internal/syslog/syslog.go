// Package syslog is the receiving side of syslog(3): the datagram socket /dev/log, and the messages that come in on it.
//
// It promises that a sender is who the kernel says it is, whatever the datagram says; that every datagram of up to
// MaxDatagram bytes is handed on, and of a longer one its beginning; that the descriptors which senders pass along are
// closed, all of them; and that no sender can make it use more memory than one datagram takes. Who sends faster than
// messages are taken waits, because the kernel's queue is short (net.unix.max_dgram_qlen); so do all others.
//
// Everybody in the container may send. It does not promise that a sender still lives when its message is handed on:
// logger(1) has often ended by then. A process with CAP_SYS_ADMIN may give another's PID for its own. Stream sockets,
// which syslog(3) can do with, there are none.
package syslog

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"pintle/internal/datagram"
)

// MaxDatagram is how much of a datagram is read, in bytes.
const MaxDatagram = 64 << 10

// mode lets everybody send.
const mode = 0o666

// Sender is who sent a message.
type Sender = datagram.Sender

// Socket is a socket for syslog(3).
type Socket struct {
	path   string
	conn   *net.UnixConn
	closed atomic.Bool
	close  func() error // once
}

// Listen makes the socket. Whether the directory can be trusted is for the caller to know. A socket that nobody reads
// any more is replaced, nothing else is.
func Listen(path string) (*Socket, error) {
	conn, err := datagram.Listen(path)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	s := &Socket{path: path, conn: conn}
	s.close = sync.OnceValue(func() error {
		s.closed.Store(true)
		_ = conn.CloseRead() // wakes Serve; what can be wrong with it Close says
		return datagram.Close(conn, path)
	})
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		s.Close()
		return nil, fmt.Errorf("cannot listen on %s: cannot let everybody send: %w", path, datagram.Cause(err))
	}
	return s, nil
}

// Serve reads messages, one after the other, until the socket is closed; then it returns nil. It takes a thread of its
// own. A message is given to take, which may not wait for long; while it has one, who sends waits when the kernel's
// queue is full. The Sender is zero where it is in a PID namespace that cannot be seen from here.
func (s *Socket) Serve(take func(Sender, Message)) error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", s.path, datagram.Cause(err))
	}
	defer hurry()()
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = s.serve(int(fd), take) }); errors.Is(err, net.ErrClosed) {
		return nil
	}
	if failed != nil {
		return fmt.Errorf("cannot read %s: %w", s.path, failed)
	}
	return nil
}

// serve waits in the kernel, not in Go's poller: who sends has often ended before that has told anybody.
func (s *Socket) serve(fd int, take func(Sender, Message)) error {
	data, control := make([]byte, MaxDatagram), datagram.Control()
	for {
		wait := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(wait, -1); err != nil && err != unix.EINTR {
			return err
		}
		// The length is a datagram's own (MSG_TRUNC). Descriptors for which there is no room, at the limit of open files,
		// are dropped by the kernel, which puts the credentials before them.
		n, c, _, _, err := unix.Recvmsg(fd, data, control, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC|unix.MSG_TRUNC)
		switch {
		case s.closed.Load() && c == 0: // all that was sent before has been read
			return nil
		case err == unix.EAGAIN || err == unix.EINTR:
			continue
		case err != nil:
			return err
		}
		from, rights := datagram.Unpack(control[:c])
		for _, fd := range rights {
			datagram.Discard(fd)
		}
		m := Parse(data[:min(n, len(data))])
		if n > len(data) {
			m.Text = fmt.Appendf(m.Text, " [%d more bytes are cut off]", n-len(data))
		}
		take(from, m)
	}
}

// hurry has this thread be woken before others: a sender that ends at once is known only until it has. It needs no
// rights, and takes nothing from anybody, since who asks for a short turn gets a short one. Where the kernel does not
// know of turns (before 6.12) it does nothing. It returns what undoes it.
func hurry() (leisure func()) {
	const turn = 100_000 // nanoseconds, the shortest that there is
	runtime.LockOSThread()
	set := func(n uint64) bool {
		a, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			return false
		}
		a.Runtime = n
		return unix.SchedSetAttr(0, a, 0) == nil
	}
	done := set(turn)
	return func() {
		if !done || set(0) { // else the thread ends with the goroutine
			runtime.UnlockOSThread()
		}
	}
}

// Close removes the socket, and waits for Serve to have handed on all that was sent before. It may be called more than
// once.
func (s *Socket) Close() error {
	if err := s.close(); err != nil {
		return fmt.Errorf("cannot close %s: %w", s.path, err)
	}
	return nil
}
