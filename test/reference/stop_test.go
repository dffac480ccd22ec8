package reference_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// stopGrace is the grace period of gateways in these tests; the reference's 20 s would only make them longer.
const stopGrace = 2 * time.Second

func stopImage(t *testing.T) string {
	t.Helper()
	return manageImage(t, "", "stop_grace_period: 20s", "stop_grace_period: 2s")
}

// stopStubborn makes a profile whose gateway ignores TERM and starts three
// processes that leave its session, lose their parent and ignore TERM as well.
func stopStubborn(t *testing.T, c *dockertest.Container, profile string) {
	t.Helper()
	manageConf(t, c, profile, "HERMES_GATEWAY_IGNORE_TERM=1\nHERMES_GATEWAY_ESCAPE=3")
}

// stopProcesses are the pids of a gateway and of its escapees.
func stopProcesses(c *dockertest.Container, profile string) (pids []int) {
	for _, p := range c.Top() {
		if p.Args == "hermes -p "+profile+" gateway run --replace" || strings.HasPrefix(p.Args, "hermes escapee "+profile+" ") {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// stopTimed runs a pintle command as hermes, and measures inside the container
// how long it takes, so that docker exec has no part in it.
func stopTimed(t *testing.T, c *dockertest.Container, args ...string) (dockertest.Result, time.Duration) {
	t.Helper()
	r := c.Exec("hermes", append([]string{"bash", "-c",
		`began=$(date +%s%N); pintle "$@"; code=$?; echo "took $(($(date +%s%N) - began))"; exit $code`, "bash"}, args...)...)
	_, number, _ := strings.Cut(r.Stdout, "took ")
	took, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil {
		t.Fatalf("cannot measure pintle %q: %v\n%s", args, err, r)
	}
	return r, time.Duration(took)
}

// Stopped, restarted or removed means that nothing is left: neither of the
// leader, which ignores TERM, nor of what escaped its session. And it is bounded:
// the verb returns within the grace period and a second (U38, U55).
func TestPromise4StoppedMeansThatNoProcessOfItIsLeft(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Image: stopImage(t)}, "--", "hermes", "trap-exit", "7")
	for _, verb := range []string{"stop", "restart", "remove"} {
		stopStubborn(t, c, verb)
		gateway := "gateway@" + verb
		succeeds(t, pintle(c, "hermes", "create", gateway))
		before := stopProcesses(c, verb)
		if len(before) != 4 {
			t.Fatalf("%s has %d processes, want a leader and three escapees: %+v", gateway, len(before), c.Top())
		}
		// How long the verb takes for one that is well-behaved is what the machine is to blame for.
		succeeds(t, pintle(c, "hermes", "create", "gateway@polite"))
		_, usual := stopTimed(t, c, verb, "gateway@polite")

		r, took := stopTimed(t, c, verb, gateway)
		says(t, r, 0, gateway)
		if took < stopGrace {
			t.Errorf("%s took %v: the grace period is %v", verb, took, stopGrace)
		}
		if most := stopGrace + time.Second + usual; took > most {
			t.Errorf("%s took %v, want at most %v", verb, took, most)
		}
		after := stopProcesses(c, verb)
		for _, pid := range before {
			if slices.Contains(after, pid) {
				t.Errorf("after %s pid %d is left: %+v", verb, pid, c.Top())
			}
		}
		switch verb {
		case "stop":
			says(t, r, 0, "gateway@stop is down after", "it had to be killed")
			s := status(t, c, gateway)
			if s.State != unit.Down || !s.Last.Killed || !s.Last.Asked || s.Last.Exit.Signal != 9 || len(s.Remaining) > 0 {
				t.Errorf("it is %s, and its last run ended %+v", s.State, s.Last)
			}
		case "restart":
			says(t, r, 0, "gateway@restart is up after", "its last run had to be killed")
			if len(after) != 4 {
				t.Errorf("the new run has the processes %v", after)
			}
		case "remove":
			says(t, r, 0, "gateway@remove is removed")
		}
		if verb != "restart" && len(after) > 0 {
			t.Errorf("after %s there is a new process: %v", verb, after)
		}
	}
}

// While it stops, it is said who does not end, and what comes next.
func TestStoppingSaysWhoIsLeft(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{}, "sleep", "infinity")
	manageConf(t, c, "stubborn", "HERMES_GATEWAY_ESCAPE=3") // the leader ends, they do not
	succeeds(t, pintle(c, "hermes", "create", "gateway@stubborn"))
	says(t, pintle(c, "hermes", "stop", "gateway@stubborn", "--timeout", "200ms"), 1, "it is still stopping")
	dockertest.Eventually(t, soon, func() (bool, string) {
		s := status(t, c, "gateway@stubborn")
		return len(s.Remaining) == 3 && s.State == unit.Stopping, fmt.Sprintf("%s, left are %v", s.State, s.Remaining)
	}, "three processes are said to be left")
	says(t, pintle(c, "hermes", "why", "gateway@stubborn"), 0, "Left:", "hermes (pid ", "SIGKILL follows in")
	says(t, pintle(c, "hermes", "remove", "gateway@stubborn", "--no-wait"), 0)
	says(t, pintle(c, "hermes", "start", "gateway@stubborn"), 1, "it is being removed")
}

// The end of the container is the end of them all, too: within its budget, and
// with main's exit code.
func TestStopOfTheContainerEndsWhatIgnoresIt(t *testing.T) {
	t.Parallel()
	// Here pintle is not PID 1, so that somebody is left who can look.
	const look = `
		pintle init -- hermes trap-exit 7 &
		wait $!
		echo "pintle ended with $?"
		ps -eo pid,comm --no-headers
		echo "end of list"
		sleep infinity`
	c := boot(t, dockertest.Options{Image: stopImage(t), Flags: []string{"--entrypoint", "sh"}}, "-c", look)
	stopStubborn(t, c, "stubborn")
	succeeds(t, pintle(c, "hermes", "create", "gateway@stubborn"))
	if pids := stopProcesses(c, "stubborn"); len(pids) != 4 {
		t.Fatalf("there are %d stubborn processes, want 4: %+v", len(pids), c.Top())
	}
	prints(t, c, "waiting for TERM") // main
	succeeds(t, c.Exec("root", "kill", "-TERM", fmt.Sprint(processOf(t, c, "pintle init -- hermes trap-exit 7").PID)))
	prints(t, c, "end of list")
	stdout, stderr := c.Logs()
	_, list, _ := strings.Cut(stdout, "pintle ended with 7\n")
	if list == "" || strings.Contains(list, "hermes") || strings.Contains(list, "pintle") {
		t.Errorf("want main's exit code and no process of its, got:\n%s%s", stdout, stderr)
	}
	if strings.Contains(stderr, "giving up") {
		t.Errorf("it gave up: %s", stderr)
	}
}

// docker stop takes as long as the container's own programs take and no longer:
// a container with a dashboard and five gateways ends less than 300 ms later than
// the same main program alone, without pintle (B100, U63).
func TestPromise2DockerStopEndsAsSoonAsEverythingHasEnded(t *testing.T) {
	t.Parallel()
	const most = 300 * time.Millisecond
	main := []string{"hermes", "trap-exit", "7"}
	with := boot(t, dockertest.Options{Flags: []string{"-e", "HERMES_DASHBOARD=1"}}, append([]string{"--"}, main...)...)
	without := dockertest.Start(t, dockertest.Options{Flags: []string{"--entrypoint", main[0]}}, main[1:]...)
	succeeds(t, with.Exec("hermes", "sh", "-ec", "for n in a b c d; do pintle create --no-wait gateway@$n; done; pintle start gateway@default"))

	var times [2][]time.Duration
	difference := func() time.Duration { return stopMedian(times[0]) - stopMedian(times[1]) }
	// The median of five tells, unless the machine is busy with something else; then more will.
	for round := 1; round <= 5 || round <= 15 && difference() >= most; round++ {
		for i, c := range []*dockertest.Container{with, without} {
			if round > 1 {
				c.StartAgain()
			}
			dockertest.Eventually(t, soon, func() (bool, string) {
				stdout, _ := c.Logs()
				return strings.Count(stdout, "waiting for TERM") == round, stdout
			}, "main is ready for TERM")
			if c == with {
				answers(t, c)
				succeeds(t, pintle(c, "root", "wait", "dashboard", "gateway@*", "--for", "up", "--timeout", "30s"))
			}
			code, took := c.Stop("-t", "30")
			if code != 7 {
				t.Errorf("the container's exit code is %d, want main's 7", code)
			}
			times[i] = append(times[i], took)
		}
	}
	if difference() >= most {
		t.Errorf("docker stop took %v with pintle and %v without", times[0], times[1])
	}
	t.Logf("docker stop took %v with pintle and %v without: %v more", stopMedian(times[0]), stopMedian(times[1]), difference())
	_, stderr := with.Logs()
	if strings.Contains(stderr, "killing") {
		t.Errorf("somebody had to be killed:\n%s", stderr)
	}
}

func stopMedian(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}
