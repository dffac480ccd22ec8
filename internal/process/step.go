package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/process/step"
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
// A program that has no terminal, pintle's own user and no attributes is executed without this step. What only becomes
// another user is package step's, by another name: that is most of them, and it takes half as long.
const execStepName = "pintle-exec"

// task is what the exec step is to do.
type task struct {
	Terminal   bool
	Identity   *Identity // nil for no change
	Attributes unit.Attributes
	// Channel and In are as in step.Step, which has the rest.
	Channel, In int
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
	t := task{Terminal: c.Terminal, Attributes: c.Attributes, Channel: c.stepChannel()}
	if c.switches() {
		t.Identity = c.Identity
	}
	if c.In != nil {
		t.In = c.stepIn()
	}
	if t.Identity != nil && !t.Terminal && t.Attributes.IsZero() {
		s := step.Step{User: c.Identity.user(), Called: c.Identity.Name, Channel: t.Channel, In: t.In, Dir: c.Dir, Path: c.Path, Args: c.Args}
		return s.Words(), nil
	}
	text, err := json.Marshal(t)
	return append([]string{execStepName, string(text), c.Dir, c.Path}, c.Args...), err
}

// IsExecStep tells whether this process was started as the exec step. One that could be is over by now, unless it failed.
func IsExecStep(args []string) bool {
	return len(args) > 4 && (args[0] == execStepName || args[0] == step.Name)
}

// ExecStep carries out the exec step, or what is left of it. It returns only when it fails, with the
// exit code for that. Why it failed it tells the pintle that started it, or
// stderr where that does not listen any more.
func ExecStep(args []string, stderr io.Writer) int {
	runtime.LockOSThread() // this thread's signal mask and credentials are the program's
	t, s, failure := readTask(args)
	if failure == nil {
		unix.CloseOnExec(s.Channel)
		failure = t.execute(&s)
	}
	if _, err := unix.Write(s.Channel, fmt.Appendf(nil, "%d %s", failure.Code, failure)); err != nil {
		fmt.Fprintln(stderr, "pintle:", failure)
	}
	return failure.Code
}

// readTask reads what either kind of step is to do.
func readTask(args []string) (t task, s step.Step, _ *ExecError) {
	if s, ok := step.Read(args); ok {
		return task{Identity: &Identity{Name: s.Called, UID: s.User.UID, GID: s.User.GID, Groups: s.User.Groups}}, s, nil
	}
	s = step.Step{Channel: none, Dir: args[2], Path: args[3], Args: args[4:]}
	t = task{Channel: none}
	err := errors.New("these are not its words")
	if args[0] == execStepName {
		err = json.Unmarshal([]byte(args[1]), &t)
	}
	if err != nil {
		return t, s, execError(126, "cannot read what the exec step is to do: %w", err)
	}
	s.Channel, s.In = t.Channel, t.In
	return t, s, nil
}

// execute does what this thread's last rights are needed for first, and last what takes rights away.
func (t *task) execute(s *step.Step) *ExecError {
	if t.Terminal {
		_ = fromBackground(func() error {
			return unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, unix.Getpgrp()) // a terminal that is gone is the program's to find out
		})
	}
	a, err := readAttributes(t.Attributes)
	if err == nil {
		err = a.asPintle()
	}
	if err != nil {
		return execError(126, "%w", err)
	}
	if t.Identity != nil && !step.Became() {
		if err := t.Identity.become(); err != nil {
			return execError(126, "cannot run as user %s (uid %d): %w", t.Identity.Name, t.Identity.UID, err)
		}
	}
	if err := a.afterwards(); err != nil {
		return execError(126, "%w", err)
	}
	c := Command{Path: s.Path, Dir: s.Dir, Identity: t.Identity}
	if err := s.Enter(); err != nil {
		return diagnose(c, err)
	}
	return diagnose(c, syscall.Exec(s.Path, s.Args, os.Environ()))
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
	r.k.mu.RLock()
	r.step = p
	err = r.fork(&birth{path: "/proc/self/exe", args: args, attr: attr, in: none})
	r.k.mu.RUnlock()
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
