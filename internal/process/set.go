package process

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// Left is a process that is left of a run.
type Left struct {
	PID     int
	Command string
}

func (l Left) String() string { return fmt.Sprintf("%s (pid %d)", l.Command, l.PID) }

// set is what is known of, and wanted from, a run's processes. The wishes are
// guarded by the census's mutex, the knowledge belongs to its goroutine.
type set struct {
	// Wishes.
	terminate unit.Signal  // to the leader's group, once; 0 for none
	sweep     func()       // the leader has ended: end the rest, and tell when there is none
	report    func([]Left) // told what is left, when that changes
	kill      bool         // SIGKILL to whatever is found

	// Knowledge.
	all     bool             // every descendant of pintle belongs to it
	members map[process]bool // all that ever were seen to belong to it; true once the sweep's signal was sent
	left    []Left           // as last reported
}

// Terminate sends a signal to the leader's process group, and SIGCONT after it,
// because a stopped process would never see it. First the set's members are
// noted, while those that have parents still have them.
func (r *Run) Terminate(sig unit.Signal) {
	r.k.census.wish(r, func(s *set) { s.terminate = sig })
}

// Sweep ends what a leader that has ended left behind: SIGTERM to each process,
// once. empty is told, from another goroutine, when nothing of the run is left;
// report is told what is, whenever that changes.
func (r *Run) Sweep(empty func(), report func([]Left)) {
	r.k.census.wish(r, func(s *set) { s.sweep, s.report = empty, report })
}

// Kill sends SIGKILL to every process of the run, again and again while any is found.
func (r *Run) Kill() {
	r.k.census.wish(r, func(s *set) { s.kill = true })
}

// Everything is a run that every descendant of pintle belongs to. It is for the
// end of the container: what could not be attributed to a run is here.
func (k *Kernel) Everything() *Run { return &Run{k: k, set: set{all: true}} }

// How long the census waits to look again when no child's end made it look
// before. That happens only for members whose parent is no member, so it is
// rare; and after SIGKILL, when members that fork must not win.
const (
	lookAgain     = 250 * time.Millisecond
	lookAgainKill = 10 * time.Millisecond
)

// census finds out which process belongs to which run. One scan of /proc serves
// all runs that ask at the same time, and there is none while no run asks.
type census struct {
	k    *Kernel
	kick chan struct{}

	mu      sync.Mutex
	watched map[*Run]bool

	marks map[process]string // what readMark said, for as long as any run is watched
}

func (c *census) wish(r *Run, set func(*set)) {
	c.mu.Lock()
	set(&r.set)
	c.watched[r] = true
	c.mu.Unlock()
	c.wake()
}

func (c *census) wake() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

func (c *census) run() {
	// Never unlocked: the thread's file system ids are changed (see asUser), so it must not serve anybody else.
	runtime.LockOSThread()
	var again <-chan time.Time
	for {
		select {
		case <-c.kick:
		case <-again:
		case <-c.k.done:
			return
		}
		again = nil
		if wait := c.take(); wait > 0 {
			again = time.After(wait)
		}
	}
}

// take looks once at all processes, does what the watched runs wish, and returns
// after which time to look again by itself, or 0.
func (c *census) take() time.Duration {
	c.mu.Lock()
	runs := make([]*Run, 0, len(c.watched))
	for r := range c.watched {
		runs = append(runs, r)
	}
	c.mu.Unlock()
	if len(runs) == 0 {
		clear(c.marks)
		return 0
	}
	all := scan()
	c.attribute(all, runs)
	var wait time.Duration
	for _, r := range runs {
		wait = shorter(wait, c.serve(r, all))
	}
	return wait
}

func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// attribute adds to each run's members what belongs to it.
func (c *census) attribute(all map[int]info, runs []*Run) {
	self := unix.Getpid()
	c.k.mu.Lock()
	leaderOf := make(map[int]*Run, len(c.k.leaders))
	for pid, r := range c.k.leaders {
		leaderOf[pid] = r
	}
	c.k.mu.Unlock()

	byMark := make(map[string]*Run, len(runs))
	var everything []*Run
	for _, r := range runs {
		if r.set.members == nil {
			r.set.members = map[process]bool{}
		}
		for p := range r.set.members {
			if now, ok := all[p.pid]; !ok || now.process != p {
				delete(r.set.members, p) // ended
			}
		}
		if r.set.all {
			everything = append(everything, r)
		} else {
			byMark[r.mark] = r
		}
	}

	// belongs finds a process's run by what it is itself, then by its parent; nil for none that is watched.
	found := make(map[int]*Run, len(all))
	var belongs func(p info, depth int) *Run
	belongs = func(p info, depth int) *Run {
		if r, ok := found[p.pid]; ok {
			return r
		}
		found[p.pid] = nil // also ends a cycle, which numbers used again during the scan can make
		r := c.recognise(p, leaderOf, byMark, runs)
		if r == nil && leaderOf[p.pid] == nil && p.ppid != self && depth < maxDepth {
			if parent, ok := all[p.ppid]; ok {
				r = belongs(parent, depth+1)
			}
		}
		found[p.pid] = r
		return r
	}
	for pid, p := range all {
		if pid == self || !descends(all, p, self) {
			continue
		}
		if r := belongs(p, 0); r != nil {
			note(r, p)
		}
		for _, r := range everything {
			note(r, p)
		}
	}
}

func note(r *Run, p info) {
	if _, known := r.set.members[p.process]; !known {
		r.set.members[p.process] = false
	}
}

// maxDepth bounds walks from child to parent: deeper trees are not real, cycles are an artefact of the scan.
const maxDepth = 1 << 12

// descends tells whether p is a descendant of the process self.
func descends(all map[int]info, p info, self int) bool {
	for range maxDepth {
		if p.ppid == self {
			return true
		}
		parent, ok := all[p.ppid]
		if !ok {
			return false
		}
		p = parent
	}
	return false
}

// recognise finds the run of a process by what the process is: a leader, one
// seen before, one that carries a mark, one in a leader's session or group.
func (c *census) recognise(p info, leaderOf map[int]*Run, byMark map[string]*Run, runs []*Run) *Run {
	if r := leaderOf[p.pid]; r != nil {
		return byMark[r.mark]
	}
	for _, r := range runs {
		if _, known := r.set.members[p.process]; known && !r.set.all {
			return r
		}
	}
	mark, known := c.marks[p.process]
	if !known {
		mark = readMark(p.pid)
		c.marks[p.process] = mark
	}
	if mark != "" {
		// A mark decides: the number of a leader that has ended may name another's session by now.
		return byMark[mark]
	}
	for _, r := range runs {
		if r.pid != 0 && (p.session == r.pid || p.pgrp == r.pid) {
			return r
		}
	}
	return nil
}

// serve does what one run wishes, and returns after which time to look again.
func (c *census) serve(r *Run, all map[int]info) time.Duration {
	c.mu.Lock()
	wish := r.set
	r.set.terminate = 0
	if wish.sweep == nil && !wish.kill {
		delete(c.watched, r)
	}
	c.mu.Unlock()

	if wish.terminate != 0 {
		r.terminate(unix.Signal(wish.terminate))
	}
	if wish.kill {
		for p := range wish.members {
			c.k.kill(p, unix.SIGKILL)
		}
	}
	if wish.sweep == nil {
		if wish.kill && len(wish.members) > 0 {
			return lookAgainKill
		}
		return 0
	}
	for p, told := range wish.members {
		if !told && !wish.kill {
			c.k.kill(p, unix.SIGTERM)
			c.k.kill(p, unix.SIGCONT)
			wish.members[p] = true
		}
	}
	left := make([]Left, 0, len(wish.members))
	for p := range wish.members {
		left = append(left, Left{p.pid, all[p.pid].command})
	}
	slices.SortFunc(left, func(a, b Left) int { return cmp.Compare(a.PID, b.PID) })
	if wish.report != nil && !slices.Equal(left, r.set.left) {
		wish.report(left)
	}
	r.set.left = left
	switch {
	case len(left) == 0:
		c.mu.Lock()
		delete(c.watched, r)
		c.mu.Unlock()
		wish.sweep()
		return 0
	case wish.kill:
		return lookAgainKill
	}
	return lookAgain
}

// terminate signals the leader's group; the leader alone where there is no such group (a program may leave its own).
func (r *Run) terminate(sig unix.Signal) {
	for _, s := range []unix.Signal{sig, unix.SIGCONT} {
		if err := r.signal(-r.pid, s); err != nil {
			if err := r.signal(r.pid, s); err != nil {
				r.k.log.Warn(fmt.Sprintf("cannot send %v to process %d: %v", unit.Signal(s), r.pid, err))
			}
		}
	}
}

// kill signals one process, and never another that has its number by now: a
// leader is signalled while it can't be reaped, any other through a descriptor
// (pidfd_open(2)) that is checked to be the right one's.
func (k *Kernel) kill(p process, sig unix.Signal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.leaders[p.pid] != nil {
		_ = unix.Kill(p.pid, sig)
		return
	}
	fd, err := unix.PidfdOpen(p.pid, 0)
	if now, ok := readProcess(p.pid); ok && now.process == p {
		if err == nil {
			err = unix.PidfdSendSignal(fd, sig, nil, 0)
		} else {
			err = unix.Kill(p.pid, sig) // a kernel or a seccomp profile without pidfds
		}
		if err != nil && err != unix.ESRCH {
			k.log.Warn(fmt.Sprintf("cannot send %v to process %d: %v", unit.Signal(sig), p.pid, err))
		}
	}
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}
