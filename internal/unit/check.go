package unit

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Check is one way to ask whether a run does its work. One of the fields is set.
type Check struct {
	// TCP is a host:port that accepts a connection.
	TCP string
	// HTTP is an http:// URL that is answered with a status from 200 to 399; redirects are not followed.
	HTTP string
	// Exec is a command that ends with code 0. It runs as the unit's user, in the unit's environment.
	Exec []string
}

// String names the check as a status has it: "tcp 127.0.0.1:80".
func (c Check) String() string {
	switch {
	case c.TCP != "":
		return "tcp " + c.TCP
	case c.HTTP != "":
		return "http " + c.HTTP
	case len(c.Exec) > 0:
		return "exec " + strings.Join(c.Exec, " ")
	}
	return ""
}

func (c Check) instantiate(expand *strings.Replacer) Check {
	c.TCP, c.HTTP = expand.Replace(c.TCP), expand.Replace(c.HTTP)
	c.Exec = replaceAll(expand, c.Exec)
	return c
}

// Readiness says how it is known that a run does its work, rather than merely exists. Either the Check is set, or one
// of Notify, FD and Log.
type Readiness struct {
	Check
	// Notify waits for READY=1 on $NOTIFY_SOCKET (sd_notify(3)).
	Notify bool
	// FD is the descriptor on which the run writes a newline when it is ready (s6's notification-fd); 0 for none.
	FD int
	// Log is found in a line of the run's output once it is ready; "" for none.
	Log Pattern
	// Period is the longest pause between two checks, Timeout how long one may take. Zero is the default.
	Period, Timeout time.Duration
}

// The defaults of Readiness. Checks begin at shorter intervals, because most programs are ready soon.
const (
	DefaultReadinessPeriod  = 500 * time.Millisecond
	DefaultReadinessTimeout = time.Second
)

// String names the means as a status has it: "tcp 127.0.0.1:80", "notify".
func (r *Readiness) String() string {
	switch {
	case r == nil:
		return ""
	case r.Notify:
		return "notify"
	case r.FD > 0:
		return "fd " + strconv.Itoa(r.FD)
	case r.Log != "":
		return "log " + string(r.Log)
	}
	return r.Check.String()
}

// Liveness says how it is known that a run that is up still does its work. The words and defaults are Kubernetes'.
type Liveness struct {
	Check
	// Period is the time between two checks, Timeout how long one may take. Zero is the default.
	Period, Timeout time.Duration
	// StartPeriod is the time after the run is up in which failures do not count.
	StartPeriod time.Duration
	// Failures in a row end the run, and Successes in a row forget the failures before them. Zero is the default.
	Failures, Successes int
}

// The defaults of Liveness (kubernetes.io, Probe v1 core).
const (
	DefaultLivenessPeriod    = 10 * time.Second
	DefaultLivenessTimeout   = time.Second
	DefaultLivenessFailures  = 3
	DefaultLivenessSuccesses = 1
)

// OnHang is what is done to a run that hangs, before it is stopped: a signal that has it say where it hangs.
type OnHang struct {
	Signal Signal
	// Wait is how long it may take for that.
	Wait time.Duration
}

// DefaultHangWait is how long a run that hangs may take to say where.
const DefaultHangWait = 5 * time.Second

// Pattern is a regular expression (RE2 syntax), "" for none.
type Pattern string

// ParsePattern checks an expression.
func ParsePattern(text string) (Pattern, error) {
	_, err := regexp.Compile(text)
	return Pattern(text), err
}

// Find makes a function that tells whether a line has the pattern in it.
func (p Pattern) Find() func(line string) bool {
	re, err := regexp.Compile(string(p))
	if err != nil { // not from ParsePattern
		return func(string) bool { return false }
	}
	return re.MatchString
}
