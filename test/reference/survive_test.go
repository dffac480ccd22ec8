package reference_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// What was wanted is wanted still after the container has ended, however it
// ended: only somebody's verb changes it (B102, U28, U29, U32).
func TestIntentsSurviveTheContainersEnd(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Flags: []string{"-e", "HERMES_DASHBOARD=1"}}, "sleep", "infinity")
	becomes(t, c, "dashboard", unit.Up)
	survivePrepare(t, c)

	for _, end := range []struct {
		by  string
		end func()
	}{
		{"docker restart", func() { c.Restart() }},
		{"docker kill", func() { c.Kill("KILL"); c.Wait(); c.StartAgain() }},
		{"docker stop", func() { c.Stop(); c.StartAgain() }},
		{"docker kill, again", func() { c.Kill("KILL"); c.Wait(); c.StartAgain() }},
	} {
		end.end()
		answers(t, c)
		surviveCheck(t, c, end.by)
	}

	// A wish that was answered is kept, even if the container is killed in the next moment.
	succeeds(t, pintle(c, "hermes", "stop", "--no-wait", "gateway@running"))
	c.Kill("KILL")
	c.Wait()
	c.StartAgain()
	answers(t, c)
	says(t, pintle(c, "hermes", "status", "gateway@running"), 3, "down")
	succeeds(t, pintle(c, "hermes", "start", "--no-wait", "gateway@running"))
	c.Kill("KILL")
	c.Wait()
	c.StartAgain()
	answers(t, c)
	becomes(t, c, "gateway@running", unit.Up)
}

// With the home on a volume, the wishes outlive the container itself: another
// one, from another docker run, goes on with them (U32).
func TestIntentsSurviveTheContainer(t *testing.T) {
	t.Parallel()
	volume := "pintle-test-" + strings.ToLower(rand.Text()[:12])
	dockertest.Require(t)
	t.Cleanup(func() { // after the containers are gone
		if r := dockertest.Docker(t, "volume", "rm", "-f", volume); r.Code != 0 {
			t.Errorf("a volume is left: %s", r)
		}
	})
	o := dockertest.Options{Flags: []string{"-e", "HERMES_DASHBOARD=1", "-v", volume + ":/opt/data"}}
	first := boot(t, o, "sleep", "infinity")
	survivePrepare(t, first)
	first.Stop()
	succeeds(t, dockertest.Docker(t, "rm", first.Name))

	second := boot(t, o, "sleep", "infinity")
	surviveCheck(t, second, "docker rm and run")
	succeeds(t, dockertest.Docker(t, "rm", "-f", second.Name))

	third := boot(t, o, "sleep", "infinity")
	surviveCheck(t, third, "docker rm -f and run")
}

// survivePrepare asks for one of each: running, stopped, never started, failed, removed.
func survivePrepare(t *testing.T, c *dockertest.Container) {
	t.Helper()
	manageConf(t, c, "failed", "HERMES_GATEWAY_EXIT=78")
	manageConf(t, c, "crashing", "HERMES_GATEWAY_EXIT=1")
	succeeds(t, c.Exec("hermes", "sh", "-ec", `
		pintle create gateway@running
		pintle create gateway@stopped
		pintle stop gateway@stopped
		pintle create gateway@never --down
		pintle create gateway@removed
		pintle remove gateway@removed
		pintle create gateway@failed --no-wait
		pintle create gateway@crashing --no-wait
		pintle start gateway@default`))
	succeeds(t, pintle(c, "root", "stop", "dashboard"))
}

// surviveCheck looks at all of them in another life of the container.
func surviveCheck(t *testing.T, c *dockertest.Container, by string) {
	t.Helper()
	for _, name := range []string{"gateway@running", "gateway@default"} {
		s := becomes(t, c, name, unit.Up)
		if s.Run != 1 || s.Reason != unit.AtBoot || s.Intent.Actor.UID != hermes {
			t.Errorf("after %s %s is up in run %d (%s), wanted by %s", by, name, s.Run, s.Reason, s.Intent.Actor)
		}
	}
	// What had failed is wanted up, and gets its chance in every life.
	becomes(t, c, "gateway@failed", unit.Failed)

	units := statuses(t, pintle(c, "root", "status", "-o", "json"))
	for _, name := range []string{"gateway@stopped", "gateway@never", "dashboard"} {
		if s := units[name]; s.State != unit.Down || s.Desired != "down" || s.Run != 0 {
			t.Errorf("after %s %s is %s, wanted %s, in run %d", by, name, s.State, s.Desired, s.Run)
		}
	}
	if s := units["gateway@stopped"]; !strings.HasPrefix(s.Because, "asked to be down by uid 10000") {
		t.Errorf("after %s %s is said to be down because %q", by, s.Name, s.Because)
	}
	if s := units["gateway@crashing"]; s.Desired != "up" {
		t.Errorf("after %s %s is wanted %s", by, s.Name, s.Desired)
	}
	if s, is := units["gateway@removed"]; is {
		t.Errorf("after %s the removed one is back: %+v", by, s)
	}
	if len(units) != 8 {
		t.Errorf("after %s there are %d units: %v", by, len(units), units)
	}
}
