package lifecycle

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pintle/internal/unit"
)

func service(change ...func(*unit.Spec)) *unit.Spec {
	s := &unit.Spec{
		Name: "web", Kind: unit.Service, Enabled: unit.Switch{On: true}, Command: []string{"web"},
		Restart: unit.RestartAlways, StopSignal: unit.SIGTERM, StopGracePeriod: 5 * time.Second,
	}
	for _, c := range change {
		c(s)
	}
	return s
}

// TestEveryCellIsFilled holds the table to its promise: every state has an answer to every event.
func TestEveryCellIsFilled(t *testing.T) {
	if len(table) != len(unit.States) {
		t.Fatalf("the table has %d rows for %d states", len(table), len(unit.States))
	}
	for i, row := range table {
		for k, c := range row {
			if c == nil {
				t.Errorf("%s has no answer to event %d", unit.States[i], k)
			}
		}
	}
}

// A step is one event, and the state and effects that must follow.
type step struct {
	event Event
	state unit.State
	why   unit.Reason
	then  []Effect
}

func effect(k EffectKind, run uint64) Effect { return Effect{Kind: k, Run: run} }

func arm(t Timer, run uint64, after time.Duration) Effect {
	return Effect{Kind: Arm, Run: run, Timer: t, After: after}
}

func walk(t *testing.T, spec *unit.Spec, steps []step) Unit {
	t.Helper()
	u := New(spec)
	for i, s := range steps {
		var effects []Effect
		u, effects = Next(spec, u, s.event)
		if u.State != s.state || u.Reason != s.why {
			t.Fatalf("step %d (%+v): %s because %s, want %s because %s", i, s.event, u.State, u.Reason, s.state, s.why)
		}
		if diff := cmp.Diff(s.then, effects); diff != "" {
			t.Fatalf("step %d (%+v): effects (-want +got):\n%s", i, s.event, diff)
		}
	}
	return u
}

func TestLives(t *testing.T) {
	t.Parallel()
	killed := unit.Exit{Signal: unit.SIGKILL}
	grace := 5 * time.Second
	for name, c := range map[string]struct {
		spec  *unit.Spec
		steps []step
	}{
		"start and stop": {service(), []step{
			{Event{Kind: Start}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 1)}},
			{Event{Kind: Spawned, Run: 1}, unit.Up, unit.Asked, []Effect{arm(StableTimer, 1, StableAfter)}},
			{Event{Kind: Start}, unit.Up, unit.Asked, nil},
			{Event{Kind: Stop}, unit.Stopping, unit.Asked, []Effect{effect(Terminate, 1), arm(GraceTimer, 1, grace)}},
			{Event{Kind: Stop}, unit.Stopping, unit.Asked, nil},
			{Event{Kind: Exited, Run: 1}, unit.Stopping, unit.Asked, []Effect{effect(Sweep, 1)}},
			{Event{Kind: Empty, Run: 1}, unit.Down, unit.Asked, nil},
			{Event{Kind: Expired, Timer: GraceTimer, Run: 1}, unit.Down, unit.Asked, nil},
		}},
		"readiness": {service(func(s *unit.Spec) { s.Readiness = &unit.Readiness{TCP: "localhost:1"} }), []step{
			{Event{Kind: Boot}, unit.Starting, unit.AtBoot, []Effect{effect(Spawn, 1)}},
			{Event{Kind: Ready, Run: 1}, unit.Starting, unit.AtBoot, nil}, // before it is executed: cannot be
			{Event{Kind: Spawned, Run: 1}, unit.Starting, unit.NotReady, []Effect{effect(Probe, 1)}},
			{Event{Kind: Ready, Run: 1}, unit.Up, unit.AtBoot, []Effect{arm(StableTimer, 1, StableAfter)}},
		}},
		"a leader that ignores the stop signal": {service(), []step{
			{Event{Kind: Start}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 1)}},
			{Event{Kind: Spawned, Run: 1}, unit.Up, unit.Asked, []Effect{arm(StableTimer, 1, StableAfter)}},
			{Event{Kind: Stop}, unit.Stopping, unit.Asked, []Effect{effect(Terminate, 1), arm(GraceTimer, 1, grace)}},
			{Event{Kind: Expired, Timer: GraceTimer, Run: 1}, unit.Stopping, unit.Asked, []Effect{effect(Kill, 1)}},
			{Event{Kind: Exited, Run: 1, Exit: killed}, unit.Stopping, unit.Asked, []Effect{effect(Sweep, 1)}},
			{Event{Kind: Empty, Run: 1}, unit.Down, unit.Asked, nil},
		}},
		"a crash, what it left behind, and the next run": {service(), []step{
			{Event{Kind: Start}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 1)}},
			{Event{Kind: Spawned, Run: 1}, unit.Up, unit.Asked, []Effect{arm(StableTimer, 1, StableAfter)}},
			{Event{Kind: Exited, Run: 1, Exit: killed}, unit.Stopping, unit.Crashed, []Effect{effect(Sweep, 1), arm(GraceTimer, 1, grace)}},
			{Event{Kind: Expired, Timer: GraceTimer, Run: 1}, unit.Stopping, unit.Crashed, []Effect{effect(Kill, 1)}},
			{Event{Kind: Empty, Run: 1}, unit.Backoff, unit.Crashed, []Effect{arm(BackoffTimer, 1, BackoffFirst)}},
			{Event{Kind: Expired, Timer: BackoffTimer, Run: 1}, unit.Starting, unit.Crashed, []Effect{effect(Spawn, 2)}},
			{Event{Kind: Spawned, Run: 2}, unit.Up, unit.Crashed, []Effect{arm(StableTimer, 2, StableAfter)}},
			{Event{Kind: Exited, Run: 1, Exit: killed}, unit.Up, unit.Crashed, nil}, // of an old run
		}},
		"failing to execute is an ordinary end": {service(), []step{
			{Event{Kind: Start}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 1)}},
			{Event{Kind: SpawnFailed, Run: 1, Exit: unit.Exit{Code: 127}, Err: "no such file"}, unit.Backoff, unit.CannotExecute, []Effect{arm(BackoffTimer, 1, BackoffFirst)}},
			{Event{Kind: Expired, Timer: BackoffTimer, Run: 1}, unit.Starting, unit.Crashed, []Effect{effect(Spawn, 2)}},
			{Event{Kind: SpawnFailed, Run: 2, Exit: unit.Exit{Code: 127}, Err: "no such file"}, unit.Backoff, unit.CannotExecute, []Effect{arm(BackoffTimer, 2, 2*BackoffFirst)}},
		}},
		"stop in backoff ends the waiting": {service(), []step{
			{Event{Kind: Start}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 1)}},
			{Event{Kind: SpawnFailed, Run: 1, Exit: unit.Exit{Code: 127}, Err: "x"}, unit.Backoff, unit.CannotExecute, []Effect{arm(BackoffTimer, 1, BackoffFirst)}},
			{Event{Kind: Stop}, unit.Down, unit.Asked, nil},
			{Event{Kind: Expired, Timer: BackoffTimer, Run: 1}, unit.Down, unit.Asked, nil},
			{Event{Kind: Start}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 2)}},
			{Event{Kind: Expired, Timer: BackoffTimer, Run: 1}, unit.Starting, unit.Asked, nil},
		}},
		"restart of a stopped unit ends up": {service(), []step{
			{Event{Kind: Restart}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 1)}},
		}},
		"restart waits for the old set": {service(), []step{
			{Event{Kind: Start}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 1)}},
			{Event{Kind: Spawned, Run: 1}, unit.Up, unit.Asked, []Effect{arm(StableTimer, 1, StableAfter)}},
			{Event{Kind: Restart}, unit.Stopping, unit.Asked, []Effect{effect(Terminate, 1), arm(GraceTimer, 1, grace)}},
			{Event{Kind: Exited, Run: 1}, unit.Stopping, unit.Asked, []Effect{effect(Sweep, 1)}},
			{Event{Kind: Empty, Run: 1}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 2)}},
		}},
		"stop before the leader exists": {service(), []step{
			{Event{Kind: Start}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 1)}},
			{Event{Kind: Stop}, unit.Stopping, unit.Asked, nil},
			{Event{Kind: Spawned, Run: 1}, unit.Stopping, unit.Asked, []Effect{effect(Terminate, 1), arm(GraceTimer, 1, grace)}},
			{Event{Kind: Exited, Run: 1}, unit.Stopping, unit.Asked, []Effect{effect(Sweep, 1)}},
			{Event{Kind: Start}, unit.Stopping, unit.Asked, nil},
			{Event{Kind: Empty, Run: 1}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 2)}},
		}},
		"the container stops, in a hurry, before the leader exists": {service(), []step{
			{Event{Kind: Start}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 1)}},
			{Event{Kind: Halt}, unit.Stopping, unit.ContainerStopping, nil},
			{Event{Kind: Hurry}, unit.Stopping, unit.ContainerStopping, nil},
			{Event{Kind: Spawned, Run: 1}, unit.Stopping, unit.ContainerStopping, []Effect{effect(Terminate, 1), effect(Kill, 1)}},
			{Event{Kind: Exited, Run: 1, Exit: killed}, unit.Stopping, unit.ContainerStopping, []Effect{effect(Sweep, 1)}},
			{Event{Kind: Start}, unit.Stopping, unit.ContainerStopping, nil},
			{Event{Kind: Empty, Run: 1}, unit.Down, unit.ContainerStopping, nil},
			{Event{Kind: Start}, unit.Down, unit.ContainerStopping, nil},
		}},
		"the container stops while one backs off": {service(), []step{
			{Event{Kind: Start}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 1)}},
			{Event{Kind: SpawnFailed, Run: 1, Exit: unit.Exit{Code: 126}, Err: "x"}, unit.Backoff, unit.CannotExecute, []Effect{arm(BackoffTimer, 1, BackoffFirst)}},
			{Event{Kind: Halt}, unit.Down, unit.ContainerStopping, nil},
			{Event{Kind: Expired, Timer: BackoffTimer, Run: 1}, unit.Down, unit.ContainerStopping, nil},
		}},
		"switched off": {service(func(s *unit.Spec) { s.Enabled = unit.Switch{} }), []step{
			{Event{Kind: Boot}, unit.Disabled, unit.SwitchedOff, nil},
			{Event{Kind: Start}, unit.Disabled, unit.SwitchedOff, nil},
		}},
	} {
		t.Run(name, func(t *testing.T) { walk(t, c.spec, c.steps) })
	}
}

// TestVerdicts: what an end that nobody asked for leads to.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	rules := unit.ExitRules{{Code: 75}: unit.VerdictRestart, {Code: 78}: unit.VerdictFail, {Signal: unit.SIGTERM}: unit.VerdictDone}
	for _, c := range []struct {
		restart unit.RestartPolicy
		exit    unit.Exit
		state   unit.State
		why     unit.Reason
	}{
		{unit.RestartAlways, unit.Exit{}, unit.Backoff, unit.Crashed},
		{unit.RestartAlways, unit.Exit{Code: 78}, unit.Failed, unit.ExitRule},
		{unit.RestartOnFailure, unit.Exit{}, unit.Done, unit.RestartRule},
		{unit.RestartOnFailure, unit.Exit{Code: 1}, unit.Backoff, unit.Crashed},
		{unit.RestartOnFailure, unit.Exit{Signal: unit.SIGKILL}, unit.Backoff, unit.Crashed},
		{unit.RestartOnFailure, unit.Exit{Signal: unit.SIGTERM}, unit.Done, unit.ExitRule},
		{unit.RestartNever, unit.Exit{}, unit.Done, unit.RestartRule},
		{unit.RestartNever, unit.Exit{Code: 1}, unit.Failed, unit.RestartRule},
		{unit.RestartNever, unit.Exit{Code: 75}, unit.Backoff, unit.ExitRule},
	} {
		spec := service(func(s *unit.Spec) { s.Restart, s.ExitRules = c.restart, rules })
		u := New(spec)
		for _, e := range []Event{{Kind: Start}, {Kind: Spawned, Run: 1}, {Kind: Exited, Run: 1, Exit: c.exit}, {Kind: Empty, Run: 1}} {
			u, _ = Next(spec, u, e)
		}
		if u.State != c.state || u.Reason != c.why {
			t.Errorf("%s, %s: %s because %s, want %s because %s", c.restart, c.exit, u.State, u.Reason, c.state, c.why)
		}
	}
}

// TestBackoff: 250 ms, doubling up to 30 s, and from the beginning after 10 s up or when a person starts it.
func TestBackoff(t *testing.T) {
	t.Parallel()
	spec := service()
	u := New(spec)
	u, _ = Next(spec, u, Event{Kind: Boot})
	crash := func() time.Duration {
		for _, e := range []Event{{Kind: Spawned}, {Kind: Exited, Exit: unit.Exit{Code: 1}}, {Kind: Empty}} {
			e.Run = u.Run
			u, _ = Next(spec, u, e)
		}
		delay := u.Delay
		u, _ = Next(spec, u, Event{Kind: Expired, Timer: BackoffTimer, Run: u.Run})
		return delay
	}
	var delays []time.Duration
	for range 9 {
		delays = append(delays, crash()/time.Millisecond)
	}
	if want := []time.Duration{250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000}; !slices.Equal(delays, want) {
		t.Errorf("delays %d ms, want %d", delays, want)
	}
	u, _ = Next(spec, u, Event{Kind: Spawned, Run: u.Run})
	u, _ = Next(spec, u, Event{Kind: Expired, Timer: StableTimer, Run: u.Run})
	u, _ = Next(spec, u, Event{Kind: Exited, Run: u.Run})
	u, _ = Next(spec, u, Event{Kind: Empty, Run: u.Run})
	if u.Delay != BackoffFirst {
		t.Errorf("after a stable run the delay is %v", u.Delay)
	}
}

// TestAnyOrder: whatever happens in whatever order, no two runs overlap, nothing
// starts after the container began to stop, a run is killed at most once, an end
// counts as asked for when somebody did, and a unit whose processes do what they
// are told gets to where it was last asked to be.
func TestAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec := service(func(s *unit.Spec) {
			s.Restart = rapid.SampledFrom([]unit.RestartPolicy{unit.RestartAlways, unit.RestartOnFailure, unit.RestartNever}).Draw(t, "restart")
			if rapid.Bool().Draw(t, "readiness") {
				s.Readiness = &unit.Readiness{TCP: "localhost:1"}
			}
		})
		u := New(spec)
		var spawning, living uint64 // the run being executed, and the run whose set is not empty
		halted, asked := false, false
		var killed uint64 // the last run that was killed
		send := func(e Event) {
			before := u
			if e.Kind == Stop || e.Kind == Restart || e.Kind == Halt {
				asked = asked || before.Alive() && !before.Ended
			}
			var effects []Effect
			u, effects = Next(spec, u, e)
			for _, f := range effects {
				if f.Run != u.Run {
					t.Fatalf("an effect on run %d in run %d", f.Run, u.Run)
				}
				switch f.Kind {
				case Spawn:
					if spawning != 0 || living != 0 {
						t.Fatalf("run %d begins while run %d lives (%+v)", f.Run, max(spawning, living), before)
					}
					if halted {
						t.Fatalf("run %d begins after the container began to stop", f.Run)
					}
					spawning, asked = f.Run, false
				case Kill:
					if living != f.Run || killed == f.Run {
						t.Fatalf("run %d is killed, of run %d; the last to be killed was %d", f.Run, living, killed)
					}
					killed = f.Run
				case Terminate, Sweep, Probe:
					if living != f.Run {
						t.Fatalf("effect %d on run %d, which does not exist", f.Kind, f.Run)
					}
				}
			}
			if e.Run == before.Run && e.Kind == Exited && u.Asked != asked {
				t.Fatalf("the end of run %d counts as asked for: %v", u.Run, u.Asked)
			}
			if !u.Alive() && (spawning != 0 || living != 0) {
				t.Fatalf("%s while a run lives", u.State)
			}
		}
		ended := false
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			e := Event{Kind: EventKind(rapid.IntRange(0, int(eventKinds)-1).Draw(t, "kind"))}
			e.Run = u.Run
			if rapid.IntRange(0, 9).Draw(t, "stale") == 0 && u.Run > 0 {
				e.Run--
			}
			e.Timer = Timer(rapid.IntRange(0, 2).Draw(t, "timer"))
			e.Exit = unit.Exit{Code: rapid.IntRange(0, 2).Draw(t, "code")}
			if e.Run == u.Run { // the kernel does not lie about the current run
				switch e.Kind {
				case Spawned:
					if spawning == 0 {
						continue
					}
					spawning, living, ended = 0, u.Run, false
				case SpawnFailed:
					if spawning == 0 {
						continue
					}
					spawning, e.Err = 0, "cannot"
				case Exited:
					if living == 0 || ended {
						continue
					}
					ended = true
				case Empty:
					if living == 0 || !ended {
						continue
					}
					living = 0
				}
			}
			halted = halted || e.Kind == Halt
			send(e)
		}
		// Now somebody asks for one thing more, and the kernel does its part.
		wish, want := Stop, unit.Down
		if !halted && rapid.Bool().Draw(t, "up") {
			wish, want = Start, unit.Up
		}
		send(Event{Kind: wish})
		for spawning != 0 || living != 0 && u.State != unit.Up {
			e := Event{Kind: Empty, Run: u.Run}
			switch {
			case spawning != 0:
				e.Kind, spawning, living, ended = Spawned, 0, u.Run, false
			case u.State == unit.Starting:
				e.Kind = Ready
			case !ended:
				e.Kind, ended = Exited, true
			default:
				living = 0
			}
			send(e)
		}
		if u.State != want {
			t.Fatalf("asked to be %s, it is %s (%+v)", want, u.State, u)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	spec := service()
	for b.Loop() {
		u := New(spec)
		for _, e := range []Event{{Kind: Start}, {Kind: Spawned, Run: 1}, {Kind: Stop}, {Kind: Exited, Run: 1}, {Kind: Empty, Run: 1}} {
			u, _ = Next(spec, u, e)
		}
	}
}
