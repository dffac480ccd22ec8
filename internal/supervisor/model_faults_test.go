package supervisor

import (
	"errors"
	"slices"
	"testing"

	"pintle/internal/relay"
	"pintle/internal/unit"
)

// This file deceives the model on purpose: each fault is something that a broken
// kernel's side or a broken supervisor could do, and must be caught by a law.

// faults are what is broken, and the laws of which one must say so.
var faults = map[fault][]string{
	// The kernel's side.
	"lost Started":       {"no event is lost", "a wait has an end", "a run is ended in a stop"},
	"lost Exited":        {"no event is lost"},
	"lost Empty":         {"a wait has an end"},
	"early Empty":        {"at most one run of a unit lives", "what is down has no process"},
	"no mercy":           {"a wait has an end", "the way down has an end"},
	"false exit of main": {"the container ends by the rules"},
	// The supervisor is given other declarations than the model.
	"no dependencies":             {"a start waits for what it depends on", "dependents end first", "a wait has a reason"},
	"no governor":                 {"starts are bounded"},
	"short grace":                 {"graces are given"},
	"no readiness":                {"up is ready"},
	"nothing stops the container": {"the container ends by the rules"},
	// The supervisor's own state is tampered with after each turn.
	"lost turns":        {"a wait has a reason"},
	"lost agenda":       {"a wait has a reason", "idle is the end", "the way down has an end", "a kind world comes to rest"},
	"deaf readers":      {"readers know all"},
	"a will of its own": {"intents change by verbs"},
	"lost calm":         {"a wait has a reason"},
}

// tamper breaks the supervisor's state, in the loop.
func (f fault) tamper(s *Supervisor, turn int) {
	switch f {
	case "lost turns":
		s.turns = nil
	case "lost calm":
		s.calmed = nil
	case "lost agenda":
		if turn%3 == 0 {
			s.dependents = map[unit.Name][]*record{}
		}
	case "deaf readers":
		if turn%20 == 19 {
			s.relay = relay.New()
		}
	case "a will of its own":
		for _, u := range s.units {
			if turn > 20 && u.life.State == unit.Backoff {
				u.intent.Generation++
			}
		}
	}
}

// TestFaultsAreCaught: the laws are not too mild: each fault breaks one that says what it is about.
func TestFaultsAreCaught(t *testing.T) {
	t.Parallel()
	for f, laws := range faults {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			const enough = 600
			for seed := uint64(1); seed <= enough; seed++ {
				_, story, err := liveThrough(t, anyPlan(seeded(seed)), f)
				if err == nil {
					continue
				}
				b, _ := errors.AsType[broken](err)
				if !slices.Contains(laws, b.law) {
					t.Fatalf("seed %d: caught by another law: %v\n%s", seed, err, story)
				}
				t.Logf("caught with seed %d: %v", seed, err)
				return
			}
			t.Errorf("nothing of it was noticed in %d tales", enough)
		})
	}
}
