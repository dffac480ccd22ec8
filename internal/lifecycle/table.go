package lifecycle

import (
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
