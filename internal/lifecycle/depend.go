package lifecycle

import "pintle/internal/unit"

// Prospect is what a dependent may expect of a unit that it depends on.
type Prospect uint8

// The prospects.
const (
	// Met: it has come to what it must.
	Met Prospect = iota
	// Pending: it may still do so, by itself or because somebody starts it.
	Pending
	// Hopeless: it will not, unless somebody mends it.
	Hopeless
)

// Look judges a unit that another depends on. wanted tells whether the unit is
// desired up. Across its restarts the dependent waits; only a unit that was given
// up, or does not run in this container, is beyond hope.
func Look(d unit.Dependency, spec *unit.Spec, u *Unit, wanted bool) Prospect {
	oneshot := spec.Kind == unit.Oneshot
	met := false
	switch d.Condition {
	case unit.OnStarted:
		met = u.State == unit.Up || u.State == unit.Starting && u.Executed || u.State == unit.Done
	case unit.OnDone:
		met = u.State == unit.Done
	default:
		met = u.State == unit.Up || oneshot && u.State == unit.Done
	}
	switch {
	case met:
		return Met
	case d.Optional && (u.State == unit.Disabled || u.State == unit.Failed || u.State == unit.Done || u.State == unit.Down && !wanted):
		return Met
	case u.State == unit.Disabled, u.State == unit.Failed:
		return Hopeless
	}
	return Pending
}
