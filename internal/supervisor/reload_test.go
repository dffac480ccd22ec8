package supervisor

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// redeclared is what a test declares anew.
type redeclared struct {
	Declarations
	err error
}

func (d *redeclared) load() (Declarations, error) {
	d.Differ = func(a, b *unit.Spec) []string { // package config names the keys
		if reflect.DeepEqual(a, b) {
			return nil
		}
		return []string{"something"}
	}
	return d.Declarations, d.err
}

// reload reloads, dry first, and returns the changes, which must be the same both times.
func (w *world) reload() map[string]string {
	w.t.Helper()
	dry, err := w.Reload(context.Background(), engine.ReloadRequest{DryRun: true})
	if err != nil {
		w.t.Fatal(err)
	}
	real, err := w.Reload(onPeersBehalf(0), engine.ReloadRequest{})
	if err != nil || !reflect.DeepEqual(dry, real) {
		w.t.Fatalf("%v\ndry  %+v\nreal %+v", err, dry, real)
	}
	changes := map[string]string{}
	for _, c := range real {
		changes[c.Kind+" "+c.Name] = c.Effect
	}
	return changes
}

// TestReloadChangesWhatDiffers: only that, and each in its own way.
func TestReloadChangesWhatDiffers(t *testing.T) {
	alone(t, func(t *testing.T) {
		label := func(value string) func(*unit.Spec) {
			return func(s *unit.Spec) { s.Labels = map[string]string{"tier": value} }
		}
		off := func(s *unit.Spec) { s.Enabled = unit.Switch{Because: "the test says so"} }
		gateways := func(change ...func(*unit.Template)) []unit.Template {
			return []unit.Template{template(append(change, func(t *unit.Template) { t.Always = append(t.Always, "default") })...)}
		}
		d := &redeclared{}
		w := newWorld(t, Options{
			Services:  []unit.Spec{sleeper("same"), sleeper("edited"), sleeper("ruled", label("a")), sleeper("dropped"), sleeper("switched")},
			Templates: gateways(), Load: d.load,
		})
		before := map[unit.Name]engine.Status{}
		for _, name := range []unit.Name{"same", "edited", "ruled", "dropped", "switched"} {
			before[name] = w.untilState(name, unit.Up)
		}
		w.must(w.Start(context.Background(), "gateway@default"))
		before["gateway@default"] = w.untilState("gateway@default", unit.Up)

		d.Services = []unit.Spec{
			sleeper("same"), sleeper("edited", func(s *unit.Spec) { s.Environment = map[string]string{"NEW": "1"} }), sleeper("ruled", label("b")),
			sleeper("switched", off), sleeper("added"), sleeper("unwanted", off),
		}
		d.Templates = gateways(func(t *unit.Template) { t.Spec.Command = []string{"sleep", "999"}; t.Always = []string{"second"} })
		want := map[string]string{
			"edit edited": "its run is replaced", "edit ruled": "holds from now on; its run goes on", "remove dropped": "it is stopped and forgotten",
			"edit switched": "it is stopped, and then disabled: the test says so", "add added": "it is started",
			"add unwanted": "it is disabled: the test says so", "edit gateway@default": "its run is replaced",
			"add gateway@second": "it is down until somebody starts it", "edit gateway": "holds for instances from now on",
		}
		gone := w.watchFor("dropped", func(s engine.Status) bool { return s.Gone })
		if got := w.reload(); !reflect.DeepEqual(got, want) {
			t.Errorf("the changes are %v", got)
		}
		if s := <-gone; s.PID != 0 || lives(before["dropped"].PID) {
			t.Errorf("dropped is %+v", s)
		}
		w.untilState("added", unit.Up)
		for _, name := range []unit.Name{"edited", "gateway@default"} {
			s := w.until(name, "up anew", func(s engine.Status) bool { return s.State == unit.Up && s.Run == 2 })
			if lives(before[name].PID) || s.Failures != 0 || s.Because != "started by a reload of the configuration" || s.Last.Cause != unit.Changed {
				t.Errorf("%s is %+v, %+v", name, s, s.Last)
			}
		}
		if s := w.untilState("switched", unit.Disabled); s.Because != "the test says so" || lives(before["switched"].PID) {
			t.Errorf("switched is %+v", s)
		}
		for _, name := range []unit.Name{"same", "ruled"} {
			if s := w.must(w.Get(context.Background(), name)); s.PID != before[name].PID || s.Run != 1 || s.Intent != before[name].Intent {
				t.Errorf("%s is %+v", name, s)
			}
		}
		if s := w.must(w.Get(context.Background(), "ruled")); s.Labels["tier"] != "b" {
			t.Errorf("ruled has the labels %v", s.Labels)
		}
		if got := w.reload(); len(got) != 0 {
			t.Errorf("once more it changes %v", got)
		}
		d.Services = slices.Clone(d.Services) // what is in use is never changed
		d.Services[3] = sleeper("switched")
		if got := w.reload(); !reflect.DeepEqual(got, map[string]string{"edit switched": "it is started"}) {
			t.Errorf("the changes are %v", got)
		}
		w.untilState("switched", unit.Up)
	})
}

// TestReloadMendsWhatHasFailed: a unit that was given up is started with its new declaration; what somebody has
// stopped stays so.
func TestReloadMendsWhatHasFailed(t *testing.T) {
	alone(t, func(t *testing.T) {
		broken := func(name unit.Name) unit.Spec {
			return service(name, "exit 3", func(s *unit.Spec) { s.Restart = unit.RestartNever })
		}
		d := &redeclared{}
		w := newWorld(t, Options{Services: []unit.Spec{broken("broken"), sleeper("stopped")}, Load: d.load})
		w.untilState("broken", unit.Failed)
		w.untilState("stopped", unit.Up)
		w.must(w.Stop(context.Background(), "stopped"))
		w.untilState("stopped", unit.Down)
		d.Services = []unit.Spec{sleeper("broken"), service("stopped", "echo new; "+forever)}
		want := map[string]string{"edit broken": "it is started with it", "edit stopped": "holds from its next run on"}
		if got := w.reload(); !reflect.DeepEqual(got, want) {
			t.Errorf("the changes are %v", got)
		}
		w.untilState("broken", unit.Up)
		if s := w.must(w.Get(context.Background(), "stopped")); s.State != unit.Down || s.Desired != "down" {
			t.Errorf("stopped is %+v", s)
		}
		w.must(w.Start(context.Background(), "stopped"))
		w.untilLine("stopped", "new")
	})
}

// TestReloadOfAMistake: a configuration that is not valid changes nothing, and the error has all of it.
func TestReloadOfAMistake(t *testing.T) {
	alone(t, func(t *testing.T) {
		d := &redeclared{err: errors.New("pintle.yaml:1:1: cannot use a\npintle.yaml:2:1: cannot use b")}
		w := newWorld(t, Options{Services: []unit.Spec{sleeper("web")}, Load: d.load})
		before := w.untilState("web", unit.Up)
		_, err := w.Reload(context.Background(), engine.ReloadRequest{})
		if engine.KindOf(err) != engine.Invalid || !strings.Contains(err.Error(), "a\npintle.yaml:2:1: cannot use b") {
			t.Errorf("it says %v", err)
		}
		if s := w.must(w.Get(context.Background(), "web")); s.PID != before.PID {
			t.Errorf("web is %+v", s)
		}
		w.Halt()
		within(t, w.Idle(), "the end")
		d.err = nil
		_, err = w.Reload(context.Background(), engine.ReloadRequest{})
		refusal(t, err, engine.Conflict, "cannot reload the configuration: the container is stopping")
	})
}
