package process

import (
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How long the census waits to look again when no child's end made it look
// before. That happens only for members whose parent is no member, so it is
// rare; and after SIGKILL, when members that fork must not win.
const (
	lookAgain     = 250 * time.Millisecond
	lookAgainKill = 10 * time.Millisecond
)

// A look that finds a run empty is doubted, and there is another one soon, when
// it may have missed somebody; but not for ever, because others on the machine,
// who may mean harm, can bring that about all the time.
const (
	lookAgainDoubt = 5 * time.Millisecond
	// A process was made during the look, whose maker may have ended before it was looked at.
	maxDoubtsMade = 4
	// A process was just executing something, and had no environment to read. On a busy machine that can take some time.
	maxDoubtsBlank = 40
)

// census finds out which process belongs to which run. One scan of /proc serves
// all runs that ask at the same time, and there is none while no run asks.
type census struct {
	k    *Kernel
	kick chan struct{}

	mu      sync.Mutex
	watched map[*Run]bool

	marks map[process]string // what readMark found, for as long as any run is watched
}

func (c *census) wish(r *Run, set func(*set)) {
	c.mu.Lock()
	if r.set.over {
		c.mu.Unlock()
		return
	}
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

// look is one look at all processes.
type look struct {
	all      map[int]info
	leaderOf map[int]*Run // by pid, as it was before the look
	made     bool         // a process was made meanwhile
	blank    bool         // an orphan could not be recognised yet
}

// maxDoubts is how often a run may be looked at again for what may have been missed.
func (l *look) maxDoubts() int {
	switch {
	case l.blank:
		return maxDoubtsBlank
	case l.made:
		return maxDoubtsMade
	}
	return 0
}

// take looks once at all processes, does what the watched runs wish, and returns
// after which time to look again by itself, or 0.
func (c *census) take() time.Duration {
	// The wishes as they are before the look: one that comes during it is about processes that it may not have seen.
	c.mu.Lock()
	asked := make(map[*Run]wishes, len(c.watched))
	for r := range c.watched {
		asked[r] = r.set.wishes
		r.set.terminate = 0
		if r.set.last() {
			delete(c.watched, r)
		}
	}
	c.mu.Unlock()
	if len(asked) == 0 {
		clear(c.marks)
		return 0
	}
	l := c.look()
	c.attribute(l, slices.Collect(maps.Keys(asked)))
	var wait time.Duration
	for r, w := range asked {
		wait = shorter(wait, c.serve(r, w, l))
	}
	return wait
}

func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func (c *census) look() *look {
	l := &look{leaderOf: map[int]*Run{}}
	c.k.mu.Lock()
	for pid, r := range c.k.leaders {
		l.leaderOf[pid] = r
	}
	c.k.mu.Unlock()
	newest := newestPid()
	l.all = scan()
	l.made = newestPid() != newest
	return l
}

// attribute adds to each run's members what belongs to it, and removes what has ended.
//
// A process may belong to several runs: it can put another run's mark on its
// children, but that must not take them away from its own.
func (c *census) attribute(l *look, runs []*Run) {
	known := index(l, runs)
	self := unix.Getpid()
	belongs := make(map[int][]*Run, len(l.all))
	var runsOf func(p info, depth int) []*Run
	runsOf = func(p info, depth int) []*Run {
		if found, ok := belongs[p.pid]; ok {
			return found
		}
		belongs[p.pid] = nil // also ends a cycle, which numbers used again during the scan can make
		var found []*Run
		if r := l.leaderOf[p.pid]; r != nil {
			found = known.byMark[r.mark]
		} else {
			if parent, ok := parentOf(l.all, p); ok && p.ppid != self && depth < maxDepth {
				found = runsOf(parent, depth+1)
			}
			found = union(found, known.byProcess[p.process], known.byMark[c.mark(p, l)], known.byNumber[p.session], known.byNumber[p.pgrp])
		}
		belongs[p.pid] = found
		return found
	}
	inUse := map[*Run]bool{}
	for pid, p := range l.all {
		if pid == self || !descends(l.all, p, self) {
			continue
		}
		for _, r := range runsOf(p, 0) {
			note(r, p)
			if p.session == r.pid || p.pgrp == r.pid {
				inUse[r] = true
			}
		}
		for _, r := range known.everything {
			note(r, p)
		}
	}
	for _, r := range runs {
		if l.leaderOf[r.pid] != r && !inUse[r] {
			r.set.numbers = anybodys
		}
	}
}

// watchedRuns are runs by what their processes can be recognised by.
type watchedRuns struct {
	byProcess  map[process][]*Run // what was seen to belong to them before
	byMark     map[string][]*Run
	byNumber   map[int][]*Run // session, or process group
	everything []*Run
}

func index(l *look, runs []*Run) watchedRuns {
	known := watchedRuns{byProcess: map[process][]*Run{}, byMark: map[string][]*Run{}, byNumber: map[int][]*Run{}}
	for _, r := range runs {
		if r.set.members == nil {
			r.set.members = map[process]member{}
		}
		for p := range r.set.members {
			if now, ok := l.all[p.pid]; !ok || now.process != p {
				delete(r.set.members, p) // ended
			} else if !r.set.all {
				known.byProcess[p] = append(known.byProcess[p], r)
			}
		}
		if r.set.all {
			known.everything = append(known.everything, r)
			continue
		}
		known.byMark[r.mark] = []*Run{r}
		if _, again := l.all[r.pid]; again && l.leaderOf[r.pid] != r {
			r.set.numbers = anybodys // somebody else has it already
		}
		if r.set.numbers == ours {
			known.byNumber[r.pid] = append(known.byNumber[r.pid], r)
		}
	}
	return known
}

// union is a with what else is in others. It leaves a as it is.
func union(a []*Run, others ...[]*Run) []*Run {
	for _, b := range others {
		for _, r := range b {
			if !slices.Contains(a, r) {
				a = append(slices.Clip(a), r)
			}
		}
	}
	return a
}

func note(r *Run, p info) {
	if _, known := r.set.members[p.process]; !known {
		r.set.members[p.process] = member{}
	}
}

// mark is the mark that a process carries, or "".
func (c *census) mark(p info, l *look) string {
	if mark, ok := c.marks[p.process]; ok {
		return mark
	}
	mark, sure := readMark(p)
	if mark != "" {
		c.marks[p.process] = mark
	}
	if !sure && p.ppid == unix.Getpid() { // else it is its parent's run that counts
		l.blank = true
	}
	return mark
}

// maxDepth bounds walks from child to parent: deeper trees are not real, cycles are an artefact of the scan.
const maxDepth = 1 << 12

// descends tells whether p is a descendant of the process self.
func descends(all map[int]info, p info, self int) bool {
	for range maxDepth {
		if p.ppid == self {
			return true // self is not in need of a check: while it asks, nobody else has its number
		}
		parent, ok := parentOf(all, p)
		if !ok {
			return false
		}
		p = parent
	}
	return false
}

// serve does what was wished of one run, and returns after which time to look again.
func (c *census) serve(r *Run, w wishes, l *look) time.Duration {
	if w.terminate != 0 {
		r.terminate(unix.Signal(w.terminate))
	}
	switch {
	case w.kill:
		r.end(true, unix.SIGKILL)
	case w.sweep != nil:
		r.end(false, unix.SIGTERM, unix.SIGCONT)
	}
	if w.sweep == nil {
		if w.kill && len(r.set.members) > 0 {
			return lookAgainKill
		}
		return 0
	}
	left, changed := r.remaining(l.all)
	if changed && w.report != nil {
		w.report(left)
	}
	switch {
	case len(left) == 0 && r.set.all && c.k.leading():
		return lookAgainKill // ended, and about to be reaped
	case len(left) == 0 && r.set.doubts < l.maxDoubts():
		r.set.doubts++
		return lookAgainDoubt
	case len(left) == 0:
		c.mu.Lock()
		r.set.over = true
		delete(c.watched, r)
		c.mu.Unlock()
		w.sweep()
		return 0
	case w.kill:
		return lookAgainKill
	}
	return lookAgain
}
