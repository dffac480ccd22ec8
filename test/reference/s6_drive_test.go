package reference_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// These tests have Debian's own s6-svscan as the container's first process, and pintle drive it.

// driveBoot is what such a container starts with, as s6-overlay's stages do it: root's static services, a scan directory that is
// given to hermes, and once that is there, what pintle is to do at boot.
const driveBoot = `#!/bin/sh -e
mkdir -p /run/service /run/s6-rc/servicedirs
for s in dashboard s6rc-oneshot-runner; do
	mkdir /run/s6-rc/servicedirs/$s
	printf '#!/bin/sh\nexec sleep 1000004\n' >/run/s6-rc/servicedirs/$s/run
	chmod 755 /run/s6-rc/servicedirs/$s/run
	ln -s /run/s6-rc/servicedirs/$s /run/service/$s
done
(
	for s in dashboard s6rc-oneshot-runner; do until s6-svok /run/service/$s; do sleep 0.1; done; done
	chown hermes:hermes /run/service /run/service/.s6-svscan /run/service/.s6-svscan/*
	pintle --engine s6 permit --user hermes /run/s6-rc/servicedirs
	pintle --engine s6 reconcile && echo reconciled || echo "reconciled, but for some"
) 2>&1 &
exec s6-svscan /run/service
`

// driveStart starts such a container; its /run is new at each start.
func driveStart(t *testing.T) *dockertest.Container {
	t.Helper()
	dockertest.Require(t)
	files, err := s6Files()
	if err != nil {
		t.Skipf("skipped: s6 and execline of Debian are not here: %v", err)
	}
	config, err := os.ReadFile("../../examples/hermes/pintle.yaml")
	if err != nil {
		t.Fatal(err)
	}
	context := map[string]string{"boot": driveBoot, "pintle.yaml": strings.Replace(string(config), "stop_grace_period: 20s", "stop_grace_period: 2s", 1)}
	for name, text := range files {
		context[name] = text
	}
	for _, name := range []string{"s6-svscan", "s6-supervise"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("skipped: Debian's %s is not here: %v", name, err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		context["s6/usr/bin/"+name] = string(text)
	}
	image := dockertest.Derive(t, `FROM reference
COPY s6 /
COPY boot /usr/local/bin/boot
COPY pintle.yaml /etc/pintle/pintle.yaml
RUN chmod 0755 /usr/local/bin/boot /usr/bin/s6-* /usr/bin/execlineb /usr/lib/execline/bin/*
ENV PINTLE_ENGINE=s6
ENTRYPOINT ["/usr/local/bin/boot"]
`, context)
	c := dockertest.Start(t, dockertest.Options{Image: image, Flags: []string{"--tmpfs", "/run:exec,mode=755"}})
	prints(t, c, "reconciled")
	return c
}

// driveSupervisors counts s6's supervisors of a name.
func driveSupervisors(c *dockertest.Container, name string) (n int) {
	for _, p := range c.Top() {
		if p.Args == "s6-supervise "+name || p.Args == "s6-supervise "+name+"/log" {
			n++
		}
	}
	return n
}

// TestPintleDrivesS6: under a real s6-svscan, hermes creates, stops, starts, restarts and removes instances with pintle's
// commands, waits for them and asks why, also services of root's that he was permitted to control, and s6's own are left
// alone. What he wants holds after a restart of the container, and one bad thing keeps no other instance from being there.
func TestPintleDrivesS6(t *testing.T) {
	t.Parallel()
	c := driveStart(t)
	do := func(code int, says1 string, args ...string) {
		t.Helper()
		says(t, pintle(c, "hermes", args...), code, says1)
	}
	if p, _ := find(c.Top(), "s6-svscan /run/service"); p.PID != 1 || p.UID != 0 {
		t.Errorf("s6-svscan is %+v", p)
	}
	manageConf(t, c, "coder", "HERMES_GATEWAY_TERM_EXIT=75")
	do(0, "gateway@coder", "create", "gateway@coder")
	do(0, "", "wait", "gateway@coder", "--for", "up", "--timeout", "30s")
	const args = "hermes -p coder gateway run --replace"
	first := processOf(t, c, args)
	if first.UID != hermes {
		t.Errorf("the gateway is %+v", first)
	}
	do(0, "up", "status", "gateway@coder")
	do(0, "gateway@coder", "why", "gateway@coder")
	do(0, "gateway@coder", "restart", "gateway@coder")
	dockertest.Eventually(t, soon, func() (bool, string) {
		p, found := find(c.Top(), args)
		return found && p.PID != first.PID, fmt.Sprintf("%+v", p)
	}, "the gateway is another one")
	do(0, "down", "stop", "gateway@coder")
	if p, found := find(c.Top(), args); found {
		t.Errorf("it is down, and there is %+v", p)
	}
	do(0, "", "wait", "gateway@coder", "--for", "down", "--timeout", "30s")
	do(0, "stopped", "why", "gateway@coder")
	do(0, "gateway@coder", "start", "gateway@coder")
	dockertest.Eventually(t, soon, func() (bool, string) {
		r := c.Exec("hermes", "cat", "/opt/data/logs/gateways/coder/current")
		return strings.Contains(r.Stdout, "gateway coder: starting"), r.String()
	}, "its log is kept")

	// One that ignores TERM is stopped and removed in the time that it has, and nothing of it is left.
	manageConf(t, c, "deaf", "HERMES_GATEWAY_IGNORE_TERM=1")
	do(0, "gateway@deaf", "create", "gateway@deaf")
	do(0, "", "wait", "gateway@deaf", "--for", "up", "--timeout", "30s")
	do(0, "gateway@deaf", "remove", "gateway@deaf")
	if n := driveSupervisors(c, "gateway@deaf"); n != 0 || c.Exec("root", "ls", "-d", "/run/service/gateway@deaf").Code == 0 {
		t.Errorf("gateway@deaf is removed, and %d supervisors or its directory are left: %+v", n, c.Top())
	}
	do(4, "gateway@deaf", "start", "gateway@deaf", "--timeout", "10s")

	// Root's.
	do(0, "dashboard", "stop", "dashboard")
	do(0, "dashboard", "start", "dashboard")
	do(4, "no such unit", "stop", "s6rc-oneshot-runner")
	if r := pintle(c, "hermes", "status"); strings.Contains(r.Stdout, "s6rc") || !strings.Contains(r.Stdout, "dashboard") {
		t.Errorf("hermes sees %s", r)
	}
	modes := "stat -c '%a %U:%G %n' /run/s6-rc/servicedirs/*/supervise /run/s6-rc/servicedirs/*/supervise/control"
	if r := c.Exec("root", "sh", "-c", modes); !strings.Contains(r.Stdout, "710 root:hermes /run/s6-rc/servicedirs/dashboard/supervise\n") ||
		!strings.Contains(r.Stdout, "700 root:root /run/s6-rc/servicedirs/s6rc-oneshot-runner/supervise\n") ||
		!strings.Contains(r.Stdout, "600 root:root /run/s6-rc/servicedirs/s6rc-oneshot-runner/supervise/control\n") {
		t.Errorf("who may control what: %s", r)
	}
	if r := pintle(c, "12345", "stop", "gateway@coder"); r.Code == 0 {
		t.Errorf("a stranger stops it: %s", r)
	}

	// The container's next life.
	do(0, "gateway@idle", "create", "--down", "gateway@idle")
	do(0, "gateway@bad", "create", "gateway@bad")
	succeeds(t, c.Exec("hermes", "sh", "-ec", `cd /opt/data; mkdir "profiles/Bad Name"; touch "profiles/Bad Name/SOUL.md"; mkdir -p profiles/found; touch profiles/found/SOUL.md
		printf '\377{' >.pintle/intents/gateway@bad.json`))
	c.Restart("-t", "30")
	dockertest.Eventually(t, soon, func() (bool, string) {
		stdout, stderr := c.Logs()
		return strings.Count(stdout+stderr, "\nreconciled") == 2, stdout + stderr
	}, "the instances are there again")
	do(0, "", "wait", "gateway@coder", "--for", "up", "--timeout", "30s")
	for name, state := range map[string]unit.State{"gateway@coder": unit.Up, "gateway@idle": unit.Down, "gateway@found": unit.Down, "gateway@default": unit.Down} {
		if s := statuses(t, pintle(c, "hermes", "status", "-o", "json", name))[name]; s.State != state {
			t.Errorf("%s is %s after the restart: %s", name, s.State, s.Because)
		}
	}
	stdout, stderr := c.Logs()
	for _, text := range []string{"gateway@coder: restored, up", "gateway@idle: restored, down", "gateway@found: restored, down", "Bad Name", "gateway@bad"} {
		if !strings.Contains(stdout+stderr, text) {
			t.Errorf("%q is not said:\n%s%s", text, stdout, stderr)
		}
	}
	do(0, "gateway@coder", "remove", "gateway@coder")
	if n := driveSupervisors(c, "gateway@coder"); n != 0 {
		t.Errorf("%d supervisors are left", n)
	}
	if _, took := c.Stop("-t", "60"); took > 30*time.Second {
		t.Errorf("docker stop took %s", took)
	}
}
