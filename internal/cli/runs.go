package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

const aboutRuns = `Show the runs of a unit that are over, the newest last: when each began, how long it
took to be ready and to end, how and why it ended, because of whom, and what it used.
Runs of earlier lives of the container are there where it has a state_directory; they
are told by "life". -o json has everything, also the last lines that each run wrote.`

func (a *app) runsCommand() *cobra.Command {
	var format string
	limit := 10
	cmd := &cobra.Command{
		Use:               "runs NAME",
		Short:             "Show how a unit's runs ended",
		Long:              aboutRuns,
		Args:              needsOne("NAME"),
		ValidArgsFunction: a.completeOneName,
		RunE:              run(func(ctx context.Context, args []string) error { return a.runs(ctx, args[0], limit, format) }),
	}
	cmd.Flags().IntVarP(&limit, "limit", "n", limit, "how many, at most; negative for all that are kept")
	addChoice(cmd, &format, "output", "o", "how to write it", "table", "json")
	return cmd
}

func (a *app) runs(ctx context.Context, word string, limit int, format string) error {
	name, eng, err := a.connectFor(word)
	if err != nil {
		return err
	}
	runs, err := eng.Runs(ctx, name, limit)
	if err != nil {
		return err
	}
	if format == "json" {
		return writeJSON(a.out, append([]engine.RunRecord{}, runs...), "  ") // [] rather than null
	}
	var rows [][]string
	for _, r := range runs {
		rows = append(rows, runRow(r))
	}
	names := []string{"LIFE", "RUN", "STARTED", "READY", "LASTED", "CPU", "MEMORY", "END", "BY"}
	_, err = fmt.Fprint(a.out, (&table{}).layOut(names, rows, true))
	return err
}

// runRow is one run as a row of the table.
func runRow(r engine.RunRecord) []string {
	ready, cpu, memory, started, lasted := "", "", "", "", ""
	if !r.Started.IsZero() {
		started, lasted = r.Started.UTC().Format(time.DateTime), unit.Span(r.Ended.Sub(r.Started))
	}
	if !r.Ready.IsZero() {
		ready = unit.Span(r.Ready.Sub(r.Started))
	}
	if u := r.Usage; u.MaxRSS > 0 {
		cpu, memory = unit.Span(u.User+u.System), bytesOf(max(u.MaxRSS, u.Peak))
	}
	return []string{
		number(int(r.Life)), number(int(r.Run)), started, ready,
		lasted, cpu, memory, endOf(r.RunEnd), r.By,
	}
}

// endOf is how and why a run ended, in few words.
func endOf(e engine.RunEnd) string {
	if e.Error != "" {
		return cut(clean(e.Error), longText/2)
	}
	text := e.Exit.String()
	switch {
	case e.Sender == engine.SentByOOM:
		text += " (no memory was left)"
	case e.Killed:
		text += " (its grace period was over)"
	case e.Sender == engine.SentByOther:
		text += " (not sent by pintle)"
	}
	if e.Cause != "" && e.Cause != unit.Crashed && !e.Asked {
		text += ", " + strings.ReplaceAll(clean(string(e.Cause)), "-", " ")
	}
	return text
}

// bytesOf is a size for people.
func bytesOf(n int64) string {
	const prefixes = "KMGT"
	size, i := float64(n)/1024, 0
	for size >= 1024 && i < len(prefixes)-1 {
		size, i = size/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", size, prefixes[i])
}
