package unit

// State is what is so of a unit.
type State string

// The states of a unit.
const (
	Disabled State = "disabled" // switched off in this container
	Down     State = "down"     // no process, and none is wanted
	Starting State = "starting" // a run has begun and is not ready
	Up       State = "up"       // ready, where readiness is declared; else executed
	Stopping State = "stopping" // a run is ending: some process of it may be left
	Backoff  State = "backoff"  // it crashed, and will be started again
	Failed   State = "failed"   // given up, until somebody starts it
	Done     State = "done"     // it ended by itself and that was right
)

// States lists them all, in the order in which a life goes through them.
var States = []State{Disabled, Down, Starting, Up, Stopping, Backoff, Failed, Done}

// Settled tells whether the state stays as it is until somebody asks or something happens.
func (s State) Settled() bool {
	switch s {
	case Disabled, Down, Up, Failed, Done:
		return true
	}
	return false
}

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
	// Crashed: a run ended and nobody had asked for that.
	Crashed Reason = "crashed"
	// CannotExecute: a run could not be executed.
	CannotExecute Reason = "cannot-execute"
	// ExitRule: exit_codes says what this exit leads to.
	ExitRule Reason = "exit-rule"
	// RestartRule: the restart policy says what this exit leads to.
	RestartRule Reason = "restart-policy"
	// NotReady: the run has begun, and readiness is waited for.
	NotReady Reason = "not-ready"
	// ContainerStopping: the container is on its way down.
	ContainerStopping Reason = "container-stopping"
)
