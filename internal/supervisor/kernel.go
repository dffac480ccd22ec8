package supervisor

import (
	"context"
	"errors"
	"os"

	"pintle/internal/engine"
	"pintle/internal/logs"
	"pintle/internal/notify"
	"pintle/internal/process"
	"pintle/internal/unit"
)

// Kernel is what the loop needs of the processes' side. NewKernel makes it of the
// real one; a test of the loop alone has another.
type Kernel interface {
	// Start executes a command. The error is as process.Kernel's.
	Start(Launch, Hooks) (Run, error)
	// Listen makes a socket on which the user uid can say something of his run.
	Listen(path string, uid int) (Socket, error)
	// RunOf is the run that a living process belongs to, or nil.
	RunOf(pid int) Run
	// SendersOf are the runs that a process may belong to, or have belonged to, which sent something: one where that is known.
	SendersOf(pid int, uid uint32) []Run
	// Strays are the processes that belong to no run.
	Strays(ctx context.Context) []process.Left
	// Sets says by which means the processes of a run are told from others.
	Sets() string
}

// Run is one life of a unit's processes, as *process.Run has it.
type Run interface {
	Pid() int
	Names() (unit.Name, uint64)
	Signal(unit.Signal) error
	Terminate(unit.Signal, unit.Target)
	Sweep(empty func(), report func([]process.Left))
	Kill()
}

// Socket is where a run says something of itself, as *notify.Socket has it.
type Socket interface {
	Serve(take func(notify.Sender, notify.Message), refuse func(notify.Sender, error)) error
	Close() error
}

// Launch is a command, and where its output goes.
type Launch struct {
	process.Command
	// Of is the run that the new process belongs to; nil for one of its own.
	Of Run
	// Journal gets the output; where it is nil, Files are as they are.
	Journal *logs.Journal
}

// Hooks are told about what was started, as process.Hooks are.
type Hooks struct {
	Started func(Run)
	Exited  func(unit.Exit, unit.Usage)
}

type kernel struct{ *process.Kernel }

// NewKernel makes a Kernel of the real one.
func NewKernel(k *process.Kernel) Kernel { return kernel{k} }

func (k kernel) Start(l Launch, h Hooks) (Run, error) {
	if of, ok := l.Of.(*process.Run); ok {
		l.Command.Of = of
	}
	hooks := process.Hooks{Exited: h.Exited}
	if h.Started != nil {
		hooks.Started = func(r *process.Run) { h.Started(r) }
	}
	if l.Journal == nil {
		return k.start(l.Command, hooks)
	}
	outRead, outWrite, err := process.OutputPipe()
	if err != nil {
		return nil, err
	}
	defer outWrite.Close()
	errRead, errWrite, err := process.OutputPipe()
	if err != nil {
		return nil, errors.Join(err, outRead.Close())
	}
	defer errWrite.Close()
	l.Files = [3]*os.File{nil, outWrite, errWrite}
	process.Lend(l.Identity, outWrite, errWrite)
	run, err := k.start(l.Command, hooks)
	if err != nil {
		return nil, errors.Join(err, outRead.Close(), errRead.Close())
	}
	l.Journal.Capture(l.Number, engine.Stdout, outRead)
	l.Journal.Capture(l.Number, engine.Stderr, errRead)
	return run, nil
}

func (k kernel) start(c process.Command, h process.Hooks) (Run, error) {
	run, err := k.Kernel.Start(c, h)
	if err != nil {
		return nil, err // not a nil *process.Run, which would be a Run that is not nil
	}
	return run, nil
}

func (k kernel) Listen(path string, uid int) (Socket, error) {
	socket, err := notify.Listen(path, uid)
	if err != nil {
		return nil, err
	}
	return socket, nil
}

func (k kernel) SendersOf(pid int, uid uint32) []Run {
	var runs []Run
	for _, r := range k.Kernel.SendersOf(pid, uid) {
		runs = append(runs, r)
	}
	return runs
}

func (k kernel) RunOf(pid int) Run {
	if run := k.Kernel.RunOf(pid); run != nil {
		return run
	}
	return nil
}
