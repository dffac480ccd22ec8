package dockertest

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// Terminal is a command, mostly docker, with a person's terminal, a real
// pseudo-terminal, around it.
type Terminal struct {
	t     testing.TB
	cmd   *exec.Cmd
	file  *os.File // our side
	ended chan struct{}

	mu   sync.Mutex
	text strings.Builder // all that was printed so far
	more chan struct{}   // closed, and replaced, when text has grown
	seen int             // how much of text Expect has passed
}

// Tty runs a container on a terminal (docker run -it --rm) of the size that the
// options say. It is removed at the end of the test.
func Tty(t testing.TB, o Options, args ...string) *Terminal {
	t.Helper()
	e, name, argv := prepare(t, o, "--rm", args)
	argv = append([]string{argv[0], "-it"}, argv[1:]...)
	t.Cleanup(func() {
		if err := e.remove(name); err != nil {
			t.Errorf("a container is left: %v", err)
		}
	})
	return e.terminal(t, o, argv)
}

// Tty runs a command in the container on a terminal (docker exec -it), as a
// user if that is not empty.
func (c *Container) Tty(o Options, user string, args ...string) *Terminal {
	c.t.Helper()
	argv := []string{"exec", "-it"}
	if user != "" {
		argv = append(argv, "-u", user)
	}
	return c.engine.terminal(c.t, o, append(append(argv, c.Name), args...))
}

// terminal starts a docker command on a new pseudo-terminal.
func (e *engine) terminal(t testing.TB, o Options, argv []string) *Terminal {
	t.Helper()
	cmd := e.command(t.Context(), argv...)
	cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], "TERM=xterm-256color")
	return OnTerminal(t, o, cmd)
}

// OnTerminal starts any command of this machine, no container, on a new
// pseudo-terminal: as the leader of a session and the terminal's foreground. It
// is hung up at the end of the test.
func OnTerminal(t testing.TB, o Options, cmd *exec.Cmd) *Terminal {
	t.Helper()
	size := &pty.Winsize{Rows: o.Rows, Cols: o.Cols}
	if size.Rows == 0 {
		size.Rows = 24
	}
	if size.Cols == 0 {
		size.Cols = 80
	}
	file, err := pty.StartWithSize(cmd, size)
	if err == nil {
		file, err = closable(file)
	}
	if err != nil {
		t.Fatalf("cannot start %s on a terminal: %v", cmd.Path, err)
	}
	term := &Terminal{t: t, cmd: cmd, file: file, ended: make(chan struct{}), more: make(chan struct{})}
	go term.read()
	t.Cleanup(term.Close)
	return term
}

// closable returns a file that is f, and whose Close ends a Read that waits. The
// files of package pty are in blocking mode: the terminal would stay open.
func closable(f *os.File) (*os.File, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	return os.NewFile(uintptr(fd), f.Name()), err
}

// read collects what is printed until the command's end.
func (p *Terminal) read() {
	buf := make([]byte, 32<<10)
	for {
		n, err := p.file.Read(buf)
		p.mu.Lock()
		p.text.Write(buf[:n])
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
		if err != nil { // EIO: nobody has the other side any more
			break
		}
	}
	p.cmd.Wait()
	close(p.ended)
}

// Expect waits until text has been printed since the last Expect's match, and
// returns everything from there up to and with it.
func (p *Terminal) Expect(text string, deadline time.Duration) string {
	p.t.Helper()
	timeout := time.After(deadline)
	for ended := false; ; {
		p.mu.Lock()
		rest, more := p.text.String()[p.seen:], p.more
		if i := strings.Index(rest, text); i >= 0 {
			p.seen += i + len(text)
			p.mu.Unlock()
			return rest[:i+len(text)]
		}
		p.mu.Unlock()
		if ended {
			p.t.Fatalf("the terminal's command ended (exit code %d) and never printed %q; since the last match: %q", p.cmd.ProcessState.ExitCode(), text, rest)
		}
		select {
		case <-more:
		case <-p.ended:
			ended = true // look once more
		case <-timeout:
			p.t.Fatalf("%q was not printed within %v; since the last match: %q", text, deadline, rest)
		}
	}
}

// Send types text; "\r" is the enter key, "\x03" is Ctrl-C.
func (p *Terminal) Send(text string) {
	p.t.Helper()
	if _, err := p.file.WriteString(text); err != nil {
		p.t.Fatalf("cannot type %q: %v", text, err)
	}
}

// Resize changes the terminal's size, as a person does with a window.
func (p *Terminal) Resize(rows, cols uint16) {
	p.t.Helper()
	if err := pty.Setsize(p.file, &pty.Winsize{Rows: rows, Cols: cols}); err != nil {
		p.t.Fatalf("cannot resize the terminal: %v", err)
	}
	// The docker command sets the first size some time before it listens for
	// changes, and misses one in between. So it is told a few times more; the
	// program inside sees a change only once.
	go func() {
		for range 10 {
			select {
			case <-p.ended:
				return
			case <-time.After(100 * time.Millisecond):
				p.cmd.Process.Signal(syscall.SIGWINCH)
			}
		}
	}()
}

// Wait waits for the command's end and returns its exit code.
func (p *Terminal) Wait(deadline time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(deadline):
		p.t.Fatalf("the terminal's command has not ended after %v; it printed last: %q", deadline, tail(p.Output(), 10))
		return -1
	}
}

// Output returns all that was printed so far.
func (p *Terminal) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// File is our side of the pseudo-terminal, for its modes.
func (p *Terminal) File() *os.File { return p.file }

// Close closes the window: the command gets a hangup, and the test waits for its
// end. The test's end does it too.
func (p *Terminal) Close() {
	p.t.Helper()
	if err := p.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		p.t.Errorf("cannot close the terminal: %v", err)
	}
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		p.cmd.Process.Kill()
		<-p.ended
	}
}
