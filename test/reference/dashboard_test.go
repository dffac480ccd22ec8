package reference_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// dashboardArgs is the dashboard's command line where nothing is overridden.
const dashboardArgs = "hermes dashboard --host 127.0.0.1 --port 9119 --no-open"

// Off by default, and honest about it: disabled, with the variable named as the
// reason, for everybody who asks (B86, B87).
func TestDashboardIsDisabledByDefault(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{}, "sleep", "infinity")
	const because = "HERMES_DASHBOARD is not set"

	for _, user := range []string{"root", "hermes", "12345"} {
		r := pintle(c, user, "status", "-o", "json", "dashboard")
		s := statuses(t, r)["dashboard"]
		if r.Code != 3 || s.State != unit.Disabled || s.Because != because || s.Reason != unit.SwitchedOff {
			t.Errorf("%s sees %s because %q (%s)\n%s", user, s.State, s.Because, s.Reason, r)
		}
		if r := pintle(c, user, "status"); !strings.Contains(r.Stdout, because) {
			t.Errorf("%s sees a table without the reason: %s", user, r)
		}
	}
	r := pintle(c, "root", "why", "dashboard")
	says(t, r, 0, "dashboard is disabled", because)
	r = pintle(c, "root", "start", "dashboard")
	says(t, r, 1, "cannot start dashboard", "disabled", because)
	r = pintle(c, "root", "healthcheck")
	says(t, r, 0, "healthy")
	for _, p := range c.Top() {
		if strings.Contains(p.Args, "hermes dashboard") {
			t.Errorf("it runs: %+v", p)
		}
	}
}

// What a person means by yes and no is understood (B86).
func TestDashboardIsSwitchedByAnyBoolean(t *testing.T) {
	t.Parallel()
	for word, state := range map[string]unit.State{
		"1": unit.Up, "true": unit.Up, "YES": unit.Up,
		"0": unit.Disabled, "No": unit.Disabled, "": unit.Disabled,
	} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			c := boot(t, dockertest.Options{Flags: []string{"-e", "HERMES_DASHBOARD=" + word}}, "sleep", "infinity")
			s := becomes(t, c, "dashboard", state)
			if state == unit.Disabled {
				if !strings.Contains(s.Because, "HERMES_DASHBOARD") {
					t.Errorf("the reason is %q", s.Because)
				}
				return
			}
			if p := processOf(t, c, dashboardArgs); p.PID != s.PID || p.UID != hermes || p.SID != p.PID {
				t.Errorf("pid %d is up, and its process is %+v", s.PID, p)
			}
			if !listens(t, c, 9119) {
				t.Error("it is up, and nothing listens on its port")
			}
		})
	}
}

// A word that is no boolean is an error with file, line and column, not a quiet
// "off"; nothing is started.
func TestDashboardSwitchThatIsNoBooleanIsRefused(t *testing.T) {
	t.Parallel()
	r := dockertest.Run(t, dockertest.Options{Flags: []string{"-e", "HERMES_DASHBOARD=maybe"}}, "echo", "main ran")
	says(t, r, 125, "pintle: /etc/pintle/pintle.yaml:8:14: ", "HERMES_DASHBOARD", "no boolean")
	if r.Stdout != "" || strings.Contains(r.Stderr, "started") {
		t.Errorf("something was started: %s", r)
	}
}

// The port is the container's to choose (B88), and readiness follows it: the
// dashboard is up once its port accepts connections, and not before.
func TestDashboardIsUpOnceItsPortIsOpen(t *testing.T) {
	t.Parallel()
	// The main program watches from the first moment on. It reads the state first: a port never closes again.
	const watch = `
		until [ "$state" = up ]; do
			state=$(pintle status dashboard -o json | sed -n 's/.*"state": "\(.*\)",/\1/p')
			port=closed
			grep -q ' 0100007F:23A0 00000000:0000 0A ' /proc/net/tcp && port=open
			echo "$state and $port"
		done
		echo watched
		sleep infinity`
	c := boot(t, dockertest.Options{Flags: []string{
		"-e", "HERMES_DASHBOARD=1", "-e", "HERMES_DASHBOARD_PORT=9120", "-e", "HERMES_DASHBOARD_READY_AFTER=2s",
	}}, "sh", "-c", watch)

	prints(t, c, "watched")
	seen, _ := c.Logs()
	if strings.Contains(seen, "up and closed") {
		t.Errorf("it was up before its port was open:\n%s", seen)
	}
	if !strings.Contains(seen, "starting and closed") {
		t.Errorf("it was never seen starting:\n%s", seen)
	}
	if listens(t, c, 9119) {
		t.Error("something listens on the port that was overridden")
	}
	if s := status(t, c, "dashboard"); s.ReadyBy != "tcp 127.0.0.1:9120" {
		t.Errorf("it is said to be ready by %q", s.ReadyBy)
	}
	page := c.Exec("", "busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:9120/healthz")
	says(t, page, 0, "ok")
}

// While it does not answer it is starting, and everybody who asks is told what
// is waited for; what makes it up is the port and nothing else.
func TestDashboardThatDoesNotAnswerIsWaitedFor(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Flags: []string{
		"-e", "HERMES_DASHBOARD=1", "-e", "HERMES_DASHBOARD_READY_AFTER=1h",
	}}, "sleep", "infinity")
	const waits = "waiting for 127.0.0.1:9119 to accept a connection"

	dockertest.Eventually(t, soon, func() (bool, string) {
		s := status(t, c, "dashboard")
		return strings.HasPrefix(s.Because, waits) && s.State == unit.Starting, fmt.Sprintf("%s: %s", s.State, s.Because)
	}, "the dashboard is "+waits)
	says(t, pintle(c, "", "why", "dashboard"), 0, "has been starting", waits)
	says(t, pintle(c, "", "healthcheck"), 3, "not healthy: dashboard is starting ("+waits)
	says(t, pintle(c, "", "wait", "dashboard", "--for", "up", "--timeout", "200ms"), 1, "starting")

	// Somebody else opens the port.
	succeeds(t, dockertest.Docker(t, "exec", "-d", "-e", "HERMES_DASHBOARD_READY_AFTER=", c.Name, "hermes", "dashboard", "--port", "9119"))
	says(t, pintle(c, "", "wait", "dashboard", "--for", "up", "--timeout", "30s"), 0, "dashboard is up")
	says(t, pintle(c, "", "healthcheck"), 0, "healthy")
}

// Killed, it is back under a new pid in under a second (B90), counted inside:
// from its end to its port's accepting connections again. Noise can only make
// that longer, so the best of three tries counts.
func TestDashboardIsBackWithinASecondAfterSIGKILL(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Flags: []string{"-e", "HERMES_DASHBOARD=1"}}, "sleep", "infinity")
	before := becomes(t, c, "dashboard", unit.Up)

	var took []time.Duration
	for range 3 {
		succeeds(t, c.Exec("hermes", "kill", "-KILL", fmt.Sprint(before.PID)))
		var now engine.Status
		dockertest.Eventually(t, soon, func() (bool, string) {
			now = status(t, c, "dashboard")
			return now.State == unit.Up && now.Run > before.Run, fmt.Sprintf("%s: %s", now.State, now.Because)
		}, "the dashboard is back")
		switch {
		case now.PID == before.PID:
			t.Errorf("its pid is %d as before", now.PID)
		case now.Run != before.Run+1 || now.Last.PID != before.PID || now.Last.Exit.Signal != 9 || now.Last.Asked:
			t.Errorf("after run %d (pid %d) was killed it is at run %d, and the last ended so: %+v", before.Run, before.PID, now.Run, now.Last)
		case !strings.HasPrefix(now.Because, fmt.Sprintf("started again after run %d was killed by SIGKILL after ", before.Run)):
			t.Errorf("it is up because %q", now.Because)
		}
		took = append(took, now.Since.Sub(now.Last.Ended))
		if took[len(took)-1] < time.Second {
			return
		}
		// Somebody's restart forgets the crash: the next one is again the first in a row.
		succeeds(t, pintle(c, "", "restart", "dashboard"))
		before = becomes(t, c, "dashboard", unit.Up)
	}
	t.Errorf("it was back after %v", took)
}

// Exit code 78, a configuration that cannot work, is final, also with restart:
// always: failed, with the reason, and not started again (B91, U43, U46).
func TestDashboardThatExitsWith78IsNotRestarted(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Flags: []string{"-e", "HERMES_DASHBOARD=1", "-e", "HERMES_DASHBOARD_EXIT=78"}}, "sleep", "infinity")
	s := becomes(t, c, "dashboard", unit.Failed)
	if s.Run != 1 || s.Last.Exit.Code != 78 || s.Reason != unit.ExitRule || !s.Next.IsZero() || s.Desired != "up" {
		t.Errorf("its status is %+v, its last run ended %+v", s, s.Last)
	}
	says(t, pintle(c, "", "why", "dashboard"), 0, "has failed, and has been given up", "exited with code 78", "exit_codes")
	says(t, pintle(c, "", "healthcheck"), 3, "not healthy: dashboard is failed", "exited with code 78")
	// Longer than the backoff would be.
	says(t, pintle(c, "", "wait", "dashboard", "--for", "up", "--timeout", "1s"), 3, "failed")
	if again := status(t, c, "dashboard"); again.Run != 1 {
		t.Errorf("it was started again: run %d", again.Run)
	}
}

// says fails the test unless the command ended with code and said all of the
// texts, on either stream.
func says(t *testing.T, r dockertest.Result, code int, texts ...string) {
	t.Helper()
	if r.Code != code {
		t.Errorf("want exit code %d: %s", code, r)
		return
	}
	for _, text := range texts {
		if !strings.Contains(r.Stdout+r.Stderr, text) {
			t.Errorf("it does not say %q: %s", text, r)
		}
	}
}

// listens tells whether something in the container listens on a TCP port of 127.0.0.1.
func listens(t *testing.T, c *dockertest.Container, port int) bool {
	t.Helper()
	table := succeeds(t, c.Exec("", "cat", "/proc/net/tcp"))
	return strings.Contains(table, fmt.Sprintf(" 0100007F:%04X 00000000:0000 0A ", port))
}
