package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pintle/internal/engine"
)

// because is why a unit is in its state, as a clause without an end. A reason of a later version is shown as it is.
func because(s engine.Status) string {
	if s.Because != "" {
		return strings.TrimSuffix(clean(s.Because), ".")
	}
	if clause := engine.Because(s.Reason); clause != "" {
		return clause
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
