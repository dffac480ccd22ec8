package supervisor

import (
	"context"
	"fmt"
	"time"

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
	before := u.life
	life, effects := lifecycle.Next(u.spec, before, e)
	u.life = life
	if ends(before, e) {
		s.ended(u, before.Killed, e)
	}
	if life.State != before.State {
		u.since, u.next = now(), time.Time{}
		u.endProbe()
		if !life.Alive() || life.State == unit.Starting {
			u.reset()
		}
	}
	for _, f := range effects {
		s.do(u, f)
	}
	switch {
	case u.removing && !life.Alive():
		s.drop(u)
	case life != before:
		s.publish(u)
	}
	if before.Alive() && !life.Alive() {
		s.checkIdle()
	}
}

// ends tells whether e is the end of the run that a unit is in.
func ends(u lifecycle.Unit, e lifecycle.Event) bool {
	over := e.Kind == lifecycle.Exited || e.Kind == lifecycle.SpawnFailed
	return over && e.Run == u.Run && u.Alive() && !u.Ended
}

// reset forgets what belonged to the run before: none is under way, or a new one begins.
func (u *record) reset() {
	u.run, u.remaining = nil, nil
	for i, t := range u.timers {
		if t != nil {
			t.Stop()
			u.timers[i] = nil
		}
	}
}

// ended records how a run ended.
func (s *Supervisor) ended(u *record, killed bool, e lifecycle.Event) {
	end := &engine.RunEnd{
		Run: e.Run, Started: u.began, Ended: now(), Exit: e.Exit,
		Asked: u.life.Asked, Killed: killed, Error: e.Err,
	}
	if u.run != nil {
		end.PID = u.run.Pid()
	} else {
		end.Started = end.Ended
	}
	u.last = end
	switch {
	case u.spec.Kind == unit.Main:
		s.mainExit, s.mainError = e.Exit, e.Err
		close(s.mainEnded)
	case !end.Asked && end.Error == "": // what could not be executed is in its log already, and so on the console
		s.o.Log.Warn(fmt.Sprintf("%s: run %d %s", u.spec.Name, end.Run, howItEnded(end)))
	}
}

// happened puts an event of a unit's run into the loop.
func (s *Supervisor) happened(u *record, e lifecycle.Event) {
	s.queue.put(func(s *Supervisor) { s.step(u, e) })
}

// do carries out one effect. What it starts knows its run and its record, so that what comes of it can't reach another.
func (s *Supervisor) do(u *record, f lifecycle.Effect) {
	switch f.Kind {
	case lifecycle.Spawn:
		go s.spawn(u, f.Run)
	case lifecycle.Probe:
		ctx, cancel := context.WithCancel(context.Background())
		u.endProbe = cancel
		address := u.spec.Readiness.TCP
		go func() {
			if accepts(ctx, address) {
				s.happened(u, lifecycle.Event{Kind: lifecycle.Ready, Run: f.Run})
			}
		}()
	case lifecycle.Terminate:
		u.run.Terminate(u.spec.StopSignal)
	case lifecycle.Sweep:
		u.run.Sweep(
			func() { s.happened(u, lifecycle.Event{Kind: lifecycle.Empty, Run: f.Run}) },
			func(left []process.Left) { s.remains(u, f.Run, left) },
		)
	case lifecycle.Kill:
		s.o.Log.Warn(fmt.Sprintf("%s: run %d has not ended within its grace period: killing all of it", u.spec.Name, f.Run))
		u.next = time.Time{}
		u.run.Kill()
	case lifecycle.Arm:
		u.timers[f.Timer] = s.after(f.After, u, lifecycle.Event{Kind: lifecycle.Expired, Run: f.Run, Timer: f.Timer})
		if f.Timer != lifecycle.StableTimer {
			u.next = now().Add(f.After)
		}
	}
}

// remains records which processes keep a run from being over.
func (s *Supervisor) remains(u *record, run uint64, left []process.Left) {
	names := make([]string, len(left))
	for i, l := range left {
		names[i] = l.String()
	}
	s.queue.put(func(s *Supervisor) {
		if u.life.Run == run && u.life.State == unit.Stopping {
			u.remaining = names
			s.publish(u)
		}
	})
}

// spawned is the worker's word that a run's leader exists.
func (s *Supervisor) spawned(u *record, number uint64, run *process.Run) {
	s.queue.put(func(s *Supervisor) {
		u.run, u.began = run, now()
		for _, sig := range u.early {
			s.passOn(u, sig)
		}
		u.early = nil
		if u.spec.Kind != unit.Main { // what the container prints is main's, but for what concerns services
			s.o.Log.Info(fmt.Sprintf("%s: run %d started (pid %d)", u.spec.Name, number, run.Pid()))
		}
		s.step(u, lifecycle.Event{Kind: lifecycle.Spawned, Run: number})
	})
}
