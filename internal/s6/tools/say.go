package tools

import (
	"errors"
	"io"
	"syscall"
)

// The exit codes that all of s6's tools share.
const (
	exitRefused = 1   // what was asked for cannot be had: an unknown user, a lock that is held
	exitUsage   = 100 // the words are wrong, or the situation is
	exitSystem  = 111 // a system call failed
	exitCannot  = 126 // the next program cannot be executed
	exitNone    = 127 // there is no such program
)

// say writes one message in one write, so that two programs' messages do not mix.
func (c *call) say(kind, text string) {
	// Nothing can be told to anybody where stderr fails.
	_, _ = io.WriteString(c.stderr, c.name+": "+kind+": "+text+"\n")
}

func (c *call) wrongUsage() int {
	c.say("usage", c.usage)
	return exitUsage
}

func (c *call) fatal(code int, text string) int {
	c.say("fatal", text)
	return code
}

// unable is the end of a tool whose deed failed: "unable to TEXT: why".
func (c *call) unable(code int, err error, text string) int {
	return c.fatal(code, "unable to "+text+": "+strerror(err))
}

func (c *call) warn(text string) { c.say("warning", text) }

func (c *call) warnUnable(err error, text string) { c.warn("unable to " + text + ": " + strerror(err)) }

// strerror is an error as strerror(3) has it: Go's texts are glibc's, but for the first letter.
func strerror(err error) string {
	number, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return err.Error()
	}
	text := number.Error()
	return upper(text[:1]) + text[1:]
}
