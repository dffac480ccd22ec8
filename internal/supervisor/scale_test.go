package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/logs"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// TestLoopIsNeverBlockedByDirectories: with 1,000 instances that directories declare, all of them exclusive, with a
// store and leases on a disk, the loop's longest turn is under 5 ms, whatever comes and goes at once.
func TestLoopIsNeverBlockedByDirectories(t *testing.T) { // not beside others: it would cost them the time that they measure
	judgeTurns(t, 4, func(t *testing.T) map[string]time.Duration {
		c := &crowd{t: t, p: newProfiles(t), state: filepath.Join(quickDir(t), "state")}
		worst := c.firstLife()
		for phase, d := range c.nextLife() {
			worst["next life, "+phase] = d
		}
		return worst
	})
}

// quickDir is a directory where to sync costs nothing, if there is one: it is not the disk that is measured.
func quickDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "pintle-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// crowd is what a volume with 1,000 profiles is for a supervisor.
type crowd struct {
	t     *testing.T
	p     *profiles
	state string
	s     *Supervisor
	end   func()
}

const (
	crowdSize = 1000
	// crowdPatience bounds a wait for all of them.
	crowdPatience = 3 * time.Minute
)

func crowdName(i int) string { return fmt.Sprintf("p%d", i) }

// boot begins a life of the container.
func (c *crowd) boot() *meter {
	kept, records := store.Open(store.Options{Directory: c.state, UID: os.Geteuid()})
	begun := make(chan struct{})
	leases := store.NewKeeper(store.KeeperOptions{
		Directory: c.state, UID: os.Geteuid(), Noticed: func() {},
		Changed: func(name unit.Name) { <-begun; c.s.LeaseChanged(name) },
	})
	o := Options{
		Kernel: &swift{runs: map[*swiftRun]bool{}}, Environ: []string{"PATH=/bin"}, Records: records, Store: kept, Leases: leases,
		Logs: logs.NewBook(logs.Options{}), Log: slog.New(slog.DiscardHandler), Governor: unit.Governor{Least: -1},
		Templates: []unit.Template{c.p.template(c.p.intentFrom, func(t *unit.Template) {
			t.Spec.Exclusive, t.Spec.Command, t.BootReport = true, []string{"/bin/true"}, c.p.dir+"-boot.log"
		})},
	}
	c.s = New(o)
	close(begun)
	c.end = func() {
		c.s.Close()
		ctx, cancel := context.WithTimeout(context.Background(), crowdPatience)
		defer cancel()
		for what, err := range map[string]error{"leases": leases.Close(ctx), "store": kept.Close(ctx), "logs": o.Logs.Close(ctx)} {
			if err != nil {
				c.t.Errorf("%s: %v", what, err)
			}
		}
	}
	m := newMeter(c.s)
	m.begin("boot")
	c.s.Boot()
	return m
}

// halt ends it.
func (c *crowd) halt(m *meter) map[string]time.Duration {
	c.t.Helper()
	m.begin("halt")
	c.s.Halt()
	c.s.Hurry()
	eventuallyIn(c.t, crowdPatience, "all have ended", func() bool {
		select {
		case <-c.s.Idle():
			return true
		default:
			return false
		}
	})
	c.end()
	return m.longest()
}

// until waits until n instances are up, and there is no other; then it reads and watches them all.
func (c *crowd) until(n int) {
	c.t.Helper()
	eventuallyIn(c.t, crowdPatience, fmt.Sprintf("%d are up", n), func() bool {
		all, up := make(chan int, 1), 0
		c.s.queue.put(func(s *Supervisor) {
			for _, u := range s.units {
				up += count(u.life.State == unit.Up)
			}
			all <- len(s.units)
		})
		return <-all == n && up == n
	})
	list, err := c.s.List(c.t.Context())
	if err != nil || len(list) != n {
		c.t.Fatalf("there are %d: %v", len(list), err)
	}
	for range c.s.Watch(c.t.Context()) {
		break
	}
}

// rejects waits until so many entries are no instances.
func (c *crowd) rejects(text string) {
	c.t.Helper()
	eventuallyIn(c.t, crowdPatience, text, func() bool {
		info, err := c.s.Info(c.t.Context())
		return err == nil && slices.ContainsFunc(info.Conditions, func(s engine.Condition) bool { return strings.Contains(s.Text, text) })
	})
}

// firstLife has 1,000 be found, go, come back, and be among 10,000 entries.
func (c *crowd) firstLife() map[string]time.Duration {
	c.t.Helper()
	const running = `{"desired_state":"running"}`
	for i := range crowdSize {
		c.p.make(crowdName(i), running)
	}
	m := c.boot()
	c.until(crowdSize)
	c.reports(crowdSize)

	m.begin("a look that finds nothing new")
	c.p.make("Bad", "")
	c.rejects("is no instance")

	m.begin("all of them go")
	away := newProfiles(c.t)
	c.move(c.p, away)
	eventuallyIn(c.t, crowdPatience, "all are gone", func() bool {
		list, err := c.s.List(c.t.Context())
		return err == nil && len(list) == 0
	})

	m.begin("all of them come back")
	c.move(away, c.p)
	c.until(crowdSize)

	m.begin("9,000 entries more")
	for i := range 9000 {
		if err := os.Symlink("p0", filepath.Join(c.p.dir, fmt.Sprintf("link%d", i))); err != nil {
			c.t.Fatal(err)
		}
	}
	c.rejects("9001 entries")
	c.until(crowdSize)
	return c.halt(m)
}

// nextLife has those that are known be found again.
func (c *crowd) nextLife() map[string]time.Duration {
	c.t.Helper()
	m := c.boot()
	c.until(crowdSize)
	c.reports(2 * crowdSize)
	return c.halt(m)
}

// move takes all profiles from one directory to another.
func (c *crowd) move(from, to *profiles) {
	c.t.Helper()
	for i := range crowdSize {
		if err := os.Rename(filepath.Join(from.dir, crowdName(i)), filepath.Join(to.dir, crowdName(i))); err != nil {
			c.t.Fatal(err)
		}
	}
}

// reports waits until the boot report has so many lines.
func (c *crowd) reports(n int) {
	c.t.Helper()
	lines := 0
	eventuallyIn(c.t, crowdPatience, "the boot report is there", func() bool {
		text, _ := os.ReadFile(c.p.dir + "-boot.log")
		lines = strings.Count(string(text), "\n")
		return lines >= n
	})
	if lines != n {
		c.t.Errorf("the boot report has %d lines, want %d", lines, n)
	}
}
