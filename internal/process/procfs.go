package process

import (
	"bytes"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// markName is the environment variable that carries a run's mark. It is the first in a leader's environment.
const markName = "PINTLE_MARK"

// maxEnviron bounds how much of a process's environment is searched for the mark.
const maxEnviron = 1 << 20

// process names one process for ever: a number alone is used again.
type process struct {
	pid   int
	start uint64 // clock ticks after boot, proc(5) stat field 22
}

// info is what a census knows of one process.
type info struct {
	process
	ppid, pgrp, session int
	command             string
}

// scan lists all live processes but zombies, which have ended and only wait to be reaped.
func scan() map[int]info {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	all := make(map[int]info, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, ok := readProcess(pid); ok {
			all[pid] = p
		}
	}
	return all
}

// readProcess reads /proc/PID/stat (proc(5)). It fails for a process that is gone or a zombie.
func readProcess(pid int) (info, bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return info{}, false
	}
	// The command stands in parentheses and may hold anything, parentheses too; the rest has none.
	left, right := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if left < 0 || right < left {
		return info{}, false
	}
	fields := bytes.Fields(data[right+1:])
	if len(fields) < 20 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return info{}, false
	}
	number := func(i int) int {
		n, _ := strconv.Atoi(string(fields[i]))
		return n
	}
	start, _ := strconv.ParseUint(string(fields[19]), 10, 64)
	return info{
		process: process{pid, start},
		ppid:    number(1), pgrp: number(2), session: number(3),
		command: string(data[left+1 : right]),
	}, true
}

// readMark reads the run's mark from the environment that a process was executed
// with, or "" when it has none or can't be read.
//
// The kernel shows an environment to the process's own user or to CAP_SYS_PTRACE
// (ptrace(2), PTRACE_MODE_READ_FSCREDS), which a container's root does not
// have. So the file is opened with that user's rights. The calling goroutine
// must be locked to its thread, whose file system ids are changed meanwhile.
func readMark(pid int) string {
	path := "/proc/" + strconv.Itoa(pid)
	var owner unix.Stat_t
	if err := unix.Stat(path, &owner); err != nil {
		return ""
	}
	var f *os.File
	asUser(int(owner.Uid), int(owner.Gid), func() {
		f, _ = os.Open(path + "/environ")
	})
	if f == nil {
		return ""
	}
	defer f.Close()
	environ, _ := io.ReadAll(io.LimitReader(f, maxEnviron))
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if mark, ok := bytes.CutPrefix(entry, []byte(markName+"=")); ok {
			return string(mark)
		}
	}
	return ""
}

// asUser does something with the file system rights of a user (credentials(7)) on this thread.
func asUser(uid, gid int, do func()) {
	if os.Geteuid() != 0 || uid == 0 {
		do()
		return
	}
	// setfsgid(2) and setfsuid(2) report no error: without the capability they change nothing, and the open fails as it would have.
	_ = unix.Setfsgid(gid)
	_ = unix.Setfsuid(uid)
	defer func() {
		_ = unix.Setfsuid(0)
		_ = unix.Setfsgid(os.Getegid())
	}()
	do()
}
