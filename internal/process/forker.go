package process

import (
	"cmp"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxForkers is how many children are made at a time: a thread that makes one stands still until the child has executed
// something, and what that costs is the kernel's, most of it on the child's processor.
const maxForkers = 2

// forkers are the threads that make children.
//
// A child begins with a copy of its maker's table of descriptors, and execve(2) goes through all of it to close what it
// must not have. Pintle has two pipes for each unit, so the thousandth unit would pay for all those before it. Each
// forker therefore has a table of its own, in which there is no more than the next child gets: its descriptors are
// passed to the thread over a socket.
type forkers struct {
	free chan *forker // those that wait for something to do
	over chan struct{}

	mu    sync.Mutex
	begun int
}

// forker is one such thread. It waits in its goroutine, which is never unlocked from it.
type forker struct {
	jobs chan *birth
	// Descriptors go into to, which is one of pintle's, and come out of from, which is the thread's. Both are none where a
	// table of its own could not be had, and the thread has pintle's.
	to, from int
	// copied is from in pintle's table, as long as it is open there too; else none.
	copied int
}

// none is no descriptor.
const none = -1

// birth is a child that is to be made.
type birth struct {
	path string
	args []string
	attr *syscall.ProcAttr
	in   int // its working directory, in place of attr.Dir; or none

	passed int // how many descriptors were sent to the thread
	pid    int
	err    error
	done   chan struct{}
}

// newForkers begins the first thread; it need not be there yet.
func newForkers() *forkers {
	f := &forkers{free: make(chan *forker, maxForkers), over: make(chan struct{})}
	f.another()
	return f
}

// another begins one more thread, where there may be one.
func (f *forkers) another() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.begun == maxForkers || f.closed() {
		return
	}
	one := &forker{jobs: make(chan *birth), to: none, from: none, copied: none}
	if ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0); err == nil {
		one.to, one.from = ends[0], ends[1]
	}
	f.begun++
	go one.serve(f)
}

func (f *forkers) closed() bool {
	select {
	case <-f.over:
		return true
	default:
		return false
	}
}

// forkExec is syscall.ForkExec on one of the threads.
func (f *forkers) forkExec(b *birth) (pid int, err error) {
	one := f.engage()
	if one == nil {
		return 0, os.ErrClosed
	}
	defer f.release(one)
	b.passed, b.err = one.pass(b.descriptors())
	if b.err != nil && b.passed == 0 {
		return 0, b.err
	}
	b.done = make(chan struct{})
	one.jobs <- b
	<-b.done
	return b.pid, b.err
}

// engage waits for a thread that has nothing to do. The second one begins when the first is found busy.
func (f *forkers) engage() *forker {
	select {
	case one := <-f.free:
		return one
	default:
		f.another()
	}
	select {
	case one := <-f.free:
		return one
	case <-f.over:
		return nil
	}
}

// release has the thread be there for the next child, or end.
func (f *forkers) release(one *forker) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed() {
		one.end()
	} else {
		f.free <- one // has room for all
	}
}

// close ends the threads, each as soon as it has nothing to do.
func (f *forkers) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.over)
	for {
		select {
		case one := <-f.free:
			one.end()
		default:
			return
		}
	}
}

// uncopy closes what is only the thread's. It is for who has pintle's table.
func (one *forker) uncopy() {
	if one.copied != none {
		_ = unix.Close(one.copied)
		one.copied = none
	}
}

// end ends a thread that has nothing to do. It is called by the thread itself only where pintle ends meanwhile.
func (one *forker) end() {
	close(one.jobs)
	one.uncopy()
	if one.to != none {
		_ = unix.Close(one.to)
	}
}

// serve is one thread's life.
func (one *forker) serve(f *forkers) {
	// Never unlocked: the thread's descriptors and signal mask are not those that others expect.
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() { // whose table of descriptors is what /proc/self/fd shows, and whose children are orphans
		elsewhere := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(elsewhere)
			one.serve(f)
		}()
		<-elsewhere
		runtime.UnlockOSThread()
		return
	}
	one.separate()
	// A child begins with the signal mask of the thread that makes it, and pintle may have been started with signals blocked.
	var empty unix.Sigset_t
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &empty, nil) // no mask is refused
	f.release(one)
	for b := range one.jobs {
		one.make(b)
		close(b.done)
	}
	if one.from != none {
		_ = unix.Close(one.from)
	}
}

// separate gives the thread a table of its own, with as few descriptors in it as there may be.
func (one *forker) separate() {
	if one.to == none {
		return
	}
	// Go's poller is asked by whichever thread ends a garbage collection, so its descriptors must be in any table.
	if r, w, err := os.Pipe(); err == nil { // which has the poller begin
		r.Close()
		w.Close()
	}
	// A container's seccomp profile may well refuse unshare(2), which can do more than this.
	const beyondAll = math.MaxInt32 // no descriptor has this number, so none is closed
	if unix.CloseRange(beyondAll, beyondAll, unix.CLOSE_RANGE_UNSHARE) != nil && unix.Unshare(unix.CLONE_FILES) != nil {
		_, _ = unix.Close(one.to), unix.Close(one.from)
		one.to, one.from = none, none
		return
	}
	one.copied = one.from
	own := "/proc/thread-self/fd/"
	names, _ := os.ReadDir(own)
	for _, name := range names {
		fd, err := strconv.Atoi(name.Name())
		if err != nil || fd <= 2 || fd == one.from {
			continue
		}
		if what, err := os.Readlink(own + name.Name()); err == nil && !strings.HasPrefix(what, "anon_inode:[event") {
			_ = unix.Close(fd)
		}
	}
}

// descriptors are those of pintle's that the child's making needs, in the order in which exchange takes them.
func (b *birth) descriptors() (list []int) {
	b.exchange(func(fd int) int {
		list = append(list, fd)
		return fd
	})
	return list
}

// exchange puts other numbers in the place of each descriptor.
func (b *birth) exchange(other func(int) int) {
	attr, sys := *b.attr, *b.attr.Sys
	attr.Files = slices.Clone(attr.Files)
	for i, fd := range attr.Files {
		if fd != closedFD {
			attr.Files[i] = uintptr(other(int(fd)))
		}
	}
	if sys.UseCgroupFD {
		sys.CgroupFD = other(sys.CgroupFD)
	}
	if b.in >= 0 {
		b.in = other(b.in)
	}
	attr.Sys = &sys
	b.attr = &attr
}

// mostPassed is how many descriptors one message can take (unix(7), SCM_MAX_FD).
const mostPassed = 253

// pass sends descriptors to the thread, and tells how many it will get.
func (one *forker) pass(list []int) (passed int, err error) {
	one.uncopy()
	if one.to == none {
		return 0, nil
	}
	for part := range slices.Chunk(list, mostPassed) {
		if err := unix.Sendmsg(one.to, []byte{0}, unix.UnixRights(part...), nil, 0); err != nil {
			return passed, err
		}
		passed += len(part)
	}
	return passed, nil
}

// take receives n of them. With an error it has received all the same what came of them, so that the next child gets its own.
func (one *forker) take(n int) (list []int, err error) {
	oob := make([]byte, unix.CmsgSpace(4*min(n, mostPassed)))
	for want := 0; n > 0; n -= want {
		want = min(n, mostPassed)
		_, size, _, _, recvErr := unix.Recvmsg(one.from, []byte{0}, oob, unix.MSG_CMSG_CLOEXEC)
		if recvErr != nil {
			return list, recvErr
		}
		messages, _ := unix.ParseSocketControlMessage(oob[:size])
		got := 0
		for i := range messages {
			if fds, err := unix.ParseUnixRights(&messages[i]); err == nil {
				list = append(list, fds...)
				got += len(fds)
			}
		}
		if got != want { // the kernel leaves out what the thread's table has no room for
			err = unix.EMFILE
		}
	}
	return list, err
}

// make makes the child.
func (one *forker) make(b *birth) {
	if one.from != none {
		list, err := one.take(b.passed)
		defer func() {
			for _, fd := range list {
				_ = unix.Close(fd)
			}
		}()
		if b.err = cmp.Or(b.err, err); b.err != nil {
			return
		}
		next := 0
		b.exchange(func(int) int { next++; return list[next-1] })
	}
	if b.in >= 0 {
		b.attr.Dir = "/proc/self/fd/" + strconv.Itoa(b.in) // the child's own, which has it until it executes something
	}
	b.pid, b.err = syscall.ForkExec(b.path, b.args, b.attr)
}
