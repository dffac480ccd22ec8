package cli

import (
	"context"
	"slices"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// logReader is one reading of the logs of some units: of what is kept, then, where it follows, of what comes. What was
// read last of each unit tells where it goes on, so that between the two no line is shown twice or left out.
type logReader struct {
	*app
	eng     engine.Engine
	chooser chooser
	flags   *logsFlags
	print   *linePrinter
	// read is how far each unit was read, by us or by who gave us a cursor.
	read cursor
	// runs are the runs that --run has turned out to mean.
	runs map[unit.Name]int
}

// all shows the units' lines that are kept, then those that come.
func (r *logReader) all(ctx context.Context, names []unit.Name) error {
	r.print.named = len(names) > 1 || r.flags.follow && r.patterns()
	for _, name := range names {
		r.print.width = max(r.print.width, len(name))
	}
	var kept, skipped []engine.LogRequest
	for _, name := range names {
		req := r.request(name)
		if _, known := r.read[name]; !known {
			if req.Tail = r.flags.tail; req.Tail == 0 {
				skipped = append(skipped, engine.LogRequest{Name: name, Tail: 1})
				continue
			}
		}
		kept = append(kept, req)
	}
	// Where nothing that is kept is to be shown, the newest line is where what comes begins.
	skipped, err := r.readAll(ctx, skipped, func(l engine.Line) error {
		r.read.pass(l.Unit, l.Seq)
		return nil
	})
	if err != nil {
		return err
	}
	if kept, err = r.readAll(ctx, kept, r.show); err != nil || r.out.err != nil || ctx.Err() != nil {
		return err
	}
	if !r.flags.follow || !r.flags.until.IsZero() && r.flags.until.Before(now()) {
		return nil
	}
	var followed []unit.Name
	for _, req := range append(kept, skipped...) {
		followed = append(followed, req.Name)
	}
	return r.follow(ctx, followed)
}

// request asks for all lines of a unit that are to be shown and were not read.
func (r *logReader) request(name unit.Name) engine.LogRequest {
	req := engine.LogRequest{Name: name, Tail: -1, After: r.read[name], Since: r.flags.since, Until: r.flags.until, Run: r.flags.run}
	if run, known := r.runs[name]; known {
		req.Run = &run
	}
	return req
}

// show shows a line.
func (r *logReader) show(l engine.Line) error {
	if err := r.print.line(l); err != nil {
		return err
	}
	r.read.pass(l.Unit, l.Seq)
	if r.flags.run != nil {
		r.runs[l.Unit] = int(l.Run) // 0 and -1 may mean another one by the time of the next request
	}
	return nil
}

// readAll reads all lines that requests choose, and returns the requests that could be answered. That ctx ended, or that
// nobody reads what is shown, is no error.
func (r *logReader) readAll(ctx context.Context, reqs []engine.LogRequest, do func(engine.Line) error) ([]engine.LogRequest, error) {
	for len(reqs) > 0 {
		var failed error
		for l, err := range engine.LogsOf(ctx, r.eng, reqs) {
			if failed = err; failed == nil {
				failed = do(l)
			}
			if failed != nil || r.out.err != nil {
				break
			}
		}
		r.print.flush()
		if failed == nil || r.out.err != nil || ctx.Err() != nil {
			return reqs, nil
		}
		rest, err := r.prune(ctx, reqs, failed, true)
		if err != nil {
			return nil, err
		}
		if len(rest) == 0 && (!r.flags.follow || engine.KindOf(failed) == engine.Denied) {
			return nil, failed
		}
		reqs = rest
	}
	return reqs, nil
}

// prune is what remains of requests that failed together, without those units that were chosen by a pattern or a label
// and turned out to be gone, or not for us to read. Where that is not why they failed, the error is theirs. With strict,
// units that were named must be there.
func (r *logReader) prune(ctx context.Context, reqs []engine.LogRequest, failed error, strict bool) (rest []engine.LogRequest, err error) {
	kind := engine.KindOf(failed)
	if kind != engine.NotFound && kind != engine.Denied {
		return nil, failed
	}
	all, err := r.eng.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, req := range reqs {
		i := slices.IndexFunc(all, func(s engine.Status) bool { return s.Name == req.Name })
		named := slices.Contains(r.chooser.names, req.Name)
		switch {
		case kind == engine.NotFound && i < 0 && !(named && strict):
		case kind == engine.Denied && i >= 0 && all[i].Restricted && !named:
		default:
			rest = append(rest, req)
		}
	}
	if len(rest) == len(reqs) {
		return nil, failed
	}
	return rest, nil
}
