package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pintle/internal/unit"
)

// family is a file with a unit of every kind, in line 2 and on; more begins line 7.
func family(more string) string {
	return `services:
  db: {command: [db], restart: on-failure}
  ever: {command: [ever]}
  once: {command: [once], exit_codes: {0: done}}
oneshots:
  migrate: {up: [migrate]}
` + more
}

// What can be wrong with depends_on.
func TestErrorsOfDependencies(t *testing.T) {
	t.Parallel()
	// b is a template whose instances have short names.
	const b = "  b: {command: [b], instances: {names: \"[xy]\"}}\n"
	checkMistakes(t, []mistake{
		{service("depends_on: [\"a b\"]"), `4:18: cannot use services.web.depends_on: "a b" is no unit's name`},
		{service("depends_on: [\"\"]"), `4:18: cannot use services.web.depends_on: "" is no unit's name`},
		{service("depends_on: [~]"), `4:18: cannot use services.web.depends_on[0]: it has no value; write "" for an empty text`},
		{service("depends_on: main"), `4:17: cannot use services.web.depends_on: it is a single value, and a mapping is needed`},
		{service("depends_on: {\"a b\": }"), `4:18: cannot use services.web.depends_on: "a b" is no unit's name`},
		{service("depends_on: [a@%i]"), `4:18: cannot use services.web.depends_on: "a@%i" is no unit's name`},
		{template("depends_on: [\"%i\"]"), `4:18: cannot use templates.gw.depends_on: "%i" is no unit's name`},
		{template("depends_on: [\"gw@x-%i\"]"), `4:18: cannot use templates.gw.depends_on: "gw@x-%i" is no unit's name`},
		{service("depends_on: [mian]"), `4:18: cannot use services.web.depends_on: "mian" is no unit; did you mean main?`},
		{service("depends_on: {mian: {condition: ready}}"), `4:18: cannot use services.web.depends_on: "mian" is no unit; did you mean main?`},
		{service("depends_on: [elsewhere]"), `4:18: cannot use services.web.depends_on: "elsewhere" is no unit`},
		{service("depends_on: [\"${SET}\"]"), `4:18: cannot use services.web.depends_on: the value from SET is no unit`},
		{service("depends_on: [main, main]"), `4:24: cannot use services.web.depends_on: "main" is listed twice`},
		{service("depends_on: {main: , main: }"), `4:26: cannot use services.web.depends_on.main: it is given twice, first in line 4`},
		{service("depends_on: {main: {condition: up}}"), `4:36: cannot use services.web.depends_on.main.condition: "up" is not started, ready or done`},
		{service("depends_on: {main: {optional: true}}"), `4:25: cannot use services.web.depends_on.main.optional: there is no such key`},
		{service("depends_on: {main: {required: perhaps}}"), `4:35: cannot use services.web.depends_on.main.required: "perhaps" is no boolean; write true or false`},
		{service("depends_on: {main: {condition: done}}"), `4:36: cannot use services.web.depends_on.main.condition: main is not done before the container ends`},
		{family("main: {depends_on: {db: {restart_with: yes}}}\n"), `7:40: cannot use main.depends_on.db.restart_with: main is never begun anew, for its end ends the container`},
		{family("main: {depends_on: {ever: {condition: done}}}\n"), `7:39: cannot use main.depends_on.ever.condition: it is never done, for its restart is always`},
		{family("main: {depends_on: [daemon]}\n"), `7:21: cannot use main.depends_on: "daemon" is no unit`},
		{oneshot("depends_on: [wbe]"), `4:18: cannot use oneshots.web.depends_on: "wbe" is no unit; did you mean web?`},
		{template("depends_on: [gw]"), `4:18: cannot use templates.gw.depends_on: "gw" is a template, and only an instance of it runs`},
		{template("depends_on: [gv@%i]"), `4:18: cannot use templates.gw.depends_on: "gv@%i" is no unit; did you mean gw@%i?`},
		{template("depends_on: [b@z]") + b, `4:18: cannot use templates.gw.depends_on: "b@z" is not allowed by instances.names of its template`},
		{template("depends_on: [\"b@${SET}\"]") + b, `4:18: cannot use templates.gw.depends_on: the value from SET is not allowed by instances.names of its template`},
		{template("depends_on: [b@%i]\n    instances: {always: [x, z]}") + b, `4:18: cannot use templates.gw.depends_on: instances.always has a name that the template of "b@%i" does not allow`},
		{template("depends_on: {b@x: {condition: done}}") + b, `4:35: cannot use templates.gw.depends_on.b@x.condition: it is never done, for its restart is always`},
		{service("depends_on: [main@x]"), `4:18: cannot use services.web.depends_on: "main@x" is no unit; did you mean main?`},
		// Cycles.
		{service("depends_on: [web]"), `4:18: cannot use services.web.depends_on: it waits for itself: web → web`},
		{"main: {depends_on: [main]}\n", `1:21: cannot use main.depends_on: it waits for itself: main → main`},
		{oneshot("depends_on: {web: {required: false}}"), `4:18: cannot use oneshots.web.depends_on: it waits for itself: web → web`},
		{service("depends_on: [db]") + "  db: {command: [db], depends_on: {web: }}\n", `4:18: cannot use services.web.depends_on: it waits for itself: web → db → web`},
		{
			"services:\n  a: {command: [a], depends_on: [b]}\n  b: {command: [b], depends_on: [c, d]}\n  d: {command: [d]}\noneshots:\n  c: {up: [c], depends_on: [main]}\nmain: {depends_on: [b]}\n",
			`3:34: cannot use services.b.depends_on: it waits for itself: b → c → main → b`,
		},
		{template("depends_on: [gw@%i]\n    instances: {always: [a, b]}"), `4:18: cannot use templates.gw.depends_on: it waits for itself: gw@%i → gw@%i`},
		{template("depends_on: [gw@boss]"), `4:18: cannot use templates.gw.depends_on: it waits for itself: gw@boss → gw@boss`},
		{template("depends_on: [\"gw@${SET}\"]"), `4:18: cannot use templates.gw.depends_on: it waits for itself: gw@… → gw@…`},
		{
			template("depends_on: [b@%i]") + "  b: {command: [b], depends_on: [gw@%i]}\nservices: {web: {command: [a], depends_on: [gw@x, gw@y]}}\n",
			`4:18: cannot use templates.gw.depends_on: it waits for itself: gw@%i → b@%i → gw@%i`,
		},
		{
			template("depends_on: [b@x]") + "  b: {command: [b], depends_on: [gw@%i]}\n",
			`4:18: cannot use templates.gw.depends_on: it waits for itself: gw@x → b@x → gw@x`,
		},
		{
			"services:\n  a: {command: [a], depends_on: [b, c]}\n  b: {command: [b], depends_on: [a]}\n  c: {command: [c], depends_on: [a]}\n",
			"2:34: cannot use services.a.depends_on: it waits for itself: a → b → a\n2:37: cannot use services.a.depends_on: it waits for itself: a → c → a",
		},
	})
	// A cycle through two files is said at the edge that is read first.
	_, err := fromText(nil, "services: {a: {command: [a], depends_on: [b]}}\n", "services: {b: {command: [b], depends_on: [a]}}\n")
	if want := "a.yaml:1:43: cannot use services.a.depends_on: it waits for itself: a → b → a"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// What depends_on may say, and what it means.
func TestDependencies(t *testing.T) {
	t.Parallel()
	c, err := fromText([]string{"DB=db"}, family(`main: {depends_on: {ever: {condition: ready}, migrate: {condition: done}, once: {condition: done}}}
`), `
templates:
  gateway: {command: [g], depends_on: ["sidecar@%i", "${DB}", gateways@boss], instances: {always: [default]}}
  sidecar: {command: [s], depends_on: {migrate: {condition: done, restart_with: true}}}
  gateways: {command: [s]}
services:
  web: {command: [web], depends_on: {main: , gateway@default: {condition: ready, required: false}}}
`)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]unit.Dependency{"main": c.Main.Spec.DependsOn}
	for _, s := range c.Services {
		got[string(s.Name)] = s.DependsOn
	}
	for _, u := range c.Templates {
		got[u.Name] = u.Spec.DependsOn
	}
	want := map[string][]unit.Dependency{
		"main":     {{On: "ever", Condition: unit.OnReady}, {On: "migrate", Condition: unit.OnDone}, {On: "once", Condition: unit.OnDone}},
		"db":       nil,
		"ever":     nil,
		"once":     nil,
		"web":      {{On: "gateway@default", Condition: unit.OnReady, Optional: true}, {On: "main", Condition: unit.OnStarted}},
		"gateway":  {{On: "db", Condition: unit.OnStarted}, {On: "gateways@boss", Condition: unit.OnStarted}, {On: "sidecar@%i", Condition: unit.OnStarted}},
		"gateways": nil,
		"sidecar":  {{On: "migrate", Condition: unit.OnDone, RestartWith: true}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	checkShown(t, c)
}

// A graph of dependencies is taken if and only if no unit can come to wait for itself.
func TestGraphsAreTakenWithoutCycles(t *testing.T) {
	t.Parallel()
	units := []string{"main", "s0", "s1", "s2", "o0", "o1"}
	templates := []string{"t0", "t1", "t2"}
	targets := slices.Clone(units)
	for _, name := range templates {
		targets = append(targets, name+"@x", name+"@y")
	}
	rapid.Check(t, func(t *rapid.T) {
		edges := map[string][]string{}
		for _, name := range slices.Concat(units, templates) {
			all := targets
			if slices.Contains(templates, name) {
				all = append(slices.Clone(all), "t0@%i", "t1@%i", "t2@%i")
			}
			edges[name] = rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, 2, rapid.ID).Draw(t, name)
		}
		_, err := fromText(nil, graphText(edges, rapid.Bool().Draw(t, "long")))
		cyclic := waitsForItself(edges)
		if cyclic != (err != nil) {
			t.Fatalf("the graph has a cycle: %t; the error is %v", cyclic, err)
		}
		if err != nil && strings.Count(err.Error(), "it waits for itself: ") != len(err.(Errors)) {
			t.Fatalf("the error is %v", err)
		}
	})
}

// graphText writes a configuration with the edges, in the long form of depends_on or the short one.
func graphText(edges map[string][]string, long bool) string {
	sections := map[byte]string{'s': "services:\n", 'o': "oneshots:\n", 't': "templates:\n"}
	for _, name := range slices.Sorted(maps.Keys(edges)) {
		on := "["
		for _, to := range edges[name] {
			on += fmt.Sprintf("%q, ", to)
		}
		on += "]"
		if long {
			on = "{" + strings.ReplaceAll(on[1:len(on)-1], ", ", ": {condition: ready}, ") + "}"
		}
		command := "command"
		switch kind := name[0]; kind {
		case 'm':
			sections[kind] = "main: {depends_on: " + on + "}\n"
			continue
		case 'o':
			command = "up"
		}
		sections[name[0]] += "  " + name + ": {" + command + ": [a], depends_on: " + on + "}\n"
	}
	return sections['t'] + sections['o'] + sections['s'] + sections['m']
}

// waitsForItself judges by what every unit and every instance can reach, z being one that nobody names.
func waitsForItself(edges map[string][]string) bool {
	reach := map[string]map[string]bool{}
	add := func(from, to string) {
		if reach[from] == nil {
			reach[from] = map[string]bool{}
		}
		reach[from][to] = true
	}
	for name, all := range edges {
		for _, to := range all {
			if name[0] != 't' {
				add(name, to)
				continue
			}
			for _, instance := range []string{"x", "y", "z"} {
				add(name+"@"+instance, strings.ReplaceAll(to, "%i", instance))
			}
		}
	}
	for range reach { // as often as the longest way is long
		for from := range reach {
			for via := range reach[from] {
				for to := range reach[via] {
					add(from, to)
				}
			}
		}
	}
	for name := range reach {
		if reach[name][name] {
			return true
		}
	}
	return false
}
