package api

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"sync"
	"time"

	"pintle/internal/engine"
)

// pour answers with what source yields, one line for each, until source or the
// peer ends it, the peer does not read, or the server ends. An error that comes
// before anything was sent is returned, and can be answered as such.
func pour[T any](s *Server, w http.ResponseWriter, r *request, source func(context.Context) iter.Seq2[T, error], show func(T) T) error {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := &stream{w: w, control: http.NewResponseController(w), timeout: s.tuning.write}
	// A peer that listens may say nothing for as long as it likes: the deadline for its request would end it.
	if err := out.control.SetReadDeadline(time.Time{}); err != nil {
		return engine.Errorf(engine.Internal, "cannot stream: %v", err)
	}
	var beats sync.WaitGroup
	defer beats.Wait()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()
	beats.Go(func() {
		tick := time.NewTicker(s.tuning.beat)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if out.beat() != nil {
					cancel()
					return
				}
			}
		}
	})
	var failed error
	for v, err := range source(ctx) {
		if err != nil {
			failed = err
			break
		}
		if out.send(show(v)) != nil {
			return nil // nobody reads
		}
	}
	if failed == nil && s.ending.Err() != nil {
		failed = engine.Errorf(engine.Unavailable, "cannot go on: pintle ends")
	}
	cancel()
	beats.Wait()
	if !out.begun {
		return failed
	}
	if failed != nil {
		out.send(errorLine{asError(failed)}) // it is the last line, whether it arrives or not
	}
	return nil
}

// stream writes lines to a peer, and gives it a bounded time to take each.
type stream struct {
	control *http.ResponseController
	timeout time.Duration

	mu    sync.Mutex // guards what follows: items and signs of life come from two goroutines
	w     http.ResponseWriter
	begun bool
}

func (s *stream) send(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(append(line, '\n'))
}

func (s *stream) beat() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write([]byte{'\n'})
}

func (s *stream) write(line []byte) error {
	s.begun = true
	if err := s.control.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
		return err
	}
	if _, err := s.w.Write(line); err != nil {
		return err
	}
	return s.control.Flush()
}
