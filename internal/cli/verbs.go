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

// The longest waits, unless --timeout says otherwise. A restart is a stop and a start.
const (
	startTimeout   = time.Minute
	stopTimeout    = time.Minute
	restartTimeout = startTimeout + stopTimeout
	settleTime     = time.Second
)

const aboutStart = `Ask for units to be up, and wait until they are.

A unit with declared readiness is up once it is ready. One without must also
have stayed up for the time of --settle, so that one that dies at once is
reported: how it ended, what it wrote last, exit code 1. The first end counts,
also where pintle will try again. A unit that is up already stays as it is. A
oneshot is there once it has done its work.

A unit that depends on others may have to wait for them first. What it waits for
is said on stderr after 2 s; the wait goes on until --timeout.`

func (a *app) startCommand() *cobra.Command {
	return a.verbCommand(&cobra.Command{Use: "start NAME…", Short: "Start units, and say whether they came up", Long: aboutStart},
		patience{timeout: startTimeout, settle: settleTime}, a.start)
}

const aboutStop = `Ask for units to be down, and wait until no process of them is left.

A unit that does not end within its own grace period is killed, all of it; that
is said, and is no failure.`

func (a *app) stopCommand() *cobra.Command {
	return a.verbCommand(&cobra.Command{Use: "stop NAME…", Short: "Stop units, and say when nothing of them is left", Long: aboutStop},
		patience{timeout: stopTimeout}, a.stop)
}

const aboutRestart = `Stop units that are up, start them again, and wait until a new run is up, as with
start. A unit that is down is started.`

func (a *app) restartCommand() *cobra.Command {
	return a.verbCommand(&cobra.Command{Use: "restart NAME…", Short: "Restart units, and say whether they came up", Long: aboutRestart},
		patience{timeout: restartTimeout, settle: settleTime}, a.restart)
}

const aboutRemove = `Stop instances and forget them: wait until their last process is gone, and their
names with it.`

func (a *app) removeCommand() *cobra.Command {
	return a.verbCommand(&cobra.Command{Use: "remove NAME…", Aliases: []string{"unregister"}, Short: "Stop instances and forget them", Long: aboutRemove},
		patience{timeout: stopTimeout}, a.remove)
}

// request is one verb for one unit: it asks, waits as p says, and tells.
type request func(ctx context.Context, eng engine.Engine, w *watch, t target, p patience) outcome

// verbCommand makes cmd a verb with its flags. p holds their defaults; one
// without settle has no --settle.
func (a *app) verbCommand(cmd *cobra.Command, p patience, f request) *cobra.Command {
	var labels []string
	cmd.ValidArgsFunction = a.completeNames
	cmd.RunE = run(func(ctx context.Context, args []string) error {
		c, err := newChooser(args, labels)
		if err != nil {
			return err
		}
		eng, err := a.Connect()
		if err != nil {
			return err
		}
		ts, err := c.targets(ctx, eng, cmd.Name())
		if err != nil {
			return err
		}
		return a.requestAll(ctx, eng, ts, p, f)
	})
	cmd.Args = needsNames(&labels)
	addLabels(cmd, &labels)
	addPatience(cmd, &p)
	return cmd
}

// requestAll makes the request for all targets side by side.
func (a *app) requestAll(ctx context.Context, eng engine.Engine, ts []target, p patience, f request) error {
	p.waits = func(s engine.Status) { a.complain(fmt.Errorf("%s is %s", s.Name, isNow(s))) }
	var w *watch
	if !p.noWait {
		var err error
		if w, err = openWatch(ctx, eng, ts); err != nil {
			return err
		}
		defer w.close()
	}
	return a.each(ts, func(t target) outcome { return f(ctx, eng, w, t, p) })
}

// needsNames refuses a command line that chooses nothing.
func needsNames(labels *[]string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args)+len(*labels) == 0 {
			return errors.New("it needs a NAME")
		}
		return nil
	}
}

func addPatience(cmd *cobra.Command, p *patience) {
	cmd.Flags().BoolVar(&p.noWait, "no-wait", false, "return once the wish is recorded")
	cmd.Flags().DurationVar(&p.timeout, "timeout", p.timeout, "longest `wait`; 0 is no limit")
	if p.settle > 0 {
		cmd.Flags().DurationVar(&p.settle, "settle", p.settle, "how long a unit without readiness must stay up, as a `duration`")
	}
}

func (a *app) start(ctx context.Context, eng engine.Engine, w *watch, t target, p patience) outcome {
	began := now()
	s, err := eng.Start(ctx, t.name)
	switch {
	case err != nil:
		return outcome{err: err}
	case sameUp(t.before, s):
		return outcome{said: fmt.Sprintf("%s is already up (%s)", t.name, running(s))}
	case p.noWait:
		return outcome{said: fmt.Sprintf("%s is asked to be up", t.name)}
	}
	return up(ctx, eng, w, t.before, s, firstRun(t.before, s, false), "start", began, p)
}

func (a *app) restart(ctx context.Context, eng engine.Engine, w *watch, t target, p patience) outcome {
	began := now()
	s, err := eng.Restart(ctx, t.name)
	switch {
	case err != nil:
		return outcome{err: err}
	case p.noWait:
		return outcome{said: fmt.Sprintf("%s is asked to restart", t.name)}
	}
	return up(ctx, eng, w, t.before, s, firstRun(t.before, s, true), "restart", began, p)
}

// up waits for a run counted from first to be up, and says so. before and asked are the statuses from before the
// request and the one that answered it.
func up(ctx context.Context, eng engine.Engine, w *watch, before, asked engine.Status, first uint64, verb string, began time.Time, p patience) outcome {
	s, since, err := await(ctx, w, asked, upEffect(asked.Intent.Generation, first, before.Since), p)
	if err == nil {
		switch {
		case elsewhere(s):
			asked := map[bool]string{false: "up", true: "restarted"}[verb == "restart"]
			return outcome{said: fmt.Sprintf("%s is to be %s; container %s has it", s.Name, asked, clean(s.Holder.Container))}
		case s.State == unit.Done:
			return outcome{said: fmt.Sprintf("%s is done after %s (run %d)", s.Name, unit.Span(since.Sub(began)), s.Run)}
		}
		said := fmt.Sprintf("%s is up after %s (%s)", s.Name, unit.Span(since.Sub(began)), running(s))
		if l := s.Last; verb == "restart" && l != nil && l.Run+1 == s.Run && l.Killed {
			said += "; its last run had to be killed"
		}
		return outcome{said: said}
	}
	o := outcome{err: unfinished(verb, s, p, err)}
	if s.Last != nil && s.Last.Run >= first && !s.Last.Asked {
		o.log = logOf(ctx, eng, s)
	}
	return o
}

func (a *app) stop(ctx context.Context, eng engine.Engine, w *watch, t target, p patience) outcome {
	began := now()
	s, err := eng.Stop(ctx, t.name)
	switch {
	case err != nil:
		return outcome{err: err}
	case t.before.State == unit.Down && s.State == unit.Down:
		return outcome{said: fmt.Sprintf("%s is already down", t.name)}
	case p.noWait:
		return outcome{said: fmt.Sprintf("%s is asked to be down", t.name)}
	}
	run := s.Run
	s, since, err := await(ctx, w, s, downEffect(s.Intent.Generation), p)
	if err != nil {
		return outcome{err: unfinished("stop", s, p, err)}
	}
	if h := t.before.Holder; h.Fence > 0 {
		return outcome{said: fmt.Sprintf("%s is asked to be down; container %s, which has it, ends it within some seconds", s.Name, clean(h.Container))}
	}
	said := fmt.Sprintf("%s is %s after %s", s.Name, s.State, unit.Span(since.Sub(began)))
	if l := s.Last; l != nil && l.Run == run && l.Killed {
		said += "; it had to be killed, it did not end within its grace period"
	}
	return outcome{said: said}
}

func (a *app) remove(ctx context.Context, eng engine.Engine, w *watch, t target, p patience) outcome {
	s, err := eng.Remove(ctx, t.name)
	if err != nil {
		return outcome{err: err}
	}
	still := ""
	if s.Origin != "" {
		still = "; it is known still, as down, because it is " + clean(s.Origin)
	}
	if p.noWait {
		return outcome{said: fmt.Sprintf("%s is asked to be removed%s", t.name, still)}
	}
	if s, _, err = await(ctx, w, s, goneEffect(s.Intent.Generation), p); err != nil {
		return outcome{err: unfinished("remove", s, p, err)}
	}
	return outcome{said: fmt.Sprintf("%s is removed%s", t.name, still)}
}

// sameUp tells whether the run that was up before the request is up after it.
func sameUp(before, s engine.Status) bool {
	return before.State == unit.Up && s.State == unit.Up && before.Run == s.Run
}

// running names the current run of a unit.
func running(s engine.Status) string {
	return fmt.Sprintf("pid %d, run %d", s.PID, s.Run)
}
