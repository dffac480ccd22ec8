package logs

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"pintle/internal/engine"
)

// This file answers what is asked of a unit's lines. Those in memory are read from
// there, those before them from the files, and where memory has moved on before a
// reader's turn came, the files are asked again. All that is told apart by comparing
// the numbers of lines.

// Read yields the lines that req selects, of this unit whatever its name says, and what the unit's files hold of earlier
// lives of the container too. It never yields an error: what can't be read, a line on the stream Own says.
//
// A caller that is slower than the unit gets every line that is still somewhere when its turn comes. In place of those
// that are not, it gets one line on the stream Own that says how many, with the number of the last of them.
func (j *Journal) Read(ctx context.Context, req engine.LogRequest) iter.Seq2[engine.Line, error] {
	return func(yield func(engine.Line, error) bool) {
		r := &reading{j: j, ctx: ctx, req: req, give: func(l engine.Line) bool { return yield(l, nil) }}
		if r.begin() {
			r.all()
		}
	}
}

// Follow yields the lines of a run that are in memory, then those that come, until ctx ends.
func (j *Journal) Follow(ctx context.Context, run uint64) iter.Seq[engine.Line] {
	return func(yield func(engine.Line) bool) {
		r := &reading{j: j, ctx: ctx, req: engine.LogRequest{Tail: -1, Follow: true}, give: yield, until: ^uint64(0)}
		r.run, r.endless = &runPlace{j.began, run}, true
		j.mu.Lock()
		r.next = mark{j.ring.oldest, j.ring.first}
		j.mu.Unlock()
		r.all()
	}
}

// reading is one answer.
type reading struct {
	j       *Journal
	ctx     context.Context
	req     engine.LogRequest
	give    func(engine.Line) bool // false: no more is wanted
	rule    *File                  // what is not in memory is looked for there; nil: nowhere
	run     *runPlace              // the only one that is asked for; nil: all
	endless bool                   // it does not end with the run
	next    mark                   // of the line that is looked at next
	until   uint64                 // the number before which it ends
	skip    int                    // how many of those that are selected are left out
}

// begin finds where the lines begin, and yields those that are in the files only. It returns false where that is the end.
func (r *reading) begin() bool {
	j, req := r.j, &r.req
	j.mu.Lock()
	if s := j.sink; s != nil {
		rule := s.rule
		r.rule = &rule
	}
	j.mu.Unlock()
	if req.Run != nil {
		p, ok := r.find(*req.Run)
		if !ok {
			return false
		}
		r.run = &p
	}
	j.mu.Lock()
	first := j.ring.first
	r.next, r.until = mark{j.ring.oldest, first}, j.ring.next
	if req.Follow {
		r.until = ^uint64(0)
	}
	if req.After >= j.ring.next { // of a life when the clock was ahead: what came since has smaller numbers
		req.After = j.began
	}
	q := query{after: req.After, before: first, since: req.Since, until: req.Until, run: r.run, tail: req.Tail}
	if q.tail >= 0 {
		n := r.count()
		r.skip, q.tail = max(n-q.tail, 0), max(q.tail-n, 0)
	}
	began := j.began
	j.mu.Unlock()
	switch {
	case req.After+1 >= first:
		return true
	case req.After >= began && req.Tail < 0: // each line from there on is accounted for
		r.next.number = req.After + 1
		return true
	}
	for line, err := range r.history(q) {
		if err != nil {
			return r.unread(err)
		}
		if !r.give(line) {
			return false
		}
	}
	return true
}

// unread yields a line that says why files are not read, which is not tried again. It returns false where no more is wanted.
func (r *reading) unread(err error) bool {
	j := r.j
	r.rule = nil
	return r.give(engine.Line{Unit: j.name, Seq: j.began, Time: j.book.now().UTC().Truncate(time.Microsecond), Stream: Own, Text: err.Error()})
}

// history yields the lines that the unit's files hold and q selects.
func (r *reading) history(q query) iter.Seq2[engine.Line, error] {
	return patiently(r, func(rule *File) iter.Seq2[engine.Line, error] { return rule.history(r.ctx, r.j.name, q) })
}

const (
	// mostHistories is how many may read files at a time: each holds some memory and descriptors, also while its reader is
	// slow, or its disk.
	mostHistories = 2000
	// readPatience is how long a reader waits for a disk, before it goes on without what is there.
	readPatience = 5 * time.Second
)

var errTooMany = fmt.Errorf("cannot read the files of lines: %d readers do so", mostHistories)

// patiently yields what is in the files, until r.ctx ends. A disk that does not answer is an error, and not asked again for r;
// one goroutine waits for it then.
func patiently[T any](r *reading, read func(*File) iter.Seq2[T, error]) iter.Seq2[T, error] {
	type item struct {
		value T
		err   error
	}
	return func(yield func(T, error) bool) {
		var none T
		if r.rule == nil {
			return
		}
		files := &r.j.book.histories
		if files.Add(1) > mostHistories {
			files.Add(-1)
			yield(none, errTooMany)
			return
		}
		const some = 64
		batches, quit := make(chan []item), make(chan struct{})
		defer close(quit)
		send := func(batch []item) bool {
			select {
			case batches <- batch:
				return true
			case <-quit:
				return false
			}
		}
		rule := r.rule
		go func() {
			defer files.Add(-1)
			defer close(batches)
			var batch []item
			for value, err := range read(rule) {
				if batch = append(batch, item{value, err}); len(batch) == some {
					if !send(batch) {
						return
					}
					batch = nil
				}
			}
			send(batch)
		}()
		for {
			hangs := make(chan struct{})
			timer := after(readPatience, func() { close(hangs) })
			var batch []item
			ok := false
			select {
			case batch, ok = <-batches:
			case <-hangs:
				r.rule = nil
				yield(none, fmt.Errorf("cannot read %s: it has not answered for %v", rule.Directory, readPatience))
			case <-r.ctx.Done():
			}
			timer.Stop()
			if !ok {
				return
			}
			for _, i := range batch {
				if !yield(i.value, i.err) {
					return
				}
			}
		}
	}
}

// find finds the run that engine.LogRequest.Run means.
func (r *reading) find(want int) (found runPlace, ok bool) {
	n := 0
	for p := range r.runs {
		if want > 0 && p.run == uint64(want) || n == -want {
			return p, true
		}
		n++
	}
	return found, false
}

// runs yields all runs of which there are lines, newest first, and those under way.
func (r *reading) runs(yield func(runPlace) bool) {
	j := r.j
	var here []runPlace
	j.mu.Lock()
	for _, run := range slices.Concat(j.open, []uint64{j.newest}) {
		if run > 0 {
			here = append(here, runPlace{j.began, run})
		}
	}
	for m := (mark{j.ring.oldest, j.ring.first}); m.number < j.ring.next; {
		e := j.ring.at(m.position)
		if p := (runPlace{j.began, e.run}); len(here) == 0 || here[len(here)-1] != p {
			here = append(here, p)
		}
		m.after(e)
	}
	j.mu.Unlock()
	here = newest(here)
	if len(here) > 0 && !yield(here[0]) { // the newest of all, for which no file need be read
		return
	}
	rest := here[min(1, len(here)):]
	for p, err := range patiently(r, func(rule *File) iter.Seq2[runPlace, error] { return rule.runs(r.ctx) }) {
		if err != nil {
			r.unread(err)
			break
		}
		for len(rest) > 0 && rest[0].compare(p) > 0 {
			if !yield(rest[0]) {
				return
			}
			rest = rest[1:]
		}
		if !slices.Contains(here, p) && !yield(p) {
			return
		}
	}
	for _, p := range rest {
		if !yield(p) {
			return
		}
	}
}

// count counts the lines in memory that are selected. The caller holds j.mu.
func (r *reading) count() (n int) {
	for m := r.next; m.number < r.j.ring.next; {
		e := r.j.ring.at(m.position)
		if r.selects(m.number, e.run, time.UnixMicro(e.time)) {
			n++
		}
		m.after(e)
	}
	return n
}

// selects tells whether a line of this life is asked for.
func (r *reading) selects(number, run uint64, at time.Time) bool {
	return number > r.req.After &&
		(r.run == nil || *r.run == runPlace{r.j.began, run}) &&
		(r.req.Since.IsZero() || !at.Before(r.req.Since)) &&
		(r.req.Until.IsZero() || !at.After(r.req.Until))
}

// all yields the lines from r.next on.
func (r *reading) all() {
	for r.ctx.Err() == nil {
		b := r.batch()
		for _, line := range b.lines {
			if !r.give(line) {
				return
			}
		}
		switch {
		case b.gap.number > 0:
			if !r.refill(b.gap, b.after) {
				return
			}
		case b.over:
			return
		case b.wake != nil:
			select {
			case <-b.wake:
			case <-r.ctx.Done():
			}
		}
	}
}

// portion is what is read from memory at a time.
type portion struct {
	lines []engine.Line
	gap   mark            // the line before which some are not in memory any more; number 0: there is no gap
	after engine.Line     // the oldest line in memory, where there is a gap
	wake  <-chan struct{} // closed when there is more; nil where there may be more already
	over  bool            // there will be no more
}

// batch takes the next lines from memory.
func (r *reading) batch() (b portion) {
	// A batch is small, so that neither the writer waits long nor a stalled reader holds much.
	const mostLooks, mostLines, mostBytes = 1024, 64, 16 << 10
	j := r.j
	j.mu.Lock()
	defer j.mu.Unlock()
	until := r.until
	if j.ended {
		until = min(until, j.last)
	}
	if r.next.number < min(j.ring.first, until) {
		b.gap = mark{j.ring.oldest, j.ring.first}
		m := b.gap
		b.after = j.line(&m)
		b.gap.number = min(b.gap.number, until)
		return b
	}
	end, size := min(until, j.ring.next), 0
	for looks := 0; r.next.number < end && looks < mostLooks && len(b.lines) < mostLines && size < mostBytes; looks++ {
		e := j.ring.at(r.next.position)
		at := time.UnixMicro(e.time)
		switch {
		case r.req.Follow && !r.req.Until.IsZero() && at.After(r.req.Until):
			b.over = true
			return b
		case !r.selects(r.next.number, e.run, at):
			r.next.after(e)
		case r.skip > 0:
			r.skip--
			r.next.after(e)
		default:
			line := j.line(&r.next)
			size += len(line.Text)
			b.lines = append(b.lines, line)
		}
	}
	switch {
	case r.next.number < end:
	case r.next.number >= until, r.run != nil && !r.endless && !(r.run.began == j.began && slices.Contains(j.open, r.run.run)):
		b.over = true
	case len(b.lines) == 0:
		if j.wake == nil {
			j.wake = make(chan struct{})
		}
		b.wake = j.wake
	}
	return b
}

// refill yields what the files have of the lines before another one, which are not in memory any more, and says how many
// there were where they have them not. It returns false where no more is wanted.
func (r *reading) refill(to mark, next engine.Line) bool {
	from := r.next.number
	known := false // that those in front of from are missing is said already
	missing := func(before engine.Line) bool {
		if before.Seq <= from || known {
			return true
		}
		l := engine.Line{Unit: r.j.name, Run: before.Run, Seq: before.Seq - 1, Time: before.Time, Stream: Own}
		l.Text = string(appendMissing(nil, before.Seq-from, overwritten))
		return r.give(l)
	}
	for line, err := range r.history(query{after: from - 1, before: to.number, tail: -1}) {
		if err != nil {
			break // it can't be told from a file that is not there
		}
		if !missing(line) || r.selects(line.Seq, line.Run, line.Time) && !r.give(line) {
			return false
		}
		from, known = line.Seq+1, line.Stream == Own && strings.Contains(line.Text, areMissing)
		if from >= to.number {
			break
		}
	}
	next.Seq = to.number
	r.next = to
	return missing(next)
}

// overwritten is why lines are missing that somebody was too slow for.
const overwritten = "newer ones took their place before they were read"
