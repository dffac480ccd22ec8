package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"

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
	fd := int(t.file.Fd())
	return fromBackground(func() error {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, t.group); err != nil {
			return fmt.Errorf("cannot take the terminal back: %w", err)
		}
		// At once (TCSETS), not when all output has been sent: a terminal that is held (Ctrl-S) would hold pintle's end.
		if err := unix.IoctlSetTermios(fd, unix.TCSETS, &t.modes); err != nil {
			return fmt.Errorf("cannot restore the terminal's modes: %w", err)
		}
		return nil
	})
}

// fromBackground changes a terminal although this is not its foreground process
// group: SIGTTOU, which stops a process for that, is blocked meanwhile
// (tcsetpgrp(3)). It is not ignored, because Go's signal.Reset leaves it so, and
// an ignored signal is handed on to what is executed.
func fromBackground(change func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, signalSet(unix.SIGTTOU), &before); err != nil {
		return err
	}
	return errors.Join(change(), unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil))
}
