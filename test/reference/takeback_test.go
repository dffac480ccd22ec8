package reference_test

import (
	"crypto/rand"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// tookBack is what pintle says when it does not wait for its own earlier life.
const tookBack = "took back the lease of this container's earlier life: " + shared

// ownerFile is where a life of a container leaves the name by which it holds leases.
const ownerFile = "/run/pintle/lease-owner.json"

// onVolume are docker run's flags for a container of that name.
func onVolume(host, volume string, more ...string) dockertest.Options {
	return dockertest.Options{Flags: append([]string{"-h", host, "-v", volume + ":/opt/data"}, more...)}
}

// killAndStart kills a container, and starts it again.
func killAndStart(t *testing.T, c *dockertest.Container) {
	t.Helper()
	c.Kill("KILL")
	c.Wait()
	c.StartAgain()
	answers(t, c)
}

// A container that was killed and starts again does not wait for its own lease: it takes it back, with the next fence.
func TestAKilledContainerTakesItsLeaseBack(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{
		"root": nil, "no root, in /tmp/pintle": {"-u", strconv.Itoa(hermes)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			volume := sharedVolume(t)
			a := boot(t, onVolume("alpha", volume, flags...), "sleep", "infinity")
			says(t, pintle(a, "hermes", "start", shared), 0, shared+" is up")
			hasFence(t, a, 1)
			for _, fence := range []int{2, 3} {
				began := time.Now()
				killAndStart(t, a)
				becomes(t, a, shared, unit.Up)
				t.Logf("up %.1f s after it was killed", time.Since(began).Seconds())
				hasFence(t, a, fence)
				stdout, stderr := a.Logs()
				if n := strings.Count(stdout+stderr, tookBack); n != fence-1 {
					t.Errorf("in life %d the lease has been taken back %d times", fence, n)
				}
			}
			b := boot(t, onVolume("beta", volume, flags...), "sleep", "infinity")
			waitsFor(t, b, "alpha", 3)
		})
	}
}

// An image that was made of a running container carries the name of its owner, and proves nothing by it: a container of
// that image waits while the first one lives, also where both have one host name.
func TestACommittedContainerIsAnother(t *testing.T) {
	t.Parallel()
	volume := sharedVolume(t)
	a := boot(t, onVolume("alpha", volume), "sleep", "infinity")
	says(t, pintle(a, "hermes", "start", shared), 0, shared+" is up")

	image := "pintle-test/committed:" + strings.ToLower(rand.Text()[:12])
	t.Cleanup(func() { // after the containers are gone
		if r := dockertest.Docker(t, "image", "rm", "-f", image); r.Code != 0 {
			t.Errorf("an image is left: %s", r)
		}
	})
	o := onVolume("alpha", volume)
	o.Image = image
	succeeds(t, dockertest.Docker(t, "commit", a.Name, image))
	inside := dockertest.Run(t, dockertest.Options{Image: image, Flags: []string{"--entrypoint", "cat"}}, ownerFile)
	if own := succeeds(t, a.Exec("0", "cat", ownerFile)); inside.Stdout != own {
		t.Fatalf("the image has not got the owner's name:\n%s\n%s", inside.Stdout, own)
	}

	b := boot(t, o, "sleep", "infinity")
	waitsFor(t, b, "alpha", 1)
	var left struct {
		Owner string
		Dead  []string
	}
	text := succeeds(t, b.Exec("0", "cat", ownerFile))
	if err := json.Unmarshal([]byte(text), &left); err != nil || left.Owner == "" || left.Dead != nil || strings.Contains(inside.Stdout, left.Owner) {
		t.Errorf("it has left %s (%v)", text, err)
	}
	if s := status(t, a, shared); s.State != unit.Up || s.Run != 1 {
		t.Errorf("in the first one it is %s in run %d", s.State, s.Run)
	}
	hasFence(t, a, 1)
}

// Where what pintle ran could have outlived it, or another container could have the run-time directory, a container that
// was killed waits for its own lease as for anybody's.
func TestAContainerThatCannotKnowWaits(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{
		"pintle is not PID 1": {"--init"},
		"a tmpfs":             {"--tmpfs", "/run"},
		"a volume":            {"-v", sharedVolume(t) + ":/run/pintle"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := "alpha"
			a := boot(t, onVolume(host, sharedVolume(t), flags...), "sleep", "infinity")
			says(t, pintle(a, "hermes", "start", shared), 0, shared+" is up")
			hasFence(t, a, 1)
			killAndStart(t, a)
			waitsFor(t, a, host, 1)
			if stdout, stderr := a.Logs(); strings.Contains(stdout+stderr, tookBack) {
				t.Errorf("it took it back: %s", stderr)
			}
		})
	}
}
