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
	before := u.life
	life, effects := lifecycle.Next(u.spec, u.life, e)
	u.life = life
	if life.State != before.State {
		u.since = now()
		u.next = time.Time{}
	}
	if over := e.Kind == lifecycle.Exited || e.Kind == lifecycle.SpawnFailed; over && e.Run == before.Run && before.Alive() && !before.Ended {
		s.ended(u, before, e)
	}
	if !life.Alive() || life.Run != before.Run {
		u.reset()
	}
	for _, f := range effects {
		s.do(u, f)
	}
	if u.removing && !u.life.Alive() {
		s.drop(u)
		return
	}
	if u.life != before || len(effects) > 0 {
		s.publish(u)
	}
	if before.Alive() && !u.life.Alive() {
		s.checkIdle()
	}
}

// reset forgets what belonged to a run that is over.
func (u *record) reset() {
	u.run, u.remaining = nil, nil
	for i, t := range u.timers {
		if t != nil {
			t.Stop()
			u.timers[i] = nil
		}
	}
}

// ended records how a run ended, of which the unit was at before.
func (s *Supervisor) ended(u *record, before lifecycle.Unit, e lifecycle.Event) {
	end := &engine.RunEnd{
		Run: e.Run, Started: u.began, Ended: now(), Exit: e.Exit,
		Asked: u.life.Asked, Killed: before.Killed, Error: e.Err,
	}
	if u.run != nil {
		end.PID = u.run.Pid()
	} else {
		end.Started = end.Ended
	}
	u.last = end
	if u.endProbe != nil {
		u.endProbe()
		u.endProbe = nil
	}
	if !end.Asked && u.spec.Kind != unit.Main {
		s.o.Log.Warn(fmt.Sprintf("%s: run %d %s", u.spec.Name, end.Run, howItEnded(end)))
	}
	if u.spec.Kind == unit.Main {
		s.mainExit, s.mainError = e.Exit, e.Err
		close(s.mainEnded)
	}
}

// happened puts an event of a unit's run into the loop.
func (s *Supervisor) happened(name unit.Name, e lifecycle.Event) {
	s.queue.put(func(s *Supervisor) {
		if u, ok := s.units[name]; ok {
			s.step(u, e)
		}
	})
}

// do carries out one effect.
func (s *Supervisor) do(u *record, f lifecycle.Effect) {
	name := u.spec.Name
	switch f.Kind {
	case lifecycle.Spawn:
		go s.spawn(u.spec, f.Run)
	case lifecycle.Probe:
		ctx, cancel := context.WithCancel(context.Background())
		u.endProbe = cancel
		address := u.spec.Readiness.TCP
		go func() {
			if accepts(ctx, address) {
				s.happened(name, lifecycle.Event{Kind: lifecycle.Ready, Run: f.Run})
			}
		}()
	case lifecycle.Terminate:
		u.run.Terminate(u.spec.StopSignal)
	case lifecycle.Sweep:
		u.run.Sweep(
			func() { s.happened(name, lifecycle.Event{Kind: lifecycle.Empty, Run: f.Run}) },
			func(left []process.Left) { s.remains(name, f.Run, left) },
		)
	case lifecycle.Kill:
		s.o.Log.Warn(fmt.Sprintf("%s: run %d has not ended within its grace period: killing all of it", name, f.Run))
		u.run.Kill()
	case lifecycle.Arm:
		expired := lifecycle.Event{Kind: lifecycle.Expired, Run: f.Run, Timer: f.Timer}
		u.timers[f.Timer] = s.after(f.After, func(s *Supervisor) {
			if u, ok := s.units[name]; ok {
				s.step(u, expired)
			}
		})
		if f.Timer != lifecycle.StableTimer {
			u.next = now().Add(f.After)
		}
	}
}

// remains records which processes keep a run from being over.
func (s *Supervisor) remains(name unit.Name, run uint64, left []process.Left) {
	s.queue.put(func(s *Supervisor) {
		u, ok := s.units[name]
		if !ok || u.life.Run != run || !u.life.Alive() {
			return
		}
		u.remaining = nil
		for _, l := range left {
			u.remaining = append(u.remaining, l.String())
		}
		s.publish(u)
	})
}

// spawned is the worker's word that a run's leader exists.
func (s *Supervisor) spawned(name unit.Name, number uint64, run *process.Run) {
	s.queue.put(func(s *Supervisor) {
		u, ok := s.units[name]
		if !ok || u.life.Run != number {
			return // cannot be: a unit is kept, and begins no other run, until this one has ended
		}
		u.run, u.began = run, now()
		if u.spec.Kind != unit.Main { // what the container prints is main's, but for what concerns services
			s.o.Log.Info(fmt.Sprintf("%s: run %d started (pid %d)", name, number, run.Pid()))
		}
		s.step(u, lifecycle.Event{Kind: lifecycle.Spawned, Run: number})
	})
}
