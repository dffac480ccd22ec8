package process

import (
	"context"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// RunOf finds the run that a process belongs to, or nil. The process may have
// ended, but not have been reaped. For a run that belongs to another one's set
// (Command.Of) that is the other one.
//
// It is for messages whose sender the kernel named (unix(7), SCM_CREDENTIALS),
// and says nothing untrue of who has that number now: what is read of a process
// counts only if it is still the same one after that. Whether it is the one that
// sent the message, the number alone can't tell; who asks soon, and holds the
// user that the kernel named against the run's, has done what can be done.
//
// A process can't seem to be another user's: sessions and groups are inherited,
// ancestors and cgroups are given, and a mark is known only to who can read the
// environment of the run's processes.
func (k *Kernel) RunOf(pid int) *Run {
	// For readMark, which puts the thread's file system ids back before it returns.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p, ok := readAny(pid)
	for range maxDepth {
		if !ok {
			return nil
		}
		r := k.evident(p)
		if now, ok := readAny(p.pid); !ok || now.process != p.process {
			return nil
		}
		if r != nil {
			return r.owner()
		}
		if p.ppid == unix.Getpid() || p.ppid == 0 {
			return nil
		}
		parent, ok := readAny(p.ppid)
		now, still := readAny(p.pid)
		switch {
		case !still || now.process != p.process:
			return nil
		case now.ppid != p.ppid || !ok:
			p = now // its parent has ended, and it has another one
		default:
			p = parent // was its parent all the time
		}
	}
	return nil
}

// evident is the run that a process is in by what is known of itself.
func (k *Kernel) evident(p info) *Run {
	k.mu.Lock()
	r := k.leaders[p.pid]
	k.mu.Unlock()
	if r != nil {
		return r
	}
	if k.cgroups != nil {
		text, _ := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/cgroup")
		if dir := k.cgroups.dirIn(text); dir != "" {
			for _, r := range k.living() {
				if r.cgroup == dir {
					return r
				}
			}
		}
	}
	// While the process is in a session or a group, nobody else is given the number of who made it.
	k.mu.Lock()
	for _, number := range []int{p.session, p.pgrp} {
		if r == nil {
			r = k.leaders[number]
		}
	}
	k.mu.Unlock()
	if r != nil {
		return r
	}
	mark, _ := readMark(p)
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.runs[mark]
}

// living lists the runs that may have processes, but for those that belong to another one's set.
func (k *Kernel) living() []*Run {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Collect(maps.Values(k.runs))
}

func readAny(pid int) (info, bool) {
	p, _, ok := readProcessOrZombie(pid)
	return p, ok
}

// Strays lists the descendants of pintle that belong to no run, for one look at
// all processes: nothing was left to tell whose they were before anybody looked.
// It is nil when ctx is done first.
func (k *Kernel) Strays(ctx context.Context) []Left {
	found := make(chan []Left, 1)
	k.census.mu.Lock()
	k.census.strays = append(k.census.strays, found)
	k.census.mu.Unlock()
	k.census.wake()
	select {
	case strays := <-found:
		return strays
	case <-ctx.Done():
	case <-k.done:
	}
	return nil
}
