package tools

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// closed stands for a descriptor that a new process does not get.
const closed = -1

// spawn starts the first of several command lines whose program is there, in dir, with fds as its descriptors.
func (c *call) spawn(choices [][]string, dir string, fds []int) (pid int, err error) {
	attr := &syscall.ProcAttr{Dir: dir, Env: c.env}
	for _, fd := range fds {
		attr.Files = append(attr.Files, uintptr(fd))
	}
	for _, args := range choices {
		err = c.search(args[0], func(file string) (err error) {
			pid, err = syscall.ForkExec(file, args, attr)
			return err
		})
		if !errors.Is(err, syscall.ENOENT) {
			break
		}
	}
	return pid, err
}

// execlines are the ways to have execline run a line of text: by PATH, and where Debian and s6-overlay keep it. What is
// only plain words can be run without it, as execline would.
func execlines(text string) [][]string {
	choices := [][]string{
		{"execlineb", "-Pc", text}, {"/usr/lib/execline/bin/execlineb", "-Pc", text}, {"/command/execlineb", "-Pc", text},
	}
	if plain := words(text, " \t\r\n"); len(plain) > 0 && indexAny(text, "{}\"\\#") < 0 {
		choices = append(choices, plain)
	}
	return choices
}

// trap has signals come as bytes, one each, through a pipe that poll(2) can wait for.
func trap(signals ...os.Signal) (fd int, err error) {
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return -1, err
	}
	came := make(chan os.Signal, 16)
	signal.Notify(came, signals...)
	go func() {
		for s := range came {
			if number, ok := s.(syscall.Signal); ok {
				_, _ = syscall.Write(pipe[1], []byte{byte(number)}) // a full pipe wakes as well
			}
		}
	}()
	return pipe[0], nil
}
