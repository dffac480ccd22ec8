// Package forward sends what units write to where logs are gathered: syslog (RFC 5424
// over UDP, TCP and unix sockets), OTLP over HTTP, and Loki. It is a client of the
// engine like everybody else, and belongs to an ordinary process of an ordinary user.
//
// It promises that a target gets the lines of each unit in their order, at least once
// each: what a receiver has not taken is sent again until it does, and what could not
// be sent is counted, and told to the receiver itself in the place where it is missing.
// Targets know nothing of each other, so that one that is down or slow holds up no
// other, and none holds up pintle: each has a queue of bounded size. While its receiver
// takes lines, a full queue has reading wait, because pintle keeps what is not read yet;
// while it takes none, the oldest lines make room. With a file for cursors, the next
// forwarder goes on where this one was.
//
// It does not promise that a line arrives once only. Over UDP nobody says whether a
// datagram came; over TCP syslog has no acknowledgement, so that lines which the
// receiver's kernel had taken for longer than a second when it was killed are lost.
// Its own output is never forwarded: a line about a line would have no end.
package forward

import (
	"context"
	"sync"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// MinQueue is the smallest queue, in bytes: it has room for the longest line several times.
const MinQueue = 256 << 10

// Options is what a Forwarder needs.
type Options struct {
	Engine engine.Engine
	// Targets are where lines go; at least one.
	Targets []Target
	// Match tells which units are forwarded; nil: all.
	Match func(engine.Status) bool
	// Self is the unit whose run this process is, which is never forwarded; "" where it is no unit's.
	Self unit.Name
	// Host is the name of this container or machine.
	Host string
	// Queue bounds the memory of each target's lines, in bytes; it is no less than MinQueue.
	Queue int64
	// Cursors is the file that tells the next forwarder where to go on; "": there is none.
	Cursors string
	// NotifySocket is where pintle hears what a run says of itself; "": nowhere.
	NotifySocket string
	// Say is told in a sentence what somebody who looks should know. It is called by several goroutines.
	Say func(string)
}

// tuning is how patient a forwarder is.
type tuning struct {
	// first and most are the first and the longest time between two attempts.
	first, most time.Duration
	// linger is the time in which lines gather for one request.
	linger time.Duration
	// settle is how long a line that no receiver acknowledges can be called back.
	settle time.Duration
	// attempt bounds the time for one attempt to hand lines over.
	attempt time.Duration
	// grace is how long what is queued may take to be sent after the end was asked for.
	grace time.Duration
	// quiet is the time between two sentences about the same thing.
	quiet time.Duration
	// keep is the time between two looks at what is to be kept and told: cursors and status.
	keep time.Duration
	// gather is the time in which units that come are gathered for one stream, and streams is how many of those all targets
	// may have together.
	gather  time.Duration
	streams int
	// batch is what one attempt hands over, in bytes.
	batch int64
}

func defaultTuning() tuning {
	return tuning{
		first: 500 * time.Millisecond, most: 30 * time.Second,
		linger: time.Second, settle: time.Second, attempt: 15 * time.Second, grace: 4 * time.Second,
		quiet: time.Minute, keep: time.Second,
		// A user who is no owner has 64 connections to pintle's socket; a stream of a thousand units needs two.
		gather: 100 * time.Millisecond, streams: 24,
		batch: 1 << 20,
	}
}

// Forwarder sends lines to targets.
type Forwarder struct {
	o       Options
	t       tuning
	says    *sayer
	cursors *cursors
	routes  []*route
	ready   chan struct{} // closed once the engine has answered
	begun   func()        // closes ready, once
}

// New makes a Forwarder, which reads and sends nothing yet.
func New(o Options) (*Forwarder, error) { return newForwarder(o, defaultTuning()) }

func newForwarder(o Options, t tuning) (*Forwarder, error) {
	if o.Match == nil {
		o.Match = func(engine.Status) bool { return true }
	}
	o.Queue = max(o.Queue, MinQueue)
	t.batch = min(t.batch, o.Queue/2)
	f := &Forwarder{o: o, t: t, says: newSayer(o.Say, t.quiet), ready: make(chan struct{})}
	f.begun = sync.OnceFunc(func() { close(f.ready) })
	var err error
	if f.cursors, err = openCursors(o.Cursors); f.cursors == nil {
		return nil, err
	} else if err != nil {
		f.says.say("cursors", err.Error())
	}
	// Twice as many are open while units leave some of them.
	streams := min(max(t.streams/2/max(len(o.Targets), 1), 1), 8)
	for _, target := range o.Targets {
		f.routes = append(f.routes, newRoute(f, target, streams))
	}
	return f, nil
}

// Run forwards until ctx ends; then it sends what it still can in a few seconds, and returns nil.
func (f *Forwarder) Run(ctx context.Context) error {
	late, cancel := afterwards(ctx, f.t.grace)
	defer cancel()
	var senders, keeper sync.WaitGroup
	for _, r := range f.routes {
		senders.Go(func() { r.sender.run(late) })
		r.reader.Go(func() { newReader(r).run(ctx) })
	}
	kept := make(chan struct{})
	keeper.Go(func() { f.keep(kept) })

	f.watch(ctx)
	for _, r := range f.routes {
		r.reader.Wait()
		r.queue.end()
	}
	senders.Wait()
	close(kept)
	keeper.Wait()
	f.cursors.close()
	return nil
}

// watch follows the units that there are and those that come, until ctx ends.
func (f *Forwarder) watch(ctx context.Context) {
	for failures := 1; ctx.Err() == nil; failures++ {
		for s, err := range f.o.Engine.Watch(ctx) {
			if err != nil {
				f.says.say("watch", "cannot see which units there are: "+err.Error())
				break
			}
			f.begun()
			failures = 0
			if s.Name == f.o.Self || !f.o.Match(s) {
				continue
			}
			for _, r := range f.routes {
				r.saw(s)
			}
		}
		wait(backoff(failures, f.t.first, f.t.most), ctx.Done(), nil)
	}
}

// keep writes cursors and status down as they change, until done is closed, and then once more.
func (f *Forwarder) keep(done <-chan struct{}) {
	told := &teller{path: f.o.NotifySocket}
	for over := false; ; {
		if err := f.cursors.save(); err != nil {
			f.says.say("cursors", err.Error())
		}
		select {
		case <-f.ready:
			if err := told.tell(f.Counters()); err != nil {
				f.says.say("status", err.Error())
			}
		default:
		}
		if over {
			return
		}
		wait(f.t.keep, done, nil)
		select {
		case <-done:
			over = true
		default:
		}
	}
}

// Counters is what became of the lines for each target, in the order in which they were given.
func (f *Forwarder) Counters() []Counters {
	var all []Counters
	for _, r := range f.routes {
		all = append(all, r.sender.counters())
	}
	return all
}
