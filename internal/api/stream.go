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
func pour[T, W any](s *Server, w http.ResponseWriter, r *request, source func(context.Context) iter.Seq2[T, error], show func(T) W) error {
	w.Header().Set("Content-Type", "application/x-ndjson")
	control := http.NewResponseController(w)
	// A peer that listens may say nothing for as long as it likes: the deadline for its request would end it.
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		return engine.Errorf(engine.Internal, "cannot stream: %v", err)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()
	out := newStream(w, control, s.tuning, cancel)
	var failed error
	for v, err := range source(ctx) {
		if err != nil {
			failed = err
			break
		}
		if out.send(show(v)) != nil {
			break // nobody reads
		}
	}
	if failed == nil && s.ending.Err() != nil {
		failed = engine.Errorf(engine.Unavailable, "cannot go on: pintle ends")
	}
	if failed != nil && out.begun() {
		out.send(errorLine{asError(failed)}) // it is the last line, whether it arrives or not
		failed = nil
	}
	out.close()
	return failed
}

// mostPending is how much may wait to be written: who yields more waits for the peer.
const mostPending = 32 << 10

// stream writes lines to a peer, and gives it a bounded time to take them. What comes while others are being written
// is written with one call: each line leaves at once, and a flood costs no call for each.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	tuning  tuning
	// cancel is called when the peer does not read.
	cancel context.CancelFunc
	// wake holds one token while there is something to do for the writer.
	wake  chan struct{}
	ended chan struct{} // closed when the writer has

	mu      sync.Mutex // guards what follows
	room    sync.Cond  // its lock is mu: what was pending is taken, or the writer has failed
	pending []byte
	any     bool // something was sent
	closed  bool // nothing more will be
	failed  error
}

func newStream(w http.ResponseWriter, control *http.ResponseController, t tuning, cancel context.CancelFunc) *stream {
	s := &stream{w: w, control: control, tuning: t, cancel: cancel, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	s.room.L = &s.mu
	go s.run()
	return s
}

// send has v be written as a line. The error is of an earlier one.
func (s *stream) send(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending) > mostPending && s.failed == nil {
		s.room.Wait()
	}
	if s.failed != nil {
		return s.failed
	}
	s.pending, s.any = append(append(s.pending, line...), '\n'), true
	s.rouse()
	return nil
}

// begun tells whether anything was sent: an error can't be the answer any more. If not, there will be no sign of life
// either.
func (s *stream) begun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = !s.any
	return s.any
}

// close returns when all has been written, or the peer does not read.
func (s *stream) close() {
	s.mu.Lock()
	s.closed = true
	s.rouse()
	s.mu.Unlock()
	<-s.ended
}

// rouse has the writer look. The caller holds s.mu.
func (s *stream) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run is the writer. Nobody else touches the answer before it has ended.
func (s *stream) run() {
	defer close(s.ended)
	tick := time.NewTicker(s.tuning.beat)
	defer tick.Stop()
	var spare []byte
	for {
		beat := false
		select {
		case <-s.wake:
		case <-tick.C:
			beat = true
		}
		s.mu.Lock()
		lines, closed := s.pending, s.closed
		if beat && len(lines) == 0 && !closed {
			lines, s.any = append(lines, '\n'), true
		}
		s.pending = spare[:0]
		s.room.Broadcast()
		s.mu.Unlock()
		if len(lines) > 0 {
			if err := s.write(lines); err != nil {
				s.fail(err)
				return
			}
		}
		if closed {
			return
		}
		if spare = lines; cap(spare) > 2*mostPending {
			spare = nil // of one long line: the next is a short one
		}
	}
}

func (s *stream) write(lines []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(s.tuning.write)); err != nil {
		return err
	}
	if _, err := s.w.Write(lines); err != nil {
		return err
	}
	return s.control.Flush()
}

func (s *stream) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = err
	s.room.Broadcast()
	s.cancel()
}
