package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// crashVariable has TestKilledHalfWay kill a command before each of its steps; without it, before some of them.
const crashVariable = "PINTLE_S6_TEST_CRASH"

// TestKilledHalfWay: a command that is killed, wherever it is, leaves nothing that the next one could not do, or end: a
// creation that is repeated comes up, a reconciliation leaves no s6-supervise without its directory, and after a removal
// nothing of the instance is left, whatever came before.
func TestKilledHalfWay(t *testing.T) {
	stride := 23
	if os.Getenv(crashVariable) == "full" {
		stride = 1
	}
	w := newTree(t, os.Geteuid())
	for _, verb := range []string{"create", "start", "restart", "stop", "remove"} {
		before := map[string][]string{"create": nil, "start": {"create", "--down"}}[verb]
		if before == nil && verb != "create" {
			before = []string{"create"}
		}
		killed := 0
		for n := rand.N(stride); ; n += stride {
			if before != nil {
				w.done(append(before, "gateway@a")...)
			}
			ended := w.killed(n, verb, "gateway@a")
			if ended {
				killed++
			}
			w.recover(fmt.Sprintf("%s killed before its change %d", verb, n), n)
			if !ended || t.Failed() {
				break
			}
		}
		t.Logf("figure: %s was killed at %d places", verb, killed)
		if killed == 0 && stride == 1 {
			t.Errorf("%s was never killed", verb)
		}
	}
}

// recover goes on after a command that was killed, in one of three ways.
func (w *tree) recover(after string, way int) {
	w.t.Helper()
	switch way % 3 {
	case 0:
		if out := w.done("create", "gateway@a"); !w.up() {
			w.t.Errorf("%s: created again it does not come up: %s", after, out)
		}
	case 1:
		w.done("reconcile")
		for _, name := range w.left() {
			if strings.Contains(name, ".pintle/") {
				w.t.Errorf("%s: reconcile leaves %s", after, name)
			}
		}
		if _, err := os.Stat(w.scan + "/gateway@a"); err != nil && len(w.children()) > 0 {
			w.t.Errorf("%s: reconcile leaves %q", after, w.children())
		}
	}
	if code, out := w.call(w.uid, "remove", "gateway@a"); code != 0 && code != 4 {
		w.t.Errorf("%s: remove: exit %d\n%s", after, code, out)
	}
	if way%3 == 2 { // what was built and never was seen has no name to be removed by, but goes with the next command
		w.done("create", "gateway@a")
		w.done("remove", "gateway@a")
	}
	w.clean(after)
}

func (w *tree) up() bool {
	code, _ := w.call(w.uid, "wait", "--timeout", "60s", "gateway@a")
	return code == 0
}

// changes are the system calls by which a command changes anything; so is openat(2) that makes a file.
var changes = []uint64{
	unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_FCHMOD, unix.SYS_FCHMODAT,
	unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_FTRUNCATE, unix.SYS_WRITE, unix.SYS_PWRITE64,
}

// killed runs pintle and kills it when it is about to make the change of that number. It tells whether it came so far.
func (w *tree) killed(n int, words ...string) bool {
	w.t.Helper()
	runtime.LockOSThread() // all of a process's tracing is one thread's
	defer runtime.UnlockOSThread()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	must(w.t, err)
	defer null.Close()
	pid, err := syscall.ForkExec(w.pintle, w.args(words...), &syscall.ProcAttr{
		Dir: "/", Env: w.environ(), Files: []uintptr{null.Fd(), null.Fd(), null.Fd()}, Sys: &syscall.SysProcAttr{Ptrace: true},
	})
	must(w.t, err)
	var status unix.WaitStatus
	_, err = unix.Wait4(pid, &status, unix.WALL, nil)
	must(w.t, err)
	must(w.t, unix.PtraceSetOptions(pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL))
	must(w.t, unix.PtraceSyscall(pid, 0))
	known := map[int]bool{pid: true}
	for {
		thread, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		if err == unix.EINTR {
			continue
		}
		must(w.t, err)
		if status.Exited() || status.Signaled() {
			if thread == pid {
				return status.Signaled()
			}
			continue
		}
		signal := 0
		switch sig := status.StopSignal(); {
		case sig == unix.SIGTRAP|0x80:
			if changing(thread) {
				if n == 0 {
					_ = unix.Kill(pid, unix.SIGKILL)
				}
				n--
			}
		case sig == unix.SIGSTOP && !known[thread]:
			known[thread] = true // it has just begun
		case sig != unix.SIGTRAP:
			signal = int(sig)
		}
		_ = unix.PtraceSyscall(thread, signal) // it may be gone by now
	}
}

// changing tells whether a thread has stopped before a change.
func changing(thread int) bool {
	var info [88]byte // struct ptrace_syscall_info
	const getSyscallInfo, entry = 0x420e, 1
	_, _, e := syscall.Syscall6(syscall.SYS_PTRACE, getSyscallInfo, uintptr(thread), uintptr(len(info)), uintptr(unsafe.Pointer(&info)), 0, 0)
	if e != 0 || info[0] != entry {
		return false
	}
	number := binary.NativeEndian.Uint64(info[24:])
	flags := binary.NativeEndian.Uint64(info[32+2*8:])
	return slices.Contains(changes, number) || number == unix.SYS_OPENAT && flags&unix.O_CREAT != 0
}
