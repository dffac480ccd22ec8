package serve

import (
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/s6/wire"
)

// state is where a service is, as s6-supervise sees it.
type state uint8

const (
	down      state = iota // no process of it; with a run to come where it is wanted up
	up                     // its run is there
	finishing              // its run has ended, and finish is there
	gone                   // its supervisor has ended
)

// Times of s6-supervise that no file sets.
const (
	restartDelay = time.Second      // from readiness, or from a run's end, to the next start
	killAgain    = 5 * time.Second  // between two SIGKILLs for what does not die
	execAgain    = 10 * time.Second // after run could not be executed, up to 2.11
	forkAgain    = time.Minute      // after there could be no process, and later the same for exec
)

// machine is s6-supervise's state machine for one service: what happened goes in, deeds come out. It has no clock and does
// nothing itself.
type machine struct {
	version wire.Version
	files   wire.Service // as read last
	state   state
	// last is set once the supervisor ends with this run, and mute once its input and output are not the logger's any more.
	last, mute bool
	// dying is set once the run was told to stop.
	dying bool
	// permanent is set where it is down because finish said that it can't be up.
	permanent bool
	status    wire.Status
	// next is when it may be started again, which counts from when the run said that it is ready; zero: it did not.
	next time.Time
	// due is when the timer fires next; zero: never.
	due time.Time
}

// deed is something that is to be done, in the order of the list.
type deed struct {
	kind   deedKind
	signal unix.Signal
	group  bool
	events string          // of tell
	death  unix.WaitStatus // of finish and bury
}

type deedKind uint8

const (
	startRun    deedKind = iota // answered by started or notStarted
	startFinish                 // the same
	sendSignal                  // to the process that there is
	writeStatus
	tellEvents
	buryRun    // add it to the death tally
	keepDown   // make the file down
	forgetDown // remove it
	muteRun    // let go of the pipe to the logger
	leave      // the supervisor ends
)

// begin is the supervisor's start.
func begin(v wire.Version, files wire.Service, now time.Time) (*machine, []deed) {
	m := &machine{version: v, files: files}
	m.status = wire.Status{Stamp: wire.StampOf(now), ReadyStamp: wire.StampOf(now), WantUp: !files.Down, ReadyFlag: true}
	if v.AtLeast(2, 13, 2) {
		m.status.Paused = true // not started yet
	}
	m.wake(now)
	return m, []deed{{kind: writeStatus}, inform("s")}
}

func inform(events string) deed { return deed{kind: tellEvents, events: events} }

// wake has a service that is wanted up be started at a time.
func (m *machine) wake(at time.Time) {
	m.due = time.Time{}
	if m.status.WantUp && m.files.Startable() == nil {
		m.due = at
	}
}

// ring is that m.due has come.
func (m *machine) ring(now time.Time) []deed {
	switch m.state {
	case down:
		m.due = time.Time{}
		return []deed{{kind: startRun}}
	case up:
		m.due = now.Add(killAgain)
		return m.kill(m.files.KillGroup)
	case finishing:
		m.due = now.Add(killAgain)
		return m.kill(false)
	}
	return nil
}

// kill has the process that there is be killed.
func (m *machine) kill(group bool) []deed {
	return []deed{{kind: sendSignal, signal: unix.SIGKILL, group: group}, {kind: sendSignal, signal: unix.SIGCONT, group: group}}
}

// started is that run, or finish, is there.
func (m *machine) started(pid int, now time.Time) []deed {
	m.status.PID = pid
	if m.state == finishing {
		m.due = time.Time{}
		if m.files.TimeoutFinish > 0 {
			m.due = now.Add(m.files.TimeoutFinish)
		}
		return []deed{{kind: writeStatus}, inform("d")}
	}
	m.state, m.dying, m.permanent, m.due, m.next = up, false, false, time.Time{}, time.Time{}
	m.status.PGID, m.status.Stamp = pid, wire.StampOf(now)
	m.status.Paused, m.status.ReadyFlag = false, false
	return []deed{{kind: writeStatus}, inform("u")}
}

// notStarted is that there could be none: executed tells that a process was there, which could not be run's.
func (m *machine) notStarted(executed bool, now time.Time) []deed {
	if m.state == finishing { // as if it had ended at once
		return append([]deed{{kind: writeStatus}, inform("d")}, m.finished(0, now)...)
	}
	wait := forkAgain
	if executed && !m.version.AtLeast(2, 12) {
		wait = execAgain
	}
	m.wake(now.Add(wait))
	return nil
}

// ready is that the run has said so.
func (m *machine) ready(now time.Time) []deed {
	if m.state != up || m.status.ReadyFlag {
		return nil
	}
	m.status.ReadyFlag, m.status.ReadyStamp, m.next = true, wire.StampOf(now), now.Add(restartDelay)
	return []deed{{kind: writeStatus}, inform("U")}
}

// died is that the run has ended; files are the service's, read anew.
func (m *machine) died(how unix.WaitStatus, files wire.Service, now time.Time) []deed {
	m.files = files
	m.state, m.due, m.dying = finishing, time.Time{}, false
	m.status.Wait, m.status.Stamp, m.status.PID = how, wire.StampOf(now), 0
	m.status.Paused, m.status.ReadyFlag, m.status.Finishing = false, false, true
	deeds := []deed{{kind: buryRun, death: how}}
	if m.files.Finish {
		return append(deeds, deed{kind: startFinish, death: how})
	}
	if m.version.AtLeast(2, 12) {
		deeds = append(deeds, m.finished(0, now)...)
		for i := range deeds {
			if deeds[i].kind == tellEvents && deeds[i].events == "D" {
				deeds[i].events = "dD"
			}
		}
		return deeds
	}
	deeds = append(deeds, deed{kind: writeStatus}, inform("d"))
	return append(deeds, m.finished(0, now)...)
}

// finished is that finish has ended, or that there was none.
func (m *machine) finished(code int, now time.Time) []deed {
	const permanently = 125
	events := "D"
	if code == permanently {
		m.status.WantUp, m.permanent, events = false, true, "OD"
	}
	next := m.next
	if next.IsZero() {
		next = now.Add(restartDelay)
	}
	m.state = down
	m.status.PID, m.status.Finishing, m.status.ReadyFlag, m.status.ReadyStamp = 0, false, true, wire.StampOf(now)
	deeds := []deed{{kind: writeStatus}, inform(events)}
	if m.last {
		m.state = gone
		return append(deeds, inform("x"), deed{kind: leave})
	}
	m.wake(next)
	return deeds
}

// command is a byte on the control FIFO; files are the service's, read anew.
func (m *machine) command(b byte, files wire.Service, now time.Time) []deed {
	c, ok := wire.CommandOf(m.version, b)
	if !ok || m.state == gone {
		return nil
	}
	var deeds []deed
	m.files = files
	want := m.status.WantUp
	switch c.Want {
	case wire.WantUp:
		want = true
	case wire.WantDown:
		want = false
	}
	if c.Keep {
		kind := keepDown
		if want {
			kind = forgetDown
		}
		deeds = append(deeds, deed{kind: kind})
	}
	if want != m.status.WantUp {
		m.status.WantUp = want
		deeds = append(deeds, deed{kind: writeStatus})
	}
	switch {
	case c.Start && m.state == down:
		deeds = append(deeds, deed{kind: startRun})
	case m.state == down:
		if !want {
			m.due = time.Time{}
		}
	case c.Stop && m.state == up:
		deeds = append(deeds, m.stop(now)...)
	case m.state == up:
		deeds = append(deeds, m.signals(c)...)
	}
	if c.Exit {
		deeds = append(deeds, m.end(false, now)...)
	}
	return deeds
}

// stop asks the run to end.
func (m *machine) stop(now time.Time) []deed {
	m.dying, m.due = true, time.Time{}
	if m.files.TimeoutKill > 0 {
		m.due = now.Add(m.files.TimeoutKill)
	}
	return []deed{{kind: sendSignal, signal: m.files.DownSignal}, {kind: sendSignal, signal: unix.SIGCONT}, {kind: writeStatus}}
}

// signals are what a command sends to the run.
func (m *machine) signals(c wire.Command) []deed {
	signal := c.Signal
	switch {
	case c.Down:
		signal = m.files.DownSignal
	case c.Reload:
		signal = m.files.ReloadSignal
	case signal == 0:
		return nil
	}
	deeds := []deed{{kind: sendSignal, signal: signal, group: c.Group}}
	if signal == unix.SIGSTOP || signal == unix.SIGCONT {
		m.status.Paused = signal == unix.SIGSTOP
		deeds = append(deeds, deed{kind: writeStatus})
	}
	return deeds
}

// end has the supervisor end once nothing of the service is there; with kill, the run is asked to end first.
func (m *machine) end(kill bool, now time.Time) []deed {
	if m.state == down {
		m.state = gone
		return []deed{inform("x"), {kind: leave}}
	}
	var deeds []deed
	if m.state == up && kill {
		m.status.WantUp = false
		deeds = m.stop(now)
	}
	m.last = true
	if !m.mute && (m.state == finishing || !kill) {
		m.mute = true
		deeds = append(deeds, deed{kind: muteRun})
	}
	return deeds
}
