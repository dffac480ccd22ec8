// Package datagram is what the sockets have in common on which processes of a container say something to pintle: where
// they are, and who sends.
//
// It promises that a sender is who the kernel says it is, whatever the datagram says; that a socket takes the place of
// none that somebody reads, nor of anything else; and that descriptors which somebody passes along can be closed without
// waiting for him.
package datagram

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// MaxRights is how many descriptors can come with one datagram (SCM_MAX_FD of the kernel).
const MaxRights = 253

// MaxPath is the longest path of a socket (sockaddr_un, less the zero byte at its end).
const MaxPath = 107

// Sender is who sent a message, by the kernel's word, at the time it was sent.
type Sender struct {
	PID      int
	UID, GID uint32
}

// Listen makes a socket whose datagrams come with their sender. A socket that nobody reads any more is replaced. The
// path is absolute, because those that it is told to have working directories of their own. The error is a bare cause.
func Listen(path string) (*net.UnixConn, error) {
	if !filepath.IsAbs(path) {
		return nil, errors.New("the path is not absolute")
	}
	if len(path) > MaxPath {
		return nil, fmt.Errorf("the path is longer than the %d bytes that a socket's may have", MaxPath)
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
		return nil, Cause(err)
	}
	conn, ok := packets.(*net.UnixConn)
	if !ok {
		packets.Close()
		return nil, fmt.Errorf("a %T is no unix socket", packets)
	}
	return conn, nil
}

// removeStale removes a socket that nobody reads.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return Cause(err)
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
	return Cause(os.Remove(path))
}

// Close closes a socket and removes its name. The error is a bare cause.
func Close(conn *net.UnixConn, path string) error {
	// The name goes first: nobody finds it stale and puts another socket there, which would then lose its name.
	err := os.Remove(path)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(Cause(err), conn.Close())
}

// Control is as much as can come along with a datagram.
func Control() []byte {
	return make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(4*MaxRights))
}

// Unpack reads what came along with a datagram. The Sender is zero where the kernel did not say it. The descriptors
// are the caller's to Discard.
func Unpack(control []byte) (from Sender, rights []int) {
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

// Discard closes a descriptor that somebody passed. It may be the last one of a TCP connection that is told to linger:
// the close would then wait for as long as the sender likes.
func Discard(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{}) // where it is a socket
	unix.Close(fd)
}

// Cause is a system's error without the call and the path, which the caller names.
func Cause(err error) error {
	if errno := unix.Errno(0); errors.As(err, &errno) {
		return errno
	}
	return err
}
