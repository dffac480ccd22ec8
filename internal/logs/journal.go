package logs

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// Journal holds the newest lines of one unit, across its runs.
type Journal struct {
	book *Book
	name unit.Name
	// began is when this was, in microseconds since 1970: lines are numbered from there on.
	began uint64
	show  *share // nil where there is no console
	// captures are those that are read into it. The book's mutex guards them.
	captures []*capture

	mu      sync.Mutex
	ring    ring
	streams []string // the names of the streams seen, few; a line holds an index
	words   []string // the same as files have them, with a space behind
	sink    *sink    // nil where the lines go to no files
	// omitted counts lines that were left out behind the newest one; omittedRun is the run of the last of them.
	omitted    int
	omittedRun uint64
	paused     []*capture // those that wait for the files; the reader leaves them alone
	open       []uint64   // the run of each capture
	newest     uint64     // the newest run that was captured
	// wake is made by a follower that has read everything, and closed and forgotten by the next line.
	wake chan struct{}
	// full is set while the console wants the unit to wait.
	full bool
	// ended is set once the unit is forgotten, or the book closed: lines from the number last on are for the files only.
	ended bool
	last  uint64
}

func newJournal(b *Book, name unit.Name) *Journal {
	began := uint64(b.now().UnixMicro())
	j := &Journal{book: b, name: name, began: began, ring: ring{limit: b.ringBytes, held: nothingHeld, first: began + 1, next: began + 1}}
	if b.console != nil {
		j.show = b.console.join(name, j.goOn)
	}
	return j
}

// Note adds a line of pintle's own, on the stream Own: "exited with code 1". A text of several lines becomes several. It
// never waits.
// On the console it reads "pintle | NAME: exited with code 1", so that a service cannot speak in pintle's name.
func (j *Journal) Note(run uint64, text string) {
	j.Add(run, Own, []byte(strings.TrimSuffix(text, "\n")))
}

// Add adds lines that come by themselves, as a message on /dev/log does; each is masked. It never waits: where the unit's
// files do not keep up, lines are left out, and counted.
func (j *Journal) Add(run uint64, stream string, text []byte) {
	m := j.book.mask.Load()
	clean := !m.mayMatch(text)
	j.mu.Lock()
	defer j.mu.Unlock()
	e := entry{time: j.book.now().UnixMicro(), run: run, stream: j.stream(stream)}
	var s splitter
	for chunk := append(text, '\n'); ; {
		line, partial, rest, ok := s.next(m, clean, chunk)
		if !ok {
			break
		}
		e.partial = partial
		j.insert(e, line)
		chunk = rest
	}
	j.rouse()
}

// insert adds a line whose sender can't be made to wait. Where the ring is full of lines that are held, it is left out, and
// counted: it must not cost those that somebody waits with. The caller holds j.mu.
func (j *Journal) insert(e entry, text []byte) {
	if j.omitted > 0 || j.held(5) {
		j.omitted++
		j.omittedRun = e.run
		return
	}
	j.add(e, text)
}

// sayOmitted adds a line that says how many were left out. The caller holds j.mu.
func (j *Journal) sayOmitted() {
	e := entry{time: j.book.now().UnixMicro(), run: j.omittedRun, stream: j.stream(Own)}
	text := appendMissing(nil, uint64(j.omitted), tooSlow)
	j.omitted = 0
	j.add(e, text)
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

// Configure has all that hold for the lines from now on, and File also for those that are not written yet. It waits for
// nothing.
func (j *Journal) Configure(o Output) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.show != nil {
		j.show.configure(o.Console, o.Wait)
	}
	j.ring.limit = cmp.Or(o.RingBytes, j.book.ringBytes)
	s := j.sink
	switch {
	case o.File == nil && s != nil:
		s.last, s.retired = j.ring.next, true
		s.stopRetry()
	case o.File == nil:
	case s == nil:
		j.sink = &sink{file: file{rotated: j.book.compress.enqueue}, rule: *o.File, drop: o.Drop, next: mark{j.ring.end, j.ring.next}}
	default:
		s.rule, s.drop, s.moved, s.last, s.retired = *o.File, o.Drop, true, 0, j.ended
		s.stopRetry()
	}
	j.hold()
	j.write()
}

// goOn lets the captures go on that the console wanted to wait.
func (j *Journal) goOn() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.full = false
	j.hold()
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

// line copies the line at m, and moves m behind it.
func (j *Journal) line(m *mark) engine.Line {
	e := j.ring.at(m.position)
	line := engine.Line{
		Unit:    j.name,
		Run:     e.run,
		Seq:     m.number,
		Time:    time.UnixMicro(e.time).UTC(),
		Stream:  j.streams[e.stream],
		Text:    j.ring.text(m.position, e),
		Partial: e.partial,
	}
	m.after(e)
	return line
}

// take adds the lines that chunk ends to the journal and the console; s holds what has begun. All of them get the time
// at which the chunk was read. Where the unit must wait for its files it returns what is not taken yet, if only of no bytes;
// see pause.
func (j *Journal) take(s *splitter, run uint64, stream string, chunk []byte) (rest []byte, wait bool) {
	m := j.book.mask.Load()
	clean := !m.mayMatch(chunk)
	j.mu.Lock()
	defer j.mu.Unlock()
	e := entry{time: j.book.now().UnixMicro(), run: run, stream: j.stream(stream)}
	for !wait {
		text, partial, rest, ok := s.next(m, clean, chunk)
		if !ok {
			chunk = nil
			break
		}
		e.partial = partial
		j.add(e, text)
		chunk = rest
		wait = j.held(3) || j.full
	}
	j.rouse()
	return chunk, wait
}

// begin notes that a stream of a run is captured.
func (j *Journal) begin(run uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.open = append(j.open, run)
	j.newest = max(j.newest, run)
}

// finish adds what a stream ended with.
func (j *Journal) finish(s *splitter, run uint64, stream string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if text, ok := s.last(j.book.mask.Load()); ok {
		j.add(entry{time: j.book.now().UnixMicro(), run: run, stream: j.stream(stream), partial: true}, text)
	}
	if i := slices.Index(j.open, run); i >= 0 {
		j.open = slices.Delete(j.open, i, i+1)
	}
	j.rouse() // also those who follow a run, which may be over
}

// add adds one line. The caller holds j.mu, which keeps journal, files and console in the same order.
func (j *Journal) add(e entry, text []byte) {
	j.ring.append(e, text)
	if j.show != nil {
		j.display(e, text)
	}
}

// display shows the line that was added last on the console. The caller holds j.mu.
func (j *Journal) display(e entry, text []byte) {
	l := consoleLine{run: e.run, seq: j.ring.next - 1, time: e.time, stream: j.streams[e.stream], partial: e.partial, text: text}
	if j.show.add(&l) {
		j.full = true
	}
}

// rouse has what was added be written, and wakes the followers. The caller holds j.mu.
func (j *Journal) rouse() {
	j.write()
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
		j.words = append(j.words, words[name]+" ")
	}
	return uint8(i)
}

// end lets the followers go once they have read what is kept, and has the files be closed. It tells whether there are any.
func (j *Journal) end() (files bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.ended {
		j.ended, j.last = true, j.ring.next
	}
	if s := j.sink; s != nil {
		s.retired = true
		s.stopRetry()
	}
	j.rouse()
	return j.sink != nil
}
