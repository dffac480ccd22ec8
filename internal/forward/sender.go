package forward

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// receiver is the other end of a route, as its sender sees it.
type receiver interface {
	// send hands over entries. An error means that none of what is not settled can be relied on: it is to be sent again;
	// unless it is a *refusal.
	send(ctx context.Context, batch []entry) error
	// settled says how many more of the entries, in their order, have arrived as far as one can know. An error is as with
	// send.
	settled() (int, error)
	// close lets go of what is open.
	close()
}

// refusal is a receiver's answer that it will never take what it was sent.
type refusal struct {
	// lines is how many it does not take; negative: all.
	lines int
	cause string
}

func (r *refusal) Error() string { return r.cause }

// tooLarge is a receiver's answer that it does not take so much at once.
type tooLarge struct{ cause string }

func (l *tooLarge) Error() string { return l.cause }

// notNow is a failure after which the receiver asks to be left alone for a time.
type notNow struct {
	after time.Duration
	cause string
}

func (n *notNow) Error() string { return n.cause }

// mostPatience is how long a receiver can ask to be left alone.
const mostPatience = 5 * time.Minute

// Counters is what became of the lines for one target.
type Counters struct {
	// Target is its URL.
	Target string
	// Sent counts the lines that have arrived, Dropped those that never will.
	Sent, Dropped uint64
	// Queued is how many lines wait or are under way, QueuedBytes the memory that they take.
	Queued      int
	QueuedBytes int64
	// Retries counts the attempts that failed and were made again.
	Retries uint64
	// LastError is why the last attempt failed, and Failing is set until one succeeds.
	LastError string
	Failing   bool
}

// sender takes lines out of a queue and hands them to a receiver until that has them.
type sender struct {
	f        *Forwarder
	target   Target
	queue    *queue
	receiver receiver
	// linger is how long lines gather, pause the time between two batches, and batch the size of one, which is most unless
	// the receiver does not take that.
	linger, pause time.Duration
	batch, most   int64

	failures int       // in a row
	since    time.Time // of the first of them
	refusals int       // of whole batches, in a row

	mu   sync.Mutex // guards tell
	tell Counters
}

func newSender(f *Forwarder, target Target, q *queue) *sender {
	s := &sender{f: f, target: target, queue: q, batch: f.t.batch, tell: Counters{Target: target.Name}}
	switch target.Protocol {
	case "syslog":
		s.receiver = newSyslog(target, f.o.Host, f.t)
	case "otlp":
		s.receiver = newPoster(target, otlp{host: f.o.Host, labels: target.Labels}, f.t)
	default:
		s.receiver = newPoster(target, loki{labels: target.Labels}, f.t)
	}
	switch target.Transport {
	case "http", "https":
		s.linger = f.t.linger
	case "udp": // nobody tells a sender that it is too fast
		s.batch, s.pause = min(s.batch, 16<<10), 10*time.Millisecond
	}
	s.most = s.batch
	return s
}

// run sends until the queue has ended and is empty, or ctx ends.
func (s *sender) run(ctx context.Context) {
	defer s.receiver.close()
	var next, full time.Time // when a batch may go, and a full one
	for ctx.Err() == nil {
		n, err := s.receiver.settled()
		if n > 0 {
			s.arrived(s.queue.confirm(n))
		}
		if err != nil {
			s.failed(ctx, err)
			continue
		}
		flying, waiting, ended := s.queue.look()
		begin := next
		if ended || waiting >= s.batch {
			begin = full
		}
		switch {
		case waiting == 0 && !flying && ended:
			return
		case waiting == 0 && flying:
			wait(s.f.t.settle/8, ctx.Done(), s.queue.news)
			continue
		case waiting == 0:
			wait(time.Hour, ctx.Done(), s.queue.news)
			continue
		}
		if d := begin.Sub(now()); d > 0 {
			wait(d, ctx.Done(), s.queue.news)
			continue
		}
		batch := s.queue.take(s.batch)
		err = s.receiver.send(ctx, batch)
		next, full = now().Add(max(s.linger, s.pause)), now().Add(s.pause)
		if large, ok := errors.AsType[*tooLarge](err); ok && len(batch) > 1 {
			s.split(batch)
			next = full
		} else if ok {
			s.refused(ctx, batch, &refusal{lines: -1, cause: large.cause})
		} else if no, ok := errors.AsType[*refusal](err); ok {
			s.refused(ctx, batch, no)
		} else if err != nil {
			s.failed(ctx, err)
		}
	}
}

// split has a batch be sent again as two at least. Larger ones are tried again little by little.
func (s *sender) split(batch []entry) {
	size := int64(0)
	for i := range batch {
		size += batch[i].size()
	}
	s.batch = max(size/2, 1)
	s.queue.rewind(false)
	s.change(func(c *Counters) { c.Retries++ })
}

// arrived counts lines that the receiver has, and remembers them as such.
func (s *sender) arrived(entries []entry) {
	sent := uint64(0)
	for _, e := range entries {
		if e.lost == 0 {
			sent++
		}
	}
	s.refusals = 0
	s.batch = min(s.batch+s.batch/16+1, s.most)
	s.f.cursors.passed(s.target.Name, entries)
	s.change(func(c *Counters) { c.Sent += sent; c.Failing = false })
	if s.failures > 0 {
		s.f.says.tell(s.key(), fmt.Sprintf("%s takes lines again, after %s", s.target.Name, now().Sub(s.since).Round(time.Second)))
		s.failures = 0
	}
}

// refused gives up what the receiver will never take. One that refuses everything is asked more and more rarely, so that
// little is given up until somebody looks at it.
func (s *sender) refused(ctx context.Context, batch []entry, no *refusal) {
	lines := 0
	for _, e := range batch {
		if e.lost == 0 {
			lines++
		}
	}
	sent := 0
	if no.lines >= 0 {
		sent = max(lines-no.lines, 0)
		lines -= sent
	}
	s.f.cursors.passed(s.target.Name, s.queue.refuse(len(batch), uint64(lines)))
	s.change(func(c *Counters) { c.Sent += uint64(sent); c.LastError = no.cause })
	if lines > 0 {
		s.f.says.say(s.target.Name+" refuses", fmt.Sprintf("cannot forward %d lines to %s, which are dropped: %s", lines, s.target.Name, no.cause))
	}
	if no.lines >= 0 {
		s.refusals = 0
		return
	}
	s.refusals++
	s.rest(ctx, backoff(s.refusals, s.f.t.first, s.f.t.most))
}

// failed has all that is under way be sent again, after a time.
func (s *sender) failed(ctx context.Context, err error) {
	s.queue.rewind(true)
	if s.failures++; s.failures == 1 {
		s.since = now()
	}
	s.change(func(c *Counters) { c.Retries++; c.LastError, c.Failing = err.Error(), true })
	s.f.says.say(s.key(), fmt.Sprintf("cannot forward to %s: %v; its lines wait", s.target.Name, err))
	d := backoff(s.failures, s.f.t.first, s.f.t.most)
	if later, ok := errors.AsType[*notNow](err); ok {
		d = max(d, min(later.after, mostPatience))
	}
	s.rest(ctx, d)
}

// rest waits for so long; where the end was asked for, not for long.
func (s *sender) rest(ctx context.Context, d time.Duration) {
	ending := s.queue.ending
	select {
	case <-ending: // little time is left
		ending, d = nil, min(d, s.f.t.first)
	default:
	}
	wait(d, ctx.Done(), ending)
}

func (s *sender) key() string { return s.target.Name + " fails" }

func (s *sender) change(what func(*Counters)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what(&s.tell)
}

func (s *sender) counters() Counters {
	s.mu.Lock()
	c := s.tell
	s.mu.Unlock()
	c.Queued, c.QueuedBytes, c.Dropped = s.queue.held()
	return c
}
