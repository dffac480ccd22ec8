package tools

import (
	"runtime"
	"syscall"
	"unsafe"
)

// What the syscall package lacks. golang.org/x/sys/unix has it, but needs reflection, and with it much of what this
// package exists to do without at a tool's start.

// The limits that syscall has no names for, and what fcntl(2) asks whether a descriptor is open with.
const (
	limitResident  = 5 // RLIMIT_RSS
	limitProcesses = 6 // RLIMIT_NPROC
	limitLocked    = 8 // RLIMIT_MEMLOCK
)

// The events of poll(2).
const (
	pollIn  = 1
	pollOut = 4
)

// pollFd is struct pollfd.
type pollFd struct {
	fd             int32
	events, result int16
}

// poll waits for one of several descriptors, at most ms milliseconds or for ever.
func poll(fds []pollFd, ms int) (n int, err error) {
	var limit *syscall.Timespec
	if ms >= 0 {
		t := syscall.NsecToTimespec(int64(ms) * 1e6)
		limit = &t
	}
	r, _, number := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))), uintptr(len(fds)),
		uintptr(unsafe.Pointer(limit)), 0, 0, 0)
	if number != 0 {
		return 0, number
	}
	return int(r), nil
}

// isOpen is an error where the tool was not started with the descriptor. One that closes at the next execve(2) cannot come
// from the last one: it is of Go's runtime, which opens files of its own before anything of ours runs.
func isOpen(fd uint32) error {
	flags, _, number := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
	switch {
	case number != 0:
		return number
	case flags&syscall.FD_CLOEXEC != 0:
		return syscall.EBADF
	}
	return nil
}

// setForeground makes a process group the terminal's foreground one.
func setForeground(terminal, group int) error {
	id := int32(group)
	if _, _, number := syscall.Syscall(syscall.SYS_IOCTL, uintptr(terminal), syscall.TIOCSPGRP, uintptr(unsafe.Pointer(&id))); number != 0 {
		return number
	}
	return nil
}

// without does something while a signal is blocked.
func without(signal syscall.Signal, deed func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const (
		block   = 0 // SIG_BLOCK
		restore = 2 // SIG_SETMASK
	)
	set, before := uint64(1)<<(signal-1), uint64(0)
	mask := func(how uintptr, set, before *uint64) {
		// It fails for wrong arguments only.
		_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, how, uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(before)), unsafe.Sizeof(*set), 0, 0)
	}
	mask(block, &set, &before)
	defer mask(restore, &before, nil)
	return deed()
}

// defaultActions has the signals end the process that end any other one, but that Go's runtime takes and forgets.
func defaultActions() {
	// struct sigaction of the kernel, at its longest; all zero, it is SIG_DFL without anything.
	var action [4]uintptr
	for _, signal := range [...]syscall.Signal{
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGVTALRM, syscall.SIGIO, syscall.SIGPWR, syscall.SIGSTKFLT,
	} {
		// It fails for wrong arguments only.
		_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(signal), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	}
}

// userIDs are the real, effective and saved uid.
func userIDs() (ids [3]uint32) {
	// It fails for addresses only.
	_, _, _ = syscall.RawSyscall(syscall.SYS_GETRESUID, uintptr(unsafe.Pointer(&ids[0])), uintptr(unsafe.Pointer(&ids[1])), uintptr(unsafe.Pointer(&ids[2])))
	return ids
}
