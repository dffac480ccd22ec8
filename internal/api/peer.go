package api

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// peer is who is at the other end of a connection, as the kernel says.
type peer struct {
	uid uint32
	pid int32 // 0 when the peer is in a PID namespace that ours does not contain
	// gids are the primary group and the supplementary ones.
	gids []uint32
	// command is the peer's own name for itself; it goes into records and decides nothing.
	command string
}

func (p peer) actor() unit.Actor {
	return unit.Actor{Kind: "peer", UID: p.uid, PID: p.pid, Command: p.command}
}

type peerKey struct{}

func withPeer(ctx context.Context, p peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

func peerOf(ctx context.Context) (peer, bool) {
	p, ok := ctx.Value(peerKey{}).(peer)
	return p, ok
}

// identify asks the kernel for the credentials that the peer had when it
// connected (a server's: when it began to listen). The command is left out.
func identify(c net.Conn) (peer, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return peer{}, fmt.Errorf("cannot identify peer: a %T is no socket", c)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return peer{}, fmt.Errorf("cannot identify peer: %w", err)
	}
	var (
		cred   *unix.Ucred
		groups []uint32
		failed error
	)
	err = raw.Control(func(fd uintptr) {
		if cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); failed == nil {
			groups = peerGroups(fd)
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return peer{}, fmt.Errorf("cannot identify peer: %w", err)
	}
	return peer{uid: cred.Uid, pid: cred.Pid, gids: append(groups, cred.Gid)}, nil
}

// peerGroups reads SO_PEERGROUPS (Linux 4.13), which x/sys has no function for.
// Where the kernel does not answer, the peer has no supplementary groups: less
// is allowed, never more.
func peerGroups(fd uintptr) []uint32 {
	groups := make([]uint32, 64)
	for range 2 {
		size := uint32(len(groups)) * 4
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch errno {
		case 0:
			return groups[:size/4]
		case unix.ERANGE: // size now says how much is needed
			groups = make([]uint32, size/4)
		default:
			return nil
		}
	}
	return nil
}

// commandOf is the name of process pid, "" where it cannot be known. It is read
// from comm and not from cmdline, because cmdline is in the process's own
// memory: a peer could make the reader of it wait for as long as it likes.
func commandOf(pid int32) string {
	if pid <= 0 {
		return ""
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return sanitise(strings.TrimSuffix(string(comm), "\n"))
}

// sanitise keeps at most 64 bytes, and replaces what is not printable ASCII.
func sanitise(s string) string {
	b := []byte(s[:min(len(s), 64)])
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}
