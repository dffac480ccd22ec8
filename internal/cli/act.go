package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// patience is how long and how closely an effect is waited for.
type patience struct {
	// noWait is content with the recorded wish.
	noWait bool
	// timeout is the longest wait; 0 is no limit.
	timeout time.Duration
	// settle is how long a unit without declared readiness must have stayed up before it counts as up.
	settle time.Duration
	// waits hears, after a while and from any goroutine, of a unit that waits for something else; nil for nobody.
	waits func(engine.Status)
}

// quiet is how long nothing is said about what a unit waits for. What the container's own stop waits for is said after
// the same time.
const quiet = 2 * time.Second

// errTimeout is the end of a wait that took as long as it might.
var errTimeout = errors.New("timeout")

// await reads the statuses of a unit until judge has decided, beginning with
// first, which answered the request. It returns the latest status and when the
// effect was first seen; err is errTimeout, why the watch ended, or of kind
// Conflict where the effect will not come.
func await(ctx context.Context, w *watch, first engine.Status, judge effect, p patience) (s engine.Status, since time.Time, err error) {
	var limit, settle <-chan time.Time
	if p.timeout > 0 {
		timer := time.NewTimer(p.timeout)
		defer timer.Stop()
		limit = timer.C
	}
	silence := time.NewTimer(quiet)
	defer silence.Stop()
	over, told := false, "" // whether the silence is over, and what was said last
	var run, settled uint64 // the run that is to settle, and the one that has
	for s = first; ; {
		if over && p.waits != nil && s.State == unit.Waiting && told != because(s) {
			told = because(s)
			p.waits(s)
		}
		switch v, why := judge(s); {
		case v == lost:
			return s, since, engine.Errorf(engine.Conflict, "%s", why)
		case v == pending:
			settle = nil
		case settle == nil || run != s.Run:
			run, since = s.Run, now()
			if p.settle <= 0 || s.ReadyBy != "" || s.State == unit.Done {
				return s, since, nil
			}
			settle = time.After(p.settle)
		case settled == s.Run:
			return s, since, nil
		}
		select {
		case next, ok := <-w.boxes[s.Name]:
			if !ok {
				return s, since, w.err
			}
			s = next
		case <-silence.C:
			over = true
		case <-settle:
			settled = run
			select { // news of the same moment is judged first
			case next, ok := <-w.boxes[s.Name]:
				if ok {
					s = next
				}
			default:
			}
		case <-limit:
			return s, since, errTimeout
		case <-ctx.Done():
			return s, since, ctx.Err()
		}
	}
}

// outcome is what became of one unit.
type outcome struct {
	// said is for stdout; "" says nothing.
	said string
	err  error
	// log is what a run that died wrote last.
	log []string
}

// each does f to all targets side by side, and says of each what became of it
// as soon as that is known. The exit code is the one that all failures agree on, or 1.
func (a *app) each(ts []target, f func(target) outcome) error {
	outcomes := make(chan outcome)
	for _, t := range ts {
		go func() { outcomes <- f(t) }()
	}
	code := exitDone
	for range ts {
		o := <-outcomes
		if o.said != "" {
			a.sayf("%s", o.said)
		}
		if o.err == nil {
			continue
		}
		a.complain(o.err)
		for _, line := range o.log {
			fmt.Fprintln(a.Stderr, "  | "+clean(line))
		}
		switch c := failed(o.err).code; code {
		case exitDone:
			code = c
		case c:
		default:
			code = exitFailed
		}
	}
	if code == exitDone {
		return nil
	}
	return &failure{code: code}
}

// unfinished is the error of a verb whose effect did not come, from await's.
func unfinished(verb string, s engine.Status, p patience, err error) error {
	_, known := errors.AsType[*engine.Error](err)
	switch {
	case errors.Is(err, errTimeout):
		err = fmt.Errorf("cannot %s %s: after %s it is still %s; the wish stays recorded", verb, s.Name, unit.Span(p.timeout), isNow(s))
	case known:
		err = &failure{codeOf(err), fmt.Errorf("cannot %s %s: %w", verb, s.Name, err)}
	default:
		err = fmt.Errorf("cannot wait for %s: interrupted while it is %s; the wish stays recorded", s.Name, isNow(s))
	}
	return err
}

// lastLines is how much of a log stands under the news of a death.
const lastLines = 5

// logOf is what a run wrote last; nothing where that may not be read.
func logOf(ctx context.Context, eng engine.Engine, s engine.Status) []string {
	if s.Last == nil {
		return nil
	}
	var lines []string
	for l, err := range eng.Logs(ctx, engine.LogRequest{Name: s.Name, Tail: lastLines}) {
		if err != nil {
			break
		}
		if l.Run == s.Last.Run {
			lines = append(lines, l.Text)
		}
	}
	return lines
}
