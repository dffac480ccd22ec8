package reference_test

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// shared is an instance that one container at a time may run.
const shared = "gateway@default"

// sharedVolume is the name of a volume, which is removed after the containers.
func sharedVolume(t *testing.T) string {
	t.Helper()
	volume := "pintle-test-" + strings.ToLower(rand.Text()[:12])
	dockertest.Require(t)
	t.Cleanup(func() {
		if r := dockertest.Docker(t, "volume", "rm", "-f", volume); r.Code != 0 {
			t.Errorf("a volume is left: %s", r)
		}
	})
	return volume
}

// waitsFor waits until the instance waits in a container, and says for whom.
func waitsFor(t *testing.T, c *dockertest.Container, host string, fence int) {
	t.Helper()
	because := fmt.Sprintf("waiting for container %s, which holds it (fence %d)", host, fence)
	dockertest.Eventually(t, soon, func() (bool, string) {
		s := status(t, c, shared)
		return s.State == unit.Waiting && s.Reason == unit.AwaitsLease && s.Because == because, fmt.Sprintf("%+v", s)
	}, "it waits for "+host)
	says(t, pintle(c, "hermes", "why", shared), 0, because)
}

// hasFence checks the fence in the hands of the instance's run.
func hasFence(t *testing.T, c *dockertest.Container, fence int) {
	t.Helper()
	pid := status(t, c, shared).PID
	if got := attackEnviron(t, c, pid)["PINTLE_FENCE"]; got != strconv.Itoa(fence) {
		t.Errorf("PINTLE_FENCE is %q, not %d", got, fence)
	}
}

// Two containers share a volume, and the gateway is up in one of them: another takes over in bounded time when that one
// is killed, and soon when it is stopped; the other says meanwhile whom it waits for.
func TestOneContainerRunsTheGateway(t *testing.T) {
	t.Parallel()
	const atMost = 25 * time.Second // TTL + 2 Beat + Settle
	const slack = 8 * time.Second   // what docker and a busy machine add
	volume := sharedVolume(t)
	start := func(host string) *dockertest.Container {
		return boot(t, dockertest.Options{Flags: []string{"-h", host, "-v", volume + ":/opt/data"}}, "sleep", "infinity")
	}

	a := start("alpha")
	says(t, pintle(a, "hermes", "start", shared), 0, shared+" is up")
	hasFence(t, a, 1)
	b := start("beta")
	waitsFor(t, b, "alpha", 1)

	began := time.Now()
	a.Kill("KILL")
	becomes(t, b, shared, unit.Up)
	took := time.Since(began)
	t.Logf("taken over %.1f s after a crash", took.Seconds())
	if took > atMost+slack {
		t.Errorf("it took %v", took)
	}
	hasFence(t, b, 2)

	a.StartAgain()
	answers(t, a)
	waitsFor(t, a, "beta", 2)
	began = time.Now()
	b.Stop()
	becomes(t, a, shared, unit.Up)
	took = time.Since(began)
	t.Logf("taken over %.1f s after a stop began", took.Seconds())
	if took > atMost/2 {
		t.Errorf("it took %v", took)
	}
	hasFence(t, a, 3)
}
