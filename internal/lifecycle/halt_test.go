package lifecycle

import (
	"testing"

	"pintle/internal/unit"
)

// TestTheContainerStops: Freeze and Halt in every state. After either, nothing starts any more; only Halt ends a run.
func TestTheContainerStops(t *testing.T) {
	t.Parallel()
	failed := `
		no leave
		Start    => waiting asked: Await
		Refused  => failed dependency-failed`
	for name, c := range map[string]struct {
		spec           *unit.Spec
		before         string
		freeze, halted string
	}{
		"disabled":                  {service(func(s *unit.Spec) { s.Enabled.On = false }), ``, `disabled switched-off`, `disabled switched-off`},
		"down":                      {service(), ``, `down never-started`, `down never-started`},
		"waiting":                   {service(), "no leave\nStart => waiting asked: Await", `down container-stopping`, `down container-stopping`},
		"starting, before it lives": {service(), `Start => starting asked: Spawn 1`, `starting asked`, `stopping container-stopping`},
		"starting": {service(withReadiness), "Start => starting asked: Spawn 1\nSpawned => starting not-ready: Probe",
			`starting not-ready`, `stopping container-stopping: Terminate SIGTERM, Arm grace 5s`},
		"up":            {service(), toUp, `up asked`, `stopping container-stopping: Terminate SIGTERM, Arm grace 5s`},
		"stopping":      {service(), crashing, `stopping container-stopping`, `stopping container-stopping`},
		"backoff":       {service(), backingOff, `down container-stopping`, `down container-stopping`},
		"failed":        {service(), failed, `failed dependency-failed`, `failed dependency-failed`},
		"done":          {oneshot(), toDone, `done restart-policy`, `stopping container-stopping: Undo 2`},
		"done for good": {oneshot(func(s *unit.Spec) { s.Down = nil }), toDone, `done restart-policy`, `done restart-policy`},
	} {
		for event, result := range map[string]string{"Freeze": c.freeze, "Halt": c.halted} {
			t.Run(name+", "+event, func(t *testing.T) {
				t.Parallel()
				u := walk(t, c.spec, c.before, event+" => "+result)
				if !u.Halted {
					t.Error("it is not halted")
				}
				for _, k := range []EventKind{Start, Boot, Mended, Granted} {
					next, effects := Next(c.spec, u, Event{Kind: k, Run: u.Run})
					if next.State != u.State || len(effects) > 0 {
						t.Errorf("%s still does something: %s, %v", k, next.State, effects)
					}
				}
			})
		}
	}
}

// TestFreezeThenLife: what runs goes on after Freeze, and its end is the last.
func TestFreezeThenLife(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"it becomes ready": `
			Start          => starting asked: Spawn 1
			Freeze         => starting asked
			Spawned        => starting not-ready: Probe
			Ready          => up asked: Arm stable 10s
			Exited code 1  => stopping crashed: Sweep, Arm grace 5s
			Empty          => down container-stopping
			check asked=false cause=crashed`,
		"nobody restarts it, because it would end before its turn": `
			Start    => starting asked: Spawn 1
			Freeze   => starting asked
			Restart  => starting asked
			Spawned  => starting not-ready: Probe
			Follow   => starting not-ready
			Ready    => up asked: Arm stable 10s
			Restart  => up asked
			Follow   => up asked
			Stop     => stopping asked: Terminate SIGTERM, Arm grace 5s
			Exited   => stopping asked: Sweep
			Empty    => down container-stopping`,
		"it cannot be executed": `
			Start        => starting asked: Spawn 1
			Freeze       => starting asked
			SpawnFailed  => down container-stopping`,
		"it was to be started again": `
			Start    => starting asked: Spawn 1
			Restart  => stopping asked
			Freeze   => stopping container-stopping
			Start    => stopping container-stopping
			Restart  => stopping container-stopping
			Spawned  => stopping container-stopping: Terminate SIGTERM, Arm grace 5s
			Exited   => stopping container-stopping: Sweep
			Empty    => down container-stopping`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			walk(t, service(withReadiness), script)
		})
	}
}

// TestDependencies: what a unit does when something becomes of one that it depends on.
func TestDependencies(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"follow while up": toUp + `
			Follow   => stopping dependency-restarted: Terminate SIGTERM, Arm grace 5s
			Follow   => stopping dependency-restarted
			Exited   => stopping dependency-restarted: Sweep
			Empty    => starting dependency-restarted: Spawn 2
			check asked=true
			Spawned  => up dependency-restarted: Arm stable 10s`,
		"follow keeps the failures, a person's restart does not": `
			Start          => starting asked: Spawn 1
			SpawnFailed    => starting crashed: Spawn 2
			check failures=1
			Follow         => stopping dependency-restarted
			SpawnFailed    => starting dependency-restarted: Spawn 3
			check failures=1
			Spawned        => up dependency-restarted: Arm stable 10s
			Exited         => stopping crashed: Sweep, Arm grace 5s
			Empty          => backoff crashed: Arm backoff ~250ms`,
		"a stop outweighs a follow": toUp + `
			Follow  => stopping dependency-restarted: Terminate SIGTERM, Arm grace 5s
			Stop    => stopping asked
			Exited  => stopping asked: Sweep
			Empty   => down asked`,
		"what is down does not follow": `
			Follow  => down never-started`,
		"what waits does not follow": `
			no leave
			Start   => waiting asked: Await
			Follow  => waiting asked`,
		"refused, then mended": `
			no leave
			Boot     => waiting boot: Await
			Mended   => waiting boot
			Refused  => failed dependency-failed
			Granted  => failed dependency-failed
			Follow   => failed dependency-failed
			Boot     => failed dependency-failed
			Mended   => waiting dependency-restarted: Await
			Granted  => starting dependency-restarted: Spawn 1`,
		"refused, then asked for": `
			no leave
			Boot     => waiting boot: Await
			Refused  => failed dependency-failed
			Start    => waiting asked: Await`,
		"refused, then not wanted": `
			no leave
			Boot     => waiting boot: Await
			Refused  => failed dependency-failed
			Stop     => down asked
			Mended   => down asked`,
		"what failed by itself is not mended by another": `
			Boot              => starting boot: Spawn 1
			SpawnFailed       => starting crashed: Spawn 2
			Mended            => starting crashed
			Spawned           => up crashed: Arm stable 10s
			Exited code 78    => stopping crashed: Sweep, Arm grace 5s
			Empty             => failed exit-rule
			Mended            => failed exit-rule`,
		"boot means only what has not begun": `
			Boot     => starting boot: Spawn 1
			Boot     => starting boot
			Spawned  => up boot: Arm stable 10s
			Boot     => up boot
			Stop     => stopping asked: Terminate SIGTERM, Arm grace 5s
			Boot     => stopping asked
			Exited   => stopping asked: Sweep
			Empty    => down asked
			Boot     => starting boot: Spawn 2`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			walk(t, service(func(s *unit.Spec) { s.ExitRules = unit.ExitRules{{Code: 78}: unit.VerdictFail} }), script)
		})
	}
}
