// Package supervisor is the loop: one goroutine owns the state of every unit.
//
// It promises that whatever happens to units (requests, exits, timers, probes)
// happens one at a time, in one order; that package lifecycle alone decides what
// follows; and that nothing slow is done in the loop: spawning, probing and
// writing are done by workers, whose results come back as events. Readers get
// snapshots, never the state itself.
//
// It implements engine.Engine in process. It knows nothing of sockets, files of
// configuration, signals to pintle or the container's end: that is package
// boot's.
package supervisor

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"pintle/internal/engine"
	"pintle/internal/lifecycle"
	"pintle/internal/logs"
	"pintle/internal/process"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// Options are everything that a Supervisor works with.
type Options struct {
	Version string
	// Main is the main program's unit, which is never restarted; nil where there is none (as in tests).
	Main      *unit.Spec
	Services  []unit.Spec
	Templates []unit.Template
	// Records are the intents of earlier lives of this container.
	Records []store.Record
	// Environ is the environment that every unit's is made from.
	Environ []string
	Kernel  *process.Kernel
	Logs    *logs.Book
	Store   *store.Store
	Log     *slog.Logger
	// Terminal is set where main gets pintle's standard input as its terminal.
	Terminal bool
	// Conditions yields the sentences for Info; nil for none.
	Conditions func() []string
}

// Supervisor runs units.
type Supervisor struct {
	o       Options
	started time.Time
	queue   queue
	done    chan struct{} // closed when the loop has ended
	// errands are what must be done in order but may have to wait for the kernel.
	errands queue

	// Everything below belongs to the loop.
	units     map[unit.Name]*record
	templates map[string]*unit.Template
	watchers  map[*watcher]bool
	stopping  bool
	idle      chan struct{} // closed when the container stops and no unit has a process left
	mainEnded chan struct{} // closed when main's leader has ended
	mainExit  unit.Exit
	mainError string
}

// record is one unit: what was declared, what is so, and what is under way.
type record struct {
	spec   *unit.Spec
	life   lifecycle.Unit
	since  time.Time
	intent unit.Intent
	// by is whose wish brought it into this state. It is not always the intent's
	// actor: who asks for what is so already changes nothing.
	by unit.Actor
	// removing is set from the request to remove it, gone once that is done.
	removing, gone bool

	run       *process.Run // of the current run, once it is executed
	began     time.Time    // when the current run was executed
	last      *engine.RunEnd
	next      time.Time // when the armed timer that matters to a person fires
	timers    [3]*time.Timer
	endProbe  context.CancelFunc // never nil
	remaining []string
	// early are the signals that came for main while it was being executed: it may
	// have been at work, and been signalled, before the loop knows that it exists.
	early []unit.Signal
}

// New makes the units known and starts the loop; nothing is started until Boot.
func New(o Options) *Supervisor {
	s := &Supervisor{
		o:         o,
		started:   now(),
		queue:     newQueue(),
		errands:   newQueue(),
		done:      make(chan struct{}),
		units:     map[unit.Name]*record{},
		templates: map[string]*unit.Template{},
		watchers:  map[*watcher]bool{},
		idle:      make(chan struct{}),
		mainEnded: make(chan struct{}),
	}
	if o.Main != nil {
		s.add(o.Main).intent = unit.Intent{Up: true, Time: s.started, Actor: unit.Boot}
	}
	for i := range o.Services {
		spec := &o.Services[i]
		s.add(spec).intent = unit.Intent{Up: spec.Enabled.On, Time: s.started, Actor: unit.Boot}
	}
	for i := range o.Templates {
		t := &o.Templates[i]
		s.templates[t.Name] = t
		for _, instance := range t.Always {
			if spec, err := t.Instantiate(instance); err != nil {
				o.Log.Error(err.Error()) // the configuration was checked for this
			} else {
				s.add(&spec).intent = unit.Intent{Up: t.Initial == unit.InitialUp, Time: s.started, Actor: unit.Boot}
			}
		}
	}
	for _, r := range o.Records {
		s.recall(r)
	}
	go func() {
		defer close(s.done)
		s.serve(&s.queue)
	}()
	go s.serve(&s.errands)
	return s
}

// recall makes a unit what an earlier life of this container was asked for.
func (s *Supervisor) recall(r store.Record) {
	u, ok := s.units[r.Unit]
	if !ok {
		spec, err := s.instantiate(r.Unit)
		if r.Unit.Template() == "" {
			err = errors.New("it is not configured any more")
		}
		if err != nil {
			s.o.Log.Warn("cannot bring back " + string(r.Unit) + ": " + err.Error())
			return
		}
		u = s.add(&spec)
	}
	if u.spec.Kind == unit.Main {
		return // it is always wanted up
	}
	u.intent, u.by = r.Intent, r.Intent.Actor
	if !r.Intent.Up {
		u.life, _ = lifecycle.Next(u.spec, u.life, lifecycle.Event{Kind: lifecycle.Stop})
	}
}

func (s *Supervisor) add(spec *unit.Spec) *record {
	u := newRecord(spec)
	s.units[spec.Name] = u
	return u
}

func newRecord(spec *unit.Spec) *record {
	return &record{spec: spec, life: lifecycle.New(spec), since: now(), endProbe: func() {}}
}

// serve handles the events of a queue until it is closed.
func (s *Supervisor) serve(q *queue) {
	for {
		events, open := q.take()
		for _, e := range events {
			e(s)
		}
		if !open {
			return
		}
	}
}

// Boot starts every unit that is wanted up.
func (s *Supervisor) Boot() {
	s.queue.put(func(s *Supervisor) {
		for _, u := range s.sorted() {
			if u.intent.Up {
				s.step(u, lifecycle.Event{Kind: lifecycle.Boot})
			}
		}
	})
}

// Halt ends every unit, all at once where nothing orders them; from now on nothing starts.
func (s *Supervisor) Halt() {
	s.queue.put(func(s *Supervisor) {
		s.stopping = true
		s.all(lifecycle.Halt)
		s.checkIdle()
	})
}

// Hurry makes every grace period be over now.
func (s *Supervisor) Hurry() {
	s.queue.put(func(s *Supervisor) { s.all(lifecycle.Hurry) })
}

func (s *Supervisor) all(k lifecycle.EventKind) {
	for _, u := range s.sorted() {
		s.step(u, lifecycle.Event{Kind: k})
	}
}

// Idle is closed when, after Halt, no unit has a process left.
func (s *Supervisor) Idle() <-chan struct{} { return s.idle }

// MainEnded is closed when main's leader has ended or could not be executed.
// After that MainExit tells how; err is set where it could not be executed.
func (s *Supervisor) MainEnded() <-chan struct{} { return s.mainEnded }

// MainExit is how main ended. It may be called once MainEnded is closed.
func (s *Supervisor) MainExit() (e unit.Exit, err string) { return s.mainExit, s.mainError }

// SignalMain passes a signal on to main, in the order of the calls; it does
// nothing when main is not running. It never waits.
func (s *Supervisor) SignalMain(sig unit.Signal) {
	s.queue.put(func(s *Supervisor) {
		switch u, ok := s.units[unit.MainName]; {
		case !ok:
		case u.run != nil:
			s.passOn(u, sig)
		case u.life.State == unit.Starting && !slices.Contains(u.early, sig):
			u.early = append(u.early, sig)
		}
	})
}

func (s *Supervisor) passOn(u *record, sig unit.Signal) {
	s.signal(u.run, sig, func(err error) {
		if err != nil {
			s.o.Log.Warn("cannot pass " + sig.String() + " on to main: " + err.Error())
		}
	})
}

// signal sends a signal to a run's leader. It is an errand, because it must wait while some child is being executed.
func (s *Supervisor) signal(run *process.Run, sig unit.Signal, done func(error)) {
	s.errands.put(func(*Supervisor) { done(run.Signal(sig)) })
}

// Close ends the loop. Requests after it fail as if no supervisor were there.
func (s *Supervisor) Close() {
	s.queue.put(func(s *Supervisor) {
		for _, u := range s.units {
			u.endProbe()
			u.reset()
		}
	})
	s.queue.close()
	<-s.done
	s.errands.close()
}

// sorted lists the records by name, main first.
func (s *Supervisor) sorted() []*record {
	list := make([]*record, 0, len(s.units))
	for _, u := range s.units {
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b *record) int {
		if (a.spec.Kind == unit.Main) != (b.spec.Kind == unit.Main) {
			if a.spec.Kind == unit.Main {
				return -1
			}
			return 1
		}
		return strings.Compare(string(a.spec.Name), string(b.spec.Name))
	})
	return list
}

// checkIdle tells boot when the last unit is down.
func (s *Supervisor) checkIdle() {
	if !s.stopping {
		return
	}
	for _, u := range s.units {
		if u.life.Alive() {
			return
		}
	}
	select {
	case <-s.idle:
	default:
		close(s.idle)
	}
}

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
