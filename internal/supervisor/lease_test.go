package supervisor

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// fakeLeases is a keeper that does as the test says.
type fakeLeases struct {
	mu    sync.Mutex
	fence uint64
	held  bool
	calls []string
	s     *Supervisor
}

func (l *fakeLeases) note(call string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, call)
}

func (l *fakeLeases) Want(unit.Name)    { l.note("want") }
func (l *fakeLeases) Release(unit.Name) { l.note("release") }
func (l *fakeLeases) Ended(unit.Name)   { l.note("ended") }

func (l *fakeLeases) Holds(unit.Name) (uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fence, l.held
}

func (l *fakeLeases) Holder(unit.Name) engine.Holder {
	return engine.Holder{Container: "alpha", Fence: 7, Alive: true}
}

func (l *fakeLeases) set(held bool, fence uint64) {
	l.mu.Lock()
	l.held, l.fence = held, fence
	l.mu.Unlock()
	l.s.LeaseChanged("gw")
	synctest.Wait()
}

// take returns the calls up to now, each once in a row.
func (l *fakeLeases) take() string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	calls := strings.Join(slices.Compact(l.calls), " ")
	l.calls = nil
	return calls
}

// deafKernel has runs that end by SIGKILL only.
type deafKernel struct {
	*fakeKernel
	env []string
}

type deafRun struct{ Run }

func (deafRun) Terminate(unit.Signal, unit.Target) {}

func (k *deafKernel) Start(l Launch, h Hooks) (Run, error) {
	k.env = l.Env
	started := h.Started
	h.Started = func(r Run) { started(deafRun{r}) }
	return k.fakeKernel.Start(l, h)
}

func exclusiveUnit() unit.Spec {
	return sleeper("gw", func(s *unit.Spec) { s.Exclusive, s.Stop.Grace = true, time.Minute })
}

// An exclusive unit runs while its lease is held, and is told the fence; when the lease is lost it is killed within 3 s,
// whatever its grace period, and waits for the next one. Its record is left to the new owner.
func TestLostLease(t *testing.T) {
	k := &deafKernel{fakeKernel: &fakeKernel{life: func(Launch) (time.Duration, unit.Exit) { return -1, unit.Exit{} }}}
	l := &fakeLeases{}
	inBubble(t, Options{Kernel: k, Leases: l, Services: []unit.Spec{exclusiveUnit()}}, func(t *testing.T, s *Supervisor) {
		l.s = s
		is := func(state unit.State, reason unit.Reason, because string) engine.Status {
			t.Helper()
			synctest.Wait()
			g := get(t, s, "gw")
			if g.State != state || g.Reason != reason || !strings.Contains(g.Because, because) {
				t.Errorf("it is %s because %s (%s), want %s, %s (%s)", g.State, g.Reason, g.Because, state, reason, because)
			}
			return g
		}
		is(unit.Waiting, unit.AwaitsLease, "waiting for container alpha, which holds it (fence 7)")
		if got := l.take(); got != "want ended" {
			t.Errorf("calls: %s", got)
		}
		l.set(true, 8)
		is(unit.Up, unit.AtBoot, "")
		if !slices.Contains(k.env, "PINTLE_FENCE=8") {
			t.Errorf("environment %q", k.env)
		}
		if got := l.take(); got != "" {
			t.Errorf("calls: %s", got)
		}
		lost := time.Now()
		l.set(false, 8)
		if g := is(unit.Stopping, unit.LostLease, "not sure any more"); !g.Next.Equal(lost.Add(lostGrace)) {
			t.Errorf("it is killed at %s, and was promised %s", lost.Add(lostGrace), g.Next)
		}
		time.Sleep(lostGrace - time.Millisecond)
		is(unit.Stopping, unit.LostLease, "")
		if got := l.take(); got != "" {
			t.Errorf("before the run has ended: %s", got)
		}
		time.Sleep(time.Second)
		g := is(unit.Waiting, unit.AwaitsLease, "")
		if g.Last == nil || g.Last.Exit.Signal != unit.SIGKILL || g.Last.Sender != engine.SentByPintle || !g.Last.Killed {
			t.Errorf("it ended so: %+v", g.Last)
		}
		if got := l.take(); got != "ended" {
			t.Errorf("calls: %s", got)
		}
		if runs, err := s.Runs(t.Context(), "gw", -1); err != nil || len(runs) != 0 {
			t.Errorf("records %+v, %v", runs, err)
		}
		l.set(true, 9)
		is(unit.Up, unit.LostLease, "started again after its lease had been lost")
		if !slices.Contains(k.env, "PINTLE_FENCE=9") {
			t.Errorf("environment %q", k.env)
		}
	})
}

// A run that loses its lease is told, in its stop file too, how long it really has; also where it was asked to end before
// that, and had more time then.
func TestLostLeaseSaysWhen(t *testing.T) {
	for name, asked := range map[string]bool{"up": false, "stopping": true} {
		t.Run(name, func(t *testing.T) {
			k := &deafKernel{fakeKernel: &fakeKernel{life: func(Launch) (time.Duration, unit.Exit) { return -1, unit.Exit{} }}}
			l := &fakeLeases{}
			dir := t.TempDir()
			inBubble(t, Options{Kernel: k, Leases: l, Services: []unit.Spec{exclusiveUnit()}, RunDirectory: dir}, func(t *testing.T, s *Supervisor) {
				l.s = s
				synctest.Wait()
				l.set(true, 1)
				if asked {
					if _, err := s.Stop(t.Context(), "gw"); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
				}
				lost := time.Now()
				l.set(false, 1)
				var note stopNote
				if text, err := os.ReadFile(filepath.Join(dir, "gw.1.stop")); err != nil || json.Unmarshal(text, &note) != nil {
					t.Fatalf("%s, %v", text, err)
				}
				if next := get(t, s, "gw").Next; !note.Deadline.Equal(lost.Add(lostGrace)) || !next.Equal(note.Deadline) {
					t.Errorf("it is killed at %s, and was promised %s in its file, and %s", lost.Add(lostGrace), note.Deadline, next)
				}
				time.Sleep(lostGrace + time.Second)
				if g := get(t, s, "gw"); g.State.Alive() || !g.Last.Killed {
					t.Errorf("it is %s, and ended so: %+v", g.State, g.Last)
				}
			})
		})
	}
}

// Whoever does not want the unit up any more gives its lease back, once its run has ended.
func TestReleasedLease(t *testing.T) {
	k := &fakeKernel{life: func(Launch) (time.Duration, unit.Exit) { return -1, unit.Exit{} }}
	l := &fakeLeases{}
	inBubble(t, Options{Kernel: k, Leases: l, Services: []unit.Spec{exclusiveUnit()}}, func(t *testing.T, s *Supervisor) {
		l.s = s
		synctest.Wait()
		l.set(true, 1)
		l.take()
		if _, err := s.Stop(t.Context(), "gw"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if g := get(t, s, "gw"); g.State != unit.Down {
			t.Errorf("it is %s", g.State)
		}
		if got := l.take(); got != "release" {
			t.Errorf("calls: %s", got)
		}
		if runs, err := s.Runs(t.Context(), "gw", -1); err != nil || len(runs) != 1 {
			t.Errorf("records %+v, %v", runs, err)
		}
		if _, err := s.Start(t.Context(), "gw"); err != nil {
			t.Fatal(err)
		}
		if got := l.take(); got != "want" {
			t.Errorf("calls: %s", got)
		}
		l.s.Halt()
		<-l.s.Idle()
		if got := l.take(); got != "release" {
			t.Errorf("calls: %s", got)
		}
	})
}

// A unit that fails keeps its lease between two runs, and gives it back when it is given up.
func TestLeaseInBackoff(t *testing.T) {
	k := &fakeKernel{life: func(Launch) (time.Duration, unit.Exit) { return time.Millisecond, unit.Exit{Code: 1} }}
	l := &fakeLeases{}
	spec := exclusiveUnit()
	spec.GiveUp = unit.GiveUp{After: 4}
	inBubble(t, Options{Kernel: k, Leases: l, Services: []unit.Spec{spec}}, func(t *testing.T, s *Supervisor) {
		l.s = s
		synctest.Wait()
		l.set(true, 1)
		l.take()
		time.Sleep(100 * time.Millisecond)
		if g := get(t, s, "gw"); g.State != unit.Backoff {
			t.Errorf("it is %s", g.State)
		}
		if got := l.take(); got != "" {
			t.Errorf("calls: %s", got)
		}
		time.Sleep(time.Minute)
		if g := get(t, s, "gw"); g.State != unit.Failed {
			t.Errorf("it is %s", g.State)
		}
		if got := l.take(); got != "release" {
			t.Errorf("calls: %s", got)
		}
	})
}
