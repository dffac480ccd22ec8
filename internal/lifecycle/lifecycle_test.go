package lifecycle

import (
	"slices"
	"testing"
	"time"

	"pintle/internal/unit"
)

// TestEveryCellIsFilled holds the table to its promise: every state has an answer to every event.
func TestEveryCellIsFilled(t *testing.T) {
	t.Parallel()
	if len(table) != len(unit.States) {
		t.Fatalf("the table has %d rows for %d states", len(table), len(unit.States))
	}
	for i, row := range table {
		for k, c := range row {
			if c == nil {
				t.Errorf("%s has no answer to %s", unit.States[i], EventKind(k))
			}
		}
	}
	if len(eventNames) != int(eventKinds) || len(timerNames) != Timers || len(effectNames) != int(Arm)+1 {
		t.Error("an event, a timer or an effect has no name")
	}
}

func TestLives(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec   *unit.Spec
		script string
	}{
		"start and stop": {service(), `
			Start           => starting asked: Spawn 1
			Spawned         => up asked: Arm stable 10s
			Start           => up asked
			Stop            => stopping asked: Terminate SIGTERM, Arm grace 5s
			Stop            => stopping asked
			Exited          => stopping asked: Sweep
			Empty           => down asked
			Expired grace   => down asked`},
		"leave to start is waited for, and what for is said": {service(), `
			no leave
			Boot                           => waiting boot: Await
			Held why awaits-dependency     => waiting awaits-dependency
			Boot                           => waiting awaits-dependency
			Held why awaits-turn           => waiting awaits-turn
			Granted                        => starting boot: Spawn 1
			Granted                        => starting boot
			Held why awaits-calm           => starting boot
			Refused                        => starting boot`},
		"readiness": {service(withReadiness), `
			Boot     => starting boot: Spawn 1
			Ready    => starting boot
			Spawned  => starting not-ready: Probe
			Ready    => up boot: Arm stable 10s
			Ready    => up boot`},
		"a leader that ignores the stop signal": {service(), `
			Start            => starting asked: Spawn 1
			Spawned          => up asked: Arm stable 10s
			Stop             => stopping asked: Terminate SIGTERM, Arm grace 5s
			Expired grace    => stopping asked: Kill
			check killed=true
			Exited signal 9  => stopping asked: Sweep
			Empty            => down asked
			check exit=137 cause=asked asked=true`},
		"a crash, what it left behind, and the next runs": {service(), `
			Start            => starting asked: Spawn 1
			Spawned          => up asked: Arm stable 10s
			Exited signal 9  => stopping crashed: Sweep, Arm grace 5s
			Expired grace    => stopping crashed: Kill
			Empty            => starting crashed: Spawn 2
			check failures=1 asked=false cause=crashed exit=137
			Spawned          => up crashed: Arm stable 10s
			Exited run 1     => up crashed
			Empty run 1      => up crashed
			Exited code 1    => stopping crashed: Sweep, Arm grace 5s
			Empty            => backoff crashed: Arm backoff ~250ms
			check failures=2
			Expired backoff  => starting crashed: Spawn 3`},
		"failing to execute is an ordinary end": {service(), `
			Start                             => starting asked: Spawn 1
			SpawnFailed code 127 err no-file  => starting crashed: Spawn 2
			SpawnFailed code 127 err no-file  => backoff cannot-execute: Arm backoff ~250ms
			check failures=2 error=no-file exit=127 executed=false asked=false
			Expired backoff                   => starting crashed: Spawn 3
			check error=
			SpawnFailed code 127 err no-file  => backoff cannot-execute: Arm backoff ~500ms`},
		"stop in backoff ends the waiting": {service(), `
			Start                   => starting asked: Spawn 1
			SpawnFailed             => starting crashed: Spawn 2
			SpawnFailed             => backoff cannot-execute: Arm backoff ~250ms
			Stop                    => down asked
			check failures=0
			Expired backoff         => down asked
			Start                   => starting asked: Spawn 3
			Expired backoff run 2   => starting asked
			Expired backoff         => starting asked`},
		"restart of a stopped unit ends up": {service(), `
			Restart => starting asked: Spawn 1`},
		"restart waits for the old set": {service(), `
			Start    => starting asked: Spawn 1
			Spawned  => up asked: Arm stable 10s
			Restart  => stopping asked: Terminate SIGTERM, Arm grace 5s
			Empty    => stopping asked
			Exited   => stopping asked: Sweep
			Empty    => starting asked: Spawn 2`},
		"stop before the leader exists": {service(), `
			Start    => starting asked: Spawn 1
			Stop     => stopping asked
			Spawned  => stopping asked: Terminate SIGTERM, Arm grace 5s
			Exited   => stopping asked: Sweep
			Start    => stopping asked
			Empty    => starting asked: Spawn 2`},
		"the container stops, in a hurry, before the leader exists": {service(), `
			Start            => starting asked: Spawn 1
			Halt             => stopping container-stopping
			Hurry            => stopping container-stopping
			Spawned          => stopping container-stopping: Kill
			Exited signal 9  => stopping container-stopping: Sweep
			Start            => stopping container-stopping
			Empty            => down container-stopping
			Start            => down container-stopping`},
		"the container stops while one backs off": {service(), `
			Start            => starting asked: Spawn 1
			SpawnFailed      => starting crashed: Spawn 2
			SpawnFailed      => backoff cannot-execute: Arm backoff ~250ms
			Halt             => down container-stopping
			Expired backoff  => down container-stopping`},
		"switched off": {service(func(s *unit.Spec) { s.Enabled = unit.Switch{} }), `
			Boot     => disabled switched-off
			Start    => disabled switched-off
			Restart  => disabled switched-off
			Stop     => disabled switched-off`},
		"a repeated answer counts once": {service(withReadiness, func(s *unit.Spec) { s.StartTimeout = time.Minute }), `
			Start        => starting asked: Spawn 1
			Spawned      => starting not-ready: Probe, Arm start 1m0s
			Spawned      => starting not-ready
			SpawnFailed  => starting not-ready
			Ready        => up asked: Arm stable 10s
			Spawned      => up asked
			SpawnFailed  => up asked
			Stop         => stopping asked: Terminate SIGTERM, Arm grace 5s
			+4s Spawned  => stopping asked
			SpawnFailed  => stopping asked
			Exited       => stopping asked: Sweep
			Exited       => stopping asked
			Empty        => down asked
			Empty        => down asked`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			walk(t, c.spec, c.script)
		})
	}
}

// TestVerdicts: what an end that nobody asked for leads to, seen from outside.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	rules := unit.ExitRules{{Code: 75}: unit.VerdictRestart, {Code: 78}: unit.VerdictFail, {Signal: unit.SIGTERM}: unit.VerdictDone}
	for _, c := range []struct {
		restart unit.RestartPolicy
		exit    unit.Exit
		state   unit.State
		why     unit.Reason
	}{
		{unit.RestartAlways, unit.Exit{}, unit.Waiting, unit.Crashed},
		{unit.RestartAlways, unit.Exit{Code: 78}, unit.Failed, unit.ExitRule},
		{unit.RestartOnFailure, unit.Exit{}, unit.Done, unit.RestartRule},
		{unit.RestartOnFailure, unit.Exit{Code: 1}, unit.Waiting, unit.Crashed},
		{unit.RestartOnFailure, unit.Exit{Signal: unit.SIGKILL}, unit.Waiting, unit.Crashed},
		{unit.RestartOnFailure, unit.Exit{Signal: unit.SIGTERM}, unit.Done, unit.ExitRule},
		{unit.RestartNever, unit.Exit{}, unit.Done, unit.RestartRule},
		{unit.RestartNever, unit.Exit{Code: 1}, unit.Failed, unit.RestartRule},
		{unit.RestartNever, unit.Exit{Code: 75}, unit.Waiting, unit.Crashed},
	} {
		spec := service(func(s *unit.Spec) { s.Restart, s.ExitRules = c.restart, rules })
		u := New(spec)
		for _, e := range []Event{{Kind: Start}, {Kind: Granted}, {Kind: Spawned, Run: 1}, {Kind: Exited, Run: 1, Exit: c.exit}, {Kind: Empty, Run: 1}} {
			u, _ = Next(spec, u, e)
		}
		if u.State != c.state || u.Reason != c.why {
			t.Errorf("%s, %s: %s because %s, want %s because %s", c.restart, c.exit, u.State, u.Reason, c.state, c.why)
		}
	}
}

// TestBackoff: at once, then 250 ms, doubling up to 30 s, and from the beginning after 10 s up.
func TestBackoff(t *testing.T) {
	t.Parallel()
	spec := service(func(s *unit.Spec) { s.Backoff = unit.DefaultBackoff; s.Backoff.Jitter = 0 })
	u, _ := Next(spec, New(spec), Event{Kind: Boot})
	crash := func(stable bool) (wait time.Duration) {
		send := func(e Event) {
			e.Run = u.Run
			var effects []Effect
			u, effects = Next(spec, u, e)
			for _, f := range effects {
				if f.Kind == Arm && f.Timer == BackoffTimer {
					wait = f.After
				}
			}
		}
		send(Event{Kind: Granted})
		send(Event{Kind: Spawned})
		if stable {
			send(Event{Kind: Expired, Timer: StableTimer, Serial: u.armed[StableTimer]})
		}
		send(Event{Kind: Exited, Exit: unit.Exit{Code: 1}})
		send(Event{Kind: Empty})
		send(Event{Kind: Expired, Timer: BackoffTimer, Serial: u.armed[BackoffTimer]})
		return wait
	}
	var delays []time.Duration
	for range 11 {
		delays = append(delays, crash(false)/time.Millisecond)
	}
	delays = append(delays, crash(true)/time.Millisecond, crash(false)/time.Millisecond)
	if want := []time.Duration{0, 250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000, 0, 250}; !slices.Equal(delays, want) {
		t.Errorf("delays %d ms, want %d", delays, want)
	}
}

// TestUnfit: a command that cannot be executed is judged like any other end, and says so.
func TestUnfit(t *testing.T) {
	t.Parallel()
	for restart, want := range map[unit.RestartPolicy]unit.State{
		unit.RestartAlways: unit.Waiting, unit.RestartOnFailure: unit.Waiting, unit.RestartNever: unit.Failed,
	} {
		spec := service(func(s *unit.Spec) { s.Restart = restart })
		u, _ := Next(spec, New(spec), Event{Kind: Start})
		u, _ = Next(spec, u, Event{Kind: Granted})
		u, _ = Next(spec, u, Event{Kind: SpawnFailed, Run: 1, Exit: unit.Exit{Code: 127}, Err: "there is no such file"})
		if u.State != want || u.Cause != unit.CannotExecute || u.ExecError != "there is no such file" || u.Exit.Code != 127 || u.Alive() {
			t.Errorf("%s: %+v", restart, u)
		}
	}
}
