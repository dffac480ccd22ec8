package process

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// Terminal is the terminal that pintle was started on and lends to the main program.
type Terminal struct {
	file  *os.File
	modes unix.Termios // as they were found, to be put back
	group int          // pintle's own process group
}

// OpenTerminal returns the terminal that f is, or nil: when f is none, or when
// it is not pintle's to give away (a background job of some shell does not own
// its terminal).
func OpenTerminal(f *os.File) *Terminal {
	fd := int(f.Fd())
	modes, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil
	}
	group := unix.Getpgrp()
	if foreground, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil || foreground != group {
		return nil
	}
	return &Terminal{f, *modes, group}
}

// Restore takes the terminal back and puts its modes as they were found. It
// fails where the terminal is gone, which is no fault at the end of a container.
func (t *Terminal) Restore() error {
	// A background process that changes the terminal gets SIGTTOU, unless it ignores it (termios(3)).
	signal.Ignore(unix.SIGTTOU)
	defer signal.Reset(unix.SIGTTOU)
	fd := int(t.file.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, t.group); err != nil {
		return fmt.Errorf("cannot take the terminal back: %w", err)
	}
	if err := unix.IoctlSetTermios(fd, unix.TCSETSW, &t.modes); err != nil {
		return fmt.Errorf("cannot restore the terminal's modes: %w", err)
	}
	return nil
}

// The exec step makes a process the terminal's foreground process group and then
// executes the program. Only the new process itself can do that before the
// program runs: from outside there would be a moment in which the program reads
// a terminal that is not yet its own. So pintle executes itself once more in
// between, by this name; without a terminal there is no such step.
const execStepName = "pintle-exec"

func execStep(path string, args []string) (string, []string) {
	return "/proc/self/exe", append([]string{execStepName, path}, args...)
}

// IsExecStep tells whether this process was started as the exec step.
func IsExecStep(args []string) bool { return len(args) > 2 && args[0] == execStepName }

// ExecStep carries out the exec step. It returns only when it fails, with the exit code for that.
func ExecStep(args []string, stderr io.Writer) int {
	path, args := args[1], args[2:]
	signal.Ignore(unix.SIGTTOU)
	_ = unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, unix.Getpgrp()) // a terminal that is gone by now is the program's to find out
	signal.Reset(unix.SIGTTOU)
	err := syscall.Exec(path, args, os.Environ())
	failure := diagnose(Command{Path: path}, err)
	fmt.Fprintln(stderr, "pintle:", failure)
	return failure.Code
}
