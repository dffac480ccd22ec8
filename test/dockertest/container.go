package dockertest

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// Container is one that runs in the background. Its methods fail the test when
// Docker refuses them or they take longer than Options.Deadline.
type Container struct {
	Name string

	t        testing.TB
	engine   *engine
	deadline time.Duration
}

// Start starts a container in the background (docker run -d). It is removed at
// the end of the test; if that failed, its last lines are logged first.
func Start(t testing.TB, o Options, args ...string) *Container {
	t.Helper()
	e, name, argv := prepare(t, o, "-d", args)
	c := &Container{Name: name, t: t, engine: e, deadline: o.deadline()}
	t.Cleanup(func() {
		if t.Failed() {
			if r := e.run(t, commandDeadline, nil, "logs", "--tail", "40", name); r.Code == 0 {
				t.Logf("%s printed last: %s", name, indent(r.Stdout+r.Stderr))
			}
		}
		if err := e.remove(name); err != nil {
			t.Errorf("a container is left: %v", err)
		}
	})
	if r := e.run(t, o.deadline(), nil, argv...); r.Code != 0 {
		t.Fatalf("cannot start a container: %s", r)
	}
	return c
}

// docker runs a docker command that has to work.
func (c *Container) docker(args ...string) Result {
	c.t.Helper()
	r := c.engine.run(c.t, c.deadline, nil, args...)
	if r.Code != 0 {
		c.t.Fatalf("docker %s: %s", strings.Join(args, " "), r)
	}
	return r
}

// Exec runs a command in the container, as a user if that is not empty (docker
// exec -u). Any exit code is a result.
func (c *Container) Exec(user string, args ...string) Result {
	c.t.Helper()
	argv := []string{"exec"}
	if user != "" {
		argv = append(argv, "-u", user)
	}
	return c.engine.run(c.t, c.deadline, nil, append(append(argv, c.Name), args...)...)
}

// Logs returns what the container has printed so far.
func (c *Container) Logs() (stdout, stderr string) {
	c.t.Helper()
	r := c.docker("logs", c.Name)
	return r.Stdout, r.Stderr
}

// Kill sends a signal to the container's first process (docker kill -s).
func (c *Container) Kill(signal string) {
	c.t.Helper()
	c.docker("kill", "-s", signal, c.Name)
}

// Stop stops the container (docker stop, with flags such as "-t", "30") and
// returns the container's exit code and how long the stop took.
func (c *Container) Stop(flags ...string) (code int, took time.Duration) {
	c.t.Helper()
	r := c.docker(append(append([]string{"stop"}, flags...), c.Name)...)
	return c.Code(), r.Duration
}

// Restart stops the container and starts it again (docker restart), and returns
// how long that took.
func (c *Container) Restart(flags ...string) time.Duration {
	c.t.Helper()
	return c.docker(append(append([]string{"restart"}, flags...), c.Name)...).Duration
}

// StartAgain starts the container after it has ended (docker start).
func (c *Container) StartAgain() { c.t.Helper(); c.docker("start", c.Name) }

// Wait waits for the container's end and returns its exit code.
func (c *Container) Wait() int {
	c.t.Helper()
	code, err := strconv.Atoi(strings.TrimSpace(c.docker("wait", c.Name).Stdout))
	if err != nil {
		c.t.Fatal(err)
	}
	return code
}

// Inspect returns one fact in docker inspect's format, e.g. "{{.State.Status}}".
func (c *Container) Inspect(format string) string {
	c.t.Helper()
	return strings.TrimSuffix(c.docker("inspect", "--type", "container", "--format", format, c.Name).Stdout, "\n")
}

// Running says whether the container runs.
func (c *Container) Running() bool {
	c.t.Helper()
	return c.Inspect("{{.State.Running}}") == "true"
}

// Code returns the exit code of a container that has ended.
func (c *Container) Code() int {
	c.t.Helper()
	code, err := strconv.Atoi(c.Inspect("{{.State.ExitCode}}"))
	if err != nil {
		c.t.Fatal(err)
	}
	return code
}

// HostPID returns the pid on this machine of the container's first process. The
// engine must be on this machine.
func (c *Container) HostPID() int {
	c.t.Helper()
	pid, err := strconv.Atoi(c.Inspect("{{.State.Pid}}"))
	if err == nil && c.engine.private != nil {
		pid, err = c.engine.private.hostPID(pid)
	}
	if err != nil || pid == 0 {
		c.t.Fatalf("cannot find the container's first process: pid %d, %v", pid, err)
	}
	return pid
}

// Process is a process of a container, with the pids that it has in there.
type Process struct {
	PID, PPID, PGID, SID int
	UID                  int
	State                string // one letter as in ps: R, S, D, T, Z
	Args                 string
}

// Top returns the container's processes, zombies included. The image must have
// ps (procps); the ps itself is left out.
func (c *Container) Top() []Process {
	c.t.Helper()
	const columns = "pid,ppid,pgid,sid,uid,state,args"
	r := c.Exec("0", "ps", "-ww", "-eo", columns, "--no-headers")
	if r.Code != 0 {
		c.t.Fatalf("cannot list the container's processes: %s", r)
	}
	var all []Process
	for line := range strings.Lines(r.Stdout) {
		f := strings.Fields(line)
		if len(f) < 7 {
			c.t.Fatalf("cannot read what ps printed: %q", line)
		}
		var n [5]int
		for i := range n {
			var err error
			if n[i], err = strconv.Atoi(f[i]); err != nil {
				c.t.Fatalf("cannot read what ps printed: %q", line)
			}
		}
		p := Process{n[0], n[1], n[2], n[3], n[4], f[5], strings.Join(f[6:], " ")}
		if p.PPID == 0 && strings.Contains(p.Args, columns) {
			continue
		}
		all = append(all, p)
	}
	return all
}
