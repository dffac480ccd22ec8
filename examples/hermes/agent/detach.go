package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"

	"golang.org/x/sys/unix"
)

// startDetached starts "hermes ARGS..." in a session of its own and without its parent: a double fork, in which the
// process in the middle is "hermes detach ARGS...", since a Go program cannot fork without exec. It returns when the
// middle has ended, and that is when the process has said that it is settled, or has ended too.
//
// The process keeps the standard output and error of its starter, as real ones do: whoever waits for the end of such
// a pipe waits for the escapee.
func startDetached(args ...string) error {
	return self(append([]string{"detach"}, args...)...).Run()
}

// self is this program with other arguments. /proc/self/exe is right even when the file has been replaced.
func self(args ...string) *exec.Cmd {
	return &exec.Cmd{
		Path:   "/proc/self/exe",
		Args:   append([]string{"hermes"}, args...),
		Stdout: os.Stdout,
		Stderr: os.Stderr,
	}
}

// settledFile is the end of a pipe that a detached process inherits and closes when it is settled.
const settledFile = 3

// detach is the process in the middle. It never waits for its child, so that one which has ended is left to init.
func detach(_ home, args []string) (int, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("cannot detach: %w", err)
	}
	child := self(args...)
	child.ExtraFiles = []*os.File{w} // becomes settledFile
	child.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		return 0, fmt.Errorf("cannot detach %q: %w", args, err)
	}
	w.Close()
	r.Read(make([]byte, 1)) // until the child's end is closed
	return 0, nil
}

// escapee is what a gateway leaves behind when it is asked to: it ends on KILL and on nothing polite.
func escapee(home, []string) (int, error) {
	signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	os.WriteFile("/proc/self/comm", []byte("hermes"), 0) // else ps calls it "exe"; as good as it gets
	unix.Close(settledFile)
	for {
		unix.Pause()
	}
}
