package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"pintle/internal/engine"
)

func (a *app) whyCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "why NAME",
		Short: "Say in words why a unit is as it is",
		Long: `Say in words what a unit is and why, who asked for that, how its last run ended,
what comes next, and what you can do. Who may only see names and states gets the
state, and exit code 77.`,
		Args:              needsOne("NAME"),
		ValidArgsFunction: a.completeOneName,
		RunE:              run(func(ctx context.Context, args []string) error { return a.why(ctx, args[0], format) }),
	}
	addChoice(cmd, &format, "output", "o", "how to write it", "text", "json")
	return cmd
}

func (a *app) why(ctx context.Context, word, format string) error {
	name, eng, err := a.connectFor(word)
	if err != nil {
		return err
	}
	s, err := eng.Get(ctx, name)
	if err != nil {
		return err
	}
	around := around(ctx, eng, s)
	if format == "json" {
		err = writeJSON(a.out, struct {
			engine.Status
			Around
		}{s, around}, "  ")
	} else {
		_, err = fmt.Fprint(a.out, Explain(s, around, now()))
	}
	if err == nil && s.Restricted {
		err = engine.Errorf(engine.Denied, "cannot explain %s: you may see its name and state only", name)
	}
	return err
}

// around finds out what else there is to know. Without it there is still an answer.
func around(ctx context.Context, eng engine.Engine, s engine.Status) Around {
	var a Around
	if s.Restricted {
		return a
	}
	if info, err := eng.Info(ctx); err == nil {
		a.Strays, a.Life = info.Strays, info.Life
	}
	if runs, err := eng.Runs(ctx, s.Name, 1); err == nil && len(runs) > 0 {
		if r := runs[0]; s.Last == nil || r.Run == s.Last.Run && r.Ended.Equal(s.Last.Ended) {
			a.Record = &r
		}
	}
	return a
}
