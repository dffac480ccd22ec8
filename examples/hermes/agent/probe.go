package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// The probes: small commands that show what a supervisor gave them, or end in a way of the tester's choice.

func printEnvironment(_ home, args []string) (int, error) {
	if err := wantArgs(args, 0); err != nil {
		return 0, err
	}
	for _, entry := range slices.Sorted(slices.Values(os.Environ())) {
		fmt.Println(entry)
	}
	return 0, nil
}

// identity is what whoami prints.
type identity struct {
	UID    int    `json:"uid"`
	GID    int    `json:"gid"`
	Groups []int  `json:"groups"`
	CWD    string `json:"cwd"`
	PID    int    `json:"pid"`
	PPID   int    `json:"ppid"`
	PGID   int    `json:"pgid"`
	SID    int    `json:"sid"`
	TTY    bool   `json:"tty"` // standard input is a terminal
	// The masks are the kernel's hexadecimal. The blocked one is as inherited. Of the ignored one only the signals
	// that Go leaves alone are as inherited: HUP, INT, TSTP, TTIN and TTOU. For all others Go's runtime has put its
	// handler in place before main runs, so that an inherited "ignore" of TERM, say, cannot be seen here.
	SigIgnored string `json:"sigignored"`
	SigBlocked string `json:"sigblocked"`
}

func whoami(_ home, args []string) (int, error) {
	if err := wantArgs(args, 0); err != nil {
		return 0, err
	}
	me := identity{
		UID: os.Getuid(), GID: os.Getgid(),
		PID: os.Getpid(), PPID: os.Getppid(), PGID: unix.Getpgrp(),
		TTY: term.IsTerminal(int(os.Stdin.Fd())),
	}
	var err error
	if me.Groups, err = os.Getgroups(); err != nil {
		return 0, fmt.Errorf("cannot read the groups: %w", err)
	}
	slices.Sort(me.Groups)
	if me.CWD, err = unix.Getwd(); err != nil { // os.Getwd would believe $PWD
		return 0, fmt.Errorf("cannot read the working directory: %w", err)
	}
	if me.SID, err = unix.Getsid(0); err != nil {
		return 0, fmt.Errorf("cannot read the session: %w", err)
	}
	if me.SigIgnored, me.SigBlocked, err = signalMasks(); err != nil {
		return 0, fmt.Errorf("cannot read the signal masks: %w", err)
	}
	if me.Groups == nil {
		me.Groups = []int{}
	}
	return 0, json.NewEncoder(os.Stdout).Encode(me)
}

// signalMasks reads the calling thread's status: Go gives each thread the mask that the process came with, and blocks
// everything in a thread that is just starting another one, as the one that "self" names may be.
func signalMasks() (ignored, blocked string, err error) {
	status, err := os.ReadFile("/proc/thread-self/status")
	for line := range bytes.Lines(status) {
		name, value, _ := strings.Cut(string(line), ":")
		switch name {
		case "SigIgn":
			ignored = strings.TrimSpace(value)
		case "SigBlk":
			blocked = strings.TrimSpace(value)
		}
	}
	return ignored, blocked, err
}

func exit(_ home, args []string) (int, error) {
	if err := wantArgs(args, 1); err != nil {
		return 0, err
	}
	code, err := exitCode(args[0])
	if err != nil {
		return 0, misuse("%v", err)
	}
	return code, nil
}

func trapExit(h home, args []string) (int, error) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGTERM)
	code, err := exit(h, args)
	if err != nil {
		return 0, err
	}
	fmt.Println("waiting for TERM")
	<-ended
	return code, nil
}

// crash dies of a signal as a C program would. That takes the signal's handler out of Go's hands: Go answers QUIT or
// SEGV with a stack trace and an exit with 2, and nobody would see a death by signal.
func crash(_ home, args []string) (int, error) {
	if err := wantArgs(args, 1); err != nil {
		return 0, err
	}
	name := strings.ToUpper(args[0])
	sig := unix.SignalNum("SIG" + strings.TrimPrefix(name, "SIG"))
	if n, err := strconv.ParseUint(name, 10, 6); err == nil {
		sig = unix.Signal(n)
	}
	if sig == 0 {
		return 0, misuse("unknown signal %q", args[0])
	}
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // it is known why it died

	// To this thread and not to the process: the kernel then delivers before the call returns.
	runtime.LockOSThread()
	var action [64]byte // a struct sigaction of zeros is SIG_DFL with no flags, on every architecture
	var mask unix.Sigset_t
	const maskSize = 8
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, maskSize, 0, 0)
	unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil)
	if err := unix.Tgkill(os.Getpid(), unix.Gettid(), sig); err != nil {
		return 0, fmt.Errorf("cannot crash by %s: %w", args[0], err)
	}
	return 0, fmt.Errorf("cannot crash by %s: the process outlived the signal", args[0])
}

// zombies leaves orphans that have ended to whoever is init here. Their parents are gone when it says "orphaned".
func zombies(_ home, args []string) (int, error) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGTERM, unix.SIGINT)

	flags := newFlags("zombies")
	leave := flags.Bool("exit", false, "")
	// The flag may also follow the number, where package flag does not look.
	if i := slices.Index(args, "--exit"); i > 0 {
		args = append([]string{"--exit"}, slices.Delete(slices.Clone(args), i, i+1)...)
	}
	if err := parseFlags(flags, args, 1); err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(flags.Arg(0), 10, 16)
	if err != nil {
		return 0, misuse("%q is not a number of orphans", flags.Arg(0))
	}
	for range n {
		if err := startDetached("exit", "0"); err != nil {
			return 0, fmt.Errorf("cannot make an orphan: %w", err)
		}
	}
	fmt.Printf("orphaned %d\n", n)
	if !*leave {
		<-ended
	}
	return 0, nil
}
