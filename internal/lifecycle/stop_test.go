package lifecycle

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

func withSignals(s *unit.Spec) {
	s.Stop.Signals = []unit.StopSignal{
		{Signal: unit.Signal(unix.SIGQUIT)}, {Signal: unit.SIGTERM, After: time.Second}, {Signal: unit.Signal(unix.SIGINT), After: 3 * time.Second},
	}
}

func withStopCommand(s *unit.Spec) { s.Stop.Command = []string{"please", "stop"} }

func withGraceMax(s *unit.Spec) { s.Stop.GraceMax = 12 * time.Second }

// TestStops: how a run is asked to end, in which order, and that it is killed when its time is over.
func TestStops(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec   *unit.Spec
		script string
	}{
		"signals with delays, and KILL in the end": {service(withSignals), `
			Stop                => stopping asked: Terminate SIGQUIT, Arm signal 1s, Arm grace 5s
			+1s Expired signal  => stopping asked: Terminate SIGTERM, Arm signal 2s
			+2s Expired signal  => stopping asked: Terminate SIGINT
			Expired signal      => stopping asked
			+2s Expired grace   => stopping asked: Kill
			Expired signal      => stopping asked
			Exited signal 9     => stopping asked: Sweep
			Empty               => down asked`},
		"no signal follows the leader's end": {service(withSignals), `
			Stop            => stopping asked: Terminate SIGQUIT, Arm signal 1s, Arm grace 5s
			Exited          => stopping asked: Sweep
			Expired signal  => stopping asked
			Expired grace   => stopping asked: Kill
			Empty           => down asked`},
		"the stop command, then the signals": {service(withStopCommand, withSignals), `
			Stop              => stopping asked: Command, Arm command 2.5s, Arm grace 5s
			+1s CommandEnded  => stopping asked: Terminate SIGQUIT, Arm signal 1s
			CommandEnded      => stopping asked
			Expired command   => stopping asked
			Expired signal    => stopping asked: Terminate SIGTERM, Arm signal 2s
			Expired grace     => stopping asked: Kill`},
		"a stop command that hangs has half of the time": {service(withStopCommand), `
			Stop                   => stopping asked: Command, Arm command 2.5s, Arm grace 5s
			+2500ms Expired command  => stopping asked: Terminate SIGTERM
			CommandEnded           => stopping asked
			Expired command        => stopping asked
			+2500ms Expired grace  => stopping asked: Kill
			CommandEnded           => stopping asked`},
		"a stop command that did it": {service(withStopCommand), `
			Stop          => stopping asked: Command, Arm command 2.5s, Arm grace 5s
			Exited        => stopping asked: Sweep
			CommandEnded  => stopping asked
			Empty         => down asked
			CommandEnded  => down asked`},
		"a run may ask for more time, up to what is allowed, and never for less": {service(withGraceMax), `
			Stop                     => stopping asked: Terminate SIGTERM, Arm grace 5s
			+1s Extend after 1s      => stopping asked
			Extend after 4s          => stopping asked
			Extend after 6s          => stopping asked: Arm grace 6s
			Expired grace serial 2   => stopping asked
			+1s Extend after 1h      => stopping asked: Arm grace 10s
			+1s Extend after 1h      => stopping asked
			Extend after 1s          => stopping asked
			+9s Expired grace        => stopping asked: Kill
			Extend after 1h          => stopping asked`},
		"without more than the grace period nothing is extended": {service(), `
			Stop                  => stopping asked: Terminate SIGTERM, Arm grace 5s
			+1s Extend after 1h   => stopping asked
			+4s Expired grace     => stopping asked: Kill`},
		"what the leader left behind may not have more time than it has": {service(withGraceMax), `
			Exited code 1        => stopping crashed: Sweep, Arm grace 5s
			+3s Extend after 1h  => stopping crashed: Arm grace 9s
			+9s Expired grace    => stopping crashed: Kill
			Empty                => starting crashed: Spawn 2`},
		"a hurry during the signals": {service(withSignals), `
			Stop            => stopping asked: Terminate SIGQUIT, Arm signal 1s, Arm grace 5s
			Hurry           => stopping asked: Kill
			Expired signal  => stopping asked
			Extend after 1h => stopping asked
			Expired grace   => stopping asked
			Exited          => stopping asked: Sweep
			Empty           => down asked`},
		"a hurry during the stop command": {service(withStopCommand), `
			Stop             => stopping asked: Command, Arm command 2.5s, Arm grace 5s
			Hurry            => stopping asked: Kill
			CommandEnded     => stopping asked
			Expired command  => stopping asked`},
		"a hurry before the stop spares the stop command": {service(withStopCommand), `
			Hurry  => up asked
			Stop   => stopping asked: Kill`},
		"a hurry while what is left is swept": {service(), `
			Stop    => stopping asked: Terminate SIGTERM, Arm grace 5s
			Exited  => stopping asked: Sweep
			Hurry   => stopping asked: Kill
			Empty   => down asked`},
		"a stop while what a crash left is swept": {service(), `
			Exited code 1  => stopping crashed: Sweep, Arm grace 5s
			Stop           => stopping asked
			Expired grace  => stopping asked: Kill
			Empty          => down asked`},
		"STOPPING=1 begins the grace period and sends nothing": {service(withGraceMax), `
			Ending               => stopping ends-itself: Arm grace 5s
			Ending               => stopping ends-itself
			+4s Extend after 8s  => stopping ends-itself: Arm grace 8s
			Exited code 1        => stopping ends-itself: Sweep
			Empty                => starting crashed: Spawn 2
			check cause=ends-itself asked=false failures=1`},
		"STOPPING=1 and then nothing": {service(), `
			Ending         => stopping ends-itself: Arm grace 5s
			Expired grace  => stopping ends-itself: Kill
			Exited signal 9 => stopping ends-itself: Sweep
			Empty          => starting crashed: Spawn 2`},
		"STOPPING=1 and then a stop": {service(), `
			Ending         => stopping ends-itself: Arm grace 5s
			Stop           => stopping asked
			Expired grace  => stopping asked: Kill
			Exited         => stopping asked: Sweep
			Empty          => down asked
			check asked=false cause=ends-itself`},
		"STOPPING=1 in a hurry": {service(), `
			Hurry   => up asked
			Ending  => stopping ends-itself: Kill`},
		"no grace at all": {service(withStopCommand, func(s *unit.Spec) { s.Stop.Grace = 0 }), `
			Stop           => stopping asked: Command, Arm command 0s, Arm grace 0s
			Expired grace  => stopping asked: Kill`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			walk(t, c.spec, toUp, c.script)
		})
	}
}

// TestStopBeforeTheLeaderExists: the wish waits for the leader, and then begins with all of its steps.
func TestStopBeforeTheLeaderExists(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec   *unit.Spec
		script string
	}{
		"by signals": {service(withSignals), `
			Spawned         => stopping asked: Terminate SIGQUIT, Arm signal 1s, Arm grace 5s
			Expired signal  => stopping asked: Terminate SIGTERM, Arm signal 2s`},
		"by command": {service(withStopCommand), `
			Spawned       => stopping asked: Command, Arm command 2.5s, Arm grace 5s
			CommandEnded  => stopping asked: Terminate SIGTERM`},
		"in a hurry": {service(withStopCommand), `
			Hurry    => stopping asked
			Spawned  => stopping asked: Kill
			Hurry    => stopping asked`},
		"whatever else comes first": {service(withStopCommand), `
			Extend after 1m => stopping asked
			Ending          => stopping asked
			Ready           => stopping asked
			CommandEnded    => stopping asked
			Empty           => stopping asked
			Spawned         => stopping asked: Command, Arm command 2.5s, Arm grace 5s`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			walk(t, c.spec, `
				Start  => starting asked: Spawn 1
				Stop   => stopping asked`, c.script)
		})
	}
}
