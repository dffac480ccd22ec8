// Package probe asks whether a run does its work: once (Check), until it does (Ready), and for as long as it should
// (Live).
//
// It promises that a question is answered in time, also by a check that is not: Ready and Live return as soon as their
// context ends, and what a check is late with is a failure. At most one try of a check is under way for each of them,
// however long it hangs, so that a hanging service costs one goroutine. A check on the network leaves no connection
// and no goroutine behind, reads a bounded part of the answer, goes by no proxy and follows no redirect.
//
// It does not execute anything: a command is a Check of the caller's. Neither does it know units or runs; the caller
// ends the context when the run is over. That a port accepts a connection is the kernel's word: it says that a program
// listens, not that it will answer.
//
// What PID 1 pays: net/http is linked already, for internal/api; an HTTP check uses its reader of answers and none of
// its client. The system's root certificates are loaded by the first https:// check, and stay.
package probe

import (
	"context"
	"time"

	"pintle/internal/unit"
)

// Check asks once. A nil error is a pass; another is a short clause for people: "127.0.0.1:80 refuses connections". It
// gives up when ctx ends, with the context's cause.
type Check func(ctx context.Context) error

// soon is the first pause of Ready: most programs are ready soon.
const soon = 20 * time.Millisecond

// Ready asks until the check passes, and tells whether it did before ctx ended. Only the times of the rule count here.
// The pause before a try is 20 ms at first and then twice as long each time, up to the rule's period.
//
// A failure is told to report when its words are others than those before. The call comes from Ready's own goroutine.
func Ready(ctx context.Context, check Check, rule unit.Readiness, report func(error)) bool {
	period := orDefault(rule.Period, unit.DefaultReadinessPeriod)
	a := asker{check: check, timeout: orDefault(rule.Timeout, unit.DefaultReadinessTimeout)}
	said := teller{report: report}
	for wait := min(soon, period); pause(ctx, wait); wait = min(2*wait, period) {
		err := a.ask(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		said.tell(err)
	}
	return false
}

// Live asks until the check has failed too often, and returns its last failure; or until ctx ends, and returns nil. It
// pauses for the rule's period before each try. A try that began within the rule's start period cannot fail the run,
// but it can pass.
//
// A failure is told to report when its words are others than those before, and nil when the check passes after it. The
// call comes from Live's own goroutine.
func Live(ctx context.Context, check Check, rule unit.Liveness, report func(error)) error {
	period := orDefault(rule.Period, unit.DefaultLivenessPeriod)
	failures := orDefault(rule.Failures, unit.DefaultLivenessFailures)
	successes := orDefault(rule.Successes, unit.DefaultLivenessSuccesses)
	a := asker{check: check, timeout: orDefault(rule.Timeout, unit.DefaultLivenessTimeout)}
	said := teller{report: report}
	counts := now().Add(rule.StartPeriod) // from then on

	failed, passed := 0, 0
	for pause(ctx, period) {
		early := now().Before(counts)
		err := a.ask(ctx)
		if ctx.Err() != nil {
			return nil
		}
		said.tell(err)
		switch {
		case err == nil:
			if passed++; passed >= successes {
				failed = 0
			}
			continue
		case !early:
			failed++
		}
		passed = 0
		if failed >= failures {
			return err
		}
	}
	return nil
}

// orDefault is v, or the default where v says nothing.
func orDefault[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// teller tells a result when its words change. Before the first one, the check passes.
type teller struct {
	report func(error)
	words  string
}

func (t *teller) tell(err error) {
	words := ""
	if err != nil {
		words = err.Error()
	}
	if words != t.words {
		t.words = words
		t.report(err)
	}
}

// asker tries a check, one try at a time.
type asker struct {
	check   Check
	timeout time.Duration
	// late is set while a try is under way that was given up; its result will be found there, and means nothing.
	late <-chan error
}

// ask tries the check. It returns in time, whatever the check does: first a try that was given up may end, and where
// that takes the whole timeout once more, this one has failed like it.
func (a *asker) ask(ctx context.Context) error {
	tooLong := lateError(a.timeout)
	if a.late != nil {
		ctx, cancel := context.WithTimeoutCause(ctx, a.timeout, tooLong)
		defer cancel()
		select {
		case <-a.late:
			a.late = nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, a.timeout, tooLong)
	defer cancel()
	result := make(chan error, 1) // so that nobody has to be there for it
	go func() { result <- a.check(ctx) }()
	select {
	case err := <-result:
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx) // and not what the check makes of it: "context deadline exceeded"
		}
		return err
	case <-ctx.Done():
		a.late = result
		return context.Cause(ctx)
	}
}

// lateError is the failure of a check that took longer than it may.
type lateError time.Duration

func (e lateError) Error() string { return "took longer than " + span(time.Duration(e)) }
