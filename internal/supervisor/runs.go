package supervisor

import (
	"context"
	"slices"
	"time"
	"unicode/utf8"

	"pintle/internal/engine"
	"pintle/internal/logs"
	"pintle/internal/unit"
)

// This file is what is kept of a run when it is over: how it ended, and because of whom.

// books are what is noted of a run while it lasts.
type books struct {
	ready time.Time // when it was; zero before
	used  unit.Usage
	// sent has, for each signal that pintle sent to it, by whose wish the last one was.
	sent map[unit.Signal]string
	// ended is by whose wish or rule its stop began; "" before.
	ended string
	// killBy is when all of it is killed, whatever its grace period, because its lease was lost; zero for never. killed is
	// set once that was done.
	killBy time.Time
	killed bool
}

func (b *books) send(sig unit.Signal, by string) {
	if b.sent == nil {
		b.sent = map[unit.Signal]string{}
	}
	b.sent[sig] = by
}

func (b *books) endedBy(who string) {
	if b.ended == "" {
		b.ended = who
	}
}

// sender is who sent the signal that a run ended by. That pintle has sent it is known; that the kernel has, is what its
// counters say.
func (b *books) sender(sig unit.Signal) engine.Sender {
	_, ours := b.sent[sig]
	switch {
	case sig == 0:
		return ""
	case ours:
		return engine.SentByPintle
	case sig == unit.SIGKILL && b.used.OutOfMemory:
		return engine.SentByOOM
	}
	return engine.SentByOther
}

// keepRun has the store keep the record of a unit's run, of which nothing is left.
func (s *Supervisor) keepRun(u *record) {
	if u.last == nil || u.last.Run != u.life.Run || u.removing || !s.mayKeep(u) {
		return
	}
	life := s.o.Store.Life()
	r := engine.RunRecord{
		Unit: u.spec.Name, Container: life.Container, Life: life.Number, RunEnd: *u.last,
		Ready: u.books.ready, Usage: u.books.used, By: u.books.ended,
	}
	if r.Sender == engine.SentByPintle {
		r.By = u.books.sent[r.Exit.Signal]
	}
	var journal *logs.Journal
	if u.spec.Kind != unit.Main {
		journal = s.o.Logs.Journal(u.spec.Name)
	}
	s.o.Store.Ran(r.Unit, func() engine.RunRecord {
		if journal != nil {
			r.Tail = tail(journal, r.Run)
		}
		return r
	})
}

// What a record has of a run's output, at most; and how long it is waited for what is still in a pipe.
const (
	tailLines = 20
	tailBytes = 4 << 10
	tailWait  = 200 * time.Millisecond
)

// tail are the last lines of a run.
func tail(j *logs.Journal, run uint64) []string {
	ctx, cancel := context.WithTimeout(context.Background(), tailWait)
	defer cancel()
	j.Drained(ctx, run)
	var lines []string
	room := tailBytes
	kept := j.Tail(4 * tailLines) // the next run may have begun to write
	for i := len(kept) - 1; i >= 0 && len(lines) < tailLines && room > 0; i-- {
		if kept[i].Run != run {
			continue
		}
		text := kept[i].Text
		if len(text) > room {
			text = shorten(text, room)
		}
		room -= len(text) + 1
		lines = append(lines, text)
	}
	slices.Reverse(lines)
	return lines
}

// shorten cuts a text to at most n bytes, between two characters.
func shorten(text string, n int) string {
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// Runs implements engine.Engine.
func (s *Supervisor) Runs(ctx context.Context, name unit.Name, limit int) ([]engine.RunRecord, error) {
	_, err := s.with(ctx, "read the runs of", name, func(_ *Supervisor, _ *record, answer reply) { answer(engine.Status{}, nil) })
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readRuns)
	defer cancel()
	records, err := s.o.Store.Runs(ctx, name, limit)
	if err != nil {
		return nil, engine.Errorf(engine.Internal, "%v", err)
	}
	return records, nil
}

// readRuns is how long a disk may take to give run records.
const readRuns = 5 * time.Second
