package lifecycle

import (
	"fmt"
	"testing"
	"time"

	"pintle/internal/unit"
)

// TestDecide: every rule, in the order in which the rules count.
func TestDecide(t *testing.T) {
	t.Parallel()
	const again, fail, done = unit.VerdictRestart, unit.VerdictFail, unit.VerdictDone
	rules := func(s *unit.Spec) {
		s.ExitRules = unit.ExitRules{{Code: 0}: again, {Code: 75}: again, {Code: 78}: fail, {Signal: unit.SIGTERM}: done}
	}
	policy := func(p unit.RestartPolicy) func(*unit.Spec) { return func(s *unit.Spec) { s.Restart = p } }
	giveUp := func(after int, within time.Duration) func(*unit.Spec) {
		return func(s *unit.Spec) { s.GiveUp = unit.GiveUp{After: after, Within: within} }
	}
	never, onFailure := policy(unit.RestartNever), policy(unit.RestartOnFailure)
	code, killed := func(n int) unit.Exit { return unit.Exit{Code: n} }, unit.Exit{Signal: unit.SIGKILL}
	type list []func(*unit.Spec)
	for _, c := range []struct {
		name    string
		change  list
		end     End
		verdict unit.Verdict
		why     unit.Reason
	}{
		// Why it ended counts before how.
		{"hung, and ended well", list{onFailure}, End{Cause: unit.Hung, WasReady: true}, again, unit.Hung},
		{"hung, and a rule says done", list{rules}, End{Cause: unit.Hung, Exit: unit.Exit{Signal: unit.SIGTERM}}, again, unit.Hung},
		{"hung, and a rule says fail", list{rules}, End{Cause: unit.Hung, Exit: code(78)}, again, unit.Hung},
		{"hung, and is never restarted", list{never, rules}, End{Cause: unit.Hung, Exit: code(75)}, fail, unit.Hung},
		{"timed out, and ended well", list{onFailure}, End{Cause: unit.TimedOut}, again, unit.TimedOut},
		{"timed out, and is never restarted", list{never}, End{Cause: unit.TimedOut}, fail, unit.TimedOut},
		{"timed out, and a rule says done", list{rules}, End{Cause: unit.TimedOut, Exit: unit.Exit{Signal: unit.SIGTERM}}, again, unit.TimedOut},

		// What could not be executed takes the same path as a crash.
		{"not found", nil, End{Cause: unit.CannotExecute, Exit: code(127)}, again, unit.CannotExecute},
		{"not found, on-failure", list{onFailure}, End{Cause: unit.CannotExecute, Exit: code(127)}, again, unit.CannotExecute},
		{"not found, never", list{never}, End{Cause: unit.CannotExecute, Exit: code(127)}, fail, unit.CannotExecute},
		{"not executable, and a rule says fail", list{func(s *unit.Spec) { s.ExitRules = unit.ExitRules{{Code: 126}: fail} }},
			End{Cause: unit.CannotExecute, Exit: code(126)}, fail, unit.CannotExecute},
		{"not found too often", list{giveUp(2, 0)}, End{Cause: unit.CannotExecute, Exit: code(127), Failures: 2}, fail, unit.GaveUp},

		// exit_codes come before the restart policy, and before what a success means that came too early.
		{"a rule says restart", list{never, rules}, End{Exit: code(75)}, again, unit.ExitRule},
		{"a rule says fail", list{rules}, End{Exit: code(78)}, fail, unit.ExitRule},
		{"a rule says done", list{rules}, End{Exit: unit.Exit{Signal: unit.SIGTERM}}, done, unit.ExitRule},
		{"a rule for 0 comes before readiness", list{never, rules, withReadiness}, End{}, again, unit.ExitRule},
		{"a rule, after it said that it stops", list{rules}, End{Cause: unit.EndsItself, Exit: code(78)}, fail, unit.ExitRule},

		// A success before it was ready is a failure.
		{"ended unready", list{onFailure, withReadiness}, End{}, again, unit.EndedUnready},
		{"ended unready, never", list{never, withReadiness}, End{}, fail, unit.EndedUnready},
		{"ended unready, always", list{withReadiness}, End{}, again, unit.EndedUnready},
		{"ended once it was ready", list{onFailure, withReadiness}, End{WasReady: true}, done, unit.RestartRule},
		{"ended, and readiness is not declared", list{onFailure}, End{}, done, unit.RestartRule},
		{"failed unready", list{onFailure, withReadiness}, End{Exit: code(1)}, again, unit.Crashed},
		{"said that it stops before it was ready", list{onFailure, withReadiness}, End{Cause: unit.EndsItself}, again, unit.EndedUnready},
		{"said that it stops", list{onFailure}, End{Cause: unit.EndsItself, WasReady: true}, done, unit.RestartRule},

		// Policies × exits.
		{"always, 0", nil, End{WasReady: true}, again, unit.Crashed},
		{"always, 1", nil, End{Exit: code(1)}, again, unit.Crashed},
		{"always, killed", nil, End{Exit: killed}, again, unit.Crashed},
		{"on-failure, 0", list{onFailure}, End{WasReady: true}, done, unit.RestartRule},
		{"on-failure, 1", list{onFailure}, End{Exit: code(1)}, again, unit.Crashed},
		{"on-failure, killed", list{onFailure}, End{Exit: killed}, again, unit.Crashed},
		{"never, 0", list{never}, End{WasReady: true}, done, unit.RestartRule},
		{"never, 1", list{never}, End{Exit: code(1)}, fail, unit.RestartRule},
		{"never, killed", list{never}, End{Exit: killed}, fail, unit.RestartRule},

		// give_up.
		{"the last but one", list{giveUp(3, 0)}, End{Exit: code(1), Failures: 2, Recent: 9}, again, unit.Crashed},
		{"the last", list{giveUp(3, 0)}, End{Exit: code(1), Failures: 3}, fail, unit.GaveUp},
		{"beyond the last", list{giveUp(3, 0)}, End{Exit: code(1), Failures: 4}, fail, unit.GaveUp},
		{"the last within the time", list{giveUp(3, time.Minute)}, End{Exit: code(1), Failures: 1, Recent: 3}, fail, unit.GaveUp},
		{"many, but not within the time", list{giveUp(3, time.Minute)}, End{Exit: code(1), Failures: 9, Recent: 2}, again, unit.Crashed},
		{"give_up does not count what is done", list{onFailure, giveUp(1, 0)}, End{WasReady: true, Failures: 5}, done, unit.RestartRule},
		{"give_up after one", list{giveUp(1, 0)}, End{Exit: code(1), Failures: 1}, fail, unit.GaveUp},
		{"hung too often", list{giveUp(2, 0)}, End{Cause: unit.Hung, Failures: 2}, fail, unit.GaveUp},
		{"a rule says restart too often", list{rules, giveUp(2, 0)}, End{Exit: code(75), Failures: 2}, fail, unit.GaveUp},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.end.Cause == "" {
				c.end.Cause = unit.Crashed
			}
			if c.end.Failures == 0 {
				c.end.Failures = 1
			}
			spec := service(c.change...)
			d := Decide(spec, c.end)
			if d.Verdict != c.verdict || d.Reason != c.why {
				t.Errorf("%s because %s, want %s because %s", d.Verdict, d.Reason, c.verdict, c.why)
			}
			want := time.Duration(0)
			if d.Verdict == again {
				want = delay(spec, c.end.Failures, 0)
			}
			if d.Delay != want {
				t.Errorf("it waits %s, want %s", d.Delay, want)
			}
		})
	}
}

// TestDelay: nothing for the first failure, then from Initial by Factor up to Max, each with its jitter and never beyond Max.
func TestDelay(t *testing.T) {
	t.Parallel()
	for _, rule := range []unit.BackoffRule{
		{}, // the default
		unit.DefaultBackoff,
		{Initial: time.Second, Max: time.Minute, Factor: 1, Jitter: 0},
		{Initial: time.Second, Max: time.Second, Factor: 3, Jitter: 0.5},
		{Initial: 100 * time.Millisecond, Max: time.Hour, Factor: 1.5, Jitter: 1},
	} {
		spec := service(func(s *unit.Spec) { s.Backoff = rule })
		if rule == (unit.BackoffRule{}) {
			rule = unit.DefaultBackoff
		}
		even := float64(rule.Initial)
		for n := -1; n <= 1; n++ {
			if d := delay(spec, n, 7); d != 0 {
				t.Errorf("%+v: failure %d waits %s", rule, n, d)
			}
		}
		for n := 2; n < 60; n++ {
			low, high := time.Duration(even*(1-rule.Jitter)), min(time.Duration(even*(1+rule.Jitter))+1, rule.Max)
			for run := range uint64(50) {
				d := delay(spec, n, run)
				if d < low || d > high {
					t.Fatalf("%+v: failure %d of run %d waits %s, want from %s to %s", rule, n, run, d, low, high)
				}
				if again := delay(spec, n, run); again != d {
					t.Fatalf("%+v: failure %d of run %d waits %s, then %s", rule, n, run, d, again)
				}
			}
			even = min(even*rule.Factor, float64(rule.Max))
		}
	}
	for _, n := range []int{1000, 5000, 1 << 40} { // where the factor's power is beyond every number
		if d := delay(service(), n, 1); d < 27*time.Second || d > 30*time.Second {
			t.Errorf("failure %d waits %s", n, d)
		}
		none := service(func(s *unit.Spec) { s.Backoff = unit.BackoffRule{Max: time.Minute, Factor: 2} })
		if d := delay(none, n, 1); d != 0 {
			t.Errorf("without a first delay, failure %d waits %s", n, d)
		}
	}
}

// TestJitterSpreads: units that failed together do not come back together, nor does one unit always at the same distance.
func TestJitterSpreads(t *testing.T) {
	t.Parallel()
	spread := func(what string, at func(i int) float64) {
		const parts, each = 10, 200
		var count [parts]int
		for i := range parts * each {
			f := at(i)
			if f < 0 || f >= 1 {
				t.Fatalf("%s %d: %v is not from 0 to 1", what, i, f)
			}
			count[int(f*parts)]++
		}
		for i, n := range count {
			if n < each/2 || n > each*2 {
				t.Errorf("%s: %d of %d in part %d of %d: %v", what, n, parts*each, i, parts, count)
			}
		}
	}
	spread("delay at the most, by run", func(i int) float64 {
		return float64(30*time.Second-delay(service(), 20, uint64(i))) / float64(3*time.Second+1)
	})
	spread("run", func(i int) float64 { return fraction("gateway@coder", uint64(i)) })
	spread("name", func(i int) float64 { return fraction(unit.Name(fmt.Sprintf("gateway@%d", i)), 3) })
}
