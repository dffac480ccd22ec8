package supervisor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pintle/internal/engine"
	"pintle/internal/store"
	"pintle/internal/unit"
)

func recorded(name unit.Name, up bool) store.Record {
	return store.Record{Unit: name, Intent: unit.Intent{
		Up: up, Generation: 7, Time: time.Unix(1e9, 0), Actor: unit.Actor{Kind: "peer", UID: 10000, PID: 33, Command: "pintle"},
	}}
}

// TestRecall: what was wanted of a unit in an earlier life of the container holds; what can't be brought back is said.
func TestRecall(t *testing.T) {
	main := mainProgram("")
	main.Command = unfit("").Command
	off := unfit("off", func(s *unit.Spec) { s.Enabled = unit.Switch{} })
	o := Options{
		Main: &main, Services: []unit.Spec{unfit("fresh"), unfit("stopped"), unfit("started"), off},
		Templates: []unit.Template{template(func(u *unit.Template) { u.Spec, u.Always, u.Max = unfit(""), []string{"default"}, 3 })},
		Records: []store.Record{
			recorded("gateway@a", true), recorded("gateway@b", false), recorded("gateway@c", true), // one more than max
			recorded("gateway@X", true), recorded("main", false), recorded("nosuch", true), recorded("nosuch@a", true),
			recorded("off", true), recorded("started", true), recorded("stopped", false),
		},
	}
	inBubble(t, o, func(t *testing.T, s *Supervisor) {
		synctest.Wait()
		list, err := s.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := map[unit.Name]engine.Status{}
		var names []string
		for _, u := range list {
			got[u.Name] = u
			names = append(names, string(u.Name))
		}
		if all := strings.Join(names, " "); all != "main fresh gateway@a gateway@b gateway@default off started stopped" {
			t.Errorf("there are %s", all)
		}
		const by = " by uid 10000 (pintle, pid 33)"
		for name, want := range map[unit.Name]struct {
			state      unit.State
			desired    string
			generation uint64
			because    string
		}{
			"main":            {unit.Failed, "up", 0, ""},
			"fresh":           {unit.Backoff, "up", 0, ""},
			"gateway@default": {unit.Down, "down", 0, "nobody has started it"},
			"gateway@a":       {unit.Backoff, "up", 7, ""},
			"gateway@b":       {unit.Down, "down", 7, "asked to be down" + by},
			"stopped":         {unit.Down, "down", 7, "asked to be down" + by},
			"started":         {unit.Backoff, "up", 7, ""},
			"off":             {unit.Disabled, "up", 7, "its configuration says so"},
		} {
			u := got[name]
			if u.State != want.state || u.Desired != want.desired || u.Intent.Generation != want.generation || want.because != "" && u.Because != want.because {
				t.Errorf("%s: %+v", name, u)
			}
		}
		if u, err := s.Start(t.Context(), "gateway@b"); err != nil || u.Intent.Generation != 8 || u.Reason != unit.Asked {
			t.Errorf("%+v, %v", u, err)
		}
	}, `cannot bring back gateway@c: template gateway has 3 instances already, which is its max`,
		`cannot bring back gateway@X: cannot use instance name \"X\": the template allows only names that match [a-z0-9][a-z0-9_-]{0,62}`,
		`cannot bring back nosuch: it is not configured any more`,
		`cannot bring back nosuch@a: there is no template nosuch`)
}

// TestInitial: an instance that is always there and of which nobody has asked anything is as its template says.
func TestInitial(t *testing.T) {
	up := template(func(u *unit.Template) {
		u.Name, u.Spec, u.Always, u.Initial = "up", unfit(""), []string{"a", "b"}, unit.InitialUp
	})
	inBubble(t, Options{Templates: []unit.Template{up}, Records: []store.Record{recorded("up@b", false)}}, func(t *testing.T, s *Supervisor) {
		synctest.Wait()
		if a, b := get(t, s, "up@a"), get(t, s, "up@b"); a.Run == 0 || a.Desired != "up" || b.Run != 0 || b.Desired != "down" {
			t.Errorf("%+v\n%+v", a, b)
		}
	})
}

// TestAnswersAreDurable: what a verb has answered is what the next life of the container finds; a crash is no wish.
func TestAnswersAreDurable(t *testing.T) {
	alone(t, func(t *testing.T) {
		kept, directory := newStore(t)
		w := newWorld(t, Options{
			Store: kept, Services: []unit.Spec{sleeper("web")},
			Templates: []unit.Template{template(func(u *unit.Template) {
				u.Spec = service("", "exit 3", func(s *unit.Spec) { s.Restart = unit.RestartNever })
			})},
		})
		ctx := onPeersBehalf(10000)
		next := func() map[unit.Name]unit.Intent {
			s, records := store.Open(store.Options{Directory: directory, UID: os.Geteuid()})
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
			found := map[unit.Name]unit.Intent{}
			for _, r := range records {
				found[r.Unit] = r.Intent
			}
			return found
		}
		w.must(w.Stop(ctx, "web"))
		if i, ok := next()["web"]; !ok || i.Up || i.Generation != 1 || i.Actor.UID != 10000 {
			t.Errorf("after the answer to a stop: %+v", i)
		}
		if _, _, err := w.Create(ctx, engine.CreateRequest{Name: "gateway@a"}); err != nil {
			t.Fatal(err)
		}
		if i, ok := next()["gateway@a"]; !ok || !i.Up || i.Generation != 1 {
			t.Errorf("after the answer to a create: %+v", i)
		}
		if s := w.untilState("gateway@a", unit.Failed); s.Desired != "up" || s.Intent.Generation != 1 {
			t.Errorf("%+v", s)
		}
		w.must(w.Restart(ctx, "web"))
		if i := next(); !i["web"].Up || i["web"].Generation != 2 || !i["gateway@a"].Up || i["gateway@a"].Generation != 1 {
			t.Errorf("%+v", i)
		}
		w.must(w.Remove(ctx, "gateway@a"))
		if i := next(); len(i) != 1 {
			t.Errorf("after the answer to a remove: %+v", i)
		}
	})
}

// TestNothingCanBeWritten: a wish holds all the same, and the store says what is the matter.
func TestNothingCanBeWritten(t *testing.T) {
	alone(t, func(t *testing.T) {
		broken := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(broken, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		kept, _ := store.Open(store.Options{Directory: broken, UID: os.Geteuid()})
		w := newWorld(t, Options{Store: kept, Conditions: kept.Conditions, Templates: []unit.Template{template()}})
		ctx := context.Background()
		if _, created, err := w.Create(ctx, engine.CreateRequest{Name: "gateway@a"}); err != nil || !created {
			t.Fatal(created, err)
		}
		w.untilState("gateway@a", unit.Up)
		if info, err := w.Info(ctx); err != nil || len(info.Conditions) != 1 || info.Durable || !strings.HasPrefix(info.Conditions[0].Text, "desired states are kept in memory only: ") {
			t.Errorf("%q, %v", info.Conditions, err)
		}
		w.must(w.Stop(ctx, "gateway@a"))
		w.untilState("gateway@a", unit.Down)
		w.must(w.Remove(ctx, "gateway@a"))
	})
}
