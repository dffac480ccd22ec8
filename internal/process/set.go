package process

import (
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// Left is a process that is left of a run.
type Left struct {
	PID     int
	Command string
}

func (l Left) String() string { return fmt.Sprintf("%s (pid %d)", l.Command, l.PID) }

// set is what is known of, and wanted from, a run's processes.
type set struct {
	// The census's mutex guards these.
	wishes
	over bool // sweep has been told; no wish counts any more

	// The rest belongs to the census's goroutine.
	all     bool               // every descendant of pintle belongs to it
	members map[process]member // all that were seen to belong to it and have not ended
	numbers numbers            // what the leader's number is still good for
	left    []Left             // as last reported
	doubts  int                // how often it seemed empty and was looked at again
}

// wishes are what is wanted from a run's processes.
type wishes struct {
	terminate unit.Signal  // to the leader's group, once; 0 for none
	sweep     func()       // the leader has ended: end the rest, and tell when there is none
	report    func([]Left) // told what is left, when that changes
	kill      bool         // SIGKILL to whatever is found
}

// last tells whether the run need not be looked at again.
func (w *wishes) last() bool { return w.sweep == nil && !w.kill }

// member is what has been done to a process of a run.
type member struct {
	told   bool // it was sent the sweep's signal
	warned bool // it was said that it can't be sent signals
}

// numbers tells what a session or a process group of the leader's number is.
type numbers uint8

const (
	// The leader had not been reaped at the last look, or somebody was in a session or group of its number: so that
	// number is the run's, since the kernel gives none away that is still in use.
	ours numbers = iota
	// Nobody was: from here on that number may be anybody's.
	anybodys
)

// Terminate sends a signal to the leader's process group, and SIGCONT after it,
// because a stopped process would never see it. First the set's members are
// noted, while those that have parents still have them.
func (r *Run) Terminate(sig unit.Signal) {
	r.k.census.wish(r, func(s *set) { s.terminate = sig })
}

// Sweep ends what a leader that has ended left behind: SIGTERM to each process,
// once. empty is told, from another goroutine and once, when nothing of the run
// is left; report is told what is, whenever that changes.
func (r *Run) Sweep(empty func(), report func([]Left)) {
	r.k.census.wish(r, func(s *set) { s.sweep, s.report = empty, report })
}

// Kill sends SIGKILL to every process of the run, again and again while any is
// found. It does nothing once the run has been told empty.
func (r *Run) Kill() {
	r.k.census.wish(r, func(s *set) { s.kill = true })
}

// Everything is a run that every descendant of pintle belongs to. It is for the
// end of the container: what could not be attributed to a run is here.
func (k *Kernel) Everything() *Run { return &Run{k: k, set: set{all: true}} }

// terminate signals the leader's group, and the leader itself where it is in another one, which without a session of
// its own it may have moved to.
func (r *Run) terminate(sig unix.Signal) {
	for _, s := range []unix.Signal{sig, unix.SIGCONT} {
		err := r.signal(-r.pid, s)
		if group, groupErr := unix.Getpgid(r.pid); err != nil || groupErr == nil && group != r.pid {
			err = r.signal(r.pid, s)
		}
		if err != nil {
			r.k.log.Warn(fmt.Sprintf("cannot send %v to process %d: %v", unit.Signal(s), r.pid, err))
		}
	}
}

// end sends signals to members that have not been sent any before, or to all where all are to be killed.
func (r *Run) end(kill bool, signals ...unix.Signal) {
	for p, m := range r.set.members {
		if m.told && !kill {
			continue
		}
		m.told = true
		for _, sig := range signals {
			if err := r.k.kill(p, sig); err != nil && !m.warned {
				m.warned = true
				r.k.log.Warn(fmt.Sprintf("cannot send %v to process %d: %v", unit.Signal(sig), p.pid, err))
			}
		}
		r.set.members[p] = m
	}
}

// remaining lists the run's members, and whether that has changed since it was last asked.
func (r *Run) remaining(all map[int]info) (left []Left, changed bool) {
	left = make([]Left, 0, len(r.set.members))
	for p := range r.set.members {
		left = append(left, Left{p.pid, all[p.pid].command})
	}
	slices.SortFunc(left, func(a, b Left) int { return cmp.Compare(a.PID, b.PID) })
	changed = !slices.Equal(left, r.set.left)
	r.set.left = left
	return left, changed
}

// kill signals one process, and never another that has its number by now: a
// leader can't be reaped meanwhile, any other process is signalled through a
// descriptor (pidfd_open(2)) that is checked to be the right one's.
func (k *Kernel) kill(p process, sig unix.Signal) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	send := func() error { return unix.Kill(p.pid, sig) }
	if k.leaders[p.pid] == nil {
		if fd, err := unix.PidfdOpen(p.pid, 0); err == nil { // else a kernel or a seccomp profile without it
			defer unix.Close(fd)
			send = func() error { return unix.PidfdSendSignal(fd, sig, nil, 0) }
		}
	}
	if now, ok := readProcess(p.pid); !ok || now.process != p {
		return nil
	}
	if err := asOwner(p.pid, send); err != unix.ESRCH {
		return err
	}
	return nil
}
