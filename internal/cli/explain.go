package cli

import (
	"fmt"
	"strings"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// Around is what an explanation may need to know beside the unit's own status.
type Around struct {
	// Record is what is kept of the unit's last run: of Status.Last, or where there is none, of a life before; nil for none.
	Record *engine.RunRecord `json:"record,omitempty"`
	// Strays are the container's (engine.Info).
	Strays []string `json:"strays,omitempty"`
	// Life is which life of the container this is.
	Life engine.Life `json:"life,omitzero"`
}

// Explain answers in words why a unit is as it is: what it is and since when,
// why, who wanted that, what it needs, how its last run ended, what comes next,
// and what a person can do about it. It is made from the status alone, beside what
// is around it, and fits a screen. Of a restricted status only the state is told.
func Explain(s engine.Status, around Around, now time.Time) string {
	var b strings.Builder
	say := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "  %-9s%s\n", label, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(&b, headline(s, now))
	if s.Restricted {
		return b.String()
	}
	if why := because(s); why != "" {
		say("Why:", "%s.", why)
	}
	if text := strings.TrimSpace(clean(s.Text)); text != "" {
		say("Says:", "%s", cut(text, longText))
	}
	say("Wanted:", "%s", wanted(s, now))
	if s.Origin != "" {
		say("Origin:", "%s.", clean(s.Origin))
	}
	if len(s.DependsOn) > 0 {
		say("Needs:", "%s.", needs(s.DependsOn))
	}
	if text := lastRun(s, around.Record, now); text != "" {
		say("Last:", "%s", text)
	}
	if line := lastWords(around.Record); line != "" {
		say("Wrote:", "%s", line)
	}
	if life := around.Life.String(); life != "" && s.Kind == unit.Main {
		say("Before:", "%s.", clean(strings.Replace(life, "its life", "the container's life", 1)))
	}
	if len(s.Remaining) > 0 {
		say("Left:", "%s.", remaining(s))
	}
	if len(around.Strays) > 0 && toldOfStrays(s) {
		say("Strays:", "%s", straying(around.Strays))
	}
	say("Next:", "%s", next(s, now))
	for i, c := range remedies(s) {
		label := "You can:"
		if i > 0 {
			label = ""
		}
		say(label, "%-42s %s", c.command, c.effect)
	}
	return b.String()
}

// What is from outside may be long, and an answer is to fit a screen.
const (
	longText   = 200 // characters
	manyStrays = 5
)

// headline is what the unit is, and since when.
func headline(s engine.Status, now time.Time) string {
	name, since := string(s.Name), ""
	if !s.Since.IsZero() {
		since = " for " + unit.Span(now.Sub(s.Since))
	}
	if s.Restricted {
		return fmt.Sprintf("%s has been %s%s.", name, clean(string(s.State)), since)
	}
	switch s.State {
	case unit.Disabled:
		return name + " is disabled: it does not run in this container."
	case unit.Down:
		return fmt.Sprintf("%s has been down%s: no process of it is left.", name, since)
	case unit.Waiting:
		return fmt.Sprintf("%s has been waiting%s: it is to run, and something else must come first.", name, since)
	case unit.Starting:
		if s.Kind == unit.Oneshot {
			return fmt.Sprintf("%s has been at its work%s%s.", name, since, inRun(s))
		}
		return fmt.Sprintf("%s has been starting%s%s.", name, since, inRun(s))
	case unit.Up:
		checks := ""
		if s.ReadyBy != "" {
			checks = ", ready by " + clean(s.ReadyBy)
		}
		if s.AliveBy != "" {
			checks += ", alive by " + clean(s.AliveBy)
		}
		return fmt.Sprintf("%s has been up%s%s%s.", name, since, inRun(s), checks)
	case unit.Stopping:
		return fmt.Sprintf("%s has been stopping%s%s.", name, since, inRun(s))
	case unit.Backoff:
		return fmt.Sprintf("%s has been down%s, between two runs: it will be started again.", name, since)
	case unit.Failed:
		if s.Reason == unit.DependencyFailed {
			return fmt.Sprintf("%s has failed%s: it was not started.", name, since)
		}
		return fmt.Sprintf("%s has failed, and has been given up%s.", name, since)
	case unit.Done:
		if s.Reason == unit.CannotExecute { // 126 and 127 can be in exit_codes like any other
			return fmt.Sprintf("%s has been done%s: exit_codes has it so when it cannot be executed.", name, since)
		}
		if s.Kind == unit.Oneshot {
			return fmt.Sprintf("%s has been done%s: it has done its work.", name, since)
		}
		return fmt.Sprintf("%s has been done%s: it ended by itself, as it should.", name, since)
	}
	return fmt.Sprintf("%s has been %s%s.", name, clean(string(s.State)), since)
}

// inRun names the current run, as the middle of a sentence.
func inRun(s engine.Status) string {
	switch {
	case s.Run == 0:
		return ""
	case s.PID == 0:
		return fmt.Sprintf(", in run %d", s.Run)
	}
	return fmt.Sprintf(", in run %d with pid %d", s.Run, s.PID)
}

// wanted is the intent: what, by whom, when.
func wanted(s engine.Status, now time.Time) string {
	var by string
	switch a := s.Intent.Actor; a.Kind {
	case "":
		return s.Desired + "."
	case unit.Boot.Kind:
		by = "as declared, since the container started"
	case unit.Policy.Kind:
		by = "by pintle's own rules"
	default:
		by = "asked for by " + clean(a.String())
	}
	text := s.Desired + ", " + by
	if !s.Intent.Time.IsZero() {
		text += ", " + unit.Span(now.Sub(s.Intent.Time)) + " ago"
	}
	return text + "."
}

// toldOfStrays tells whether somebody who asks about this unit looks for a process that may have got away from it, or
// asks about the whole container.
func toldOfStrays(s engine.Status) bool {
	return s.Kind == unit.Main || s.State == unit.Stopping || s.State == unit.Backoff || ended(s.State) && s.Run > 0
}

// straying names the processes that belong to no unit.
func straying(strays []string) string {
	names, more := strays, ""
	if n := len(strays) - manyStrays; n > 0 {
		names, more = strays[:manyStrays], fmt.Sprintf(" and %d more", n)
	}
	list := clean(strings.Join(names, ", ")) + more
	if len(strays) == 1 {
		return "1 process belongs to no unit: " + list + "; it ends with the container."
	}
	return fmt.Sprintf("%d processes belong to no unit: %s; they end with the container.", len(strays), list)
}
