package cli

import (
	"fmt"
	"strings"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// Explain answers in words why a unit is as it is: what it is and since when,
// why, who wanted that, how its last run ended, what comes next, and what a
// person can do about it. It is made from the status alone, and fits a screen.
// Of a restricted status only the state is told.
func Explain(s engine.Status, now time.Time) string {
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
	say("Wanted:", "%s", wanted(s, now))
	if s.Last != nil {
		say("Last:", "%s", lastEnd(s, now))
	}
	if len(s.Remaining) > 0 {
		say("Left:", "%s.", remaining(s))
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
	case unit.Starting:
		return fmt.Sprintf("%s has been starting%s%s.", name, since, inRun(s))
	case unit.Up:
		ready := ""
		if s.ReadyBy != "" {
			ready = ", ready by " + clean(s.ReadyBy)
		}
		return fmt.Sprintf("%s has been up%s%s%s.", name, since, inRun(s), ready)
	case unit.Stopping:
		return fmt.Sprintf("%s has been stopping%s%s.", name, since, inRun(s))
	case unit.Backoff:
		return fmt.Sprintf("%s is down between two runs%s: it will be started again.", name, since)
	case unit.Failed:
		return fmt.Sprintf("%s has failed, and has been given up%s.", name, since)
	case unit.Done:
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

// lastEnd is how the last run ended: how, after how long, when, and whether that was asked for.
func lastEnd(s engine.Status, now time.Time) string {
	l := s.Last
	run := fmt.Sprintf("run %d", l.Run)
	if l.PID != 0 {
		run += fmt.Sprintf(" (pid %d)", l.PID)
	}
	when := unit.Span(now.Sub(l.Ended)) + " ago"
	if l.Error != "" {
		return fmt.Sprintf("%s could not be executed, %s: %s.", run, when, clean(l.Error))
	}
	text := fmt.Sprintf("%s %s%s after %s, %s; ", run, l.Exit, meaning(*l), unit.Span(l.Ended.Sub(l.Started)), when)
	switch {
	case l.Asked && l.Killed:
		text += "it was asked to end, and killed when it had not done so within its grace period"
	case l.Asked:
		text += "it was asked to end"
	default:
		text += "nobody had asked for that"
	}
	if s.Failures > 1 {
		text += fmt.Sprintf(". That was failure %d in a row", s.Failures)
	}
	return text + "."
}

// meaning is what an exit that few know by heart stands for, in parentheses.
func meaning(l engine.RunEnd) string {
	switch e := l.Exit; {
	case e.Signal == unit.SIGKILL && !l.Killed:
		return " (sent by somebody, or by the kernel for lack of memory)"
	case e.Signal != 0:
		return ""
	case e.Code == 126: // POSIX, Shell Command Language, 2.8.2
		return " (a shell's word for: found, but cannot be executed)"
	case e.Code == 127:
		return " (a shell's word for: command not found)"
	case e.Code > 128 && e.Code <= 128+64:
		return fmt.Sprintf(" (128 + %d: a program that %s)", e.Code-128, unit.Exit{Signal: unit.Signal(e.Code - 128)})
	}
	return ""
}

// next is what will happen, and when.
func next(s engine.Status, now time.Time) string {
	in := "at once"
	if d := s.Next.Sub(now); d > 0 {
		in = "in " + unit.Span(d)
	}
	switch {
	case s.Gone:
		return "nothing; it was removed."
	case s.Reason == unit.ContainerStopping:
		return "the container stops; nothing is started any more."
	}
	switch s.State {
	case unit.Starting:
		if s.ReadyBy != "" {
			return "it is up once it is ready by " + clean(s.ReadyBy) + "."
		}
		return "it is up once it has been executed."
	case unit.Up:
		return "it stays up; pintle acts when it ends, or when somebody asks."
	case unit.Stopping:
		text := "it is down once no process of this run is left"
		switch {
		case s.Desired == "up" && s.Reason == unit.Asked:
			text = "the next run starts once no process of this one is left"
		case s.Desired == "up":
			text = "what follows is decided once no process of this run is left"
		}
		if !s.Next.IsZero() {
			text += "; SIGKILL follows " + in
		}
		return text + "."
	case unit.Backoff:
		return fmt.Sprintf("run %d starts %s.", s.Run+1, in)
	case unit.Disabled:
		return "nothing, in this container."
	}
	return "nothing, until somebody asks."
}

// remedy is a command that a person can type, and what it would do.
type remedy struct{ command, effect string }

// remedies is what a person can do, the likeliest first.
func remedies(s engine.Status) []remedy {
	name := string(s.Name)
	var (
		logs    = remedy{"pintle logs --tail 20 " + name, "shows what it wrote"}
		start   = remedy{"pintle start " + name, "starts it"}
		hurry   = remedy{"pintle start " + name, "starts it now"}
		stop    = remedy{"pintle stop " + name, "stops it"}
		restart = remedy{"pintle restart " + name, "starts it afresh"}
		kill    = remedy{"pintle signal KILL " + name, "kills its leader now"}
		wait    = remedy{"pintle wait " + name + " --for up", "returns once it is up"}
	)
	switch {
	case s.Gone:
		return []remedy{{"pintle create " + name, "makes it anew"}}
	case s.Reason == unit.ContainerStopping:
		return nil
	case s.Kind == unit.Main: // it lives and ends with the container
		return []remedy{{"pintle signal TERM " + name, "asks it to end, and the container with it"}}
	}
	switch s.State {
	case unit.Disabled:
		return []remedy{{"pintle config show", "shows what switches it; a change needs a new container"}}
	case unit.Down, unit.Done:
		return []remedy{start}
	case unit.Starting:
		return []remedy{wait, logs, stop}
	case unit.Up:
		return []remedy{logs, restart, stop}
	case unit.Stopping:
		return []remedy{kill}
	case unit.Backoff:
		return []remedy{logs, hurry, stop}
	case unit.Failed:
		return []remedy{logs, start}
	}
	return []remedy{logs}
}
