package config

import (
	"slices"

	"pintle/internal/unit"
)

// template makes a template, and checks the instances that it names.
func (a *assembler) template(name string, t *templateSection, role string) unit.Template {
	path := place{path: "templates"}.key(name, Position{}).path
	out := unit.Template{
		Name:    name,
		Spec:    a.supervised(path, &t.supervised),
		Initial: unit.InitialDown,
	}
	out.Spec.Kind = unit.Instance
	a.depends(dependent{name: name, template: true, path: path + ".depends_on", on: t.DependsOn})
	if l := t.Log; l != nil && l.Directory.text != "" && !named(l.Directory.text) {
		a.failf(l.Directory.at, "cannot use %s.log.directory: %s has no %%i, and would be every instance's", path, l.Directory.shown())
	}
	in := t.Instances
	if in == nil {
		in = &instancesSection{}
	}
	out.Spec.Exclusive = in.Exclusive.on
	a.roles(&out, path+".instances.roles", in.Roles, role)
	out.Max = in.Max.or(unit.DefaultMax)
	if in.Names.given() {
		out.Names = in.Names.names
	}
	if in.Initial.given() {
		out.Initial = in.Initial.text
	}
	out.Managers = managers(in.Managers)
	out.Discover, out.BootReport = discovery(in.Discover), in.BootReport.text
	out.IntentFrom = a.intentFrom(path+".instances.intent_from", in.IntentFrom, out.Discover)
	allowed := quote(out.Names.String())
	if in.Names.given() {
		allowed = in.Names.shown() // it may come from a variable
	}
	for i := range in.Always {
		w := &in.Always[i]
		at := place{path + ".instances.always", w.at}.entry(i, w.at)
		switch {
		case !w.given():
		case slices.Contains(out.Always, w.text):
			a.failf(w.at, "cannot use %s: %s is listed twice", at.path, w.shown())
		case a.instance(&out, at, w.text, w.shown(), allowed):
			out.Always = append(out.Always, w.text)
		}
	}
	if len(out.Always) > out.Max {
		a.failf(in.Always[out.Max].at, "cannot use %s.instances.always: it lists more instances than max allows", path)
	}
	for _, k := range keysOf(a.report, t.Overrides) {
		at := place{path + ".overrides", k.at}.key(k.text, k.at)
		if !a.instance(&out, at, k.text, quote(k.text), allowed) {
			continue
		}
		if out.Overrides == nil {
			out.Overrides = map[string]unit.Override{}
		}
		o := t.Overrides[k]
		override := unit.Override{
			Command:     a.command(at.path+".command", o.Command),
			Environment: a.environment(at.path, o.Environment),
			IntentFile:  o.IntentFile.text,
		}
		if o.Log != nil {
			override.Log = a.log(at.path+".log", o.Log, t.Log)
		}
		out.Overrides[k.text] = override
		if o.IntentFile.given() && in.IntentFrom == nil {
			a.failf(o.IntentFile.at, "cannot use %s.intent_file: the template has no instances.intent_from", at.path)
		}
	}
	return out
}

// instance tells whether a template can have an instance of that name, and reports it if not.
func (a *assembler) instance(t *unit.Template, at place, name, shown, allowed string) bool {
	if _, err := unit.InstanceName(t.Name, name); err != nil {
		a.failf(at.Position, "cannot use %s: %s is no instance's name", at.path, shown)
		return false
	}
	if err := t.Names.Check(name); err != nil {
		a.failf(at.Position, "cannot use %s: %s is not allowed by instances.names, %s", at.path, shown, allowed)
		return false
	}
	return true
}

// roles switches a template off in containers that are not to run its instances.
func (a *assembler) roles(t *unit.Template, path string, roles []role, own string) {
	for i := range roles {
		r := &roles[i]
		switch {
		case !r.given():
		case slices.Contains(t.Roles, r.text):
			a.failf(r.at, "cannot use %s[%d]: %s is listed twice", path, i, r.shown())
		default:
			t.Roles = append(t.Roles, r.text)
		}
	}
	if len(t.Roles) == 0 || slices.Contains(t.Roles, own) {
		return
	}
	is := "this container has no role"
	if own != "" {
		is = "this container's role is " + own
	}
	owns := "owns"
	if len(t.Roles) > 1 {
		owns = "own"
	}
	t.Spec.Enabled = unit.Switch{Because: is + ", and only " + listed(t.Roles, "and") + " " + owns + " it"}
}
