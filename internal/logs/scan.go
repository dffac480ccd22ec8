package logs

import (
	"bufio"
	"errors"
	"io"
	"time"

	"pintle/internal/engine"
)

// leastRead is how much of a file is read at least, before the rest of it is left: who may write a file may make it of
// any size, and a compressed one a thousand times smaller than what it holds.
const leastRead = 1 << 30

// mostRead is how much of a file is read.
func (r *File) mostRead() int64 { return max(leastRead, 2*r.Size) }

// errTooLarge is why the rest of a file is not read.
var errTooLarge = errors.New("it is too large to be read to its end")

const (
	// scanBuffer is the size of a scanner's buffer. It is small, since many may read at a time.
	scanBuffer = 4 << 10
	// scanLine is how much of a line is read at a time: the longest one that is written to a file fits in it.
	scanLine = scanBuffer * ((len(stampForm)+len(" pintle+ ")+maxLine)/scanBuffer + 1)
)

// scanner takes the text of one file apart, in bounded memory whatever it holds. What pintle has not written, or wrote
// before there were markers, it takes for lines too.
type scanner struct {
	r      *bufio.Reader
	began  int64 // the offset of what was read last
	offset int64 // and of what is read next
	end    int64 // no line that begins there or behind it is read
	most   int64 // the end that a file has for its size alone

	marker bool // what was read last is a marker, not a line
	line   engine.Line
	text   []byte // the line's; valid until the next one
	long   []byte // what is longer than the buffer
	run    runPlace
	next   place // of the line that comes next, where there was a marker
	known  bool
	begun  bool // the line is longer than any of pintle's, and goes on in the next one
}

// runPlace tells a run from all others of its unit: when the journal began that has its lines, and its number there.
type runPlace struct{ began, run uint64 }

// compare is negative where a run is older than another one.
func (p runPlace) compare(other runPlace) int {
	switch {
	case p == other:
		return 0
	case p.began < other.began || p.began == other.began && p.run < other.run:
		return -1
	}
	return 1
}

// read reads the next marker or line, and returns io.EOF at the end.
func (s *scanner) read() error {
	switch {
	case s.offset >= s.most:
		return errTooLarge
	case s.offset >= s.end && !s.begun:
		return io.EOF
	}
	data, err := s.slice()
	s.began = s.offset
	s.offset += int64(len(data))
	goesOn := err == bufio.ErrBufferFull
	if len(data) == 0 && err != nil {
		return bare(err)
	}
	if err == nil {
		data = data[:len(data)-1]
	}
	if s.begun {
		s.begun, s.text, s.line.Partial = goesOn, data, err != nil
		return nil
	}
	s.begun = goesOn
	at, marker := cutMarker(data)
	if s.marker = marker && err == nil; s.marker {
		s.next, s.known = at, true
		return nil
	}
	when, stream, partial, text, ok := cutLine(data)
	if !ok { // somebody else's
		s.line.Stream, s.line.Partial, s.text = engine.Stdout, err != nil, data
		return nil
	}
	s.line.Time, s.line.Stream, s.line.Partial, s.text = when, stream, partial || err != nil, text
	if s.known {
		s.line.Run, s.line.Seq, s.run = s.next.run, s.next.seq, runPlace{s.next.began, s.next.run}
		s.next.seq++
	}
	return nil
}

// slice reads to the end of a line, but no more than scanLine; bufio.ErrBufferFull says that the line goes on.
func (s *scanner) slice() ([]byte, error) {
	s.long = nil
	data, err := s.r.ReadSlice('\n')
	for err == bufio.ErrBufferFull && len(s.long)+len(data) < scanLine {
		s.long = append(s.long, data...)
		data, err = s.r.ReadSlice('\n')
	}
	if len(s.long) > 0 {
		s.long = append(s.long, data...)
		data = s.long
	}
	return data, err
}

// query selects lines. Zero fields but for tail select all.
type query struct {
	// after has only lines with a greater number be selected, before only those with a smaller one.
	after, before uint64
	since, until  time.Time
	run           *runPlace
	// tail is how many lines there are at most, the newest; negative: no matter how many.
	tail int
}

// selects tells whether what was read last is a line that is asked for.
func (q *query) selects(s *scanner) bool {
	switch l := &s.line; {
	case s.marker,
		q.after > 0 && l.Seq <= q.after,
		q.before > 0 && l.Seq >= q.before,
		!q.since.IsZero() && l.Time.Before(q.since),
		!q.until.IsZero() && l.Time.After(q.until),
		q.run != nil && *q.run != s.run:
		return false
	}
	return true
}
