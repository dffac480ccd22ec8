package unit

// Condition is what a unit must have come to before those that depend on it begin. The words are Compose's, made short.
type Condition string

// The conditions.
const (
	// OnStarted: a run of it has been executed.
	OnStarted Condition = "started"
	// OnReady: it is up, and so ready where readiness is declared; a oneshot is ready when it is done.
	OnReady Condition = "ready"
	// OnDone: it has ended by itself, and that was right.
	OnDone Condition = "done"
)

// Dependency is one unit that another needs.
type Dependency struct {
	On        Name
	Condition Condition
	// RestartWith has the dependent begin anew whenever a new run of this one begins.
	RestartWith bool
	// Optional has the dependent begin also where this one is disabled, failed or not wanted up: there is nothing to
	// wait for then (Compose's required: false).
	Optional bool
}
