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

func byPID(a, b Left) int { return cmp.Compare(a.PID, b.PID) }

// set is what is known of, and wanted from, a run's processes.
type set struct {
	// The census's mutex guards these.
	wishes
	over    bool // sweep has been told; no wish counts any more
	joining int  // how many runs are about to belong to it

	// The rest belongs to the census's goroutine.
	all     bool               // every descendant of pintle belongs to it
	members map[process]member // all that were seen to belong to it and have not ended
	numbers numbers            // what the leader's number is still good for
	left    []Left             // as last reported
	doubts  int                // how often it seemed empty and was looked at again
	kills   int                // how many looks were taken to kill it
	watched bool               // a change of its cgroup will be told
}

// wishes are what is wanted from a run's processes.
type wishes struct {
	terminate []termination // each once
	note      bool          // only to find its members
	sweep     func()        // the leader has ended: end the rest, and tell when there is none
	report    func([]Left)  // told what is left, when that changes
	kill      bool          // SIGKILL to whatever is found
	joins     uint64        // how many runs have belonged to it; no wish, but what a look that began since then knows of
}

// termination is one signal, and who gets it.
type termination struct {
	signal unit.Signal
	target unit.Target
}

// last tells whether the run need not be looked at again.
func (w *wishes) last() bool { return w.sweep == nil && !w.kill }

// member is what has been done to a process of a run.
type member struct {
	told    bool // it was sent the sweep's signal
	warned  bool // it was said that it can't be sent signals
	stopped bool // it was sent SIGSTOP
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

// Terminate sends a signal to the leader, to its process group (also for the
// empty target) or to every process of the run that is found, and SIGCONT after
// it, because a stopped process would never see it. First the set's members are
// noted, while those that have parents still have them.
func (r *Run) Terminate(sig unit.Signal, target unit.Target) {
	r.k.census.wish(r, func(s *set) { s.terminate = append(s.terminate, termination{sig, target}) })
}

// Sweep ends what a leader that has ended left behind: SIGTERM to each process,
// once. empty is told, from another goroutine and once, when nothing of the run
// is left; report is told what is, whenever that changes.
func (r *Run) Sweep(empty func(), report func([]Left)) {
	r.k.census.wish(r, func(s *set) { s.sweep, s.report = empty, report })
}

// Kill sends SIGKILL to every process of the run, again and again while any is
// found. It does nothing once the run has been told empty. Of a run that belongs
// to another one's set (Command.Of), Sweep and Kill are for what descends from
// its own leader or is in the leader's session or group; the other run's are for
// all that belongs to it.
func (r *Run) Kill() {
	r.k.census.wish(r, func(s *set) { s.kill = true })
}

// Everything is a run that every descendant of pintle belongs to. It is for the
// end of the container: what could not be attributed to a run is here.
func (k *Kernel) Everything() *Run {
	r := &Run{k: k, set: set{all: true}}
	if k.cgroups != nil {
		r.cgroup = k.cgroups.base
	}
	return r
}

// terminate carries out one wish for a signal.
func (r *Run) terminate(t termination) {
	for _, sig := range []unix.Signal{unix.Signal(t.signal), unix.SIGCONT} {
		switch t.target {
		case unit.TargetLeader:
			r.warn(r.pid, sig, r.signal(r.pid, sig))
		case unit.TargetSet:
			for p := range r.set.members {
				r.warn(p.pid, sig, r.k.kill(p, sig))
			}
		default:
			r.warn(r.pid, sig, r.signalGroup(sig))
		}
	}
}

// signalGroup signals the leader's group, and the leader itself where it is in another one, which without a session of
// its own it may have moved to.
func (r *Run) signalGroup(sig unix.Signal) error {
	err := r.signal(-r.pid, sig)
	if group, groupErr := unix.Getpgid(r.pid); err != nil || groupErr == nil && group != r.pid {
		err = r.signal(r.pid, sig)
	}
	return err
}

func (r *Run) warn(pid int, sig unix.Signal, err error) {
	if err != nil {
		r.k.log.Warn(fmt.Sprintf("cannot send %v to process %d: %v", unit.Signal(sig), pid, err))
	}
}

// tell sends SIGTERM to the members that have not been sent it, and has them go on.
func (r *Run) tell() {
	r.each(func(p process, m *member) {
		if !m.told {
			m.told = true
			r.send(p, m, unix.SIGTERM, unix.SIGCONT)
		}
	})
}

// maxKills is how many looks are taken to kill a run's members one by one.
// Members that fork may win that: while one is killed, another makes one more.
// After that many, all that are found are stopped first, until a look finds none
// that runs; what is stopped makes nothing, and still counts for the limits of
// who makes it. But what makes one and ends at once, over and over, may never be
// found running by any look, so all are killed after every maxStops looks anyway.
const (
	maxKills = 3
	maxStops = 50
)

// kill sends SIGKILL to what is left of the run.
func (r *Run) kill() {
	r.set.kills++
	if r.cgroup != "" {
		if !r.k.cgroups.kill(r.cgroup) {
			r.freeze()
		} else if r.set.kills == 1 {
			return // what was in it is dead; another look will tell whether that was all
		}
	}
	if r.set.kills > maxKills && r.set.kills%maxStops != 0 {
		ran := false
		r.each(func(p process, m *member) {
			if !m.stopped {
				ran, m.stopped = true, true
				r.send(p, m, unix.SIGSTOP)
			}
		})
		if ran {
			return
		}
	}
	r.each(func(p process, m *member) { r.send(p, m, unix.SIGKILL) })
}

// freeze keeps the run's members from forking while they are killed. Nothing is
// being made in its cgroup meanwhile, nor will be: pintle's own thread waits
// until a child that it makes has executed something, which a frozen one can't.
func (r *Run) freeze() {
	r.k.census.mu.Lock()
	defer r.k.census.mu.Unlock()
	if r.set.joining == 0 && !r.set.all {
		_ = r.cgroup.freeze()
	}
}

func (r *Run) each(do func(process, *member)) {
	for p, m := range r.set.members {
		do(p, &m)
		r.set.members[p] = m
	}
}

// send sends signals to one member.
func (r *Run) send(p process, m *member, signals ...unix.Signal) {
	for _, sig := range signals {
		if err := r.k.kill(p, sig); err != nil && !m.warned {
			m.warned = true
			r.warn(p.pid, sig, err)
		}
	}
}

// populated tells whether somebody is in the run's cgroup. If so, a change of that will wake the census.
func (r *Run) populated() bool {
	if r.cgroup == "" || !r.cgroup.populated() {
		return false
	}
	if r.set.watched {
		return true
	}
	r.set.watched = true
	r.k.cgroups.watch(r.cgroup)
	return r.cgroup.populated()
}

// remaining lists the run's members, and whether that has changed since it was last asked.
func (r *Run) remaining(all map[int]info) (left []Left, changed bool) {
	left = make([]Left, 0, len(r.set.members))
	for p := range r.set.members {
		left = append(left, Left{p.pid, all[p.pid].command})
	}
	slices.SortFunc(left, byPID)
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
