package process

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// The exec step is pintle, executed once more by this name, between the fork and
// the program. It does what only the new process itself can do, and what must
// not be done in a process that still shares pintle's memory:
//
//   - It makes itself the terminal's foreground process group. From outside
//     there would be a moment in which the program reads a terminal that is not
//     yet its own.
//   - It becomes another user. Go forks with vfork(2): until the child executes
//     something, the thread that made it stands still, and with it soon all of
//     pintle. Whoever may signal the child could stop it for ever just then
//     (SIGSTOP), and its own user may.
//   - It gives itself the unit's attributes: limits, capabilities and the like.
//
// A program that has no terminal, pintle's own user and no attributes is executed without this step.
const execStepName = "pintle-exec"

// step is what the exec step is to do.
type step struct {
	Terminal   bool
	Identity   *Identity // nil for no change
	Attributes unit.Attributes
	// Channel is the descriptor on which a step that fails says why. It closes when the program is executed.
	Channel int
	// In is the descriptor of its working directory; 0 where that has a path.
	In int
}

// needsStep tells whether the command is executed by way of the exec step.
func (c *Command) needsStep() bool {
	return c.Terminal || !c.Attributes.IsZero() || c.switches()
}

// stepChannel is a descriptor that the program itself does not get, and stepIn another one.
func (c *Command) stepChannel() int { return c.unused(3) }
func (c *Command) stepIn() int      { return c.unused(c.stepChannel() + 1) }

func (c *Command) unused(n int) int {
	for c.More[n] != nil {
		n++
	}
	return n
}

func (c *Command) stepArgs() ([]string, error) {
	s := step{Terminal: c.Terminal, Attributes: c.Attributes, Channel: c.stepChannel()}
	if c.switches() {
		s.Identity = c.Identity
	}
	if c.In != nil {
		s.In = c.stepIn()
	}
	text, err := json.Marshal(s)
	return append([]string{execStepName, string(text), c.Dir, c.Path}, c.Args...), err
}

// IsExecStep tells whether this process was started as the exec step.
func IsExecStep(args []string) bool { return len(args) > 4 && args[0] == execStepName }

// ExecStep carries out the exec step. It returns only when it fails, with the
// exit code for that. Why it failed it tells the pintle that started it, or
// stderr where that does not listen any more.
func ExecStep(args []string, stderr io.Writer) int {
	runtime.LockOSThread() // this thread's signal mask and credentials are the program's
	s := step{Channel: -1}
	failure := s.read(args[1])
	if failure == nil {
		unix.CloseOnExec(s.Channel)
		failure = s.execute(args[2], args[3], args[4:])
	}
	if _, err := unix.Write(s.Channel, fmt.Appendf(nil, "%d %s", failure.Code, failure)); err != nil {
		fmt.Fprintln(stderr, "pintle:", failure)
	}
	return failure.Code
}

func (s *step) read(text string) *ExecError {
	if err := json.Unmarshal([]byte(text), s); err != nil {
		return execError(126, "cannot read what the exec step is to do: %w", err)
	}
	return nil
}

// execute does what this thread's last rights are needed for first, and last what takes rights away.
func (s *step) execute(dir, path string, args []string) *ExecError {
	if s.Terminal {
		_ = fromBackground(func() error {
			return unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, unix.Getpgrp()) // a terminal that is gone is the program's to find out
		})
	}
	a, err := readAttributes(s.Attributes)
	if err == nil {
		err = a.asPintle()
	}
	if err != nil {
		return execError(126, "%w", err)
	}
	if s.Identity != nil {
		if err := s.Identity.become(); err != nil {
			return execError(126, "cannot run as user %s (uid %d): %w", s.Identity.Name, s.Identity.UID, err)
		}
	}
	if err := a.afterwards(); err != nil {
		return execError(126, "%w", err)
	}
	c := Command{Path: path, Dir: dir, Identity: s.Identity}
	switch {
	case s.In != 0:
		unix.CloseOnExec(s.In)
		err = unix.Fchdir(s.In)
	case dir != "":
		err = os.Chdir(dir)
	}
	if err != nil {
		return diagnose(c, err)
	}
	return diagnose(c, syscall.Exec(path, args, os.Environ()))
}

// pending is a leader that is in the exec step.
type pending struct {
	said *os.File      // the other end of the step's channel
	gone chan struct{} // closed when the leader has been reaped
	exit unit.Exit     // how it ended; valid once gone is closed
	used unit.Usage    // likewise
}

// end notes that the leader has been reaped. The caller holds the Kernel's mutex.
func (p *pending) end(e unit.Exit, used unit.Usage) {
	p.exit, p.used = e, used
	close(p.gone)
}

// stepStopped ends the wait for a leader that was stopped in the exec step, as
// its new user's processes can do: from here on it is a run like any other that
// was stopped. The caller holds the Kernel's mutex.
func (r *Run) stepStopped() {
	if r.step != nil {
		_ = r.step.said.SetReadDeadline(time.Unix(1, 0))
	}
}

// startByStep starts a run's leader by way of the exec step.
func (r *Run) startByStep(c Command, attr *syscall.ProcAttr) error {
	args, err := c.stepArgs()
	if err != nil {
		return execError(126, "cannot execute %s: %w", c.Path, err)
	}
	said, say, err := Pipe()
	if err != nil {
		return execError(126, "cannot execute %s: %w", c.Path, err)
	}
	defer said.Close()
	attr.Files = descriptor(attr.Files, c.stepChannel(), say)
	if c.In != nil {
		attr.Files = descriptor(attr.Files, c.stepIn(), c.In)
	}
	p := &pending{said: said, gone: make(chan struct{})}
	r.k.mu.Lock()
	r.step = p
	err = r.fork("/proc/self/exe", args, attr)
	r.k.mu.Unlock()
	say.Close()
	if err != nil {
		return diagnose(Command{Path: c.Path}, fmt.Errorf("cannot begin to: %w", err))
	}

	// This ends when the program has been executed, has failed to be, or the step was stopped or killed.
	text, _ := io.ReadAll(said)
	if code, sentence, ok := strings.Cut(string(text), " "); ok {
		select {
		case <-p.gone:
		case <-r.k.done:
		}
		n, err := strconv.Atoi(code)
		if err != nil {
			n = 126
		}
		return execError(n, "%s", sentence)
	}
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	r.step = nil
	r.began()
	select {
	case <-p.gone:
		r.over(p.exit, p.used)
	default:
	}
	return nil
}
