package reference_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// A state directory whose disk is full stops nobody: desired states are then in memory only, which is a condition in
// status and in the metrics of a dashboard that has no rights at all, until the disk has room again.
func TestAFullStateDirectoryIsAConditionAndAMetric(t *testing.T) {
	t.Parallel()
	image := dockertest.Derive(t, "FROM reference\nCOPY metrics.yaml /etc/pintle/metrics.yaml\n", map[string]string{"metrics.yaml": `
main: {command: [sleep, infinity]}
services:
  metrics: {command: [pintle, dashboard], user: nobody, readiness: {http: "http://127.0.0.1:9180/metrics"}}
  witness: {command: [sleep, infinity]}
state_directory: /state/pintle
`})
	c := boot(t, dockertest.Options{Image: image, Flags: []string{
		"-e", "PINTLE_CONFIG=/etc/pintle/metrics.yaml", "--tmpfs", "/state:size=512k,mode=0755",
	}})
	before := becomes(t, c, "metrics", unit.Up)
	if p := processOf(t, c, "pintle dashboard"); p.UID != 65534 || p.PID != before.PID {
		t.Errorf("the dashboard is %+v", p)
	}
	metricsShow(t, c, "pintle_state_durable 1", `pintle_condition{condition="state-in-memory"} 0`,
		`pintle_unit_state{unit="witness",kind="service",state="up"} 1`, `pintle_unit_runs_total{unit="witness",kind="service"} 1`)

	succeeds(t, c.Exec("0", "sh", "-c", "dd if=/dev/zero of=/state/fill bs=1k 2>/dev/null; test -s /state/fill"))
	says(t, pintle(c, "0", "stop", "witness"), 0, "witness is down")
	metricsShow(t, c, "pintle_state_durable 0", `pintle_condition{condition="state-in-memory"} 1`,
		`pintle_unit_state{unit="witness",kind="service",state="down"} 1`)
	says(t, pintle(c, "0", "status"), 0, "condition: desired states are kept in memory only: cannot write /state/pintle/intents/witness.json: no space left on device")
	if text := succeeds(t, pintle(c, "nobody", "status")); !strings.Contains(text, "condition: desired states are kept in memory only\n") || strings.Contains(text, "/state") {
		t.Errorf("a stranger is told\n%s", text)
	}

	succeeds(t, c.Exec("0", "rm", "/state/fill"))
	metricsShow(t, c, "pintle_state_durable 1", `pintle_condition{condition="state-in-memory"} 0`)
	says(t, pintle(c, "0", "start", "witness"), 0, "witness is up")
	says(t, pintle(c, "0", "stop", "witness"), 0, "witness is down") // the records that wait are written with the next
	metricsShow(t, c, "pintle_state_durable 1", `pintle_condition{condition="runs-in-memory"} 0`, `pintle_unit_runs_total{unit="witness",kind="service"} 2`)
	says(t, c.Exec("0", "cat", "/state/pintle/intents/witness.json"), 0, `"down"`)
	if s := status(t, c, "metrics"); s.PID != before.PID || s.Run != before.Run {
		t.Errorf("the dashboard is another one: pid %d, run %d; it was pid %d, run %d", s.PID, s.Run, before.PID, before.Run)
	}

	succeeds(t, pintle(c, "0", "stop", "metrics"))
	if s := status(t, c, "metrics"); s.Last == nil || s.Last.Exit != (unit.Exit{}) || s.Last.Killed {
		t.Errorf("told to end, the dashboard ended with %+v", s.Last)
	}
}

// metricsShow waits until the metrics, read by a user without rights, have all the lines.
func metricsShow(t *testing.T, c *dockertest.Container, lines ...string) {
	t.Helper()
	dockertest.Eventually(t, 2*time.Minute, func() (bool, string) { // a failed write is repeated within 30 s
		r := c.Exec("nobody", "busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:9180/metrics")
		for _, line := range lines {
			if r.Code != 0 || !strings.Contains(r.Stdout, line+"\n") {
				return false, fmt.Sprintf("no %s in %s", line, r)
			}
		}
		return true, ""
	}, "the metrics show "+strings.Join(lines, ", "))
}
