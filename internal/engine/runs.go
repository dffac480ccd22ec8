package engine

import (
	"time"

	"pintle/internal/unit"
)

// RunRecord is what is kept of a run that is over: what RunEnd says, and more. It outlives the container, where there
// is a state directory.
type RunRecord struct {
	Unit unit.Name `json:"unit"`
	// Container and Life tell in which life of which container it was; runs are numbered anew in each. Life is 0 where
	// lives are not counted.
	Container string `json:"container,omitempty"`
	Life      uint64 `json:"life,omitempty"`
	RunEnd
	// Ready is when it was ready; zero where it never was.
	Ready time.Time `json:"ready,omitzero"`
	// By is by whose wish or rule it was ended, or was sent the signal that it ended by; empty where that is not known.
	By    string     `json:"by,omitempty"`
	Usage unit.Usage `json:"usage"`
	// Tail are the last lines that it wrote, where pintle captures them.
	Tail []string `json:"tail,omitempty"`
}

// Sender is who sent the signal that a run ended by.
type Sender string

// The senders.
const (
	SentByPintle Sender = "pintle"        // it was asked to end, or somebody signalled it by way of pintle
	SentByOther  Sender = "other"         // not pintle; for SIGKILL it may have been the kernel
	SentByOOM    Sender = "out-of-memory" // the kernel, because no memory was left
)
