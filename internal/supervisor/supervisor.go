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
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pintle/internal/account"
	"pintle/internal/engine"
	"pintle/internal/lifecycle"
	"pintle/internal/logs"
	"pintle/internal/process"
	"pintle/internal/relay"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// Options are everything that a Supervisor works with.
type Options struct {
	Version string
	// Main is the main program's unit, which is never restarted; nil where there is none (as in tests).
	Main *unit.Spec
	// Services are the units that are there from the start, oneshots among them.
	Services  []unit.Spec
	Templates []unit.Template
	Governor  unit.Governor
	// Load reads the declarations anew, for Reload; nil where that can't be done.
	Load func() (Declarations, error)
	// Records are the intents of earlier lives of this container.
	Records []store.Record
	// Environ is the environment that every unit's is made from.
	Environ []string
	// Secret tells whether nobody is to read the value of an environment variable; nil: everybody may, of any.
	Secret func(name string) bool
	// Accounts are where units' users are looked up.
	Accounts account.Database
	Kernel   Kernel
	Logs     *logs.Book
	Store    *store.Store
	// Leases are asked for before an exclusive unit runs; nil where none can be had, and nothing is exclusive.
	Leases Leases
	Log    *slog.Logger
	// RunDirectory is where runs have their sockets, and find why and until when they are being stopped; empty for
	// nowhere. It is pintle's alone to write.
	RunDirectory string
	// Syslog is where processes say something by syslog(3); nil for nowhere. The supervisor closes it.
	Syslog LogSocket
	// Kept is set where something else keeps the container, also when there is neither main nor anything left to do.
	Kept bool
	// Terminal is set where main gets pintle's standard input as its terminal.
	Terminal bool
	// PriorExit tells how a unit ended in the container's life before: clean, unclean or unknown; nil where nobody knows.
	PriorExit func(unit.Name) string
	// Conditions yields those of other rooms, for Info; nil for none.
	Conditions func() []engine.Condition
}

// Supervisor runs units.
type Supervisor struct {
	o       Options
	started time.Time
	queue   queue
	done    chan struct{} // closed when the loop has ended
	// errands are what must be done in order but may have to wait for the kernel.
	errands queue

	environ environ // the container's
	self    func() *process.Identity

	strays strays
	relay  *relay.Relay
	// sockets counts those that runs were given to talk to pintle.
	sockets atomic.Uint64
	// secret is Options.Secret, or what a reload has put in its place.
	secret atomic.Pointer[func(name string) bool]

	listened chan struct{} // closed when nobody listens on the log socket any more

	over chan struct{} // closed when the container has come to its end by itself
	idle chan struct{} // closed when the container stops and no unit has a process left

	// Everything below belongs to the loop.
	units      map[unit.Name]*record
	dependents map[unit.Name][]*record // by what they depend on, whether that exists or not
	templates  map[string]*unit.Template
	searches   map[string]*search // by template
	searched   bool               // set once they have begun
	// remembered are the records of instances that are there for as long as a directory declares them, and are not there.
	remembered map[unit.Name]store.Record
	pruneTimer *time.Timer

	agenda    []*record // those to be looked at when the event is over
	settling  bool      // the queue has an event that goes on with it
	rounds    int       // how many rounds of all units are under way
	most      int       // of how many units in one turn; mostAtOnce outside of tests
	governor  *lifecycle.Governor
	turns     []*record // who waits for a start to end, in their order
	calmed    []*record // who waits until those that failed together have calmed down
	calmTimer *time.Timer
	// alive counts the units that have processes, active those that have some or will.
	alive, active int

	booted, stopping bool
	following        bool    // what other containers ask is heard of
	reloading        bool    // what a reload changes is being changed
	verdict          Verdict // valid once over is closed
	firstFailure     int     // the code of the unit that failed first

	// turn has an event happen; nil outside of tests.
	turn func(event func())
}

// New makes the units known and starts the loop; nothing is started until Boot.
func New(o Options) *Supervisor {
	s := &Supervisor{
		o:          o,
		started:    now(),
		queue:      newQueue(),
		errands:    newQueue(),
		done:       make(chan struct{}),
		listened:   make(chan struct{}),
		over:       make(chan struct{}),
		idle:       make(chan struct{}),
		units:      map[unit.Name]*record{},
		dependents: map[unit.Name][]*record{},
		templates:  map[string]*unit.Template{},
		relay:      relay.New(),
		searches:   map[string]*search{},
		remembered: map[unit.Name]store.Record{},
		governor:   lifecycle.NewGovernor(o.Governor),
		most:       mostAtOnce,
	}
	s.environ = newEnviron(o.Environ)
	s.self = sync.OnceValue(func() *process.Identity {
		self := process.Self(o.Accounts)
		return &self
	})
	s.secret.Store(&o.Secret)
	s.conceal(o.Environ)
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
				u := s.add(&spec)
				u.undecided = t.IntentFrom != nil
				u.intent = unit.Intent{Up: t.Initial == unit.InitialUp && !u.undecided, Time: s.started, Actor: unit.Boot}
			}
		}
	}
	for _, r := range o.Records {
		s.recall(r)
	}
	go func() {
		defer close(s.done)
		s.serve(&s.queue, s.handle)
	}()
	go s.serve(&s.errands, func(e event) { e(s) })
	go s.relay.Run(s.done)
	s.listenToAll()
	return s
}

// recall makes a unit what an earlier life of this container was asked for.
func (s *Supervisor) recall(r store.Record) {
	u := s.recalled(r)
	if u == nil {
		return
	}
	s.take(u, r)
	if !r.Intent.Up {
		u.life, _ = lifecycle.Next(u.spec, u.life, lifecycle.Event{Kind: lifecycle.Stop})
	}
}

// take has a unit be what its record says.
func (s *Supervisor) take(u *record, r store.Record) {
	u.intent, u.by = r.Intent, r.Intent.Actor
	u.created, u.undecided, u.prior = !r.Discovered, false, priorOf(s.templates[r.Unit.Template()], r.Intent)
}

// recalled is the unit of a record, made anew where it must be; nil where there can be none, or it is always wanted up.
func (s *Supervisor) recalled(r store.Record) *record {
	u, ok := s.units[r.Unit]
	if t := s.templates[r.Unit.Template()]; !ok && t != nil && r.Discovered {
		if t.Discover == nil && r.Gone.IsZero() {
			r.Gone = s.started // nothing can bring it back but another configuration
		}
		s.remembered[r.Unit] = r
		return nil
	}
	if !ok {
		spec, err := s.instantiate(r.Unit)
		if r.Unit.Template() == "" {
			err = errors.New("it is not configured any more")
		}
		if err != nil {
			s.o.Log.Warn("cannot bring back " + string(r.Unit) + ": " + err.Error())
			return nil
		}
		u = s.add(&spec)
	}
	if u.spec.Kind == unit.Main {
		return nil
	}
	return u
}

// Recall does that with records that could be read only after Boot. Who was asked something meanwhile keeps to that.
func (s *Supervisor) Recall(records []store.Record) {
	s.do(func(s *Supervisor) {
		for _, r := range records {
			u := s.recalled(r)
			if u == nil || u.intent.Generation > 0 || u.removing {
				continue
			}
			s.take(u, r)
			k := lifecycle.Boot
			if !r.Intent.Up {
				k = lifecycle.Stop
			}
			if !s.stopping {
				s.step(u, lifecycle.Event{Kind: k})
			}
			s.publish(u)
		}
	})
}

// do puts an event into the loop. What it changes is settled before the next one.
func (s *Supervisor) do(e event) bool {
	return s.queue.put(func(s *Supervisor) {
		e(s)
		s.settle()
	})
}

// Boot starts every unit that is wanted up, each as soon as what it depends on allows.
func (s *Supervisor) Boot() {
	s.do(func(s *Supervisor) {
		s.booted = true
		s.followOthers()
		s.eachInTurn(func(u *record) {
			if u.intent.Up && !s.stopping {
				s.step(u, lifecycle.Event{Kind: lifecycle.Boot})
			}
		})
		s.searchAll()
		s.searched = true
		s.prune()
	})
}

// Halt ends every unit, those that others depend on after these, and all at once
// where nothing orders them. From now on nothing starts.
func (s *Supervisor) Halt() {
	s.do(func(s *Supervisor) {
		s.stopping = true
		s.endSearches()
		if s.o.Main == nil {
			s.conclude(Verdict{})
		}
		s.eachInTurn(func(u *record) {
			s.step(u, lifecycle.Event{Kind: lifecycle.Freeze})
			s.touch(u)
		})
	})
}

// Hurry makes every grace period be over now, and nobody wait for his turn to end.
func (s *Supervisor) Hurry() {
	s.do(func(s *Supervisor) {
		s.eachInTurn(func(u *record) {
			s.step(u, lifecycle.Event{Kind: lifecycle.Hurry})
			if s.stopping && !u.halted {
				u.halted = true
				s.step(u, lifecycle.Event{Kind: lifecycle.Halt})
			}
		})
	})
}

// Idle is closed when, after Halt, no unit has a process left.
func (s *Supervisor) Idle() <-chan struct{} { return s.idle }

// checkIdle tells boot when the last unit is down.
func (s *Supervisor) checkIdle() {
	if !s.stopping || s.alive > 0 || s.rounds > 0 { // whose turn to end has not come may have something to undo
		return
	}
	select {
	case <-s.idle:
	default:
		close(s.idle)
	}
}

// SignalMain passes a signal on to main, in the order of the calls; it does
// nothing when main is not running. It never waits.
func (s *Supervisor) SignalMain(sig unit.Signal) {
	s.do(func(s *Supervisor) {
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
	u.books.send(sig, "a signal to the container")
	s.signal(u.run, sig, func(err error) {
		if err != nil {
			s.o.Log.Warn("cannot pass " + sig.String() + " on to main: " + err.Error())
		}
	})
}

// signal sends a signal to a run's leader. It is an errand, because it must wait while some child is being executed.
func (s *Supervisor) signal(run Run, sig unit.Signal, done func(error)) {
	s.errands.put(func(*Supervisor) { done(run.Signal(sig)) })
}

// Close ends the loop. Requests after it fail as if no supervisor were there.
func (s *Supervisor) Close() {
	s.deafen()
	s.queue.put(func(s *Supervisor) {
		for _, u := range s.units {
			u.endChecks()
			s.reset(u)
			if u.slotTimer != nil {
				u.slotTimer.Stop()
			}
		}
		for _, t := range []*time.Timer{s.calmTimer, s.pruneTimer} {
			if t != nil {
				t.Stop()
			}
		}
		s.endSearches()
	})
	s.queue.close()
	<-s.done
	s.errands.close()
}
