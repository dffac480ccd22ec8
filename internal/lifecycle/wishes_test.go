package lifecycle

import (
	"testing"

	"pintle/internal/unit"
)

// What the scripts below begin with.
const (
	toUp = `
		Start    => starting asked: Spawn 1
		Spawned  => up asked: Arm stable 10s`
	crashing = toUp + `
		Exited code 1  => stopping crashed: Sweep, Arm grace 5s`
	backingOff = `
		Start          => starting asked: Spawn 1
		SpawnFailed    => starting crashed: Spawn 2
		Spawned        => up crashed: Arm stable 10s
		Exited code 1  => stopping crashed: Sweep, Arm grace 5s
		Empty          => backoff crashed: Arm backoff ~250ms`
)

// TestWishes: what becomes of a wish that comes while something else is under way.
func TestWishes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec          *unit.Spec
		before, after string
	}{
		"start in backoff is by that person, and forgets the failures": {service(), backingOff, `
			Start                  => starting asked: Spawn 3
			check failures=0
			Expired backoff run 2  => starting asked
			Spawned                => up asked: Arm stable 10s`},
		"restart in backoff does not wait": {service(), backingOff, `
			Restart  => starting asked: Spawn 3
			check failures=0`},
		"start while it waits to be started again is by that person": {service(), crashing, `
			no leave
			Empty    => waiting crashed: Await
			check failures=1
			Start    => waiting crashed
			check failures=0
			Granted  => starting asked: Spawn 2`},
		"stop while it waits": {service(), crashing, `
			no leave
			Empty    => waiting crashed: Await
			Stop     => down asked
			Granted  => down asked
			Held why awaits-turn  => down asked
			Refused  => down asked
			check failures=0`},
		"a late timer of the run that crashed does not end the backoff": {service(), backingOff, `
			Expired grace   => backoff crashed
			Expired stable  => backoff crashed
			Ready           => backoff crashed
			Follow          => backoff crashed
			Boot            => backoff crashed
			check failures=2 asked=false`},
		"start while a crash is cleaned up spares the backoff": {service(), crashing, `
			Start  => stopping crashed
			Empty  => starting asked: Spawn 2
			check failures=0 asked=false`},
		"stop while a crash is cleaned up ends down; the end was not asked for": {service(), crashing, `
			Stop   => stopping asked
			Empty  => down asked
			check failures=0 asked=false cause=crashed`},
		"the container stops while a crash is cleaned up": {service(), crashing, `
			Halt   => stopping container-stopping
			Stop   => stopping container-stopping
			Empty  => down container-stopping
			check failures=0 asked=false`},
		"the last wish counts": {service(), toUp, `
			Restart        => stopping asked: Terminate SIGTERM, Arm grace 5s
			Stop           => stopping asked
			Start          => stopping asked
			Stop           => stopping asked
			Exited code 1  => stopping asked: Sweep
			Empty          => down asked
			check failures=0 asked=true cause=asked`},
		"a reload's wishes say so": {service(), toUp, `
			Restart why changed  => stopping changed: Terminate SIGTERM, Arm grace 5s
			Exited               => stopping changed: Sweep
			Empty                => starting changed: Spawn 2
			Spawned              => up changed: Arm stable 10s
			Stop why dropped     => stopping dropped: Terminate SIGTERM, Arm grace 5s
			Exited               => stopping dropped: Sweep
			Empty                => down dropped`},
		"restart while starting ends the run that is not ready": {service(withReadiness), ``, `
			Start    => starting asked: Spawn 1
			Spawned  => starting not-ready: Probe
			Restart  => stopping asked: Terminate SIGTERM, Arm grace 5s
			Ready    => stopping asked
			Exited   => stopping asked: Sweep
			Empty    => starting asked: Spawn 2
			check asked=true failures=0`},
		"restart before the leader exists, which then cannot be executed": {service(), ``, `
			Start               => starting asked: Spawn 1
			Restart             => stopping asked
			SpawnFailed code 1  => starting asked: Spawn 2
			check asked=true failures=0`},
		"stop before the leader exists, which then cannot be executed": {service(), ``, `
			Start               => starting asked: Spawn 1
			Stop                => stopping asked
			SpawnFailed code 1  => down asked
			check asked=true failures=0`},
		"start of one that is starting or up changes nothing": {service(withReadiness), ``, `
			Boot     => starting boot: Spawn 1
			Start    => starting boot
			Spawned  => starting not-ready: Probe
			Start    => starting not-ready
			Ready    => up boot: Arm stable 10s
			Start    => up boot`},
		"a leader that dies before it is ready": {service(withReadiness), ``, `
			Start          => starting asked: Spawn 1
			Spawned        => starting not-ready: Probe
			Exited code 1  => stopping crashed: Sweep, Arm grace 5s
			Ready          => stopping crashed
			Empty          => starting crashed: Spawn 2
			check failures=1 asked=false`},
		"a hurry while stopping kills once": {service(), toUp, `
			Halt           => stopping container-stopping: Terminate SIGTERM, Arm grace 5s
			Hurry          => stopping container-stopping: Kill
			Expired grace  => stopping container-stopping
			Hurry          => stopping container-stopping
			check asked=true`},
		"a hurry before the end leaves no grace": {service(), ``, `
			Start    => starting asked: Spawn 1
			Hurry    => starting asked
			Spawned  => up asked: Arm stable 10s
			Stop     => stopping asked: Kill`},
		"a hurry leaves what a crash left behind no grace either": {service(), toUp, `
			Hurry          => up asked
			Exited code 1  => stopping crashed: Sweep, Kill`},
		"nothing starts once the container stops": {service(), backingOff, `
			Halt             => down container-stopping
			Expired backoff  => down container-stopping
			Boot             => down container-stopping
			Restart          => down container-stopping
			Start            => down container-stopping`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			walk(t, c.spec, c.before, c.after)
		})
	}
}
