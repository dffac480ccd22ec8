package process

import (
	"slices"

	"golang.org/x/sys/unix"
)

// attribute adds to each run's members what belongs to it, removes what has
// ended, and returns what belongs to none of them.
//
// A process may belong to several runs: it can put another run's mark on its
// children, but that must not take them away from its own.
func (c *census) attribute(l *look, runs []*Run) (nobodys []Left) {
	for r, members := range l.grouped {
		for _, p := range members {
			note(r, p)
		}
	}
	known := index(l, runs)
	if !l.whole {
		return nil // the cgroups say it all
	}
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
			found = union(known.byProcess[p.process], known.byMark[r.mark], known.byLeader[r])
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
		found := runsOf(p, 0)
		if len(found) == 0 {
			nobodys = append(nobodys, Left{pid, p.command})
		}
		for _, r := range found {
			note(r, p.process)
			if r.of != nil && !r.of.confined {
				note(r.of, p.process)
			}
			if p.session == r.pid || p.pgrp == r.pid {
				inUse[r] = true
			}
		}
		for _, r := range known.everything {
			note(r, p.process)
		}
	}
	for _, r := range runs {
		if l.leaderOf[r.pid] != r && !inUse[r] {
			r.set.numbers = anybodys
		}
	}
	slices.SortFunc(nobodys, byPID)
	return nobodys
}

// watchedRuns are runs by what their processes can be recognised by.
type watchedRuns struct {
	byProcess  map[process][]*Run // what was seen to belong to them before
	byMark     map[string][]*Run
	byLeader   map[*Run][]*Run // those that belong to another one's set, whose mark is the other's
	byNumber   map[int][]*Run  // session, or process group
	everything []*Run
}

func index(l *look, runs []*Run) watchedRuns {
	known := watchedRuns{
		byProcess: map[process][]*Run{}, byMark: map[string][]*Run{}, byLeader: map[*Run][]*Run{}, byNumber: map[int][]*Run{},
	}
	for _, r := range runs {
		l.prune(r)
		if r.of != nil && l.whole {
			l.prune(r.of)
		}
	}
	for _, r := range runs {
		if r.set.all {
			known.everything = append(known.everything, r)
			continue
		}
		for p := range r.set.members {
			known.byProcess[p] = append(known.byProcess[p], r)
		}
		if r.confined {
			continue
		}
		if r.of == nil {
			known.byMark[r.mark] = []*Run{r}
		} else {
			known.byLeader[r] = []*Run{r}
		}
		if _, again := l.all[r.pid]; again && l.leaderOf[r.pid] != r {
			r.set.numbers = anybodys // somebody else has it already
		}
		if r.set.numbers == ours {
			known.byNumber[r.pid] = append(known.byNumber[r.pid], r)
		}
	}
	for pid, r := range l.leaderOf {
		if r.of != nil {
			known.byNumber[pid] = union(known.byNumber[pid], known.byMark[r.mark])
		}
	}
	return known
}

// prune removes from a run's members what has ended.
func (l *look) prune(r *Run) {
	for p := range r.set.members {
		if now, ok := l.all[p.pid]; !ok || now.process != p {
			delete(r.set.members, p)
		}
	}
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

func note(r *Run, p process) {
	if r.set.members == nil {
		r.set.members = map[process]member{}
	}
	if _, known := r.set.members[p]; !known {
		r.set.members[p] = member{}
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
