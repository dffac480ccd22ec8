package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pintle/internal/engine"
	"pintle/internal/lifecycle"
	"pintle/internal/logs"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// inBubble runs body with a supervisor whose clock is virtual. It has no kernel,
// so no command in it can be executed; that is an ordinary end of a run.
// At the end pintle must have said each of said.
func inBubble(t *testing.T, o Options, body func(t *testing.T, s *Supervisor), said ...string) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { bubble(t, o, body, said...) })
}

// bubble is inBubble where there is one already.
func bubble(t *testing.T, o Options, body func(t *testing.T, s *Supervisor), said ...string) {
	t.Helper()
	var log lines
	o.Log = slogTo(&log)
	o.Logs = logs.NewBook(logs.Options{Now: time.Now})
	o.Store, _ = store.Open(store.Options{})
	s := New(o)
	s.Boot()
	body(t, s)
	s.Close()
	if err := o.Store.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for _, text := range said {
		if !strings.Contains(log.String(), text) {
			t.Errorf("pintle did not say %s, but\n%s", text, &log)
		}
	}
}

// unfit is a unit that cannot be executed.
func unfit(name unit.Name, change ...func(*unit.Spec)) unit.Spec {
	s := sleeper(name, change...)
	s.Command = []string{"/nonexistent/program"}
	return s
}

func get(t *testing.T, s *Supervisor, name unit.Name) engine.Status {
	t.Helper()
	status, err := s.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// TestLateEventsDoNotEndABackoff: a timer or a probe of the run that crashed may
// be reported when its backoff has begun. The next run must begin all the same.
func TestLateEventsDoNotEndABackoff(t *testing.T) {
	inBubble(t, Options{Services: []unit.Spec{unfit("web")}}, func(t *testing.T, s *Supervisor) {
		synctest.Wait()
		for _, e := range []lifecycle.Event{
			{Kind: lifecycle.Expired, Timer: lifecycle.GraceTimer, Run: 2, Serial: 1},
			{Kind: lifecycle.Expired, Timer: lifecycle.StableTimer, Run: 2, Serial: 1},
			{Kind: lifecycle.Ready, Run: 2},
		} {
			s.do(func(s *Supervisor) { s.step(s.units["web"], e) })
		}
		time.Sleep(mostOf(unit.DefaultBackoff.Initial))
		synctest.Wait()
		if got := get(t, s, "web"); got.Run != 3 {
			t.Errorf("after the backoff it is %s in run %d", got.State, got.Run)
		}
	})
}

// TestAnswerAfterItsAsker: the loop may answer a request that nobody waits for any more; -race watches.
func TestAnswerAfterItsAsker(t *testing.T) {
	many := template(func(u *unit.Template) { u.Max = 1000 })
	inBubble(t, Options{Templates: []unit.Template{many}}, func(t *testing.T, s *Supervisor) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for i := range 1000 {
			name := unit.Name(fmt.Sprintf("gateway@%d", i))
			_, created, err := s.Create(ctx, engine.CreateRequest{Name: name, Down: true})
			if err == nil && !created || err != nil && engine.KindOf(err) != engine.Unavailable {
				t.Errorf("created: %v, %v", created, err)
			}
		}
		if list, err := s.List(t.Context()); len(list) != 1000 || err != nil {
			t.Errorf("%d units, %v", len(list), err)
		}
	})
}

func slogTo(l *lines) *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// TestCloseEndsProbes: nothing goes on asking for readiness when the loop has ended; the bubble would wait for it.
func TestCloseEndsProbes(t *testing.T) {
	web := unfit("web", func(s *unit.Spec) { s.Readiness = &unit.Readiness{Check: unit.Check{TCP: closedPort(t)}} })
	inBubble(t, Options{Services: []unit.Spec{web}}, func(t *testing.T, s *Supervisor) {
		s.do(func(s *Supervisor) { s.carryOut(s.units["web"], lifecycle.Effect{Kind: lifecycle.Probe, Run: 1}) })
		get(t, s, "web")
	})
}
