package process

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// TestNoExitStatusIsLost: 200 runs end at the same time with codes of their own
// while 500 zombies are adopted; every Exited is called once, with the right
// code, and no zombie is left within a second.
func TestNoExitStatusIsLost(t *testing.T) {
	alone(t, surroundings{PID1: true}, func(t *testing.T) {
		w := newWorld(t)
		for range rounds(10) {
			endTogether(w, 200, 500)
		}
	})
}

func endTogether(w *world, runs, orphans int) {
	t := w.t
	stdin, release, err := os.Pipe()
	must(t, err)
	c := as(fmt.Sprintf("zombies %d say ready eof exit 0", orphans))
	c.Files[0] = stdin
	maker := w.start(c)
	lives := make([]*life, runs)
	for i := range lives {
		c := as(fmt.Sprintf("eof exit %d", i))
		c.Files[0], c.Files[1] = stdin, os.Stderr
		lives[i] = w.start(c)
	}
	maker.hears("ready")
	stdin.Close()
	release.Close()
	for i, l := range lives {
		if e := l.ends(); e != (unit.Exit{Code: i}) {
			t.Errorf("run %d %v", i, e)
		}
	}
	maker.ends()
	// A second, but for what other processes on the machine take of it.
	last, work := time.Now(), worked(t)
	eventually(t, "every zombie reaped", childless)
	if time.Since(last) > time.Second && worked(t)-work > 200*time.Millisecond {
		t.Errorf("the zombies were gone only after %v", time.Since(last))
	}
	for i, l := range append(lives, maker) {
		if h := l.happened(); h != "started exited" {
			t.Errorf("the hooks of run %d were told: %s", i, h)
		}
	}
}

// worked is the processor time that this process has had.
func worked(t testing.TB) time.Duration {
	var u unix.Rusage
	must(t, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestStartsWhileReaping: runs started from many goroutines while others end: Started before Exited, each once.
func TestStartsWhileReaping(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		w := newWorld(t)
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				l := &life{t: t, exit: make(chan unit.Exit, 10)}
				c := as(fmt.Sprintf("exit %d", i))
				c.Unit, c.Number = "u", uint64(i)
				_, err := w.Start(c, Hooks{
					Started: func(r *Run) { l.event(fmt.Sprint("started ", r.Pid() > 0)) },
					Exited:  func(e unit.Exit, _ unit.Usage) { l.event("exited"); l.exit <- e },
				})
				if err != nil {
					t.Error(err)
					return
				}
				if e := l.ends(); e.Code != i {
					t.Errorf("run %d %v", i, e)
				}
				if h := l.happened(); h != "started true exited" {
					t.Errorf("run %d: the hooks were told: %s", i, h)
				}
			})
		}
		all.Wait()
	})
}

// TestEnds: a code and a signal are told apart, and a stop is no end.
func TestEnds(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		w := newWorld(t)
		for words, want := range map[string]unit.Exit{
			"exit 0": {}, "exit 255": {Code: 255}, "die KILL": {Signal: 9}, "die TERM": {Signal: 15}, "die SEGV": {Signal: 11},
		} {
			if e := w.start(as(words)).ends(); e != want {
				t.Errorf("%s: the run %v", words, e)
			}
		}
		l := w.start(as("stop exit 3"))
		if s := within(t, "the stop", w.stopped); s.String() != "SIGSTOP" {
			t.Errorf("stopped by %v", s)
		}
		must(t, l.Signal(18)) // SIGCONT
		if e := l.ends(); e.Code != 3 {
			t.Errorf("after a stop the run %v", e)
		}
	})
}

// TestZombiesFromBefore: what had ended before there was a Kernel is reaped too,
// although no signal will tell of it.
func TestZombiesFromBefore(t *testing.T) {
	alone(t, surroundings{Before: "zombie"}, func(t *testing.T) {
		if childless() {
			t.Fatal("there are no zombies")
		}
		newWorld(t)
		eventually(t, "the zombies reaped", childless)
	})
}
