package tools

import (
	"errors"
	"math"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

// exitTimeout says that the time was over.
const exitTimeout = 99

// state is that of a service, or one that is waited for. A service that is down is ready when its finish has ended, too.
type state struct{ up, ready bool }

// goalOf is what a letter of s6-svwait's waits for; with restart, to be down first.
func goalOf(letter byte) (goal state, restart bool) {
	switch letter {
	case 'd':
		return state{}, false
	case 'D':
		return state{ready: true}, false
	case 'U':
		return state{up: true, ready: true}, false
	case 'r':
		return state{up: true}, true
	case 'R':
		return state{up: true, ready: true}, true
	}
	return state{up: true}, false
}

// waiting is what is waited for, and in which services.
type waiting struct {
	goal          state
	restart, some bool // with some, one service is enough
	timeout       uint32
	dirs          []string
	release       release
	// deed is done when everything is listened to; nil for nothing. It is the exit code where it fails.
	deed func() int

	listeners []listener
	signals   int // where signals come as bytes
	end       int64
	// failed is how many services will never get there: they failed for good, or their supervisor ended.
	failed int
}

// listener is one service that is listened to.
type listener struct {
	state
	events int
	forget func()
	unread []byte
}

// readWaiting takes the options that waiting has in all three tools.
func (c *call) readWaiting() (w waiting, ok bool) {
	w.release = c.release()
	w.goal.up = true
	o := c.parse()
	for letter, ok := o.next(); ok; letter, ok = o.next() {
		switch letter {
		case 'a':
			w.some = false
		case 'o':
			w.some = true
		case 't':
			if w.timeout, ok = uint32Of(o.arg); !ok {
				return w, false
			}
		case unknown:
			return w, false
		default:
			w.goal, w.restart = goalOf(letter)
		}
	}
	w.dirs = o.rest()
	return w, true
}

func svwait(c *call) int {
	w, ok := c.readWaiting()
	if !ok {
		return c.wrongUsage()
	}
	if len(w.dirs) == 0 {
		if w.release.atLeast(2, 12) {
			return 0
		}
		return c.wrongUsage()
	}
	return c.svwait(w)
}

func (c *call) svwait(w waiting) int {
	return c.await(&w, state{}, c.someFailed)
}

func svlisten1(c *call) int {
	w, ok := c.readWaiting()
	if !ok || len(w.dirs) < 2 {
		return c.wrongUsage()
	}
	w.deed = c.spawner(w.dirs[1:])
	w.dirs = w.dirs[:1]
	return c.svlisten(w)
}

// svlisten waits as s6-svlisten does, or s6-svlisten1, whatever c is called.
func (c *call) svlisten(w waiting) int {
	return c.await(&w, state{ready: true}, func(failed int) int {
		if c.name == "s6-svlisten1" {
			return c.fatal(exitRefused, w.dirs[0]+" failed permanently or its supervisor died")
		}
		return c.someFailed(failed)
	})
}

func svlistenBlock(c *call) int {
	w, ok := c.readWaiting()
	if !ok || len(w.dirs) < 3 {
		return c.wrongUsage()
	}
	dirs, program, code := c.block(w.dirs)
	late := w.release.atLeast(2, 12) // then there may be no directory
	switch {
	case code != 0:
		return code
	case len(dirs) == 0 && !late, program != nil && len(program) == 0:
		return c.wrongUsage()
	case program == nil:
		return c.fatal(exitUsage, "unterminated servicedir block")
	case len(dirs) == 0:
		return c.execute(program)
	}
	if w.restart && w.some {
		letter := "r"
		if w.goal.ready {
			letter = "R"
		}
		w.some = false
		c.warn("-o is unsupported when combined with -" + letter + "- using -a instead")
	}
	w.dirs, w.deed = dirs, c.spawner(program)
	return c.svlisten(w)
}

// block takes an execline block from the words: each begins with a space, and an empty one ends it. Others belong to it,
// too, where EXECLINE_STRICT does not forbid it. Without an end, rest is nil.
func (c *call) block(args []string) (block, rest []string, code int) {
	text, _ := c.get("EXECLINE_STRICT")
	strict, _ := uint32Of(text)
	for i, word := range args {
		switch {
		case word == "":
			return block, args[i+1:], 0
		case word[0] == ' ':
			word = word[1:]
		case strict > 0:
			complaint := "unquoted argument " + word + " at block 1 position " + strconv.Itoa(i)
			if strict > 1 {
				return nil, nil, c.fatal(exitUsage, complaint)
			}
			c.warn(complaint)
		}
		block = append(block, word)
	}
	return block, nil, 0
}

// spawner starts a program beside the waiting. How that ends is nobody's concern.
func (c *call) spawner(program []string) func() int {
	return func() int {
		err := error(syscall.ENOENT)
		if program[0] != "" {
			_, err = c.spawn([][]string{program}, "", []int{0, 1, 2})
		}
		if err != nil {
			return c.unable(exitSystem, err, "spawn "+program[0])
		}
		return 0
	}
}

func (c *call) someFailed(failed int) int {
	return c.fatal(min(failed, 255), "some services reported permanent failure or their supervisor died")
}

// await listens, does the deed, and waits; where a restart is waited for, first for all services to be as down says.
func (c *call) await(w *waiting, down state, lost func(failed int) int) int {
	w.end = deadline(w.timeout)
	defer func() {
		for _, l := range w.listeners {
			l.forget()
		}
	}()
	var err error
	signals := []os.Signal{syscall.SIGCHLD}
	for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	if w.signals, err = trap(signals...); err != nil {
		return c.unable(exitSystem, err, "selfpipe_init")
	}
	if code := c.listenAll(w); code != 0 {
		return code
	}
	if w.deed != nil {
		if code := w.deed(); code != 0 {
			return code
		}
	}
	if w.restart {
		up, some := w.goal, w.some
		w.goal, w.some = down, false
		if code := c.loop(w, lost); code != 0 {
			return code
		}
		w.goal, w.some = up, some
	}
	return c.loop(w, lost)
}

func (c *call) listenAll(w *waiting) int {
	for _, dir := range w.dirs {
		events := dir + "/event"
		makeEvents(events) // mostly it is there
		fd, forget, err := listen(events)
		if err != nil {
			return c.unable(exitSystem, err, "subscribe to events for "+dir)
		}
		w.listeners = append(w.listeners, listener{events: fd, forget: forget})
		s, err := readStatus(dir, w.release) // after we listen, so that no change is missed
		if err != nil {
			return c.unable(exitSystem, err, "s6_svstatus_read")
		}
		w.listeners[len(w.listeners)-1].state = state{s.up(), s.ready}
	}
	return 0
}

// makeEvents makes an event directory for our group where there is none.
func makeEvents(path string) {
	if syscall.Mkdir(path, 0o700) != nil {
		return
	}
	// Who owns the directory around it may have put something else in its place.
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer syscall.Close(fd)
	var st syscall.Stat_t
	if syscall.Fstat(fd, &st) == nil && int(st.Uid) == os.Geteuid() && syscall.Fchown(fd, -1, os.Getegid()) == nil {
		_ = syscall.Fchmod(fd, 0o3730)
	}
}

// loop waits for the goal.
func (c *call) loop(w *waiting, lost func(failed int) int) int {
	polled := make([]pollFd, len(w.listeners)+1)
	for {
		if w.heard() {
			if w.failed > 0 {
				return lost(w.failed)
			}
			return 0
		}
		ms := -1
		if w.end != math.MaxInt64 {
			left := w.end - elapsed()
			if left <= 0 {
				return c.fatal(exitTimeout, "timed out")
			}
			ms = int(min((left+999_999)/1e6, math.MaxInt32))
		}
		polled[0] = pollFd{fd: int32(w.signals), events: pollIn}
		for i, l := range w.listeners {
			polled[i+1] = pollFd{fd: int32(l.events), events: pollIn}
		}
		if _, err := poll(polled, ms); err != nil && !errors.Is(err, syscall.EINTR) {
			return c.unable(exitSystem, err, "iopause")
		}
		if polled[0].result != 0 {
			w.trapped()
		}
		for i := range w.listeners {
			if polled[i+1].result != 0 {
				w.listeners[i].read()
			}
		}
	}
}

// read takes what a service has said.
func (l *listener) read() {
	var text [4096]byte
	for {
		n, err := syscall.Read(l.events, text[:])
		if n > 0 {
			l.unread = append(l.unread, text[:n]...)
		}
		if n <= 0 && !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}

// heard takes in what was read, up to the event that brings the goal, and says whether it is reached. What comes after that is left for the next goal.
func (w *waiting) heard() bool {
	if w.reached() {
		return true
	}
	for i := range w.listeners {
		l := &w.listeners[i]
		for len(l.unread) > 0 {
			event := l.unread[0]
			l.unread = l.unread[1:]
			w.hear(l, event)
			if w.reached() {
				return true
			}
		}
	}
	return false
}

// hear takes in one event.
func (w *waiting) hear(l *listener, event byte) {
	switch event {
	case 'x':
		// By s6's account a service counts as failed also where it only is readier than it has to be.
		if l.state != w.goal {
			w.failed++
		}
		l.state = w.goal
	case 'O':
		if w.goal.up {
			w.failed++
			l.state = w.goal
		}
	case 'd', 'D', 'u', 'U':
		l.state = state{event == 'u' || event == 'U', event == 'D' || event == 'U'}
	}
}

func (w *waiting) reached() bool {
	for _, l := range w.listeners {
		if there := l.up == w.goal.up && (l.ready || !w.goal.ready); there == w.some {
			return w.some
		}
	}
	return !w.some
}

// trapped reaps children, and ends as a signal would have ended us, but without leaving FIFOs that nobody reads.
func (w *waiting) trapped() {
	var numbers [64]byte
	n, _ := syscall.Read(w.signals, numbers[:])
	for _, number := range numbers[:max(n, 0)] {
		if s := syscall.Signal(number); s != syscall.SIGCHLD {
			for _, l := range w.listeners {
				l.forget()
			}
			signal.Reset(s)
			_ = syscall.Kill(os.Getpid(), s)
		}
	}
	for {
		if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 && !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}
