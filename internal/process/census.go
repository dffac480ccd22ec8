package process

import (
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pintle/internal/unit"
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
	strays  []chan<- []Left // who asked for them

	looks atomic.Int64 // how many were taken, for tests

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

// look is one look at all processes, or at those in some cgroups.
type look struct {
	all      map[int]info
	whole    bool               // all are all that there are
	grouped  map[*Run][]process // what was in the runs' cgroups
	leaderOf map[int]*Run       // by pid, as it was before the look
	made     bool               // a process was made meanwhile
	blank    bool               // an orphan could not be recognised yet
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
		r.set.terminate, r.set.note = nil, false
		if r.set.last() {
			delete(c.watched, r)
		}
	}
	strays := c.strays
	c.strays = nil
	c.mu.Unlock()
	for r, w := range asked {
		if w.sweep != nil && c.k.nothingLeft(r) && c.finish(r, w) {
			delete(asked, r)
		}
	}
	if len(asked)+len(strays) == 0 {
		clear(c.marks)
		return 0
	}
	c.looks.Add(1)
	runs := slices.Collect(maps.Keys(asked))
	if len(strays) > 0 {
		runs = union(runs, c.k.living())
	}
	l := c.look(runs, len(strays) > 0 || slices.ContainsFunc(runs, func(r *Run) bool { return r.needsAll(asked[r]) }))
	nobodys := c.attribute(l, runs)
	for _, asker := range strays {
		asker <- nobodys // has room for it
	}
	var wait time.Duration
	for r, w := range asked {
		wait = shorter(wait, c.serve(r, w, l))
	}
	return wait
}

// needsAll tells whether a look at the run's cgroup is not enough for what was wished.
func (r *Run) needsAll(w wishes) bool {
	switch {
	case !r.owner().confined:
		return true
	case r.of == nil:
		return false
	}
	toSet := func(t termination) bool { return t.target == unit.TargetSet }
	return w.sweep != nil || w.kill || slices.ContainsFunc(w.terminate, toSet)
}

func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// look looks at all processes, or only at those in the cgroups of runs.
func (c *census) look(runs []*Run, whole bool) *look {
	l := &look{whole: whole, grouped: map[*Run][]process{}, leaderOf: map[int]*Run{}}
	c.k.mu.Lock()
	maps.Copy(l.leaderOf, c.k.leaders)
	c.k.mu.Unlock()
	if whole {
		newest := newestPid()
		l.all = scan()
		l.made = newestPid() != newest
	} else {
		l.all = map[int]info{}
		for _, r := range runs {
			for p := range r.set.members {
				l.read(p.pid)
			}
			for _, pid := range r.pids() {
				l.read(pid)
			}
		}
	}
	// Only now: a number that is in a cgroup after its process was looked at is that process, or that process has ended.
	for _, r := range runs {
		for _, pid := range r.pids() {
			if p, ok := l.all[pid]; ok {
				l.grouped[r] = append(l.grouped[r], p.process)
			}
		}
	}
	return l
}

func (l *look) read(pid int) {
	if p, ok := readProcess(pid); ok {
		l.all[pid] = p
	}
}

// pids lists what is in the run's cgroup.
func (r *Run) pids() []int {
	if r.cgroup == "" {
		return nil
	}
	return r.cgroup.pids()
}

// serve does what was wished of one run, and returns after which time to look again.
func (c *census) serve(r *Run, w wishes, l *look) time.Duration {
	for _, t := range w.terminate {
		r.terminate(t)
	}
	switch {
	case w.kill:
		r.kill()
	case w.sweep != nil:
		r.tell()
	}
	populated := (w.kill || w.sweep != nil) && r.populated()
	if w.sweep == nil {
		if w.kill && (populated || len(r.set.members) > 0) {
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
	case len(left) == 0 && !populated && (r.set.doubts >= l.maxDoubts() || r.confined) && c.finish(r, w):
		return 0
	case len(left) == 0 && populated && c.k.cgroups.changes != nil:
		return lookAgain // nobody that has a number here, or who is just ending; the change will be told
	case len(left) == 0:
		r.set.doubts++
		return lookAgainDoubt
	case w.kill:
		return lookAgainKill
	}
	return lookAgain
}

// finish tells that nothing is left of the run, unless another one came to belong to it since the look was taken.
func (c *census) finish(r *Run, w wishes) bool {
	c.mu.Lock()
	if r.set.joining > 0 || r.set.joins != w.joins {
		c.mu.Unlock()
		return false
	}
	r.set.over = true
	delete(c.watched, r)
	c.mu.Unlock()
	if _, changed := r.remaining(nil); changed && w.report != nil {
		w.report(nil)
	}
	r.forget()
	w.sweep()
	return true
}
