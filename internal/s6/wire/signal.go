package wire

import (
	"strings"

	"golang.org/x/sys/unix"
)

// signals are the names that s6 knows, without SIG. Of several names of one signal the first is written.
var signals = []struct {
	name   string
	number unix.Signal
}{
	{"ABRT", unix.SIGABRT}, {"ALRM", unix.SIGALRM}, {"BUS", unix.SIGBUS}, {"CHLD", unix.SIGCHLD},
	{"CONT", unix.SIGCONT}, {"FPE", unix.SIGFPE}, {"HUP", unix.SIGHUP}, {"ILL", unix.SIGILL}, {"INT", unix.SIGINT},
	{"KILL", unix.SIGKILL}, {"PIPE", unix.SIGPIPE}, {"QUIT", unix.SIGQUIT}, {"SEGV", unix.SIGSEGV},
	{"STOP", unix.SIGSTOP}, {"TERM", unix.SIGTERM}, {"TSTP", unix.SIGTSTP}, {"TTIN", unix.SIGTTIN},
	{"TTOU", unix.SIGTTOU}, {"USR1", unix.SIGUSR1}, {"USR2", unix.SIGUSR2}, {"POLL", unix.SIGPOLL},
	{"PROF", unix.SIGPROF}, {"SYS", unix.SIGSYS}, {"TRAP", unix.SIGTRAP}, {"URG", unix.SIGURG},
	{"VTALRM", unix.SIGVTALRM}, {"XCPU", unix.SIGXCPU}, {"XFSZ", unix.SIGXFSZ}, {"STKFLT", unix.SIGSTKFLT},
	{"WINCH", unix.SIGWINCH}, {"PWR", unix.SIGPWR},
	{"IOT", unix.SIGABRT}, {"CLD", unix.SIGCHLD}, {"IO", unix.SIGPOLL}, {"UNUSED", unix.SIGSYS},
}

// ScanSignal reads a signal: a name in either case, with or without SIG, or a number.
func ScanSignal(s string) (unix.Signal, bool) {
	if sig, ok := scanSignal(s); ok {
		return sig, true
	}
	if len(s) >= 3 && strings.EqualFold(s[:3], "SIG") {
		return scanSignal(s[3:])
	}
	return 0, false
}

func scanSignal(s string) (unix.Signal, bool) {
	for _, known := range signals {
		if strings.EqualFold(s, known.name) {
			return known.number, true
		}
	}
	n, ok := ScanNumber(s)
	return unix.Signal(n), ok
}

// SignalName is the signal's name without SIG, or ??? where s6 knows none. (From skalibs 2.14.5 on s6 writes some of
// the second names, IOT and CLD; that is an accident, and not followed.)
func SignalName(sig int) string {
	for _, known := range signals {
		if int(known.number) == sig {
			return known.name
		}
	}
	return "???"
}
