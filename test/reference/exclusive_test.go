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

// Two containers share a volume, and the gateway is up in one of them: another takes over in bounded time when that one
// is killed, and soon when it is stopped; the other says meanwhile whom it waits for.
func TestOneContainerRunsTheGateway(t *testing.T) {
	t.Parallel()
	const name = "gateway@default"
	const atMost = 22 * time.Second // TTL + Beat + Settle
	const slack = 8 * time.Second   // what docker and a busy machine add
	volume := "pintle-test-" + strings.ToLower(rand.Text()[:12])
	dockertest.Require(t)
	t.Cleanup(func() { // after the containers are gone
		if r := dockertest.Docker(t, "volume", "rm", "-f", volume); r.Code != 0 {
			t.Errorf("a volume is left: %s", r)
		}
	})
	start := func(host string) *dockertest.Container {
		return boot(t, dockertest.Options{Flags: []string{"-h", host, "-v", volume + ":/opt/data"}}, "sleep", "infinity")
	}
	waits := func(c *dockertest.Container, host string, fence int) {
		t.Helper()
		because := fmt.Sprintf("waiting for container %s, which holds it (fence %d)", host, fence)
		dockertest.Eventually(t, soon, func() (bool, string) {
			s := status(t, c, name)
			return s.State == unit.Waiting && s.Reason == unit.AwaitsLease && s.Because == because, fmt.Sprintf("%+v", s)
		}, "it waits for "+host)
		says(t, pintle(c, "hermes", "why", name), 0, because)
	}
	hasFence := func(c *dockertest.Container, fence int) {
		t.Helper()
		pid := status(t, c, name).PID
		if got := attackEnviron(t, c, pid)["PINTLE_FENCE"]; got != strconv.Itoa(fence) {
			t.Errorf("PINTLE_FENCE is %q, not %d", got, fence)
		}
	}

	a := start("alpha")
	says(t, pintle(a, "hermes", "start", name), 0, name+" is up")
	hasFence(a, 1)
	b := start("beta")
	waits(b, "alpha", 1)

	began := time.Now()
	a.Kill("KILL")
	becomes(t, b, name, unit.Up)
	took := time.Since(began)
	t.Logf("taken over %.1f s after a crash", took.Seconds())
	if took > atMost+slack {
		t.Errorf("it took %v", took)
	}
	hasFence(b, 2)

	a.StartAgain()
	answers(t, a)
	waits(a, "beta", 2)
	began = time.Now()
	b.Stop()
	becomes(t, a, name, unit.Up)
	took = time.Since(began)
	t.Logf("taken over %.1f s after a stop began", took.Seconds())
	if took > atMost/2 {
		t.Errorf("it took %v", took)
	}
	hasFence(a, 3)
}
