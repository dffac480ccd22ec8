package logs

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// Journal holds the newest lines of one unit, across its runs.
type Journal struct {
	book *Book
	name unit.Name
	sink atomic.Pointer[sink] // nil where the lines go to no files
	show *share               // nil where there is no console

	mu      sync.Mutex
	ring    ring
	streams []string // the names of the streams seen, few; a line holds an index
	// wake is made by a follower that has read everything, and closed and forgotten by the next line.
	wake chan struct{}
	// turn is there while the console wants the unit to wait, and closed when that is over.
	turn chan struct{}
	// ended is set once nothing will be added any more: the unit is forgotten, or the book closed.
	ended bool
}

func newJournal(b *Book, name unit.Name) *Journal {
	j := &Journal{book: b, name: name, ring: ring{limit: b.ringBytes, first: 1, next: 1}}
	if b.console != nil {
		j.show = b.console.join(name, j.goOn)
	}
	return j
}

// Note adds a line of pintle's own, on the stream Own: "exited with code 1". A text of several lines becomes several. It
// never waits.
// On the console it reads "pintle | NAME: exited with code 1", so that a service cannot speak in pintle's name.
func (j *Journal) Note(run uint64, text string) {
	j.Add(run, Own, []byte(text))
}

// Add adds lines that come by themselves, as a message on /dev/log does. It never waits: where the unit's files do not
// keep up, lines are left out there, and counted.
func (j *Journal) Add(run uint64, stream string, text []byte) {
	var s splitter
	j.take(&s, run, stream, append(text, '\n'))
	if s := j.sink.Load(); s != nil {
		s.wake()
	}
}

// Output is what becomes of a unit's lines. The zero value keeps them in a ring of the book's size, and shows them on
// its console.
type Output struct {
	// RingBytes bounds the memory that the lines take; 0 means Options.RingBytes.
	RingBytes int
	// Console is how the console shows them; empty means unit.ConsolePrefixed. With Wait, who writes them waits for it.
	Console unit.ConsoleFormat
	Wait    bool
	// File is the rule by which they are kept in files; nil: in none. With Drop, who writes them never waits for those.
	File *File
	Drop bool
}

// Configure has all that hold for the lines from now on. It waits for nothing.
func (j *Journal) Configure(o Output) {
	f := o.File
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.show != nil {
		j.show.configure(o.Console, o.Wait)
	}
	s := j.sink.Load()
	switch {
	case f == nil && s != nil:
		j.sink.Store(nil)
		s.retire()
	case f == nil:
	case s == nil:
		j.sink.Store(&sink{name: j.name, book: j.book, rule: *f})
	default:
		s.change(*f)
	}
}

// flush has the lines that were added be written, and waits for that, and until the console wants nobody to wait: a
// capture does, who reads on only then.
func (j *Journal) flush() {
	if s := j.sink.Load(); s != nil {
		s.flush()
	}
	j.mu.Lock()
	turn := j.turn
	j.mu.Unlock()
	if turn != nil {
		<-turn
	}
}

// goOn lets the captures go on that the console wanted to wait.
func (j *Journal) goOn() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.turn != nil {
		close(j.turn)
		j.turn = nil
	}
}

// Tail returns the newest n lines, oldest first; all that are kept where n is negative.
func (j *Journal) Tail(n int) []engine.Line {
	j.mu.Lock()
	defer j.mu.Unlock()
	var lines []engine.Line
	for m := j.ring.tail(n); m.number < j.ring.next; {
		lines = append(lines, j.line(&m))
	}
	return lines
}

// Read yields the newest tail lines that are kept (all of them where tail is negative). Without follow it then ends;
// with follow it goes on with those that come, until ctx ends or the unit is forgotten. It never yields an error.
//
// A caller that is slower than the unit gets every line that is still kept when its turn comes. Where lines were
// overwritten before that, it gets one line on the stream Own that says how many, with the number of the last of them.
func (j *Journal) Read(ctx context.Context, tail int, follow bool) iter.Seq2[engine.Line, error] {
	return func(yield func(engine.Line, error) bool) {
		j.mu.Lock()
		place := j.ring.tail(tail)
		until := j.ring.next
		j.mu.Unlock()
		if follow {
			until = ^uint64(0)
		}
		for ctx.Err() == nil {
			lines, wake := j.batch(&place, until)
			for _, line := range lines {
				if !yield(line, nil) {
					return
				}
			}
			if len(lines) > 0 {
				continue
			}
			if wake == nil {
				return
			}
			select {
			case <-wake:
			case <-ctx.Done():
			}
		}
	}
}

// batch returns some of the lines from place on and before the number until, and moves place behind them. Where there
// are none yet it returns a channel that is closed when one comes, or nil when none will.
func (j *Journal) batch(place *mark, until uint64) ([]engine.Line, <-chan struct{}) {
	// A batch is small, so that neither the writer waits long nor a stalled reader holds much.
	const mostLines, mostBytes = 64, 16 << 10
	j.mu.Lock()
	defer j.mu.Unlock()
	r := &j.ring
	if place.number >= min(until, r.next) {
		if j.ended || place.number >= until {
			return nil, nil
		}
		if j.wake == nil {
			j.wake = make(chan struct{})
		}
		return nil, j.wake
	}
	var lines []engine.Line
	if place.number < r.first {
		lines = append(lines, j.missed(place.number, min(r.first, until)))
		*place = mark{r.oldest, r.first}
	}
	for size := 0; place.number < min(until, r.next) && len(lines) < mostLines && size < mostBytes; {
		line := j.line(place)
		size += len(line.Text)
		lines = append(lines, line)
	}
	return lines, nil
}

// missed is the line that stands for those from one number up to another, which are not kept any more.
func (j *Journal) missed(from, to uint64) engine.Line {
	e := j.ring.at(j.ring.oldest)
	text := fmt.Sprintf("%d lines are missing here: newer ones took their place before they were read", to-from)
	if to-from == 1 {
		text = "1 line is missing here: newer ones took its place before it was read"
	}
	return engine.Line{Unit: j.name, Run: e.run, Seq: to - 1, Time: time.Unix(0, e.time).UTC(), Stream: Own, Text: text}
}

// line copies the line at m, and moves m behind it.
func (j *Journal) line(m *mark) engine.Line {
	e := j.ring.at(m.position)
	line := engine.Line{
		Unit:    j.name,
		Run:     e.run,
		Seq:     m.number,
		Time:    time.Unix(0, e.time).UTC(),
		Stream:  j.streams[e.stream],
		Text:    j.ring.text(m.position, e),
		Partial: e.partial,
	}
	m.position += uint64(e.size())
	m.number++
	return line
}

// take adds the lines that chunk ends to the journal and the console; s holds what has begun. All of them get the time
// at which the chunk was read.
func (j *Journal) take(s *splitter, run uint64, stream string, chunk []byte) {
	m := j.book.mask.Load()
	clean := !m.mayMatch(chunk)
	j.mu.Lock()
	defer j.mu.Unlock()
	e := entry{time: j.book.now().UnixNano(), run: run, stream: j.stream(stream)}
	for {
		text, partial, rest, ok := s.next(m, clean, chunk)
		if !ok {
			break
		}
		e.partial = partial
		j.add(e, text)
		chunk = rest
	}
	j.rouse()
}

// finish adds what a stream ended with.
func (j *Journal) finish(s *splitter, run uint64, stream string) {
	text, ok := s.last(j.book.mask.Load())
	if !ok {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.add(entry{time: j.book.now().UnixNano(), run: run, stream: j.stream(stream), partial: true}, text)
	j.rouse()
}

// add adds one line. The caller holds j.mu, which keeps journal, files and console in the same order.
func (j *Journal) add(e entry, text []byte) {
	if !j.ended {
		j.ring.append(e, text)
	}
	if s := j.sink.Load(); s != nil {
		s.add(e.time, j.streams[e.stream], e.partial, text)
	}
	if j.show != nil {
		j.display(e, text)
	}
}

// display shows the line that was added last on the console. The caller holds j.mu.
func (j *Journal) display(e entry, text []byte) {
	l := consoleLine{run: e.run, time: e.time, stream: j.streams[e.stream], partial: e.partial, text: text}
	if !j.ended {
		l.seq = j.ring.next - 1
	}
	if j.show.add(&l) && j.turn == nil {
		j.turn = make(chan struct{})
	}
}

// rouse wakes the followers. The caller holds j.mu.
func (j *Journal) rouse() {
	if j.wake != nil {
		close(j.wake)
		j.wake = nil
	}
}

// stream is the index of a stream's name. The caller holds j.mu.
func (j *Journal) stream(name string) uint8 {
	i := slices.Index(j.streams, name)
	if i < 0 {
		i = len(j.streams)
		j.streams = append(j.streams, name)
	}
	return uint8(i)
}

// end lets the followers go once they have read what is kept.
func (j *Journal) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = true
	j.rouse()
}
