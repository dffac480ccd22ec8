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
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// MaxDatagram is the longest datagram that is read, in bytes. Longer ones are refused.
const MaxDatagram = 4096

// maxRights is how many descriptors can come with one datagram (SCM_MAX_FD of the kernel).
const maxRights = 253

// maxPath is the longest path of a socket (sockaddr_un, less the zero byte at its end).
const maxPath = 107

// Why a datagram is refused as a whole.
var (
	ErrTooLong = fmt.Errorf("the message is longer than %d bytes", MaxDatagram)
	ErrUnknown = errors.New("the sender is in a PID namespace that cannot be seen from here")
)

// Sender is who sent a message, by the kernel's word, at the time it was sent.
type Sender struct {
	PID      int
	UID, GID uint32
}

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
	if !filepath.IsAbs(path) {
		return nil, errors.New("the path is not absolute")
	}
	if len(path) > maxPath {
		return nil, fmt.Errorf("the path is longer than the %d bytes that a socket's may have", maxPath)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	// Credentials are asked for before the socket has a name, so that there is no message without.
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
		})
		return errors.Join(err, failed)
	}}
	packets, err := config.ListenPacket(context.Background(), "unixgram", path)
	if err != nil {
		return nil, cause(err)
	}
	conn, ok := packets.(*net.UnixConn)
	if !ok {
		packets.Close()
		return nil, fmt.Errorf("a %T is no unix socket", packets)
	}
	s := &Socket{path: path, conn: conn}
	s.close = sync.OnceValue(func() error {
		// The name goes first: nobody finds it stale and puts another socket there, which would then lose its name.
		err := os.Remove(path)
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return errors.Join(cause(err), conn.Close())
	})
	err = os.Chmod(path, 0o600)
	if err == nil && uid != os.Geteuid() {
		err = os.Lchown(path, uid, -1)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("cannot give it to uid %d: %w", uid, cause(err))
	}
	return s, nil
}

// removeStale removes a socket that nobody reads.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return cause(err)
	case info.Mode().Type() != os.ModeSocket:
		return errors.New("it is there and is no socket")
	}
	conn, err := net.Dial("unixgram", path)
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return errors.New("another process listens there")
	}
	return cause(os.Remove(path))
}

// cause is a system's error without the call and the path, which the caller names.
func cause(err error) error {
	if errno := unix.Errno(0); errors.As(err, &errno) {
		return errno
	}
	return err
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
	control := make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(4*maxRights))
	for {
		// Descriptors arrive close-on-exec (MSG_CMSG_CLOEXEC is net's own). Those for which there is no room, at the limit
		// of open files, are dropped by the kernel (MSG_CTRUNC), which puts the credentials before them.
		n, c, flags, _, err := s.conn.ReadMsgUnix(data, control)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read %s: %w", s.path, cause(err))
		}
		from, rights := unpack(control[:c])
		handOn(from, data[:n], flags, take, refuse)
		for _, fd := range rights {
			discard(fd)
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

// unpack reads what came along with a datagram. The Sender is zero where the kernel did not say it.
func unpack(control []byte) (from Sender, rights []int) {
	for len(control) >= unix.SizeofCmsghdr {
		header, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			break
		}
		m := unix.SocketControlMessage{Header: header, Data: data}
		if fds, err := unix.ParseUnixRights(&m); err == nil {
			rights = append(rights, fds...)
		} else if cred, err := unix.ParseUnixCredentials(&m); err == nil {
			from = Sender{PID: int(cred.Pid), UID: cred.Uid, GID: cred.Gid}
		}
		control = rest
	}
	return from, rights
}

// discard closes a descriptor that somebody passed. It may be the last one of a TCP connection that is told to linger:
// the close would then wait for as long as the sender likes.
func discard(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{}) // where it is a socket
	unix.Close(fd)
}

// Close ends Serve and removes the socket. It may be called more than once.
func (s *Socket) Close() error {
	if err := s.close(); err != nil {
		return fmt.Errorf("cannot close %s: %w", s.path, err)
	}
	return nil
}
