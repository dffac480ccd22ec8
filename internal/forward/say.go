package forward

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// sayer says things, but the same kind of thing not all the time.
type sayer struct {
	out   func(string)
	quiet time.Duration

	mu    sync.Mutex
	heard map[string]heard
}

// heard is when a kind of thing was last said, and how often it has not been said since.
type heard struct {
	last   time.Time
	silent int
}

func newSayer(out func(string), quiet time.Duration) *sayer {
	if out == nil {
		out = func(string) {}
	}
	return &sayer{out: out, quiet: quiet, heard: map[string]heard{}}
}

// say says what is wrong, unless something of its kind was said within the quiet time.
func (s *sayer) say(kind, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, known := s.heard[kind]
	if known && now().Sub(h.last) < s.quiet {
		h.silent++
		s.heard[kind] = h
		return
	}
	if h.silent > 0 {
		text += fmt.Sprintf(" (and %d times before that)", h.silent)
	}
	s.heard[kind] = heard{last: now()}
	s.out(text)
}

// tell says that it is not wrong any more, where what was wrong was said, and nothing else was since.
func (s *sayer) tell(kind, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h, known := s.heard[kind]; known && h.silent >= 0 {
		s.heard[kind] = heard{last: h.last, silent: -1}
		s.out(text)
	}
}

// teller tells pintle what it would show of this run (sd_notify(3)).
type teller struct {
	path string
	last string
}

// tell says that the forwarder does its work, and how far it has come.
func (t *teller) tell(all []Counters) error {
	text := "READY=1\nSTATUS=" + statusText(all)
	if t.path == "" || text == t.last {
		return nil
	}
	name := t.path
	if strings.HasPrefix(name, "@") { // an abstract one
		name = "\x00" + name[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err == nil {
		_, err = c.Write([]byte(text))
		_ = c.Close() // what was sent stays sent
	}
	if err != nil {
		return fmt.Errorf("cannot tell pintle the status: %w", err)
	}
	t.last = text
	return nil
}

// statusText is the counters as one line.
func statusText(all []Counters) string {
	var parts []string
	for _, c := range all {
		text := fmt.Sprintf("%s: %d sent, %d queued, %d dropped, %d retries", c.Target, c.Sent, c.Queued, c.Dropped, c.Retries)
		if c.Failing {
			text += ", " + c.LastError
		}
		parts = append(parts, strings.ReplaceAll(text, "\n", " "))
	}
	return strings.Join(parts, "; ")
}
