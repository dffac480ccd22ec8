// Package lifecycle is one unit's state machine: Next(unit, event) → unit, effects.
//
// It promises that every state has an answer to every event (the table below has
// no empty cell, and a test holds it to that), that at most one run of a unit
// has processes at any time, and that nothing of an old run changes anything:
// every event about a run carries its number and is dropped when it is not the
// current one.
//
// It is pure. It has no clock (it asks for timers and is told when they fire), no
// goroutine and no I/O: effects are values, and the supervisor carries them out.
//
//	          Start                Spawned             Ready
//	down ──────────────► starting ─────────► (starting) ─────► up
//	 ▲ ▲                  │  ▲                                  │
//	 │ │ Empty            │  │ Expired(backoff)                 │ Exited, Stop, Restart
//	 │ └──── stopping ◄───┴──┼──────────────────────────────────┘
//	 │          │            │
//	 │          ├─ Empty, the end was a crash ─► backoff
//	 │          ├─ Empty, the rules say done ──► done
//	 └──────────┴─ Empty, the rules say fail ──► failed
//
// A run that ended is "stopping" until its process set is empty: its leader's
// end is not the end of the run. Without declared readiness Spawned leads to up.
package lifecycle

import (
	"time"

	"pintle/internal/unit"
)

// The backoff's bounds: the first crash is answered after BackoffFirst, each one
// more after twice the time before, up to BackoffMost. A run that stays up for
// StableAfter ends the count.
const (
	BackoffFirst = 250 * time.Millisecond
	BackoffMost  = 30 * time.Second
	StableAfter  = 10 * time.Second
)

// Unit is everything that the machine knows of one unit. The zero value is not
// valid; New makes one. Only Next changes it.
type Unit struct {
	State  unit.State
	Reason unit.Reason
	// Run is the number of the latest run, 0 before the first.
	Run uint64
	// Executed is set once the current run's leader exists, Ended once it has been reaped.
	Executed, Ended bool
	// Exit is how the leader of the latest run that ended did so, and Asked whether somebody wanted that.
	Exit  unit.Exit
	Asked bool
	// ExecError is why the latest run could not be executed; "" where it could.
	ExecError string
	// Killed is set once SIGKILL was sent to the current run's set.
	Killed bool
	// Failures counts the ends nobody asked for since the unit was last stable or was last started by somebody.
	Failures int
	// Delay is the wait that the current backoff began with.
	Delay time.Duration
	// Halted is set once the container is on its way down: nothing starts any more. Hurried is set once every grace
	// period is over at once.
	Halted, Hurried bool

	// began is why the current run was started, which is why it is up once it is.
	began unit.Reason
	// next is what follows when the stopping run's set is empty.
	next next
}

// next is what a stopping unit does once nothing of its run is left.
type next uint8

const (
	byPolicy next = iota // the run ended by itself: the rules decide
	goDown
	startAgain
)

// New is a unit before anything has happened to it.
func New(spec *unit.Spec) Unit {
	if !spec.Enabled.On {
		return Unit{State: unit.Disabled, Reason: unit.SwitchedOff}
	}
	return Unit{State: unit.Down, Reason: unit.NeverStarted}
}

// Alive tells whether the current run may have processes.
func (u *Unit) Alive() bool {
	switch u.State {
	case unit.Starting, unit.Up, unit.Stopping:
		return true
	}
	return false
}

// EventKind names an event.
type EventKind uint8

// The events. Those from Spawned on belong to a run.
const (
	// Start, Stop, Restart: somebody asks; Boot is the container's start asking for what is wanted up.
	Start EventKind = iota
	Stop
	Restart
	Boot
	// Halt: the container is on its way down. Hurry: every grace period is over now.
	Halt
	Hurry
	// Spawned: the leader exists. SpawnFailed: it could not be executed; Event.Exit and Event.Err say how.
	Spawned
	SpawnFailed
	// Ready: the run does its work.
	Ready
	// Exited: the leader ended, as Event.Exit says. Empty: it has ended, and nothing else of its set is left.
	Exited
	Empty
	// Expired: a timer fired; Event.Timer says which.
	Expired
	eventKinds // how many there are
)

// Timer names what is waited for.
type Timer uint8

// The timers. Each is armed at most once in a run, so kind and run number identify it.
const (
	BackoffTimer Timer = iota // the delay after a run that crashed is over
	StableTimer               // the run has been up for StableAfter
	GraceTimer                // the stop grace period is over
)

// Event is something that happened.
type Event struct {
	Kind EventKind
	// Run is the run it happened to; for BackoffTimer, the run that crashed.
	Run   uint64
	Exit  unit.Exit
	Err   string
	Timer Timer
}

// EffectKind names an effect.
type EffectKind uint8

// The effects, all of them on Effect.Run.
const (
	// Spawn executes the unit's command; answered by Spawned or SpawnFailed.
	Spawn EffectKind = iota
	// Probe asks for readiness until it is there; answered by Ready.
	Probe
	// Terminate sends the unit's stop signal to the leader's process group.
	Terminate
	// Sweep ends what the leader left behind, politely, and reports when the set is empty; answered by Empty.
	Sweep
	// Kill sends SIGKILL to the whole set until it is empty.
	Kill
	// Arm starts Effect.Timer, which fires after Effect.After; answered by Expired.
	Arm
)

// Effect is something to be done.
type Effect struct {
	Kind  EffectKind
	Run   uint64
	Timer Timer
	After time.Duration
}

// Next is the machine: what becomes of u when e happens, and what is to be done
// about it. spec is the declaration that the current run was, or the next one
// will be, made from.
func Next(spec *unit.Spec, u Unit, e Event) (Unit, []Effect) {
	if e.Kind >= Spawned && e.Run != u.Run {
		return u, nil // of an old run
	}
	m := machine{spec: spec, Unit: u}
	table[stateIndex(u.State)][e.Kind](&m, e)
	return m.Unit, m.effects
}

// stateIndex is the state's row.
func stateIndex(s unit.State) int {
	for i, t := range unit.States {
		if s == t {
			return i
		}
	}
	return 0
}

// machine is one step under way.
type machine struct {
	spec    *unit.Spec
	effects []Effect
	Unit
}

func (m *machine) do(k EffectKind) {
	m.effects = append(m.effects, Effect{Kind: k, Run: m.Run})
}

func (m *machine) arm(t Timer, after time.Duration) {
	m.effects = append(m.effects, Effect{Kind: Arm, Run: m.Run, Timer: t, After: after})
}

func (m *machine) enter(s unit.State, r unit.Reason) { m.State, m.Reason = s, r }
