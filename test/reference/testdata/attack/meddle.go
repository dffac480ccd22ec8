package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A deed is one thing that a process may try to do to another, given by its pid or by that of one of its threads.
type deed struct {
	name string
	do   func(pid int) error
	// harmless is set where it may be tried on oneself, to show that it is a try.
	harmless bool
}

var deeds = []deed{
	{"send it signal 0", func(pid int) error { return unix.Kill(pid, 0) }, true},
	{"send it CONT", func(pid int) error { return unix.Kill(pid, unix.SIGCONT) }, true},
	{"send it TERM", func(pid int) error { return unix.Kill(pid, unix.SIGTERM) }, false},
	{"send it STOP", func(pid int) error { return unix.Kill(pid, unix.SIGSTOP) }, false},
	{"send it KILL", func(pid int) error { return unix.Kill(pid, unix.SIGKILL) }, false},
	{"send one thread KILL", func(pid int) error { return unix.Tgkill(pid, pid, unix.SIGKILL) }, false},
	{"queue it a signal", func(pid int) error {
		info := [128]byte{} // siginfo_t: signal, error, code (SI_QUEUE is -1)
		*(*int32)(unsafe.Pointer(&info[0])), *(*int32)(unsafe.Pointer(&info[8])) = int32(unix.SIGUSR1), -1
		return call(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(unix.SIGUSR1), uintptr(unsafe.Pointer(&info[0])))
	}, false},
	{"send it TERM by a pidfd", func(pid int) error {
		return byPidfd(pid, func(fd int) error { return unix.PidfdSendSignal(fd, unix.SIGTERM, nil, 0) })
	}, false},
	{"take a descriptor", func(pid int) error {
		return byPidfd(pid, func(fd int) error {
			got, err := unix.PidfdGetfd(fd, 0, 0)
			if err == nil {
				unix.Close(got)
			}
			return err
		})
	}, true},
	{"trace it", func(pid int) error { return call(unix.SYS_PTRACE, 0x4206 /* PTRACE_SEIZE */, uintptr(pid), 0) }, false},
	{"attach to it", func(pid int) error { return unix.PtraceAttach(pid) }, false},
	{"read its memory", func(pid int) error { return memory(pid, unix.SYS_PROCESS_VM_READV) }, false},
	{"write its memory", func(pid int) error { return memory(pid, unix.SYS_PROCESS_VM_WRITEV) }, false},
	{"limit it", func(pid int) error {
		return unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: 3}, nil)
	}, false},
	{"see its limits", func(pid int) error { return unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &unix.Rlimit{}) }, true},
	{"make it yield", func(pid int) error { return unix.Setpriority(unix.PRIO_PROCESS, pid, 19) }, false},
	{"make its disk wait", func(pid int) error { return call(unix.SYS_IOPRIO_SET, 1, uintptr(pid), 3<<13) }, false},
	{"make it idle", func(pid int) error {
		param := int32(0)
		return call(unix.SYS_SCHED_SETSCHEDULER, uintptr(pid), 5 /* SCHED_IDLE */, uintptr(unsafe.Pointer(&param)))
	}, false},
	{"bind it to a processor", func(pid int) error {
		var set unix.CPUSet
		set.Set(0)
		return unix.SchedSetaffinity(pid, &set)
	}, false},
	{"move it into another group", func(pid int) error { return unix.Setpgid(pid, os.Getpid()) }, false},
	{"have it be owner of a signal", owned, false},
	{"read its memory by a file", open("mem", unix.O_RDONLY), true},
	{"write its memory by a file", open("mem", unix.O_RDWR), true},
	{"read its environment", open("environ", unix.O_RDONLY), true},
	{"read its map", open("maps", unix.O_RDONLY), true},
	{"see what it has open", func(pid int) error { _, err := os.ReadDir(proc(pid, "fd")); return err }, true},
	{"open what it has open", open("fd/0", unix.O_RDONLY), false},
	{"see its root", func(pid int) error { _, err := os.ReadDir(proc(pid, "root") + "/"); return err }, true},
	{"see its directory", func(pid int) error { _, err := os.ReadDir(proc(pid, "cwd") + "/"); return err }, true},
	{"enter its namespace", open("ns/pid", unix.O_RDONLY), true},
	{"have it killed first", write("oom_score_adj", "1000"), true},
	{"rename it", write("comm", "x"), true},
	{"forget what it uses", write("clear_refs", "1"), true},
	{"let it sleep longer", write("timerslack_ns", "1000000000"), false},
	{"have it dumped", write("coredump_filter", "0x7f"), true},
	{"map its users", write("uid_map", "0 10000 1"), false},
}

func call(number, a, b, c uintptr) error {
	if _, _, errno := unix.Syscall6(number, a, b, c, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func byPidfd(pid int, do func(fd int) error) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return do(fd)
}

func memory(pid int, number uintptr) error {
	var here [8]byte
	local := unix.Iovec{Base: &here[0]}
	local.SetLen(len(here))
	remote := unix.RemoteIovec{Base: 0x400000, Len: len(here)} // where pintle's text begins
	_, _, errno := unix.Syscall6(number, uintptr(pid), uintptr(unsafe.Pointer(&local)), 1, uintptr(unsafe.Pointer(&remote)), 1, 0)
	if errno != 0 && errno != unix.EFAULT { // past the question whether one may
		return errno
	}
	return nil
}

// owned makes it the one who is told that a pipe can be read, by KILL: anybody may be named, and whether the signal is
// sent is decided when it is. It never succeeds by itself: what pintle does then shows it.
func owned(pid int) error {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	for _, set := range [][2]int{{unix.F_SETOWN, pid}, {unix.F_SETSIG, int(unix.SIGKILL)}, {unix.F_SETFL, unix.O_ASYNC | unix.O_NONBLOCK}} {
		if _, err := unix.FcntlInt(uintptr(p[0]), set[0], set[1]); err != nil {
			return err
		}
	}
	_, err := unix.Write(p[1], []byte("x"))
	if err == nil {
		err = errors.New("nothing is known of it")
	}
	return err
}

func proc(pid int, file string) string { return "/proc/" + strconv.Itoa(pid) + "/" + file }

func open(file string, flags int) func(int) error {
	return func(pid int) error {
		fd, err := unix.Open(proc(pid, file), flags|unix.O_NONBLOCK, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
}

func write(file, text string) func(int) error {
	return func(pid int) error {
		f, err := os.OpenFile(proc(pid, file), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteString(text)
		return err
	}
}

// meddle tries every deed on a process and on each of its threads, again and again:
// what may be done to a thread depends on whose rights it has at that moment. What
// has worked it says in a line.
func meddle(pid int, ended <-chan os.Signal) error {
	for _, d := range deeds {
		if d.harmless {
			if err := d.do(os.Getpid()); err != nil {
				return fmt.Errorf("it is no try to %s: on oneself it fails too: %w", d.name, err)
			}
		}
	}
	if !lives(os.Getpid()) {
		return errors.New("what lives is taken for what ends")
	}
	fmt.Println("meddling")
	tries := 0
	for worked := map[string]bool{}; ; tries++ {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		for _, thread := range threads {
			tid, err := strconv.Atoi(filepath.Base(thread))
			if err != nil {
				return err
			}
			for _, d := range deeds {
				if d.do(tid) == nil && !worked[d.name] && lives(tid) {
					worked[d.name] = true
					fmt.Println("could", d.name)
				}
			}
		}
		select {
		case <-ended:
			fmt.Printf("tried %d times\n", tries)
			return nil
		case <-time.After(time.Millisecond):
		}
	}
}

// lives tells whether a thread is not about to end. One that is has no memory left, and then the kernel lets anybody open
// what would show it: an empty file (proc(5), maps).
func lives(tid int) bool {
	const exiting = 0x4 // PF_EXITING
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", tid))
	if err != nil {
		return false
	}
	after := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(after) < 7 {
		return true
	}
	flags, err := strconv.ParseUint(string(after[6]), 10, 64)
	return err != nil || flags&exiting == 0
}
