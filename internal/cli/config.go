package cli

import (
	"context"
	"runtime"

	"github.com/spf13/cobra"
)

func (a *app) configCommand() *cobra.Command {
	var files []string
	config := &cobra.Command{
		Use:   "config",
		Short: "Check or show the configuration",
		Args:  noSuchCommand,
		RunE:  needsCommand,
	}
	config.PersistentFlags().StringArrayVar(&files, "config", nil, "read this `file` in place of the usual ones; may be repeated")
	config.AddCommand(
		&cobra.Command{
			Use:   "check",
			Short: "Read the configuration, and say everything that is wrong with it",
			Long: `Read the configuration, and say everything that is wrong with it: each mistake on
a line of its own with file, line and column, exit code 1. It needs no supervisor.`,
			Args:              cobra.NoArgs,
			ValidArgsFunction: cobra.NoFileCompletions,
			RunE:              run(func(context.Context, []string) error { return a.configCheck(files) }),
		},
		&cobra.Command{
			Use:               "show",
			Short:             "Show the configuration as pintle understands it",
			Args:              cobra.NoArgs,
			ValidArgsFunction: cobra.NoFileCompletions,
			RunE:              run(func(context.Context, []string) error { return a.Config.Show(files, a.out) }),
		},
	)
	return config
}

func (a *app) configCheck(files []string) error {
	summary, err := a.Config.Check(files)
	if err != nil {
		return err
	}
	a.sayf("pintle: configuration is valid: %s", clean(summary))
	return nil
}

func (a *app) versionCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:               "version",
		Short:             "Say which version this is",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              run(func(context.Context, []string) error { return a.version(format) }),
	}
	addChoice(cmd, &format, "output", "o", "how to write it", "text", "json")
	return cmd
}

func (a *app) version(format string) error {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	if format == "json" {
		return writeJSON(a.out, struct {
			Version  string `json:"version"`
			Go       string `json:"go"`
			Platform string `json:"platform"`
		}{a.Version, runtime.Version(), platform}, "  ")
	}
	a.sayf("pintle %s (%s, %s)", a.Version, runtime.Version(), platform)
	return nil
}

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Write a shell's completion script",
		Long: `Write the script that completes pintle's commands, flags and live unit names in a
shell, such as

  source <(pintle completion bash)`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			switch root := cmd.Root(); args[0] {
			case "bash":
				err = root.GenBashCompletionV2(a.out, true)
			case "zsh":
				err = root.GenZshCompletion(a.out)
			case "fish":
				err = root.GenFishCompletion(a.out, true)
			}
			if err != nil {
				return failed(err)
			}
			return nil
		},
	}
}
