package logs

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

const (
	// fileRetry is how long files that could not be written are left alone when there is something to write.
	fileRetry = time.Second
	// fileAgain is after how long they are tried when there is nothing else to write than how many lines are missing.
	fileAgain = 5 * time.Second
	// mostNotes bounds the bytes of pintle's own lines, and of those on /dev/log, that wait for a disk: who adds them never
	// waits for it.
	mostNotes = 64 << 10
	// mostSpare is the size of the largest buffer that is kept for another use.
	mostSpare = 1 << 20
)

// sink takes a unit's lines to its files. The journal adds whole lines, which takes no time to speak of. A capture then
// has them written, and waits for that: a slow disk slows down the unit that writes, and nobody else. For all others a
// goroutine writes, which lives while there is something to write.
//
// Lines that cannot be written are counted, and a line in their place says how many once it works again.
type sink struct {
	name unit.Name
	book *Book

	flushing sync.Mutex // held by who writes; it guards file
	file     file

	mu      sync.Mutex // never held while the disk is waited for
	rule    File
	moved   bool    // rule is another one than file was opened by
	pending *[]byte // whole lines; nil where there are none
	notes   int     // how many bytes of them are of who does not wait
	lost    int     // lines that were not written, behind the last one that was
	problem error   // why not; nil where they came too fast
	retry   time.Time
	timer   *time.Timer // nil unless there is a problem
	waking  bool        // a goroutine of the sink's own writes
	again   bool        // and does so once more
	idle    chan struct{}
	retired bool  // the unit is forgotten: the file is not left open
	stamped int64 // the time that stamp says
	stamp   [len(stampForm)]byte
}

// stampForm is the time in front of a line (RFC 3339).
const stampForm = "2006-01-02T15:04:05.000000Z"

// words are the streams as files have them. A "+" behind one says that no newline ended the line.
var words = map[string]string{engine.Stdout: "out", engine.Stderr: "err", engine.Syslog: "log", Own: Own}

// add adds one line to those that are to be written.
func (s *sink) add(at int64, stream string, partial bool, text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stream == Own || stream == engine.Syslog { // nobody waits who adds these
		if s.notes > mostNotes {
			s.lost++
			return
		}
		s.notes += len(text)
	}
	if s.pending == nil {
		s.pending = s.book.batches.Get().(*[]byte)
	}
	b := *s.pending
	if at != s.stamped {
		var room [2 * len(stampForm)]byte // more is needed than stays
		copy(s.stamp[:], time.Unix(0, at).UTC().AppendFormat(room[:0], stampForm))
		s.stamped = at
	}
	b = append(b, s.stamp[:]...)
	b = append(b, ' ')
	b = append(b, words[stream]...)
	if partial {
		b = append(b, '+')
	}
	b = append(b, ' ')
	b = append(b, text...)
	*s.pending = append(b, '\n')
}

// flush writes what is pending, and waits for the disk.
func (s *sink) flush() {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	for s.round() {
	}
}

// round writes what is pending by now, and tells whether there may be more. The caller holds s.flushing.
func (s *sink) round() bool {
	now := s.book.now()
	s.mu.Lock()
	batch, rule, gap, problem := s.take(), s.rule, s.lost, s.problem
	nothing := batch == nil && gap == 0
	wait := problem != nil && now.Before(s.retry)
	if wait && batch != nil {
		s.lost += lines(*batch)
		s.book.spare(batch)
	}
	shut := s.moved || nothing && s.retired
	s.moved = false
	s.mu.Unlock()

	if shut {
		s.file.close()
	}
	if nothing || wait {
		return false
	}
	if batch == nil {
		batch = s.book.batches.Get().(*[]byte)
	}
	if gap > 0 {
		line := gapLine(now, gap, problem)
		if problem != nil {
			*batch = append(line, *batch...)
		} else {
			*batch = append(*batch, line...)
		}
	}
	n, err := s.file.write(&rule, now, place{}, *batch)
	rest := lines((*batch)[n:])
	s.book.spare(batch)
	if err != nil {
		s.file.close()
	}

	s.mu.Lock()
	if err == nil || problem != nil && n > 0 {
		s.lost -= gap // it has been said
	} else if gap > 0 {
		rest-- // the line about them is none of the unit's
	}
	s.lost += rest
	changed := (err == nil) != (problem == nil)
	if s.problem = err; err != nil {
		s.fail(now)
	} else if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	s.mu.Unlock()
	if changed {
		s.book.changed()
	}
	return err == nil
}

// take takes the pending lines over; nil where there are none. The caller holds s.mu.
func (s *sink) take() *[]byte {
	batch := s.pending
	s.pending, s.notes = nil, 0
	return batch
}

// fail has it tried again after a while. The caller holds s.mu.
func (s *sink) fail(now time.Time) {
	s.retry = now.Add(fileRetry)
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if !s.retired {
		s.timer = after(fileAgain, s.tryAgain)
	}
}

// tryAgain has what is left be written now, whenever it failed last.
func (s *sink) tryAgain() {
	s.mu.Lock()
	s.retry = time.Time{}
	s.mu.Unlock()
	s.wake()
}

// wake has a goroutine write, and waits for nothing.
func (s *sink) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again = true
	if !s.waking {
		s.waking, s.idle = true, make(chan struct{})
		go s.work()
	}
}

// work writes until nobody has woken it meanwhile.
func (s *sink) work() {
	for {
		s.mu.Lock()
		if !s.again {
			s.waking = false
			close(s.idle)
			s.mu.Unlock()
			return
		}
		s.again = false
		s.mu.Unlock()
		s.flush()
	}
}

// change has lines be written by another rule from now on.
func (s *sink) change(f File) {
	s.mu.Lock()
	s.rule, s.moved, s.retry = f, true, time.Time{}
	failing := s.problem != nil
	s.mu.Unlock()
	if failing {
		s.wake()
	}
}

// retire writes what is left, if that can be, and closes the file. What comes after that is still written.
func (s *sink) retire() {
	s.mu.Lock()
	s.retired = true
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	s.mu.Unlock()
	s.tryAgain()
}

// end waits until all is written, or cannot be, or ctx ends; it returns what was left as a clause, "" for nothing.
func (s *sink) end(ctx context.Context) string {
	s.mu.Lock()
	idle := s.idle
	s.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.lost
	if s.pending != nil {
		n += lines(*s.pending)
	}
	switch {
	case n > 0:
		return fmt.Sprintf("%d lines to %s", n, s.rule.current())
	case s.waking:
		return "some lines to " + s.rule.current()
	}
	return ""
}

// condition says what is wrong with the files; "" where nothing is.
func (s *sink) condition() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.problem == nil {
		return ""
	}
	return fmt.Sprintf("the output of %s is kept in memory only: cannot write %s: %v", s.name, s.rule.current(), s.problem)
}

// gapLine stands for lines that were not written.
func gapLine(now time.Time, n int, problem error) []byte {
	text := " lines are missing here: "
	if n == 1 {
		text = " line is missing here: "
	}
	cause := "the disk did not keep up"
	if problem != nil {
		cause = problem.Error()
	}
	return []byte(now.UTC().Format(stampForm) + " " + Own + " " + strconv.Itoa(n) + text + cause + "\n")
}

// fit is how many bytes of whole lines there are in no more than room bytes.
func fit(lines []byte, room int64) int {
	if room >= int64(len(lines)) {
		return len(lines)
	}
	return bytes.LastIndexByte(lines[:max(room, 0)], '\n') + 1
}
