package reference_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// scaleProfiles is how many profiles there are.
const scaleProfiles = 1000

// scaleSoon bounds a wait for all of them.
const scaleSoon = 2 * time.Minute

// A volume with a thousand profiles of before, all of them running: they are found, come up and stay up, though one more
// never does; the next one is up within two seconds of its marker, though it is made on the host; and when the container
// is killed, all of them come up again, and the boot report has a line for each (B54, B99, U28, U36).
func TestAThousandProfiles(t *testing.T) {
	t.Parallel()
	image := manageImage(t, "", "max: 64", "max: 1100",
		`command: [hermes, -p, "%i", gateway, run, --replace]`, "command: [sleep, infinity]",
		"    overrides:\n", "    overrides:\n      broken: {command: [\"false\"]}\n")
	home := hostHome(t)
	want := []string{}
	for i := range scaleProfiles {
		want = append(want, fmt.Sprintf("p%d", i))
		scaleProfile(t, home, want[i])
	}
	scaleProfile(t, home, "broken")

	c := dockertest.Start(t, dockertest.Options{
		Image: image, Flags: []string{"-v", home + ":/opt/data"}, Deadline: 2 * scaleSoon,
	}, "sleep", "infinity")
	answers(t, c)
	first := scaleUp(t, c, want)
	t.Logf("the first start: all are up %.1f s after the container began", scaleTook(t, c, first).Seconds())
	report := scaleReport(t, home, "", want)

	// One more, five times. Nobody else is disturbed by that, and not by the one that fails.
	busy := scaleBusy(t, c)
	began := time.Now()
	var took []time.Duration
	for i := range 5 {
		name := fmt.Sprintf("late%d", i)
		marked := scaleProfile(t, home, name)
		took = append(took, becomes(t, c, "gateway@"+name, unit.Up).Since.Sub(marked))
		scaleSteady(t, first, statuses(t, pintle(c, "0", "status", "-o", "json")))
	}
	slices.Sort(took)
	t.Logf("one more is up after %v", took)
	if took[2] > 2*time.Second {
		t.Errorf("one more is up %v after its marker was made, and not within 2 s", took)
	}
	scaleCost(t, c, scaleBusy(t, c)-busy, time.Since(began))
	if s := status(t, c, "gateway@broken"); s.Run < 2 || s.Last == nil || s.Last.Exit.Code != 1 {
		t.Errorf("the one that fails is %+v", s)
	}

	c.Kill("KILL")
	c.Wait()
	c.StartAgain()
	answers(t, c)
	second := scaleUp(t, c, want)
	t.Logf("after a SIGKILL: all are up %.1f s after the container began", scaleTook(t, c, second).Seconds())
	for name, s := range second {
		if s.Reason != unit.AtBoot {
			t.Fatalf("%s is up because of %s", name, s.Reason)
		}
	}
	scaleReport(t, home, report, append(want, "late0", "late4"))

	_, stopped := c.Stop()
	t.Logf("all of them are stopped in %.1f s", stopped.Seconds())
}

// scaleProfile makes a profile of before on the host, and returns when it had its marker.
func scaleProfile(t *testing.T, home, name string) (marked time.Time) {
	t.Helper()
	dir := filepath.Join(home, "profiles", name)
	marker := filepath.Join(dir, "SOUL.md")
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.Chown(dir, hermes, hermes)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "gateway_state.json"), []byte(`{"desired_state":"running"}`), 0o644)
	}
	if err == nil {
		err = os.WriteFile(marker, nil, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(marker)
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}

// scaleUp waits until all profiles are up, each in its first run. It is asked in the container, once a second, because
// to ask is more work than to be up.
func scaleUp(t *testing.T, c *dockertest.Container, names []string) map[string]engine.Status {
	t.Helper()
	r := c.Exec("0", "timeout", fmt.Sprint(scaleSoon.Seconds()), "sh", "-c", fmt.Sprintf(
		`until [ "$(pintle status -o json 'gateway@p*' | grep -o '"state": *"up"' | wc -l)" = %d ]; do sleep 1; done`, len(names)))
	all := statuses(t, pintle(c, "0", "status", "-o", "json"))
	up := map[string]engine.Status{}
	states := map[unit.State]int{}
	for _, name := range names {
		s := all["gateway@"+name]
		up["gateway@"+name] = s
		states[s.State]++
	}
	if r.Code != 0 || states[unit.Up] != len(names) {
		t.Fatalf("not all profiles are up: %v\n%s", states, r)
	}
	scaleSteady(t, up, all)
	return up
}

// scaleSteady fails the test where one of the units is not in its first run, or in another one than it was.
func scaleSteady(t *testing.T, units, all map[string]engine.Status) {
	t.Helper()
	for name, was := range units {
		if s := all[name]; s.State != unit.Up || s.Run != 1 || s.Failures != 0 || s.Last != nil || s.PID != was.PID {
			t.Fatalf("%s was up in run %d (pid %d), and is %+v", name, was.Run, was.PID, s)
		}
	}
}

// scaleTook is how long after the container's beginning the last of the units was up.
func scaleTook(t *testing.T, c *dockertest.Container, units map[string]engine.Status) time.Duration {
	t.Helper()
	began, err := time.Parse(time.RFC3339Nano, c.Inspect("{{.State.StartedAt}}"))
	if err != nil {
		t.Fatal(err)
	}
	last := began
	for _, s := range units {
		if s.Since.After(last) {
			last = s.Since
		}
	}
	return last.Sub(began)
}

// scaleBusy is how long pintle has been at work, its children not counted.
func scaleBusy(t *testing.T, c *dockertest.Container) time.Duration {
	t.Helper()
	stat := succeeds(t, c.Exec("0", "cat", "/proc/1/stat"))
	_, rest, _ := strings.Cut(stat, ") ")
	fields := strings.Fields(rest)
	var ticks time.Duration
	for _, field := range fields[11:13] { // utime and stime: proc_pid_stat(5)
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += time.Duration(n)
	}
	return ticks * time.Second / 100
}

// scaleCost logs what pintle needs.
func scaleCost(t *testing.T, c *dockertest.Container, busy, of time.Duration) {
	t.Helper()
	text := succeeds(t, c.Exec("0", "cat", "/proc/1/status"))
	memory := regexp.MustCompile(`VmRSS:\s*(.*)`).FindStringSubmatch(text)
	descriptors := succeeds(t, c.Exec("0", "sh", "-c", "ls /proc/1/fd | wc -l"))
	t.Logf("pintle has %s resident, %s descriptors, and was at work for %v of %v",
		memory[1], strings.TrimSpace(descriptors), busy, of.Round(time.Millisecond))
}

var scaleLine = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} profile=(\S+) prior_state=(\S+) action=(\S+) prior_exit=(clean|unclean|unknown)$`)

// scaleReport waits until the boot report has a line more for each profile, and one only; it returns all of the report.
func scaleReport(t *testing.T, home, before string, names []string) string {
	t.Helper()
	var report, news string
	dockertest.Eventually(t, soon, func() (bool, string) {
		text, err := os.ReadFile(filepath.Join(home, "logs", "container-boot.log"))
		report = string(text)
		grown := false
		news, grown = strings.CutPrefix(report, before)
		return grown && strings.HasSuffix(news, "\n"), fmt.Sprintf("%d bytes: %v", len(news), err)
	}, "there is a boot report")
	lines := map[string]string{}
	for line := range strings.Lines(news) {
		parts := scaleLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		switch {
		case parts == nil:
			t.Fatalf("the boot report says %q", line)
		case lines[parts[1]] != "":
			t.Fatalf("the boot report speaks twice of %s", parts[1])
		}
		lines[parts[1]] = parts[2] + " " + parts[3]
	}
	for _, name := range names {
		if got := lines[name]; got != "running started" {
			t.Fatalf("the boot report says of %s: %q", name, got)
		}
	}
	return report
}
