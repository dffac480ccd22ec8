package config

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"pintle/internal/unit"
)

// assembler makes a Config of documents. It checks what the shape of a single key
// cannot say: names, and what two keys or two files say about one thing.
type assembler struct {
	*report
	// defined has every unit's name and where it stands.
	defined map[string]Position
}

// declared is a service or a template before its name is checked.
type declared struct {
	key
	service  *serviceSection
	template *templateSection
}

func assemble(documents []*document, r *report) *Config {
	a := assembler{r, map[string]Position{}}
	d, units := a.merge(documents)
	c := &Config{StateDirectory: d.StateDirectory.text, StopTimeout: DefaultStopTimeout}
	if d.StopTimeout.given() {
		c.StopTimeout = d.StopTimeout.d
	}
	c.Main = a.main(d.Main)
	if d.Main == nil || !d.Main.StopGracePeriod.given() {
		c.Main.Spec.StopGracePeriod = c.StopTimeout
	}
	for _, u := range units {
		if !a.define(u.key) {
			continue
		}
		if u.service != nil {
			c.Services = append(c.Services, a.service(u.text, u.service))
		} else {
			c.Templates = append(c.Templates, a.template(u.text, u.template))
		}
	}
	slices.SortFunc(c.Services, func(a, b unit.Spec) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Templates, func(a, b unit.Template) int { return cmp.Compare(a.Name, b.Name) })
	if d.Prepare != nil {
		for _, k := range keysOf(a.report, d.Prepare.Users) {
			if !account(k.text) {
				a.failf(k.at, "cannot use prepare.users.%s: it is no user's name", k.text)
			}
		}
	}
	return c
}

// merge lays the documents together. Each key at the top, and each unit, stands in one of them.
func (a *assembler) merge(documents []*document) (document, []declared) {
	var all document
	var units []declared
	for _, d := range documents {
		if d.Main != nil && all.Main != nil {
			a.again("main", all.Main.At, d.Main.At)
		} else if d.Main != nil {
			all.Main = d.Main
		}
		if d.Prepare != nil && all.Prepare != nil {
			a.again("prepare", all.Prepare.At, d.Prepare.At)
		} else if d.Prepare != nil {
			all.Prepare = d.Prepare
		}
		if d.StateDirectory.given() && all.StateDirectory.given() {
			a.again("state_directory", all.StateDirectory.at, d.StateDirectory.at)
		} else if d.StateDirectory.given() {
			all.StateDirectory = d.StateDirectory
		}
		if d.StopTimeout.given() && all.StopTimeout.given() {
			a.again("stop_timeout", all.StopTimeout.at, d.StopTimeout.at)
		} else if d.StopTimeout.given() {
			all.StopTimeout = d.StopTimeout
		}
		for k, s := range d.Services {
			units = append(units, declared{k, &s, nil})
		}
		for k, t := range d.Templates {
			units = append(units, declared{k, nil, &t})
		}
	}
	slices.SortFunc(units, func(x, y declared) int { return a.compare(x.at, y.at) })
	return all, units
}

// again reports a second definition.
func (a *assembler) again(what string, first, second Position) {
	a.failf(second, "cannot define %s: it is defined in %s already", what, first)
}

// define checks a unit's name and enters it, once.
func (a *assembler) define(k key) bool {
	name, err := unit.ParseName(k.text)
	if err == nil && name == unit.MainName {
		a.failf(k.at, `cannot use name "main": it is the main program's`)
		return false
	}
	if err == nil && name.Template() != "" {
		a.failf(k.at, "cannot use name %s: only an instance's name has an @", quote(k.text))
		return false
	}
	if err != nil {
		a.failf(k.at, "%s", err)
		return false
	}
	if first, again := a.defined[k.text]; again {
		a.again(quote(k.text), first, k.at)
		return false
	}
	a.defined[k.text] = k.at
	return true
}

func (a *assembler) main(m *mainSection) Main {
	if m == nil {
		m = &mainSection{}
	}
	spec := a.spec("main", &m.program, m.Command)
	spec.Name, spec.Kind, spec.Restart = unit.MainName, unit.Main, unit.RestartNever
	return Main{spec, texts(m.Subcommands)}
}

func (a *assembler) service(name string, s *serviceSection) unit.Spec {
	path := place{path: "services"}.key(name, Position{}).path
	spec := a.supervised(path, &s.supervised)
	spec.Name = unit.Name(name)
	if s.Enabled.given() {
		spec.Enabled = unit.Switch{On: s.Enabled.on, Because: s.Enabled.because("enabled")}
	}
	return spec
}

func (a *assembler) template(name string, t *templateSection) unit.Template {
	path := place{path: "templates"}.key(name, Position{}).path
	out := unit.Template{
		Name:    name,
		Spec:    a.supervised(path, &t.supervised),
		Names:   unit.DefaultNamePattern,
		Max:     unit.DefaultMax,
		Initial: unit.InitialDown,
	}
	out.Spec.Kind = unit.Instance
	in := t.Instances
	if in == nil {
		in = &instancesSection{}
	}
	if in.Names.given() {
		out.Names = in.Names.names
	}
	if in.Max.given() {
		out.Max = in.Max.n
	}
	if in.Initial.given() {
		out.Initial = in.Initial.text
	}
	for _, m := range in.Managers {
		if m.group {
			out.Managers.Groups = append(out.Managers.Groups, m.name)
		} else {
			out.Managers.Users = append(out.Managers.Users, m.name)
		}
	}
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
		a.program(at.path, o.Command)
		out.Overrides[k.text] = unit.Override{
			Command:     texts(o.Command),
			Environment: a.environment(at.path, o.Environment),
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

// supervised makes what services and templates have in common.
func (a *assembler) supervised(path string, s *supervised) unit.Spec {
	spec := a.spec(path, &s.program, s.Command)
	spec.Kind = unit.Service
	spec.Restart = unit.RestartAlways
	if s.Restart.given() {
		spec.Restart = unit.RestartPolicy(s.Restart.text)
	}
	spec.ExitRules = a.exitRules(path, s.ExitCodes)
	if s.Readiness != nil {
		spec.Readiness = &unit.Readiness{TCP: s.Readiness.TCP.text}
	}
	for _, k := range keysOf(a.report, s.Labels) {
		if k.text == "" {
			a.failf(k.at, "cannot use %s.labels: a label has no name", path)
			continue
		}
		if spec.Labels == nil {
			spec.Labels = map[string]string{}
		}
		spec.Labels[k.text] = s.Labels[k].text
	}
	return spec
}

// spec makes what all units have in common.
func (a *assembler) spec(path string, p *program, command argv) unit.Spec {
	a.program(path, command)
	spec := unit.Spec{
		Enabled:         unit.Switch{On: true},
		Command:         texts(command),
		User:            p.User.text,
		Environment:     a.environment(path, p.Environment),
		WorkingDir:      p.WorkingDir.text,
		StopSignal:      unit.DefaultStopSignal,
		StopGracePeriod: unit.DefaultStopGracePeriod,
	}
	if p.StopSignal.given() {
		spec.StopSignal = p.StopSignal.sig
	}
	if p.StopGracePeriod.given() {
		spec.StopGracePeriod = p.StopGracePeriod.d
	}
	return spec
}

// program checks the first word of a command.
func (a *assembler) program(path string, command argv) {
	if len(command) > 0 && command[0].given() && command[0].text == "" {
		a.failf(command[0].at, "cannot use %s.command: its first word, the program, is empty", path)
	}
}

func (a *assembler) environment(path string, env map[key]word) map[string]string {
	if len(env) == 0 {
		return nil
	}
	out := make(map[string]string, len(env))
	for _, k := range keysOf(a.report, env) {
		if k.text == "" || strings.Contains(k.text, "=") {
			a.failf(k.at, "cannot use %s.environment: %s is no variable's name", path, quote(k.text))
			continue
		}
		out[k.text] = env[k].text
	}
	return out
}

func (a *assembler) exitRules(path string, codes map[key]oneOf[verdictWords]) unit.ExitRules {
	if len(codes) == 0 {
		return nil
	}
	rules := make(unit.ExitRules, len(codes))
	first := map[unit.Exit]key{}
	for _, k := range keysOf(a.report, codes) {
		exit, err := unit.ParseExit(k.text)
		if err != nil {
			a.failf(k.at, "%s", err)
			continue
		}
		if same, again := first[exit]; again {
			a.failf(k.at, "cannot use %s.exit_codes: %s and %s are the same exit", path, quote(same.text), quote(k.text))
			continue
		}
		first[exit] = k
		rules[exit] = unit.Verdict(codes[k].text)
	}
	return rules
}

// keysOf lists the keys of a mapping as they stand in the file.
func keysOf[V any](r *report, m map[key]V) []key {
	return slices.SortedFunc(maps.Keys(m), func(a, b key) int { return r.compare(a.at, b.at) })
}
