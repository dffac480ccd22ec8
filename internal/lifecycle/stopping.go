package lifecycle

import "pintle/internal/unit"

// This file is the end of a run, however it came to it, and what follows.

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

// extendStop is a run that needs more time to end. It gets at most what its declaration allows; a command for the way
// down has its time, and gets no more.
func extendStop(m *machine, e Event) {
	if m.Undoing {
		return
	}
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
	failed, recent := m.failed.with(m.at, m.spec.GiveUp)
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
