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
	headless            bool // its main thread has ended, others go on
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
	// A parent that ended meanwhile has left its children to somebody else; without that they would seem to descend from nobody.
	for pid, p := range all {
		if _, ok := parentOf(all, p); ok || p.ppid == 0 {
			continue
		}
		if now, ok := readProcess(pid); ok && now.process == p.process {
			all[pid] = now
		} else {
			delete(all, pid)
		}
	}
	return all
}

// parentOf finds a process's parent. Who has the parent's number but is younger than its child is somebody else, who
// got that number during the scan: orphans come to an ancestor, which is older too.
func parentOf(all map[int]info, p info) (info, bool) {
	parent, ok := all[p.ppid]
	return parent, ok && parent.start <= p.start
}

// readProcess reads /proc/PID/stat (proc(5)). It fails for a process that is gone or a zombie.
func readProcess(pid int) (info, bool) {
	p, ended, ok := readProcessOrZombie(pid)
	return p, ok && !ended
}

// readProcessOrZombie tells a zombie, which has ended and only waits to be reaped, from what is alive.
func readProcessOrZombie(pid int) (p info, ended, ok bool) {
	var buf [1024]byte // the line has about fifty numbers and a command of at most 64 bytes
	data := readStat(pid, buf[:])
	// The command stands in parentheses and may hold anything, parentheses too; the rest has none.
	left, right := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if left < 0 || right < left {
		return info{}, false, false
	}
	// Field n of proc(5) is number[n-3]; the state, which is a letter, is number[0].
	var number [20]uint64
	i, state := 0, byte(0)
	for field := range bytes.FieldsSeq(data[right+1:]) {
		if i == len(number) {
			break
		}
		if i == 0 {
			state = field[0]
		}
		number[i], _ = strconv.ParseUint(string(field), 10, 64)
		i++
	}
	threads, start := number[17], number[19]
	if i < len(number) || state == 'X' {
		return info{}, false, false
	}
	return info{
		process: process{pid, start},
		ppid:    int(number[1]), pgrp: int(number[2]), session: int(number[3]),
		command:  printable(data[left+1 : right]),
		headless: state == 'Z',
	}, state == 'Z' && threads <= 1, true
}

// readStat reads /proc/PID/stat into buf. It is what a look at all processes consists of, so it does without an os.File.
func readStat(pid int, buf []byte) []byte {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}

// printable is a process's own name for itself with a question mark for each byte
// that is not printable ASCII. It goes into lines that pintle says, and anybody's
// process can have a newline or a terminal's control sequence in its name.
func printable(name []byte) string {
	return string(bytes.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, name))
}

// newestPid is the number that was given to a process last (proc(5), /proc/loadavg), or 0.
func newestPid() int {
	data, _ := os.ReadFile("/proc/loadavg")
	n, _ := strconv.Atoi(string(bytes.TrimSpace(data[bytes.LastIndexByte(data, ' ')+1:])))
	return n
}

// readMark reads the run's mark from the environment that a process was executed
// with, or "" when it has none or can't be read. It is not sure while the
// process is being executed, when it has no environment yet.
//
// The kernel shows an environment to the process's own user or to CAP_SYS_PTRACE
// (ptrace(2), PTRACE_MODE_READ_FSCREDS), which a container's root does not
// have. So the file is opened with that user's rights. The calling goroutine
// must be locked to its thread, whose file system ids are changed meanwhile.
func readMark(p info) (mark string, sure bool) {
	path := "/proc/" + strconv.Itoa(p.pid)
	var owner unix.Stat_t
	if err := unix.Stat(path, &owner); err != nil {
		return "", true
	}
	if p.headless {
		path = thread(path, p.pid)
	}
	// An empty environment is believed when it is seen three times, each time with arguments, which every program has once
	// it runs: the process may execute something at any moment, also between an open and a read.
	for range 3 {
		var f *os.File
		asUser(int(owner.Uid), int(owner.Gid), func() {
			f, _ = os.Open(path + "/environ")
		})
		if f == nil {
			return "", true
		}
		environ, _ := io.ReadAll(io.LimitReader(f, maxEnviron))
		f.Close()
		if len(environ) > 0 {
			return markIn(environ), true
		}
		if args, err := os.ReadFile(path + "/cmdline"); err == nil && len(args) == 0 {
			return "", false
		}
	}
	return "", true
}

// markIn finds the mark in an environment as the kernel shows it.
func markIn(environ []byte) string {
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if mark, ok := bytes.CutPrefix(entry, []byte(markName+"=")); ok {
			return string(mark)
		}
	}
	return ""
}

// thread is the directory of some thread of a process, given by its own, that
// is not its main one: when that has ended, its memory is still the others'.
func thread(process string, pid int) string {
	tasks, _ := os.ReadDir(process + "/task")
	for _, t := range tasks {
		path := process + "/task/" + t.Name()
		if stat, err := os.ReadFile(path + "/cmdline"); t.Name() != strconv.Itoa(pid) && err == nil && len(stat) > 0 {
			return path
		}
	}
	return process
}

// asUser does something with the file system rights of a user (credentials(7)) on this thread.
func asUser(uid, gid int, do func()) {
	if os.Geteuid() != 0 {
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
