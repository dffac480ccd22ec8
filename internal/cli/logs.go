package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

const aboutLogs = `Show what units wrote: stdout and stderr in the order in which it was written, both
on stdout here. Of one unit it is the bare text; of several, merged by time,
"NAME | text". Where another run of a unit begins, a line of its own says so:
"-- NAME: run 13 --".

-f goes on with what comes, across restarts, until it is interrupted. A pattern or a
label is for units that appear later, too, which are shown from their first line.

--since and --until take how long ago it is (10m, 2h30m, 3d) or a time (09:30,
"2026-11-23 09:30:00", today, yesterday, RFC 3339), in the local zone where it names
none. --run takes a run's number, or 0 for the newest, -1 for the one before it.

-o json is an object a line, with stream, run, time, and a cursor of that unit. -o raw
is exactly what the units themselves wrote, on stdout and stderr as they did.
--show-cursor tells on stderr, at the end, how far all of them were read; --cursor goes
on after that, and begins with units that are not in it as --tail says.

On a terminal, control sequences are taken out of text; into a pipe or a file it
goes as it is.`

// logsFlags are the flags of logs.
type logsFlags struct {
	follow       bool
	tail         int
	since, until time.Time
	run          *int
	after        cursor
	showCursor   bool
	times        bool
	format       string
	labels       []string
}

func (a *app) logsCommand() *cobra.Command {
	f := logsFlags{after: cursor{}}
	cmd := &cobra.Command{
		Use:               "logs NAME…",
		Short:             "Show what units wrote",
		Long:              aboutLogs,
		Args:              needsNames(&f.labels),
		ValidArgsFunction: a.completeNames,
		RunE:              run(func(ctx context.Context, args []string) error { return a.logs(ctx, args, &f) }),
	}
	flags := cmd.Flags()
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on with what comes")
	flags.IntVarP(&f.tail, "tail", "n", -1, "begin with the last `N` lines of each unit; -1 is all that are kept")
	flags.Var(moment{&f.since}, "since", "only lines of this `time` or later")
	flags.Var(moment{&f.until}, "until", "only lines of this `time` or earlier")
	flags.Var(runFlag{&f.run}, "run", "only lines of run `N`; 0 is the newest, -1 the one before it")
	flags.Var(cursorFlag{f.after}, "cursor", "go on after this `cursor`; several add up")
	flags.BoolVar(&f.showCursor, "show-cursor", false, "tell at the end how far it was read, on stderr")
	flags.BoolVarP(&f.times, "timestamps", "t", false, "begin each line of text with its time, in UTC")
	addChoice(cmd, &f.format, "output", "o", "how to write it", "text", "json", "raw")
	addLabels(cmd, &f.labels)
	for flag, words := range map[string][]string{
		"since": {"10m", "1h", "1d", "today", "yesterday"}, "until": {"10m", "1h", "1d", "today", "yesterday"},
		"run": {"0", "-1", "-2"}, "tail": {"10", "100", "1000"}, "cursor": nil,
	} {
		// The only errors are an unknown flag and a second registration.
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveKeepOrder))
	}
	return cmd
}

// runFlag is a run's number: nil where it was not given.
type runFlag struct{ run **int }

func (r runFlag) String() string { return "" }
func (r runFlag) Type() string   { return "int" }

func (r runFlag) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("it is the number of a run, or 0, -1, …, counted from the newest")
	}
	*r.run = &n
	return nil
}

// cursorFlag is what the cursors of the command line come to.
type cursorFlag struct{ c cursor }

func (f cursorFlag) String() string { return "" }
func (f cursorFlag) Type() string   { return "cursor" }

func (f cursorFlag) Set(text string) error {
	more, err := parseCursor(text)
	for name, seq := range more {
		f.c[name] = max(f.c[name], seq)
	}
	return err
}

func (a *app) logs(ctx context.Context, args []string, f *logsFlags) error {
	if f.times && f.format == "raw" {
		return engine.Errorf(engine.Invalid, "cannot show the logs: nothing is added to -o raw, so --timestamps does not go with it")
	}
	if !f.since.IsZero() && !f.until.IsZero() && f.until.Before(f.since) {
		return engine.Errorf(engine.Invalid, "cannot show the logs: --until is before --since")
	}
	c, err := newChooser(args, f.labels)
	if err != nil {
		return err
	}
	eng, err := a.Connect()
	if err != nil {
		return err
	}
	r := &logReader{app: a, eng: eng, chooser: c, flags: f, print: a.newLinePrinter(f), read: f.after, runs: map[unit.Name]int{}}
	names, err := r.targets(ctx)
	if err != nil {
		return err
	}
	err = r.all(ctx, names)
	r.print.flush()
	if err == nil && ctx.Err() == nil && a.out.err == nil && f.wantsOneRun() && len(r.runs) == 0 {
		err = engine.Errorf(engine.NotFound, "cannot show run %d of %s: nothing of it is kept", *f.run, c)
	}
	if f.showCursor && a.out.err == nil && (err == nil || len(r.read) > 0) {
		fmt.Fprintf(a.Stderr, "-- cursor: %s\n", r.read)
	}
	return err
}

// wantsOneRun tells whether all that is kept of a run is to be shown, so that there should be something.
func (f *logsFlags) wantsOneRun() bool {
	return f.run != nil && f.tail != 0 && f.since.IsZero() && f.until.IsZero() && len(f.after) == 0
}

// patterns tells whether units that appear later may be meant.
func (r *logReader) patterns() bool { return len(r.chooser.patterns)+len(r.chooser.labels) > 0 }

// chosen tells whether a unit is to be shown. Main's output is not pintle's to show, so that only who names it is told so.
func (r *logReader) chosen(s engine.Status) bool {
	return r.chooser.matches(s) && (s.Kind != unit.Main || slices.Contains(r.chooser.names, s.Name))
}

// targets are the units that are shown to begin with. That there is none yet is no error where one may appear.
func (r *logReader) targets(ctx context.Context) ([]unit.Name, error) {
	ts, err := r.chooser.targets(ctx, r.eng, "show the logs of")
	if engine.KindOf(err) == engine.NotFound && r.flags.follow && r.flags.run == nil && r.patterns() {
		r.complain(fmt.Errorf("no unit matches %q yet", r.chooser))
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []unit.Name
	for _, t := range ts {
		if len(ts) == 1 || t.before.Kind != unit.Main || r.chosen(t.before) {
			names = append(names, t.name)
		}
	}
	return names, nil
}
