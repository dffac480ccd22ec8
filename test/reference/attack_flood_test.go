package reference_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// A thousand connections with bad manners, made again whenever pintle closes them:
// silent ones, half requests, bodies of 1 GB, readers that take a byte at a time or
// none. pintle's memory stays bounded, root and other users are served and units start and
// stop all the while, and so is hermes when it is over.
func TestAttackByAFloodOfConnections(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Image: attackImage(t)}, "sleep", "infinity")
	becomes(t, c, "vault", unit.Up)
	succeeds(t, c.Exec("hermes", "sh", "-ec", `
		echo 'while :; do echo noise; sleep 0.01; done' >noisy.sh
		pintle create gateway@coder
		pintle create script@noisy`))
	before := floodMemory(t, c)
	succeeds(t, dockertest.Docker(t, "exec", "-d", "-u", "hermes", c.Name, "sh", "-c", "echo $$ >/tmp/pid; exec attack flood 1000 >/tmp/flood"))
	flooded := func(word string) (said string) {
		t.Helper()
		dockertest.Eventually(t, 2*soon, func() (bool, string) {
			said = c.Exec("", "cat", "/tmp/flood").Stdout
			return strings.Contains(said, word), said
		}, "the flood says "+word)
		return said
	}
	flooded("flooding")
	r := c.Exec("root", "bash", "-c", `
		works() { timeout 20 "$@" >/tmp/works 2>&1 || echo "$*: $? $(cat /tmp/works)"; }
		for i in {1..6}; do
			works pintle status
			works pintle healthcheck --level alive
			works pintle stop gateway@default
			works pintle start gateway@default
			works pintle logs vault
			works su nobody -s /bin/sh -c 'pintle status'
			[ $(ls /proc/1/fd | wc -l) -lt 400 ] || echo "$(ls /proc/1/fd | wc -l) descriptors are open"
		done`)
	if r.Code != 0 || r.Stdout != "" {
		t.Errorf("in the flood: %s", r)
	}
	succeeds(t, c.Exec("hermes", "sh", "-c", "kill -TERM $(cat /tmp/pid)"))
	said := flooded("flooded with ")
	t.Log(strings.TrimSpace(said))
	// Each manner was had, or it would show nothing.
	if counts := regexp.MustCompile(`: (\d+)`).FindAllStringSubmatch(said, -1); len(counts) != 10 || strings.Contains(said, ": 0") {
		t.Errorf("it was no flood: %s", said)
	}
	const atMost = 64 << 10
	after := floodMemory(t, c)
	t.Logf("pintle has had at most %d KiB of memory; %d before", after, before)
	if after > atMost {
		t.Errorf("pintle has had %d KiB of memory, and %d before the flood", after, before)
	}
	dockertest.Eventually(t, soon, func() (bool, string) {
		r := pintle(c, "hermes", "status", "gateway@coder")
		return r.Code == 0, r.String()
	}, "hermes is answered again")
	dockertest.Eventually(t, soon, func() (bool, string) {
		n := strings.Count(succeeds(t, c.Exec("root", "ls", "/proc/1/fd")), "\n")
		return n < 64, fmt.Sprintf("%d descriptors", n)
	}, "pintle has let go of the connections")
	says(t, pintle(c, "root", "healthcheck"), 0, "healthy")
}

// floodMemory is the most memory that pintle has had in its life, in KiB.
func floodMemory(t *testing.T, c *dockertest.Container) int {
	t.Helper()
	text := succeeds(t, c.Exec("root", "cat", "/proc/1/status"))
	match := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("the kernel does not say how much memory pintle has had:\n%s", text)
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
