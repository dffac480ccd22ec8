package boot

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"pintle/internal/logs"
	"pintle/internal/unit"
)

// speaker is what pintle itself says on the container's standard error, a line at
// a time. While units run, its lines go the way of theirs, so that a reader of
// the container's output who has stalled holds up nothing.
type speaker struct {
	log *slog.Logger

	mu    sync.Mutex
	out   func(line string)
	known []string // the conditions that have been said
}

func newSpeaker(out func(line string)) *speaker {
	s := &speaker{out: out}
	s.log = slog.New(s)
	return s
}

// utter says a text on the standard error itself, as before there is a console, and when there is none any more.
func (c *container) utter(text string) { utter(c.o.Stderr, c.format, text) }

// utter writes a text to w, as pintle's, and waits only so long for a reader who has
// stalled: a container must end also when nobody reads what it prints.
func utter(w io.Writer, format unit.ConsoleFormat, text string) {
	written := make(chan struct{})
	go func() {
		defer close(written)
		fmt.Fprintln(w, logs.Words(format, now(), text))
	}()
	select {
	case <-written:
	case <-time.After(drainLogs):
	}
}

// through makes s hand its lines to out.
func (s *speaker) through(out func(line string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = out
}

// Enabled implements slog.Handler.
func (s *speaker) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

// Handle implements slog.Handler: pintle's records are sentences, without attributes.
func (s *speaker) Handle(_ context.Context, r slog.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out(r.Message)
	return nil
}

// WithAttrs implements slog.Handler.
func (s *speaker) WithAttrs([]slog.Attr) slog.Handler { return s }

// WithGroup implements slog.Handler.
func (s *speaker) WithGroup(string) slog.Handler { return s }

// conditions says which conditions are new and which are over.
func (s *speaker) conditions(now []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range now {
		if !slices.Contains(s.known, c) {
			s.out("condition: " + c)
		}
	}
	for _, c := range s.known {
		if !slices.Contains(now, c) {
			s.out("condition over: " + c)
		}
	}
	s.known = slices.Clone(now)
}

// sayEvery is how often it is said again that main waits.
const sayEvery = 30 * time.Second

// sayMainWaits says what the main program waits for, as long as it has not begun.
func (c *container) sayMainWaits() {
	for wait := sayAfter; ; wait = sayEvery {
		select {
		case <-time.After(wait):
		case <-c.units.Over():
			return
		case <-c.ended:
			return
		}
		main, err := c.units.Get(context.Background(), unit.MainName)
		if err != nil || main.State != unit.Waiting {
			return
		}
		c.sayAloud("the main program has not started yet: " + main.Because)
	}
}

// mostNamed is how many units one sentence names.
const mostNamed = 10

// tookBack says which leases were not waited for.
func tookBack(names []unit.Name) string {
	what, others := "lease", ""
	if len(names) > 1 {
		what = "leases"
	}
	if more := len(names) - mostNamed; more > 0 {
		names, others = names[:mostNamed], fmt.Sprintf(" and %d more", more)
	}
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = string(name)
	}
	return fmt.Sprintf("took back the %s of this container's earlier life: %s%s", what, strings.Join(texts, ", "), others)
}

// sayAloud says what must be read on main's terminal too, where the console is silent.
func (c *container) sayAloud(text string) {
	c.say.log.Info(text)
	if c.terminal != nil {
		c.utter(text)
	}
}
