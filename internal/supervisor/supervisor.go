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
	// Main is the main program's unit; nil where there is none (as in tests).
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
	// removing is set from the request to remove it until it is gone.
	removing  bool
	run       *process.Run // of the current run, once it is executed
	began     time.Time    // when the current run was executed
	last      *engine.RunEnd
	next      time.Time // when the armed timer that matters to a person fires
	timers    [3]*time.Timer
	endProbe  context.CancelFunc
	remaining []string
}

// New makes the units known and starts the loop; nothing is started until Boot.
func New(o Options) *Supervisor {
	s := &Supervisor{
		o:         o,
		started:   now(),
		queue:     queue{wake: make(chan struct{}, 1)},
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
	go s.loop()
	return s
}

// recall makes a unit what an earlier life of this container was asked for.
func (s *Supervisor) recall(r store.Record) {
	if u, ok := s.units[r.Unit]; ok {
		if u.spec.Kind != unit.Main {
			u.intent = r.Intent
		}
		return
	}
	t, ok := s.templates[r.Unit.Template()]
	if !ok {
		s.o.Log.Warn("cannot bring back " + string(r.Unit) + ": nothing of that name is configured any more")
		return
	}
	spec, err := s.instantiate(t, r.Unit)
	if err != nil {
		s.o.Log.Warn("cannot bring back " + string(r.Unit) + ": " + err.Error())
		return
	}
	s.add(&spec).intent = r.Intent
}

func (s *Supervisor) add(spec *unit.Spec) *record {
	u := &record{spec: spec, life: lifecycle.New(spec), since: now()}
	s.units[spec.Name] = u
	return u
}

// loop handles events until Close.
func (s *Supervisor) loop() {
	defer close(s.done)
	for {
		events, open := s.queue.take()
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

// SignalMain passes a signal on to main; it does nothing when main is not running.
func (s *Supervisor) SignalMain(sig unit.Signal) {
	s.queue.put(func(s *Supervisor) {
		if u, ok := s.units[unit.MainName]; ok && u.run != nil {
			if err := u.run.Signal(sig); err != nil {
				s.o.Log.Warn("cannot pass " + sig.String() + " on to main: " + err.Error())
			}
		}
	})
}

// Close ends the loop. Requests after it fail as if no supervisor were there.
func (s *Supervisor) Close() {
	s.queue.close()
	<-s.done
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

// queue is the loop's mailbox. It is unbounded, so that to put never waits: the
// reaper puts while it holds the process table, which the loop may be waiting for.
type queue struct {
	mu     sync.Mutex
	events []event
	closed bool
	wake   chan struct{}
}

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
