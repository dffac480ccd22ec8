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
//
// A program that has no terminal and pintle's own user is executed without this step.
const execStepName = "pintle-exec"

// stepChannel is the descriptor on which a step that fails says why. It closes when the program is executed.
const stepChannel = 3

// step is what the exec step is to do.
type step struct {
	Terminal bool
	Identity *Identity // nil for no change
}

func (c *Command) stepArgs() ([]string, error) {
	s := step{Terminal: c.Terminal}
	if c.switches() {
		s.Identity = c.Identity
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
	runtime.LockOSThread() // this thread's signal mask is the program's
	unix.CloseOnExec(stepChannel)
	failure := execute(args[1], args[2], args[3], args[4:])
	if _, err := unix.Write(stepChannel, fmt.Appendf(nil, "%d %s", failure.Code, failure)); err != nil {
		fmt.Fprintln(stderr, "pintle:", failure)
	}
	return failure.Code
}

func execute(text, dir, path string, args []string) *ExecError {
	var s step
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return execError(126, "cannot execute %s: %w", path, err)
	}
	if s.Terminal {
		_ = fromBackground(func() error {
			return unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, unix.Getpgrp()) // a terminal that is gone is the program's to find out
		})
	}
	c := Command{Path: path, Dir: dir, Identity: s.Identity}
	if s.Identity != nil {
		if err := s.Identity.become(); err != nil {
			return execError(126, "cannot run as user %s (uid %d): %w", s.Identity.Name, s.Identity.UID, err)
		}
	}
	if dir != "" {
		if err := os.Chdir(dir); err != nil {
			return diagnose(c, err)
		}
	}
	return diagnose(c, syscall.Exec(path, args, os.Environ()))
}

// become makes this process one of the user's, for good.
func (id *Identity) become() error {
	err := syscall.Setgroups(id.Groups)
	if err == nil {
		err = syscall.Setresgid(id.GID, id.GID, id.GID)
	}
	if err == nil {
		err = syscall.Setresuid(id.UID, id.UID, id.UID)
	}
	if err == unix.EINVAL {
		return fmt.Errorf("one of its ids is not mapped in this container's user namespace (uid %d, gid %d, groups %v): %w",
			id.UID, id.GID, id.Groups, err)
	}
	return err
}

// pending is a leader that is in the exec step.
type pending struct {
	said *os.File      // the other end of the step's channel
	gone chan struct{} // closed when the leader has been reaped
	exit unit.Exit     // how it ended; valid once gone is closed
}

// end notes that the leader has been reaped. The caller holds the Kernel's mutex.
func (p *pending) end(e unit.Exit) {
	p.exit = e
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
	attr.Files = append(attr.Files, say.Fd())
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
		r.over(p.exit)
	default:
	}
	return nil
}
