package config

import (
	"fmt"
	"strings"

	"pintle/internal/unit"
)

// supervised makes what services and templates have in common.
func (a *assembler) supervised(path string, s *supervised) unit.Spec {
	spec := a.spec(path, &s.program, unit.DefaultStopGracePeriod)
	a.untilStopped(path, &s.program, &s.longLived, &spec)
	a.judged(path, &s.judged, &spec)
	spec.Command = a.command(path+".command", s.Command)
	spec.Restart = unit.RestartAlways
	if s.Restart.given() {
		spec.Restart = unit.RestartPolicy(s.Restart.text)
	}
	spec.StableAfter = s.StableAfter.or(unit.DefaultStableAfter)
	if s.GiveUp != nil {
		spec.GiveUp = unit.GiveUp{After: s.GiveUp.After.n, Within: s.GiveUp.Within.d}
	}
	spec.OnFailure = unit.FailureIgnore
	if s.OnFailure.given() {
		spec.OnFailure = unit.FailureAction(s.OnFailure.text)
	}
	spec.Readiness = a.readiness(path+".readiness", s.Readiness)
	spec.StartTimeout = s.StartTimeout.d
	spec.Liveness = a.liveness(path+".liveness", s.Liveness)
	spec.Watchdog = s.Watchdog.d
	if h := s.OnHang; h != nil {
		spec.OnHang = &unit.OnHang{Signal: h.Signal.sig, Wait: h.Wait.or(unit.DefaultHangWait)}
		if s.Liveness == nil && !s.Watchdog.given() && !s.Watchdog.wrong {
			a.failf(h.At, "cannot use %s.on_hang: there is neither liveness nor watchdog to find that it hangs", path)
		}
	}
	return spec
}

// judged adds what the units have whose end leads to something other than the container's.
func (a *assembler) judged(path string, j *judged, spec *unit.Spec) {
	spec.ExitRules = a.exitRules(path, j.ExitCodes)
	spec.Backoff = a.backoff(path+".backoff", j.Backoff)
	spec.Log = a.log(path+".log", j.Log)
	for _, k := range keysOf(a.report, j.Labels) {
		if k.text == "" {
			a.failf(k.at, "cannot use %s.labels: a label has no name", path)
			continue
		}
		if spec.Labels == nil {
			spec.Labels = map[string]string{}
		}
		spec.Labels[k.text] = j.Labels[k].text
	}
}

// exitRules makes the rules for single exits and for ranges of codes. A single exit
// beats a range, so that a range can have exceptions.
func (a *assembler) exitRules(path string, codes map[key]oneOf[verdictWords]) unit.ExitRules {
	if len(codes) == 0 {
		return nil
	}
	rules := make(unit.ExitRules, len(codes))
	single, ranged := map[unit.Exit]key{}, map[unit.Exit]key{}
	for _, k := range keysOf(a.report, codes) {
		low, high, err := parseExits(k.text)
		if err != nil {
			a.failf(k.at, "%s", err)
			continue
		}
		verdict := unit.Verdict(codes[k].text)
		if low == high {
			if same, again := single[low]; again {
				a.failf(k.at, "cannot use %s.exit_codes: %s and %s are the same exit", path, quote(same.text), quote(k.text))
				continue
			}
			single[low], rules[low] = k, verdict
			continue
		}
		for exit := low; exit.Code <= high.Code; exit.Code++ {
			if other, again := ranged[exit]; again {
				a.failf(k.at, "cannot use %s.exit_codes: %s and %s overlap", path, quote(other.text), quote(k.text))
				break
			}
			ranged[exit] = k
			if _, exception := single[exit]; !exception {
				rules[exit] = verdict
			}
		}
	}
	return rules
}

// parseExits takes a key of exit_codes: a single exit, or a range of codes such as 1-9.
func parseExits(text string) (low, high unit.Exit, err error) {
	first, last, ranged := strings.Cut(text, "-")
	if !ranged || first == "" {
		low, err = unit.ParseExit(text)
		return low, low, err
	}
	if low, err = unit.ParseExit(first); err != nil {
		return low, high, err
	}
	if high, err = unit.ParseExit(last); err != nil {
		return low, high, err
	}
	switch {
	case low.Signal != 0 || high.Signal != 0:
		err = fmt.Errorf("cannot use exits %s: only codes make a range", quote(text))
	case low.Code > high.Code:
		err = fmt.Errorf("cannot use exits %s: the range ends before it begins", quote(text))
	}
	return low, high, err
}

func (a *assembler) backoff(path string, b *backoffSection) unit.BackoffRule {
	rule := unit.DefaultBackoff
	if b == nil {
		return rule
	}
	rule.Initial, rule.Max = b.Initial.or(rule.Initial), b.Max.or(rule.Max)
	rule.Factor, rule.Jitter = b.Factor.or(rule.Factor), b.Jitter.or(rule.Jitter)
	switch {
	case rule.Initial <= rule.Max || b.Initial.wrong || b.Max.wrong:
	case !b.Initial.given():
		a.failf(b.Max.at, "cannot use %s.max: it is shorter than the default of initial, %s", path, readable(rule.Initial))
	case !b.Max.given():
		a.failf(b.Initial.at, "cannot use %s.initial: it is longer than the default of max, %s", path, readable(rule.Max))
	default:
		a.failf(b.Initial.at, "cannot use %s.initial: it is longer than max", path)
	}
	return rule
}

func (a *assembler) readiness(path string, r *readinessSection) *unit.Readiness {
	if r == nil {
		return nil
	}
	out := &unit.Readiness{Notify: r.Notify.on, FD: r.FD.n, Log: r.Log.pattern}
	if r.Notify.given() && !r.Notify.on {
		a.failf(r.Notify.at, "cannot use %s.notify: write true, or leave readiness out", path)
	}
	if r.Notify.given() || r.FD.given() || r.Log.given() {
		for _, given := range []struct {
			key string
			*positive
		}{{"period", &r.Period}, {"timeout", &r.Timeout}} {
			if given.given() {
				a.failf(given.at, "cannot use %s.%s: only tcp, http and exec have it", path, given.key)
			}
		}
		return out
	}
	out.Check = a.check(path, &r.check)
	out.Period, out.Timeout = r.Period.or(unit.DefaultReadinessPeriod), r.Timeout.or(unit.DefaultReadinessTimeout)
	return out
}

func (a *assembler) liveness(path string, l *livenessSection) *unit.Liveness {
	if l == nil {
		return nil
	}
	return &unit.Liveness{
		Check:       a.check(path, &l.check),
		Period:      l.Period.or(unit.DefaultLivenessPeriod),
		Timeout:     l.Timeout.or(unit.DefaultLivenessTimeout),
		StartPeriod: l.StartPeriod.d,
		Failures:    l.Failures.or(unit.DefaultLivenessFailures),
		Successes:   l.Successes.or(unit.DefaultLivenessSuccesses),
	}
}

func (a *assembler) check(path string, c *check) unit.Check {
	return unit.Check{TCP: c.TCP.text, HTTP: c.HTTP.text, Exec: a.command(path+".exec", c.Exec)}
}
