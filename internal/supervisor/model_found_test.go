package supervisor

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pintle/internal/store"
	"pintle/internal/unit"
)

// This file is what the model has found, each as small as it could be made.

// small is a tale in a kind world; each change makes another version of its declarations.
func small(t *testing.T, first []unit.Spec, g unit.Governor, changes []func([]unit.Spec, *unit.Governor), body func(t *testing.T, w *tale)) {
	t.Helper()
	t.Parallel()
	p := &plan{}
	add := func(services []unit.Spec) {
		for i := range services {
			services[i].Labels = map[string]string{"version": fmt.Sprint(len(p.versions))}
		}
		p.versions = append(p.versions, declared{services: services, governor: g})
	}
	add(append([]unit.Spec(nil), first...))
	for _, change := range changes {
		services := append([]unit.Spec(nil), first...)
		change(services, &g)
		add(services)
	}
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, p, "")
		w.k.beKind()
		w.commanding.Store(true)
		w.s.Boot()
		holds(t, w.settled())
		body(t, w)
		holds(t, w.end())
		w.close()
	})
}

func holds(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// after asks for something, and has time pass.
func (w *tale) after(t *testing.T, d deed, who unit.Name, wait time.Duration) unit.State {
	t.Helper()
	w.ask(asking{deed: d, who: who})
	holds(t, w.settled())
	time.Sleep(wait)
	holds(t, w.settled())
	if who == "" {
		return ""
	}
	return get(t, w.s, who).State
}

func plain(name unit.Name, change ...func(*unit.Spec)) unit.Spec {
	s := sleeper(name, change...)
	s.Command = []string{"/bin/true", "run"}
	return s
}

func readyBy(text string) *unit.Readiness {
	p, _ := unit.ParsePattern(text)
	return &unit.Readiness{Log: p}
}

// TestAskedStartDoesNotWait: a unit that waits for its turn starts at once when somebody asks for it.
func TestAskedStartDoesNotWait(t *testing.T) {
	slow := plain("a", func(s *unit.Spec) { s.Readiness = readyBy("NEVER") })
	small(t, []unit.Spec{slow, plain("b")}, unit.Governor{Starts: 1}, nil, func(t *testing.T, w *tale) {
		if got := w.after(t, askStart, "b", mostOf(mostLag)); got != unit.Up {
			t.Errorf("it is %s", got)
		}
	})
}

// TestMoreTurns: who waits for his turn has it when a reload allows more starts at once.
func TestMoreTurns(t *testing.T) {
	slow := plain("a", func(s *unit.Spec) { s.Readiness = readyBy("NEVER") })
	more := func(_ []unit.Spec, g *unit.Governor) { g.Starts = 2 }
	small(t, []unit.Spec{slow, plain("b")}, unit.Governor{Starts: 1}, []func([]unit.Spec, *unit.Governor){more}, func(t *testing.T, w *tale) {
		w.after(t, askReload, "", mostOf(mostLag))
		if got := get(t, w.s, "b").State; got != unit.Up {
			t.Errorf("it is %s", got)
		}
	})
}

// TestPauseThatGrows: units that wait until failures have calmed down start when they have, also when others failed
// meanwhile and the pause has become longer.
func TestPauseThatGrows(t *testing.T) {
	o := Options{
		Services: []unit.Spec{unfit("a"), unfit("b"), unfit("c"), unfit("d")},
		Records:  []store.Record{down("c"), down("d")},
		Governor: unit.Governor{Least: 2, Share: 0.1, Pause: 4 * time.Second},
	}
	inBubble(t, o, func(t *testing.T, s *Supervisor) {
		time.Sleep(2 * time.Second)
		for _, n := range []unit.Name{"c", "d"} {
			if _, err := s.Start(t.Context(), n); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(3 * time.Second)
		before := get(t, s, "a")
		if before.Reason != unit.AwaitsCalm {
			t.Errorf("in the pause it is %s (%s)", before.State, before.Reason)
		}
		time.Sleep(2 * time.Second)
		if got := get(t, s, "a"); got.Run == before.Run {
			t.Errorf("after the pause it is %s (%s) in run %d", got.State, got.Reason, got.Run)
		}
	})
}

// TestHaltAfterAReload: a unit ends on the way down also when what depended on it ends as a run of an old declaration,
// and does not depend on it by the new one.
func TestHaltAfterAReload(t *testing.T) {
	needy := plain("b", func(s *unit.Spec) { s.DependsOn = []unit.Dependency{{On: "a", Condition: unit.OnReady}} })
	free := func(s []unit.Spec, _ *unit.Governor) {
		s[1] = plain("b")
		s[1].Command = []string{"/bin/true", "other"}
	}
	small(t, []unit.Spec{plain("a"), needy}, unit.Governor{}, []func([]unit.Spec, *unit.Governor){free}, func(t *testing.T, w *tale) {
		time.Sleep(time.Second)
		w.after(t, askReload, "", 0) // the end follows
	})
}

// TestReadyByAnotherDeclaration: a run that is starting is ready when it is so by what a reload has made of readiness.
func TestReadyByAnotherDeclaration(t *testing.T) {
	for name, to := range map[string]*unit.Readiness{"log": readyBy("READY"), "nothing": nil, "notify": {Notify: true}} {
		t.Run(name, func(t *testing.T) {
			never := plain("a", func(s *unit.Spec) { s.Readiness = readyBy("NEVER") })
			change := func(s []unit.Spec, _ *unit.Governor) { s[0].Readiness = to }
			small(t, []unit.Spec{never}, unit.Governor{}, []func([]unit.Spec, *unit.Governor){change}, func(t *testing.T, w *tale) {
				time.Sleep(5 * time.Second)
				w.after(t, askReload, "", 5*time.Second)
				if got := get(t, w.s, "a"); got.State != unit.Up {
					t.Errorf("it is %s: %s", got.State, got.Because)
				}
			})
		})
	}
}

// TestReadersKnowWhatAReloadWants: that a unit is not wanted up any more is published also when it is stopping already.
func TestReadersKnowWhatAReloadWants(t *testing.T) {
	other := func(s []unit.Spec, _ *unit.Governor) { s[0].Command = []string{"/bin/true", "other"} }
	off := func(s []unit.Spec, _ *unit.Governor) { s[0].Enabled.On = false }
	small(t, []unit.Spec{plain("a")}, unit.Governor{}, []func([]unit.Spec, *unit.Governor){other, off}, func(t *testing.T, w *tale) {
		time.Sleep(time.Second)
		w.after(t, askReload, "", 0)
		w.after(t, askReload, "", 0) // readers are held against the list whenever time passes
	})
}

// TestReloadStartsNothingThatWasStopped: a unit that somebody stops stays down, also when a reload gives it another
// command before its run has ended.
func TestReloadStartsNothingThatWasStopped(t *testing.T) {
	other := func(s []unit.Spec, _ *unit.Governor) { s[0].Command = []string{"/bin/true", "other"} }
	small(t, []unit.Spec{plain("a")}, unit.Governor{}, []func([]unit.Spec, *unit.Governor){other}, func(t *testing.T, w *tale) {
		time.Sleep(time.Second)
		w.after(t, askStop, "a", 0)
		w.after(t, askReload, "", 5*time.Second)
		if got := get(t, w.s, "a"); got.State != unit.Down {
			t.Errorf("it is %s", got.State)
		}
	})
}

// TestAReloadCanBeTheEnd: without main the container ends also when it is a reload that leaves nothing to be done.
func TestAReloadCanBeTheEnd(t *testing.T) {
	off := func(s []unit.Spec, _ *unit.Governor) { s[0].Enabled.On = false }
	small(t, []unit.Spec{plain("a")}, unit.Governor{}, []func([]unit.Spec, *unit.Governor){off}, func(t *testing.T, w *tale) {
		w.after(t, askStop, "a", time.Second)
		w.after(t, askReload, "", 0)
		select {
		case <-w.s.Over():
		default:
			t.Error("it goes on")
		}
	})
}

// TestSwitchedOffWhileItWaits: a unit that a reload switches off while it waits is active no more, and is disabled
// since then.
func TestSwitchedOffWhileItWaits(t *testing.T) {
	needy := plain("b", func(s *unit.Spec) { s.DependsOn = []unit.Dependency{{On: "a", Condition: unit.OnDone}} })
	off := func(s []unit.Spec, _ *unit.Governor) { s[0].Enabled.On, s[1].Enabled.On = false, false }
	small(t, []unit.Spec{plain("a"), needy}, unit.Governor{}, []func([]unit.Spec, *unit.Governor){off}, func(t *testing.T, w *tale) {
		if got := w.after(t, askStop, "a", time.Second); got != unit.Down {
			t.Fatalf("a is %s", got)
		}
		w.after(t, askReload, "", 0)
		if got := get(t, w.s, "b"); got.State != unit.Disabled || !got.Since.Equal(time.Now()) {
			t.Errorf("it is %s since %s", got.State, got.Since)
		}
		within(t, w.s.Over(), "the end")
	})
}

// TestAReloadIsOneChange: what a reload changes of many units in several turns has no consequences before all of it
// is so.
func TestAReloadIsOneChange(t *testing.T) {
	needy := plain("b", func(s *unit.Spec) {
		s.DependsOn, s.OnFailure = []unit.Dependency{{On: "a", Condition: unit.OnDone}}, unit.FailureStopContainer
	})
	off := func(s []unit.Spec, _ *unit.Governor) { s[0].Enabled.On, s[1].DependsOn = false, nil }
	small(t, []unit.Spec{plain("a"), needy}, unit.Governor{}, []func([]unit.Spec, *unit.Governor){off}, func(t *testing.T, w *tale) {
		w.after(t, askStop, "a", time.Second)
		w.after(t, askReload, "", time.Second)
		if got := get(t, w.s, "b"); got.State != unit.Up {
			t.Errorf("it is %s: %s", got.State, got.Because)
		}
		select {
		case <-w.s.Over():
			t.Errorf("the container ends: %+v", w.s.Verdict())
		default:
		}
	})
}
