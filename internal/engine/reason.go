package engine

import "pintle/internal/unit"

// Reason and its constants are unit's.
type Reason = unit.Reason

const (
	SwitchedOff       = unit.SwitchedOff
	NeverStarted      = unit.NeverStarted
	Asked             = unit.Asked
	AtBoot            = unit.AtBoot
	Crashed           = unit.Crashed
	CannotExecute     = unit.CannotExecute
	ExitRule          = unit.ExitRule
	RestartRule       = unit.RestartRule
	NotReady          = unit.NotReady
	ContainerStopping = unit.ContainerStopping
)
