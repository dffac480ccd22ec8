package unit

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func gateway() Template {
	return Template{
		Name: "gateway",
		Spec: Spec{
			Enabled: Switch{On: true}, Command: []string{"agent", "-p", "%i", "100%%", "%%i", "%x", "%"},
			User: "agent", Environment: map[string]string{"PROFILE": "%i", "%i": "key"}, WorkingDir: "/data/%i",
			Restart: RestartOnFailure, ExitRules: ExitRules{{Code: 78}: VerdictFail},
			EnvFiles: []EnvFile{{Path: "/etc/%i.env", Optional: true}}, DependsOn: []Dependency{{On: "store@%i", Condition: OnReady}},
			Readiness: &Readiness{Check: Check{TCP: "%i.local:80"}}, Liveness: &Liveness{Check: Check{Exec: []string{"alive", "%i"}}},
			Stop:   Stop{Command: []string{"bye", "%i"}, Signals: []StopSignal{{Signal: SIGTERM}}, Grace: time.Second},
			Labels: map[string]string{"tier": "%i"},
		},
		Max: 3,
		Overrides: map[string]Override{
			"default": {Command: []string{"agent", "%i"}, Environment: map[string]string{"PROFILE": "", "EXTRA": "%i"}},
			"empty":   {},
		},
	}
}

// TestInstantiate: an instance is its template with %i filled in, and its own overrides.
func TestInstantiate(t *testing.T) {
	t.Parallel()
	g := gateway()
	want := g.Spec
	want.Name, want.Kind = "gateway@coder", Instance
	want.Command = []string{"agent", "-p", "coder", "100%", "%i", "%x", "%"}
	want.Environment = map[string]string{"PROFILE": "coder", "%i": "key"}
	want.WorkingDir = "/data/coder"
	want.EnvFiles = []EnvFile{{Path: "/etc/coder.env", Optional: true}}
	want.DependsOn = []Dependency{{On: "store@coder", Condition: OnReady}}
	want.Readiness = &Readiness{Check: Check{TCP: "coder.local:80"}}
	want.Liveness = &Liveness{Check: Check{Exec: []string{"alive", "coder"}}}
	want.Stop.Command = []string{"bye", "coder"}
	got, err := g.Instantiate("coder")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	got, err = g.Instantiate("default")
	if err != nil || !slices.Equal(got.Command, []string{"agent", "default"}) ||
		!maps.Equal(got.Environment, map[string]string{"PROFILE": "", "EXTRA": "default", "%i": "key"}) {
		t.Errorf("overridden: %v, %q, %q", err, got.Command, got.Environment)
	}
	got, err = g.Instantiate("empty")
	if err != nil || len(got.Command) != 7 || got.Environment["PROFILE"] != "empty" {
		t.Errorf("with an empty override: %v, %q, %q", err, got.Command, got.Environment)
	}
	g.Spec.Environment, g.Spec.Readiness, g.Spec.Labels, g.Spec.ExitRules = nil, nil, nil, nil
	got, err = g.Instantiate("default")
	if err != nil || got.Environment["EXTRA"] != "default" || got.Readiness != nil {
		t.Errorf("of a bare template: %v, %+v", err, got)
	}
}

// TestInstantiateRefuses: a Spec of a forbidden name cannot be made, and the error names the rule.
func TestInstantiateRefuses(t *testing.T) {
	t.Parallel()
	g := gateway()
	var err error
	if g.Names, err = ParseNamePattern("[a-z.]+"); err != nil {
		t.Fatal(err)
	}
	for instance, rule := range map[string]string{
		"A": "match [a-z.]+", "x1": "match [a-z.]+", "../x": "only letters", "..": "only letters", "": "empty",
		"a\n": "only letters", "a@b": "only letters", strings.Repeat("x", 300): "longer than",
	} {
		s, err := g.Instantiate(instance)
		if err == nil || !strings.Contains(err.Error(), rule) || s.Name != "" {
			t.Errorf("%q: %v", instance, err)
		}
	}
}

// TestInstancesShareNothing: what is done to an instance's Spec reaches neither its template nor another instance.
func TestInstancesShareNothing(t *testing.T) {
	t.Parallel()
	g := gateway()
	for _, instance := range []string{"coder", "default"} {
		s, err := g.Instantiate(instance)
		if err != nil {
			t.Fatal(err)
		}
		s.Command[0] = "spoilt"
		s.Environment["PROFILE"] = "spoilt"
		s.ExitRules[Exit{Code: 1}] = VerdictDone
		s.Readiness.TCP = "spoilt"
		s.Liveness.Exec[0], s.Stop.Command[0], s.EnvFiles[0].Path, s.DependsOn[0].On = "spoilt", "spoilt", "spoilt", "spoilt"
		s.Labels["tier"] = "spoilt"
	}
	if diff := cmp.Diff(gateway(), g, cmp.Comparer(func(a, b NamePattern) bool { return a == b })); diff != "" {
		t.Errorf("the template changed (-want +got):\n%s", diff)
	}
}

func TestManagers(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]Managers{
		"nobody but root":     {},
		"agent":               {Users: []string{"agent"}},
		"agent, 7, group:ops": {Users: []string{"agent", "7"}, Groups: []string{"ops"}},
	} {
		if m.String() != want {
			t.Errorf("%+v reads %q", m, m)
		}
	}
	m := Managers{Users: append(make([]string, 0, 4), "agent"), Groups: []string{"ops"}}
	_ = m.String()
	if spare := m.Users[:2]; spare[1] != "" {
		t.Errorf("to read it wrote %q", spare[1])
	}
}
