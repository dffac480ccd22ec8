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
	{ // disabled: only another container, with another environment, changes it
		Start: ignore, Stop: ignore, Restart: ignore, Boot: ignore, Halt: halted, Hurry: hurry,
		Spawned: ignore, SpawnFailed: ignore, Ready: ignore, Exited: ignore, Empty: ignore, Expired: ignore,
	},
	{ // down
		Start: begin, Stop: askedDown, Restart: begin, Boot: beginAtBoot, Halt: halted, Hurry: hurry,
		Spawned: ignore, SpawnFailed: ignore, Ready: ignore, Exited: ignore, Empty: ignore, Expired: ignore,
	},
	{ // starting
		Start: ignore, Stop: stop, Restart: stopAndStart, Boot: ignore, Halt: stopForHalt, Hurry: hurry,
		Spawned: spawned, SpawnFailed: spawnFailed, Ready: ready, Exited: exited, Empty: ignore, Expired: ignore,
	},
	{ // up
		Start: ignore, Stop: stop, Restart: stopAndStart, Boot: ignore, Halt: stopForHalt, Hurry: hurry,
		Spawned: ignore, SpawnFailed: ignore, Ready: ignore, Exited: exited, Empty: ignore, Expired: stable,
	},
	{ // stopping
		Start: thenStart, Stop: thenDown, Restart: thenStart, Boot: ignore, Halt: thenHalt, Hurry: killNow,
		Spawned: spawnedTooLate, SpawnFailed: spawnFailed, Ready: ignore, Exited: exitedAsExpected, Empty: empty, Expired: graceOver,
	},
	{ // backoff
		Start: beginAfresh, Stop: askedDown, Restart: beginAfresh, Boot: ignore, Halt: haltedDown, Hurry: hurry,
		Spawned: ignore, SpawnFailed: ignore, Ready: ignore, Exited: ignore, Empty: ignore, Expired: backoffOver,
	},
	{ // failed
		Start: beginAfresh, Stop: askedDown, Restart: beginAfresh, Boot: ignore, Halt: halted, Hurry: hurry,
		Spawned: ignore, SpawnFailed: ignore, Ready: ignore, Exited: ignore, Empty: ignore, Expired: ignore,
	},
	{ // done
		Start: beginAfresh, Stop: askedDown, Restart: beginAfresh, Boot: ignore, Halt: halted, Hurry: hurry,
		Spawned: ignore, SpawnFailed: ignore, Ready: ignore, Exited: ignore, Empty: ignore, Expired: ignore,
	},
}

// ignore is right for a wish that is fulfilled already, for a fact about a run
// that has no process any more, and for a timer that outlived what it waited for.
func ignore(*machine, Event) {}

// begin starts the next run.
func begin(m *machine, _ Event) { m.spawn(unit.Asked) }

func beginAtBoot(m *machine, _ Event) { m.spawn(unit.AtBoot) }

// beginAfresh starts the next run and forgets earlier crashes: a person who starts it has seen to them.
func beginAfresh(m *machine, _ Event) {
	m.Failures = 0
	m.spawn(unit.Asked)
}

func (m *machine) spawn(why unit.Reason) {
	if m.Halted {
		return
	}
	m.Run++
	m.Executed, m.Ended, m.Killed, m.ExecError = false, false, false, ""
	m.next, m.began = byPolicy, why
	m.enter(unit.Starting, why)
	m.do(Spawn)
}

func askedDown(m *machine, _ Event) {
	m.Failures = 0
	m.enter(unit.Down, unit.Asked)
}

func halted(m *machine, _ Event) { m.Halted = true }

func haltedDown(m *machine, _ Event) {
	m.Halted = true
	m.enter(unit.Down, unit.ContainerStopping)
}

func spawned(m *machine, _ Event) {
	m.Executed = true
	if m.spec.Readiness != nil {
		m.Reason = unit.NotReady
		m.do(Probe)
		return
	}
	m.up()
}

func ready(m *machine, _ Event) {
	if m.Executed {
		m.up()
	}
}

func (m *machine) up() {
	m.enter(unit.Up, m.began)
	m.arm(StableTimer, StableAfter)
}

func stable(m *machine, e Event) {
	if e.Timer == StableTimer {
		m.Failures = 0
	}
}

func stop(m *machine, _ Event) { m.end(goDown, unit.Asked) }

func stopAndStart(m *machine, _ Event) { m.end(startAgain, unit.Asked) }

func stopForHalt(m *machine, _ Event) {
	m.Halted = true
	m.end(goDown, unit.ContainerStopping)
}

// end begins the end of a run that somebody asked to end.
func (m *machine) end(then next, why unit.Reason) {
	m.next, m.Asked = then, true
	m.enter(unit.Stopping, why)
	if m.Executed {
		m.terminate()
	}
}

func (m *machine) terminate() {
	m.do(Terminate)
	m.grace()
}

// grace begins the grace period of a run that is ending.
func (m *machine) grace() {
	if m.Hurried {
		m.kill()
		return
	}
	m.arm(GraceTimer, m.spec.StopGracePeriod)
}

// spawnedTooLate is the leader of a run that was asked to end before it existed.
func spawnedTooLate(m *machine, _ Event) {
	m.Executed = true
	m.terminate()
}

// exited is the end of a leader that nobody asked to end. What it leaves behind
// is ended too before anything else happens, so that two runs never overlap.
func exited(m *machine, e Event) {
	m.next, m.Asked = byPolicy, false
	m.Exit, m.Ended = e.Exit, true
	m.enter(unit.Stopping, unit.Crashed)
	m.do(Sweep)
	m.grace()
}

// exitedAsExpected is the end of a leader in a stop. What it left behind has the rest of its grace period.
func exitedAsExpected(m *machine, e Event) {
	if !m.Ended {
		m.Exit, m.Ended = e.Exit, true
		m.do(Sweep)
	}
}

func graceOver(m *machine, e Event) {
	if e.Timer == GraceTimer {
		m.kill()
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
		m.do(Kill)
	}
}

func thenStart(m *machine, _ Event) {
	if !m.Halted {
		m.next = startAgain
	}
}

func thenDown(m *machine, _ Event) {
	m.next = goDown
	if m.Reason != unit.ContainerStopping {
		m.Reason = unit.Asked
	}
}

func thenHalt(m *machine, _ Event) {
	m.Halted = true
	m.next = goDown
	m.Reason = unit.ContainerStopping
}

// spawnFailed is a run that could not be executed: an ordinary end, which takes the same path as a crash.
func spawnFailed(m *machine, e Event) {
	if m.State == unit.Starting {
		m.next, m.Asked = byPolicy, false
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
	switch {
	case m.next == goDown || m.Halted:
		m.Failures = 0
		if m.Halted {
			m.enter(unit.Down, unit.ContainerStopping)
		} else {
			m.enter(unit.Down, unit.Asked)
		}
	case m.next == startAgain:
		m.Failures = 0
		m.spawn(unit.Asked)
	default:
		m.judge()
	}
}

func (m *machine) judge() {
	why := unit.RestartRule
	verdict, byRule := m.spec.Judge(m.Exit)
	if byRule {
		why = unit.ExitRule
	}
	if m.ExecError != "" {
		why = unit.CannotExecute
	}
	switch verdict {
	case unit.VerdictDone:
		m.Failures = 0
		m.enter(unit.Done, why)
	case unit.VerdictFail:
		m.Failures++
		m.enter(unit.Failed, why)
	default:
		m.Failures++
		m.Delay = backoff(m.Failures)
		if why == unit.RestartRule {
			why = unit.Crashed
		}
		m.enter(unit.Backoff, why)
		m.arm(BackoffTimer, m.Delay)
	}
}

func backoffOver(m *machine, e Event) {
	if e.Timer == BackoffTimer {
		m.spawn(unit.Crashed)
	}
}

// backoff is the delay after the nth failure in a row, n from 1.
func backoff(n int) time.Duration {
	d := BackoffFirst
	for ; n > 1 && d < BackoffMost; n-- {
		d *= 2
	}
	return min(d, BackoffMost)
}
