package unit

import (
	"fmt"
	"time"
)

// Span is a duration for people, with no more precision than they need: "40 ms",
// "0.3 s", "12 s", "2 min 5 s", "4 h 10 min", "3 d".
func Span(d time.Duration) string {
	two := func(big time.Duration, bigName string, small time.Duration, smallName string) string {
		if rest := d % big / small; rest > 0 {
			return fmt.Sprintf("%d %s %d %s", d/big, bigName, rest, smallName)
		}
		return fmt.Sprintf("%d %s", d/big, bigName)
	}
	switch {
	case d < time.Millisecond: // also what a clock that was set back makes of it
		return "0 s"
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return two(time.Minute, "min", time.Second, "s")
	case d < 48*time.Hour:
		return two(time.Hour, "h", time.Minute, "min")
	}
	return fmt.Sprintf("%d d", d/(24*time.Hour))
}
