package reference_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// hermes is the uid and the gid of the user of that name in the reference image.
const hermes = 10000

// soon bounds a wait for something that takes no time on an idle machine. It
// is long because the machine may be busy, and it proves nothing when it is over
// but that something hangs.
const soon = 30 * time.Second

// boot starts a container in the background and returns when its pintle answers.
func boot(t *testing.T, o dockertest.Options, args ...string) *dockertest.Container {
	t.Helper()
	c := dockertest.Start(t, o, args...)
	answers(t, c)
	return c
}

// answers waits until the container's pintle answers.
func answers(t *testing.T, c *dockertest.Container) {
	t.Helper()
	dockertest.Eventually(t, soon, func() (bool, string) {
		r := pintle(c, "", "healthcheck", "--level", "alive")
		if strings.Contains(r.Stderr, "is not running") {
			t.Fatal("the container has ended")
		}
		return r.Code == 0, r.String()
	}, "pintle answers")
}

// pintle runs one of pintle's commands in the container, as a user if that is not empty.
func pintle(c *dockertest.Container, user string, args ...string) dockertest.Result {
	return c.Exec(user, append([]string{"pintle"}, args...)...)
}

// succeeds fails the test unless the command ended with 0; it returns what that printed.
func succeeds(t *testing.T, r dockertest.Result) string {
	t.Helper()
	if r.Code != 0 {
		t.Fatalf("it failed: %s", r)
	}
	return r.Stdout
}

// status returns what root sees of one unit.
func status(t *testing.T, c *dockertest.Container, unit string) engine.Status {
	t.Helper()
	return statuses(t, pintle(c, "0", "status", "-o", "json", unit))[unit]
}

// statuses reads what "pintle status -o json" printed.
func statuses(t *testing.T, r dockertest.Result) map[string]engine.Status {
	t.Helper()
	var list []engine.Status
	if err := json.Unmarshal([]byte(r.Stdout), &list); err != nil {
		t.Fatalf("pintle status -o json printed no JSON: %v\n%s", err, r)
	}
	units := map[string]engine.Status{}
	for _, s := range list {
		units[string(s.Name)] = s
	}
	return units
}

// becomes waits until a unit is in a state, and returns its status.
func becomes(t *testing.T, c *dockertest.Container, name string, state unit.State) (s engine.Status) {
	t.Helper()
	dockertest.Eventually(t, soon, func() (bool, string) {
		s = status(t, c, name)
		return s.State == state, fmt.Sprintf("%s: %s", s.State, s.Because)
	}, fmt.Sprintf("%s is %s", name, state))
	return s
}

// prints waits until the container has printed text, on either stream.
func prints(t *testing.T, c *dockertest.Container, text string) {
	t.Helper()
	dockertest.Eventually(t, soon, func() (bool, string) {
		stdout, stderr := c.Logs()
		return strings.Contains(stdout, text) || strings.Contains(stderr, text), stdout + stderr
	}, fmt.Sprintf("the container prints %q", text))
}

// processOf returns the process of the container whose command line is args, or fails the test.
func processOf(t *testing.T, c *dockertest.Container, args string) dockertest.Process {
	t.Helper()
	all := c.Top()
	p, found := find(all, args)
	if !found {
		t.Fatalf("there is not one process %q: %+v", args, all)
	}
	return p
}

// find finds the process whose command line is args; two of them are none.
func find(all []dockertest.Process, args string) (dockertest.Process, bool) {
	var found []dockertest.Process
	for _, p := range all {
		if p.Args == args {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return dockertest.Process{}, false
	}
	return found[0], true
}

// attended is a container that somebody sits at: it runs on a terminal, and
// others can run commands in it.
type attended struct {
	*dockertest.Terminal
	t  *testing.T
	id string
}

// attend runs a container on a terminal (docker run -it).
func attend(t *testing.T, o dockertest.Options, args ...string) *attended {
	t.Helper()
	file := filepath.Join(t.TempDir(), "id")
	o.Flags = append([]string{"--cidfile", file}, o.Flags...)
	a := &attended{Terminal: dockertest.Tty(t, o, args...), t: t}
	dockertest.Eventually(t, soon, func() (bool, string) {
		id, err := os.ReadFile(file)
		a.id = string(id)
		return len(id) > 0, fmt.Sprint(err)
	}, "docker has made the container")
	return a
}

// Exec runs a command in the container, as a user if that is not empty, and not on its terminal.
func (a *attended) Exec(user string, args ...string) dockertest.Result {
	a.t.Helper()
	argv := []string{"exec"}
	if user != "" {
		argv = append(argv, "-u", user)
	}
	return dockertest.Docker(a.t, append(append(argv, a.id), args...)...)
}
