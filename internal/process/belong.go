package process

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// belonging is what a run's processes are found by, beside its leader and its
// mark. It does not change once the leader exists.
type belonging struct {
	of     *Run   // the run whose set this one's processes are in, which is itself in no other's; nil for its own
	cgroup cgroup // of its own; empty for none
	// confined tells that no process of the run can leave the cgroup: moving a process to another one takes root's rights,
	// of which the run has none, so its cgroup alone is the truth. As root, or as pintle's own user where that may use cgroups, it can,
	// and then the run's processes are those in the cgroup and those that are attributed to it besides.
	confined bool
}

// owner is the run that a run's processes belong to in the end.
func (r *Run) owner() *Run {
	if r.of != nil {
		return r.of
	}
	return r
}

// enlist gives a run that is about to be started its process set. enlisted must
// be called when it has been started, or has not.
func (r *Run) enlist(c *Command, sys *syscall.SysProcAttr) (enlisted func(started bool), err error) {
	if c.Of != nil {
		return r.join(c, sys)
	}
	// The first part is new for each run. So only those can put a run's mark on another process who can read the run's
	// own environment: its user and root. Anybody else could have a stop of it wait for his processes.
	r.mark = fmt.Sprintf("%s/%s/%d", rand.Text(), c.Unit, c.Number)
	var dir *os.File
	if r.k.cgroups != nil {
		if r.cgroup, err = r.k.cgroups.add(c.Unit, c.Number); err == nil {
			dir, err = os.Open(string(r.cgroup))
		}
		if err != nil {
			r.withoutCgroup(err)
		} else {
			sys.UseCgroupFD, sys.CgroupFD = true, int(dir.Fd())
			r.confined = os.Geteuid() == 0 && c.Identity != nil && c.Identity.UID != 0 && len(c.Attributes.AmbientCapabilities) == 0
		}
	}
	return func(started bool) {
		dir.Close()
		if !started {
			r.forget()
		}
	}, nil
}

// join is enlist for a run that belongs to another one's set. While it is under
// way the other run is not told empty; and none may join one that was, or that is
// swept or killed, where it would be ended at once.
func (r *Run) join(c *Command, sys *syscall.SysProcAttr) (joined func(bool), err error) {
	r.of = c.Of.owner()
	r.mark = r.of.mark
	refuse := func(cause any) (func(bool), error) {
		return nil, execError(126, "cannot execute %s: %v", c.Path, cause)
	}
	census := r.k.census
	census.mu.Lock()
	over, ending := r.of.set.over, r.of.set.sweep != nil || r.of.set.kill
	if !over && !ending {
		r.of.set.joining++
	}
	census.mu.Unlock()
	switch {
	case over:
		return refuse("the run that it is for is over")
	case ending:
		return refuse("the run that it is for is ending")
	}
	var dir *os.File
	joined = func(bool) {
		dir.Close()
		census.mu.Lock()
		r.of.set.joining--
		r.of.set.joins++
		census.mu.Unlock()
		census.wake()
	}
	if r.of.cgroup != "" {
		if dir, err = os.Open(string(r.of.cgroup)); err != nil {
			joined(false)
			return refuse(err)
		}
		sys.UseCgroupFD, sys.CgroupFD = true, int(dir.Fd())
	}
	return joined, nil
}

// withoutCgroup has a run that is not visible to anybody yet do without a cgroup.
func (r *Run) withoutCgroup(cause error) {
	if r.cgroup != "" {
		r.k.cgroups.drop(r.cgroup)
	}
	r.cgroup, r.confined = "", false
	_, name, _ := strings.Cut(r.mark, "/")
	r.k.log.Warn(fmt.Sprintf("cannot make a cgroup for run %s, so its processes are found without: %v", name, cause))
}

// forkExec makes the child, without its cgroup where that does not take it.
func (r *Run) forkExec(b *birth) (pid int, err error) {
	again := *b
	pid, err = r.k.forkers.forkExec(b)
	if err == nil || !b.attr.Sys.UseCgroupFD || r.of != nil || err == unix.ENOENT || err == unix.ENOEXEC {
		return pid, err
	}
	// The number does not tell whether it was the cgroup's or the file's.
	again.attr.Sys.UseCgroupFD = false
	pid, failed := r.k.forkers.forkExec(&again)
	if failed != nil {
		return 0, err
	}
	r.withoutCgroup(err)
	return pid, nil
}

// forget ends what a run has beside its processes, of which there are none any more.
func (r *Run) forget() {
	r.k.mu.Lock()
	if r.k.runs[r.mark] == r {
		delete(r.k.runs, r.mark)
	}
	r.k.mu.Unlock()
	if r.cgroup != "" && !r.set.all {
		r.k.cgroups.drop(r.cgroup)
	}
}

// noteLeftovers has a look taken at what a leader left that belongs to another
// run's set: its session and group, by which that is known, are the leader's
// number, which may be given to somebody else when they are empty. The caller
// holds the Kernel's mutex, and has just reaped the leader.
func (r *Run) noteLeftovers() {
	if r.of == nil || r.of.confined || unix.Kill(-r.pid, 0) == unix.ESRCH {
		return
	}
	r.k.census.wish(r, func(s *set) { s.note = true })
}
