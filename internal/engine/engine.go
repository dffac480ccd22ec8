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
	// Logs yields the lines that are still kept, then with req.Follow those that come, until ctx ends.
	Logs(ctx context.Context, req LogRequest) iter.Seq2[Line, error]
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
	// Conditions are the things that are not as they should be, each one sentence.
	Conditions []string `json:"conditions,omitempty"`
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
	// Restricted is set where the asker may see names and states only; all fields below are then empty.
	Restricted bool `json:"restricted,omitempty"`

	// PID is the leader's of the current run, 0 when there is none.
	PID int `json:"pid,omitempty"`
	// Run numbers the lives of this unit since pintle started; 0 before the first.
	Run uint64 `json:"run,omitempty"`
	// ReadyBy says how readiness is known: "tcp 127.0.0.1:9119"; empty where none is declared.
	ReadyBy string `json:"ready_by,omitempty"`
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

// RunEnd is how a run ended.
type RunEnd struct {
	Run     uint64    `json:"run"`
	PID     int       `json:"pid,omitempty"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	Exit    unit.Exit `json:"exit"`
	// Asked is set when the run ended because somebody asked for it.
	Asked bool `json:"asked"`
	// Killed is set when pintle sent SIGKILL after the grace period.
	Killed bool `json:"killed,omitempty"`
	// Error is why the run could not be executed; Exit is then 126 or 127.
	Error string `json:"error,omitempty"`
}

// CreateRequest asks for an instance.
type CreateRequest struct {
	Name unit.Name `json:"name"`
	// Down creates it without asking for it up.
	Down bool `json:"down,omitempty"`
}

// Streams of a run.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// Line is one line of a unit's output.
type Line struct {
	Unit unit.Name `json:"unit"`
	Run  uint64    `json:"run"`
	// Seq grows by one with every line of the unit, across its runs.
	Seq    uint64    `json:"seq"`
	Time   time.Time `json:"time"`
	Stream string    `json:"stream"`
	// Text is the line without its end; a byte that is not UTF-8 is replaced when it leaves as JSON.
	Text string `json:"text"`
	// Partial is set where no newline ended the text: it was longer than a line may be and goes on in the next line of
	// the same run and stream, or the stream ended there.
	Partial bool `json:"partial,omitempty"`
}

// LogRequest selects lines.
type LogRequest struct {
	Name unit.Name
	// Tail is the number of kept lines to begin with; negative means all of them.
	Tail   int
	Follow bool
}
