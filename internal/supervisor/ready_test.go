package supervisor

import (
	"context"
	"strings"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// means are all the ways for a run to be ready. A unit of it is so when there is a file "go" in its directory.
func means(t *testing.T, dir string) map[unit.Name]struct {
	readiness unit.Readiness
	words     string
	by        string
	waits     string
} {
	t.Helper()
	pattern, err := unit.ParsePattern("^ready(-now)?$")
	if err != nil {
		t.Fatal(err)
	}
	tcp, http := closedPort(t), closedPort(t)
	asks := []string{"test", "-e", dir + "/go"}
	return map[unit.Name]struct {
		readiness unit.Readiness
		words     string
		by        string
		waits     string
	}{
		"notify": {unit.Readiness{Notify: true}, "until %s/go notify READY=1 sleep", "notify", "waiting for it to say that it is ready (READY=1)"},
		"fd":     {unit.Readiness{FD: 7}, "until %s/go fd 7 ready;ignored sleep", "fd 7", "waiting for it to say on descriptor 7 that it is ready"},
		"tcp":    {unit.Readiness{Check: unit.Check{TCP: tcp}}, "until %s/go tcp " + tcp + " sleep", "tcp " + tcp, "waiting for " + tcp + " to accept a connection"},
		"http":   {unit.Readiness{Check: unit.Check{HTTP: "http://" + http + "/x"}}, "until %s/go http " + http + " %s/broken sleep", "http http://" + http + "/x", "waiting for an answer from http://" + http + "/x"},
		"exec":   {unit.Readiness{Check: unit.Check{Exec: asks}}, "sleep", "exec test -e " + dir + "/go", "waiting for test to succeed"},
		"log":    {unit.Readiness{Log: pattern}, "say not-ready until %s/go say ready-now sleep", "log ^ready(-now)?$", "waiting for a line with ^ready(-now)?$ in its log"},
	}
}

// TestEveryReadiness: by whatever means a run says that it is ready, it is up then and not before, and it is said what is waited for.
func TestEveryReadiness(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		all := means(t, dir)
		var services []unit.Spec
		for name, m := range all {
			services = append(services, player(name, dir, m.words, func(s *unit.Spec) { s.Readiness = &m.readiness }))
		}
		w := newStagedWorld(t, dir, runs, services...)
		for name, m := range all {
			s := w.until(name, "not ready", func(s engine.Status) bool { return s.Reason == unit.NotReady })
			if s.State != unit.Starting || s.ReadyBy != m.by || !strings.HasPrefix(s.Because, m.waits) {
				t.Errorf("%s is %s by %s, because %s", name, s.State, s.ReadyBy, s.Because)
			}
		}
		w.make("go")
		for name := range all {
			if s := w.untilState(name, unit.Up); s.Run != 1 || s.Reason != unit.AtBoot {
				t.Errorf("%+v", s)
			}
		}
	})
}

// TestEveryReadinessTooLate: what is not ready in its time is ended and has failed; it says of what.
func TestEveryReadinessTooLate(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		all := means(t, dir)
		var services []unit.Spec
		for name, m := range all {
			services = append(services, player(name, dir, m.words, func(s *unit.Spec) {
				s.Readiness, s.StartTimeout, s.Restart = &m.readiness, 300*time.Millisecond, unit.RestartNever
			}))
		}
		w := newStagedWorld(t, dir, runs, services...)
		for name := range all {
			s := w.untilState(name, unit.Failed)
			if s.Reason != unit.TimedOut || s.Because != "it was not ready within 0.3 s" || s.Last.Cause != unit.TimedOut || s.Last.Asked || s.Run != 1 {
				t.Errorf("%s is %s because %s; %+v", name, s.State, s.Because, s.Last)
			}
		}
	})
}

// TestReadyDescriptorClosedWithoutALine: a run that closes it will never say that it is ready there, and the status says so.
func TestReadyDescriptorClosedWithoutALine(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs, player("web", dir, "fd 3 almost close 3 sleep", saysReady))
		s := w.until("web", "not ready, with a reason", func(s engine.Status) bool {
			return s.Because == "waiting for it to say on descriptor 3 that it is ready: it has closed it without a word"
		})
		if s.State != unit.Starting {
			t.Errorf("%+v", s)
		}
		w.must(w.Stop(context.Background(), "web"))
		if s := w.untilState("web", unit.Down); !strings.HasPrefix(s.Because, "stopped by ") {
			t.Errorf("%+v", s)
		}
	})
}
