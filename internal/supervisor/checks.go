package supervisor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"
	"unicode"

	"pintle/internal/lifecycle"
	"pintle/internal/logs"
	"pintle/internal/probe"
	"pintle/internal/process"
	"pintle/internal/unit"
)

// This file asks runs whether they are ready and alive. Each question is a worker
// that ends, and is not heard any more, once the unit is in another state.

// probe asks for readiness until it is there.
func (s *Supervisor) probe(u *record, number uint64) {
	ctx, cancel := context.WithCancel(context.Background())
	u.endChecks = cancel
	spec, run := u.spec, u.run
	var wait func() bool
	switch r := spec.Readiness; {
	case r.Notify: // the run says so itself
		return
	case r.FD > 0:
		pipe := u.ready
		u.ready = nil
		u.endChecks = func() { pipe.Close() }
		wait = func() bool {
			said := newline(pipe)
			if !said { // nor will it ever; or the unit is in another state, and this is not heard
				s.ails(u, number)(errors.New("it has closed it without a word"))
			}
			return said
		}
	case r.Log != "":
		wait = func() bool { return s.wrote(ctx, spec.Name, number, r.Log) }
	default:
		check := s.check(r.Check, spec, number, run)
		wait = func() bool { return probe.Ready(ctx, check, *r, s.ails(u, number)) }
	}
	go func() {
		if wait() {
			s.happened(u, lifecycle.Event{Kind: lifecycle.Ready, Run: number})
		}
	}()
}

// guard asks for liveness for as long as the run is up.
func (s *Supervisor) guard(u *record, number uint64) {
	ctx, cancel := context.WithCancel(context.Background())
	u.endChecks = cancel
	rule := *u.spec.Liveness
	check := s.check(rule.Check, u.spec, number, u.run)
	go func() {
		if err := probe.Live(ctx, check, rule, s.ails(u, number)); err != nil {
			s.happened(u, lifecycle.Event{Kind: lifecycle.Hang, Run: number})
		}
	}()
}

// recheck has a run, whose unit was declared anew, be asked as that says. What a run says by itself it says in the same
// way: else it would have been replaced.
func (s *Supervisor) recheck(u *record, old *unit.Spec) {
	is := u.spec
	switch {
	case u.life.State == unit.Starting && u.life.Executed && !reflect.DeepEqual(old.Readiness, is.Readiness):
		switch r := is.Readiness; {
		case r == nil:
			s.step(u, lifecycle.Event{Kind: lifecycle.Ready, Run: u.life.Run})
		case !r.Notify && r.FD == 0:
			u.endChecks()
			s.probe(u, u.life.Run)
		}
	case u.life.State == unit.Up && !reflect.DeepEqual(old.Liveness, is.Liveness):
		u.endChecks()
		u.endChecks = func() {}
		if is.Liveness != nil {
			s.guard(u, u.life.Run)
		}
	}
}

// ails notes what a check says of a run.
func (s *Supervisor) ails(u *record, number uint64) func(error) {
	return func(err error) {
		s.do(func(s *Supervisor) {
			if u.life.Run != number || !u.life.Alive() || u.life.State == unit.Stopping {
				return
			}
			u.ailment = ""
			if err != nil {
				u.ailment = err.Error()
			}
			s.publish(u)
		})
	}
}

// check makes the question of its declaration.
func (s *Supervisor) check(c unit.Check, spec *unit.Spec, number uint64, run Run) probe.Check {
	switch {
	case c.TCP != "":
		return probe.TCP(c.TCP)
	case c.HTTP != "":
		return probe.HTTP(c.HTTP)
	}
	return func(ctx context.Context) error { return s.assist(ctx, spec, c.Exec, number, run) }
}

// stopCommand executes what asks a run to end; it is a worker.
func (s *Supervisor) stopCommand(u *record, spec *unit.Spec, number uint64, run Run) {
	err := s.assist(context.Background(), spec, spec.Stop.Command, number, run)
	if err != nil {
		s.o.Logs.Journal(spec.Name).Note(number, "stop_command: "+err.Error())
	}
	s.happened(u, lifecycle.Event{Kind: lifecycle.CommandEnded, Run: number})
}

// assist executes another command for a run, in the run's environment and process
// set, and waits for it. When ctx ends before it does, it is killed. The error is
// a clause: what it failed of, and the last line that it wrote.
func (s *Supervisor) assist(ctx context.Context, spec *unit.Spec, command []string, number uint64, run Run) error {
	l, err := s.launch(spec, command, number)
	if err != nil {
		return err
	}
	read, write, err := process.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	l.Of, l.Journal = run, nil
	l.Files = [3]*os.File{nil, write, write}
	l.Env = append(l.Env, fmt.Sprintf("PINTLE_MAIN_PID=%d", run.Pid()))
	process.Lend(l.Identity, write)
	said := make(chan string, 1)
	go func() { said <- lastLine(read) }()
	exited := make(chan unit.Exit, 1)
	helper, err := s.o.Kernel.Start(l, Hooks{Exited: func(e unit.Exit, _ unit.Usage) { exited <- e }})
	write.Close()
	if err != nil {
		return err
	}
	late := ctx.Done()
	var exit unit.Exit
	for waiting := true; waiting; {
		select {
		case exit = <-exited:
			waiting = false
		case <-late:
			late = nil
			helper.Terminate(unit.SIGKILL, unit.TargetGroup)
		case <-s.done:
			return context.Canceled
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case exit.Success():
		return nil
	}
	// What it wrote is in the pipe by now. What it left running may hold the pipe open, and is not waited for.
	_ = read.SetReadDeadline(now().Add(drainHelper))
	what := fmt.Sprintf("%s %s", filepath.Base(command[0]), exit)
	if line := <-said; line != "" {
		return fmt.Errorf("%s: %s", what, line)
	}
	return errors.New(what)
}

// drainHelper is how long the last words of a command may take to be read.
const drainHelper = 100 * time.Millisecond

// mostOfLine is how much of a line is kept.
const mostOfLine = 200

// lastLine reads to the end, and returns the last line that was not empty.
func lastLine(f *os.File) (last string) {
	r := bufio.NewReaderSize(f, 4<<10)
	for {
		line, err := r.ReadSlice('\n')
		if text := strings.TrimSpace(strings.Map(harmless, string(line[:min(len(line), mostOfLine)]))); text != "" {
			last = text
		}
		if err != nil && err != bufio.ErrBufferFull {
			return last
		}
	}
}

// harmless keeps a line from commanding a terminal.
func harmless(c rune) rune {
	if unicode.IsPrint(c) {
		return c
	}
	return ' '
}

// newline waits for a line's end on a pipe, and tells whether one came before the pipe's own end.
func newline(pipe *os.File) bool {
	defer pipe.Close()
	buf := make([]byte, 128)
	for {
		n, err := pipe.Read(buf)
		if strings.Contains(string(buf[:n]), "\n") {
			return true
		}
		if err != nil {
			return false
		}
	}
}

// wrote waits until a run has written a line with the pattern in it, and tells whether it did before ctx ended.
func (s *Supervisor) wrote(ctx context.Context, name unit.Name, number uint64, pattern unit.Pattern) bool {
	find := pattern.Find()
	for line := range s.o.Logs.Journal(name).Follow(ctx, number) {
		if line.Stream != logs.Own && find(line.Text) {
			return true
		}
	}
	return false
}
