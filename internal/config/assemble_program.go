package config

import (
	"slices"
	"strings"
	"time"

	"pintle/internal/unit"
)

// spec makes what all units have in common.
func (a *assembler) spec(path string, p *program, grace time.Duration) unit.Spec {
	spec := unit.Spec{
		Enabled:     unit.Switch{On: true},
		User:        p.User.text,
		Environment: a.environment(path, p.Environment),
		WorkingDir:  p.WorkingDir.text,
		Attributes:  a.attributes(path, &p.attributes),
		DependsOn:   p.DependsOn.units(),
		Stop:        a.stop(path, p, grace),
	}
	for i := range p.EnvFile {
		f := &p.EnvFile[i]
		spec.EnvFiles = append(spec.EnvFiles, unit.EnvFile{Path: f.Path.text, Optional: !f.Required.or(true)})
	}
	return spec
}

// command is an argument vector, whose first word must name a program.
func (a *assembler) command(path string, words argv) []string {
	if len(words) > 0 && words[0].given() && words[0].text == "" {
		a.failf(words[0].at, "cannot use %s: its first word, the program, is empty", path)
	}
	return texts(words)
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

// stop makes what all units have of a stop.
func (a *assembler) stop(path string, p *program, grace time.Duration) unit.Stop {
	stop := unit.Stop{Target: unit.TargetGroup, Grace: p.StopGracePeriod.or(grace)}
	if p.StopTarget.given() {
		stop.Target = unit.Target(p.StopTarget.text)
	}
	for i := range p.StopSignal {
		s := &p.StopSignal[i]
		at := place{path + ".stop_signal", s.At}.entry(i, s.At)
		switch {
		case s.After.wrong:
		case i == 0 && s.After.d > 0:
			a.failf(s.After.at, "cannot use %s.after: the first signal is sent at once", at.path)
		case i > 0 && !s.After.given():
			a.failf(s.At, "cannot use %s: it has no after, and only the first signal is sent at once", at.path)
		case i > 0 && s.After.d <= p.StopSignal[i-1].After.d:
			a.failf(s.After.at, "cannot use %s.after: it is no later than the signal before", at.path)
		case i > 0 && s.After.d >= stop.Grace && !p.StopGracePeriod.wrong:
			a.failf(s.After.at, "cannot use %s.after: %s is over by then", at.path, p.grace())
		}
		stop.Signals = append(stop.Signals, unit.StopSignal{Signal: s.Signal.sig, After: s.After.d})
	}
	if stop.Signals == nil {
		stop.Signals = []unit.StopSignal{{Signal: unit.DefaultStopSignal}}
	}
	return stop
}

// grace names the grace period for a message.
func (p *program) grace() string {
	if p.StopGracePeriod.given() {
		return "stop_grace_period"
	}
	return "the default of stop_grace_period"
}

// untilStopped adds what the units have that run until somebody stops them.
func (a *assembler) untilStopped(path string, p *program, l *longLived, spec *unit.Spec) {
	spec.Stop.Command = a.command(path+".stop_command", l.StopCommand)
	if !l.StopGraceMax.given() {
		return
	}
	spec.Stop.GraceMax = l.StopGraceMax.d
	if spec.Stop.GraceMax < spec.Stop.Grace && !p.StopGracePeriod.wrong {
		a.failf(l.StopGraceMax.at, "cannot use %s.stop_grace_max: it is shorter than %s", path, p.grace())
	}
}

func (a *assembler) attributes(path string, s *attributes) unit.Attributes {
	out := unit.Attributes{Nice: s.Nice.n, NoNewPrivileges: s.NoNewPrivileges.on}
	if s.Umask.given() {
		out.Umask = new(s.Umask.bits)
	}
	if s.OOMScoreAdj.given() {
		out.OOMScoreAdj = new(s.OOMScoreAdj.n)
	}
	for _, k := range keysOf(a.report, s.Ulimits) {
		at, l := place{path + ".ulimits", k.at}.key(k.text, k.at), s.Ulimits[k]
		switch {
		case !limitNames[k.text]:
			a.failf(k.at, "cannot use %s: there is no such limit%s", at.path, suggest(strings.ToLower(k.text), limitNames))
		case l.Soft.given() && l.Hard.given() && l.Soft.n > l.Hard.n:
			a.failf(l.Soft.at, "cannot use %s.soft: it is over hard", at.path)
		}
		if out.Limits == nil {
			out.Limits = map[string]unit.Limit{}
		}
		out.Limits[k.text] = unit.Limit{Soft: l.Soft.n, Hard: l.Hard.n}
	}
	out.Capabilities = a.capabilities(path+".capabilities", s.Capabilities)
	if len(s.Ambient) > 0 {
		out.AmbientCapabilities = a.capabilities(path+".ambient_capabilities", s.Ambient)
	}
	if s.Capabilities == nil || slices.ContainsFunc(s.Capabilities, func(c capability) bool { return !c.given() }) {
		return out
	}
	for i := range s.Ambient {
		if c := &s.Ambient[i]; c.given() && !slices.Contains(out.Capabilities, c.name) {
			a.failf(c.at, "cannot use %s.ambient_capabilities[%d]: %s is not among capabilities", path, i, c.shown())
		}
	}
	return out
}

// capabilities sorts a list, for its order says nothing. An empty one is not nil: it allows none.
func (a *assembler) capabilities(path string, list []capability) []string {
	if list == nil {
		return nil
	}
	names := make([]string, 0, len(list))
	for i := range list {
		c := &list[i]
		if c.given() && slices.Contains(names, c.name) {
			a.failf(c.at, "cannot use %s[%d]: %s is listed twice", path, i, c.shown())
		}
		names = append(names, c.name)
	}
	slices.Sort(names)
	return names
}
