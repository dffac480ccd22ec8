package engine

import "fmt"

// Condition is one thing that is not as it should be: what for programs, and the sentence about it for people.
type Condition struct {
	Code ConditionCode `json:"code"`
	Text string        `json:"text"`
}

func (c Condition) String() string { return c.Text }

// Conditionf makes a Condition.
func Conditionf(code ConditionCode, format string, args ...any) Condition {
	return Condition{Code: code, Text: fmt.Sprintf(format, args...)}
}

// ConditionCode is the class of a Condition. Alerts are made of codes, so that one keeps its name and its meaning.
type ConditionCode string

// The codes.
const (
	// StateInMemory: state_directory is missing, read-only, full or does not answer, and what is asked for now does not
	// outlive the container.
	StateInMemory ConditionCode = "state-in-memory"
	// StateMoved: state_directory is not where it was; what is asked for is kept in it, and the next start will not find it.
	StateMoved ConditionCode = "state-moved"
	// StateUnreadable: something that an earlier life kept could not be read.
	StateUnreadable ConditionCode = "state-unreadable"
	// RunsInMemory: run records can't be written.
	RunsInMemory ConditionCode = "runs-in-memory"
	// LogsInMemory: the output of units can't be written to their files.
	LogsInMemory ConditionCode = "logs-in-memory"
	// NotExclusive: exclusive units run without a lease, because there is nothing that containers could share.
	NotExclusive ConditionCode = "not-exclusive"
	// LeasesUnusable: exclusive units wait, because their leases can't be used.
	LeasesUnusable ConditionCode = "leases-unusable"
	// ConsoleLossy: the container's output misses lines.
	ConsoleLossy ConditionCode = "console-lossy"
	// ConsoleClosed: the container's output is closed.
	ConsoleClosed ConditionCode = "console-closed"
	// SocketMissing: pintle's commands can't reach it.
	SocketMissing ConditionCode = "socket-missing"
	// RunsMute: runs can't talk to pintle, so that those whose readiness is a message are never ready.
	RunsMute ConditionCode = "runs-mute"
	// ScanDirectoryMissing: the services of a scan directory of s6's are not supervised.
	ScanDirectoryMissing ConditionCode = "scan-directory-missing"
	// LogSocketMissing: what processes say by syslog(3) is not heard.
	LogSocketMissing ConditionCode = "log-socket-missing"
	// OneUser: pintle can't switch users, so that all units run as its own.
	OneUser ConditionCode = "one-user"
	// NotPrepared: something that was to be prepared is not as declared.
	NotPrepared ConditionCode = "not-prepared"
	// UnitFailed: a unit was given up.
	UnitFailed ConditionCode = "unit-failed"
	// UnitFailing: a unit fails again and again.
	UnitFailing ConditionCode = "unit-failing"
	// DiscoveryBlind: a directory that declares instances can't be read.
	DiscoveryBlind ConditionCode = "discovery-blind"
	// DiscoveryRefused: such a directory declares something that can't be an instance.
	DiscoveryRefused ConditionCode = "discovery-refused"
)

// ConditionCodes lists all codes.
func ConditionCodes() []ConditionCode {
	var all []ConditionCode
	for _, c := range conditions {
		all = append(all, c.Code)
	}
	return all
}

// Sentence is true of every condition that has the code, and tells no more than the code does: for who may know no
// more. It is "" for a code of another version.
func (c ConditionCode) Sentence() string {
	for _, known := range conditions {
		if known.Code == c {
			return known.Text
		}
	}
	return ""
}

var conditions = []Condition{
	{StateInMemory, "desired states are kept in memory only"},
	{StateMoved, "the state directory is not where it was"},
	{StateUnreadable, "something that was kept of earlier could not be read"},
	{RunsInMemory, "run records are kept in memory only"},
	{LogsInMemory, "the output of units is kept in memory only"},
	{NotExclusive, "exclusive units are not exclusive"},
	{LeasesUnusable, "exclusive units wait: their leases can't be used"},
	{ConsoleLossy, "the console misses lines"},
	{ConsoleClosed, "the console is closed, and shows no output any more"},
	{SocketMissing, "pintle's commands can't reach it"},
	{RunsMute, "runs can't talk to pintle"},
	{ScanDirectoryMissing, "the services of a scan directory of s6's are not supervised"},
	{LogSocketMissing, "what processes say by syslog(3) is not heard"},
	{OneUser, "pintle can't switch users: all units run as one"},
	{NotPrepared, "something could not be prepared"},
	{UnitFailed, "a unit has failed"},
	{UnitFailing, "a unit fails again and again"},
	{DiscoveryBlind, "instances of a template are not looked for"},
	{DiscoveryRefused, "something that is declared can't be an instance"},
}
