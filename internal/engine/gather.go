package engine

import (
	"container/heap"
	"context"
	"errors"
	"iter"
	"slices"
	"sync"

	"pintle/internal/unit"
)

// LogsOf yields what Logs yields for each of several requests, as one stream. Of one unit it has the order that Logs
// gives it. Where none of the requests follows, lines of different units are in the order of their time, and of their
// names where that is the same; else they are as they come. Where the lines of one that is followed are over, a Line with
// Over set says so. The first error ends it; UnitsOf says whom it is about.
//
// An engine that can answer many requests at less cost than one after the other has a method of this name.
func LogsOf(ctx context.Context, e Engine, reqs []LogRequest) iter.Seq2[Line, error] {
	if len(reqs) == 1 {
		return logsOf(ctx, e, reqs[0])
	}
	if all, ok := e.(interface {
		LogsOf(ctx context.Context, reqs []LogRequest) iter.Seq2[Line, error]
	}); ok {
		return all.LogsOf(ctx, reqs)
	}
	return Gather(ctx, reqs, func(ctx context.Context, req LogRequest) iter.Seq2[Line, error] { return logsOf(ctx, e, req) })
}

// logsOf is LogsOf for one request.
func logsOf(ctx context.Context, e Engine, req LogRequest) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		for l, err := range e.Logs(ctx, req) {
			if refusal, ok := errors.AsType[*Error](err); ok && refusal.Units == nil {
				about := *refusal
				about.Units = []unit.Name{req.Name}
				err = &about
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
		if req.Follow && ctx.Err() == nil {
			yield(Line{Unit: req.Name, Over: true}, nil)
		}
	}
}

// Gather makes one stream of those that open makes of each question, as LogsOf promises. A question is a LogRequest, or
// something that stands for several.
func Gather[Q interface{ Follows() bool }](ctx context.Context, questions []Q, open func(context.Context, Q) iter.Seq2[Line, error]) iter.Seq2[Line, error] {
	switch {
	case len(questions) == 1:
		return open(ctx, questions[0])
	case slices.ContainsFunc(questions, Q.Follows):
		return asTheyCome(ctx, questions, open)
	}
	return func(yield func(Line, error) bool) {
		var streams []iter.Seq2[Line, error]
		for _, q := range questions {
			streams = append(streams, open(ctx, q))
		}
		merge(streams)(yield)
	}
}

// Follows tells whether the stream of lines goes on.
func (r LogRequest) Follows() bool { return r.Follow }

// head is the next line of a stream.
type head struct {
	line Line
	pull func() (Line, error, bool)
}

// heads is a heap, whose first line is the next of all.
type heads []head

func (h heads) Len() int      { return len(h) }
func (h heads) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *heads) Push(x any)   { *h = append(*h, x.(head)) }

func (h heads) Less(i, j int) bool {
	if c := h[i].line.Time.Compare(h[j].line.Time); c != 0 {
		return c < 0
	}
	return h[i].line.Unit < h[j].line.Unit
}

func (h *heads) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// merge yields the lines of streams by their time, and holds one of each. What a clock that was set back has made of
// the times, a stream's own order stays.
func merge(streams []iter.Seq2[Line, error]) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		var next heads
		for _, stream := range streams {
			pull, stop := iter.Pull2(stream)
			defer stop()
			line, err, ok := pull()
			if err != nil {
				yield(line, err)
				return
			}
			if ok {
				next = append(next, head{line, pull})
			}
		}
		heap.Init(&next)
		for len(next) > 0 {
			if !yield(next[0].line, nil) {
				return
			}
			line, err, ok := next[0].pull()
			switch {
			case err != nil:
				yield(line, err)
				return
			case ok:
				next[0].line = line
				heap.Fix(&next, 0)
			default:
				heap.Pop(&next)
			}
		}
	}
}

// asTheyCome yields the lines of all streams at once. A reader that is slow holds up all of them, each with one line.
func asTheyCome[Q any](ctx context.Context, questions []Q, open func(context.Context, Q) iter.Seq2[Line, error]) iter.Seq2[Line, error] {
	type item struct {
		line Line
		err  error
	}
	return func(yield func(Line, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		items := make(chan item)
		var streams sync.WaitGroup
		defer func() { cancel(); streams.Wait() }()
		for _, q := range questions {
			streams.Go(func() {
				for line, err := range open(ctx, q) {
					select {
					case items <- item{line, err}:
					case <-ctx.Done():
						return
					}
				}
			})
		}
		over := make(chan struct{})
		go func() { streams.Wait(); close(over) }()
		for {
			select {
			case i := <-items:
				if !yield(i.line, i.err) || i.err != nil {
					return
				}
			case <-over:
				return
			}
		}
	}
}
