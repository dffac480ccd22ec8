package cli

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

const aboutStatus = `Show the units: what is observed, what is desired, and why.

With the exact NAME of a unit that is not up (a oneshot: not done), the exit code is
3; of one that does not exist, 4. A pattern or a label lists what there is and judges
nothing; where nothing matches, the table is empty, a note says so, and the exit code
is 0.

--tree shows below each unit what it depends on, which condition that must come to,
and whether it has. The roots are those that nothing depends on, or the NAMEs. A unit
that is needed twice is shown in full once.

--watch shows every change until it is interrupted: redrawn on a terminal, else
as one more row (or JSON document, or name) for each unit that changed.`

// statusFlags are the flags of status.
type statusFlags struct {
	format string
	labels []string
	watch  bool
	tree   bool
}

func (a *app) statusCommand() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:               "status [NAME…]",
		Aliases:           []string{"list"},
		Short:             "Show units and their states",
		Long:              aboutStatus,
		ValidArgsFunction: a.completeNames,
		RunE:              run(func(ctx context.Context, args []string) error { return a.status(ctx, args, &f) }),
	}
	addChoice(cmd, &f.format, "output", "o", "how to write it", "table", "wide", "json", "yaml", "name")
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "go on with every change")
	cmd.Flags().BoolVar(&f.tree, "tree", false, "show what depends on what; -o json and others stay as they are")
	cmd.MarkFlagsMutuallyExclusive("tree", "watch")
	addLabels(cmd, &f.labels)
	return cmd
}

func (a *app) status(ctx context.Context, args []string, f *statusFlags) error {
	c, err := newChooser(args, f.labels)
	if err != nil {
		return err
	}
	eng, err := a.Connect()
	if err != nil {
		return err
	}
	all, err := eng.List(ctx)
	if err != nil {
		return err
	}
	chosen, missing := c.filter(all), c.missing(all)
	t := &table{wide: f.format == "wide", colour: a.wantsColour()}
	if a.StdoutIsTerminal && !t.wide {
		t.width = a.Width
	}
	if f.watch && len(missing) == 0 {
		return a.watchStatus(ctx, eng, c, t, f.format, chosen)
	}
	tabular := f.format == "table" || t.wide
	if f.tree && tabular && hasTree(chosen) {
		a.showTree(t, chosen, all)
	} else if err := a.showUnits(t, f.format, chosen); err != nil {
		return err
	}
	if tabular && len(args)+len(f.labels) == 0 {
		a.showConditions(ctx, eng, t.wide)
	}
	if len(chosen)+len(missing) == 0 {
		a.complain(errors.New("no unit matches " + c.String()))
	}
	return a.judgeStatus(ctx, eng, c, chosen, missing)
}

// judgeStatus is the exit code that status owes to the exact names.
func (a *app) judgeStatus(ctx context.Context, eng engine.Engine, c chooser, chosen []engine.Status, missing []unit.Name) error {
	var refusal *failure
	for _, name := range missing {
		_, err := eng.Get(ctx, name) // the engine's own words
		if err == nil {
			continue // it has come to be just now, and so it is not in the table
		}
		if refusal != nil {
			a.complain(refusal.err)
		}
		refusal = failed(err)
	}
	if refusal != nil {
		return refusal
	}
	for _, s := range chosen {
		if !serves(s) && slices.Contains(c.names, s.Name) {
			return &failure{code: exitNotRunning}
		}
	}
	return nil
}

// showUnits writes the units once.
func (a *app) showUnits(t *table, format string, units []engine.Status) error {
	switch format {
	case "json":
		return writeJSON(a.out, append([]engine.Status{}, units...), "  ") // [] rather than null
	case "yaml":
		return writeYAML(a.out, append([]engine.Status{}, units...))
	case "name":
		for _, s := range units {
			a.sayf("%s", clean(string(s.Name)))
		}
	default:
		a.sayf("%s", strings.TrimSuffix(t.lines(units, now(), true), "\n"))
	}
	return nil
}

// showConditions says under the table what is not as it should be, and with
// wide also what answers here. A failing Info leaves it out: the table stands.
func (a *app) showConditions(ctx context.Context, eng engine.Engine, wide bool) {
	info, err := eng.Info(ctx)
	if err != nil {
		return
	}
	var lines []string
	if wide {
		lines = append(lines, "pintle "+info.Version+", pid "+number(info.PID)+", for "+unit.Span(now().Sub(info.Started))+
			"; process sets: "+info.ProcessSets)
	}
	if info.Stopping {
		lines = append(lines, "the container is stopping")
	}
	for _, c := range info.Conditions {
		lines = append(lines, "condition: "+c.Text)
	}
	if len(lines) == 0 {
		return
	}
	a.sayf("")
	for _, l := range lines {
		a.sayf("%s", clean(l))
	}
}
