package lifecycle

import (
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"time"

	"pintle/internal/unit"
)

// End is what a decision about the next run is made of.
type End struct {
	Exit unit.Exit
	// Cause is why the run ended: Crashed where it did so by itself, CannotExecute where it never began, or what pintle
	// ended it for: TimedOut, Hung, EndsItself.
	Cause unit.Reason
	// WasReady is set where the run had been ready.
	WasReady bool
	// Run is the run's number.
	Run uint64
	// Failures counts the failures in a row with this one, if it is one; Recent those within the time of give_up.
	Failures, Recent int
}

// Decision is what follows the end of a run that nobody asked to end.
type Decision struct {
	Verdict unit.Verdict
	// Delay is the wait before the next run, where there is one.
	Delay  time.Duration
	Reason unit.Reason
}

// Decide says what follows. Why a run ended counts before its code: what was
// ended because it hung or took too long has failed, however it then exited, and
// what ends before it was ready has not done its work (hermes-behaviours.md, U45).
func Decide(spec *unit.Spec, e End) Decision {
	d := judge(spec, e)
	switch {
	case d.Verdict != unit.VerdictRestart:
		return d
	case spec.GiveUp.After > 0 && e.count(spec) >= spec.GiveUp.After:
		return Decision{Verdict: unit.VerdictFail, Reason: unit.GaveUp}
	}
	d.Delay = delay(spec, e.Failures, e.Run)
	return d
}

// count is how many failures give_up counts.
func (e *End) count(spec *unit.Spec) int {
	if spec.GiveUp.Within == 0 {
		return e.Failures
	}
	return e.Recent
}

func judge(spec *unit.Spec, e End) Decision {
	failure := func(why unit.Reason) Decision {
		if spec.Restart == unit.RestartNever {
			return Decision{Verdict: unit.VerdictFail, Reason: why}
		}
		return Decision{Verdict: unit.VerdictRestart, Reason: why}
	}
	if e.Cause == unit.Hung || e.Cause == unit.TimedOut {
		return failure(e.Cause)
	}
	verdict, byRule := spec.Judge(e.Exit)
	switch {
	case e.Cause == unit.CannotExecute:
		return Decision{Verdict: verdict, Reason: unit.CannotExecute}
	case byRule:
		return Decision{Verdict: verdict, Reason: unit.ExitRule}
	case e.Exit.Success() && !e.WasReady && spec.Readiness != nil:
		return failure(unit.EndedUnready)
	case verdict == unit.VerdictRestart:
		return Decision{Verdict: verdict, Reason: unit.Crashed}
	}
	return Decision{Verdict: verdict, Reason: unit.RestartRule}
}

// delay is the wait after the nth failure in a row, n from 1. Its jitter is made
// of the unit's name and the run's number, so that a list of events always has
// the same outcome.
func delay(spec *unit.Spec, n int, run uint64) time.Duration {
	b := spec.Backoff
	if b == (unit.BackoffRule{}) {
		b = unit.DefaultBackoff
	}
	if n <= 1 || b.Initial <= 0 { // nothing times the infinity that many failures come to is no number
		return 0
	}
	most := float64(b.Max)
	d := min(float64(b.Initial)*math.Pow(b.Factor, float64(n-2)), most)
	low, high := d*(1-b.Jitter), min(d*(1+b.Jitter), most) // spread at the most, too, where many units come to be
	return time.Duration(low + (high-low)*fraction(spec.Name, run))
}

// fraction is a number from 0 to 1, evenly spread over names and runs.
func fraction(name unit.Name, run uint64) float64 {
	h := fnv.New64a()
	_, _ = h.Write(strconv.AppendUint([]byte(name), run, 10)) // a hash takes everything
	mixed := h.Sum64() * 0x9E3779B97F4A7C15                   // the golden ratio: spreads the last digits over all bits
	return float64(mixed>>11) / (1 << 53)
}

// history is the times of failures, oldest first. It is never changed once it is made.
type history struct{ at []time.Time }

// with is the history after one more failure, as far as the rule asks for it, and how many of them count.
func (h *history) with(at time.Time, rule unit.GiveUp) (*history, int) {
	if rule.After == 0 || rule.Within == 0 {
		return nil, 0
	}
	var recent []time.Time
	if h != nil {
		recent = slices.Clone(h.at)
	}
	recent = append(recent, at)
	recent = slices.DeleteFunc(recent, func(t time.Time) bool { return at.Sub(t) > rule.Within })
	return &history{recent}, len(recent)
}
