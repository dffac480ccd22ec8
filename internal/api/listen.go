package api

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"pintle/internal/trust"
)

// lockName is the file in the run-time directory whose lock the server holds
// while it lives. Only its owner can open it, so nobody else can take the lock.
const lockName = "pintle.lock"

// ListenOptions is what Listen needs.
type ListenOptions struct {
	// Getenv reads the environment; nil is os.Getenv.
	Getenv func(string) string
	// Candidates are the run-time directories to try where $PINTLE_RUNTIME_DIR
	// names none; nil means /run/pintle, /tmp/pintle and /dev/shm/pintle.
	Candidates []string
}

// errOccupied ends the search for a directory: a second pintle must not settle beside the first.
var errOccupied = errors.New("another pintle runs here")

// Listen makes the run-time directory and the socket in it, and returns the
// listener and the socket's path. It takes $PINTLE_RUNTIME_DIR where that is
// set and nothing else, or the first candidate that will do.
//
// The directory must belong to us, and nobody else may write it (see
// trust.OpenDir). Everybody may connect to the socket: the policy goes by
// credentials. A socket that nobody serves any more is replaced. Nothing that is
// written here is ever executed.
func Listen(o ListenOptions) (net.Listener, string, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	dirs, err := places(o.Getenv, o.Candidates)
	if err != nil {
		return nil, "", fmt.Errorf("cannot listen: %w", err)
	}
	var causes []string
	for _, path := range dirs {
		l, err := listenIn(path)
		if err == nil {
			return l, filepath.Join(path, socketName), nil
		}
		if errors.Is(err, errOccupied) {
			return nil, "", fmt.Errorf("cannot listen in %s: %w", path, err)
		}
		causes = append(causes, err.Error())
	}
	return nil, "", fmt.Errorf("cannot listen: %s", strings.Join(causes, "; "))
}

func listenIn(path string) (_ net.Listener, err error) {
	dir, err := trust.OpenDir(path, os.Geteuid(), 0o755)
	if err != nil {
		return nil, err
	}
	lock := (*os.File)(nil)
	defer func() {
		if err != nil {
			lock.Close() // nil is fine
			dir.Close()
			err = fmt.Errorf("cannot use %s: %w", path, err)
		}
	}()
	// A new directory has lost to the umask what others need to reach the socket.
	// One with something in it is as somebody wants it to be.
	if _, err := dir.Readdirnames(1); err == io.EOF {
		if err := dir.Chmod(0o755); err != nil {
			return nil, err
		}
	}
	if lock, err = takeLock(dir); err != nil {
		return nil, err
	}
	if err := removeStale(dir); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: inDir(dir, socketName)})
	if err != nil {
		return nil, fmt.Errorf("cannot make the socket: %w", errors.Unwrap(err))
	}
	l.SetUnlinkOnClose(false) // it would use a path that is over by then
	// The directory is ours alone: what has this name in it is our socket.
	if err := unix.Fchmodat(int(dir.Fd()), socketName, 0o666, 0); err != nil {
		l.Close()
		return nil, fmt.Errorf("cannot open the socket to everybody: %w", err)
	}
	return &listener{UnixListener: l, tidy: sync.OnceFunc(func() {
		unix.Unlinkat(int(dir.Fd()), socketName, 0) // what is left is stale, and replaced
		lock.Close()
		dir.Close()
	})}, nil
}

// listener removes its socket when it is closed.
type listener struct {
	*net.UnixListener
	tidy func() // once
}

func (l *listener) Close() error {
	err := l.UnixListener.Close()
	l.tidy()
	return err
}

// takeLock makes sure that no two pintles find the same socket stale.
func takeLock(dir *os.File) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), lockName, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", lockName, err)
	}
	lock := os.NewFile(uintptr(fd), lockName)
	err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return lock, nil
	}
	lock.Close()
	if err == unix.EWOULDBLOCK {
		return nil, errOccupied
	}
	return nil, fmt.Errorf("cannot lock %s: %w", lockName, err)
}

// removeStale removes a socket of ours on which nobody answers.
func removeStale(dir *os.File) error {
	var st unix.Stat_t
	err := unix.Fstatat(int(dir.Fd()), socketName, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case err == unix.ENOENT:
		return nil
	case err != nil:
		return fmt.Errorf("cannot look at %s: %w", socketName, err)
	case st.Mode&unix.S_IFMT != unix.S_IFSOCK:
		return fmt.Errorf("%s is there and is no socket", socketName)
	case !isSelf(st.Uid):
		return fmt.Errorf("%s belongs to uid %d", socketName, st.Uid)
	}
	c, err := net.Dial("unix", inDir(dir, socketName))
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, unix.ECONNREFUSED) { // it answered, or is too busy to
		return errOccupied
	}
	if err := unix.Unlinkat(int(dir.Fd()), socketName, 0); err != nil {
		return fmt.Errorf("cannot remove the stale %s: %w", socketName, err)
	}
	return nil
}
