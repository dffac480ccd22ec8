package supervisor

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// TestLivenessHTTP: a run that answers its check with errors has hung, see hangs.
func TestLivenessHTTP(t *testing.T) {
	alone(t, func(t *testing.T) {
		hangs(t, "answered 500", func(_, address string) unit.Check { return unit.Check{HTTP: "http://" + address} })
	})
}

// hangs: a run that hangs gets the signal that has it say where, then it is
// stopped, and another takes its place. Its end says what the check found.
func hangs(t *testing.T, detail string, ask func(dir, address string) unit.Check) {
	dir, runs := stage(t)
	address := closedPort(t)
	check := ask(dir, address)
	const signals = "on USR1 [ write %s/order dump until %s/never ] on TERM [ write %s/order term exit 0 ] "
	w := newStagedWorld(t, dir, runs, player("web", dir, signals+"http "+address+" %s/broken fd 3 ; sleep", saysReady, func(s *unit.Spec) {
		s.Liveness = &unit.Liveness{Check: check, Period: 20 * time.Millisecond, Failures: 2, Timeout: 10 * time.Second}
		s.OnHang = &unit.OnHang{Signal: unit.Signal(unix.SIGUSR1), Wait: time.Second}
	}))
	if s := w.untilState("web", unit.Up); s.AliveBy != check.String() {
		t.Errorf("alive by %s", s.AliveBy)
	}
	hung := w.watchFor("web", func(s engine.Status) bool { return s.State == unit.Stopping })
	back := w.watchFor("web", func(s engine.Status) bool { return s.State == unit.Up && s.Run == 2 })
	w.make("broken")
	if s := <-hung; s.Reason != unit.Hung || s.Because != "it hung: "+detail {
		t.Errorf("it is %s because %s", s.State, s.Because)
	}
	w.untilFile("order")
	if err := unix.Unlink(dir + "/broken"); err != nil { // so that the next run does not hang
		t.Fatal(err)
	}
	s := <-back
	if l := s.Last; l == nil || l.Cause != unit.Hung || l.Detail != detail || l.Asked || l.Killed || s.Failures != 1 {
		t.Errorf("%+v, %+v", s, l)
	}
	if order := w.untilFile("order"); order != "dump\nterm" {
		t.Errorf("it was signalled in the order %q", order)
	}
}
