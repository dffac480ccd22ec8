package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"pintle/internal/unit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("answered 503")

// script is a check whose tries end one after the other as listed, and then always as the last; and when they began.
type script struct {
	results []error
	began   []time.Duration
	start   time.Time
}

func play(results ...error) *script { return &script{results: results, start: time.Now()} }

func (s *script) check(context.Context) error {
	n := len(s.began)
	s.began = append(s.began, time.Since(s.start))
	return s.results[min(n, len(s.results)-1)]
}

// told collects reports, each as its words, "" for none.
func told(all *[]string) func(error) {
	return func(err error) {
		if err == nil {
			err = errors.New("")
		}
		*all = append(*all, err.Error())
	}
}

func silent(error) {}

// TestReadyAsksSoonAndThenLess: at 20 ms, and then after pauses that double up to the period.
func TestReadyAsksSoonAndThenLess(t *testing.T) {
	const ms = time.Millisecond
	for name, test := range map[string]struct {
		rule unit.Readiness
		want []time.Duration
	}{
		"default":     {unit.Readiness{}, []time.Duration{20 * ms, 60 * ms, 140 * ms, 300 * ms, 620 * ms, 1120 * ms, 1620 * ms}},
		"100 ms":      {unit.Readiness{Period: 100 * ms}, []time.Duration{20 * ms, 60 * ms, 140 * ms, 240 * ms, 340 * ms, 440 * ms, 540 * ms}},
		"5 ms":        {unit.Readiness{Period: 5 * ms}, []time.Duration{5 * ms, 10 * ms, 15 * ms, 20 * ms, 25 * ms, 30 * ms, 35 * ms}},
		"it is never": {unit.Readiness{Period: -1}, []time.Duration{20 * ms, 60 * ms, 140 * ms, 300 * ms, 620 * ms, 1120 * ms, 1620 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := play(errDown, errDown, errDown, errDown, errDown, errDown, nil)
				if !Ready(t.Context(), s.check, test.rule, silent) {
					t.Error("it is not ready")
				}
				if !slices.Equal(s.began, test.want) {
					t.Errorf("it was asked at %v, want %v", s.began, test.want)
				}
			})
		})
	}
}

// TestReadyTellsNews: what is wrong is told once, and again when it is something else.
func TestReadyTellsNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []string
		other := errors.New("127.0.0.1:80 refuses connections")
		s := play(other, errors.New(other.Error()), errDown, errDown, other, nil)
		if !Ready(t.Context(), s.check, unit.Readiness{}, told(&all)) {
			t.Error("it is not ready")
		}
		if want := []string{other.Error(), errDown.Error(), other.Error()}; !slices.Equal(all, want) {
			t.Errorf("told %q, want %q", all, want)
		}
	})
}

// TestReadyEndsWithItsContext: between two tries, and within one, which it says nothing about.
func TestReadyEndsWithItsContext(t *testing.T) {
	for name, check := range map[string]func(ctx context.Context, test <-chan struct{}) error{
		"between":  func(context.Context, <-chan struct{}) error { return errDown },
		"within":   func(ctx context.Context, _ <-chan struct{}) error { <-ctx.Done(); return ctx.Err() },
		"it hangs": func(_ context.Context, test <-chan struct{}) error { <-test; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				over := make(chan struct{})
				defer close(over)
				check := func(ctx context.Context) error { return check(ctx, over) }
				ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
				defer cancel()
				start, words := time.Now(), []string{}
				if Ready(ctx, check, unit.Readiness{Timeout: 10 * time.Second}, told(&words)) {
					t.Error("it is ready")
				}
				if d := time.Since(start); d != 1500*time.Millisecond {
					t.Errorf("it took %v", d)
				}
				if name != "between" && len(words) > 0 {
					t.Errorf("told %q", words)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s := play(nil)
		if Ready(ctx, s.check, unit.Readiness{}, silent) || len(s.began) > 0 {
			t.Errorf("it was asked %d times after the end", len(s.began))
		}
	})
}

// TestTryIsBounded: a try may take as long as the timeout, and then has failed in these words, whatever the check says.
func TestTryIsBounded(t *testing.T) {
	for timeout, words := range map[time.Duration]string{
		0:                       "took longer than 1 s",
		250 * time.Millisecond:  "took longer than 0.2 s",
		1500 * time.Millisecond: "took longer than 1.5 s",
		time.Minute:             "took longer than 1 min",
	} {
		synctest.Test(t, func(t *testing.T) {
			var all []string
			tries := 0
			check := func(ctx context.Context) error {
				if tries++; tries < 4 {
					<-ctx.Done()
					return fmt.Errorf("gave up: %w", ctx.Err())
				}
				return nil
			}
			if !Ready(t.Context(), check, unit.Readiness{Timeout: timeout}, told(&all)) {
				t.Error("it is not ready")
			}
			if !slices.Equal(all, []string{words}) {
				t.Errorf("%v: told %q, want %q", timeout, all, words)
			}
		})
	}
}

// TestHangingCheckDoesNotPileUp: one that does not heed its context is under way once, and is late each time that it
// is asked for. What it ends with when nobody waits for it any more means nothing.
func TestHangingCheckDoesNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		underWay, most, tries := 0, 0, 0
		check := func(context.Context) error {
			tries++
			underWay++
			most = max(most, underWay)
			defer func() { underWay-- }()
			switch tries {
			case 1:
				time.Sleep(time.Minute)
				return nil // too late to be a pass
			case 2:
				return errDown
			}
			return nil
		}
		var all []string
		start := time.Now()
		if !Ready(t.Context(), check, unit.Readiness{}, told(&all)) {
			t.Error("it is not ready")
		}
		if d := time.Since(start); d < time.Minute || d > 62*time.Second {
			t.Errorf("it took %v", d)
		}
		if want := []string{"took longer than 1 s", errDown.Error()}; !slices.Equal(all, want) || most != 1 || tries != 3 {
			t.Errorf("told %q in %d tries, up to %d at a time; want %q in 3, one at a time", all, tries, most, want)
		}
	})
}

// TestHangingCheckFailsLiveness: a check that never ends does not keep a run alive.
func TestHangingCheckFailsLiveness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, tries := make(chan struct{}), atomic.Int32{}
		check := func(context.Context) error { tries.Add(1); <-release; return nil }
		start := time.Now()
		err := Live(t.Context(), check, unit.Liveness{}, silent)
		if err == nil || err.Error() != "took longer than 1 s" || tries.Load() != 1 {
			t.Errorf("it ended with %v after %d tries", err, tries.Load())
		}
		if d := time.Since(start); d != 33*time.Second {
			t.Errorf("it took %v, want three times 10 s and 1 s", d)
		}
		close(release)
	})
}

// TestLive: failures in a row end it, and what counts as in a row is the rule's.
func TestLive(t *testing.T) {
	last := errors.New("exited with code 1: no database")
	for name, test := range map[string]struct {
		rule    unit.Liveness
		results []error
		want    time.Duration // when it ends
		words   []string
	}{
		"three by default": {
			unit.Liveness{}, []error{errDown, errDown, last}, 30 * time.Second,
			[]string{errDown.Error(), last.Error()}},
		"a pass between them": {
			unit.Liveness{}, []error{errDown, errDown, nil, errDown, errDown, nil, nil, errDown, errDown, last}, 100 * time.Second,
			[]string{errDown.Error(), "", errDown.Error(), "", errDown.Error(), last.Error()}},
		"one is enough": {
			unit.Liveness{Failures: 1, Period: time.Second}, []error{nil, nil, last}, 3 * time.Second,
			[]string{last.Error()}},
		"one pass is not enough": {
			unit.Liveness{Successes: 2, Period: time.Second}, []error{errDown, nil, errDown, nil, last}, 5 * time.Second,
			[]string{errDown.Error(), "", errDown.Error(), "", last.Error()}},
		"two passes are": {
			unit.Liveness{Successes: 2, Period: time.Second}, []error{errDown, errDown, nil, nil, errDown, errDown, last}, 7 * time.Second,
			[]string{errDown.Error(), "", errDown.Error(), last.Error()}},
		"not in the start period": {
			unit.Liveness{StartPeriod: 25 * time.Second}, []error{errDown, errDown, errDown, errDown, last}, 50 * time.Second,
			[]string{errDown.Error(), last.Error()}},
		"a pass in the start period does not end it": {
			unit.Liveness{StartPeriod: 35 * time.Second, Failures: 1}, []error{nil, errDown, errDown, last}, 40 * time.Second,
			[]string{errDown.Error(), last.Error()}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var words []string
				s := play(test.results...)
				if err := Live(t.Context(), s.check, test.rule, told(&words)); err != last {
					t.Errorf("it ended with %v, want %v", err, last)
				}
				if end := s.began[len(s.began)-1]; end != test.want {
					t.Errorf("it ended at %v, want %v", end, test.want)
				}
				if !slices.Equal(words, test.words) {
					t.Errorf("told %q, want %q", words, test.words)
				}
			})
		})
	}
}

// TestStartPeriodIsOfTries: a try that begins in the start period does not count, though it ends after it.
func TestStartPeriodIsOfTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		check := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		start := time.Now()
		rule := unit.Liveness{Period: 10 * time.Second, Timeout: 5 * time.Second, StartPeriod: 12 * time.Second, Failures: 1}
		if err := Live(t.Context(), check, rule, silent); err == nil || time.Since(start) != 30*time.Second {
			t.Errorf("it ended with %v after %v, want the second try's end", err, time.Since(start))
		}
	})
}

// TestLiveEndsWithItsContext: and that is no failure, neither between two tries nor within one.
func TestLiveEndsWithItsContext(t *testing.T) {
	for name, end := range map[string]time.Duration{"between": 15 * time.Second, "within": 10500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), end)
			defer cancel()
			check := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			start := time.Now()
			if err := Live(ctx, check, unit.Liveness{Failures: 2}, silent); err != nil || time.Since(start) != end {
				t.Errorf("%s: it ended with %v after %v", name, err, time.Since(start))
			}
		})
	}
}

// TestLiveHoldsTheRule: whatever the results, Live ends at the first try at which the rule's number of failures has
// come together without the rule's number of passes in a row among them.
func TestLiveHoldsTheRule(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		results := rapid.SliceOfN(rapid.Bool(), 1, 40).Draw(r, "passes")
		rule := unit.Liveness{
			Period:    time.Second,
			Failures:  rapid.IntRange(1, 5).Draw(r, "failures"),
			Successes: rapid.IntRange(1, 4).Draw(r, "successes"),
		}
		want := len(results) + 1 // not at any of these
		for i := range results {
			from := 0 // the first try after the last row of passes
			for j := rule.Successes; j <= i+1; j++ {
				if !slices.Contains(results[j-rule.Successes:j], false) {
					from = j
				}
			}
			failed := 0
			for _, pass := range results[from : i+1] {
				if !pass {
					failed++
				}
			}
			if failed >= rule.Failures {
				want = i + 1
				break
			}
		}
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(len(results))*time.Second+time.Millisecond)
			defer cancel()
			tries := 0
			err := Live(ctx, func(context.Context) error {
				if tries++; results[tries-1] {
					return nil
				}
				return errDown
			}, rule, silent)
			if want <= len(results) && (err != errDown || tries != want) || want > len(results) && (err != nil || tries != len(results)) {
				t.Errorf("%+v: %v ended with %v after %d tries, want %d", rule, results, err, tries, want)
			}
		})
	})
}
