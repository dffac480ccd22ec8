package supervisor

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pintle/internal/engine"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// TestStartsAtOnce: no more units start at once than may, the others say what they
// wait for, and each that is ready makes way for the next.
func TestStartsAtOnce(t *testing.T) {
	alone(t, func(t *testing.T) {
		const n, most = 6, 2
		dir, runs := stage(t)
		var services []unit.Spec
		for i := range n {
			name := unit.Name(fmt.Sprintf("unit%d", i))
			services = append(services, player(name, dir, "until %s/go-"+string(name)+" fd 3 ; sleep",
				func(s *unit.Spec) { s.Readiness = &unit.Readiness{FD: 3} }))
		}
		w := newWorld(t, Options{Services: services, RunDirectory: runs, Governor: unit.Governor{Starts: most}})
		w.dir = dir
		for ready := range n {
			starting := w.untilAll(min(most, n-ready), func(s engine.Status) bool { return s.State == unit.Starting && s.PID != 0 })
			waiting := w.untilAll(max(0, n-ready-most), func(s engine.Status) bool {
				return s.State == unit.Waiting && s.Reason == unit.AwaitsTurn && s.Because == "waiting for its turn: other units are starting"
			})
			if len(starting)+len(waiting) != n-ready {
				t.Errorf("with %d ready, %d start and %d wait", ready, len(starting), len(waiting))
			}
			for name := range starting {
				w.make("go-" + string(name))
				w.untilState(name, unit.Up)
				break
			}
		}
	})
}

// TestStorm: when many fail together, their restarts pause; each says why and how
// long, and comes back when the pause is over.
func TestStorm(t *testing.T) {
	alone(t, func(t *testing.T) {
		const n, pause = 6, 400 * time.Millisecond
		dir, runs := stage(t)
		var services []unit.Spec
		for i := range n {
			name := unit.Name(fmt.Sprintf("unit%d", i))
			services = append(services, player(name, dir, "once %s/first-"+string(name)+" [ until %s/storm exit 1 ] sleep"))
		}
		w := newWorld(t, Options{Services: services, RunDirectory: runs, Governor: unit.Governor{Least: 3, Share: 0.5, Within: time.Minute, Pause: pause}})
		w.dir = dir
		w.untilAll(n, func(s engine.Status) bool { return s.State == unit.Up && s.Run == 1 })
		begun := time.Now()
		w.make("storm")
		calm := w.untilAll(1, func(s engine.Status) bool { return s.State == unit.Waiting && s.Reason == unit.AwaitsCalm })
		for name, s := range calm {
			if !strings.HasPrefix(s.Because, "waiting ") || !strings.Contains(s.Because, " units failed together; it exited with code 1") {
				t.Errorf("%s: %s", name, s.Because)
			}
		}
		last := time.Time{}
		for _, s := range w.untilAll(n, func(s engine.Status) bool { return s.State == unit.Up && s.Run == 2 }) {
			if s.Since.After(last) {
				last = s.Since
			}
		}
		if last.Sub(begun) < pause {
			t.Errorf("the last was back after %v", last.Sub(begun))
		}
		if !strings.Contains(w.log.String(), "units failed within a short time: restarts pause for ") {
			t.Errorf("pintle said:\n%s", w.log)
		}
	})
}

// TestStormAfterStorm: a second storm in the pause of the first makes the pause
// longer; who waits for its end comes back then, and is not forgotten.
func TestStormAfterStorm(t *testing.T) {
	var services []unit.Spec
	var records []store.Record
	for i := range 10 {
		s := unfit(unit.Name(fmt.Sprintf("unit%d", i)))
		if services = append(services, s); i >= 5 {
			records = append(records, down(s.Name))
		}
	}
	o := Options{Services: services, Records: records, Governor: unit.Governor{Least: 5, Pause: 10 * time.Second}}
	inBubble(t, o, func(t *testing.T, s *Supervisor) {
		synctest.Wait()
		time.Sleep(3 * time.Second)
		for i := 5; i < 10; i++ {
			if _, err := s.Start(t.Context(), services[i].Name); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		before := map[unit.Name]uint64{}
		for i := range services {
			u := get(t, s, services[i].Name)
			before[u.Name] = u.Run
		}
		time.Sleep(5 * time.Minute)
		for i := range services {
			if u := get(t, s, services[i].Name); u.Run == before[u.Name] {
				t.Errorf("%s is %s after five minutes: %s", u.Name, u.State, u.Because)
			}
		}
	})
}

// TestWhoAsksDoesNotWaitForOthers: what a person starts while it waits for its turn, or for calm, begins at once.
func TestWhoAsksDoesNotWaitForOthers(t *testing.T) {
	var services []unit.Spec
	for i := range 5 {
		services = append(services, unfit(unit.Name(fmt.Sprintf("unit%d", i))))
	}
	t.Run("calm", func(t *testing.T) {
		inBubble(t, Options{Services: services, Governor: unit.Governor{Least: 5}}, func(t *testing.T, s *Supervisor) {
			synctest.Wait()
			asked := false
			for i := range services {
				before := get(t, s, services[i].Name)
				if before.Reason != unit.AwaitsCalm {
					continue
				}
				asked = true
				if now, err := s.Start(t.Context(), before.Name); err != nil || now.Run != before.Run+1 {
					t.Errorf("started, it is %s because %s (%v)", now.State, now.Because, err)
				}
			}
			if !asked {
				t.Error("none waited")
			}
		})
	})
	t.Run("turn", func(t *testing.T) {
		k := &fakeKernel{life: func(Launch) (time.Duration, unit.Exit) { return -1, unit.Exit{} }}
		slow := func(name unit.Name) unit.Spec {
			pattern, err := unit.ParsePattern("never")
			if err != nil {
				t.Fatal(err)
			}
			return sleeper(name, func(s *unit.Spec) { s.Readiness = &unit.Readiness{Log: pattern} })
		}
		o := Options{Kernel: k, Services: []unit.Spec{slow("a"), slow("b")}, Governor: unit.Governor{Starts: 1}}
		inBubble(t, o, func(t *testing.T, s *Supervisor) {
			synctest.Wait()
			if b := get(t, s, "b"); b.Reason != unit.AwaitsTurn {
				t.Fatalf("%+v", b)
			}
			if b, err := s.Start(t.Context(), "b"); err != nil || b.Run != 1 || b.State != unit.Starting {
				t.Errorf("started, it is %s because %s (%v)", b.State, b.Because, err)
			}
		})
	})
}
