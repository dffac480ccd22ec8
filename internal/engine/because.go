package engine

import "pintle/internal/unit"

// Because is a reason as a clause that is true of every unit that has it, and tells no more than the reason does: for
// who may know no more, and for a status that says no more. It is "" for a reason of another version.
func Because(r unit.Reason) string { return clauses[r] }

var clauses = map[unit.Reason]string{
	unit.SwitchedOff:         "it is switched off in this container",
	unit.NeverStarted:        "nobody has asked for it",
	unit.Asked:               "somebody asked for it",
	unit.AtBoot:              "it starts with the container",
	unit.Declared:            "a directory declares it",
	unit.AwaitsDependency:    "it waits for a unit that it depends on",
	unit.AwaitsTurn:          "it waits for its turn: as many starts as may be are under way",
	unit.AwaitsCalm:          "many units failed together, and restarts pause",
	unit.AwaitsLease:         "it is exclusive, and this container does not hold its lease",
	unit.NotReady:            "it is not ready yet",
	unit.Working:             "it is at its work",
	unit.Crashed:             "its last run ended by itself",
	unit.CannotExecute:       "it could not be executed",
	unit.EndedUnready:        "its last run ended before it was ready",
	unit.TimedOut:            "it was not ready, or done, in the time it has for that",
	unit.Hung:                "its run did not do its work any more",
	unit.EndsItself:          "its run said that it is stopping",
	unit.ExitRule:            "exit_codes says so",
	unit.RestartRule:         "its restart policy says so",
	unit.GaveUp:              "it failed as often as give_up allows",
	unit.DependencyFailed:    "a unit that it depends on cannot come to what it must",
	unit.DependencyRestarted: "a unit that it restarts with began anew",
	unit.LostLease:           "this container was not sure any more that no other runs it",
	unit.Changed:             "a reload gave it another declaration",
	unit.Dropped:             "a reload took its declaration away",
	unit.Vanished:            "what declared it is not there any more",
	unit.ContainerStopping:   "the container is stopping",
}
