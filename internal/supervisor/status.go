package supervisor

import (
	"fmt"
	"strings"

	"pintle/internal/engine"
	"pintle/internal/lifecycle"
	"pintle/internal/unit"
)

// status is a snapshot of the unit.
func (s *Supervisor) status(u *record) engine.Status {
	st := engine.Status{
		Name: u.spec.Name, Kind: u.spec.Kind,
		State: u.life.State, Desired: u.intent.Desired(),
		Since: u.since, Reason: u.life.Reason, Because: s.because(u),
		Run: u.life.Run, Failures: u.life.Failures, Next: u.next, Last: u.last,
		Intent: u.intent, Labels: u.spec.Labels, Remaining: u.remaining, Text: u.text, Gone: u.gone,
		Origin: s.origin(u), ReadyBy: u.spec.Readiness.String(), AliveBy: aliveBy(u.spec),
	}
	if u.life.Reason == unit.AwaitsLease && s.o.Leases != nil {
		st.Holder = s.o.Leases.Holder(u.spec.Name)
	}
	if u.run != nil && !u.life.Ended {
		st.PID = u.run.Pid()
	}
	for _, d := range u.spec.DependsOn {
		st.DependsOn = append(st.DependsOn, engine.Dependency{
			On: d.On, Condition: d.Condition, RestartWith: d.RestartWith, Optional: d.Optional, Met: s.look(d) == lifecycle.Met,
		})
	}
	return st
}

// aliveBy says how it is known that a run is alive.
func aliveBy(spec *unit.Spec) string {
	var by []string
	if spec.Liveness != nil {
		by = append(by, spec.Liveness.String())
	}
	if spec.Watchdog > 0 {
		by = append(by, "watchdog "+unit.Span(spec.Watchdog))
	}
	return strings.Join(by, " and ")
}

// because is the reason as a clause for people.
func (s *Supervisor) because(u *record) string {
	switch u.life.Reason {
	case unit.SwitchedOff:
		return disabledBecause(u.spec)
	case unit.NeverStarted:
		return "nobody has started it"
	case unit.AtBoot:
		return "started with the container"
	case unit.Declared:
		return "started because a directory declares it"
	case unit.AwaitsDependency, unit.DependencyFailed:
		return s.dependsBecause(u)
	case unit.AwaitsTurn:
		return "waiting for its turn: other units are starting"
	case unit.AwaitsCalm:
		until, together := s.governor.Calm()
		text := fmt.Sprintf("waiting %s, because %d units failed together", unit.Span(until.Sub(now())), together)
		if u.last != nil {
			text += "; it " + howItEnded(u.last)
		}
		return text
	case unit.AwaitsLease:
		return s.leaseBecause(u)
	case unit.LostLease:
		return u.lostBecause()
	case unit.NotReady:
		return u.notReadyBecause()
	case unit.Working:
		return "at work since " + unit.Span(now().Sub(u.began))
	case unit.ContainerStopping:
		return "the container is stopping"
	case unit.Asked:
		return u.askedBecause()
	case unit.Crashed:
		return u.crashedBecause()
	case unit.CannotExecute:
		return u.last.Error
	case unit.Hung:
		return u.hungBecause()
	case unit.TimedOut:
		return fmt.Sprintf("it was not %s within %s", map[bool]string{true: "done", false: "ready"}[u.spec.Kind == unit.Oneshot], unit.Span(u.spec.StartTimeout))
	case unit.EndedUnready:
		return "it " + howItEnded(u.last) + ", before it was ready"
	case unit.EndsItself:
		return "it says that it is stopping"
	case unit.ExitRule:
		return "it " + howItEnded(u.last) + ", and exit_codes says what follows"
	case unit.RestartRule:
		if u.spec.Kind == unit.Oneshot {
			return "it " + howItEnded(u.last)
		}
		return fmt.Sprintf("it %s, and restart is %s", howItEnded(u.last), u.spec.Restart)
	case unit.GaveUp:
		return u.gaveUpBecause()
	case unit.DependencyRestarted:
		return "a unit that it depends on began anew"
	case unit.Changed:
		if u.life.State == unit.Waiting || u.life.State == unit.Starting || u.life.State == unit.Up {
			return "started by a reload of the configuration"
		}
		return "its configuration has changed"
	case unit.Dropped:
		return "it is not in the configuration any more"
	case unit.Vanished:
		return "the directory that declared it is gone, or its marker"
	}
	return string(u.life.Reason)
}

// dependsBecause names the unit that is waited for, or that has failed, and what it is.
func (s *Supervisor) dependsBecause(u *record) string {
	prospect, d := s.prospect(u)
	other := s.units[d.On]
	switch {
	case prospect == lifecycle.Met:
		return "what it depends on is there"
	case other == nil:
		return fmt.Sprintf("waiting for %s, which does not exist yet", d.On)
	case prospect == lifecycle.Hopeless && other.life.State == unit.Disabled:
		return fmt.Sprintf("it depends on %s, which is disabled in this container", d.On)
	case prospect == lifecycle.Hopeless:
		return fmt.Sprintf("it depends on %s, which has failed", d.On)
	}
	text := fmt.Sprintf("waiting for %s to be %s, %s", d.On, d.Condition, unit.Span(now().Sub(u.since)))
	if state := other.life.State; !activeIn(state) {
		text += fmt.Sprintf("; it is %s", state)
	}
	return text
}

func (u *record) notReadyBecause() string {
	var text string
	switch r := u.spec.Readiness; {
	case r == nil: // a reload took it away
		return "waiting to be ready"
	case r.Notify:
		text = "waiting for it to say that it is ready (READY=1)"
	case r.FD > 0:
		text = fmt.Sprintf("waiting for it to say on descriptor %d that it is ready", r.FD)
	case r.Log != "":
		text = fmt.Sprintf("waiting for a line with %s in its log", r.Log)
	case r.TCP != "":
		text = "waiting for " + r.TCP + " to accept a connection"
	case r.HTTP != "":
		text = "waiting for an answer from " + r.HTTP
	default:
		text = "waiting for " + r.Exec[0] + " to succeed"
	}
	if u.ailment != "" {
		text += ": " + u.ailment
	}
	return text
}

func (u *record) hungBecause() string {
	detail := u.ailment
	if u.life.State != unit.Stopping && u.last != nil {
		detail = u.last.Detail
	}
	if detail == "" {
		return "it hung"
	}
	return "it hung: " + detail
}

func (u *record) gaveUpBecause() string {
	rule := u.spec.GiveUp
	text := fmt.Sprintf("it failed %d times in a row", u.life.Failures)
	switch {
	case u.spec.Kind == unit.Oneshot && u.life.Failures == 1:
		text = "it failed"
	case rule.Within > 0:
		text = fmt.Sprintf("it failed %d times within %s", rule.After, unit.Span(rule.Within))
	}
	return text + ", at last: it " + howItEnded(u.last)
}

func (u *record) askedBecause() string {
	what := "started"
	switch {
	case u.gone:
		what = "removed"
	case u.removing:
		what = "being removed"
	case u.life.State == unit.Down && u.life.Run == 0:
		what = "asked to be down"
	case u.life.State == unit.Down:
		what = "stopped"
	case u.life.State == unit.Stopping && u.intent.Up:
		what = "being restarted"
	case u.life.State == unit.Stopping:
		what = "being stopped"
	}
	return what + " by " + u.by.String()
}

func (u *record) crashedBecause() string {
	switch u.life.State {
	case unit.Stopping:
		return "it " + howItEnded(u.last) + "; what it left behind is being ended"
	case unit.Backoff:
		return "it " + howItEnded(u.last)
	}
	return "started again after run " + fmt.Sprint(u.last.Run) + " " + howItEnded(u.last)
}

// howItEnded is the end of a run as a clause: "exited with code 3 after 1.2 s".
func howItEnded(end *engine.RunEnd) string {
	after := " after " + unit.Span(end.Ended.Sub(end.Started))
	switch {
	case end.Error != "":
		return "could not be executed: " + end.Error
	case end.Cause == unit.Hung:
		return "hung" + after + ", and " + end.Exit.String()
	case end.Cause == unit.TimedOut:
		return "took too long" + after + ", and " + end.Exit.String()
	}
	if end.Sender == engine.SentByOOM {
		after += ", because no memory was left"
	}
	return end.Exit.String() + after
}

// disabledBecause says by what a unit is switched off.
func disabledBecause(spec *unit.Spec) string {
	if because := strings.TrimSpace(spec.Enabled.Because); because != "" {
		return because
	}
	return "its configuration says so"
}

// loops is how many failures in a row are said of a unit that is started again and again.
const loops = 5

// troubles are the units that are not as they should be, for Info.
func (s *Supervisor) troubles() []engine.Condition {
	var list []engine.Condition
	for _, u := range s.sorted() {
		switch {
		case u.life.State == unit.Failed:
			list = append(list, engine.Conditionf(engine.UnitFailed, "%s has failed: %s", u.spec.Name, s.because(u)))
		case u.life.Failures >= loops:
			list = append(list, engine.Conditionf(engine.UnitFailing, "%s fails again and again: %d failures in a row, at last: it %s", u.spec.Name, u.life.Failures, howItEnded(u.last)))
		}
	}
	return list
}
