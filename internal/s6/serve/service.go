package serve

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/process"
	"pintle/internal/s6/wire"
	"pintle/internal/unit"
)

// service is one service directory that is supervised, or the logger of one. The tree's loop has all of its state.
type service struct {
	tree *Tree
	// name is "web", or "web/log"; unit is what pintle calls it.
	name string
	unit unit.Name
	path string
	// owner is who it runs as, as judged before its latest start, and kept who supervise/ belongs to, where that is another one.
	owner, kept owner

	dir    *wire.Dir
	seat   *wire.Seat
	events *wire.Fifodir
	m      *machine

	// run is the process that there is, run's or finish's; nil: none. number counts the runs.
	run    *process.Run
	spent  *process.Run // the run that finish is for; nil: none
	number uint64
	// starting is set while a process is being made, which may take as long as its owner likes; later is what waits for that.
	starting bool
	later    []func()
	// readiness is told whether the run said that it is ready, once it can't any more; nil: it has no such pipe, which is ready.
	readiness chan bool
	ready     *os.File
	// began is when the latest run did.
	began time.Time
	// ends are how the latest runs ended, failures how many did so by themselves since somebody started it, and failed is why
	// the last one could not be executed.
	ends     []engine.RunRecord
	failures int
	failed   string
	// told is whether the end of the run, or the next start, was asked for; because is why the latest run was started.
	told    bool
	because unit.Reason
	// sweeping counts the processes' sets that are being ended, and wanted is set where a start waits for that.
	sweeping int
	wanted   bool
	// timer fires at m.due; serial tells its firing from that of an older one.
	timer  *time.Timer
	serial int

	// slot is whose part it is, and pipe its end of the pipe between the slot's parts; nil: it has none.
	slot   *slot
	pipe   *end
	logger bool
	// over is set once its supervisor has ended.
	over bool
}

// supervise begins to supervise a service directory.
func (t *Tree) supervise(s *service) error {
	var err error
	if s.dir, err = s.enter(); err != nil {
		return err
	}
	if s.owner, err = s.judge(); err != nil {
		return err
	}
	keeper, err := s.keeper()
	if err == nil && keeper.uid != t.o.Self {
		err = s.seed(keeper)
	}
	if err == nil {
		err = keeper.as(func() (err error) { s.seat, err = s.dir.Supervise(); return err })
	}
	if err != nil {
		return err
	}
	if s.events, err = s.dir.Events(); err != nil {
		return err
	}
	files, err := s.files()
	if err != nil {
		return err
	}
	s.belong(s.owner)
	t.services[s.name] = s
	part := 0
	if s.logger {
		part = 1
	}
	s.slot.parts[part] = s
	go s.listen()
	m, deeds := begin(t.o.Version, files, t.o.Now())
	s.m = m
	s.do(deeds)
	return nil
}

// files reads what the service directory says.
func (s *service) files() (wire.Service, error) {
	var files wire.Service
	err := s.as(func() (err error) { files, err = s.dir.Service(s.tree.o.Version); return err })
	for _, w := range files.Warnings {
		s.say(w)
	}
	return files, err
}

// current is what the directory says now; where it can't be read, what it said before.
func (s *service) current() wire.Service {
	files, err := s.files()
	if err != nil {
		s.say(err.Error())
		return s.m.files
	}
	return files
}

// listen reads the control FIFO until the seat is given up.
func (s *service) listen() {
	buf := make([]byte, 64)
	for {
		n, err := s.seat.Commands.Read(buf)
		commands := slices.Clone(buf[:n])
		if len(commands) > 0 {
			obeyed := make(chan struct{})
			s.tree.do(func() { s.obey(commands, func() { close(obeyed) }) })
			select {
			case <-obeyed: // who writes to the FIFO waits for that
			case <-s.tree.done:
			}
		}
		if err != nil {
			return
		}
	}
}

// obey carries commands out, one after the other, and then calls obeyed.
func (s *service) obey(commands []byte, obeyed func()) {
	files := s.current()
	for i, c := range commands {
		if s.starting {
			s.later = append(s.later, func() { s.obey(commands[i:], obeyed) })
			return
		}
		if !s.over {
			s.hear(c, files)
		}
	}
	obeyed()
}

// soon does something with the service, unless a process of it is being made: then as soon as that is there, or is not.
func (s *service) soon(what func()) {
	if s.starting {
		s.later = append(s.later, what)
		return
	}
	what()
}

// hear has a command be carried out, and notes whether what comes of it is by somebody's wish.
func (s *service) hear(b byte, files wire.Service) {
	if c, ok := wire.CommandOf(s.tree.o.Version, b); ok {
		ends := c.Down || slices.Contains(mortal, c.Signal)
		starts := c.Start || c.Want == wire.WantUp
		s.told = s.told || s.m.state == up && ends || s.m.state == down && starts
	}
	s.do(s.m.command(b, files, s.tree.o.Now()))
}

// mortal are signals that somebody sends who wants a run to end.
var mortal = []unix.Signal{unix.SIGTERM, unix.SIGKILL, unix.SIGINT, unix.SIGQUIT, unix.SIGABRT}

// do carries deeds out, those that come of them too.
func (s *service) do(deeds []deed) {
	for len(deeds) > 0 {
		d := deeds[0]
		deeds = append(deeds[1:], s.carryOut(d)...)
	}
	if s.spent != nil && s.m.state != finishing {
		s.sweep(s.spent)
		s.spent = nil
	}
	s.arm()
	s.changed()
}

// carryOut carries one out, and returns those that come of it at once.
func (s *service) carryOut(d deed) []deed {
	now := s.tree.o.Now()
	switch d.kind {
	case startRun:
		return s.start(now)
	case startFinish:
		return s.finish(d.death, now)
	case sendSignal:
		s.send(d.signal, d.group)
	case writeStatus:
		s.check(s.asKeeper(func() error { return s.dir.SetStatus(s.tree.o.Version, s.m.status) }))
	case tellEvents:
		_, err := s.events.Notify(d.events) // not only to the owner: root's s6-svwait listens at a FIFO that is root's alone
		s.check(err)
	case buryRun:
		s.check(s.asKeeper(func() error { return s.dir.AddDeath(wire.DeathOf(s.m.status.Stamp, d.death), s.m.files.MaxDeaths) }))
	case keepDown:
		s.check(s.as(func() error { return s.dir.SetNormallyUp(false) }))
	case forgetDown:
		s.check(s.as(func() error { return s.dir.SetNormallyUp(true) }))
	case muteRun:
		s.leavePipe()
	case leave:
		s.leave()
	}
	return nil
}

// check says what could not be done to the files of the directory, which is no reason not to go on.
func (s *service) check(err error) {
	if err != nil {
		s.say(err.Error())
	}
}

// say says something of the service in its log.
func (s *service) say(text string) { s.tree.o.Logs.Journal(s.unit).Note(s.number, text) }

// arm has the timer fire when the machine wants it.
func (s *service) arm() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	s.serial++
	if s.m.due.IsZero() || s.over {
		return
	}
	serial := s.serial
	s.timer = after(s.m.due.Sub(s.tree.o.Now()), func() {
		s.tree.do(func() {
			s.soon(func() {
				if s.serial == serial {
					s.do(s.m.ring(s.tree.o.Now()))
				}
			})
		})
	})
}

// send sends a signal to the process that there is, or to its group.
func (s *service) send(sig unix.Signal, group bool) {
	if s.run == nil {
		return
	}
	if group {
		_ = unix.Kill(-s.run.Pid(), sig) // the leader has not been reaped: the group is its own
		return
	}
	s.check(s.run.Signal(unit.Signal(sig)))
}

// start starts a run.
func (s *service) start(now time.Time) []deed {
	if s.m.state != down || s.run != nil || s.starting {
		return nil
	}
	if s.wanted = s.sweeping > 0; s.wanted {
		return nil
	}
	if err := s.adopt(); err != nil {
		s.fail(err)
		s.m.wake(now.Add(restartDelay))
		return nil
	}
	s.m.files = s.current()
	if err := s.m.files.Startable(); err != nil {
		s.fail(fmt.Errorf("cannot start it: %w", err))
		return nil // not before somebody asks again
	}
	s.number++
	c := s.command("run", s.base("run"), []string{s.name})
	c.More = map[int]*os.File{}
	ready, err := s.giveReady(&c)
	if err == nil {
		err = s.giveLock(&c)
	}
	if err != nil {
		closeAll(append(given(&c), ready)...)
		s.fail(fmt.Errorf("cannot start it: %w", err))
		if err == errLocked {
			s.m.wake(now.Add(restartDelay))
			return nil
		}
		return s.m.notStarted(false, now)
	}
	number := s.number
	return s.launch(c, func(run *process.Run, err error) []deed {
		now := s.tree.o.Now()
		if err != nil {
			closeAll(ready)
			s.fail(err)
			return s.m.notStarted(true, now)
		}
		s.began, s.failed = now, ""
		s.because = unit.Crashed
		switch {
		case s.told:
			s.because = unit.Asked
		case len(s.ends) == 0:
			s.because = unit.Declared
		}
		s.told = false
		s.tree.o.Log.Info(fmt.Sprintf("%s: run %d started (pid %d)", s.unit, s.number, run.Pid()))
		if ready != nil {
			s.ready, s.readiness = ready, make(chan bool, 1)
			go s.awaitReady(ready, number, s.readiness)
		}
		return s.m.started(run.Pid(), now)
	}, func(run *process.Run, e unit.Exit) {
		s.readyAtLast()
		s.died(e)
		s.spent = run
		s.do(s.m.died(waitStatus(e), s.current(), s.tree.o.Now()))
	})
}

// fail notes why it could not be started.
func (s *service) fail(err error) {
	if text := err.Error(); s.failed != text { // else that was said
		s.failed = text
		s.say(text)
	}
}

// base is argv[0] of a script.
func (s *service) base(script string) string {
	if script == "run" && s.tree.o.Version.AtLeast(2, 12) {
		return "./run"
	}
	return script
}

// finish runs the script finish.
func (s *service) finish(how unix.WaitStatus, now time.Time) []deed {
	if err := s.adopt(); err != nil {
		s.say(err.Error())
		return s.m.notStarted(true, now)
	}
	code, signal := 256, 0
	if how.Exited() {
		code = how.ExitStatus()
	} else {
		signal = int(how.Signal())
	}
	args := []string{strconv.Itoa(code), strconv.Itoa(signal), s.name}
	if s.tree.o.Version.AtLeast(2, 13) {
		args = append(args, strconv.Itoa(s.m.status.PGID))
	}
	return s.launch(s.command("finish", s.base("finish"), args), func(run *process.Run, err error) []deed {
		now := s.tree.o.Now()
		if err != nil {
			s.say(err.Error())
			return s.m.notStarted(true, now)
		}
		return s.m.started(run.Pid(), now)
	}, func(run *process.Run, e unit.Exit) {
		s.sweep(run)
		code := e.Code
		if e.Signal != 0 {
			code = 0
		}
		s.do(s.m.finished(code, s.tree.o.Now()))
	})
}

// sweep ends what a run has left behind, which s6 leaves alone: the next one is not to find it there.
func (s *service) sweep(run *process.Run) {
	s.sweeping++
	kill := after(killAgain, run.Kill)
	run.Sweep(func() {
		s.tree.do(func() {
			kill.Stop()
			if s.sweeping--; s.sweeping == 0 && s.wanted && !s.over {
				s.do([]deed{{kind: startRun}})
			}
		})
	}, nil)
}

// waitStatus is an exit as wait(2) has it.
func waitStatus(e unit.Exit) unix.WaitStatus {
	if e.Signal != 0 {
		return unix.WaitStatus(e.Signal)
	}
	return unix.WaitStatus(e.Code << 8)
}

func (s *service) leavePipe() {
	s.pipe.release()
	s.pipe = nil
}

// logs tells whether it is to end only when nothing comes any more.
func (s *service) logs() bool { return s.logger || s.name == wire.CatchAll }

// end has the supervisor end once nothing of the service is there; with kill, the run is asked to end first.
func (s *service) end(kill bool) {
	s.soon(func() {
		if !s.over {
			s.do(s.m.end(kill, s.tree.o.Now()))
		}
	})
}

// leave is the supervisor's end.
func (s *service) leave() {
	s.over = true
	s.leavePipe()
	s.check(s.seat.Close())
	s.check(s.events.Close())
	s.check(s.dir.Close())
	s.tree.ended(s)
}

// abandon lets go of what a service holds that can't be supervised.
func (s *service) abandon() {
	s.over = true
	s.tree.o.Names.give(s.unit, s.tree)
	s.leavePipe()
	if s.seat != nil {
		_ = s.seat.Close() // it was said what is wrong
	}
	if s.events != nil {
		_ = s.events.Close()
	}
	if s.dir != nil {
		_ = s.dir.Close()
	}
}
