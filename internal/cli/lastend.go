package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// lastRun is how the last run ended, as a sentence; "" where there was none. The record is of that run, or where the
// status has none of the last one in an earlier life of the container.
func lastRun(s engine.Status, record *engine.RunRecord, now time.Time) string {
	switch {
	case s.Last != nil && record != nil:
		return lastEnd(s, record.By, now)
	case s.Last != nil:
		return lastEnd(s, "", now)
	case record == nil:
		return ""
	}
	text := lastEnd(engine.Status{Name: record.Unit, Last: &record.RunEnd}, record.By, now)
	if record.Life > 0 {
		return fmt.Sprintf("in the container's life %d, %s", record.Life, text)
	}
	return "in an earlier life of the container, " + text
}

// lastWords are what a run that ended badly wrote last: more often than not that is why.
func lastWords(record *engine.RunRecord) string {
	if record == nil || record.Asked || record.Exit.Success() {
		return ""
	}
	for _, line := range slices.Backward(record.Tail) {
		if text := strings.TrimSpace(clean(line)); text != "" {
			return cut(text, longText)
		}
	}
	return ""
}

// lastEnd is how the last run ended: how, after how long, when, what for, and by whose wish, where that is known.
func lastEnd(s engine.Status, by string, now time.Time) string {
	l := s.Last
	run := fmt.Sprintf("run %d", l.Run)
	if l.PID != 0 {
		run += fmt.Sprintf(" (pid %d)", l.PID)
	}
	when := unit.Span(now.Sub(l.Ended)) + " ago"
	if l.Error != "" {
		return fmt.Sprintf("%s could not be executed, %s: %s.", run, when, clean(l.Error))
	}
	text := fmt.Sprintf("%s %s%s%s, %s; %s", run, l.Exit, meaning(*l), afterTime(*l), when, cause(s, clean(by)))
	if l.Killed {
		text += "; what was left of it was killed when its grace period was over"
	}
	if s.Failures > 1 {
		text += fmt.Sprintf(". That was failure %d in a row", s.Failures)
	}
	return text + "."
}

// cause is what the last run ended for, as a clause.
func cause(s engine.Status, by string) string {
	switch l := s.Last; l.Cause {
	case unit.Hung:
		text := "it did not do its work any more"
		if s.AliveBy != "" {
			text += " (alive by " + clean(s.AliveBy) + ")"
		}
		if l.Detail != "" {
			return text + ": " + cut(clean(l.Detail), longText) + "; it was asked to end"
		}
		return text + ", and was asked to end"
	case unit.TimedOut:
		if s.Kind == unit.Oneshot {
			return "it was not done in the time it has for that, and was asked to end"
		}
		return "it was not ready in the time it has for that, and was asked to end"
	case unit.EndsItself:
		return "it had said that it was stopping"
	case unit.DependencyRestarted:
		return "a unit that it restarts with began anew, and it was asked to end"
	case unit.Changed:
		return "a reload gave it another declaration, and it was asked to end"
	case unit.Dropped:
		return "a reload took its declaration away, and it was asked to end"
	case unit.Vanished:
		return "what declared it was gone, and it was asked to end"
	case unit.ContainerStopping:
		return "the container was stopping, and it was asked to end"
	default:
		switch {
		case l.Asked && s.Kind == unit.Oneshot: // that run may have undone its work, for the way down
			return "it was asked to be down" + byWhom(by)
		case l.Asked:
			return "it was asked to end" + byWhom(by)
		case s.Kind == unit.Oneshot && l.Exit.Success():
			return "its work was done"
		case l.Exit.Signal != 0 && l.Sender == engine.SentByPintle:
			if by == "" {
				by = "somebody"
			}
			return by + " sent that by way of pintle"
		}
		return "nobody had asked for that"
	}
}

// byWhom adds who asked; that it was a rule of pintle's own (one word), the cause tells.
func byWhom(by string) string {
	if !strings.Contains(by, " ") {
		return ""
	}
	return " by " + by
}

// meaning is what an exit that few know by heart stands for, in parentheses.
func meaning(l engine.RunEnd) string {
	switch e := l.Exit; {
	case e.Signal != 0 && l.Sender == engine.SentByOOM:
		return " (by the kernel: no memory was left)"
	case e.Signal == unit.SIGKILL && !l.Killed && l.Sender != engine.SentByPintle:
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
