// Package engine is the one interface that everything outside talks to: the
// command line, the dashboard and whatever comes after them.
//
// The supervisor implements it in process, the client of package api over the
// socket. It promises that all of them mean the same by a word, a state and an
// error: an Error's Kind is what a program may decide by, its text is for people.
// It starts nothing and keeps nothing.
package engine

import (
	"context"
	"iter"
	"time"

	"pintle/internal/unit"
)

// Engine is a container's units as seen from outside. Every method returns an
// *Error where the request was understood and refused, or could not be done.
type Engine interface {
	// Info says what is running here and in which condition.
	Info(ctx context.Context) (Info, error)
	// List returns the status of every unit, sorted by name, main first.
	List(ctx context.Context) ([]Status, error)
	// Get returns the status of one unit.
	Get(ctx context.Context, name unit.Name) (Status, error)
	// Watch yields the status of every unit that exists and then each change as it happens, until ctx ends or the
	// caller stops. A unit that was removed is yielded once more with Gone set. A slow reader misses intermediate
	// states, never the last one.
	Watch(ctx context.Context) iter.Seq2[Status, error]
	// Create makes an instance known, and asks for it up unless req.Down. To create what exists already only changes
	// what is asked; created tells which it was.
	Create(ctx context.Context, req CreateRequest) (s Status, created bool, err error)
	// Remove stops an instance and forgets it when its last process is gone. It returns when that has begun: the
	// caller watches for Gone.
	Remove(ctx context.Context, name unit.Name) (Status, error)
	// Start, Stop and Restart ask for a state, and return once the wish is recorded. The effect is watched for.
	Start(ctx context.Context, name unit.Name) (Status, error)
	Stop(ctx context.Context, name unit.Name) (Status, error)
	Restart(ctx context.Context, name unit.Name) (Status, error)
	// Signal sends a signal to the leader of the unit's current run.
	Signal(ctx context.Context, name unit.Name, sig unit.Signal) (Status, error)
	// Reload reads all configuration anew and changes what differs, or with req.DryRun only says what would change. A
	// configuration that is not valid changes nothing; the error then has a line for each thing that is wrong.
	Reload(ctx context.Context, req ReloadRequest) ([]Change, error)
	// Logs yields the lines that are still kept, then with req.Follow those that come, until ctx ends.
	Logs(ctx context.Context, req LogRequest) iter.Seq2[Line, error]
	// Runs returns what is kept of a unit's runs that are over, also of earlier lives of the container: the newest limit
	// of them, all where limit is negative; the oldest first.
	Runs(ctx context.Context, name unit.Name, limit int) ([]RunRecord, error)
}

// Info is what an engine says of itself.
type Info struct {
	Version string `json:"version"`
	// PID is the supervisor's, in its own PID namespace; UID is who it runs as.
	PID int `json:"pid"`
	UID int `json:"uid"`
	// Started is when the supervisor started.
	Started time.Time `json:"started"`
	// ProcessSets says by which means the processes of a run are told from others.
	ProcessSets string `json:"process_sets"`
	// Stopping is set once the container is on its way down.
	Stopping bool `json:"stopping,omitempty"`
	// Life is which life of the container this is, and how the one before ended.
	Life Life `json:"life,omitzero"`
	// Strays are processes that descend from pintle and belong to no run: command name and pid. They end with the
	// container.
	Strays []string `json:"strays,omitempty"`
	// Durable is set where desired states are on disk, so that they outlive the container: there is a state directory, and
	// it can be written to.
	Durable bool `json:"durable,omitempty"`
	// Conditions are the things that are not as they should be. Who may not know which units and paths they are about is
	// told each code once.
	Conditions []Condition `json:"conditions,omitempty"`
}

// Status is a snapshot of one unit.
type Status struct {
	Name unit.Name `json:"name"`
	Kind unit.Kind `json:"kind"`
	// State is what is observed, Desired ("up" or "down") what somebody asked for.
	State   unit.State `json:"state"`
	Desired string     `json:"desired"`
	// Since is when the unit came into this state.
	Since time.Time `json:"since"`
	// Reason is a constant that says why it is in this state; Because is the same as a clause for people.
	Reason  unit.Reason `json:"reason"`
	Because string      `json:"because"`
	// Restricted is set where the asker may see names and states only; all fields below but Run are then empty.
	Restricted bool `json:"restricted,omitempty"`

	// Holder is the container that runs the exclusive unit instead; the zero value where none is known.
	Holder Holder `json:"holder,omitzero"`
	// Origin says which directory declares the instance; empty where somebody made it, or the configuration has it.
	Origin string `json:"origin,omitempty"`
	// PID is the leader's of the current run, 0 when there is none.
	PID int `json:"pid,omitempty"`
	// Run numbers the lives of this unit since pintle started; 0 before the first.
	Run uint64 `json:"run,omitempty"`
	// ReadyBy says how readiness is known: "tcp 127.0.0.1:9119"; empty where none is declared.
	ReadyBy string `json:"ready_by,omitempty"`
	// AliveBy says how liveness is known; empty where none is declared.
	AliveBy string `json:"alive_by,omitempty"`
	// Text is what the current run says of itself (STATUS= of sd_notify(3)); it is not to be trusted.
	Text string `json:"text,omitempty"`
	// DependsOn are the units that must have come to something before this one begins.
	DependsOn []Dependency `json:"depends_on,omitempty"`
	// Failures counts the ends since the unit was last stable, or was last started by somebody.
	Failures int `json:"failures,omitempty"`
	// Next is when the next run starts (backoff), or when SIGKILL follows (stopping).
	Next time.Time `json:"next,omitzero"`
	// Last is the end of the last run that ended; nil before one did.
	Last *RunEnd `json:"last,omitempty"`
	// Intent is who asked for the desired state, and when.
	Intent unit.Intent       `json:"intent,omitzero"`
	Labels map[string]string `json:"labels,omitempty"`
	// Remaining lists processes that keep a stopping unit from being down: pid and command name.
	Remaining []string `json:"remaining,omitempty"`
	// Gone is set in the last status of a unit that was removed.
	Gone bool `json:"gone,omitempty"`
}

// Holder is a container that holds the lease of an exclusive unit.
type Holder struct {
	Container string `json:"container"`
	// Fence is the number of its lease, which is higher than that of every earlier holder.
	Fence uint64 `json:"fence"`
	// Alive is set once it was seen to be alive, while it goes on to be.
	Alive bool `json:"alive"`
}

// Dependency is a unit that another depends on.
type Dependency struct {
	On        unit.Name      `json:"on"`
	Condition unit.Condition `json:"condition"`
	// RestartWith has the dependent begin anew with it; Optional does not wait for what is not there.
	RestartWith bool `json:"restart_with,omitempty"`
	Optional    bool `json:"optional,omitempty"`
	// Met tells whether it has come to what it must.
	Met bool `json:"met"`
}

// RunEnd is how a run ended.
type RunEnd struct {
	Run     uint64    `json:"run"`
	PID     int       `json:"pid,omitempty"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	Exit    unit.Exit `json:"exit"`
	// Cause is why it ended: unit.Crashed where it did so by itself, else what it was ended for.
	Cause unit.Reason `json:"cause,omitempty"`
	// Asked is set when the run ended because somebody asked for it.
	Asked bool `json:"asked"`
	// Killed is set when pintle sent SIGKILL after the grace period.
	Killed bool `json:"killed,omitempty"`
	// Detail is what a check said of a run that was ended because it hung.
	Detail string `json:"detail,omitempty"`
	// Error is why the run could not be executed; Exit is then 126 or 127.
	Error string `json:"error,omitempty"`
	// Sender is who sent the signal that it ended by; empty where it ended by none.
	Sender Sender `json:"sender,omitempty"`
}

// CreateRequest asks for an instance.
type CreateRequest struct {
	Name unit.Name `json:"name"`
	// Down creates it without asking for it up.
	Down bool `json:"down,omitempty"`
}

// ReloadRequest asks for the configuration to be read anew.
type ReloadRequest struct {
	// DryRun only says what would change.
	DryRun bool `json:"dry_run,omitempty"`
}

// Change is what a reload does to one unit or template, or to the container's own settings (Name is then "").
type Change struct {
	// Name is a unit's, or a template's.
	Name string `json:"name"`
	Kind string `json:"kind"` // ChangeAdd, ChangeRemove or ChangeEdit
	// Keys are what differs, as the configuration has them, sorted; for ChangeEdit only.
	Keys []string `json:"keys,omitempty"`
	// Effect says what becomes of it: "it is started", "its run is replaced".
	Effect string `json:"effect"`
}

// The kinds of a Change.
const (
	ChangeAdd    = "add"
	ChangeRemove = "remove"
	ChangeEdit   = "edit"
)

// Streams of a run. Syslog has what its processes said on /dev/log.
const (
	Stdout = "stdout"
	Stderr = "stderr"
	Syslog = "syslog"
)

// Line is one line of a unit's output.
type Line struct {
	Unit unit.Name `json:"unit"`
	Run  uint64    `json:"run"`
	// Seq grows by one with every line of the unit, across its runs, and never goes back: in each life of pintle it begins
	// with the microseconds since 1970 of that time, so that it also tells the lines of different lives apart.
	Seq uint64 `json:"seq"`
	// Time is when pintle read the line, in whole microseconds.
	Time   time.Time `json:"time"`
	Stream string    `json:"stream"`
	// Text is the line without its end; a byte that is not UTF-8 is replaced when it leaves as JSON.
	Text string `json:"text"`
	// Partial is set where no newline ended the text: it was longer than a line may be and goes on in the next line of
	// the same run and stream, or the stream ended there.
	Partial bool `json:"partial,omitempty"`
	// Over is set in what is no line, but says in a stream of many units that this one will have no more (see LogsOf).
	Over bool `json:"over,omitempty"`
}

// LogRequest selects lines.
type LogRequest struct {
	Name unit.Name
	// Tail is the number of kept lines to begin with, of those that the other fields select; negative means all of them.
	Tail int
	// Follow goes on with the lines that come, until ctx ends.
	Follow bool
	// After has only lines with a greater Seq be selected: where a reader left off. Zero selects all.
	After uint64
	// Since and Until bound the time of lines, both ends included; zero is no bound. Following ends with the first line
	// that is later than Until.
	Since, Until time.Time
	// Run selects the lines of one run: a positive number is the newest run of that number, 0 the newest run of all, -1 the
	// one before it, and so on. nil selects all. To follow a run ends with its last line.
	Run *int
}
