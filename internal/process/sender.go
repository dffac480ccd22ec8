package process

import (
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// SendersOf finds the runs that who sent something may belong to, by what the kernel said of him (unix(7),
// SCM_CREDENTIALS): one where that is known. It is for a message of no great consequence, whose sender has often
// ended by the time it is read: where RunOf then finds none, this takes what can still be told.
//
//   - Who is there, or waits to be reaped, belongs to the run that RunOf finds, even if he ends meanwhile.
//   - Who was reaped by pintle (a leader, or an orphan) belongs to the run that he was seen to belong to; for orphans that
//     needs Options.Senders.
//   - Who was reaped by a parent of his own before anybody looked can be of any run of his user: it returns all of them. So he
//     may be taken for one of a run, who is none; but nobody for a run of another user.
func (k *Kernel) SendersOf(pid int, uid uint32) []*Run {
	p, there := readAny(pid)
	if there {
		if r := k.seen(p); r != nil {
			return []*Run{r}
		}
		if r := k.RunOf(pid); r != nil {
			return []*Run{r}
		}
	}
	k.mu.Lock()
	r := k.ended.runs[pid]
	k.mu.Unlock()
	if r != nil {
		return []*Run{r}
	}
	if now, ok := readAny(pid); ok && (!there || now.process == p.process) {
		return nil // it is there, and belongs to none
	}
	return slices.DeleteFunc(k.living(), func(r *Run) bool { return r.uid != int(uid) })
}

// seen is the run that a process belongs to by what it is itself; nil where that does not say it.
func (k *Kernel) seen(p info) *Run {
	// For readMark, which puts the thread's file system ids back before it returns.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if r := k.evident(p); r != nil {
		return r.owner()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.ended.runs[p.session]; r != nil { // nobody else is given the number while the process is in its session
		return r
	}
	return k.ended.runs[p.pgrp]
}

// mostEnded is how many processes are remembered that pintle has reaped.
const mostEnded = 256

// ended are the newest processes that pintle has reaped, and the runs that they belonged to.
type ended struct {
	runs map[int]*Run
	pids [mostEnded]int
	next int
}

func (e *ended) add(pid int, r *Run) {
	if e.runs == nil {
		e.runs = make(map[int]*Run, mostEnded)
	}
	delete(e.runs, e.pids[e.next])
	// A number that is used again so soon is in two places of the ring, and forgotten with the first of them.
	e.pids[e.next], e.runs[pid] = pid, r
	e.next = (e.next + 1) % mostEnded
}

// rememberOrphan remembers whose the child is that is reaped next, if it is an orphan and that is wanted. It returns which
// child that is to be, for wait4(2): -1 for any where nothing is to be remembered, 0 where there is none to be reaped.
func (k *Kernel) rememberOrphan() (which int) {
	const anyChild, none = -1, 0
	k.mu.Lock()
	wanted := k.senders
	k.mu.Unlock()
	if !wanted {
		return anyChild
	}
	var status unix.Siginfo
	if unix.Waitid(unix.P_ALL, 0, &status, unix.WEXITED|unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil) != nil {
		return none
	}
	// siginfo_t: three ints, then a union, which begins with the number of the process.
	const word = unsafe.Sizeof(uintptr(0))
	const at = (3*unsafe.Sizeof(status.Signo) + word - 1) / word * word
	pid := int(*(*int32)(unsafe.Add(unsafe.Pointer(&status), at)))
	k.mu.Lock()
	_, leads := k.leaders[pid]
	k.mu.Unlock()
	p, ok := readAny(pid)
	if pid == 0 {
		return none
	}
	if leads || !ok || p.ppid != os.Getpid() {
		return pid
	}
	if r := k.seen(p); r != nil {
		k.mu.Lock()
		k.ended.add(pid, r)
		k.mu.Unlock()
	}
	return pid
}

// Names are the unit of a run, and the run's number.
func (r *Run) Names() (unit.Name, uint64) { return r.unit, r.number }
