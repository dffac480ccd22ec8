package cli

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/spf13/cobra"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

const aboutLogs = `Show what units wrote: stdout and stderr in the order in which it was written, both
on stdout here. Of one unit it is the bare text; of several, merged by time,
"NAME | text". -o json tells stream, run and time of each line.

On a terminal, control sequences are taken out of the text; into a pipe or a file
it goes as it is.`

// logsFlags are the flags of logs.
type logsFlags struct {
	follow bool
	tail   int
	format string
	labels []string
}

func (a *app) logsCommand() *cobra.Command {
	var f logsFlags
	cmd := &cobra.Command{
		Use:               "logs NAME…",
		Short:             "Show what units wrote",
		Long:              aboutLogs,
		Args:              needsNames(&f.labels),
		ValidArgsFunction: a.completeNames,
		RunE:              run(func(ctx context.Context, args []string) error { return a.logs(ctx, args, &f) }),
	}
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on with what comes")
	cmd.Flags().IntVarP(&f.tail, "tail", "n", -1, "begin with the last `N` lines of each unit; -1 is all that are kept")
	addChoice(cmd, &f.format, "output", "o", "how to write it", "text", "json")
	addLabels(cmd, &f.labels)
	return cmd
}

func (a *app) logs(ctx context.Context, args []string, f *logsFlags) error {
	c, err := newChooser(args, f.labels)
	if err != nil {
		return err
	}
	eng, err := a.Connect()
	if err != nil {
		return err
	}
	ts, err := c.targets(ctx, eng, "show the logs of")
	if err != nil {
		return err
	}
	write := a.lineWriter(ts, f.format)
	if len(ts) == 1 {
		return a.writeLines(ctx, eng.Logs(ctx, engine.LogRequest{Name: ts[0].name, Tail: f.tail, Follow: f.follow}), write)
	}
	shown := map[unit.Name]engine.Line{}
	if f.tail != 0 {
		var kept []iter.Seq2[engine.Line, error]
		for _, t := range ts {
			kept = append(kept, eng.Logs(ctx, engine.LogRequest{Name: t.name, Tail: f.tail}))
		}
		err = a.writeLines(ctx, merge(kept), func(l engine.Line) error {
			shown[l.Unit] = l
			return write(l)
		})
	}
	if err != nil || a.out.err != nil || !f.follow {
		return err
	}
	return a.writeLines(ctx, follow(ctx, eng, ts, shown, f.tail), write)
}

// lineWriter is how a line is written for these units.
func (a *app) lineWriter(ts []target, format string) func(engine.Line) error {
	if format == "json" {
		return func(l engine.Line) error { return writeJSON(a.out, l, "") }
	}
	width := 0
	for _, t := range ts {
		width = max(width, len(t.name))
	}
	return func(l engine.Line) error {
		text := l.Text
		if a.StdoutIsTerminal {
			text = clean(text)
		}
		if len(ts) > 1 {
			text = fmt.Sprintf("%-*s | %s", width, l.Unit, text)
		}
		_, err := fmt.Fprintln(a.out, text)
		return err
	}
}

// writeLines writes lines until they end, or nobody reads them. That ctx ended is a good end of following.
func (a *app) writeLines(ctx context.Context, lines iter.Seq2[engine.Line, error], write func(engine.Line) error) error {
	for l, err := range lines {
		if err == nil {
			err = write(l)
		}
		switch {
		case err != nil && ctx.Err() != nil, a.out.err != nil:
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

// merge yields the lines of all sequences in the order of their time, and holds
// one of each. An error ends it.
func merge(seqs []iter.Seq2[engine.Line, error]) iter.Seq2[engine.Line, error] {
	return func(yield func(engine.Line, error) bool) {
		type head struct {
			line engine.Line
			pull func() (engine.Line, error, bool)
		}
		var heads []head
		for _, seq := range seqs {
			pull, stop := iter.Pull2(seq)
			defer stop()
			line, err, ok := pull()
			if err != nil {
				yield(line, err)
				return
			}
			if ok {
				heads = append(heads, head{line, pull})
			}
		}
		for len(heads) > 0 {
			first := 0
			for i, h := range heads {
				if h.line.Time.Before(heads[first].line.Time) {
					first = i
				}
			}
			if !yield(heads[first].line, nil) {
				return
			}
			line, err, ok := heads[first].pull()
			switch {
			case err != nil:
				yield(line, err)
				return
			case ok:
				heads[first].line = line
			default:
				heads = append(heads[:first], heads[first+1:]...)
			}
		}
	}
}

// follow yields the lines of all units as they come, without those that were
// shown already. Each unit's stream begins with all that is kept, so that none
// is missed between the two.
func follow(ctx context.Context, eng engine.Engine, ts []target, shown map[unit.Name]engine.Line, tail int) iter.Seq2[engine.Line, error] {
	type item struct {
		line engine.Line
		err  error
	}
	return func(yield func(engine.Line, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		items := make(chan item)
		var streams sync.WaitGroup
		defer func() { cancel(); streams.Wait() }()
		for _, t := range ts {
			last, any := shown[t.name]
			req := engine.LogRequest{Name: t.name, Tail: -1, Follow: true}
			if tail == 0 {
				req.Tail = 0
			}
			streams.Go(func() {
				for l, err := range eng.Logs(ctx, req) {
					if err == nil && any && l.Seq <= last.Seq {
						continue
					}
					select {
					case items <- item{l, err}:
					case <-ctx.Done():
						return
					}
				}
			})
		}
		all := make(chan struct{})
		go func() { streams.Wait(); close(all) }()
		for {
			select {
			case i := <-items:
				if !yield(i.line, i.err) {
					return
				}
			case <-all:
				return
			}
		}
	}
}
