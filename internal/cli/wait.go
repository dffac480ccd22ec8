package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

const aboutWait = `Wait until units are as --for says:

  up     up, and ready where readiness is declared; a oneshot: done
  ready  the same, in the word of depends_on
  down   no process is left, and none will be started: down, failed, done, disabled, gone
  done   ended by itself, as it should
  gone   removed, or never there

A unit that waits for others is waited for; what it waits for is said on stderr
after 2 s.

Exit codes: 0 it is so; 1 it was not within --timeout; 3 it cannot come to pass
unless somebody acts (failed, disabled, done, gone, a stopping container); 4 there is
no such unit.`

func (a *app) waitCommand() *cobra.Command {
	var (
		what    string
		timeout time.Duration
		labels  []string
	)
	cmd := &cobra.Command{
		Use:               "wait NAME…",
		Short:             "Wait until units are up, ready, down, done or gone",
		Long:              aboutWait,
		Args:              needsNames(&labels),
		ValidArgsFunction: a.completeNames,
	}
	cmd.RunE = run(func(ctx context.Context, args []string) error {
		c, err := newChooser(args, labels)
		if err != nil {
			return err
		}
		eng, err := a.Connect()
		if err != nil {
			return err
		}
		ts, err := c.targets(ctx, eng, "wait for")
		if what == "gone" && engine.KindOf(err) == engine.NotFound {
			return nil // a pattern that matches nothing any more
		}
		if err != nil {
			return err
		}
		p := patience{timeout: timeout}
		return a.requestAll(ctx, eng, ts, p, func(ctx context.Context, eng engine.Engine, w *watch, t target, p patience) outcome {
			return waitFor(ctx, eng, w, t, what, p)
		})
	})
	addChoice(cmd, &what, "for", "", "what to wait for", "up", "ready", "down", "done", "gone")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "longest `wait`; 0 is no limit")
	addLabels(cmd, &labels)
	return cmd
}

// waitFor waits for one unit. It asks for the status after the watch has begun:
// what was removed in between would not be seen otherwise.
func waitFor(ctx context.Context, eng engine.Engine, w *watch, t target, what string, p patience) outcome {
	s, err := eng.Get(ctx, t.name)
	switch {
	case err == nil:
	case engine.KindOf(err) == engine.NotFound && (what == "gone" || t.before.Name != ""):
		s = t.before // it was there a moment ago, or does not need to have been
		s.Name, s.Gone = t.name, true
	default:
		return outcome{err: err}
	}
	s, _, err = await(ctx, w, s, stateEffect(what), p)
	kind, known := errors.AsType[*engine.Error](err)
	switch {
	case err == nil && s.Gone:
		return outcome{said: fmt.Sprintf("%s is gone", t.name)}
	case err == nil:
		return outcome{said: fmt.Sprintf("%s is %s", t.name, s.State)}
	case known && kind.Kind == engine.Conflict:
		return outcome{err: &failure{exitNotRunning, fmt.Errorf("cannot wait for %s to be %s: %w", t.name, what, err)}}
	case known:
		return outcome{err: err}
	case errors.Is(err, errTimeout):
		return outcome{err: fmt.Errorf("cannot wait for %s to be %s any longer: after %s it is %s", t.name, what, unit.Span(p.timeout), isNow(s))}
	}
	return outcome{err: fmt.Errorf("cannot wait for %s to be %s: interrupted while it is %s", t.name, what, isNow(s))}
}

// stateEffect is what wait waits for; aboutWait is its specification.
func stateEffect(what string) effect {
	return func(s engine.Status) (verdict, string) {
		over := ended(s.State) && (s.State != unit.Down || s.Reason == unit.ContainerStopping)
		var is bool
		switch what {
		case "up", "ready":
			is = serves(s) && !s.Gone
		case "down":
			is = s.Gone || ended(s.State)
		case "done":
			is = s.State == unit.Done && !s.Gone
		case "gone":
			is, over = s.Gone, false
		}
		switch {
		case is:
			return reached, ""
		case s.Gone:
			return lost, "it was removed"
		case over:
			return lost, "it is " + isNow(s)
		}
		return pending, ""
	}
}
