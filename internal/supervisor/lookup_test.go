package supervisor

import (
	"context"
	"testing"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// TestAskerWhoGoesAway: somebody who asks for an unknown instance, and goes away before the loop has come to it, shares
// nothing with the loop by then. It shows under the race detector.
func TestAskerWhoGoesAway(t *testing.T) {
	alone(t, func(t *testing.T) {
		p := newProfiles(t)
		w := newWorld(t, Options{Templates: []unit.Template{p.template()}})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		away := 0
		for range 200 {
			if _, err := w.Get(ctx, "gateway@nosuch"); engine.KindOf(err) != engine.NotFound && engine.KindOf(err) != engine.Unavailable {
				t.Fatal(err)
			} else if engine.KindOf(err) == engine.Unavailable {
				away++
			}
		}
		if away == 0 {
			t.Error("nobody went away")
		}
	})
}
