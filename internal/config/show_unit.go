package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"pintle/internal/unit"
)

// text writes a key and its value; nothing where it is empty.
func (p *printer) text(level int, name, value string) {
	if value != "" {
		p.line(level, "%s: %s", name, plain(value))
	}
}

// list writes a key and a list of words; nothing where it is empty.
func (p *printer) list(level int, name string, words []string) {
	if len(words) > 0 {
		p.line(level, "%s: %s", name, flowList(words))
	}
}

// duration writes a key and a length of time; nothing where it is zero.
func (p *printer) duration(level int, name string, d time.Duration) {
	if d > 0 {
		p.line(level, "%s: %s", name, readable(d))
	}
}

// mapping writes a key and the mapping under it, sorted; nothing where it is empty.
func (p *printer) mapping(level int, name string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	p.line(level, "%s:", name)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		p.line(level+1, "%s: %s", quoteKey(k), plain(m[k]))
	}
}

func (p *printer) environment(level int, env map[string]string) {
	hidden := make(map[string]string, len(env))
	for name := range env {
		hidden[name] = masked
	}
	p.mapping(level, "environment", hidden)
}

// spec writes the keys that the unit's kind has.
func (p *printer) spec(level int, s *unit.Spec) {
	if s.Kind == unit.Oneshot {
		p.list(level, "up", s.Command)
		p.list(level, "down", s.Down)
	} else {
		p.list(level, "command", s.Command)
	}
	p.text(level, "user", s.User)
	p.environment(level, s.Environment)
	p.envFiles(level, s.EnvFiles)
	p.text(level, "working_dir", s.WorkingDir)
	p.attributes(level, &s.Attributes)
	p.dependencies(level, s.DependsOn)
	switch s.Kind {
	case unit.Main:
	case unit.Oneshot:
		p.duration(level, "timeout", s.StartTimeout)
		p.line(level, "retries: %d", s.GiveUp.After-1)
		p.line(level, "required: %t", s.Required)
		p.judged(level, s)
	default:
		p.line(level, "restart: %s", s.Restart)
		p.judged(level, s)
		p.supervised(level, s)
	}
	p.stop(level, &s.Stop)
}

// judged writes what a oneshot has too.
func (p *printer) judged(level int, s *unit.Spec) {
	p.exitRules(level, s.ExitRules)
	b := s.Backoff
	p.line(level, "backoff: {initial: %s, max: %s, factor: %s, jitter: %s}", readable(b.Initial), readable(b.Max), decimal(b.Factor), decimal(b.Jitter))
	p.mapping(level, "labels", s.Labels)
	p.log(level, s.Log)
}

// supervised writes what only services and templates have.
func (p *printer) supervised(level int, s *unit.Spec) {
	p.duration(level, "stable_after", s.StableAfter)
	switch g := s.GiveUp; {
	case g.Within > 0:
		p.line(level, "give_up: {after: %d, within: %s}", g.After, readable(g.Within))
	case g.After > 0:
		p.line(level, "give_up: {after: %d}", g.After)
	}
	p.line(level, "on_failure: %s", s.OnFailure)
	if r := s.Readiness; r != nil {
		p.line(level, "readiness:")
		switch {
		case r.Notify:
			p.line(level+1, "notify: true")
		case r.FD > 0:
			p.line(level+1, "fd: %d", r.FD)
		default:
			p.text(level+1, "log", string(r.Log))
			p.check(level+1, r.Check, r.Period, r.Timeout)
		}
	}
	p.duration(level, "start_timeout", s.StartTimeout)
	if l := s.Liveness; l != nil {
		p.line(level, "liveness:")
		p.check(level+1, l.Check, l.Period, l.Timeout)
		p.duration(level+1, "start_period", l.StartPeriod)
		p.line(level+1, "failures: %d", l.Failures)
		p.line(level+1, "successes: %d", l.Successes)
	}
	p.duration(level, "watchdog", s.Watchdog)
	if h := s.OnHang; h != nil {
		p.line(level, "on_hang: {signal: %s, wait: %s}", signalWord(h.Signal), readable(h.Wait))
	}
}

func (p *printer) check(level int, c unit.Check, period, timeout time.Duration) {
	p.text(level, "tcp", c.TCP)
	p.text(level, "http", c.HTTP)
	p.list(level, "exec", c.Exec)
	p.duration(level, "period", period)
	p.duration(level, "timeout", timeout)
}

func (p *printer) stop(level int, s *unit.Stop) {
	signals := make([]string, len(s.Signals))
	for i, sig := range s.Signals {
		signals[i] = signalWord(sig.Signal)
		if i > 0 {
			signals[i] = fmt.Sprintf("{signal: %s, after: %s}", signals[i], readable(sig.After))
		}
	}
	if len(signals) == 1 {
		p.line(level, "stop_signal: %s", signals[0])
	} else {
		p.line(level, "stop_signal: [%s]", strings.Join(signals, ", "))
	}
	p.list(level, "stop_command", s.Command)
	p.line(level, "stop_target: %s", s.Target)
	p.line(level, "stop_grace_period: %s", readable(s.Grace))
	p.duration(level, "stop_grace_max", s.GraceMax)
}

func (p *printer) attributes(level int, a *unit.Attributes) {
	if a.Umask != nil {
		p.line(level, `umask: "%04o"`, *a.Umask)
	}
	if len(a.Limits) > 0 {
		p.line(level, "ulimits:")
	}
	for _, name := range slices.Sorted(maps.Keys(a.Limits)) {
		p.line(level+1, "%s: {soft: %s, hard: %s}", name, limitWord(a.Limits[name].Soft), limitWord(a.Limits[name].Hard))
	}
	if a.Nice != 0 {
		p.line(level, "nice: %d", a.Nice)
	}
	if a.OOMScoreAdj != nil {
		p.line(level, "oom_score_adj: %d", *a.OOMScoreAdj)
	}
	if a.NoNewPrivileges {
		p.line(level, "no_new_privileges: true")
	}
	if a.Capabilities != nil {
		p.line(level, "capabilities: %s", flowList(a.Capabilities))
	}
	p.list(level, "ambient_capabilities", a.AmbientCapabilities)
}

func (p *printer) envFiles(level int, files []unit.EnvFile) {
	if len(files) > 0 {
		p.line(level, "env_file:")
	}
	for _, f := range files {
		p.line(level+1, "- {path: %s, required: %t}", plain(f.Path), !f.Optional)
	}
}

func (p *printer) dependencies(level int, dependencies []unit.Dependency) {
	if len(dependencies) > 0 {
		p.line(level, "depends_on:")
	}
	for _, d := range dependencies {
		p.line(level+1, "%s: {condition: %s, restart_with: %t, required: %t}", quoteKey(string(d.On)), d.Condition, d.RestartWith, !d.Optional)
	}
}

// exitRules writes codes in a row that lead to the same as a range.
func (p *printer) exitRules(level int, rules unit.ExitRules) {
	if len(rules) > 0 {
		p.line(level, "exit_codes:")
	}
	for low := 0; low <= maxCode; low++ {
		verdict, ok := rules[unit.Exit{Code: low}]
		if !ok {
			continue
		}
		high := low
		for high < maxCode && rules[unit.Exit{Code: high + 1}] == verdict {
			high++
		}
		if low == high {
			p.line(level+1, "%d: %s", low, verdict)
		} else {
			p.line(level+1, "%d-%d: %s", low, high, verdict)
		}
		low = high
	}
	exits := slices.SortedFunc(maps.Keys(rules), func(a, b unit.Exit) int { return int(a.Signal - b.Signal) })
	for _, exit := range exits {
		if exit.Signal != 0 {
			p.line(level+1, "%s: %s", exit.Signal, rules[exit])
		}
	}
}

// maxCode is the largest code that a process can end with.
const maxCode = 255

// signalWord is a signal as stop_signal has it: its number where it has no name.
func signalWord(s unit.Signal) string {
	if name := s.String(); strings.HasPrefix(name, "SIG") {
		return name
	}
	return strconv.Itoa(int(s))
}

func limitWord(n uint64) string {
	if n == unit.Unlimited {
		return unlimited
	}
	return strconv.FormatUint(n, 10)
}
