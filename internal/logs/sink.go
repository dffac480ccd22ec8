package logs

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"pintle/internal/engine"
)

const (
	// patience is how long a unit waits for files that take nothing, before it goes on without them.
	patience = 20 * time.Second
	// fileRetry is after how long files that could not be written are tried again where the unit waits for them.
	fileRetry = time.Second
	// fileAgain is the same where nobody waits.
	fileAgain = 5 * time.Second
	// batchBytes is about how much is written at a time.
	batchBytes = 64 << 10
	// mostSpare is the size of the largest buffer that is kept for another use.
	mostSpare = 256 << 10
)

// sink takes a journal's lines to its files. It reads them from the ring, in a goroutine that lives while there is
// something to write. What it has not written yet, the ring holds, and the unit that writes it waits where it fills most
// of the ring: a slow disk slows down the unit that writes, and nobody else.
//
// Nobody waits, and what is not written yet makes room for what comes, where the unit is not to wait, where the
// files can't be written for another cause than a full disk, or have taken nothing for as long as patience lasts. In place
// of lines that were not written, one says how many. All that is found out by comparing numbers of lines: nothing counts.
//
// The journal's lock guards it, but for the file, which is the goroutine's.
type sink struct {
	file file

	rule    File
	drop    bool   // the unit is not to wait
	next    mark   // the first line that is not written; the ring may have dropped it
	last    uint64 // 0, or the number of the line before which it ends
	moved   bool   // rule is another one than file was opened by
	retired bool   // nothing more is expected: the file is not left open, and not tried again

	working bool
	idle    chan struct{} // closed when the goroutine ends
	problem error         // why it could not be written last
	failed  time.Time     // when that was
	retry   *time.Timer   // not nil: it is not tried before that, nor for fileRetry
	waiting *time.Timer   // not nil: a unit waits, and nothing was written since it does
	tired   bool          // patience is over, until something is written
}

// words are the streams as files have them. A "+" behind one says that no newline ended the line.
var words = map[string]string{engine.Stdout: "out", engine.Stderr: "err", engine.Syslog: "log", Own: "pintle"}

// batch is what is written at a time: lines of one run with consecutive numbers.
type batch struct {
	rule  File
	at    place
	lines *[]byte
	end   mark // behind the last one
	gap   bool // it is one line, which stands for those that are missing
	shut  bool // there are no lines, but the file is to be closed
}

// hold has the ring keep what is not written yet, if it is to. The caller holds j.mu.
func (j *Journal) hold() {
	s := j.sink
	if s == nil || s.drop || s.tired || s.problem != nil && !temporary(s.problem) {
		j.ring.held = nothingHeld
	} else {
		j.ring.held = s.next.position
	}
	if j.omitted > 0 && !j.held(1) {
		j.sayOmitted()
		j.rouse()
	}
	if len(j.paused) > 0 && !j.held(1) && !j.full {
		if s != nil {
			s.waits(nil)
		}
		j.book.resume(j.paused)
		j.paused = nil
	}
}

// held tells whether as many quarters of the ring are held. The caller holds j.mu.
func (j *Journal) held(quarters int) bool {
	return j.ring.held != nothingHeld && j.ring.behind(j.ring.held) > j.ring.limit/4*quarters
}

// waits sets or takes away the timer of patience.
func (s *sink) waits(t *time.Timer) {
	if s.waiting != nil {
		s.waiting.Stop()
	}
	s.waiting = t
}

// pause has a capture be resumed once the unit need not wait any more; it returns false where that is so by now.
func (j *Journal) pause(c *capture) bool {
	j.mu.Lock()
	wait := j.held(1) || j.full
	s := j.sink
	if wait {
		j.paused = append(j.paused, c)
		if s != nil && s.waiting == nil && j.held(1) {
			s.waits(after(patience, func() { j.lose(s) }))
		}
	}
	changed := wait && s != nil && s.problem != nil
	j.mu.Unlock()
	if changed {
		j.book.changed()
	}
	return wait
}

// lose has nobody wait any more for files that take nothing.
func (j *Journal) lose(s *sink) {
	j.mu.Lock()
	tired := j.sink == s && s.waiting != nil
	if tired {
		s.waits(nil)
		s.tired = true
		j.hold()
	}
	j.mu.Unlock()
	if tired {
		j.book.changed()
	}
}

// write has a goroutine write what is not written yet, unless one does, or it is too early. The caller holds j.mu.
func (j *Journal) write() {
	s := j.sink
	if s != nil && s.retry != nil && j.book.now().Sub(s.failed) >= fileRetry {
		s.stopRetry()
	}
	if s == nil || s.working || s.retry != nil || s.next.number >= j.ring.next && !s.moved && !(s.retired && s.file.f != nil) && s.last == 0 {
		return
	}
	s.working, s.idle = true, make(chan struct{})
	go j.work(s)
}

// again has it be tried now.
func (j *Journal) again(s *sink) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s.stopRetry()
	if j.sink == s {
		j.write()
	}
}

func (s *sink) stopRetry() {
	if s.retry != nil {
		s.retry.Stop()
		s.retry = nil
	}
}

// work writes until there is nothing left, or it can't be.
func (j *Journal) work(s *sink) {
	for {
		j.mu.Lock()
		b, ok := j.nextBatch(s)
		if !ok {
			s.working = false
			close(s.idle)
			gone := s.problem != nil && j.sink != s
			left := j.ended
			j.mu.Unlock()
			if gone {
				j.book.changed()
			}
			if left {
				j.book.leave()
			}
			return
		}
		j.mu.Unlock()
		if b.shut {
			s.file.close()
			continue
		}
		done := j.book.turns.take(b.rule.Directory)
		n, err := s.file.write(&b.rule, j.book.now(), b.at, *b.lines)
		if err != nil {
			s.file.close()
		}
		done()
		written := lines((*b.lines)[:n])
		j.book.spare(b.lines)

		j.mu.Lock()
		changed := j.wrote(s, b, written, err)
		j.mu.Unlock()
		if changed {
			j.book.changed()
		}
	}
}

// nextBatch is what is to be written next; ok is false where there is nothing, or it is too early. The caller holds j.mu.
func (j *Journal) nextBatch(s *sink) (b batch, ok bool) {
	end := j.ring.next
	if s.last != 0 {
		end = min(end, s.last)
	}
	nothing := s.next.number >= end
	switch {
	case s.moved || nothing && s.retired && s.file.f != nil:
		s.moved = false
		return batch{shut: true}, true
	case nothing && s.last != 0 && j.sink == s && !j.ended: // else it is still to be said what was not written
		j.sink = nil
		j.hold()
		return batch{}, false
	case nothing || s.retry != nil:
		return batch{}, false
	}
	lines := j.book.batches.Get().(*[]byte)
	b = batch{rule: s.rule, lines: lines}
	if s.next.number < j.ring.first {
		b.end, b.gap = mark{j.ring.oldest, j.ring.first}, true
		e := j.ring.at(b.end.position)
		b.at = place{began: j.began, run: e.run, seq: s.next.number}
		*lines = gapLine(*lines, e.time, min(b.end.number, end)-s.next.number, s.problem)
		return b, true
	}
	m := s.next
	first := j.ring.at(m.position)
	b.at = place{began: j.began, run: first.run, seq: m.number}
	var room [2 * len(stampForm)]byte // more is needed than stays
	stamp, stamped := room[:0], first.time-1
	for m.number < end && len(*lines) < batchBytes {
		e := j.ring.at(m.position)
		if e.run != first.run {
			break
		}
		if e.time != stamped {
			stamped = e.time
			stamp = appendStamp(stamp[:0], stamped)
		}
		*lines = append(*lines, stamp...)
		*lines = append(*lines, j.words[e.stream]...)
		if e.partial {
			(*lines)[len(*lines)-1] = '+'
			*lines = append(*lines, ' ')
		}
		head, tail := j.ring.pieces(m.position+headerSize, e.length)
		*lines = append(*lines, head...)
		*lines = append(*lines, tail...)
		*lines = append(*lines, '\n')
		m.after(e)
	}
	b.end = m
	return b, true
}

// wrote notes how many lines of a batch were written, and why not all. It tells whether the conditions may be others. The
// caller holds j.mu.
func (j *Journal) wrote(s *sink, b batch, written int, err error) (changed bool) {
	was, tired := s.problem, s.tired
	switch {
	case err == nil:
		s.next = b.end
	case !b.gap: // that is none of the lines that it stands for
		if s.next.number += uint64(written); s.next.number >= j.ring.first {
			s.next = j.ring.tail(int(j.ring.next - s.next.number))
		}
	}
	if written > 0 {
		s.tired = false
		s.waits(nil)
	}
	if s.problem = err; err != nil && !s.retired {
		pause := fileAgain
		if len(j.paused) > 0 {
			pause = fileRetry
		}
		s.failed = j.book.now()
		s.retry = after(pause, func() { j.again(s) })
	}
	if err != nil && s.retired {
		s.last, s.tired = s.next.number, true // it is not tried again
	}
	if j.sink == s {
		j.hold()
		if len(j.paused) > 0 && s.waiting == nil {
			s.waits(after(patience, func() { j.lose(s) }))
		}
	}
	return (was == nil) != (err == nil) || tired != s.tired
}

// written waits until all is in the files, or can't be, or ctx ends; it returns what was left as a clause, "" for nothing.
func (j *Journal) written(ctx context.Context) string {
	j.mu.Lock()
	s := j.sink
	if s == nil {
		j.mu.Unlock()
		return ""
	}
	idle := s.idle
	j.mu.Unlock()
	if idle != nil {
		select {
		case <-idle:
		case <-ctx.Done():
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch n := j.ring.next - s.next.number; {
	case n > 0:
		return fmt.Sprintf("%d lines to %s", n, s.rule.current())
	case s.working:
		return "some lines to " + s.rule.current()
	}
	return ""
}

// condition says what is wrong with the files; "" where nothing is.
func (j *Journal) condition() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.sink
	switch {
	case s == nil:
	case s.problem != nil && len(j.paused) > 0:
		return fmt.Sprintf("%s waits for its log: cannot write %s: %v", j.name, s.rule.current(), s.problem)
	case s.problem != nil:
		return fmt.Sprintf("the output of %s is kept in memory only: cannot write %s: %v", j.name, s.rule.current(), s.problem)
	case s.tired:
		return fmt.Sprintf("the output of %s is kept in memory only: %s has taken nothing for %v", j.name, s.rule.current(), patience)
	}
	return ""
}

// appendStamp appends the time in front of a line (RFC 3339), and a space.
func appendStamp(b []byte, microseconds int64) []byte {
	return append(time.UnixMicro(microseconds).UTC().AppendFormat(b, stampForm), ' ')
}

// stampForm is the time in front of a line.
const stampForm = "2006-01-02T15:04:05.000000Z"

// gapLine stands for lines that were not written.
func gapLine(b []byte, at int64, n uint64, problem error) []byte {
	cause := tooSlow
	if problem != nil {
		cause = problem.Error()
	}
	b = append(appendStamp(b, at), Own+" "...)
	return append(appendMissing(b, n, cause), '\n')
}

// tooSlow is why lines are missing where nothing has failed.
const tooSlow = "the disk did not keep up"

// areMissing is in each line that stands for others.
const areMissing = " missing here: "

// appendMissing appends that so many lines are not there, and why.
func appendMissing(b []byte, n uint64, cause string) []byte {
	are := " lines are"
	if n == 1 {
		are = " line is"
	}
	return append(append(append(strconv.AppendUint(b, n, 10), are...), areMissing...), cause...)
}

// fit is how many bytes of whole lines there are in no more than room bytes.
func fit(lines []byte, room int64) int {
	if room >= int64(len(lines)) {
		return len(lines)
	}
	return bytes.LastIndexByte(lines[:max(room, 0)], '\n') + 1
}
