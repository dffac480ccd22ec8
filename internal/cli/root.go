package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

const about = `pintle runs a container's main program, keeps the services beside it alive, and
answers here for all of them.

NAME is a unit's name (main, dashboard, gateway@coder) or a pattern with *, ? and
[…] ('gateway@*'); -l key=value takes only the units with that label.

Exit codes: 0 done, 1 failed, 2 usage, 3 not running or not healthy, 4 no such unit,
69 no supervisor there, 77 denied. Where several units fail in different ways, 1.`

// root is the whole tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:               "pintle",
		Short:             "The init and supervisor of a container",
		Long:              about,
		Args:              noSuchCommand,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE:              needsCommand,
	}
	root.SetHelpCommand(helpCommand(root))
	root.AddCommand(
		a.initCommand(),
		a.statusCommand(), a.whyCommand(), a.graphCommand(),
		a.startCommand(), a.stopCommand(), a.restartCommand(), a.signalCommand(),
		a.createCommand(), a.removeCommand(),
		a.logsCommand(), a.runsCommand(), a.waitCommand(), a.healthcheckCommand(),
		a.configCommand(), a.diffCommand(), a.reloadCommand(), a.dashboardCommand(), a.forwardCommand(),
		a.installCommand(), a.versionCommand(), a.completionCommand(),
	)
	a.addEngine(root)
	return root
}

// needsCommand is what a command that only has commands of its own does: it
// says which, and fails, because a script that meant one got nothing.
func needsCommand(cmd *cobra.Command, _ []string) error {
	cmd.SetOut(cmd.ErrOrStderr())
	if err := cmd.Help(); err != nil {
		return failed(err)
	}
	return &failure{code: exitUsage}
}

// noSuchCommand refuses a word that is no command, with those that were perhaps meant.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("there is no command %q", args[0])
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(near, " or "))
	}
	return err
}

// needsOne refuses any other number of arguments than one.
func needsOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return errors.New("it needs one " + what)
		}
		return nil
	}
}

func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Say what a command does",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, c := range root.Commands() {
				names = append(names, c.Name())
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err == nil {
				err = noSuchCommand(cmd, rest)
			}
			if err != nil {
				return err
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

// initCommand is here to be found in the help: cmd/pintle starts the entrypoint
// before there is a command line.
func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "init [--config F] [--] [CMD…]",
		Short:              "Be the container's entrypoint (also as /init, /sbin/init, tini)",
		DisableFlagParsing: true,
		RunE: run(func(_ context.Context, args []string) error {
			if code := a.Init(args); code != exitDone {
				return &failure{code: code}
			}
			return nil
		}),
	}
}

// choice is a flag whose value is one of a few words.
type choice struct {
	value *string
	words []string
}

func (c choice) String() string {
	if c.value == nil { // pflag asks a zero value too
		return ""
	}
	return *c.value
}

func (c choice) Type() string { return strings.Join(c.words, "|") }

func (c choice) Set(s string) error {
	if !slices.Contains(c.words, s) {
		return fmt.Errorf("it is one of %s", strings.Join(c.words, ", "))
	}
	*c.value = s
	return nil
}

// addChoice declares a flag whose value is one of words, by default the first, and completes it.
func addChoice(cmd *cobra.Command, value *string, name, short, usage string, words ...string) {
	*value = words[0]
	cmd.Flags().VarP(choice{value, words}, name, short, usage)
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
	// The only errors are an unknown flag and a second registration.
	_ = cmd.RegisterFlagCompletionFunc(name, complete)
}
