package cli

import (
	"context"
	"iter"
	"slices"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// fakeBooks is what the units of a fake have written: the whole meaning of engine.LogRequest, in memory.
type fakeBooks struct {
	books map[unit.Name]*fakeBook
	// numbers are the last line's of each name, which never goes back, and denied are units that the asker may not read.
	numbers map[unit.Name]uint64
	denied  map[unit.Name]bool
	// missed is a unit that is not found when its lines are asked for next.
	missed unit.Name
	// streams are those that are open, each of one or many units, and most how many ever were.
	streams, most int
}

// fakeBook is what one unit has written, until it is removed.
type fakeBook struct {
	lines []engine.Line
	ended bool
	wake  chan struct{} // closed, and another one, when there is news
}

func (b *fakeBook) rouse() {
	close(b.wake)
	b.wake = make(chan struct{})
}

func newFakeBooks() fakeBooks {
	return fakeBooks{books: map[unit.Name]*fakeBook{}, numbers: map[unit.Name]uint64{}, denied: map[unit.Name]bool{}}
}

func (b *fakeBooks) of(name unit.Name) *fakeBook {
	if b.books[name] == nil {
		b.books[name] = &fakeBook{wake: make(chan struct{})}
	}
	return b.books[name]
}

// end is what a unit's removal is to its log.
func (b *fakeBooks) end(name unit.Name) {
	b.of(name).ended = true
	b.of(name).rouse()
	delete(b.books, name)
}

// wrote adds a line to a unit's log.
func (f *fake) wrote(name unit.Name, run uint64, text string) {
	f.wroteLine(engine.Line{Unit: name, Run: run, Time: time.Now(), Stream: engine.Stdout, Text: text})
}

// wroteLine is wrote for a line that is something special.
func (f *fake) wroteLine(l engine.Line) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.books.numbers[l.Unit]++
	l.Seq = f.books.numbers[l.Unit]
	book := f.books.of(l.Unit)
	book.lines = append(book.lines, l)
	book.rouse()
}

func (f *fake) LogsOf(ctx context.Context, reqs []engine.LogRequest) iter.Seq2[engine.Line, error] {
	return f.counted(engine.LogsOf(ctx, oneByOne{f}, reqs))
}

// oneByOne is a fake that answers one request after the other.
type oneByOne struct{ engine.Engine }

func (p oneByOne) Logs(ctx context.Context, req engine.LogRequest) iter.Seq2[engine.Line, error] {
	return p.Engine.(*fake).logs(ctx, req)
}

func (f *fake) Logs(ctx context.Context, req engine.LogRequest) iter.Seq2[engine.Line, error] {
	return f.counted(func(yield func(engine.Line, error) bool) { f.logs(ctx, req)(yield) })
}

func (f *fake) counted(stream iter.Seq2[engine.Line, error]) iter.Seq2[engine.Line, error] {
	count := func(n int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.books.streams += n
		f.books.most = max(f.books.most, f.books.streams)
	}
	return func(yield func(engine.Line, error) bool) {
		count(1)
		defer count(-1)
		stream(yield)
	}
}

func (f *fake) logs(ctx context.Context, req engine.LogRequest) iter.Seq2[engine.Line, error] {
	return func(yield func(engine.Line, error) bool) {
		book, err := f.bookFor(req.Name)
		if err != nil {
			yield(engine.Line{}, err)
			return
		}
		pick := pickOf(f, book, req)
		for seen, first := 0, true; ; first = false {
			f.mu.Lock()
			news, ended, wake := slices.Clone(book.lines[seen:]), book.ended, book.wake
			f.mu.Unlock()
			seen += len(news)
			chosen, over := pick(news)
			if first && req.Tail >= 0 {
				chosen = chosen[max(0, len(chosen)-req.Tail):]
			}
			for _, l := range chosen {
				if !yield(l, nil) {
					return
				}
			}
			if !req.Follow || over || ended {
				return
			}
			select {
			case <-wake:
			case <-f.gone:
				yield(engine.Line{}, engine.Errorf(engine.Unavailable, "cannot go on: pintle ends"))
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

func (f *fake) bookFor(name unit.Name) (*fakeBook, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, err := f.getLocked("show the logs of", name, f.refuse["logs"])
	switch {
	case err != nil:
		return nil, err
	case f.books.missed == name:
		f.books.missed = ""
		return nil, engine.Errorf(engine.NotFound, "cannot show the logs of %s: there is no such unit", name)
	case f.books.denied[name]:
		return nil, engine.Errorf(engine.Denied, "cannot read the logs of %s: uid 5 may not", name)
	case s.Kind == unit.Main:
		return nil, engine.Errorf(engine.Conflict, "cannot read the log of main: its output goes to the container's own, see docker logs")
	}
	return f.books.of(name), nil
}

// pickOf makes a function that leaves of the next lines of a book those that are asked for, and tells whether there will
// be none any more.
func pickOf(f *fake, book *fakeBook, req engine.LogRequest) func([]engine.Line) ([]engine.Line, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var runs []uint64 // the newest first
	for _, l := range slices.Backward(book.lines) {
		if !slices.Contains(runs, l.Run) {
			runs = append(runs, l.Run)
		}
	}
	run := uint64(0)
	switch {
	case req.Run == nil:
	case *req.Run > 0:
		run = uint64(*req.Run)
	case -*req.Run < len(runs):
		run = runs[-*req.Run]
	default:
		return func([]engine.Line) ([]engine.Line, bool) { return nil, true }
	}
	return func(lines []engine.Line) (chosen []engine.Line, over bool) {
		for _, l := range lines {
			over = over || !req.Until.IsZero() && l.Time.After(req.Until) || run != 0 && l.Run > run
			if l.Seq > req.After && (req.Since.IsZero() || !l.Time.Before(req.Since)) &&
				(req.Until.IsZero() || !l.Time.After(req.Until)) && (run == 0 || l.Run == run) {
				chosen = append(chosen, l)
			}
		}
		return chosen, over
	}
}
