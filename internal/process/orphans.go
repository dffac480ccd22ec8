package process

import "golang.org/x/sys/unix"

// nothingLeft tells that nothing can be left of a run, without a look at all processes: its leader and whatever joined it
// have been reaped, and pintle has adopted nobody. For what a leader leaves is an orphan, which pintle adopts as the
// subreaper, or descends from one. Two things are not seen: a process that a leader made as its own sibling (clone(2),
// CLONE_PARENT) and that left its process group; and one of another run that only carries this one's mark, which ends
// with the other run. In doubt something is left.
func (k *Kernel) nothingLeft(r *Run) bool {
	k.mu.Lock() // nobody is reaped meanwhile, or made
	defer k.mu.Unlock()
	if r.cgroup != "" && r.cgroup.populated() {
		return false
	}
	if r.set.all {
		return len(k.leaders) == 0 && waitable(0) == unix.ECHILD
	}
	return k.leaders[r.pid] != r && r.guests == 0 && unix.Kill(-r.pid, 0) == unix.ESRCH && !k.adopted()
}

// adopted tells whether pintle has children that it did not make itself, or that cannot be told. The kernel gives
// orphans to the main thread (find_new_reaper in its kernel/exit.c), and a forker is never that one.
func (k *Kernel) adopted() bool {
	if k.main == nil {
		return true
	}
	answer := make(chan error, 1)
	select {
	case k.main <- func() { answer <- waitable(unix.WNOTHREAD) }:
		return <-answer != unix.ECHILD
	case <-k.done:
		return true
	}
}

// waitable is ECHILD where there is no child at all (waitid(2)), alive or not; none is reaped by it.
func waitable(options int) error {
	return unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|options, nil)
}
