// Package process is the kernel's side of a run: spawning, reaping, process
// sets, credentials and the terminal.
//
// It promises three things. Every child, its own and every adopted orphan, is
// reaped in one place, and no exit status of a run is lost to it. A signal never
// reaches a process that merely inherited a number: a leader is signalled only
// while it has not been reaped, any other process through a descriptor of it.
// And a run is empty only when no process of it is left.
//
// Which those are is known in one of two ways. Where a cgroup (version 2) can be
// made, each run has one of its own: it holds every process of the run whatever
// that does, tells when none is left, and is killed at once. A process that is
// root, or is pintle's user where that may make cgroups, can move itself out of
// it; so for a run that is not of another, ordinary user the second way counts as
// well. A user who gets root's rights later (a set-user-ID program that lets him,
// CAP_DAC_OVERRIDE) can leave his run unseen.
//
// The other way is attribution: to a run belong its session, its process group,
// its descendants, and whatever carries the run's mark in its initial
// environment. What that does not see is an orphan that left its session and hid
// its mark before a census saw it: one that cleared or overwrote its environment,
// or that lets nobody look (PR_SET_DUMPABLE) where pintle has no CAP_SYS_PTRACE.
// Nor does it catch what forks and ends faster than a census can look. Such
// strays are still pintle's descendants: Strays lists them, and Everything ends
// them, with the same exception. One more is what a leader made as its own sibling
// (clone(2), CLONE_PARENT) outside its group: while pintle has adopted nobody, no
// census looks for what is left of a run.
//
// A process is never somebody's because it says so to his harm: what it can put
// on itself, a mark, a session, a group or a parent, can only add it to a run
// whose end it then shares.
package process

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// Kernel starts runs and reaps every child of this process. There is one in a
// process: two would take each other's exit statuses.
type Kernel struct {
	log *slog.Logger

	// mu is held while one is reaped and looked up, and for reading while a child is forked and registered, of which
	// several can be at a time. So a child can't be reaped before it is known, and a leader that is in leaders can't have
	// been reaped: its number is its own.
	mu sync.RWMutex
	// registering is held, with mu for reading, to add to leaders and runs. All else that concerns them is done with mu whole.
	registering sync.Mutex
	forkers     *forkers
	main        chan<- func()

	leaders map[int]*Run
	runs    map[string]*Run // by mark, all that may still have processes, but for those that belong to another one's set
	stopped func(pid int, sig unit.Signal)
	ended   ended
	senders bool // Options.Senders; for tests it may change

	cgroups *cgroups // nil where runs get none
	oom     oomWatch
	census  *census
	done    chan struct{}
}

// Options for New.
type Options struct {
	// Log receives what is worth a line; nil for none.
	Log *slog.Logger
	// Stopped is told when a leader was stopped by a signal (not ended); nil for nobody. It must not block.
	Stopped func(pid int, sig unit.Signal)
	// Senders has it be remembered which run an orphan belonged to, for SendersOf.
	Senders bool
	// Sets is the means by which a run's processes are found; the zero value is SetsAuto.
	Sets Sets
	// Main is where the process's main thread takes what it is to do, none of which takes time, for as long as the Kernel is
	// there. With nil, more looks at all processes are needed.
	Main chan<- func()
}

// Sets is a means by which a run's processes are told from others.
type Sets string

// The means.
const (
	// SetsAuto is SetsCgroup where that can be had, else SetsAttribution.
	SetsAuto Sets = "auto"
	// SetsCgroup is a cgroup v2 for each run. New fails where that can't be had.
	SetsCgroup Sets = "cgroup"
	// SetsAttribution is session, process group, descent and mark.
	SetsAttribution Sets = "attribution"
)

// New makes this process the reaper of all its descendants: it becomes a child
// subreaper (prctl(2), PR_SET_CHILD_SUBREAPER), which as PID 1 it is already.
// From then on children get nothing that this process was itself started with
// and that nobody meant for them: descriptors, and ignored signals.
func New(o Options) (*Kernel, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("cannot become the subreaper: %w", err)
	}
	if err := inheritNothing(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	k := &Kernel{
		log:     o.Log,
		main:    o.Main,
		leaders: map[int]*Run{},
		runs:    map[string]*Run{},
		stopped: o.Stopped,
		senders: o.Senders,
		done:    make(chan struct{}),
	}
	places, err := ownPlaces()
	if o.Sets != SetsAttribution {
		if err == nil {
			k.cgroups, err = openCgroups(places)
		}
		if err != nil {
			err = fmt.Errorf("cannot use cgroups: %w", err)
			if o.Sets == SetsCgroup {
				return nil, err
			}
			k.log.Debug(err.Error())
		}
	}
	k.forkers = newForkers()
	k.census = &census{k: k, kick: make(chan struct{}, 1), watched: map[*Run]bool{}, marks: map[process]string{}}
	k.oom.begin(places)
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	go func() {
		for {
			k.reap() // first what had ended before anybody could be told
			select {
			case <-children:
			case <-k.done:
				signal.Stop(children)
				return
			}
		}
	}()
	go k.census.run()
	if k.cgroups != nil && k.cgroups.changes != nil {
		go k.cgroups.listen(k.census.wake)
	}
	return k, nil
}

// Close ends the Kernel's goroutines, and removes its cgroups. Children that are left are not reaped any more.
func (k *Kernel) Close() {
	close(k.done)
	k.forkers.close()
	if k.cgroups != nil {
		_ = k.cgroups.close() // what is not empty stays
	}
}

// Sets says by which means the processes of a run are told from others.
func (k *Kernel) Sets() string {
	const attribution = "session, process group, descent and mark"
	switch {
	case k.cgroups == nil:
		return attribution
	case os.Geteuid() == 0:
		return "cgroup v2"
	}
	return "cgroup v2, " + attribution // see Run.confined
}

// reap takes every exit status there is.
func (k *Kernel) reap() {
	ended := false
	for k.reapOne(&ended) {
	}
	if ended {
		// The last of a set to die is a child of ours by then, so this is all that an emptied set needs.
		k.census.wake()
	}
}

func (k *Kernel) reapOne(ended *bool) bool {
	which := k.rememberOrphan()
	if which == 0 { // for wait4(2) that would be one of pintle's own process group
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var status unix.WaitStatus
	var used unix.Rusage
	pid, err := unix.Wait4(which, &status, unix.WNOHANG|unix.WUNTRACED, &used)
	switch {
	case errors.Is(err, unix.EINTR):
		return true
	case err != nil || pid <= 0:
		return err == nil && which > 0 // it was stopped, and goes on already
	}
	r := k.leaders[pid]
	switch {
	case status.Stopped():
		if r != nil {
			r.stepStopped()
			if k.stopped != nil {
				k.stopped(pid, unit.Signal(status.StopSignal()))
			}
		}
	case r == nil:
		*ended = true
	default:
		*ended = true
		delete(k.leaders, pid)
		if r.of != nil {
			r.of.guests--
		}
		k.ended.add(pid, r.owner())
		r.noteLeftovers()
		e := unit.Exit{Code: status.ExitStatus()}
		if status.Signaled() {
			e = unit.Exit{Signal: unit.Signal(status.Signal())}
		}
		r.over(e, r.usage(&used, e))
	}
	return true
}

// leading tells whether any run's leader has not been reaped.
func (k *Kernel) leading() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.leaders) > 0
}

// Signal sends a signal to the run's leader; it does nothing when the leader has ended.
func (r *Run) Signal(sig unit.Signal) error { return r.signal(r.pid, unix.Signal(sig)) }

// Continue has a leader that was stopped go on, with its whole process group: the
// terminal's key stops all of it. It does nothing when the leader has ended.
func (k *Kernel) Continue(pid int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.leaders[pid] != nil {
		_ = asOwner(pid, func() error { return unix.Kill(-pid, unix.SIGCONT) }) // who left the group is not stopped with it
	}
}

// signal sends sig to target, the leader's pid or minus that for its group, while the leader has not been reaped.
func (r *Run) signal(target int, sig unix.Signal) error {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	if r.k.leaders[r.pid] != r {
		return nil
	}
	return asOwner(r.pid, func() error { return unix.Kill(target, sig) })
}

// Pipe makes a pipe for what a child says. Reading from r waits in Go's poller and
// holds no thread; w blocks, as a program expects of its standard output.
func Pipe() (r, w *os.File, err error) {
	fds, err := pipe()
	if err == nil {
		if err = unix.SetNonblock(fds[0], true); err != nil {
			err = fmt.Errorf("cannot make a pipe: %w", errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1])))
		}
	}
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "pipe"), os.NewFile(uintptr(fds[1]), "pipe"), nil
}

// OutputPipe is Pipe for who reads in his own way (logs.Journal.Capture), and would only have to take r out of Go's poller again.
func OutputPipe() (r, w *os.File, err error) {
	fds, err := pipe()
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "pipe"), os.NewFile(uintptr(fds[1]), "pipe"), nil
}

func pipe() (fds [2]int, err error) {
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return fds, fmt.Errorf("cannot make a pipe: %w", err)
	}
	return fds, nil
}
