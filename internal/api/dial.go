package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
)

// DialOptions is what Find and Dial need.
type DialOptions struct {
	// Getenv reads the environment; nil is os.Getenv.
	Getenv func(string) string
	// Candidates are the run-time directories to try where the environment
	// names none; nil means those of Listen.
	Candidates []string
}

// Bounds of a client's patience.
const (
	// busy is how long a full queue of connections is waited for.
	busy = 5 * time.Second
	// silence is how long a server may send nothing; it gives a sign of life every 15 s.
	silence = 45 * time.Second
)

// Find returns the path of the socket to use: $PINTLE_SOCKET, or else the first
// one in $PINTLE_RUNTIME_DIR or the candidates that somebody serves who can be
// trusted. An error is of kind engine.Unavailable.
func Find(ctx context.Context, o DialOptions) (string, error) {
	s, err := find(ctx, o)
	return s.path, err
}

// socket is where a server is.
type socket struct {
	path string
	// asGiven is set where somebody has named this very socket: it is used whoever serves it.
	asGiven bool
}

func find(ctx context.Context, o DialOptions) (socket, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if path := o.Getenv(socketVariable); path != "" {
		return socket{path: path, asGiven: true}, nil
	}
	dirs, err := places(o.Getenv, o.Candidates)
	if err != nil {
		return socket{}, unavailable(err)
	}
	var causes []string
	for _, dir := range dirs {
		s := socket{path: filepath.Join(dir, socketName)}
		c, err := s.connect(ctx)
		if err == nil {
			c.Close()
			return s, nil
		}
		if !errors.Is(err, unix.ENOENT) {
			causes = append(causes, err.Error())
		}
	}
	if causes == nil {
		return socket{}, engine.Errorf(engine.Unavailable, "cannot reach pintle: it does not run here (nothing in %s)", strings.Join(dirs, ", "))
	}
	return socket{}, engine.Errorf(engine.Unavailable, "cannot reach pintle: %s", strings.Join(causes, "; "))
}

// connect connects to the server, and makes sure that it is one to trust: who
// may put up a false pintle could make a client believe anything.
func (s socket) connect(ctx context.Context) (net.Conn, error) {
	if s.asGiven {
		return dial(ctx, s.path, s.path)
	}
	dir, err := visit(filepath.Dir(s.path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	c, err := dial(ctx, inDir(dir, socketName), s.path)
	if err != nil {
		return nil, err
	}
	server, err := identify(c)
	if err == nil && !trusted(server.uid) {
		err = fmt.Errorf("its server runs as uid %d, which is neither root nor you nor the user of PID 1", server.uid)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("cannot trust %s: %w", s.path, err)
	}
	return c, nil
}

// trusted tells whether a server that runs as uid may be believed: root, the
// caller himself, or the user of PID 1, who has the whole container anyway.
func trusted(uid uint32) bool {
	if uid == 0 || isSelf(uid) {
		return true
	}
	init, err := os.Stat("/proc/1")
	if err != nil {
		return false
	}
	st, ok := init.Sys().(*syscall.Stat_t)
	return ok && st.Uid == uid
}

// dial connects to the socket at path, which errors call name. A socket whose
// queue is full says EAGAIN instead of making the caller wait, so that dial does
// the waiting.
func dial(ctx context.Context, path, name string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, busy)
	defer cancel()
	for {
		c, err := new(net.Dialer).DialContext(ctx, "unix", path)
		if err == nil {
			return &attentive{Conn: c}, nil
		}
		if errno, ok := errors.AsType[unix.Errno](err); ok {
			err = errno // the whole text has the path that is under /proc/self/fd
		}
		err = fmt.Errorf("cannot connect to %s: %w", name, err)
		if !errors.Is(err, unix.EAGAIN) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// attentive is a connection on which a read ends when the server is silent for too long.
type attentive struct{ net.Conn }

func (c *attentive) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// SyscallConn is the connection's own, for identify.
func (c *attentive) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(syscall.Conn).SyscallConn()
}
