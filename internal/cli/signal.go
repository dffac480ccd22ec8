package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

func (a *app) signalCommand() *cobra.Command {
	var labels []string
	cmd := &cobra.Command{
		Use:   "signal SIG NAME…",
		Short: "Send a signal to the leaders of units",
		Long:  "Send a signal, by name (HUP, SIGHUP) or number, to the leader of each unit's current run.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args)+len(labels) < 2 {
				return errors.New("it needs a signal and a NAME")
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return []string{"HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "KILL", "STOP", "CONT"}, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeNames(cmd, args[1:], word)
		},
		RunE: run(func(ctx context.Context, args []string) error { return a.signal(ctx, args[0], args[1:], labels) }),
	}
	addLabels(cmd, &labels)
	return cmd
}

func (a *app) signal(ctx context.Context, word string, names, labels []string) error {
	sig, err := unit.ParseSignal(word)
	if err != nil {
		return engine.Errorf(engine.Invalid, "%v", err)
	}
	c, err := newChooser(names, labels)
	if err != nil {
		return err
	}
	eng, err := a.Connect()
	if err != nil {
		return err
	}
	ts, err := c.targets(ctx, eng, "signal")
	if err != nil {
		return err
	}
	return a.each(ts, func(t target) outcome {
		s, err := eng.Signal(ctx, t.name, sig)
		if err != nil {
			return outcome{err: err}
		}
		return outcome{said: fmt.Sprintf("%s was sent %s (%s)", t.name, sig, running(s))}
	})
}
