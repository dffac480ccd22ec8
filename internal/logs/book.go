// Package logs keeps what units say: it reads the output of their runs, keeps the newest of it in memory, gives it to
// readers and followers, shows it on the container's console, and writes it to files where a unit has a File, from which it
// gives readers what memory has no more.
//
// It promises that nothing that reads a journal, and nothing that happens to the console, ever makes a service wait that
// was not asked to: a run's pipe is drained at full speed. Only the files of a unit can make it wait, and nobody else, when
// the disk is slower than it writes or full for a moment; so that they have every line. So can the console where
// Output.Wait is set, while somebody may still read it. Where a disk can't be written at all, nobody waits, and lines that
// no file has are said in their place.
//
// Stdout and stderr are kept apart, each in its own order, and every line of a unit has a number that grows by one. The
// bytes of a line are kept as they are: NUL, invalid UTF-8, escape sequences and a "\r" before the newline are the
// service's, and nothing here interprets, replaces or removes them. A line is what stands before a "\n"; where no "\n"
// ended it (it is longer than 64 KiB and goes on in the next line, or the stream ended there) the line is marked Partial. So
// a stream can be put together again byte by byte.
//
// Secret values that Book.Mask was told are masked on the way in, the one change to a line that there is: what is behind
// (the ring, files, the console, readers) never has one.
//
// Memory is bounded: each unit that has written has one ring of at most Options.RingBytes, its bookkeeping included, and
// while it waits for its files a line for each stream more; an idle pipe holds no buffer; a stalled console holds at most
// 1 MiB, beside what one read of each unit that waits for it has brought. The oldest lines make room for new ones.
//
// It does not promise that a line is kept for ever (a journal is memory, and ends with the process; of files the oldest are
// removed), that it is on the disk when the machine goes down (nothing is synced), nor that a terminal is safe from what a
// service prints: who shows lines on a terminal decides what to do about control characters. The console makes prefixed
// lines harmless where it is a terminal itself; to a pipe it writes what it was given, and docker logs shows that.
package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// Own is the stream of the lines that are pintle's own words.
const Own = "pintle"

// DefaultRingBytes is how much of a unit's output is kept where Options does not say.
const DefaultRingBytes = 64 << 10

// Options says how a Book keeps and shows lines.
type Options struct {
	// RingBytes bounds the memory that the lines of one unit take, the bookkeeping of each included; 0 means
	// DefaultRingBytes. The newest line is always kept, even one that is larger than that.
	RingBytes int
	// Console shows the lines of every unit as their Output.Console says; nil shows them nowhere. It may block for as long
	// as it likes. An *os.File is written to without Go's rule that a broken pipe at descriptor 1 or 2 ends the process.
	Console io.Writer
	// ConsoleOut shows the lines of units' standard outputs instead; nil: Console does. Where both are the same file, they
	// are one, and keep the order of all lines.
	ConsoleOut io.Writer
	// ConsoleFormat is how lines of units whose Output.Console is empty are shown, and pintle's own words; empty means
	// unit.ConsolePrefixed. unit.ConsoleNone hides lines of units, but not pintle's words.
	ConsoleFormat unit.ConsoleFormat
	// ConsoleColour allows colours, which are used on a terminal only.
	ConsoleColour bool
	// Now is the clock; nil means the system's.
	Now func() time.Time
	// Changed is called after the text of Conditions may have become another one for a unit's files; nil where nobody
	// wants to know.
	Changed func()
}

// Book holds the output of all units. Its methods and those of its journals may be called by any goroutine.
type Book struct {
	ringBytes int
	now       func() time.Time
	changed   func()
	console   *console  // nil: none
	batches   sync.Pool // of *[]byte, which are empty
	compress  *compressor
	turns     turns
	mask      atomic.Pointer[mask]
	histories atomic.Int32 // how many read files just now

	masking  sync.Mutex          // held by who changes mask
	unmasked map[string]struct{} // values that it was said of that they are not masked; masking guards it

	mu       sync.Mutex
	journals map[unit.Name]*Journal
	leaving  []*Journal             // forgotten ones that may have something to write
	reader   atomic.Pointer[reader] // nil before the first capture, and after Close
	captures map[*capture]struct{}
	closed   bool
	drained  chan struct{} // made by Close, closed when captures is empty
}

// NewBook makes an empty Book. It has no goroutine until something is captured or shown.
func NewBook(o Options) *Book {
	b := &Book{
		ringBytes: o.RingBytes,
		now:       o.Now,
		changed:   o.Changed,
		journals:  map[unit.Name]*Journal{},
		captures:  map[*capture]struct{}{},
		unmasked:  map[string]struct{}{},
	}
	if b.ringBytes <= 0 {
		b.ringBytes = DefaultRingBytes
	}
	if b.now == nil {
		b.now = systemNow
	}
	if b.changed == nil {
		b.changed = func() {}
	}
	if o.Console != nil {
		b.console = newConsole(o, b.now)
	}
	b.compress = newCompressor()
	b.batches.New = func() any { return new([]byte) }
	return b
}

// Journal is the journal of the named unit; it is made on first use, and takes no memory to speak of until the unit
// writes.
func (b *Book) Journal(name unit.Name) *Journal {
	b.mu.Lock()
	defer b.mu.Unlock()
	j, ok := b.journals[name]
	if !ok {
		j = newJournal(b, name)
		j.ended = b.closed
		b.journals[name] = j
	}
	return j
}

// Find is the journal of the named unit, nil where there is none: that of a unit that was removed is not made again.
func (b *Book) Find(name unit.Name) *Journal {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.journals[name]
}

// Forget drops the journal of a unit that was removed. Followers are given what was kept and then end; with the last
// of them the memory is freed. What still comes from the unit's pipes is drained, and goes to the console and the unit's
// files only, which stay.
func (b *Book) Forget(name unit.Name) {
	b.mu.Lock()
	j := b.journals[name]
	delete(b.journals, name)
	said := false
	if j != nil {
		said = j.condition() != ""
		if j.end() {
			b.leaving = append(b.leaving, j)
		}
	}
	b.leaving = slices.DeleteFunc(b.leaving, b.over)
	b.mu.Unlock()
	if said {
		b.changed()
	}
}

// leave frees the forgotten journals for which nothing is to be done any more.
func (b *Book) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leaving = slices.DeleteFunc(b.leaving, b.over)
}

// over tells whether nothing more comes for a forgotten unit's files. The caller holds b.mu.
func (b *Book) over(j *Journal) bool {
	if len(j.captures) > 0 {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.sink == nil || !j.sink.working
}

// Conditions are the things that are not as they should be.
func (b *Book) Conditions() []engine.Condition {
	var list []engine.Condition
	if b.console != nil {
		list = b.console.conditions()
	}
	var files []string
	for _, j := range b.all() {
		if c := j.condition(); c != "" {
			files = append(files, c)
		}
	}
	slices.Sort(files)
	const most = 4 // a disk that is full is so for all units
	if n := len(files) - most; n > 0 {
		files = append(files[:most], fmt.Sprintf("the output of %d more is kept in memory only", n))
	}
	for _, text := range files {
		list = append(list, engine.Conditionf(engine.LogsInMemory, "%s", text))
	}
	return list
}

// all are the journals of all units.
func (b *Book) all() []*Journal {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Values(b.journals))
}

// spare takes a buffer back.
func (b *Book) spare(batch *[]byte) {
	if cap(*batch) <= mostSpare {
		*batch = (*batch)[:0]
		b.batches.Put(batch)
	}
}

// Close waits until every capture has reached its pipe's end and the files and the console have been written, but no
// longer than ctx lasts; then it closes the pipes that are still open and ends all followers. The error says what was
// left: pipes that somebody holds open, lines that a file or the console did not take. Nothing can be captured afterwards.
func (b *Book) Close(ctx context.Context) error {
	var left []string
	if b.console != nil {
		defer b.console.hasten(consoleClosing).Stop()
		defer b.console.hurry()
	}
	if open := b.closeCaptures(ctx); len(open) > 0 {
		left = append(left, "still open: "+enumerate(open))
	}
	b.mu.Lock()
	journals := append(slices.Collect(maps.Values(b.journals)), b.leaving...)
	b.mu.Unlock()
	for _, j := range journals {
		j.end()
	}
	var unwritten []string
	for _, j := range journals {
		if text := j.written(ctx); text != "" {
			unwritten = append(unwritten, text)
		}
	}
	b.compress.close(ctx)
	if len(unwritten) > 0 {
		slices.Sort(unwritten)
		left = append(left, "not written: "+enumerate(unwritten))
	}
	if b.console != nil {
		if n := b.console.flush(ctx); n > 0 {
			left = append(left, fmt.Sprintf("not written to the console: %d lines", n))
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("cannot finish the logs: %s", strings.Join(left, "; "))
	}
	return nil
}

// closeCaptures waits for the captures and ends those that ctx does not leave time for; it returns their names.
func (b *Book) closeCaptures(ctx context.Context) []string {
	b.mu.Lock()
	b.closed = true
	if b.drained == nil {
		b.drained = make(chan struct{})
		if len(b.captures) == 0 {
			close(b.drained)
		}
	}
	drained := b.drained
	b.mu.Unlock()

	select {
	case <-drained:
	case <-ctx.Done():
	}
	b.mu.Lock()
	open := slices.Collect(maps.Keys(b.captures))
	r := b.reader.Swap(nil)
	b.mu.Unlock()
	names := make([]string, len(open))
	for i, c := range open {
		names[i] = c.String()
	}
	slices.Sort(names)
	if r != nil {
		r.do(r.giveUp)
		r.stop()
	}
	return names
}

// read has the reader read c. Where the book is closed, nobody does.
func (b *Book) read(c *capture) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return unix.Close(c.fd)
	}
	r := b.reader.Load()
	if r == nil {
		var err error
		if r, err = newReader(); err != nil {
			return errors.Join(err, unix.Close(c.fd))
		}
		b.reader.Store(r)
	}
	b.captures[c] = struct{}{}
	c.journal.captures = append(c.journal.captures, c)
	r.do(func() { r.add(c) })
	return nil
}

// resume has the reader go on with captures that were left alone. The journal's lock may be held.
func (b *Book) resume(list []*capture) {
	if r := b.reader.Load(); r != nil {
		r.do(func() {
			for _, c := range list {
				r.resume(c)
			}
		})
	}
}

// remove takes c, which has ended, out of the set of captures.
func (b *Book) remove(c *capture) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.captures, c)
	c.journal.captures = slices.DeleteFunc(c.journal.captures, func(other *capture) bool { return other == c })
	b.leaving = slices.DeleteFunc(b.leaving, b.over)
	if c.over != nil {
		close(c.over)
		c.over = nil
	}
	if len(b.captures) == 0 && b.drained != nil {
		close(b.drained)
	}
}

// enumerate lists words for a sentence, and not all of many.
func enumerate(words []string) string {
	const most = 8
	if len(words) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
	}
	return strings.Join(words, ", ")
}
