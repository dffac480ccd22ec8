package reference_test

import (
	"testing"
	"time"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// Whoever stops the gateway where it runs has stopped it: the container that was next in line reads that, and is down with
// it. Whoever starts it in that one afterwards has it run there.
func TestAStopIsForTheWholeVolume(t *testing.T) {
	t.Parallel()
	dockertest.Require(t)
	w := witness(t)
	alpha := w.boot("alpha")
	w.follow()
	succeeds(t, pintle(alpha, "hermes", "start", shared))
	first := w.begins(0)
	beta := w.boot("beta")
	waitsFor(t, beta, first.host, int(first.fence))

	succeeds(t, pintle(alpha, "hermes", "stop", shared))
	down := becomes(t, beta, shared, unit.Down)
	if down.Run != 0 || down.Intent.Up || down.Intent.Actor.UID != hermes {
		t.Errorf("the next in line is %+v", down)
	}
	succeeds(t, pintle(beta, "hermes", "start", shared))
	second := w.begins(first.fence)
	if second.host != "beta" {
		t.Errorf("it was started in beta, and runs as %+v", second)
	}
	w.beats(second.fence, time.Now())
	w.wereAlone()
}
