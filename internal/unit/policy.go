package unit

import "time"

// RestartPolicy says which ends of a run are followed by another run. The words are Compose's and systemd's.
type RestartPolicy string

// The restart policies.
const (
	RestartAlways    RestartPolicy = "always"
	RestartOnFailure RestartPolicy = "on-failure"
	RestartNever     RestartPolicy = "never"
)

// BackoffRule is how long pintle waits before it starts a unit again that failed. The first failure after a stable time is
// answered at once, the second after Initial, and each one more after Factor times the time before, up to Max. The
// zero value is DefaultBackoff.
type BackoffRule struct {
	Initial, Max time.Duration
	Factor       float64
	// Jitter is the part of a delay by which it may be longer or shorter, from 0 to 1, so that units that failed
	// together do not come back together.
	Jitter float64
}

// DefaultBackoff is the backoff of a unit that does not say.
var DefaultBackoff = BackoffRule{Initial: 250 * time.Millisecond, Max: 30 * time.Second, Factor: 2, Jitter: 0.1}

// DefaultStableAfter is how long a run is up before the failures before it are forgotten.
const DefaultStableAfter = 10 * time.Second

// GiveUp ends the restarts: After failures within the time Within, the unit has failed. The zero value never gives up.
type GiveUp struct {
	After int
	// Within is zero where failures in a row count, however far apart.
	Within time.Duration
}

// FailureAction is what the failure of a unit, once it is given up, means for the container.
type FailureAction string

// The failure actions.
const (
	FailureIgnore        FailureAction = "ignore"
	FailureStopContainer FailureAction = "stop_container"
)

// Target is which processes of a run the stop signal goes to. SIGKILL always goes to the whole set.
type Target string

// The targets. The zero value is TargetGroup.
const (
	// TargetLeader is the leader alone.
	TargetLeader Target = "leader"
	// TargetGroup is the leader's process group.
	TargetGroup Target = "group"
	// TargetSet is every process of the run.
	TargetSet Target = "set"
)

// StopSignal is one signal of a stop, and when it is sent.
type StopSignal struct {
	Signal Signal
	// After is counted from the beginning of the signals.
	After time.Duration
}

// Stop says how a run is asked to end. However it is asked, it is killed when its grace period is over.
type Stop struct {
	// Signals are sent one after the other, by After, while the leader lives; without any it is SIGTERM.
	Signals []StopSignal
	// Command is executed first, as the unit's user and in its environment; the signals follow when it has ended, or
	// when half of the grace period is over. Empty for none.
	Command []string
	Target  Target
	// Grace is the longest time between the beginning of the stop and SIGKILL; it is a maximum, never a wait.
	Grace time.Duration
	// GraceMax is the most to which the run may extend its grace period (EXTEND_TIMEOUT_USEC); less than Grace is Grace.
	GraceMax time.Duration
}

// First is the signal that a stop begins with.
func (s *Stop) First() Signal {
	if len(s.Signals) == 0 {
		return DefaultStopSignal
	}
	return s.Signals[0].Signal
}

// Attributes are what a process gets beside its user, command and environment.
type Attributes struct {
	// Umask is its file mode creation mask; nil for pintle's own.
	Umask *uint32
	// Limits are its resource limits by their names as Compose has them, without RLIMIT_ and in small letters: nofile.
	Limits map[string]Limit
	// Nice is added to pintle's own niceness (nice(2)).
	Nice int
	// OOMScoreAdj is from -1000 to 1000 (proc_pid_oom_score_adj(5)); nil for pintle's own.
	OOMScoreAdj *int
	// NoNewPrivileges keeps execve from giving it more rights than it has (PR_SET_NO_NEW_PRIVS).
	NoNewPrivileges bool
	// Capabilities are what it may have at most (its bounding set), by names such as NET_BIND_SERVICE; nil for what
	// pintle may have. AmbientCapabilities are those of them that it has as whatever user it is (capabilities(7)).
	Capabilities        []string
	AmbientCapabilities []string
}

// IsZero tells whether there is nothing to be done for them.
func (a *Attributes) IsZero() bool {
	return a.Umask == nil && len(a.Limits) == 0 && a.Nice == 0 && a.OOMScoreAdj == nil && !a.NoNewPrivileges &&
		a.Capabilities == nil && len(a.AmbientCapabilities) == 0
}

// Limit is a resource limit (setrlimit(2)).
type Limit struct{ Soft, Hard uint64 }

// Unlimited is the limit that is none.
const Unlimited = ^uint64(0)

// Governor bounds what all units do together. The zero value of a field is the one of DefaultGovernor; a negative one
// switches the bound off.
type Governor struct {
	// Starts is how many starts may be under way at once.
	Starts int
	// When Share of the units that have processes, or had some until they failed, and at least Least of them, fail
	// within Within, restarts pause for Pause.
	Share         float64
	Least         int
	Within, Pause time.Duration
}

// DefaultGovernor is the governor of a container that does not say. Half of all units do not fail within a few seconds
// unless they have a cause in common, which a pause gives time to pass.
var DefaultGovernor = Governor{Starts: 16, Share: 0.5, Least: 5, Within: 5 * time.Second, Pause: 10 * time.Second}
