package engine

import (
	"fmt"
	"time"
)

// LifeEnd is how a life of pintle in a container ended.
type LifeEnd string

// How a life ended.
const (
	LifeFirst       LifeEnd = "first"        // there was none before
	LifeClean       LifeEnd = "clean"        // it ended as it should, with a code
	LifeKilled      LifeEnd = "killed"       // pintle was killed, or the whole container was
	LifeMachineDown LifeEnd = "machine-down" // the machine went down under it
	LifeUnknown     LifeEnd = "unknown"      // what it left behind cannot be read
)

// LifeEnds lists them all.
var LifeEnds = []LifeEnd{LifeFirst, LifeClean, LifeKilled, LifeMachineDown, LifeUnknown}

// Life is one life of pintle in this container, as the state directory counts them. The zero value is that of a
// container without one.
type Life struct {
	// Container is its host name, by which lives are told apart.
	Container string `json:"container,omitempty"`
	Number    uint64 `json:"number,omitempty"`
	// Before is how the life before this one ended; with its times, where they are known, and its code, where it is clean.
	Before        LifeEnd   `json:"before,omitempty"`
	BeforeStarted time.Time `json:"before_started,omitzero"`
	BeforeEnded   time.Time `json:"before_ended,omitzero"`
	BeforeCode    int       `json:"before_code,omitempty"`
	// BeforeAlone is set where pintle alone was killed, and the container went on without it.
	BeforeAlone bool `json:"before_alone,omitempty"`
}

// String is how the life before ended, as a clause; "" where there is nothing to be said of it.
func (l Life) String() string {
	switch l.Before {
	case LifeClean:
		return fmt.Sprintf("its life %d ended as it should, with code %d", l.Number-1, l.BeforeCode)
	case LifeKilled:
		if l.BeforeAlone {
			return fmt.Sprintf("in its life %d pintle was killed, and the container went on without it", l.Number-1)
		}
		return fmt.Sprintf("its life %d was cut off: pintle, or the whole container, was killed (SIGKILL, or no memory was left)", l.Number-1)
	case LifeMachineDown:
		return fmt.Sprintf("its life %d was cut off: the machine went down under it", l.Number-1)
	case LifeUnknown:
		return "how its life before ended is not known"
	}
	return ""
}
