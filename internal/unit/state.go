package unit

// State is what is so of a unit.
type State string

// The states of a unit.
const (
	Disabled State = "disabled" // switched off in this container
	Down     State = "down"     // no process, and none is wanted
	Waiting  State = "waiting"  // it is to run, and something else must come first
	Starting State = "starting" // a run has begun and is not ready
	Up       State = "up"       // ready, where readiness is declared; else executed
	Stopping State = "stopping" // a run is ending: some process of it may be left
	Backoff  State = "backoff"  // it crashed, and will be started again
	Failed   State = "failed"   // given up, until somebody starts it
	Done     State = "done"     // it ended by itself and that was right
)

// States lists them all, in the order in which a life goes through them.
var States = []State{Disabled, Down, Waiting, Starting, Up, Stopping, Backoff, Failed, Done}

// Alive tells whether a unit in this state may have processes.
func (s State) Alive() bool { return s == Starting || s == Up || s == Stopping }

// Reason is why a unit is in its state. The constants are for programs; a status has the sentence beside it.
type Reason string

// The reasons.
const (
	// SwitchedOff: enabled is false in this container.
	SwitchedOff Reason = "switched-off"
	// NeverStarted: it is down because nobody has asked for it up.
	NeverStarted Reason = "never-started"
	// Asked: somebody asked for this state.
	Asked Reason = "asked"
	// AtBoot: it was started with the container.
	AtBoot Reason = "boot"
	// Declared: a directory declares it, and it is wanted up.
	Declared Reason = "declared"
	// AwaitsDependency: a unit that it depends on has not come to what it must.
	AwaitsDependency Reason = "awaits-dependency"
	// AwaitsTurn: as many starts as may be are under way.
	AwaitsTurn Reason = "awaits-turn"
	// AwaitsCalm: many units failed together, and restarts pause.
	AwaitsCalm Reason = "awaits-calm"
	// AwaitsLease: it is exclusive, and this container does not hold its lease (yet).
	AwaitsLease Reason = "awaits-lease"
	// NotReady: the run has begun, and readiness is waited for.
	NotReady Reason = "not-ready"
	// Working: a oneshot has begun and has not ended.
	Working Reason = "working"
	// Crashed: a run ended and nobody had asked for that.
	Crashed Reason = "crashed"
	// CannotExecute: a run could not be executed.
	CannotExecute Reason = "cannot-execute"
	// EndedUnready: a run ended, as in success, before it was ready.
	EndedUnready Reason = "ended-before-ready"
	// TimedOut: a run was not ready, or a oneshot not done, in the time it had.
	TimedOut Reason = "timed-out"
	// Hung: liveness or the watchdog found a run that does not do its work.
	Hung Reason = "hung"
	// EndsItself: the run said that it is stopping.
	EndsItself Reason = "ends-itself"
	// ExitRule: exit_codes says what this exit leads to.
	ExitRule Reason = "exit-rule"
	// RestartRule: the restart policy says what this exit leads to.
	RestartRule Reason = "restart-policy"
	// GaveUp: it failed as often as give_up allows.
	GaveUp Reason = "gave-up"
	// DependencyFailed: a unit that it depends on cannot come to what it must.
	DependencyFailed Reason = "dependency-failed"
	// DependencyRestarted: a unit that it restarts with began anew.
	DependencyRestarted Reason = "dependency-restarted"
	// LostLease: it is exclusive, and this container was not sure any more that no other runs it.
	LostLease Reason = "lost-lease"
	// Changed: a reload gave it another declaration.
	Changed Reason = "changed"
	// Dropped: a reload took its declaration away.
	Dropped Reason = "dropped"
	// Vanished: the directory that declared it is gone.
	Vanished Reason = "vanished"
	// ContainerStopping: the container is on its way down.
	ContainerStopping Reason = "container-stopping"
)
