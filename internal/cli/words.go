package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pintle/internal/engine"
)

// span is a duration for people, with no more precision than they need:
// "40 ms", "0.3 s", "12 s", "2 min 5 s", "40 min", "4 h 10 min", "3 d".
func span(d time.Duration) string {
	pair := func(big time.Duration, bigName string, small time.Duration, smallName string) string {
		s := fmt.Sprintf("%d %s", d/big, bigName)
		if rest := d % big / small; rest > 0 {
			s += fmt.Sprintf(" %d %s", rest, smallName)
		}
		return s
	}
	switch {
	case d < time.Millisecond: // and what a clock that was set back makes negative
		return "0 s"
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Second:
		return fmt.Sprintf("0.%d s", d/(100*time.Millisecond))
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 10*time.Minute:
		return pair(time.Minute, "min", time.Second, "s")
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 10*time.Hour:
		return pair(time.Hour, "h", time.Minute, "min")
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d d", d/(24*time.Hour))
}

// because is why a unit is in its state, as a clause without an end.
func because(s engine.Status) string {
	if s.Because != "" {
		return strings.TrimSuffix(clean(s.Because), ".")
	}
	return strings.ReplaceAll(clean(string(s.Reason)), "-", " ")
}

// isNow is the unit's state and why, as the rest of a sentence about it.
func isNow(s engine.Status) string {
	text := string(s.State)
	if why := because(s); why != "" {
		text += " (" + why + ")"
	}
	if len(s.Remaining) > 0 {
		text += "; still there: " + remaining(s)
	}
	return text
}

func remaining(s engine.Status) string { return clean(strings.Join(s.Remaining, ", ")) }

// labels is a set of labels on one line, "-" where there are none.
func labels(m map[string]string) string {
	if len(m) == 0 {
		return "-"
	}
	var all []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, k+"="+m[k])
	}
	return strings.Join(all, ",")
}

// plural is "1 unit", "2 units".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
