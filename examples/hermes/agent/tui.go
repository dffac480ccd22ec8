package main

import (
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // alternate screen, no cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	clearScreen = "\x1b[2J\x1b[H"
)

// screen owns the whole terminal until q or a signal, and gives it back as it was. In raw mode Ctrl-C is a byte like
// any other; an INT can only come from outside and ends it like TERM.
func screen() (int, error) {
	stdin := int(os.Stdin.Fd())
	if !term.IsTerminal(stdin) {
		return 0, fmt.Errorf("cannot start the screen: standard input is not a terminal")
	}
	// Both before the first drawing: a resize right after it must not be lost.
	resized, ended := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	signal.Notify(ended, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)

	before, err := term.MakeRaw(stdin)
	if err != nil {
		return 0, fmt.Errorf("cannot start the screen: %w", err)
	}
	defer term.Restore(stdin, before)
	fmt.Print(enterScreen)
	defer fmt.Print(leaveScreen)

	quit := make(chan struct{})
	go func() {
		defer close(quit)
		for key := make([]byte, 1); key[0] != 'q'; {
			if n, err := os.Stdin.Read(key); n == 0 || err != nil {
				return
			}
		}
	}()

	for {
		fmt.Printf("%ssize %s\r\nq quits\r\n", clearScreen, terminalSize(stdin))
		select {
		case <-resized:
		case <-ended:
			return 0, nil
		case <-quit:
			return 0, nil
		}
	}
}
