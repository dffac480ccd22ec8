package lifecycle

import (
	"testing"
	"time"

	"pintle/internal/unit"
)

const (
	toWork = `
		Boot     => starting boot: Spawn 1
		Spawned  => starting working`
	toDone = toWork + `
		Exited  => stopping crashed: Sweep, Arm grace 5s
		Empty   => done restart-policy`
)

// TestOneshots: a oneshot's way up and its way down.
func TestOneshots(t *testing.T) {
	t.Parallel()
	plain := oneshot(func(s *unit.Spec) { s.Down = nil })
	limited := oneshot(func(s *unit.Spec) { s.StartTimeout = time.Minute })
	retried := oneshot(func(s *unit.Spec) { s.Restart = unit.RestartOnFailure; s.GiveUp.After = 3 })
	for name, c := range map[string]struct {
		spec   *unit.Spec
		script string
	}{
		"it is never up": {plain, toWork + `
			Ready   => starting working
			Ping    => starting working
			Hang    => starting working
			Exited  => stopping crashed: Sweep, Arm grace 5s
			Empty   => done restart-policy
			check failures=0 asked=false`},
		"it is done, and may be stopped or done again": {plain, toDone + `
			Boot     => done restart-policy
			Follow   => done restart-policy
			Start    => starting asked: Spawn 2
			Spawned  => starting working
			Exited   => stopping crashed: Sweep, Arm grace 5s
			Empty    => done restart-policy
			Restart  => starting asked: Spawn 3
			Spawned  => starting working
			Exited   => stopping crashed: Sweep, Arm grace 5s
			Empty    => done restart-policy
			Stop     => down asked`},
		"without anything to undo it stays done when the container stops": {plain, toDone + `
			Halt     => done restart-policy
			Start    => done restart-policy
			Restart  => done restart-policy
			Stop     => down asked`},
		"it fails": {plain, toWork + `
			Exited code 1  => stopping crashed: Sweep, Arm grace 5s
			Empty          => failed restart-policy
			check failures=1`},
		"it is tried again until it is given up": {retried, toWork + `
			Exited code 1    => stopping crashed: Sweep, Arm grace 5s
			Empty            => starting crashed: Spawn 2
			SpawnFailed code 127  => backoff cannot-execute: Arm backoff ~250ms
			Expired backoff  => starting crashed: Spawn 3
			Spawned          => starting working
			Exited code 1    => stopping crashed: Sweep, Arm grace 5s
			Empty            => failed gave-up
			check failures=3
			Start            => starting asked: Spawn 4
			check failures=0`},
		"it takes too long": {limited, `
			Boot                => starting boot: Spawn 1
			Spawned             => starting working: Arm start 1m0s
			+1m Expired start   => stopping timed-out: Terminate SIGTERM, Arm grace 5s
			Exited              => stopping timed-out: Sweep
			Empty               => failed timed-out`},
		"stop undoes it": {oneshot(), toDone + `
			Stop          => stopping asked: Undo 2
			check undoing=true
			Spawned       => stopping asked: Arm grace 5s
			Extend after 1h => stopping asked
			Exited code 3 => stopping asked: Sweep
			Empty         => down asked
			check exit=3 failures=0`},
		"halt undoes it, with its start timeout": {limited, `
			Boot              => starting boot: Spawn 1
			Spawned           => starting working: Arm start 1m0s
			Exited            => stopping crashed: Sweep, Arm grace 5s
			Empty             => done restart-policy
			Freeze            => done restart-policy
			Start             => done restart-policy
			Restart           => done restart-policy
			Halt              => stopping container-stopping: Undo 2
			Halt              => stopping container-stopping
			Spawned           => stopping container-stopping: Arm grace 1m0s
			Expired grace     => stopping container-stopping: Kill
			Exited signal 9   => stopping container-stopping: Sweep
			Empty             => down container-stopping
			Halt              => down container-stopping`},
		"restart undoes it and does it again": {oneshot(), toDone + `
			Restart  => stopping asked: Undo 2
			Spawned  => stopping asked: Arm grace 5s
			Exited   => stopping asked: Sweep
			Empty    => starting asked: Spawn 3
			check undoing=false`},
		"start does it again without undoing it": {oneshot(), toDone + `
			Start  => starting asked: Spawn 2`},
		"start while it is undone does it again": {oneshot(), toDone + `
			Stop     => stopping asked: Undo 2
			Start    => stopping asked
			Spawned  => stopping asked: Arm grace 5s
			Exited   => stopping asked: Sweep
			Empty    => starting asked: Spawn 3`},
		"a hurry while it is undone": {oneshot(), toDone + `
			Halt     => stopping container-stopping: Undo 2
			Spawned  => stopping container-stopping: Arm grace 5s
			Hurry    => stopping container-stopping: Kill
			Exited   => stopping container-stopping: Sweep
			Empty    => down container-stopping`},
		"a hurry before the command for the way down exists": {oneshot(), toDone + `
			Halt     => stopping container-stopping: Undo 2
			Hurry    => stopping container-stopping
			Spawned  => stopping container-stopping: Kill`},
		"in a hurry nothing is undone": {oneshot(), toDone + `
			Hurry  => done restart-policy
			Halt   => done restart-policy
			Stop   => down asked`},
		"what undoes it cannot be executed": {oneshot(), toDone + `
			Stop                             => stopping asked: Undo 2
			SpawnFailed code 127 err missing => down asked
			check error=missing exit=127`},
		"what undoes it cannot be executed, and it is to be done again": {oneshot(), toDone + `
			Restart               => stopping asked: Undo 2
			SpawnFailed code 127  => starting asked: Spawn 3`},
		"a stop before it is done undoes nothing": {oneshot(), toWork + `
			Stop    => stopping asked: Terminate SIGTERM, Arm grace 5s
			Exited  => stopping asked: Sweep
			Empty   => down asked`},
		"a stop between its end and what it left behind undoes it": {oneshot(), toWork + `
			Exited   => stopping crashed: Sweep, Arm grace 5s
			Stop     => stopping asked
			Empty    => stopping asked: Undo 2
			Extend after 1h  => stopping asked
			Expired grace    => stopping asked
			Spawned  => stopping asked: Arm grace 5s
			Exited   => stopping asked: Sweep
			Empty    => down asked`},
		"a restart between its end and what it left behind undoes it": {oneshot(), toWork + `
			Exited   => stopping crashed: Sweep, Arm grace 5s
			Restart  => stopping crashed
			Empty    => stopping asked: Undo 2
			SpawnFailed  => starting asked: Spawn 3`},
		"what is done after the container began to stop is undone in its turn": {oneshot(), toWork + `
			Freeze  => starting working
			Exited  => stopping crashed: Sweep, Arm grace 5s
			Empty   => done restart-policy
			Halt    => stopping container-stopping: Undo 2`},
		"what failed after the container began to stop is down": {oneshot(), toWork + `
			Freeze         => starting working
			Exited code 1  => stopping crashed: Sweep, Arm grace 5s
			Empty          => down container-stopping
			Halt           => down container-stopping`},
		"what failed before a stop has nothing to undo": {oneshot(), toWork + `
			Exited code 1  => stopping crashed: Sweep, Arm grace 5s
			Stop           => stopping asked
			Empty          => down asked`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			walk(t, c.spec, c.script)
		})
	}
}
