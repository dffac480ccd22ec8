package process

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// play is a child's part, in words that are done one after the other:
//
//	exit N | die SIG | sleep | spin    the last word of a part
//	say W                          writes "W pid" to standard output
//	ready N W                      writes "W\n" to descriptor N
//	eof                            waits for the end of standard input
//	fork [ WORDS ]                 makes a child with a part of its own
//	setsid | setpgid N | stop | ignore SIG | nodump | subreaper
//	clear | env K=V                executes itself without, or with a changed, environment
//	overwrite                      clears its environment in memory, as setproctitle does
//	threadexit                     ends its main thread, another goes on
//	zombies N | storm N            has N children that have ended | that sleep
//	again N                        executes itself N times, one after the other
//	bomb N                         attacks: makes copies of itself that do the same, until its user has N processes
//	cgroup DIR                     moves itself into a cgroup
//	forks | stoppers               attacks: makes processes | stops all it may stop, as fast as it can, for ever
//	terminal                       writes "pid true" where OpenTerminal takes standard input for its own terminal
//	raw                            puts the terminal at standard input into raw mode
//	report                         writes what it finds about itself, as JSON
func play(words []string) int {
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		arg := func() string {
			a := words[0]
			words = words[1:]
			return a
		}
		number := func() int {
			a := arg()
			n, err := strconv.Atoi(a)
			if err != nil {
				n = int(unix.SignalNum("SIG" + a))
			}
			return n
		}
		var err error
		switch word {
		case "exit":
			return number()
		case "die":
			sig := unix.Signal(number())
			if sig != unix.SIGKILL {
				err = dispose(int(sig), sigDefault)
			}
			_ = unix.Kill(os.Getpid(), sig)
			time.Sleep(time.Hour)
		case "sleep":
			time.Sleep(time.Hour)
		case "say":
			fmt.Println(arg(), os.Getpid())
		case "ready":
			_, err = unix.Write(number(), []byte(arg()+"\n"))
		case "eof":
			_, err = io.Copy(io.Discard, os.Stdin)
		case "fork":
			var part []string
			part, words = bracketed(words)
			_, err = syscall.ForkExec("/proc/self/exe", append([]string{roleName}, part...),
				&syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
		case "setsid":
			_, err = unix.Setsid()
		case "setpgid":
			err = unix.Setpgid(0, number())
		case "stop":
			err = unix.Kill(os.Getpid(), unix.SIGSTOP)
		case "ignore":
			signal.Ignore(unix.Signal(number()))
		case "subreaper":
			err = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
		case "nodump":
			err = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
		case "clear":
			err = syscall.Exec("/proc/self/exe", append([]string{roleName}, words...), nil)
		case "env":
			key, value, _ := strings.Cut(arg(), "=")
			os.Unsetenv(key)
			err = syscall.Exec("/proc/self/exe", append([]string{roleName}, words...), append(os.Environ(), key+"="+value))
		case "overwrite":
			err = overwriteEnviron()
		case "threadexit":
			threadExit(words)
		case "zombies":
			err = zombies(number())
		case "storm":
			storm(number())
		case "again":
			if n := number(); n > 0 {
				err = syscall.Exec("/proc/self/exe", append([]string{roleName, "again", strconv.Itoa(n - 1)}, words...), os.Environ())
			}
		case "bomb":
			err = bomb(uint64(number()))
		case "cgroup":
			err = cgroup(arg()).write("cgroup.procs", "0")
		case "forks":
			err = forks()
		case "terminal":
			fmt.Println(os.Getpid(), OpenTerminal(os.Stdin) != nil)
		case "raw":
			_, err = term.MakeRaw(0)
		case "spin":
			for spins := 0; ; spins++ { // it is to use all of a processor
			}
		case "stoppers":
			stoppers()
		case "report":
			err = json.NewEncoder(os.Stdout).Encode(find())
		default:
			err = fmt.Errorf("no such word")
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "role: %s: %v\n", word, err)
			return 99
		}
	}
	return 0
}

// bracketed splits "[ a [ b ] ] c" into "a [ b ]" and "c".
func bracketed(words []string) (inner, rest []string) {
	depth := 0
	for i, w := range words {
		switch w {
		case "[":
			depth++
		case "]":
			if depth--; depth == 0 {
				return words[1:i], words[i+1:]
			}
		}
	}
	return words[1:], nil
}

// overwriteEnviron does what a setproctitle(3) that needs room does: its argument and environment strings are overwritten.
func overwriteEnviron() error {
	data, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return err
	}
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	start, _ := strconv.ParseInt(fields[47], 10, 64)
	end, _ := strconv.ParseInt(fields[48], 10, 64)
	mem, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	_, err = mem.WriteAt(make([]byte, end-start), start)
	return err
}

func init() {
	if len(os.Args) > 1 && os.Args[0] == roleName {
		runtime.LockOSThread() // so that the words are done by the main thread
	}
}

// threadExit ends the main thread as pthread_exit(3) does, and goes on in another.
func threadExit(words []string) {
	ready := make(chan bool)
	go func() {
		runtime.LockOSThread()
		<-ready
		for {
			data, _ := os.ReadFile("/proc/self/stat")
			if fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:])); fields[0] == "Z" {
				break
			}
			runtime.Gosched()
		}
		os.Exit(play(words))
	}()
	ready <- true
	_, _, _ = syscall.Syscall(unix.SYS_EXIT, 0, 0, 0)
}

// fork is fork(2) with what the copy does: it has one thread, so it may make system calls and nothing
// else: not even look whether its stack is large enough, which is where Go's scheduler interrupts.
//
//go:norace
//go:nosplit
func fork(child func()) int {
	// A signal would make Go's scheduler run in the copy, without its threads.
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before)
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		child()
	}
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	return int(pid)
}

//go:norace
//go:nosplit
func exitNow() {
	for {
		_, _, _ = syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

//go:norace
//go:nosplit
func sleepForever() {
	for {
		_, _, _ = syscall.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}

// zombies makes n children that have ended and have not been waited for.
func zombies(n int) error {
	for range n {
		if err := unix.Waitid(unix.P_PID, fork(exitNow), nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
			return err
		}
	}
	return nil
}

func storm(n int) {
	for range n {
		fork(sleepForever)
	}
}

// forks is an attack: it makes processes, which end at once, as fast as it can.
func forks() error {
	for {
		if _, err := unix.Wait4(fork(exitNow), nil, 0, nil); err != nil {
			return err
		}
	}
}

// bomb is an attack: all that it makes make more, whenever there is room again.
func bomb(n uint64) error {
	if err := unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: n, Max: n}); err != nil {
		return err
	}
	fork(explode)
	sleepForever()
	return nil
}

//go:norace
//go:nosplit
func explode() {
	pause := unix.Timespec{Nsec: 1e5}
	for {
		if _, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0); errno != 0 {
			_, _, _ = syscall.RawSyscall6(unix.SYS_PPOLL, 0, 0, uintptr(unsafe.Pointer(&pause)), 0, 0, 0)
		}
	}
}

// stoppers is an attack: it stops, as fast as it can, all processes that its user may stop.
func stoppers() {
	for os.Getuid() != 0 { // root would stop the machine
		_ = unix.Kill(-1, unix.SIGSTOP)
	}
}

// found is what a process finds about itself.
type found struct {
	Args, Env      []string
	Dir            string
	UID, GID       int
	Groups         []int
	Session, Group int
	Foreground     int // group of the terminal at standard input; 0 for none
}

func find() found {
	f := found{Args: os.Args, Env: os.Environ(), UID: os.Getuid(), GID: os.Getgid(), Group: unix.Getpgrp()}
	f.Foreground, _ = unix.IoctlGetInt(0, unix.TIOCGPGRP)
	f.Dir, _ = os.Getwd()
	f.Groups, _ = os.Getgroups()
	f.Session, _ = unix.Getsid(0)
	return f
}

// lines is a log that can be read.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// What a signal does to a process.
const (
	sigDefault = 0
	sigIgnore  = 1
)

// dispose sets what a signal does, behind the back of Go's runtime: it goes for every signal, and is handed on.
func dispose(n int, handler uintptr) error {
	action := struct{ handler, flags, restorer, mask uintptr }{handler: handler}
	_, _, errno := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(n), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
