package logs

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// consoleMost bounds the bytes that wait for the console, those in the hands of its writers included. Units that wait
// for it may have more there, each what one read has brought.
const consoleMost = 1 << 20

// How long units may go on waiting for the console once the container's stop has begun, and once the book is closed.
const (
	consoleStopping = time.Second
	consoleClosing  = 200 * time.Millisecond
)

// console shows lines on the container's standard error, or on its standard output and error, which may block. Lines
// are queued, and what cannot be queued is dropped and counted; a line at that place says how many were dropped.
//
// The room is shared fairly, and without a look at who else is there: a unit may have as much of it, with either outlet,
// as is left free for all others. So one that floods gets half of it, two get a third each, and one that says little always finds room.
// What pintle says has a share of its own.
type console struct {
	now    func() time.Time
	format unit.ConsoleFormat // of units that have none of their own; never empty
	err    *outlet
	out    *outlet // where stdout's lines go: the same as err, or another one

	mu     sync.Mutex // never held while anything is written, or ready called
	own    share
	used   int      // bytes in the queues and in the hands of the writers
	paused []*share // those whose unit should wait
	hasty  bool     // nobody waits any more
	stamp  stamp
}

// consoleLine is a line as the console gets it.
type consoleLine struct {
	run, seq uint64 // seq 0: it has none
	time     int64  // microseconds since 1970
	stream   string
	partial  bool
	text     []byte
}

// share is one unit's part in the console.
type share struct {
	console *console
	name    unit.Name // empty: pintle's own
	ready   func()    // its captures may go on

	// console.mu guards what follows.
	format unit.ConsoleFormat // empty: the console's
	wait   bool
	held   [2]int    // by outlet: bytes of its lines in the queue and in the hands of the writer
	paused bool      // add has said so, and ready has not been called since
	tally  [2]tally  // by outlet
	prefix [2]string // by outlet; empty until it is needed
}

// tally is what has come to an outlet since its writer last looked.
type tally struct {
	queued  int // bytes
	dropped int // lines
}

// newConsole makes a console of o.Console and o.ConsoleOut.
func newConsole(o Options, now func() time.Time) *console {
	c := &console{now: now, format: o.ConsoleFormat}
	if c.format == "" {
		c.format = unit.ConsolePrefixed
	}
	c.err = newOutlet(c, 0, o.Console, o.ConsoleColour)
	c.out = c.err
	if o.ConsoleOut != nil && !sameFile(o.Console, o.ConsoleOut) {
		c.out = newOutlet(c, 1, o.ConsoleOut, o.ConsoleColour)
	}
	c.own = share{console: c}
	return c
}

// sameFile tells whether two writers end at the same place: lines keep their order only in one queue.
func sameFile(a, b io.Writer) bool {
	f, ok := a.(*os.File)
	g, ok2 := b.(*os.File)
	if !ok || !ok2 {
		return a == b
	}
	one, err := f.Stat()
	other, err2 := g.Stat()
	return err == nil && err2 == nil && os.SameFile(one, other)
}

// outlets are those there are.
func (c *console) outlets() []*outlet {
	if c.out == c.err {
		return []*outlet{c.err}
	}
	return []*outlet{c.err, c.out}
}

// join gives a unit its share. Where add has said that its captures should pause, ready is called once they may go on;
// by any goroutine, which holds no lock, and perhaps before add's caller has seen what add returned.
func (c *console) join(name unit.Name, ready func()) *share {
	return &share{console: c, name: name, ready: ready}
}

// configure has the unit's lines be shown so from now on.
func (s *share) configure(format unit.ConsoleFormat, wait bool) {
	c := s.console
	c.mu.Lock()
	defer c.mu.Unlock()
	s.format, s.wait = format, wait
	if s.paused && !wait {
		go c.letGo() // who configures may hold what ready needs
	}
}

// add queues a line of the unit's, or of pintle's own about it (the stream is Own), or drops it. It never waits. It
// tells whether the unit should: then what it writes should not be read before ready is called. What comes all the same is
// queued.
func (s *share) add(l *consoleLine) (pause bool) {
	c := s.console
	c.mu.Lock()
	defer c.mu.Unlock()
	format, o, payer := c.formatOf(s, l), c.err, s
	switch l.stream {
	case Own:
		payer = &c.own // a unit that floods must not hide what is said about it
	case engine.Stdout:
		o = c.out
	}
	if format == unit.ConsoleNone || o.dead {
		return false
	}
	if o.problem != nil {
		o.drop(&c.own) // as all the others that it could not write
	} else {
		o.queueLine(payer, s, format, l)
	}
	if !o.busy && (o.problem == nil || !c.now().Before(o.retry)) {
		o.start()
	}
	if !payer.paused && payer.over() {
		payer.paused = true
		c.paused = append(c.paused, payer)
	}
	return payer.paused
}

// waits tells whether the unit waits for the console rather than have lines be dropped. The caller holds console.mu.
func (s *share) waits() bool { return s.wait && !s.console.hasty }

// over tells whether the unit should wait. The caller holds console.mu.
func (s *share) over() bool {
	return s.waits() && max(s.held[0], s.held[1]) > consoleMost-s.console.used
}

// formatOf is how a line is shown. What pintle says is shown in any case, if not as the unit's lines then as all others.
// The caller holds c.mu.
func (c *console) formatOf(s *share, l *consoleLine) unit.ConsoleFormat {
	format := s.format
	if format == "" || format == unit.ConsoleNone && l.stream == Own {
		format = c.format
	}
	if format == unit.ConsoleNone && l.stream == Own {
		format = unit.ConsolePrefixed
	}
	return format
}

// say shows a line that belongs to no unit.
func (c *console) say(text string) {
	c.own.add(&consoleLine{time: c.now().UnixMicro(), stream: Own, text: []byte(text)})
}

// appendLine appends a line as it is shown on an outlet. The caller holds c.mu.
func (c *console) appendLine(b []byte, o *outlet, s *share, format unit.ConsoleFormat, l *consoleLine) []byte {
	switch own := l.stream == Own; {
	case format == unit.ConsoleJSON:
		b = appendJSON(b, s.name, c.stamp.of(l.time), l)
	case format == unit.ConsoleRaw && own:
		b = appendWords(b, s.name, l.text)
	case format == unit.ConsoleRaw:
		b = append(b, l.text...)
	default:
		if own {
			b = append(b, ownPrefix(o.coloured)...)
			if s.name != "" {
				b = append(b, s.name...)
				b = append(b, ": "...)
			}
		} else {
			p := &s.prefix[o.index]
			if *p == "" {
				*p = prefix(string(s.name), o.coloured)
			}
			b = append(b, *p...)
		}
		if o.terminal {
			b = appendClean(b, l.text)
		} else {
			b = append(b, l.text...)
		}
	}
	return append(b, '\n')
}

// appendGap appends the line that stands for those of a unit that were dropped. The caller holds c.mu.
func (c *console) appendGap(b []byte, o *outlet, s *share, n int) []byte {
	text := fmt.Sprintf("%d lines were not shown here: the console did not keep up", n)
	if n == 1 {
		text = "1 line was not shown here: the console did not keep up"
	}
	l := &consoleLine{time: c.now().UnixMicro(), stream: Own, text: []byte(text)}
	return c.appendLine(b, o, s, c.formatOf(s, l), l)
}

// resume takes those units off the list of the paused that may go on, and returns what tells them. The caller holds
// c.mu, and calls that once it does not any more.
func (c *console) resume() []func() {
	var ready []func()
	c.paused = slices.DeleteFunc(c.paused, func(s *share) bool {
		if s.over() {
			return false
		}
		s.paused = false
		ready = append(ready, s.ready)
		return true
	})
	return ready
}

// letGo tells those that may go on.
func (c *console) letGo() {
	c.mu.Lock()
	ready := c.resume()
	c.mu.Unlock()
	for _, tell := range ready {
		tell()
	}
}

// hasten has nobody wait for the console any more once d is over: what does not fit then is dropped, and counted.
func (c *console) hasten(d time.Duration) *time.Timer { return after(d, c.hurry) }

// hurry does so at once.
func (c *console) hurry() {
	c.mu.Lock()
	c.hasty = true
	c.mu.Unlock()
	c.letGo()
}

// flush waits until all is written, or cannot be, or ctx ends; it returns how many lines were not.
func (c *console) flush(ctx context.Context) int {
	left := 0
	for _, o := range c.outlets() {
		left += o.flush(ctx)
	}
	return left
}

// conditions says what is wrong with the console.
func (c *console) conditions() []engine.Condition {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []engine.Condition
	for _, o := range c.outlets() {
		what := "the console"
		if o != c.err {
			what = "the console's standard output"
		}
		switch {
		case o.problem == nil:
		case o.dead:
			list = append(list, engine.Conditionf(engine.ConsoleClosed, "%s is closed, and shows no output any more: %v", what, o.problem))
		default:
			list = append(list, engine.Conditionf(engine.ConsoleLossy, "%s cannot be written to, and misses lines: %v", what, o.problem))
		}
	}
	return list
}

// isTerminal tells whether what is written there is seen on a terminal, which obeys what it reads.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	terminal := false
	err = conn.Control(func(fd uintptr) { // f.Fd would change the mode of a description that others share
		_, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		terminal = err == nil
	})
	return err == nil && terminal
}

// Say shows a line of pintle's own that belongs to no unit on the console, and only there. It never waits: what is
// said this way takes its turn behind the lines of the units, and cannot be held up by a stalled console.
func (b *Book) Say(text string) {
	if b.console != nil {
		m := b.mask.Load()
		for line := range strings.Lines(text) {
			line := []byte(strings.TrimSuffix(line, "\n"))
			line, _ = m.apply(line, 0, len(line), nil)
			b.console.say(string(line))
		}
	}
}

// Stopping is told that the container's stop has begun. Units that wait for the console may do so for a second more, but
// then not hold up the stop.
func (b *Book) Stopping() {
	if b.console != nil {
		b.console.hasten(consoleStopping)
	}
}
