package reference_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// orphans is a shell's command that leaves so many orphans to init, which end at once.
func orphans(n int) string {
	return fmt.Sprintf("i=0; while [ $i -lt %d ]; do (: &); i=$((i+1)); done; echo orphaned %[1]d", n)
}

// zombies counts the processes that have ended and were not reaped.
func zombies(c *dockertest.Container) (n int) {
	for _, p := range c.Top() {
		if p.State == "Z" {
			n++
		}
	}
	return n
}

// TestOrphanedZombiesAreGoneWithinASecond: 500 of them (B6, U61). Pintle is held still while they are made, so that
// there are 500 at a time. The control is the same container with docker's own init (tini) and no pintle in it.
func TestOrphanedZombiesAreGoneWithinASecond(t *testing.T) {
	t.Parallel()
	const all = 500
	script := "while :; do until [ -e /tmp/go ]; do sleep 0.05; done; rm /tmp/go; " + orphans(all) + "; done"

	control := dockertest.Start(t, dockertest.Options{Flags: []string{"--init", "--entrypoint", "sh"}}, "-c", script)
	usual := reaps(t, control, 1, all)
	for _, flags := range [][]string{nil, {"--init"}} {
		c := boot(t, dockertest.Options{Flags: flags}, "sh", "-c", script)
		main := becomes(t, c, "main", unit.Up) // so that pintle is not held still while it starts it
		init := 0
		for _, p := range c.Top() {
			if p.PID == main.PID {
				init = p.PPID
			}
		}
		took := reaps(t, c, init, all)
		for again := 0; again < 4 && took > usual+time.Second; again++ { // a busy machine makes it longer, nothing makes it shorter
			took = reaps(t, c, init, all)
		}
		t.Logf("pid %d reaped %d zombies in %v, docker's init in %v", init, all, took, usual)
		if took > usual+time.Second {
			t.Errorf("as pid %d it took %v, docker's init took %v", init, took, usual)
		}
		if after := status(t, c, "main"); after.PID != main.PID || after.State != unit.Up {
			t.Errorf("main was %+v and is %+v", main, after)
		}
	}
}

// reaps has a container's main program leave n orphans while init is held still, and measures inside the container how
// long init takes to reap them when it goes on.
func reaps(t *testing.T, c *dockertest.Container, init, n int) time.Duration {
	t.Helper()
	if init == 1 {
		c.Kill("STOP") // which nobody inside can do to PID 1
	} else {
		succeeds(t, c.Exec("0", "kill", "-STOP", strconv.Itoa(init)))
	}
	succeeds(t, c.Exec("hermes", "touch", "/tmp/go"))
	dockertest.Eventually(t, soon, func() (bool, string) {
		are := zombies(c)
		return are == n, fmt.Sprint(are)
	}, fmt.Sprintf("there are %d zombies", n))
	const watch = `began=${EPOCHREALTIME/./}; kill -CONT $0
while cat /proc/[0-9]*/stat 2>/dev/null | grep -q ') Z '; do :; done
echo $(((${EPOCHREALTIME/./} - began) / 1000))`
	out := succeeds(t, c.Exec("0", "bash", "-c", watch, strconv.Itoa(init)))
	ms, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		t.Fatalf("the watch printed %q", out)
	}
	return time.Duration(ms) * time.Millisecond
}

// TestNoExitCodeIsLost: 200 services exit at the same moment, each with its own code, and 300 orphans end beside them;
// the reaper that takes the orphans' statuses takes no service's. Once it sees them come, once it finds them all there.
func TestNoExitCodeIsLost(t *testing.T) {
	t.Parallel()
	const services = 200
	// Everybody waits at the gate, a pipe that nobody has opened for writing yet.
	yaml := "main: {command: [sh, /main.sh]}\nservices:\n"
	for i := range services {
		yaml += fmt.Sprintf("  exit%d: {command: [sh, -c, ': </gate; exit %d'], restart: never}\n", i, i)
	}
	image := dockertest.Derive(t, "FROM reference\nRUN mkfifo /gate\nCOPY main.sh /\nCOPY pintle.yaml /etc/pintle/\n", map[string]string{
		"pintle.yaml": yaml,
		"main.sh":     ": </gate; " + orphans(300) + "; exec sleep infinity\n",
	})
	for _, frozen := range []bool{false, true} {
		t.Run(fmt.Sprintf("frozen=%t", frozen), func(t *testing.T) {
			t.Parallel()
			c := boot(t, dockertest.Options{Image: image})
			dockertest.Eventually(t, soon, func() (bool, string) {
				waiting := 0
				for _, p := range c.Top() {
					if strings.HasPrefix(p.Args, "sh ") && p.State == "S" {
						waiting++
					}
				}
				return waiting == services+1, fmt.Sprint(waiting)
			}, "all services and main wait at the gate")

			if frozen {
				c.Kill("STOP")
			}
			// It stays open, also for one that was about to wait.
			succeeds(t, dockertest.Docker(t, "exec", "-d", c.Name, "sh", "-c", "exec 3>/gate; sleep infinity"))
			prints(t, c, "orphaned 300")
			if frozen {
				dockertest.Eventually(t, soon, func() (bool, string) {
					n := zombies(c)
					return n == services+300, fmt.Sprint(n)
				}, "all have ended and nobody was reaped")
				c.Kill("CONT")
			}

			var units map[string]engine.Status
			dockertest.Eventually(t, soon, func() (bool, string) {
				units = statuses(t, pintle(c, "", "status", "-o", "json"))
				ended := 0
				for _, s := range units {
					if s.State == unit.Done || s.State == unit.Failed {
						ended++
					}
				}
				return ended == services, fmt.Sprint(ended)
			}, "pintle knows how all services have ended")
			for i := range services {
				s := units[fmt.Sprintf("exit%d", i)]
				want := unit.Failed
				if i == 0 {
					want = unit.Done
				}
				if s.State != want || s.Last.Exit != (unit.Exit{Code: i}) || s.Last.Run != 1 {
					t.Errorf("%s is %s after it %s in run %d", s.Name, s.State, s.Last.Exit, s.Last.Run)
				}
			}
			dockertest.Eventually(t, soon, func() (bool, string) {
				n := zombies(c)
				return n == 0, fmt.Sprint(n)
			}, "no zombie is left")
			if code, _ := c.Stop("-t", "60"); code != 128+15 {
				t.Errorf("the exit code is %d, want main's 143", code)
			}
		})
	}
}
