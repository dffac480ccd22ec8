package tools

import (
	"errors"
	"os/signal"
	"syscall"
	"time"
)

// The bounds of s6-log.
const (
	readSize     = 8191 // as much as the real one reads at once, so that files are rotated at the same lines
	leastLimit   = 48   // the shortest limit on lines
	defaultLimit = 8192
	pipePart     = 4096 // what a pipe takes at once, when it takes anything
)

// logger is s6-log: it reads lines, selects, and writes them where its script says. It is one loop around poll(2), as
// the real one: a slow stdout or processor holds up nothing else, but with block the reading.
type logger struct {
	*call
	script
	verbosity int
	protect   bool // SIGTERM does nothing
	block     bool // nothing is read while something is unwritten
	limit     int  // of a line; 0 for none
	mode      uint32
	zone      *time.Location

	line   []byte // the beginning of a line whose end was not read yet
	out    []byte // lines for stdout
	last   bool   // the line in hand is the last one
	ending bool   // nothing more is read
	wakes  int    // a signal came: its number is read here
}

func logLines(c *call) int {
	l := &logger{call: c, verbosity: 1, limit: defaultLimit, zone: time.Local}
	notify := -1
	o := c.parse()
	for letter, ok := o.next(); ok; letter, ok = o.next() {
		switch letter {
		case 'q':
			l.verbosity = max(l.verbosity-1, 0)
		case 'v':
			l.verbosity++
		case 'b':
			l.block = true
		case 'p':
			l.protect = true
		case 'l':
			var n uint32
			n, ok = uint32Of(o.arg)
			l.limit = int(n)
		case 'd':
			var n uint32
			if n, ok = uint32Of(o.arg); !ok {
				break
			}
			if notify = int(n); notify < 3 {
				return c.fatal(exitUsage, "notification fd must be 3 or more")
			}
			if err := isOpen(n); err != nil {
				return c.fatal(exitUsage, "invalid notification fd: "+strerror(err))
			}
		default:
			ok = false
		}
		if !ok {
			return c.wrongUsage()
		}
	}
	words := o.rest()
	if len(words) == 0 {
		return c.wrongUsage()
	}
	if l.limit > 0 {
		l.limit = max(l.limit, leastLimit)
	}
	mask := syscall.Umask(0)
	syscall.Umask(mask)
	l.mode = 0o666 &^ uint32(mask)
	if bad := l.check(words); bad != nil {
		return bad.code
	}
	if bad := l.read(words); bad != nil {
		return bad.code
	}
	var err error
	defaultActions()
	signal.Ignore(syscall.SIGPIPE) // who does not read any more is seen by the failure to write
	if l.wakes, err = trap(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGALRM, syscall.SIGCHLD); err != nil {
		return c.unable(exitSystem, err, "selfpipe_init")
	}
	if notify >= 0 {
		_, _ = syscall.Write(notify, []byte("\n")) // as the real one: who does not listen does not care
		_ = syscall.Close(notify)
	}
	if err := l.loop(); err != nil {
		return c.unable(exitSystem, err, "iopause")
	}
	l.finish()
	return 0
}

// complain says what could not be done, and will be tried again.
func (l *logger) complain(err error, doing string) {
	if l.verbosity > 0 {
		l.warnUnable(err, doing)
	}
}

// loop goes on until the input has ended and everything is written.
func (l *logger) loop() error {
	for {
		polled := []pollFd{{fd: int32(l.wakes), events: pollIn}}
		stdout, stdin := -1, -1
		if len(l.out) > 0 {
			stdout = len(polled)
			polled = append(polled, pollFd{fd: 1, events: pollOut})
		}
		wait, busy := l.schedule()
		busy = busy || stdout > 0
		if !l.ending && !(l.block && busy) {
			stdin = len(polled)
			polled = append(polled, pollFd{fd: 0, events: pollIn})
		}
		if l.ending && !busy {
			return nil
		}
		_, err := poll(polled, wait)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if polled[0].result != 0 && l.handleSignals() {
			continue
		}
		if stdout > 0 && polled[stdout].result != 0 {
			l.writeOut()
		}
		for _, d := range l.dirs {
			if d.busy() && d.stage != awaitProcessor && elapsed() >= d.due {
				d.flush()
			}
		}
		if stdin > 0 && polled[stdin].result != 0 {
			l.input()
		}
	}
}

// schedule is how long poll may wait for the directories' sake, in milliseconds, and whether they have anything to do. A
// file can always be written, so what is due is due at once.
func (l *logger) schedule() (wait int, busy bool) {
	wait = -1
	for _, d := range l.dirs {
		if !d.busy() {
			continue
		}
		busy = true
		if d.stage == awaitProcessor {
			continue
		}
		ms := int(max(0, d.due-elapsed()+999_999) / 1e6)
		if wait < 0 || ms < wait {
			wait = ms
		}
	}
	return wait, busy
}

// handleSignals says whether the loop is to begin anew, because the input has just ended.
func (l *logger) handleSignals() (again bool) {
	var numbers [64]byte
	n, _ := syscall.Read(l.wakes, numbers[:]) // it is never an error that there is none
	for _, number := range numbers[:max(n, 0)] {
		switch syscall.Signal(number) {
		case syscall.SIGALRM:
			for _, d := range l.dirs {
				if d.stage == writable && d.held > 0 {
					d.stage = syncCurrent
					d.rotate()
				}
			}
		case syscall.SIGTERM, syscall.SIGHUP:
			if l.protect && syscall.Signal(number) == syscall.SIGTERM {
				continue
			}
			l.last = true
			if len(l.line) == 0 {
				l.end()
				again = true
			}
		case syscall.SIGCHLD:
			l.reap()
		}
	}
	return again
}

func (l *logger) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		for _, d := range l.dirs {
			if d.child == pid {
				d.processorEnded(syscall.WaitStatus(status))
			}
		}
	}
}

// writeOut writes as much to stdout as it takes without waiting.
func (l *logger) writeOut() {
	n, err := syscall.Write(1, l.out[:min(len(l.out), pipePart)])
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
	case err != nil:
		l.warnUnable(err, "write to stdout, closing the stream - error was")
		_ = syscall.Close(1)
		l.out = nil
		for _, r := range l.rules {
			for _, a := range r.actions {
				if a.kind == toStdout {
					a.kind = toNowhere
				}
			}
		}
	default:
		l.out = l.out[n:]
	}
}

// end has nothing more read.
func (l *logger) end() {
	_ = syscall.Close(0) // who writes to us learns that nobody reads
	l.ending = true
}

// finish marks all directories as complete, however often that has to be tried.
func (l *logger) finish() {
	for {
		wait := -1
		for _, d := range l.dirs {
			if !d.ended && !d.finish() {
				wait = max(wait, min(int(d.retry), 2000))
			}
		}
		if wait < 0 {
			return
		}
		_, _ = poll(nil, wait) // nothing but the time
	}
}
