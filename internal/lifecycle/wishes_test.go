package lifecycle

import (
	"testing"
	"time"

	"pintle/internal/unit"
)

// TestWishes: what becomes of a wish that comes while something else is under way.
func TestWishes(t *testing.T) {
	t.Parallel()
	const grace = 5 * time.Second
	code1 := unit.Exit{Code: 1}
	ready := service(func(s *unit.Spec) { s.Readiness = &unit.Readiness{TCP: "localhost:1"} })
	toUp := []step{
		{Event{Kind: Start}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 1)}},
		{Event{Kind: Spawned, Run: 1}, unit.Up, unit.Asked, []Effect{arm(StableTimer, 1, StableAfter)}},
	}
	crashing := append(toUp[:2:2],
		step{Event{Kind: Exited, Run: 1, Exit: code1}, unit.Stopping, unit.Crashed, []Effect{effect(Sweep, 1), arm(GraceTimer, 1, grace)}})
	backingOff := append(crashing[:3:3],
		step{Event{Kind: Empty, Run: 1}, unit.Backoff, unit.Crashed, []Effect{arm(BackoffTimer, 1, BackoffFirst)}})
	for name, c := range map[string]struct {
		spec   *unit.Spec
		before []step
		steps  []step
		asked  bool
		failed int
	}{
		"start in backoff is by that person, and forgets the failures": {service(), backingOff, []step{
			{Event{Kind: Start}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 2)}},
			{Event{Kind: Expired, Timer: BackoffTimer, Run: 1}, unit.Starting, unit.Asked, nil},
			{Event{Kind: Spawned, Run: 2}, unit.Up, unit.Asked, []Effect{arm(StableTimer, 2, StableAfter)}},
		}, false, 0},
		"restart in backoff does not wait": {service(), backingOff, []step{
			{Event{Kind: Restart}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 2)}},
		}, false, 0},
		"a late timer of the run that crashed does not end the backoff": {service(), backingOff, []step{
			{Event{Kind: Expired, Timer: GraceTimer, Run: 1}, unit.Backoff, unit.Crashed, nil},
			{Event{Kind: Expired, Timer: StableTimer, Run: 1}, unit.Backoff, unit.Crashed, nil},
			{Event{Kind: Ready, Run: 1}, unit.Backoff, unit.Crashed, nil},
		}, false, 1},
		"start while a crash is cleaned up spares the backoff": {service(), crashing, []step{
			{Event{Kind: Start}, unit.Stopping, unit.Crashed, nil},
			{Event{Kind: Empty, Run: 1}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 2)}},
		}, false, 0},
		"stop while a crash is cleaned up ends down; the end was not asked for": {service(), crashing, []step{
			{Event{Kind: Stop}, unit.Stopping, unit.Asked, nil},
			{Event{Kind: Empty, Run: 1}, unit.Down, unit.Asked, nil},
		}, false, 0},
		"the container stops while a crash is cleaned up": {service(), crashing, []step{
			{Event{Kind: Halt}, unit.Stopping, unit.ContainerStopping, nil},
			{Event{Kind: Stop}, unit.Stopping, unit.ContainerStopping, nil},
			{Event{Kind: Empty, Run: 1}, unit.Down, unit.ContainerStopping, nil},
		}, false, 0},
		"the last wish counts": {service(), toUp, []step{
			{Event{Kind: Restart}, unit.Stopping, unit.Asked, []Effect{effect(Terminate, 1), arm(GraceTimer, 1, grace)}},
			{Event{Kind: Stop}, unit.Stopping, unit.Asked, nil},
			{Event{Kind: Start}, unit.Stopping, unit.Asked, nil},
			{Event{Kind: Stop}, unit.Stopping, unit.Asked, nil},
			{Event{Kind: Exited, Run: 1, Exit: code1}, unit.Stopping, unit.Asked, []Effect{effect(Sweep, 1)}},
			{Event{Kind: Empty, Run: 1}, unit.Down, unit.Asked, nil},
		}, true, 0},
		"restart while starting ends the run that is not ready": {ready, nil, []step{
			{Event{Kind: Start}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 1)}},
			{Event{Kind: Spawned, Run: 1}, unit.Starting, unit.NotReady, []Effect{effect(Probe, 1)}},
			{Event{Kind: Restart}, unit.Stopping, unit.Asked, []Effect{effect(Terminate, 1), arm(GraceTimer, 1, grace)}},
			{Event{Kind: Ready, Run: 1}, unit.Stopping, unit.Asked, nil},
			{Event{Kind: Exited, Run: 1}, unit.Stopping, unit.Asked, []Effect{effect(Sweep, 1)}},
			{Event{Kind: Empty, Run: 1}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 2)}},
		}, true, 0},
		"restart before the leader exists, which then cannot be executed": {service(), nil, []step{
			{Event{Kind: Start}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 1)}},
			{Event{Kind: Restart}, unit.Stopping, unit.Asked, nil},
			{Event{Kind: SpawnFailed, Run: 1, Exit: code1, Err: "x"}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 2)}},
		}, true, 0},
		"stop before the leader exists, which then cannot be executed": {service(), nil, []step{
			{Event{Kind: Start}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 1)}},
			{Event{Kind: Stop}, unit.Stopping, unit.Asked, nil},
			{Event{Kind: SpawnFailed, Run: 1, Exit: code1, Err: "x"}, unit.Down, unit.Asked, nil},
		}, true, 0},
		"start of one that is starting or up changes nothing": {ready, nil, []step{
			{Event{Kind: Boot}, unit.Starting, unit.AtBoot, []Effect{effect(Spawn, 1)}},
			{Event{Kind: Start}, unit.Starting, unit.AtBoot, nil},
			{Event{Kind: Spawned, Run: 1}, unit.Starting, unit.NotReady, []Effect{effect(Probe, 1)}},
			{Event{Kind: Start}, unit.Starting, unit.NotReady, nil},
			{Event{Kind: Ready, Run: 1}, unit.Up, unit.AtBoot, []Effect{arm(StableTimer, 1, StableAfter)}},
			{Event{Kind: Start}, unit.Up, unit.AtBoot, nil},
		}, false, 0},
		"a leader that dies before it is ready": {ready, nil, []step{
			{Event{Kind: Start}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 1)}},
			{Event{Kind: Spawned, Run: 1}, unit.Starting, unit.NotReady, []Effect{effect(Probe, 1)}},
			{Event{Kind: Exited, Run: 1, Exit: code1}, unit.Stopping, unit.Crashed, []Effect{effect(Sweep, 1), arm(GraceTimer, 1, grace)}},
			{Event{Kind: Ready, Run: 1}, unit.Stopping, unit.Crashed, nil},
			{Event{Kind: Empty, Run: 1}, unit.Backoff, unit.Crashed, []Effect{arm(BackoffTimer, 1, BackoffFirst)}},
		}, false, 1},
		"a hurry while stopping kills once": {service(), toUp, []step{
			{Event{Kind: Halt}, unit.Stopping, unit.ContainerStopping, []Effect{effect(Terminate, 1), arm(GraceTimer, 1, grace)}},
			{Event{Kind: Hurry}, unit.Stopping, unit.ContainerStopping, []Effect{effect(Kill, 1)}},
			{Event{Kind: Expired, Timer: GraceTimer, Run: 1}, unit.Stopping, unit.ContainerStopping, nil},
			{Event{Kind: Hurry}, unit.Stopping, unit.ContainerStopping, nil},
		}, true, 0},
		"a hurry before the end leaves no grace": {service(), nil, []step{
			{Event{Kind: Start}, unit.Starting, unit.Asked, []Effect{effect(Spawn, 1)}},
			{Event{Kind: Hurry}, unit.Starting, unit.Asked, nil},
			{Event{Kind: Spawned, Run: 1}, unit.Up, unit.Asked, []Effect{arm(StableTimer, 1, StableAfter)}},
			{Event{Kind: Stop}, unit.Stopping, unit.Asked, []Effect{effect(Terminate, 1), effect(Kill, 1)}},
		}, true, 0},
		"a hurry leaves what a crash left behind no grace either": {service(), toUp, []step{
			{Event{Kind: Hurry}, unit.Up, unit.Asked, nil},
			{Event{Kind: Exited, Run: 1, Exit: code1}, unit.Stopping, unit.Crashed, []Effect{effect(Sweep, 1), effect(Kill, 1)}},
		}, false, 0},
		"nothing starts once the container stops": {service(), backingOff, []step{
			{Event{Kind: Halt}, unit.Down, unit.ContainerStopping, nil},
			{Event{Kind: Expired, Timer: BackoffTimer, Run: 1}, unit.Down, unit.ContainerStopping, nil},
			{Event{Kind: Boot}, unit.Down, unit.ContainerStopping, nil},
			{Event{Kind: Restart}, unit.Down, unit.ContainerStopping, nil},
		}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			u := walk(t, c.spec, append(c.before[:len(c.before):len(c.before)], c.steps...))
			if u.Asked != c.asked || u.Failures != c.failed {
				t.Errorf("asked for: %v; failures in a row: %d", u.Asked, u.Failures)
			}
		})
	}
}

// TestUnfit: a command that cannot be executed is judged like any other end, and says so.
func TestUnfit(t *testing.T) {
	t.Parallel()
	for restart, want := range map[unit.RestartPolicy]unit.State{
		unit.RestartAlways: unit.Backoff, unit.RestartOnFailure: unit.Backoff, unit.RestartNever: unit.Failed,
	} {
		spec := service(func(s *unit.Spec) { s.Restart = restart })
		u, _ := Next(spec, New(spec), Event{Kind: Start})
		u, _ = Next(spec, u, Event{Kind: SpawnFailed, Run: 1, Exit: unit.Exit{Code: 127}, Err: "there is no such file"})
		if u.State != want || u.Reason != unit.CannotExecute || u.ExecError != "there is no such file" || u.Exit.Code != 127 || u.Alive() {
			t.Errorf("%s: %+v", restart, u)
		}
	}
}
