package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/logs"
	"pintle/internal/process"
	"pintle/internal/relay"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// swift is a kernel that answers at once, and whose runs live until they are asked to end or all crash.
type swift struct {
	mu   sync.Mutex
	runs map[*swiftRun]bool
}

type swiftRun struct {
	k     *swift
	hooks Hooks
	once  sync.Once
}

func (k *swift) Start(_ Launch, h Hooks) (Run, error) {
	r := &swiftRun{k: k, hooks: h}
	k.mu.Lock()
	k.runs[r] = true
	k.mu.Unlock()
	h.Started(r)
	return r, nil
}

// crash ends all runs that there are.
func (k *swift) crash() {
	k.mu.Lock()
	all := slices.Collect(maps.Keys(k.runs))
	k.mu.Unlock()
	for _, r := range all {
		r.end(unit.Exit{Code: 1})
	}
}

func (r *swiftRun) end(e unit.Exit) {
	r.once.Do(func() {
		r.k.mu.Lock()
		delete(r.k.runs, r)
		r.k.mu.Unlock()
		r.hooks.Exited(e, unit.Usage{})
	})
}

func (k *swift) RunOf(int) Run                                 { return nil }
func (k *swift) SendersOf(int, uint32) []Run                   { return nil }
func (k *swift) Strays(context.Context) []process.Left         { return nil }
func (k *swift) Sets() string                                  { return "none" }
func (r *swiftRun) Pid() int                                   { return 1 }
func (r *swiftRun) Names() (unit.Name, uint64)                 { return "", 0 }
func (r *swiftRun) Signal(unit.Signal) error                   { return nil }
func (r *swiftRun) Terminate(s unit.Signal, _ unit.Target)     { r.end(unit.Exit{Signal: s}) }
func (r *swiftRun) Sweep(empty func(), _ func([]process.Left)) { go empty() }
func (r *swiftRun) Kill()                                      { r.end(unit.Exit{Signal: unit.SIGKILL}) }

// many are 1,000 units, most of which depend on others.
func many(command string) []unit.Spec {
	list := make([]unit.Spec, 1000)
	for i := range list {
		list[i] = plain(unit.Name(fmt.Sprintf("unit%d", i)))
		list[i].Command = []string{"/bin/true", command}
		if i > 0 {
			list[i].DependsOn = []unit.Dependency{{On: list[i/10].Name, Condition: unit.OnStarted}}
		}
	}
	return list
}

// meter measures the turns of a loop.
type meter struct {
	mu    sync.Mutex
	phase string
	worst map[string]time.Duration
}

// newMeter measures from now on, with three readers who are slow, or were there before.
func newMeter(s *Supervisor) *meter {
	m := &meter{phase: "New", worst: map[string]time.Duration{}}
	s.queue.put(func(s *Supervisor) {
		for range 3 {
			s.relay.Join(relay.NewReader(nil))
		}
		runtime.LockOSThread() // so that it is the loop's own time that is measured, however busy the machine is
		s.turn = func(event func()) {
			began := threadTime()
			event()
			took := threadTime() - began
			m.mu.Lock()
			m.worst[m.phase] = max(m.worst[m.phase], took)
			m.mu.Unlock()
		}
	})
	return m
}

// begin has what follows be another phase.
func (m *meter) begin(phase string) {
	m.mu.Lock()
	m.phase = phase
	m.mu.Unlock()
}

// longest is the longest turn of each phase.
func (m *meter) longest() map[string]time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.worst)
}

// longestTurns has 1,000 units start, crash together, be declared anew, and end, and returns the longest turn of the
// loop in each of that. What is to go on meanwhile is begun by disturb, and ended by what that returns.
func longestTurns(t *testing.T, disturb func(*testing.T, *Supervisor) func()) map[string]time.Duration {
	k := &swift{runs: map[*swiftRun]bool{}}
	o := Options{
		Services: many("run"), Governor: unit.Governor{Starts: 64, Least: -1}, Kernel: k, Environ: []string{"PATH=/bin"},
		Logs: logs.NewBook(logs.Options{}), Log: slog.New(slog.DiscardHandler),
		Load: func() (Declarations, error) {
			return Declarations{Services: many("other"), Governor: unit.Governor{Starts: 64, Least: -1}, Differ: differ}, nil
		},
	}
	o.Store, _ = store.Open(store.Options{})
	s := New(o)
	defer func() {
		s.Close()
		_ = o.Store.Close(context.Background())
		_ = o.Logs.Close(context.Background())
	}()
	m := newMeter(s)
	defer disturb(t, s)()
	until := func(states ...unit.State) {
		for {
			list, err := s.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(list, func(u engine.Status) bool { return !slices.Contains(states, u.State) }) {
				return
			}
			select {
			case <-t.Context().Done():
				t.Fatal("they do not come to rest")
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	m.begin("Boot, List")
	s.Boot()
	until(unit.Up)
	m.begin("crash")
	k.crash()
	until(unit.Up)
	m.begin("Reload")
	if changes, err := s.Reload(t.Context(), engine.ReloadRequest{}); err != nil || len(changes) != 1000 {
		t.Fatal(len(changes), err)
	}
	until(unit.Up)
	m.begin("Halt")
	s.Halt()
	s.Hurry()
	within(t, s.Idle(), "the end")
	return m.longest()
}

// threadTime is how long the thread has been at work.
func threadTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// TestLoopIsNeverBlocked: with 1,000 units the loop's longest turn is under 5 ms, whatever all of them do at once. It is
// the time of its thread that counts, not what others take from it; and of some attempts the best, because the
// collector's work is done in whoever's turn it is.
func TestLoopIsNeverBlocked(t *testing.T) {
	turnsAreShort(t, func(*testing.T, *Supervisor) func() { return func() {} })
}

// turnsAreShort fails the test where a turn is too long in each of some attempts.
func turnsAreShort(t *testing.T, disturb func(*testing.T, *Supervisor) func()) {
	t.Helper()
	judgeTurns(t, 10, func(t *testing.T) map[string]time.Duration { return longestTurns(t, disturb) })
}

// judgeTurns attempts something until no turn of it was too long, and fails the test where one was at every attempt.
func judgeTurns(t *testing.T, attempts int, attempt func(t *testing.T) map[string]time.Duration) {
	t.Helper()
	bound := 5 * time.Millisecond
	if raceEnabled {
		bound *= 10
	}
	best := map[string]time.Duration{}
	for n, slow := 0, true; slow && n < attempts; n++ {
		for phase, d := range attempt(t) {
			if was, ok := best[phase]; !ok || d < was {
				best[phase] = d
			}
		}
		slow = false
		for _, d := range best {
			slow = slow || d >= bound
		}
	}
	for phase, d := range best {
		t.Logf("%s: %s", phase, d)
		if d >= bound {
			t.Errorf("%s: the longest turn takes %s, and at most %s is allowed", phase, d, bound)
		}
	}
}

func (k *swift) Listen(string, int) (Socket, error) { return quiet(make(chan struct{})), nil }
