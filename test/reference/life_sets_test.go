package reference_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// lifeEscape has nothing in common with what started it: no environment, so no mark; another session and group; and its
// parent has ended, so that it is pintle's child. It ignores TERM.
const lifeEscape = `env -i setsid sh -c '(trap \"\" TERM; exec sleep 7700) & exit 0'; `

const lifeSets = `
main: {command: [sleep, infinity]}
services:
  leaver: {command: [sh, -c, "ESCAPE exec sleep 7701"], stop_grace_period: 500ms}
`

// lifeEscapee is the process, and whether it is there.
func lifeEscapee(t *testing.T, c *dockertest.Container) (dockertest.Process, bool) {
	t.Helper()
	return find(c.Top(), "sleep 7700")
}

// lifeEscaped waits until the escapee has lost its parent.
func lifeEscaped(t *testing.T, c *dockertest.Container) {
	t.Helper()
	becomes(t, c, "leaver", unit.Up)
	dockertest.Eventually(t, soon, func() (bool, string) {
		p, found := lifeEscapee(t, c)
		leader, up := find(c.Top(), "sleep 7701")
		return found && up && p.PPID == leader.PPID && p.SID != leader.SID, fmt.Sprintf("%+v", p)
	}, "the escapee is pintle's child, in a session of its own")
}

// With a cgroup for each run nothing escapes: stopped means that no process of it
// is left, whatever it did to be taken for somebody else's (promise 4, U55); and of
// pintle's cgroups nothing is left when it ends.
func TestNothingEscapesFromACgroup(t *testing.T) {
	t.Parallel()
	image := lifeImage(t, map[string]string{"sets": strings.ReplaceAll(lifeSets, "ESCAPE", lifeEscape)})
	// Here pintle is not PID 1, so that somebody is left who can look.
	const look = `
		grep -q ' /sys/fs/cgroup .* cgroup2 ' /proc/self/mountinfo || mount -t cgroup2 none /sys/fs/cgroup || exit 99
		pintle init &
		wait $!
		echo "pintle ended with $?"
		ps -eo pid,args --no-headers | grep 'sleep 77' | grep -v grep
		echo "end of list"
		sleep infinity`
	c := boot(t, lifeOptions(image, "sets", "--cgroupns", "private", "--cap-add", "SYS_ADMIN",
		"--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--entrypoint", "sh"), "-c", look)
	says(t, pintle(c, "0", "status", "-o", "wide"), 0, "process sets: cgroup v2\n")
	lifeEscaped(t, c)
	in := succeeds(t, c.Exec("0", "sh", "-c", fmt.Sprintf("cat /proc/%d/cgroup", status(t, c, "leaver").PID)))
	base := regexp.MustCompile(`pintle\.[a-z0-9]+`).FindString(in)
	if base == "" || !strings.Contains(in, "/"+base+"/leaver.1\n") {
		t.Fatalf("the service is in %s", in)
	}
	search := []string{"find", "/sys/fs/cgroup", "-name", base} // others' may be there too: the hierarchy can be the machine's
	if there := succeeds(t, c.Exec("0", search...)); !strings.Contains(there, base) {
		t.Fatalf("%s is not in /sys/fs/cgroup: %s", base, there)
	}
	lifeLacks(t, "why main", pintle(c, "0", "why", "main").Stdout, "belongs to no unit", "belong to no unit")

	says(t, pintle(c, "0", "stop", "leaver"), 0, "leaver is down")
	if p, left := lifeEscapee(t, c); left {
		t.Errorf("the service was stopped, and there is %+v", p)
	}
	if s := status(t, c, "leaver"); !s.Last.Killed { // the escapee ignores TERM; its leader did not
		t.Errorf("nobody is said to have been killed: %+v", s.Last)
	}
	says(t, pintle(c, "0", "why", "leaver"), 0, "what was left of it was killed when its grace period was over")

	// And at the container's end, or rather pintle's.
	succeeds(t, pintle(c, "0", "start", "leaver"))
	lifeEscaped(t, c)
	succeeds(t, c.Exec("0", "kill", "-TERM", fmt.Sprint(processOf(t, c, "pintle init").PID)))
	prints(t, c, "end of list")
	stdout, stderr := c.Logs()
	if !strings.HasSuffix(stdout, "pintle ended with 143\nend of list\n") {
		t.Errorf("want main's exit code and no process:\n%s%s", stdout, stderr)
	}
	if left := c.Exec("0", search...); strings.Contains(left.Stdout, base) {
		t.Errorf("of pintle's cgroups there is left: %s", left)
	}
}

// Without cgroups such a process belongs to nobody: it is listed as a stray, where
// somebody would look for it, and it ends with the container (promise 4, as far as
// the kernel lets it be kept).
func TestAnEscapeeWithoutACgroupIsAStray(t *testing.T) {
	t.Parallel()
	image := lifeImage(t, map[string]string{"sets": strings.ReplaceAll(lifeSets, "ESCAPE", lifeEscape)})
	// Here pintle is not PID 1, so that it isn't the kernel that ends the rest.
	const look = `
		pintle init &
		wait $!
		echo "pintle ended with $?"
		ps -eo pid,args --no-headers | grep 'sleep 77' | grep -v grep
		echo "end of list"
		sleep infinity`
	c := boot(t, lifeOptions(image, "sets", "--entrypoint", "sh"), "-c", look)
	says(t, pintle(c, "0", "status", "-o", "wide"), 0, "process sets: session, process group, descent and mark\n")
	var p dockertest.Process
	for left, try := false, 1; !left; try++ {
		lifeEscaped(t, c)
		says(t, pintle(c, "0", "stop", "leaver"), 0, "leaver is down")
		// It is found all the same where pintle happens to look before it has lost its parent.
		if p, left = lifeEscapee(t, c); !left {
			if try == 5 {
				t.Fatal("it never escaped")
			}
			succeeds(t, pintle(c, "0", "start", "leaver"))
		}
	}
	sentence := fmt.Sprintf("1 process belongs to no unit: sleep (pid %d); it ends with the container.", p.PID)
	for _, name := range []string{"main", "leaver"} {
		dockertest.Eventually(t, soon, func() (bool, string) { // what is listed may be a second old
			r := pintle(c, "0", "why", name)
			return strings.Contains(r.Stdout, sentence), r.String()
		}, name+" is explained with "+sentence)
	}
	succeeds(t, c.Exec("0", "kill", "-TERM", fmt.Sprint(processOf(t, c, "pintle init").PID)))
	prints(t, c, "end of list")
	stdout, stderr := c.Logs()
	if stdout != "pintle ended with 143\nend of list\n" {
		t.Errorf("want main's exit code and no process:\n%s%s", stdout, stderr)
	}
}
