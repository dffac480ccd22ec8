package main

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

func chat(_ home, args []string) (int, error) {
	var text *string // set by -q, also to nothing
	flags := newFlags("chat")
	flags.Func("q", "", func(s string) error { text = &s; return nil })
	if err := parseFlags(flags, args, 0); err != nil {
		return 0, err
	}
	if text == nil {
		return prompt()
	}
	fmt.Println("hermes chat:", *text)
	return 0, nil
}

// prompt talks with the terminal until it is told to exit. The terminal stays in its ordinary mode: lines, echo and
// Ctrl-C are the kernel's, so Ctrl-C arrives only if the process is in the foreground.
func prompt() (int, error) {
	stdin := int(os.Stdin.Fd())
	if !term.IsTerminal(stdin) {
		return 0, fmt.Errorf("cannot start a prompt: standard input is not a terminal")
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)

	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()

	for {
		fmt.Print("hermes> ")
		select {
		case s := <-signals:
			fmt.Println()
			if s == unix.SIGTERM {
				return 0, nil
			}
			fmt.Println("^C interrupted")
		case line, ok := <-lines:
			if !ok {
				fmt.Println()
				return 0, nil
			}
			switch word, rest, _ := strings.Cut(strings.TrimSpace(line), " "); word {
			case "":
			case "exit":
				if rest == "" {
					return 0, nil
				}
				code, err := exitCode(rest)
				if err == nil {
					return code, nil
				}
				fmt.Println(err)
			case "size":
				fmt.Println(terminalSize(stdin))
			default:
				fmt.Println("you said:", line)
			}
		}
	}
}

// terminalSize says ROWSxCOLS.
func terminalSize(fd int) string {
	cols, rows, err := term.GetSize(fd)
	if err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%dx%d", rows, cols)
}
