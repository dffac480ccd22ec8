package tools

import (
	"syscall"
)

// What s6-setsid makes of the process.
const (
	newSession = iota
	backgroundGroup
	foregroundGroup
	grabForeground
)

func setsid(c *call) int {
	what, terminal := newSession, uint32(0)
	// try carries out one step, and says whether a failure ends everything.
	quiet, insist := false, false
	o := c.parse()
	for letter, ok := o.next(); ok; letter, ok = o.next() {
		switch letter {
		case 's':
			what = newSession
		case 'b':
			what = backgroundGroup
		case 'f':
			what = foregroundGroup
		case 'g':
			what = grabForeground
		case 'i':
			quiet, insist = false, true
		case 'I':
			quiet, insist = false, false
		case 'q':
			quiet, insist = true, false
		case 'd':
			terminal, ok = uint32Of(o.arg)
		default:
			ok = false
		}
		if !ok {
			return c.wrongUsage()
		}
	}
	program := o.rest()
	if len(program) == 0 {
		return c.wrongUsage()
	}
	for _, step := range sessionSteps(what, int(terminal)) {
		switch err := step.do(); {
		case err == nil || quiet:
		case insist:
			return c.unable(exitSystem, err, step.name)
		default:
			c.warnUnable(err, step.name)
		}
	}
	return c.execute(program)
}

type sessionStep struct {
	name string
	do   func() error
}

func sessionSteps(what, terminal int) []sessionStep {
	if what == newSession {
		return []sessionStep{{"setsid", func() error { _, err := syscall.Setsid(); return err }}}
	}
	steps := []sessionStep{{"setpgid", func() error { return syscall.Setpgid(0, 0) }}}
	if what == backgroundGroup {
		return steps
	}
	return append(steps, sessionStep{"tcsetpgrp", func() error {
		take := func() error { return setForeground(terminal, syscall.Getpid()) }
		if what == grabForeground { // from the background it would stop us
			return without(syscall.SIGTTOU, take)
		}
		return take()
	}})
}
