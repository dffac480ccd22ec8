// Package notify is the receiving side of sd_notify(3): a datagram socket, whose path a service finds in
// $NOTIFY_SOCKET, and the messages that come in on it.
//
// It promises that a sender is who the kernel says it is, whatever the datagram says; that a datagram which is too
// long is refused as a whole, and an assignment that cannot be read alone; that the descriptors which senders pass
// along are closed, all of them; and that no sender can make it use more memory than one datagram takes. Who sends
// faster than messages are taken waits, because the kernel's queue is short (net.unix.max_dgram_qlen); so do all others
// who send on the same socket.
//
// It does not promise that a sender still lives when its message is handed on, nor does it know which run it belongs
// to or whether it may speak for it. A process with CAP_SYS_ADMIN may give another's PID for its own (root's
// systemd-notify gives its parent's), and one with CAP_SETUID or CAP_SETGID other IDs; a service without capabilities
// can do neither. Who can serve a file system of its own (FUSE) can make the close of a file on it last, and holds up
// this socket with that. Descriptors are not kept for anybody (FDSTORE), and reloading is no state that pintle has.
package notify

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"pintle/internal/datagram"
)

// MaxDatagram is the longest datagram that is read, in bytes. Longer ones are refused.
const MaxDatagram = 4096

// Why a datagram is refused as a whole.
var (
	ErrTooLong = fmt.Errorf("the message is longer than %d bytes", MaxDatagram)
	ErrUnknown = errors.New("the sender is in a PID namespace that cannot be seen from here")
)

// Sender is who sent a message.
type Sender = datagram.Sender

// Socket is a socket for notifications.
type Socket struct {
	path  string
	conn  *net.UnixConn
	close func() error // once
}

// Listen makes the socket. Only the user uid and root may send to it, so that nobody else can fill it up. The directory
// is the caller's, and nobody else may write it. A socket that nobody reads any more is replaced. The path is absolute, because the services that it is
// told to have working directories of their own.
func Listen(path string, uid int) (*Socket, error) {
	s, err := listen(path, uid)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	return s, nil
}

func listen(path string, uid int) (*Socket, error) {
	conn, err := datagram.Listen(path)
	if err != nil {
		return nil, err
	}
	s := &Socket{path: path, conn: conn}
	s.close = sync.OnceValue(func() error { return datagram.Close(conn, path) })
	err = os.Chmod(path, 0o600)
	if err == nil && uid != os.Geteuid() {
		err = os.Lchown(path, uid, -1)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("cannot give it to uid %d: %w", uid, datagram.Cause(err))
	}
	return s, nil
}

// Serve reads messages, one after the other, until the socket is closed; then it returns nil.
//
// A message is given to take, unless it says nothing. What is refused is told to refuse, with a Sender that is zero
// where it is not known: the whole datagram (ErrTooLong, ErrUnknown), or the one assignment that Parse could not read,
// while take is given the rest. Neither of them may wait for long, or call Serve. Refusals come as fast as senders
// like: it is for the caller to say few of them.
//
// The descriptors that came along are closed when take has returned. So a sender that waits for this knows that what
// it sent before has been taken (sd_notify_barrier(3)).
func (s *Socket) Serve(take func(Sender, Message), refuse func(Sender, error)) error {
	data := make([]byte, MaxDatagram)
	control := datagram.Control()
	for {
		// Descriptors arrive close-on-exec (MSG_CMSG_CLOEXEC is net's own). Those for which there is no room, at the limit
		// of open files, are dropped by the kernel (MSG_CTRUNC), which puts the credentials before them.
		n, c, flags, _, err := s.conn.ReadMsgUnix(data, control)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read %s: %w", s.path, datagram.Cause(err))
		}
		from, rights := datagram.Unpack(control[:c])
		handOn(from, data[:n], flags, take, refuse)
		for _, fd := range rights {
			datagram.Discard(fd)
		}
	}
}

func handOn(from Sender, data []byte, flags int, take func(Sender, Message), refuse func(Sender, error)) {
	switch {
	case from.PID <= 0:
		refuse(Sender{}, ErrUnknown)
		return
	case flags&unix.MSG_TRUNC != 0:
		refuse(from, ErrTooLong)
		return
	}
	m, err := Parse(data)
	if err != nil {
		refuse(from, err)
	}
	if m != (Message{}) {
		take(from, m)
	}
}

// Close ends Serve and removes the socket. It may be called more than once.
func (s *Socket) Close() error {
	if err := s.close(); err != nil {
		return fmt.Errorf("cannot close %s: %w", s.path, err)
	}
	return nil
}
