package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"pintle/internal/engine"
)

const aboutReload = `Have the supervisor read all configuration anew, and change what differs: what is new
is added, what is not declared any more is stopped and forgotten, and a run whose
declaration changed is replaced. What did not change goes on as it is.

Each change is one line: "+" added, "-" removed, "~" changed, and what becomes of it.
It returns when all of that has begun, and does not wait for it. A configuration that
is not valid changes nothing; each mistake is a line, exit code 1.`

func (a *app) reloadCommand() *cobra.Command {
	var (
		format string
		dry    bool
	)
	cmd := &cobra.Command{
		Use:               "reload",
		Short:             "Read the configuration anew, and change what differs",
		Long:              aboutReload,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              run(func(ctx context.Context, _ []string) error { return a.reload(ctx, dry, format) }),
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would change (see also diff)")
	addChoice(cmd, &format, "output", "o", "how to write it", "text", "json")
	return cmd
}

const aboutDiff = `Show what a reload would change, as 'reload --dry-run' does, and change nothing. The
configuration is the one that the supervisor reads in this container.

Exit codes, as diff(1) has them: 0 nothing differs, 1 something does, 2 it cannot be
told, such as when the configuration is not valid. Beside them 69 and 77.`

func (a *app) diffCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:               "diff",
		Short:             "Show what a reload would change",
		Long:              aboutDiff,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              run(func(ctx context.Context, _ []string) error { return a.diff(ctx, format) }),
	}
	addChoice(cmd, &format, "output", "o", "how to write it", "text", "json")
	return cmd
}

func (a *app) reload(ctx context.Context, dry bool, format string) error {
	changes, err := a.changes(ctx, dry)
	if engine.KindOf(err) == engine.Invalid { // it is the configuration that is wrong, not the command line
		return &failure{exitFailed, errors.Join(err, errors.New("nothing was changed"))}
	}
	if err != nil {
		return err
	}
	return a.showChanges(changes, dry, format)
}

func (a *app) diff(ctx context.Context, format string) error {
	changes, err := a.changes(ctx, true)
	if err == nil {
		err = a.showChanges(changes, true, format)
	}
	switch {
	case err != nil && codeOf(err) == exitFailed: // 1 says that something differs
		return &failure{exitUsage, err}
	case err == nil && len(changes) > 0:
		return &failure{code: exitFailed}
	}
	return err
}

func (a *app) changes(ctx context.Context, dry bool) ([]engine.Change, error) {
	eng, err := a.Connect()
	if err != nil {
		return nil, err
	}
	return eng.Reload(ctx, engine.ReloadRequest{DryRun: dry})
}

func (a *app) showChanges(changes []engine.Change, dry bool, format string) error {
	if format == "json" {
		return writeJSON(a.out, append([]engine.Change{}, changes...), "  ") // [] rather than null
	}
	width := 0
	for _, c := range changes {
		width = max(width, utf8.RuneCountInString(changedName(c)))
	}
	for _, c := range changes {
		name := changedName(c)
		cells := []string{sign(c.Kind) + " " + name + strings.Repeat(" ", width-utf8.RuneCountInString(name))}
		for _, cell := range []string{strings.Join(c.Keys, ", "), c.Effect} {
			if cell = clean(cell); cell != "" {
				cells = append(cells, cell)
			}
		}
		a.sayf("%s", strings.TrimRight(strings.Join(cells, "  "), " "))
	}
	a.sayf("%s", summary(changes, dry))
	return nil
}

// changedName is what a change is of. No unit can have the name that the container's own settings get here.
func changedName(c engine.Change) string {
	if c.Name == "" {
		return "(container)"
	}
	return clean(c.Name)
}

func sign(kind string) string {
	switch kind {
	case engine.ChangeAdd:
		return "+"
	case engine.ChangeRemove:
		return "-"
	case engine.ChangeEdit:
		return "~"
	}
	return "?"
}

// summary is all changes in one sentence.
func summary(changes []engine.Change, dry bool) string {
	if len(changes) == 0 {
		return "Nothing differs from the configuration."
	}
	count := map[string]int{}
	for _, c := range changes {
		count[sign(c.Kind)]++
	}
	var parts []string
	for _, p := range []struct{ sign, word string }{{"+", "added"}, {"-", "removed"}, {"~", "changed"}, {"?", "otherwise"}} {
		if n := count[p.sign]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, p.word))
		}
	}
	list := strings.Join(parts, ", ")
	if dry {
		return "A reload would make " + plural(len(changes), "change") + ": " + list + ". Nothing was changed."
	}
	begun := "have begun"
	if len(changes) == 1 {
		begun = "has begun"
	}
	return plural(len(changes), "change") + " " + begun + ": " + list + ". 'pintle status' shows what comes of it."
}
