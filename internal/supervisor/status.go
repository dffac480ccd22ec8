package supervisor

import (
	"fmt"
	"strings"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// status is a snapshot of the unit.
func (u *record) status() engine.Status {
	s := engine.Status{
		Name: u.spec.Name, Kind: u.spec.Kind,
		State: u.life.State, Desired: u.intent.Desired(),
		Since: u.since, Reason: u.life.Reason, Because: u.because(),
		Run: u.life.Run, Failures: u.life.Failures, Next: u.next, Last: u.last,
		Intent: u.intent, Labels: u.spec.Labels, Remaining: u.remaining, Gone: u.gone,
	}
	if u.run != nil && !u.life.Ended {
		s.PID = u.run.Pid()
	}
	if u.spec.Readiness != nil {
		s.ReadyBy = "tcp " + u.spec.Readiness.TCP
	}
	return s
}

// because is the reason as a clause for people.
func (u *record) because() string {
	switch u.life.Reason {
	case unit.SwitchedOff:
		return disabledBecause(u.spec)
	case unit.NeverStarted:
		return "nobody has started it"
	case unit.AtBoot:
		return "started with the container"
	case unit.NotReady:
		return "waiting for " + u.spec.Readiness.TCP + " to accept a connection"
	case unit.ContainerStopping:
		return "the container is stopping"
	case unit.Asked:
		return u.askedBecause()
	case unit.Crashed:
		return u.crashedBecause()
	case unit.CannotExecute:
		return u.last.Error
	case unit.ExitRule:
		return "it " + howItEnded(u.last) + ", and exit_codes says what follows"
	case unit.RestartRule:
		return fmt.Sprintf("it %s, and restart is %s", howItEnded(u.last), u.spec.Restart)
	}
	return string(u.life.Reason)
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
	if end.Error != "" {
		return "could not be executed: " + end.Error
	}
	return end.Exit.String() + " after " + unit.Span(end.Ended.Sub(end.Started))
}

// disabledBecause says by what a unit is switched off.
func disabledBecause(spec *unit.Spec) string {
	if because := strings.TrimSpace(spec.Enabled.Because); because != "" {
		return because
	}
	return "its configuration says so"
}
