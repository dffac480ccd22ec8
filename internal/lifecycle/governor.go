package lifecycle

import (
	"time"

	"pintle/internal/unit"
)

// Governor bounds what all units do together: how many starts are under way at
// once, and whether units that fail may start again now. It is pure: it is told
// the time. Its zero value is not valid; NewGovernor makes one.
type Governor struct {
	rule unit.Governor
	// under is how many starts are under way.
	under int
	// failures are the latest ones, oldest first; at most one of each unit counts.
	failures []failure
	calm     time.Time
	// together is how many units had failed when the latest pause began.
	together int
}

type failure struct {
	name unit.Name
	at   time.Time
}

// NewGovernor makes a governor.
func NewGovernor(rule unit.Governor) *Governor {
	g := &Governor{}
	g.Rule(rule)
	return g
}

// Rule gives it another rule; zero fields get their defaults.
func (g *Governor) Rule(rule unit.Governor) {
	d := unit.DefaultGovernor
	if rule.Starts == 0 {
		rule.Starts = d.Starts
	}
	if rule.Share == 0 {
		rule.Share = d.Share
	}
	if rule.Least == 0 {
		rule.Least = d.Least
	}
	if rule.Within == 0 {
		rule.Within = d.Within
	}
	if rule.Pause == 0 {
		rule.Pause = d.Pause
	}
	g.rule = rule
}

// Free tells whether one more unit may start.
func (g *Governor) Free() bool { return g.rule.Starts <= 0 || g.under < g.rule.Starts }

// Take asks for leave to start one more unit, to be given back by Release.
func (g *Governor) Take() bool {
	if !g.Free() {
		return false
	}
	g.under++
	return true
}

// Release says that a start is not under way any more.
func (g *Governor) Release() { g.under-- }

// Failed notes that a unit failed; population is how many units have processes or
// are about to be started again. It tells whether a pause begins with it.
func (g *Governor) Failed(name unit.Name, at time.Time, population int) bool {
	if g.rule.Least < 0 || g.rule.Share < 0 || g.rule.Within < 0 || g.rule.Pause < 0 {
		return false
	}
	kept := g.failures[:0]
	for _, f := range g.failures {
		if f.name != name && at.Sub(f.at) <= g.rule.Within {
			kept = append(kept, f)
		}
	}
	g.failures = append(kept, failure{name, at})
	n := len(g.failures)
	if n < g.rule.Least || float64(n) < g.rule.Share*float64(population) {
		return false
	}
	began := !at.Before(g.calm)
	g.calm, g.together = at.Add(g.rule.Pause), n
	g.failures = g.failures[:0]
	return began
}

// Calm is until when units that failed wait, and how many had failed together; the
// time is not after at when there is no pause.
func (g *Governor) Calm() (until time.Time, together int) { return g.calm, g.together }
