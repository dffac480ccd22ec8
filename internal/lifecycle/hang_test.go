package lifecycle

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

func withWatchdog(s *unit.Spec) { s.Watchdog = 20 * time.Second }

func withDump(s *unit.Spec) {
	s.OnHang = &unit.OnHang{Signal: unit.Signal(unix.SIGQUIT), Wait: 3 * time.Second}
}

// TestHangs: a run that does not do its work is found, may say where it hangs, and is replaced.
func TestHangs(t *testing.T) {
	t.Parallel()
	watched := service(withWatchdog)
	dumped := service(withDump)
	const guarded = `
		Start    => starting asked: Spawn 1
		Spawned  => up asked: Arm stable 10s, Arm watchdog 20s`
	for name, c := range map[string]struct {
		spec   *unit.Spec
		script string
	}{
		"a ping begins the watchdog's time anew": {watched, guarded + `
			+15s Ping                  => up asked: Arm watchdog 20s
			+5s Expired watchdog serial 2  => up asked
			+10s Ping                  => up asked: Arm watchdog 20s
			+20s Expired watchdog      => stopping hung: Terminate SIGTERM, Arm grace 5s
			Ping                       => stopping hung
			Exited                     => stopping hung: Sweep
			Empty                      => starting crashed: Spawn 2
			check cause=hung asked=false failures=1
			Spawned                    => up crashed: Arm stable 10s, Arm watchdog 20s
			Expired watchdog run 1     => up crashed
			Ping run 1                 => up crashed`},
		"a ping before it is up, or without a watchdog, means nothing": {service(withReadiness), `
			Start    => starting asked: Spawn 1
			Ping     => starting asked
			Spawned  => starting not-ready: Probe
			Ping     => starting not-ready
			Hang     => starting not-ready
			Ready    => up asked: Arm stable 10s
			Ping     => up asked`},
		"liveness is watched while it is up": {service(func(s *unit.Spec) { s.Liveness = &unit.Liveness{} }), `
			Start         => starting asked: Spawn 1
			Spawned       => up asked: Arm stable 10s, Guard
			Hang          => stopping hung: Terminate SIGTERM, Arm grace 5s
			Hang          => stopping hung
			Exited code 0 => stopping hung: Sweep
			Empty         => starting crashed: Spawn 2
			Hang run 1    => starting crashed`},
		"it says where it hangs, then it is asked to end": {dumped, toUp + `
			Hang              => stopping hung: Dump, Arm hang 3s
			Extend after 1h   => stopping hung
			Ending            => stopping hung
			+3s Expired hang  => stopping hung: Terminate SIGTERM, Arm grace 5s
			+5s Expired grace => stopping hung: Kill`},
		"it ends of saying where it hangs": {dumped, toUp + `
			Hang             => stopping hung: Dump, Arm hang 3s
			Exited signal 3  => stopping hung: Sweep, Arm grace 5s
			Expired hang     => stopping hung
			Expired grace    => stopping hung: Kill
			Empty            => starting crashed: Spawn 2
			check cause=hung failures=1`},
		"the container stops during the dump": {dumped, toUp + `
			Hang           => stopping hung: Dump, Arm hang 3s
			Halt           => stopping container-stopping
			Expired hang   => stopping container-stopping: Terminate SIGTERM, Arm grace 5s
			Exited         => stopping container-stopping: Sweep
			Empty          => down container-stopping`},
		"the container stops in a hurry during the dump": {dumped, toUp + `
			Hang          => stopping hung: Dump, Arm hang 3s
			Hurry         => stopping hung: Kill
			Expired hang  => stopping hung
			Exited        => stopping hung: Sweep
			Empty         => starting crashed: Spawn 2`},
		"a stop during the dump": {dumped, toUp + `
			Hang          => stopping hung: Dump, Arm hang 3s
			Stop          => stopping asked
			Expired hang  => stopping asked: Terminate SIGTERM, Arm grace 5s
			Exited        => stopping asked: Sweep
			Empty         => down asked
			check cause=hung asked=false`},
		"no time for a dump in a hurry": {dumped, toUp + `
			Hurry  => up asked
			Hang   => stopping hung: Kill`},
		"a run that hung has failed, however it then exits": {service(func(s *unit.Spec) { s.Restart = unit.RestartNever }), toUp + `
			Hang    => stopping hung: Terminate SIGTERM, Arm grace 5s
			Exited  => stopping hung: Sweep
			Empty   => failed hung`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			walk(t, c.spec, c.script)
		})
	}
}

// TestStartTimeout: a run has so long to be ready, and may ask for more.
func TestStartTimeout(t *testing.T) {
	t.Parallel()
	limited := service(withReadiness, func(s *unit.Spec) { s.StartTimeout = 30 * time.Second })
	const begun = `
		Start    => starting asked: Spawn 1
		Extend after 1h => starting asked
		Spawned  => starting not-ready: Probe, Arm start 30s`
	for name, script := range map[string]string{
		"too long": `
			+30s Expired start  => stopping timed-out: Terminate SIGTERM, Arm grace 5s
			Exited              => stopping timed-out: Sweep
			Empty               => starting crashed: Spawn 2
			check cause=timed-out failures=1 asked=false`,
		"it asks for more time, never for less": `
			+20s Extend after 5s           => starting not-ready
			Extend after 20s               => starting not-ready: Arm start 20s
			+10s Expired start serial 1    => starting not-ready
			+10s Expired start             => stopping timed-out: Terminate SIGTERM, Arm grace 5s`,
		"in time": `
			Ready          => up asked: Arm stable 10s
			Expired start  => up asked
			Extend after 1h => up asked`,
		"STOPPING=1 before it is ready": `
			Ending  => stopping ends-itself: Arm grace 5s
			Exited  => stopping ends-itself: Sweep
			Empty   => starting crashed: Spawn 2
			check failures=1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			walk(t, limited, begun, script)
		})
	}
}
