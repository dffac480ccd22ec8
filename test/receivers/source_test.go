// Package receivers_test holds pintle forward to what receives its lines: rsyslog, and the published Go types of OTLP's
// and Loki's protocols. It is a module of its own, because those are many, and nothing of them belongs into pintle.
package receivers_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/forward"
	"pintle/internal/unit"
)

// source is an engine with one unit, web, that can be written to while it is read.
type source struct {
	engine.Engine

	mu     sync.Mutex
	lines  []engine.Line
	change chan struct{} // closed and made anew
}

func newSource() *source { return &source{change: make(chan struct{})} }

// began is the time of the first line; the next ones are a millisecond apart.
var began = time.Date(2026, 11, 23, 9, 24, 10, 123_456_000, time.UTC)

// write adds lines to stdout.
func (s *source) write(texts ...string) {
	for _, text := range texts {
		s.add(engine.Line{Stream: engine.Stdout, Text: text})
	}
}

// add adds a line, and gives it unit, run, number and time.
func (s *source) add(l engine.Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.Unit, l.Run, l.Seq = "web", 3, uint64(len(s.lines)+1)
	if l.Time.IsZero() {
		l.Time = began.Add(time.Duration(len(s.lines)) * time.Millisecond)
	}
	s.lines = append(s.lines, l)
	close(s.change)
	s.change = make(chan struct{})
}

// writeNumbered writes lines "FROM ", "FROM+1 " … TO, a few at a time.
func (s *source) writeNumbered(from, to int) {
	for i := from; i <= to; i++ {
		s.write(fmt.Sprintf("line %d", i))
	}
}

func (s *source) Watch(ctx context.Context) iter.Seq2[engine.Status, error] {
	return func(yield func(engine.Status, error) bool) {
		if yield(engine.Status{Name: "web", Kind: unit.Service, State: unit.Up}, nil) {
			<-ctx.Done()
		}
	}
}

func (s *source) Logs(ctx context.Context, req engine.LogRequest) iter.Seq2[engine.Line, error] {
	return func(yield func(engine.Line, error) bool) {
		for place := req.After; ; {
			s.mu.Lock()
			change, news := s.change, s.lines[place:]
			s.mu.Unlock()
			for _, l := range news {
				place = l.Seq
				if !yield(l, nil) {
					return
				}
			}
			select {
			case <-change:
			case <-ctx.Done():
				return
			}
		}
	}
}

// forwarder is one that runs until the test ends, or end is called.
type forwarder struct {
	*forward.Forwarder
	end func()
}

func startForwarder(t *testing.T, s *source, url string, change func(*forward.Options)) *forwarder {
	t.Helper()
	target, err := forward.ParseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	o := forward.Options{
		Engine: s, Targets: []forward.Target{target}, Host: "alpha", Queue: 4 << 20,
		Say: func(text string) { t.Log(text) },
	}
	if change != nil {
		change(&o)
	}
	f, err := forward.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	end := sync.OnceFunc(func() { cancel(); <-over })
	t.Cleanup(end)
	return &forwarder{f, end}
}

// eventually waits for something to be so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came to %s", what)
		}
	}
}
