package supervisor

import (
	"fmt"

	"pintle/internal/engine"
	"pintle/internal/lifecycle"
	"pintle/internal/process"
	"pintle/internal/unit"
)

// step tells the machine of one unit what happened, carries out what it decides, and publishes what has changed.
func (s *Supervisor) step(u *record, e lifecycle.Event) {
	if u.gone {
		return // a late event of a unit that was removed; another may have its name by now
	}
	e.At = now()
	before, next := u.life, u.next
	life, effects := lifecycle.Next(u.spec, before, e)
	u.life = life
	if ends(before, e) {
		s.ended(u, before.Killed || u.books.killed, e)
	}
	if life.Killed && !before.Killed && life.Ended {
		u.leftWasKilled()
	}
	if life.State != before.State || life.Run != before.Run {
		s.moved(u, &before)
	}
	for _, f := range effects { // timers first: what a run is told of its stop must say until when
		if f.Kind == lifecycle.Arm {
			s.arm(u, f)
		}
	}
	for _, f := range effects {
		s.carryOut(u, f)
	}
	s.settleLease(u)
	switch {
	case u.removing && !u.life.Alive():
		s.drop(u)
	case !u.life.Like(&before):
		s.touchDependents(u)
		s.publish(u)
	case !u.next.Equal(next): // the run was given more time
		s.publish(u)
	}
	if life.State == unit.Waiting && life.Began() != before.Began() {
		s.touch(u) // what is asked for does not wait for what it waited for until now
	}
	if life.Failures > before.Failures {
		s.failed(u)
	}
	if life.State == unit.Failed && before.State != unit.Failed {
		s.concludeFailure(u)
	}
	if s.stopping && u.spec.Kind == unit.Main && u.life.State == unit.Down && u.life.Run == 0 {
		s.conclude(Verdict{Code: 128 + int(unit.SIGTERM), Message: "the main program was never started: the container was stopped while it waited"})
	}
}

// moved keeps the books when a unit has come into another state, or begins another run in the one it is in: a oneshot
// that is undone as soon as nothing of its work is left.
func (s *Supervisor) moved(u *record, before *lifecycle.Unit) {
	from, to := before.State, u.life.State
	u.since, u.next = now(), zeroTime
	switch {
	case to == unit.Up:
		u.books.ready = u.since
	case from.Alive() && (!to.Alive() || u.life.Run != before.Run):
		s.keepRun(u)
	}
	u.endChecks()
	u.endChecks = func() {}
	if !u.life.Alive() || u.life.Run != before.Run {
		s.reset(u)
		s.forgetStop(u)
	}
	if to != unit.Starting {
		s.releaseSlot(u)
	}
	s.alive += count(to.Alive()) - count(from.Alive())
	s.active += count(activeIn(to)) - count(activeIn(from))
	if !u.life.Alive() {
		s.renew(u)
	}
}

// activeIn tells whether a unit in this state has processes or will have some by itself.
func activeIn(s unit.State) bool { return s.Alive() || s == unit.Waiting || s == unit.Backoff }

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// ends tells whether e is the end of the run that a unit is in.
func ends(u lifecycle.Unit, e lifecycle.Event) bool {
	over := e.Kind == lifecycle.Exited || e.Kind == lifecycle.SpawnFailed
	return over && e.Run == u.Run && u.Alive() && !u.Ended
}

// ended records how a run ended.
func (s *Supervisor) ended(u *record, killed bool, e lifecycle.Event) {
	end := &engine.RunEnd{
		Run: e.Run, Started: u.began, Ended: now(), Exit: e.Exit,
		Cause: u.life.Cause, Asked: u.life.Asked, Killed: killed, Error: e.Err, Sender: u.books.sender(e.Exit.Signal),
	}
	if end.Cause == unit.Hung {
		end.Detail = u.ailment
	}
	if u.run != nil {
		end.PID = u.run.Pid()
	} else {
		end.Started = end.Ended
	}
	u.last = end
	switch {
	case u.spec.Kind == unit.Main:
		s.conclude(Verdict{Code: e.Exit.ShellCode(), Message: e.Err})
	case end.Asked || end.Error != "": // what could not be executed is in its log already, and so on the console
	case u.spec.Kind == unit.Oneshot && end.Exit.Success() && end.Cause == unit.Crashed:
	default:
		s.o.Log.Warn(fmt.Sprintf("%s: run %d %s", u.spec.Name, end.Run, howItEnded(end)))
	}
}

// leftWasKilled notes that what was left of a run, after its leader had ended, was killed.
func (u *record) leftWasKilled() {
	if u.last != nil {
		last := *u.last // snapshots have the other one
		last.Killed = true
		u.last = &last
	}
}

// happened puts an event of a unit's run into the loop.
func (s *Supervisor) happened(u *record, e lifecycle.Event) {
	s.do(func(s *Supervisor) { s.step(u, e) })
}

// carryOut does one effect. What it starts knows its run and its record, so that what comes of it can't reach another.
func (s *Supervisor) carryOut(u *record, f lifecycle.Effect) {
	switch f.Kind {
	case lifecycle.Await:
		s.touch(u)
	case lifecycle.Spawn:
		go s.spawn(u, u.spec, u.spec.Command, f.Run)
	case lifecycle.Undo:
		go s.spawn(u, u.spec, u.spec.Down, f.Run)
	case lifecycle.Probe:
		s.probe(u, f.Run)
	case lifecycle.Guard:
		s.guard(u, f.Run)
	case lifecycle.Dump:
		u.books.send(u.spec.OnHang.Signal, unit.Policy.String())
		s.o.Log.Warn(fmt.Sprintf("%s: run %d hangs (%s): sending it %s, so that it may say where", u.spec.Name, f.Run, u.ailment, u.spec.OnHang.Signal))
		s.signal(u.run, u.spec.OnHang.Signal, func(error) {}) // who has ended meanwhile does not hang any more
	case lifecycle.Command:
		u.books.endedBy(s.stopper(u))
		spec, run := u.spec, u.run
		s.errands.put(func(*Supervisor) { go s.stopCommand(u, spec, f.Run, run) }) // after what it may read of the stop
	case lifecycle.Terminate:
		run, target := u.run, u.spec.Stop.Target
		u.books.endedBy(s.stopper(u))
		u.books.send(f.Signal, s.stopper(u))
		s.errands.put(func(*Supervisor) { run.Terminate(f.Signal, target) }) // after what it may read of the stop
	case lifecycle.Sweep:
		u.run.Sweep(
			func() { s.happened(u, lifecycle.Event{Kind: lifecycle.Empty, Run: f.Run}) },
			func(left []process.Left) { s.remains(u, f.Run, left) },
		)
	case lifecycle.Kill:
		s.o.Log.Warn(fmt.Sprintf("%s: run %d has not ended within its grace period: killing all of it", u.spec.Name, f.Run))
		u.next = zeroTime
		u.books.send(unit.SIGKILL, s.stopper(u))
		u.run.Kill()
	}
}

// arm starts a timer, in place of the one before.
func (s *Supervisor) arm(u *record, f lifecycle.Effect) {
	if t := u.timers[f.Timer]; t != nil {
		t.Stop()
	}
	u.timers[f.Timer] = s.later(f.After, func(s *Supervisor) {
		if f.Timer == lifecycle.WatchdogTimer {
			u.ailment = "it has not said for " + unit.Span(f.After) + " that it is alive"
		}
		s.step(u, lifecycle.Event{Kind: lifecycle.Expired, Run: f.Run, Timer: f.Timer, Serial: f.Serial})
	})
	switch f.Timer {
	case lifecycle.BackoffTimer, lifecycle.StartTimer:
		u.next = now().Add(f.After)
	case lifecycle.GraceTimer:
		u.next = now().Add(f.After)
		if by := u.books.killBy; !by.IsZero() && u.next.After(by) {
			u.next = by
		}
		s.noteStop(u)
	}
}

// remains records which processes keep a run from being over.
func (s *Supervisor) remains(u *record, run uint64, left []process.Left) {
	names := make([]string, len(left))
	for i, l := range left {
		names[i] = l.String()
	}
	s.do(func(s *Supervisor) {
		if u.life.Run == run && u.life.State == unit.Stopping {
			u.remaining = names
			s.publish(u)
		}
	})
}

// spawned is the worker's word that a run's leader exists.
func (s *Supervisor) spawned(u *record, number uint64, run Run) {
	s.do(func(s *Supervisor) {
		u.run, u.began = run, now()
		for _, sig := range u.early {
			s.passOn(u, sig)
		}
		u.early = nil
		if u.spec.Kind != unit.Main { // what the container prints is main's, but for what concerns services
			s.o.Log.Info(fmt.Sprintf("%s: run %d started (pid %d)", u.spec.Name, number, run.Pid()))
		}
		s.step(u, lifecycle.Event{Kind: lifecycle.Spawned, Run: number})
		for _, w := range u.words {
			s.heard(u, number, w)
		}
		u.words = nil
	})
}
