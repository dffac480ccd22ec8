package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"pintle/internal/engine"
)

const aboutCreate = `Make an instance of a template known, and ask for it to be up unless --down; then
wait as start does. What exists already is not made again: it only gets the wish.`

func (a *app) createCommand() *cobra.Command {
	p := patience{timeout: startTimeout, settle: settleTime}
	var down bool
	cmd := &cobra.Command{
		Use:     "create NAME",
		Aliases: []string{"register"},
		Short:   "Make an instance known, and start it",
		Long:    aboutCreate,
		Args:    needsOne("NAME, such as gateway@coder"),
		RunE: run(func(ctx context.Context, args []string) error {
			return a.create(ctx, args[0], down, p)
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&down, "down", false, "do not ask for it to be up")
	addPatience(cmd, &p)
	return cmd
}

func (a *app) create(ctx context.Context, word string, down bool, p patience) error {
	name, eng, err := a.connectFor(word)
	if err != nil {
		return err
	}
	all, err := eng.List(ctx)
	if err != nil {
		return err
	}
	t := target{name: name}
	for _, s := range all {
		if s.Name == name {
			t.before = s
		}
	}
	p.noWait = p.noWait || down
	return a.requestAll(ctx, eng, []target{t}, p, func(ctx context.Context, eng engine.Engine, w *watch, t target, p patience) outcome {
		began := now()
		s, created, err := eng.Create(ctx, engine.CreateRequest{Name: name, Down: down})
		if err != nil {
			return outcome{err: err}
		}
		said := fmt.Sprintf("%s exists already", name)
		if created {
			said = fmt.Sprintf("%s is created", name)
		}
		switch {
		case !down && sameUp(t.before, s):
			return outcome{said: fmt.Sprintf("%s, and is up (%s)", said, running(s))}
		case p.noWait:
			return outcome{said: fmt.Sprintf("%s, and is asked to be %s", said, s.Desired)}
		}
		o := up(ctx, eng, w, t.before, s, firstRun(t.before, s, false), "start", began, p)
		if o.said != "" {
			said += "; " + o.said
		}
		o.said = said
		return o
	})
}
