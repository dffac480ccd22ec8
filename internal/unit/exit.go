package unit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// Signal is a signal's number.
type Signal int

// The signals that rules of pintle itself speak of.
const (
	SIGTERM = Signal(unix.SIGTERM)
	SIGKILL = Signal(unix.SIGKILL)
)

// ParseSignal takes "TERM", "SIGTERM" (in any case) or a number from 1 to 64.
func ParseSignal(s string) (Signal, error) {
	if n, ok := number(s); ok {
		if n < 1 || n > 64 {
			return 0, fmt.Errorf("cannot use signal %s: numbers go from 1 to 64", quote(s))
		}
		return Signal(n), nil
	}
	name := strings.ToUpper(s)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if n := unix.SignalNum(name); n != 0 && isASCII(s) { // Unicode has letters whose capitals are ASCII
		return Signal(n), nil
	}
	return 0, fmt.Errorf("cannot use signal %s: there is no such signal", quote(s))
}

// number reads a number as it is printed, so that there is one way to write each: no sign but a minus, no leading zeros.
func number(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && strconv.Itoa(n) == s
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// String is the signal's name, such as "SIGTERM"; "signal 40" where it has none.
func (s Signal) String() string {
	if name := unix.SignalName(unix.Signal(s)); name != "" {
		return name
	}
	return "signal " + strconv.Itoa(int(s))
}

// Exit is how a process ended: by a signal, or with a code.
type Exit struct {
	Code   int    `json:"code"`
	Signal Signal `json:"signal,omitempty"`
}

// ShellCode is the exit as one number, as a shell and Docker have it: the code, or 128+n for signal n.
func (e Exit) ShellCode() int {
	if e.Signal != 0 {
		return 128 + int(e.Signal)
	}
	return e.Code
}

// Success tells whether the process ended by itself with code 0.
func (e Exit) Success() bool { return e == Exit{} }

// String is the exit as a clause: "exited with code 3", "was killed by SIGKILL".
func (e Exit) String() string {
	if e.Signal != 0 {
		return "was killed by " + e.Signal.String()
	}
	return "exited with code " + strconv.Itoa(e.Code)
}

// Verdict is what an end of a run that nobody asked for leads to.
type Verdict string

// The verdicts.
const (
	// VerdictDone: it has done its work; it stays down and is not a failure.
	VerdictDone Verdict = "done"
	// VerdictRestart: it is started again, after the backoff.
	VerdictRestart Verdict = "restart"
	// VerdictFail: it is given up until somebody starts it.
	VerdictFail Verdict = "fail"
)

// ExitRules maps single exits to verdicts; what it does not name is for the RestartPolicy to decide.
type ExitRules map[Exit]Verdict

// ParseExit takes an exit code from 0 to 255 or a signal's name, as a key of exit_codes.
func ParseExit(s string) (Exit, error) {
	if n, ok := number(s); ok {
		if n < 0 || n > 255 {
			return Exit{}, fmt.Errorf("cannot use exit code %d: codes go from 0 to 255", n)
		}
		return Exit{Code: n}, nil
	}
	sig, err := ParseSignal(s)
	if err != nil {
		return Exit{}, fmt.Errorf("cannot use exit %s: it is neither a code nor a signal's name", quote(s))
	}
	return Exit{Signal: sig}, nil
}

// Judge says what an end that nobody asked for leads to, and whether a rule of
// exit_codes said so (rather than the restart policy).
func (s *Spec) Judge(e Exit) (v Verdict, byRule bool) {
	if v, ok := s.ExitRules[e]; ok {
		return v, true
	}
	switch {
	case s.Restart == RestartAlways:
		return VerdictRestart, false
	case e.Success():
		return VerdictDone, false
	case s.Restart == RestartNever:
		return VerdictFail, false
	}
	return VerdictRestart, false
}

// Actor is who asked for something: a peer on the socket, or a part of pintle.
type Actor struct {
	// Kind is "peer" for somebody at the socket; "boot", "policy" or "discovery" for pintle itself.
	Kind string `json:"kind"`
	UID  uint32 `json:"uid,omitempty"`
	PID  int32  `json:"pid,omitempty"`
	// Command is the peer's own name for itself (its argument vector's first word); it is never trusted.
	Command string `json:"command,omitempty"`
}

// The actors that are parts of pintle.
var (
	Boot   = Actor{Kind: "boot"}
	Policy = Actor{Kind: "policy"}
	// ByDiscovery is a directory that declares an instance, or does not any more.
	ByDiscovery = Actor{Kind: "discovery"}
	// Elsewhere is somebody who asked another container that shares the state directory, where no more is known.
	Elsewhere = Actor{Kind: "another container"}
)

// String names the actor as a sentence needs it.
func (a Actor) String() string {
	switch {
	case a.Kind != "peer":
		return a.Kind
	case a.Command == "":
		return fmt.Sprintf("uid %d (pid %d)", a.UID, a.PID)
	}
	return fmt.Sprintf("uid %d (%s, pid %d)", a.UID, a.Command, a.PID)
}

// Intent is a desired state, with who asked for it and when. It changes only by somebody's verb.
type Intent struct {
	Up bool `json:"up"`
	// Generation grows by one with every change.
	Generation uint64    `json:"generation"`
	Time       time.Time `json:"time"`
	Actor      Actor     `json:"actor"`
	// Anew is set where who asked wants another run than the one that there was.
	Anew bool `json:"anew,omitempty"`
}

// Same tells whether two are the same wish.
func (i Intent) Same(other Intent) bool {
	return i.Up == other.Up && i.Generation == other.Generation && i.Time.Equal(other.Time) && i.Actor == other.Actor
}

// Desired is the intent as one word.
func (i Intent) Desired() string {
	if i.Up {
		return "up"
	}
	return "down"
}
