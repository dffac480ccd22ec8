package config

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"pintle/internal/unit"
)

// assembler makes a Config of documents. It checks what the shape of a single key
// cannot say: names, and what two keys or two files say about one thing.
type assembler struct {
	*report
	// defined has every unit's name and where it stands.
	defined map[string]Position
	// logs has what holds for the output of units that do not say.
	logs *logSection
	// logDirectories has where each directory of logs stands.
	logDirectories map[string]Position
	// dependents are the units with dependencies, which are checked when all units are known.
	dependents []dependent
}

// declared is a unit before its name is checked. One of the sections is set.
type declared struct {
	key
	oneshot  *oneshotSection
	service  *serviceSection
	template *templateSection
}

func assemble(documents []*document, r *report) *Config {
	a := assembler{report: r, defined: map[string]Position{}, logDirectories: map[string]Position{}}
	d, units := a.merge(documents)
	c := &Config{
		Governor:       governor(d.Governor),
		Role:           d.Role.text,
		StateDirectory: d.StateDirectory.text,
		StopTimeout:    d.StopTimeout.or(DefaultStopTimeout),
	}
	c.Log = a.containerLog(d.Log) // first: units need its defaults
	c.Main = a.main(d.Main, c.StopTimeout)
	for _, u := range units {
		if !a.define(u.key) {
			continue
		}
		switch {
		case u.oneshot != nil:
			c.Oneshots = append(c.Oneshots, a.oneshot(u.text, u.oneshot))
		case u.service != nil:
			c.Services = append(c.Services, a.service(u.text, u.service))
		default:
			c.Templates = append(c.Templates, a.template(u.text, u.template, c.Role))
		}
	}
	byName := func(a, b unit.Spec) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(c.Oneshots, byName)
	slices.SortFunc(c.Services, byName)
	slices.SortFunc(c.Templates, func(a, b unit.Template) int { return cmp.Compare(a.Name, b.Name) })
	a.depend(c)
	c.Prepare = a.prepare(d.Prepare)
	c.S6 = a.s6(d.S6)
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
		if d.Governor != nil && all.Governor != nil {
			a.again("governor", all.Governor.At, d.Governor.At)
		} else if d.Governor != nil {
			all.Governor = d.Governor
		}
		if d.Log != nil && all.Log != nil {
			a.again("log", all.Log.At, d.Log.At)
		} else if d.Log != nil {
			all.Log = d.Log
		}
		if d.S6 != nil && all.S6 != nil {
			a.again("s6", all.S6.At, d.S6.At)
		} else if d.S6 != nil {
			all.S6 = d.S6
		}
		if d.Role.given() && all.Role.given() {
			a.again("role", all.Role.at, d.Role.at)
		} else if d.Role.given() {
			all.Role = d.Role
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
		for k, o := range d.Oneshots {
			units = append(units, declared{key: k, oneshot: &o})
		}
		for k, s := range d.Services {
			units = append(units, declared{key: k, service: &s})
		}
		for k, t := range d.Templates {
			units = append(units, declared{key: k, template: &t})
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

// governor fills the defaults in.
func governor(g *governorSection) unit.Governor {
	rule := unit.DefaultGovernor
	if g == nil {
		return rule
	}
	if g.Starts.given() {
		rule.Starts = g.Starts.n
	}
	if g.Storm.off.given() {
		rule.Least = -1
		return rule
	}
	set := &g.Storm.set
	rule.Share, rule.Least = set.Share.or(rule.Share), set.Least.or(rule.Least)
	rule.Within, rule.Pause = set.Within.or(rule.Within), set.Pause.or(rule.Pause)
	return rule
}

// main makes the main program, whose grace period is the whole stop's where the file does not say.
func (a *assembler) main(m *mainSection, grace time.Duration) Main {
	if m == nil {
		m = &mainSection{}
	}
	spec := a.spec("main", &m.program, grace)
	spec.Name, spec.Kind, spec.Restart = unit.MainName, unit.Main, unit.RestartNever
	spec.Command = a.command("main.command", m.Command)
	a.untilStopped("main", &m.program, &m.longLived, &spec)
	a.depends(dependent{name: string(unit.MainName), path: "main.depends_on", on: m.DependsOn})
	return Main{spec, texts(m.Subcommands)}
}

func (a *assembler) service(name string, s *serviceSection) unit.Spec {
	path := place{path: "services"}.key(name, Position{}).path
	spec := a.supervised(path, &s.supervised)
	spec.Name, spec.Kind = unit.Name(name), unit.Service
	spec.Enabled = enabled(&s.Enabled)
	a.depends(dependent{name: name, path: path + ".depends_on", on: s.DependsOn})
	return spec
}

func (a *assembler) oneshot(name string, o *oneshotSection) unit.Spec {
	path := place{path: "oneshots"}.key(name, Position{}).path
	spec := a.spec(path, &o.program, unit.DefaultStopGracePeriod)
	a.judged(path, &o.judged, &spec)
	spec.Name, spec.Kind = unit.Name(name), unit.Oneshot
	spec.Enabled = enabled(&o.Enabled)
	spec.Command, spec.Down = a.command(path+".up", o.Up), a.command(path+".down", o.Down)
	spec.Restart = unit.RestartOnFailure
	spec.GiveUp = unit.GiveUp{After: o.Retries.n + 1}
	spec.StartTimeout = o.Timeout.d
	spec.Required = o.Required.or(true)
	spec.OnFailure = unit.FailureIgnore
	if spec.Required {
		spec.OnFailure = unit.FailureStopContainer
	}
	a.depends(dependent{name: name, path: path + ".depends_on", on: o.DependsOn})
	return spec
}

// enabled is the switch of a unit, which is on where the file does not say.
func enabled(f *flag) unit.Switch {
	if !f.given() {
		return unit.Switch{On: true}
	}
	return unit.Switch{On: f.on, Because: f.because("enabled")}
}

// keysOf lists the keys of a mapping as they stand in the file.
func keysOf[V any](r *report, m map[key]V) []key {
	return slices.SortedFunc(maps.Keys(m), func(a, b key) int { return r.compare(a.at, b.at) })
}
