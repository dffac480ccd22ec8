package supervisor

import "sync"

// event is something for the loop to do or to know.
type event func(*Supervisor)

// queue is a mailbox of the loop's. It is unbounded, so that to put never waits: the
// reaper puts while it holds the process table, which the loop may be waiting for.
type queue struct {
	mu     sync.Mutex
	events []event
	closed bool
	wake   chan struct{}
}

func newQueue() queue { return queue{wake: make(chan struct{}, 1)} }

// put adds an event; it tells whether that will be handled.
func (q *queue) put(e event) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.events = append(q.events, e)
	q.signal()
	return true
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take waits for events; open is false once the queue is closed and these are the last.
func (q *queue) take() (events []event, open bool) {
	for {
		q.mu.Lock()
		events, q.events = q.events, nil
		open = !q.closed
		q.mu.Unlock()
		if len(events) > 0 || !open {
			return events, open
		}
		<-q.wake
	}
}

// serve handles the events of a queue until it is closed.
func (s *Supervisor) serve(q *queue, handle func(event)) {
	for {
		events, open := q.take()
		for _, e := range events {
			handle(e)
		}
		if !open {
			return
		}
	}
}

// handle is one turn of the loop.
func (s *Supervisor) handle(e event) {
	if s.turn != nil {
		s.turn(func() { e(s) })
		return
	}
	e(s)
}
