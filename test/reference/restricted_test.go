package reference_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// The conditions that a restriction may leave behind. They are all that is different.
const (
	oneUser  = "pintle runs as uid 12345 and can't switch users: all units run as uid 12345"
	inMemory = "desired states are kept in memory only: cannot open /opt/data/.pintle: "
	notMade  = "cannot prepare /opt/data/profiles, /opt/data/cron, /opt/data/sessions and /opt/data/.env: "
	noLogs   = "cannot prepare /opt/data/logs/gateways: /opt/data/logs: "
	denied   = "permission denied"
	readOnly = "read-only file system"
	rootsOwn = "cannot prepare /opt/data: it belongs to 0:0 and can't be given to 10000:10000: read-only file system"
)

// noData leaves nothing in /opt/data to write to. Docker would make a volume there otherwise.
const noData = "/opt/data:ro,mode=0755"

// TestPromise1WorksAtAnyPIDAsAnyUserOnAReadOnlyRoot: the same functions, however restricted the container is
// (B3, B18, B23, B24, U21, U23, U24, U25).
func TestPromise1WorksAtAnyPIDAsAnyUserOnAReadOnlyRoot(t *testing.T) {
	t.Parallel()
	noUsers := dockertest.Derive(t, "FROM reference\nRUN sed -i /user:.hermes/d /etc/pintle/pintle.yaml\n", nil)
	shell := []string{"--entrypoint", "bash"}
	for _, r := range []restriction{
		{name: "none", uid: hermes},

		{name: "not PID 1", flags: []string{"--init"}, uid: hermes, notPID1: true},
		{name: "as hermes", flags: []string{"--user", "10000:10000"}, uid: hermes},
		{name: "as nobody in particular", flags: []string{"--user", "12345:12345"}, uid: 12345,
			conditions: []string{notMade + denied, noLogs + denied, oneUser, inMemory + denied}},

		{name: "read-only, with one tmpfs", flags: []string{"--read-only", "--tmpfs", "/run", "--tmpfs", noData}, uid: hermes,
			conditions: []string{rootsOwn, notMade + readOnly, noLogs + readOnly, inMemory + readOnly}},
		{name: "read-only, with nothing but /dev/shm", flags: []string{"--read-only", "--tmpfs", noData}, uid: hermes,
			conditions: []string{rootsOwn, notMade + readOnly, noLogs + readOnly, inMemory + readOnly}},

		{name: "no capabilities, as hermes", flags: []string{"--cap-drop", "ALL", "--user", "10000:10000"}, uid: hermes},
		{name: "no capabilities, no users", flags: []string{"--cap-drop", "ALL"}, image: noUsers, uid: 0,
			conditions: []string{notMade + denied, noLogs + denied, inMemory + denied}},
		{name: "no capability but those to switch users", uid: hermes,
			flags:      []string{"--cap-drop", "ALL", "--cap-add", "SETUID", "--cap-add", "SETGID"},
			conditions: []string{notMade + denied, noLogs + denied, inMemory + denied}},
		{name: "no new privileges", flags: []string{"--security-opt", "no-new-privileges"}, uid: hermes},

		{name: "in a directory that hermes may not enter", flags: []string{"-w", "/root"}, uid: hermes},
		{name: "no standard streams", flags: shell, wrapper: []string{"-c", `exec pintle init "$@" <&- >&- 2>&-`, "bash"}, uid: hermes},
		{name: "a full pipe that nobody reads", flags: shell, uid: hermes, wrapper: []string{"-c",
			`mkfifo /tmp/pipe; exec pintle init "$@" 1<>/tmp/pipe 2<>/tmp/pipe`, "bash"}},

		{name: "a pipe that nobody has any more", flags: shell, uid: hermes, wrapper: []string{"-c",
			`exec pintle init "$@" 2> >(exec true)`, "bash"},
			conditions: []string{"the console is closed, and shows no output any more: write: broken pipe"}},

		{name: "all at once", uid: 12345, notPID1: true, flags: []string{"--init", "--user", "12345:12345", "--read-only", "--tmpfs", noData,
			"--cap-drop", "ALL", "--security-opt", "no-new-privileges", "-w", "/root"},
			conditions: []string{notMade + readOnly, noLogs + readOnly, oneUser, inMemory + readOnly}},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.check(t)
		})
	}
}

// A restriction of a container. The zero value is none.
type restriction struct {
	name       string
	image      string
	flags      []string // docker run's
	wrapper    []string // what stands before the arguments, where the entry point is another
	uid        int      // who everything runs as
	notPID1    bool
	conditions []string // all that pintle status says of what is not as it should be, or the beginnings of it
}

// check sees to it that in a container that is restricted so all is as it always is.
func (r restriction) check(t *testing.T) {
	t.Helper()
	// Main leaves orphans behind, and exits with 7 when it is told to end.
	const (
		mainCommand      = "hermes trap-exit 7"
		dashboardCommand = "hermes dashboard --host 127.0.0.1 --port 9119 --no-open"
		gatewayCommand   = "hermes -p coder gateway run --replace"
	)
	main := append(r.wrapper, "--", "sh", "-c", "hermes zombies --exit 20; exec "+mainCommand)
	c := boot(t, dockertest.Options{Image: r.image, Flags: append([]string{"-e", "HERMES_DASHBOARD=1"}, r.flags...)}, main...)
	user := strconv.Itoa(r.uid) // a manager, or pintle's own

	// Main and the services run as who they should, as pintle's children, and orphans are reaped.
	succeeds(t, pintle(c, "0", "wait", "dashboard", "--for", "up", "--timeout", "30s"))
	var all []dockertest.Process
	dockertest.Eventually(t, soon, func() (bool, string) {
		all = c.Top()
		_, found := find(all, mainCommand)
		return found && len(all) <= 4, fmt.Sprint(all) // the fourth is docker's own init
	}, "main has left its orphans, and they are gone")
	running, _ := find(all, mainCommand)
	if running.UID != r.uid || (running.PPID != 1) != r.notPID1 {
		t.Errorf("main is %+v", running)
	}
	if p, _ := find(all, dashboardCommand); p.UID != r.uid || p.PPID != running.PPID || p.SID != p.PID {
		t.Errorf("the dashboard is %+v", p)
	}

	// What is not as it should be is said, and nothing else is so.
	var conditions []string
	for line := range strings.Lines(succeeds(t, pintle(c, "0", "status"))) {
		if text, ok := strings.CutPrefix(line, "condition: "); ok {
			conditions = append(conditions, strings.TrimSpace(text))
		}
	}
	if !slices.EqualFunc(conditions, r.conditions, strings.HasPrefix) {
		t.Errorf("the conditions are %q, want %q", conditions, r.conditions)
	}

	// An instance is created, and what it prints is kept.
	succeeds(t, pintle(c, user, "create", "gateway@coder"))
	first := processOf(t, c, gatewayCommand)
	if first.UID != r.uid || first.PPID != running.PPID || first.SID != first.PID {
		t.Errorf("the gateway is %+v", first)
	}
	dockertest.Eventually(t, soon, func() (bool, string) {
		out := succeeds(t, pintle(c, user, "logs", "gateway@coder"))
		return strings.Contains(out, "gateway coder: ready"), out
	}, "the gateway's words are kept")

	// It is started again after a crash, stopped, started and removed.
	succeeds(t, c.Exec(user, "kill", "-9", strconv.Itoa(first.PID)))
	dockertest.Eventually(t, soon, func() (bool, string) {
		s := status(t, c, "gateway@coder")
		return s.State == unit.Up && s.Run == 2 && s.PID != first.PID, fmt.Sprintf("%+v", s)
	}, "the gateway is up again in a new run")
	succeeds(t, pintle(c, user, "stop", "gateway@coder"))
	if s := status(t, c, "gateway@coder"); s.State != unit.Down || s.Last.Run != 2 || s.Last.Killed {
		t.Errorf("stopped, the gateway is %+v", s)
	}
	succeeds(t, pintle(c, user, "start", "gateway@coder"))
	succeeds(t, pintle(c, user, "remove", "gateway@coder"))
	if p, left := find(c.Top(), gatewayCommand); left {
		t.Errorf("the gateway was removed, and is there: %+v", p)
	}

	// The end is main's.
	if code, _ := c.Stop("-t", "60"); code != 7 {
		t.Errorf("the container's exit code is %d, want main's 7", code)
	}
}

// TestAFloodThatNobodyReadsHoldsUpNothing: docker logs that stall are no service's problem, and the container ends.
func TestAFloodThatNobodyReadsHoldsUpNothing(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Flags: []string{"--entrypoint", "bash", "-e", "HERMES_GATEWAY_FLOOD=10MB"}},
		"-c", `mkfifo /tmp/pipe; exec pintle init "$@" 1<>/tmp/pipe 2<>/tmp/pipe`, "bash", "--", "hermes", "trap-exit", "7")
	succeeds(t, pintle(c, "hermes", "create", "gateway@coder"))
	dockertest.Eventually(t, soon, func() (bool, string) {
		out := succeeds(t, pintle(c, "hermes", "logs", "--tail", "2", "gateway@coder"))
		return strings.Contains(out, "flood coder 0000100000 ") && strings.Contains(out, "gateway coder: ready"), out
	}, "the gateway has written all of its flood, and goes on")
	if code, _ := c.Stop("-t", "60"); code != 7 {
		t.Errorf("the container's exit code is %d, want main's 7", code)
	}
}

// TestWhatTheKernelDoesNotAllowIsOneSentence, and the exit code says so too.
func TestWhatTheKernelDoesNotAllowIsOneSentence(t *testing.T) {
	t.Parallel()
	for _, refused := range []struct {
		name     string
		flags    []string
		args     []string
		code     int
		sentence string
	}{
		{
			name: "root cannot become hermes", flags: []string{"--cap-drop", "ALL"}, args: []string{"true"}, code: 126,
			sentence: "pintle: cannot run as user hermes (uid 10000): this container has no CAP_SETUID and CAP_SETGID; leave them in, or start it as that user (docker run --user)",
		},
		{
			// Without a socket there are no commands. The main program is what it always is.
			name: "nothing at all can be written", flags: []string{"--read-only", "--tmpfs", noData, "--ipc", "none"},
			args: []string{"sh", "-c", "pintle status; exit 42"}, code: 42,
			sentence: "pintle | condition: pintle's commands can't reach it: cannot listen: cannot open /run/pintle: read-only file system; ",
		},
		{
			name: "and the command says so", flags: []string{"--read-only", "--tmpfs", noData, "--ipc", "none"},
			args: []string{"pintle", "status"}, code: 69, sentence: "pintle: cannot reach pintle: it does not run here (",
		},
	} {
		t.Run(refused.name, func(t *testing.T) {
			t.Parallel()
			r := dockertest.Run(t, dockertest.Options{Flags: refused.flags}, refused.args...)
			if r.Code != refused.code || strings.Count(r.Stderr, refused.sentence) != 1 {
				t.Errorf("want exit code %d and once %q: %s", refused.code, refused.sentence, r)
			}
		})
	}
}
