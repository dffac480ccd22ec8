package lifecycle

import (
	"time"

	"pintle/internal/unit"
)

type cell func(*machine, Event)

// table is state × event, its rows in the order of unit.States.
//
// "ignore" is an answer: the event means nothing in that state (and the comment
// at ignore says when that is right). Events of an old run never get here.
var table = [...][eventKinds]cell{
	{ // disabled: only another configuration changes it
		Start: ignore, Stop: ignore, Restart: ignore, Boot: ignore, Follow: ignore, Freeze: freeze, Halt: freeze, Hurry: hurry,
		Held: ignore, Granted: ignore, Refused: ignore, Mended: ignore,
		Spawned: ignore, SpawnFailed: ignore, Ready: ignore, Hang: ignore, Ping: ignore, Extend: ignore, Ending: ignore,
		CommandEnded: ignore, Exited: ignore, Empty: ignore, Expired: ignore,
	},
	{ // down
		Start: begin, Stop: goneDown, Restart: begin, Boot: begin, Follow: ignore, Freeze: freeze, Halt: freeze, Hurry: hurry,
		Held: ignore, Granted: ignore, Refused: ignore, Mended: ignore,
		Spawned: ignore, SpawnFailed: ignore, Ready: ignore, Hang: ignore, Ping: ignore, Extend: ignore, Ending: ignore,
		CommandEnded: ignore, Exited: ignore, Empty: ignore, Expired: ignore,
	},
	{ // waiting
		Start: insist, Stop: goneDown, Restart: insist, Boot: ignore, Follow: ignore, Freeze: freezeDown, Halt: freezeDown, Hurry: hurry,
		Held: held, Granted: granted, Refused: refused, Mended: ignore,
		Spawned: ignore, SpawnFailed: ignore, Ready: ignore, Hang: ignore, Ping: ignore, Extend: ignore, Ending: ignore,
		CommandEnded: ignore, Exited: ignore, Empty: ignore, Expired: ignore,
	},
	{ // starting
		Start: ignore, Stop: stop, Restart: stopAndStart, Boot: ignore, Follow: follow, Freeze: freeze, Halt: stopForHalt, Hurry: hurry,
		Held: ignore, Granted: ignore, Refused: ignore, Mended: ignore,
		Spawned: spawned, SpawnFailed: spawnFailed, Ready: ready, Hang: ignore, Ping: ignore, Extend: extendStart, Ending: ending,
		CommandEnded: ignore, Exited: exited, Empty: ignore, Expired: startOver,
	},
	{ // up
		Start: ignore, Stop: stop, Restart: stopAndStart, Boot: ignore, Follow: follow, Freeze: freeze, Halt: stopForHalt, Hurry: hurry,
		Held: ignore, Granted: ignore, Refused: ignore, Mended: ignore,
		Spawned: ignore, SpawnFailed: ignore, Ready: ignore, Hang: hang, Ping: ping, Extend: ignore, Ending: ending,
		CommandEnded: ignore, Exited: exited, Empty: ignore, Expired: upExpired,
	},
	{ // stopping
		Start: thenStart, Stop: thenDown, Restart: thenStart, Boot: ignore, Follow: ignore, Freeze: thenFreeze, Halt: thenFreeze, Hurry: killNow,
		Held: ignore, Granted: ignore, Refused: ignore, Mended: ignore,
		Spawned: spawnedTooLate, SpawnFailed: spawnFailed, Ready: ignore, Hang: ignore, Ping: ignore, Extend: extendStop, Ending: ignore,
		CommandEnded: commandOver, Exited: exitedAsExpected, Empty: empty, Expired: stoppingExpired,
	},
	{ // backoff
		Start: beginAfresh, Stop: goneDown, Restart: beginAfresh, Boot: ignore, Follow: ignore, Freeze: freezeDown, Halt: freezeDown, Hurry: hurry,
		Held: ignore, Granted: ignore, Refused: ignore, Mended: ignore,
		Spawned: ignore, SpawnFailed: ignore, Ready: ignore, Hang: ignore, Ping: ignore, Extend: ignore, Ending: ignore,
		CommandEnded: ignore, Exited: ignore, Empty: ignore, Expired: backoffOver,
	},
	{ // failed
		Start: beginAfresh, Stop: goneDown, Restart: beginAfresh, Boot: ignore, Follow: ignore, Freeze: freeze, Halt: freeze, Hurry: hurry,
		Held: ignore, Granted: ignore, Refused: ignore, Mended: mended,
		Spawned: ignore, SpawnFailed: ignore, Ready: ignore, Hang: ignore, Ping: ignore, Extend: ignore, Ending: ignore,
		CommandEnded: ignore, Exited: ignore, Empty: ignore, Expired: ignore,
	},
	{ // done
		Start: beginAfresh, Stop: undo, Restart: undoAndStart, Boot: ignore, Follow: ignore, Freeze: freeze, Halt: undoForHalt, Hurry: hurry,
		Held: ignore, Granted: ignore, Refused: ignore, Mended: ignore,
		Spawned: ignore, SpawnFailed: ignore, Ready: ignore, Hang: ignore, Ping: ignore, Extend: ignore, Ending: ignore,
		CommandEnded: ignore, Exited: ignore, Empty: ignore, Expired: ignore,
	},
}

// ignore is right for a wish that is fulfilled already, for a fact about a run
// that has no process any more, and for a timer that outlived what it waited for.
func ignore(*machine, Event) {}

// begin asks for leave to start the next run.
func begin(m *machine, e Event) {
	why := unit.Asked
	if e.Kind == Boot {
		why = unit.AtBoot
	}
	m.await(e.reason(why))
}

// beginAfresh does so and forgets earlier failures: a person who starts it has seen to them.
func beginAfresh(m *machine, e Event) {
	m.forget()
	begin(m, e)
}

// insist is somebody's wish for a unit that waits already. It is by that person from now on.
func insist(m *machine, e Event) {
	m.forget()
	m.began = e.reason(unit.Asked)
}

func (m *machine) forget() { m.Failures, m.failed = 0, nil }

func (m *machine) await(why unit.Reason) {
	if m.Halted {
		return
	}
	m.began = why
	m.enter(unit.Waiting, why)
	m.do(Await)
}

// held names what a waiting unit waits for.
func held(m *machine, e Event) { m.Reason = e.Reason }

func granted(m *machine, _ Event) {
	m.newRun()
	m.enter(unit.Starting, m.began)
	m.do(Spawn)
}

// refused is a unit whose dependency can't come to what it must.
func refused(m *machine, _ Event) { m.enter(unit.Failed, unit.DependencyFailed) }

// mended has a unit that was refused try again. What failed by itself is given up all the same.
func mended(m *machine, _ Event) {
	if m.Reason == unit.DependencyFailed {
		m.await(unit.DependencyRestarted)
	}
}

// newRun makes the next run the current one.
func (m *machine) newRun() {
	m.Run++
	m.Executed, m.Ready, m.Ended, m.Undoing, m.Killed, m.ExecError = false, false, false, false, false, ""
	m.next, m.signals = byPolicy, 0
	m.armed = [timers]uint32{} // an undo may follow in the same state
}

// goneDown is a stop of what has no process.
func goneDown(m *machine, e Event) {
	m.forget()
	m.enter(unit.Down, e.reason(unit.Asked))
}

// freeze is the container's way down for what has no need of it.
func freeze(m *machine, _ Event) { m.Halted = true }

func freezeDown(m *machine, _ Event) {
	m.Halted = true
	m.enter(unit.Down, unit.ContainerStopping)
}

func spawned(m *machine, _ Event) {
	m.Executed = true
	switch {
	case m.spec.Kind == unit.Oneshot:
		m.Reason = unit.Working
	case m.spec.Readiness != nil:
		m.Reason = unit.NotReady
		m.do(Probe)
	default:
		m.up()
		return
	}
	if m.spec.StartTimeout > 0 {
		m.until(StartTimer, m.spec.StartTimeout)
	}
}

// until arms a timer that the run may ask to have moved.
func (m *machine) until(t Timer, after time.Duration) {
	m.deadline = m.at.Add(after)
	m.arm(t, after)
}

// extend moves such a timer; never to an earlier time.
func (m *machine) extend(t Timer, to time.Time) {
	if m.armed[t] != 0 && to.After(m.deadline) {
		m.until(t, to.Sub(m.at))
	}
}

func ready(m *machine, _ Event) {
	if m.Executed && m.spec.Kind != unit.Oneshot {
		m.up()
	}
}

func (m *machine) up() {
	m.Ready = true
	m.enter(unit.Up, m.began)
	stable := m.spec.StableAfter
	if stable == 0 {
		stable = unit.DefaultStableAfter
	}
	m.arm(StableTimer, stable)
	if m.spec.Liveness != nil {
		m.do(Guard)
	}
	if m.spec.Watchdog > 0 {
		m.arm(WatchdogTimer, m.spec.Watchdog)
	}
}

// ping begins the watchdog's time anew.
func ping(m *machine, _ Event) {
	if m.spec.Watchdog > 0 {
		m.arm(WatchdogTimer, m.spec.Watchdog)
	}
}

func upExpired(m *machine, e Event) {
	switch e.Timer {
	case StableTimer:
		m.Failures = 0
	case WatchdogTimer:
		hang(m, e)
	}
}

// hang ends a run that does not do its work, once it has had the time to say where it hangs.
func hang(m *machine, _ Event) {
	h := m.spec.OnHang
	if h == nil || m.Hurried {
		m.end(byPolicy, unit.Hung)
		return
	}
	m.ends(byPolicy, unit.Hung)
	m.do(Dump)
	m.arm(HangTimer, h.Wait)
}

// startOver ends a run that took too long to be ready, or to be done.
func startOver(m *machine, e Event) {
	if e.Timer == StartTimer {
		m.end(byPolicy, unit.TimedOut)
	}
}

// extendStart is a run that needs more time to be ready.
func extendStart(m *machine, e Event) { m.extend(StartTimer, m.at.Add(e.After)) }

// ending is a run that says that it ends by itself.
func ending(m *machine, _ Event) {
	if m.Executed {
		m.ends(byPolicy, unit.EndsItself)
		m.grace()
	}
}

func stop(m *machine, e Event) { m.end(goDown, e.reason(unit.Asked)) }

// stopAndStart does nothing once the container is on its way down: the unit would not come back, and would end before
// its turn, under those that need it until then.
func stopAndStart(m *machine, e Event) {
	if !m.Halted {
		m.end(startAgain, e.reason(unit.Asked))
	}
}

func follow(m *machine, e Event) {
	e.Reason = unit.DependencyRestarted
	stopAndStart(m, e)
}

func stopForHalt(m *machine, _ Event) {
	m.Halted = true
	m.end(goDown, unit.ContainerStopping)
}

// end begins the end of a run.
func (m *machine) end(then next, why unit.Reason) {
	m.ends(then, why)
	if m.Executed {
		m.terminate()
	}
}

// ends notes that a run ends, and why.
func (m *machine) ends(then next, why unit.Reason) {
	m.next, m.Cause, m.Asked = then, why, then != byPolicy
	if then == startAgain {
		m.began = why
	}
	m.enter(unit.Stopping, why)
}

// terminate asks the run to end: by its stop command first, where it has one.
func (m *machine) terminate() {
	switch {
	case m.Hurried:
	case m.Undoing: // it is at work for the way down, and has its time for that
		m.latest = time.Time{}
		m.until(GraceTimer, m.undoTime())
		return
	case len(m.spec.Stop.Command) > 0:
		m.do(Command)
		m.arm(CommandTimer, m.spec.Stop.Grace/2)
	default:
		m.signal()
	}
	m.grace()
}

// signal sends the next stop signal.
func (m *machine) signal() {
	list := m.spec.Stop.Signals
	if len(list) == 0 {
		list = []unit.StopSignal{{Signal: unit.DefaultStopSignal}}
	}
	if m.Ended || m.signals >= len(list) {
		return
	}
	now := list[m.signals]
	m.signals++
	m.effects = append(m.effects, Effect{Kind: Terminate, Run: m.Run, Signal: now.Signal})
	if m.signals < len(list) {
		m.arm(SignalTimer, list[m.signals].After-now.After)
	}
}

// grace begins the grace period of a run that is ending.
func (m *machine) grace() {
	if m.Hurried {
		m.kill()
		return
	}
	s := &m.spec.Stop
	m.latest = m.at.Add(max(s.Grace, s.GraceMax))
	m.until(GraceTimer, s.Grace)
}

// extendStop is a run that needs more time to end. It gets at most what its declaration allows.
func extendStop(m *machine, e Event) {
	to := m.at.Add(e.After)
	if to.After(m.latest) {
		to = m.latest
	}
	m.extend(GraceTimer, to)
}

// spawnedTooLate is the leader of a run that was asked to end before it existed, or of a command for the way down.
func spawnedTooLate(m *machine, _ Event) {
	m.Executed = true
	m.terminate()
}

// exited is the end of a leader that nobody asked to end. What it leaves behind
// is ended too before anything else happens, so that two runs never overlap.
func exited(m *machine, e Event) {
	m.Exit, m.Ended = e.Exit, true
	m.ends(byPolicy, unit.Crashed)
	m.do(Sweep)
	m.grace()
}

// exitedAsExpected is the end of a leader in a stop. What it left behind has the rest of its grace period.
func exitedAsExpected(m *machine, e Event) {
	if m.Ended {
		return
	}
	m.Exit, m.Ended = e.Exit, true
	m.do(Sweep)
	if m.armed[HangTimer] != 0 { // it ended of the signal that was to have it say where it hangs
		m.armed[HangTimer] = 0
		m.grace()
	}
}

func stoppingExpired(m *machine, e Event) {
	switch e.Timer {
	case GraceTimer:
		m.kill()
	case HangTimer:
		m.terminate()
	case CommandTimer, SignalTimer:
		m.signal()
	}
}

// commandOver is the end of the stop command: the signals follow.
func commandOver(m *machine, _ Event) {
	if m.armed[CommandTimer] != 0 {
		m.armed[CommandTimer] = 0
		m.signal()
	}
}

func hurry(m *machine, _ Event) { m.Hurried = true }

func killNow(m *machine, e Event) {
	hurry(m, e)
	m.kill()
}

// kill ends the grace period. Before the leader exists there is nothing to kill: spawnedTooLate comes back to it.
func (m *machine) kill() {
	if m.Executed && !m.Killed {
		m.Killed = true
		m.armed = [timers]uint32{}
		m.do(Kill)
	}
}

func thenStart(m *machine, e Event) {
	if m.Halted {
		return
	}
	m.next, m.began = startAgain, e.reason(unit.Asked)
}

func thenDown(m *machine, e Event) {
	m.next = goDown
	if m.Reason != unit.ContainerStopping {
		m.Reason = e.reason(unit.Asked)
	}
}

func thenFreeze(m *machine, _ Event) {
	m.Halted = true
	m.next = goDown
	m.Reason = unit.ContainerStopping
}

// undo runs a oneshot's command for the way down.
func undo(m *machine, e Event) {
	if !m.undoes() {
		goneDown(m, e)
		return
	}
	m.undo(goDown, e.reason(unit.Asked))
}

func undoAndStart(m *machine, e Event) {
	switch {
	case m.Halted:
	case m.undoes():
		m.undo(startAgain, e.reason(unit.Asked))
	default:
		beginAfresh(m, e)
	}
}

func undoForHalt(m *machine, e Event) {
	m.Halted = true
	if m.undoes() {
		m.undo(goDown, unit.ContainerStopping)
	}
}

// undoes tells whether there is a command for the way down, and time for it: in a hurry it would be killed at its birth.
func (m *machine) undoes() bool { return len(m.spec.Down) > 0 && !m.Hurried }

// accomplished tells whether the run was a oneshot's that did its work before anybody asked it to end, although its set
// is empty only now: what it did has to be undone like that of any other that is done.
func (m *machine) accomplished() bool {
	return m.undoes() && !m.Undoing && !m.Asked && m.decide(0).Verdict == unit.VerdictDone
}

func (m *machine) undo(then next, why unit.Reason) {
	m.newRun()
	m.Undoing = true
	m.ends(then, why)
	m.do(Undo)
}

// undoTime is how long a oneshot's command for the way down may take.
func (m *machine) undoTime() time.Duration {
	if m.spec.StartTimeout > 0 {
		return m.spec.StartTimeout
	}
	return m.spec.Stop.Grace
}

// spawnFailed is a run that could not be executed: an ordinary end, which takes the same path as a crash.
func spawnFailed(m *machine, e Event) {
	if m.State == unit.Starting {
		m.next, m.Cause, m.Asked = byPolicy, unit.CannotExecute, false
	}
	m.Exit, m.Ended, m.ExecError = e.Exit, true, e.Err
	m.settle()
}

// empty is the end of a run: nothing of it is left.
func empty(m *machine, _ Event) {
	if m.Ended {
		m.settle()
	}
}

// settle decides what follows a run that is over.
func (m *machine) settle() {
	why := m.Reason
	switch {
	case m.accomplished() && m.next != byPolicy:
		if m.next == startAgain {
			why = m.began
		}
		m.undo(m.next, why)
	case m.Halted && !m.accomplished():
		m.forget()
		m.enter(unit.Down, unit.ContainerStopping)
	case m.next == goDown:
		m.forget()
		m.enter(unit.Down, why)
	case m.next == startAgain:
		if m.began != unit.DependencyRestarted { // somebody has seen to the failures
			m.forget()
		}
		m.await(m.began)
	default:
		m.judge()
	}
}

func (m *machine) judge() {
	var recent int
	failed := m.failed
	failed, recent = failed.with(m.at, m.spec.GiveUp)
	d := m.decide(recent)
	if d.Verdict == unit.VerdictDone {
		m.forget()
		m.enter(unit.Done, d.Reason)
		return
	}
	m.Failures, m.failed = m.Failures+1, failed
	switch {
	case d.Verdict == unit.VerdictFail:
		m.enter(unit.Failed, d.Reason)
	case d.Delay == 0:
		m.await(unit.Crashed)
	default:
		m.enter(unit.Backoff, d.Reason)
		m.arm(BackoffTimer, d.Delay)
	}
}

func (m *machine) decide(recent int) Decision {
	return Decide(m.spec, End{
		Exit: m.Exit, Cause: m.Cause, WasReady: m.Ready, Run: m.Run, Failures: m.Failures + 1, Recent: recent,
	})
}

func backoffOver(m *machine, e Event) {
	if e.Timer == BackoffTimer {
		m.await(unit.Crashed)
	}
}
