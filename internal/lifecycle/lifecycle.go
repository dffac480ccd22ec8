// Package lifecycle is one unit's state machine: Next(unit, event) → unit, effects.
//
// It promises that every state has an answer to every event (the table below has
// no empty cell, and a test holds it to that), that at most one run of a unit
// has processes at any time, that a stop is refused in no state, and that nothing
// of an old run changes anything: every event about a run carries its number and
// is dropped when it is not the current one.
//
// It is pure. It has no clock (events say when they happened; it asks for timers
// and is told when they fire), no goroutine and no I/O: effects are values, and
// the supervisor carries them out. What units are to each other is here too, as
// pure functions: what a dependent sees of a unit that it depends on, and the
// governor of all of them together.
//
//	         Start                 Granted              Spawned, Ready
//	down ─────────────► waiting ─────────────► starting ──────────────► up
//	 ▲                   ▲    │                   │                      │
//	 │ Empty,            │    │ Refused           │ Exited, Stop,        │ Exited, Stop,
//	 │ the end was asked │    ▼                   │ Expired(start)       │ Hang, Follow
//	 │                   │   failed               ▼                      │
//	 ├───────────────────┼────────────────── stopping ◄──────────────────┘
//	 │                   │                    │  │  └─ Empty, rules say fail, gave up ─► failed
//	 │                   │ Expired(backoff)   │  └──── Empty, rules say done ───────────► done
//	 │                   └──────── backoff ◄──┘ Empty, it failed
//
// A run that ended is "stopping" until its process set is empty: its leader's
// end is not the end of the run. docs/lifecycle.md has the whole table.
package lifecycle

import (
	"time"

	"pintle/internal/unit"
)

// Unit is everything that the machine knows of one unit. The zero value is not
// valid; New makes one. Only Next changes it.
type Unit struct {
	State  unit.State
	Reason unit.Reason
	// Run is the number of the latest run, 0 before the first.
	Run uint64
	// Executed is set once the current run's leader exists, Ready once it was ready, Ended once the leader has been reaped.
	Executed, Ready, Ended bool
	// Undoing is set while the run is a oneshot's command for the way down.
	Undoing bool
	// Exit is how the leader of the latest run that ended did so. Cause is why that run ended, Crashed where it did so by
	// itself, and Asked whether somebody wanted that.
	Exit  unit.Exit
	Cause unit.Reason
	Asked bool
	// ExecError is why the latest run could not be executed; "" where it could.
	ExecError string
	// Killed is set once SIGKILL was sent to the current run's set.
	Killed bool
	// Failures counts the ends nobody asked for since the unit was last stable or was last started by somebody.
	Failures int
	// Halted is set once the container is on its way down: nothing starts any more. Hurried is set once every grace
	// period is over at once.
	Halted, Hurried bool

	inner
}

// inner is what only the machine needs.
type inner struct {
	// began is why the current run was started, or the one that is waited for: it is up for that reason once it is.
	began unit.Reason
	// next is what follows when the stopping run's set is empty.
	next next
	// signals counts the stop signals that were sent to the current run.
	signals int
	// deadline is when the start or grace timer fires, latest the most to which a run may extend its grace period.
	deadline, latest time.Time
	// armed has the serial number with which each timer was last armed; serial is the last one that was given.
	armed  [timers]uint32
	serial uint32
	// failed are the times of the latest failures, as far as give_up asks for them.
	failed *history
}

// next is what a stopping unit does once nothing of its run is left.
type next uint8

const (
	byPolicy next = iota // the run ended by itself, or had to be ended: the rules decide
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
	return u.State.Alive()
}

// Began is why the current run was started, or the one that is waited for.
func (u *Unit) Began() unit.Reason { return u.began }

// Follows tells, at this time, whether another run follows the one that is stopping, whatever its exit. Of a run that
// hangs or took too long that is known before it has ended.
func (u *Unit) Follows(spec *unit.Spec, at time.Time) bool {
	switch {
	case u.Halted || u.next == goDown:
		return false
	case u.next == startAgain:
		return true
	case u.Cause != unit.Hung && u.Cause != unit.TimedOut:
		return false
	}
	_, recent := u.failed.with(at, spec.GiveUp)
	d := Decide(spec, End{Cause: u.Cause, WasReady: u.Ready, Run: u.Run, Failures: u.Failures + 1, Recent: recent})
	return d.Verdict == unit.VerdictRestart
}

// Redeclare is a unit without processes whose declaration was replaced by spec: it
// may have been switched on or off by that.
func Redeclare(spec *unit.Spec, u Unit) Unit {
	if spec.Enabled.On == (u.State != unit.Disabled) {
		return u
	}
	fresh := New(spec)
	fresh.Run, fresh.Halted, fresh.Hurried = u.Run, u.Halted, u.Hurried
	return fresh
}

// Like tells whether v shows the same as u: they differ at most in what only the machine needs. Why a unit is to begin,
// though, is of interest to others before it has begun.
func (u *Unit) Like(v *Unit) bool {
	a, b := *u, *v
	a.inner, b.inner = inner{began: a.began}, inner{began: b.began}
	return a == b
}

// EventKind names an event.
type EventKind uint8

// The events. Those from Spawned on belong to a run.
const (
	// Start, Stop, Restart: somebody asks; Boot is the container's start asking for what is wanted up. Event.Reason says
	// why, where it is not that a person asked.
	Start EventKind = iota
	Stop
	Restart
	Boot
	// Follow: a unit that it restarts with began anew.
	Follow
	// Freeze: the container is on its way down, nothing starts any more. Halt: it is this unit's turn to end. Hurry:
	// every grace period is over now.
	Freeze
	Halt
	Hurry
	// Held: what a waiting unit waits for is Event.Reason. Granted: nothing any more. Refused: it can't come.
	Held
	Granted
	Refused
	// Mended: what was refused may come after all.
	Mended
	// Spawned: the leader exists. SpawnFailed: it could not be executed; Event.Exit and Event.Err say how.
	Spawned
	SpawnFailed
	// Ready: the run does its work. Hang: it does not, although it is up.
	Ready
	Hang
	// Ping, Extend and Ending are the run's own words: it is alive, it needs Event.After more, it is stopping.
	Ping
	Extend
	Ending
	// CommandEnded: the stop command has ended, or could not be executed.
	CommandEnded
	// Exited: the leader ended, as Event.Exit says. Empty: it has ended, and nothing else of its set is left.
	Exited
	Empty
	// Expired: a timer fired; Event.Timer says which.
	Expired
	eventKinds // how many there are
)

var eventNames = [...]string{
	"Start", "Stop", "Restart", "Boot", "Follow", "Freeze", "Halt", "Hurry", "Held", "Granted", "Refused", "Mended",
	"Spawned", "SpawnFailed", "Ready", "Hang", "Ping", "Extend", "Ending", "CommandEnded", "Exited", "Empty", "Expired",
}

func (k EventKind) String() string { return eventNames[k] }

// Timer names what is waited for.
type Timer uint8

// The timers.
const (
	BackoffTimer  Timer = iota // the delay after a failure is over
	StartTimer                 // the run should be ready by now, or done
	StableTimer                // the run has been up for the time after which failures are forgotten
	WatchdogTimer              // the run has not said in time that it is alive
	HangTimer                  // a run that hangs has had its time to say where
	CommandTimer               // the stop command has had its time
	SignalTimer                // it is time for the next stop signal
	GraceTimer                 // the stop grace period is over
	timers                     // how many there are
)

// Timers is how many timers there are.
const Timers = int(timers)

var timerNames = [...]string{"backoff", "start", "stable", "watchdog", "hang", "command", "signal", "grace"}

func (t Timer) String() string { return timerNames[t] }

// Event is something that happened.
type Event struct {
	Kind EventKind
	// At is when it happened.
	At time.Time
	// Run is the run it happened to; for BackoffTimer, the run that failed.
	Run    uint64
	Reason unit.Reason
	Exit   unit.Exit
	Err    string
	After  time.Duration
	Timer  Timer
	// Serial is the number with which the timer was armed.
	Serial uint32
}

// reason is why the event happened, or otherwise.
func (e *Event) reason(otherwise unit.Reason) unit.Reason {
	if e.Reason == "" {
		return otherwise
	}
	return e.Reason
}

// EffectKind names an effect.
type EffectKind uint8

// The effects, all but Await of them on Effect.Run.
const (
	// Await asks for leave to start; answered by Held, Granted or Refused.
	Await EffectKind = iota
	// Spawn executes the unit's command, Undo a oneshot's command for the way down; answered by Spawned or SpawnFailed.
	Spawn
	Undo
	// Probe asks for readiness until it is there; answered by Ready.
	Probe
	// Guard asks for liveness for as long as the run is up; answered by Hang.
	Guard
	// Dump sends the signal that has a run say where it hangs.
	Dump
	// Command executes the stop command; answered by CommandEnded.
	Command
	// Terminate sends Effect.Signal to those processes of the run that are the stop's target.
	Terminate
	// Sweep ends what the leader left behind, politely, and reports when the set is empty; answered by Empty.
	Sweep
	// Kill sends SIGKILL to the whole set until it is empty.
	Kill
	// Arm starts Effect.Timer, in place of the one before; after Effect.After it is answered by Expired with Effect.Serial.
	Arm
)

var effectNames = [...]string{
	"Await", "Spawn", "Undo", "Probe", "Guard", "Dump", "Command", "Terminate", "Sweep", "Kill", "Arm",
}

func (k EffectKind) String() string { return effectNames[k] }

// Effect is something to be done.
type Effect struct {
	Kind   EffectKind
	Run    uint64
	Signal unit.Signal
	Timer  Timer
	After  time.Duration
	Serial uint32
}

// Next is the machine: what becomes of u when e happens, and what is to be done
// about it. spec is the declaration that the current run was, or the next one
// will be, made from.
func Next(spec *unit.Spec, u Unit, e Event) (Unit, []Effect) {
	if u.stale(e) {
		return u, nil
	}
	m := machine{spec: spec, at: e.At, Unit: u}
	if e.Kind == Expired {
		m.armed[e.Timer] = 0
	}
	table[stateIndex(u.State)][e.Kind](&m, e)
	return m.Unit, m.effects
}

// stale tells whether the event is of an old run, repeats an answer that was given, or is of a timer that was armed anew
// since. A leader that is announced twice would be asked to end twice, and have a second grace period.
func (u *Unit) stale(e Event) bool {
	switch {
	case e.Kind < Spawned:
		return false
	case e.Run != u.Run:
		return true
	case e.Kind == Spawned || e.Kind == SpawnFailed:
		return u.Executed
	case e.Kind == Expired:
		return e.Serial == 0 || u.armed[e.Timer] != e.Serial
	}
	return false
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
	at      time.Time
	effects []Effect
	Unit
}

func (m *machine) do(k EffectKind) {
	m.effects = append(m.effects, Effect{Kind: k, Run: m.Run})
}

func (m *machine) arm(t Timer, after time.Duration) {
	m.serial++
	m.armed[t] = m.serial
	m.effects = append(m.effects, Effect{Kind: Arm, Run: m.Run, Timer: t, After: after, Serial: m.serial})
}

// enter changes the state. Nothing that was armed before has an effect in another state but the grace period's timers,
// which are armed after it.
func (m *machine) enter(s unit.State, r unit.Reason) {
	if s != m.State {
		m.armed = [timers]uint32{}
	}
	m.State, m.Reason = s, r
}
