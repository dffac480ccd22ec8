package config

import (
	"maps"
	"slices"
	"strings"

	"pintle/internal/unit"
)

// anyInstance stands for the instance's name in a template.
const anyInstance = "%i"

// dependent is a unit that depends on others, or a template of such units.
type dependent struct {
	name     string
	template bool
	// path is that of its depends_on.
	path string
	on   dependencies
}

// depends notes a unit's dependencies until all units are known.
func (a *assembler) depends(d dependent) {
	if len(d.on) > 0 {
		a.dependents = append(a.dependents, d)
	}
}

// units are the dependencies of a unit, sorted, for their order says nothing.
func (v dependencies) units() []unit.Dependency {
	var out []unit.Dependency
	for i := range v {
		on := &v[i]
		out = append(out, unit.Dependency{
			On: unit.Name(on.text), Condition: on.condition(), RestartWith: on.RestartWith.on, Optional: !on.Required.or(true),
		})
	}
	slices.SortFunc(out, func(x, y unit.Dependency) int { return strings.Compare(string(x.On), string(y.On)) })
	return out
}

// condition is Compose's default where the file does not say.
func (d *dependency) condition() unit.Condition {
	if d.Condition.given() {
		return unit.Condition(d.Condition.text)
	}
	return unit.OnStarted
}

// depend checks that what is depended on exists, can come to what it must, and does not wait for its dependent.
func (a *assembler) depend(c *Config) {
	known := catalogue{units: map[string]*unit.Spec{string(unit.MainName): &c.Main.Spec}, templates: map[string]*unit.Template{}}
	for i := range c.Oneshots {
		known.units[string(c.Oneshots[i].Name)] = &c.Oneshots[i]
	}
	for i := range c.Services {
		known.units[string(c.Services[i].Name)] = &c.Services[i]
	}
	for i := range c.Templates {
		known.templates[c.Templates[i].Name] = &c.Templates[i]
	}
	g := newGraph()
	for i := range a.dependents {
		d := &a.dependents[i]
		node := d.name
		if d.template {
			node += "@" + anyInstance
		}
		for j := range d.on {
			on := &d.on[j]
			twice := slices.ContainsFunc(d.on[:j], func(other dependency) bool { return other.text == on.text })
			if twice {
				a.failf(on.at, "cannot use %s: %s is listed twice", d.path, on.shown())
			} else if spec := a.find(&known, d, on); spec != nil {
				a.possible(d, on, spec)
				g.add(node, d.path, on)
			}
		}
	}
	g.search(a)
}

// catalogue is all that there is to depend on.
type catalogue struct {
	units     map[string]*unit.Spec
	templates map[string]*unit.Template
}

// find is what a dependency names; nil, and reported, where there is no such unit.
func (a *assembler) find(known *catalogue, d *dependent, on *dependency) *unit.Spec {
	template, instance, ofTemplate := strings.Cut(on.text, "@")
	follows := d.template && instance == anyInstance
	name := on.text
	if follows {
		name = template + "@i"
	}
	if _, err := unit.ParseName(name); err != nil {
		a.failf(on.at, "cannot use %s: %s is no unit's name", d.path, on.shown())
		return nil
	}
	if spec, ok := known.units[on.text]; ok {
		return spec
	}
	if known.templates[on.text] != nil {
		a.failf(on.at, "cannot use %s: %s is a template, and only an instance of it runs", d.path, on.shown())
		return nil
	}
	t := known.templates[template]
	switch {
	case !ofTemplate || t == nil:
		a.failf(on.at, "cannot use %s: %s is no unit%s", d.path, on.shown(), on.nearest(on.text, known.names(instance)))
		return nil
	case follows:
		for _, always := range known.templates[d.name].Always {
			if t.Names.Check(always) != nil {
				a.failf(on.at, "cannot use %s: instances.always has a name that the template of %s does not allow", d.path, on.shown())
				return nil
			}
		}
	case t.Names.Check(instance) != nil:
		a.failf(on.at, "cannot use %s: %s is not allowed by instances.names of its template", d.path, on.shown())
		return nil
	}
	return &t.Spec
}

// names lists all units, and that instance of every template where there is one.
func (c *catalogue) names(instance string) map[string]bool {
	names := make(map[string]bool, len(c.units)+len(c.templates))
	for name := range c.units {
		names[name] = true
	}
	for name := range c.templates {
		if instance != "" {
			names[name+"@"+instance] = true
		}
	}
	return names
}

// possible checks that a unit can come to what its dependent waits for.
func (a *assembler) possible(d *dependent, on *dependency, spec *unit.Spec) {
	path := place{path: d.path}.key(on.text, on.at).path
	if d.name == string(unit.MainName) && on.RestartWith.on {
		a.failf(on.RestartWith.at, "cannot use %s.restart_with: main is never begun anew, for its end ends the container", path)
	}
	if on.condition() != unit.OnDone {
		return
	}
	done := slices.Contains(slices.Collect(maps.Values(spec.ExitRules)), unit.VerdictDone)
	switch {
	case spec.Kind == unit.Main:
		a.failf(on.Condition.at, "cannot use %s.condition: main is not done before the container ends", path)
	case spec.Restart == unit.RestartAlways && !done:
		a.failf(on.Condition.at, "cannot use %s.condition: it is never done, for its restart is always", path)
	}
}
