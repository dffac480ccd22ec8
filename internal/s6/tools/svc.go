package tools

import (
	"errors"
	"syscall"
)

const (
	// maxLetters is how many letters s6-svc takes.
	maxLetters = 62
	// exitDeaf says, from release 2.14 on, that no supervisor listens.
	exitDeaf = 102
)

// svc are the options of s6-svc by release.
type svc struct {
	release release
	letters string
	several bool // of several directories all are told, not only the first
	usage   string
}

func svcOf(r release) svc {
	const usage, waits = "s6-svc ", "[ -wu | -wU | -wd | -wD | -wr | -wR ] [ -T timeout ] "
	s := svc{release: r, letters: "abqhkti12pcyroduxO"}
	switch {
	case r.atLeast(2, 15, 1):
		s.usage = "[ -s signal | -abqhkti12pcyrlPCK ] [ -oduDUxOQ ] servicedirs..."
	case r.atLeast(2, 14):
		s.usage = "[ -s signal | -abqhkti12pcyrPCK ] [ -oduDUxOQ ] servicedirs..."
	case r.atLeast(2, 13):
		s.usage = "[ -s signal | -abqhkti12pcyrPCK ] [ -oduDUxOQ ] servicedir"
	case r.atLeast(2, 12):
		s.usage = "[ -s signal | -abqhkti12pcy ] [ -roduDUxOQ ] servicedir"
	case r.atLeast(2, 11, 3):
		s.usage = "[ -abqhkti12pcyroduDUxOQ ] servicedir"
	case r.atLeast(2, 11, 2):
		s.usage = "[ -abqhkti12pcyroduDUxO ] servicedir"
	default:
		s.usage = "[ -abqhkti12pcyroduxOX ] servicedir"
	}
	s.usage = usage + waits + s.usage
	for _, more := range []struct {
		letters string
		since   []int
	}{
		{"DU", []int{2, 11, 2}}, {"Q", []int{2, 11, 3}}, {"s:", []int{2, 12}}, {"PCK", []int{2, 13}}, {"l", []int{2, 15, 1}},
	} {
		if r.atLeast(more.since...) {
			s.letters += more.letters
		}
	}
	s.several = r.atLeast(2, 14)
	return s
}

// signalLetter is the letter by which a supervisor is told to send a signal, or 0.
func signalLetter(number int) byte {
	switch syscall.Signal(number) {
	case syscall.SIGALRM:
		return 'a'
	case syscall.SIGABRT:
		return 'b'
	case syscall.SIGQUIT:
		return 'q'
	case syscall.SIGHUP:
		return 'h'
	case syscall.SIGKILL:
		return 'k'
	case syscall.SIGTERM:
		return 't'
	case syscall.SIGINT:
		return 'i'
	case syscall.SIGUSR1:
		return '1'
	case syscall.SIGUSR2:
		return '2'
	case syscall.SIGSTOP:
		return 'p'
	case syscall.SIGCONT:
		return 'c'
	case syscall.SIGWINCH:
		return 'y'
	}
	return 0
}

func svcontrol(c *call) int {
	is := svcOf(c.release())
	c.usage, c.options = is.usage, is.letters+"T:w:"
	var (
		letters string
		timeout uint32
		await   byte // what to wait for; 0 for nothing
	)
	o := c.parse()
	for letter, ok := o.next(); ok; letter, ok = o.next() {
		switch letter {
		case 'T':
			if timeout, ok = uint32Of(o.arg); !ok {
				return c.wrongUsage()
			}
			continue
		case 'w':
			if o.arg == "" || !oneOf(o.arg[0], "dDuUrR") {
				return c.wrongUsage()
			}
			await = o.arg[0]
			continue
		case 's':
			number, ok := signalOf(o.arg)
			if !ok {
				return c.fatal(exitUsage, "invalid signal: "+o.arg)
			}
			if letter = signalLetter(number); letter == 0 {
				return c.fatal(exitUsage, o.arg+" is not in the list of user-available signals")
			}
		case unknown:
			return c.wrongUsage()
		}
		if len(letters) >= maxLetters {
			return c.fatal(exitUsage, "too many commands")
		}
		letters += string(letter)
	}
	dirs := o.rest()
	if len(dirs) == 0 {
		return c.wrongUsage()
	}
	if len(dirs) > 1 && !is.several {
		c.warn("ignoring extra arguments")
		dirs = dirs[:1]
	}
	if dirs[0] == "" {
		return c.fatal(exitUsage, "invalid service path")
	}
	if await == 0 {
		return c.control(is, letters, dirs)
	}
	if await == 'U' || await == 'R' {
		file := dirs[0] + "/notification-fd"
		switch err := syscall.Access(file, 0); {
		case errors.Is(err, syscall.ENOENT):
			await += 'a' - 'A'
			c.warn(file + " not present - ignoring request for readiness notification")
		case err != nil:
			return c.unable(exitSystem, err, "access "+file)
		}
	}
	w := waiting{dirs: dirs, timeout: timeout, release: is.release}
	w.goal, w.restart = goalOf(await)
	return c.controlAndWait(is, letters, w)
}

// controlAndWait listens first, so that nothing is missed of what the letters bring about. The real s6-svc is a chain of
// programs here, by whose names its messages begin.
func (c *call) controlAndWait(is svc, letters string, w waiting) int {
	teller := *c
	switch {
	case letters == "":
		c.name = "s6-svwait"
		return c.svwait(w)
	case is.several:
		c.name = "s6-svlisten"
	default:
		c.name = "s6-svlisten1"
	}
	tell := func() error {
		_ = teller.control(is, letters, w.dirs) // how it ends is nobody's concern here; it has been said
		return nil
	}
	w.deed = func() int {
		if w.timeout == 0 {
			_ = tell()
		} else {
			_ = within(w.timeout, tell) // a supervisor that does not read can take for ever
		}
		return 0
	}
	return c.svlisten(w)
}

// control tells the supervisors of some directories. The exit code is that of the last one that could not be told.
func (c *call) control(is svc, letters string, dirs []string) int {
	code := 0
	kind, codeDeaf, codeBroken := "fatal", exitUsage, exitUsage
	if is.several {
		kind, codeDeaf, codeBroken = "warning", exitDeaf, exitRefused
	}
	for _, dir := range dirs {
		switch how, err := control(dir, superviseDir, letters); how {
		case deaf:
			c.say(kind, is.release.unableOf("control "+dir+": supervisor not listening"))
			code = codeDeaf
		case broken:
			c.say(kind, "something is wrong with the "+dir+"/"+superviseDir+" directory: "+strerror(err))
			code = codeBroken
		case failed:
			c.say(kind, "unable to control "+dir+": "+strerror(err))
			code = exitSystem
		}
	}
	return code
}
