package logs

import "bytes"

// maxLine is the greatest length of a line's text in bytes; what is longer goes in parts.
const maxLine = 64 << 10

// splitter cuts a stream into lines. Between chunks it holds the beginning of a line whose end has not come yet.
type splitter struct {
	begun []byte // shorter than or as long as maxLine
	// covered is how many bytes at the beginning of the line that comes belong to a secret value that the part before it
	// has the beginning of, and the "***" too.
	covered int
}

// next takes the first line off chunk, and returns its text, masked, whether it is a part (see engine.Line), and what
// remains of chunk. It returns ok false when chunk holds no end of a line: all of it is then kept. The text is valid
// until the next call. That the chunk is clean tells that m finds nothing in it.
//
// A part is cut when the byte that would make the line longer than maxLine has come, so a line of just that length is
// whole. It may be cut inside a character, but what may be the beginning of a secret value goes to the next part.
func (s *splitter) next(m *mask, clean bool, chunk []byte) (text []byte, partial bool, rest []byte, ok bool) {
	room := maxLine - len(s.begun)
	end := bytes.IndexByte(chunk[:min(len(chunk), room+1)], '\n')
	switch {
	case end >= 0:
		text, rest = chunk[:end], chunk[end+1:]
	case len(chunk) > room:
		text, rest = s.part(m, chunk[:room], chunk)
		return text, true, rest, true
	default:
		s.begun = append(s.begun, chunk...)
		return nil, false, nil, false
	}
	if len(s.begun) > 0 {
		text = append(s.begun, text...)
		s.begun = text[:0]
		clean = false
	}
	if !clean || s.covered > 0 {
		text, _ = m.apply(text, s.covered, len(text), nil)
		s.covered = 0
	}
	return text, false, rest, true
}

// part takes a part off what has begun and the head of chunk, which are maxLine bytes together.
func (s *splitter) part(m *mask, head, chunk []byte) (text, rest []byte) {
	old := len(s.begun)
	if old > 0 {
		head = append(s.begun, head...)
	}
	n := m.cut(head)
	text, s.covered = m.apply(head, s.covered, n, nil)
	if n < old {
		s.begun = head[n:old]
		return text, chunk
	}
	if old > 0 { // else it is the chunk's memory
		s.begun = head[:0]
	}
	return text, chunk[n-old:]
}

// last returns what the stream ended with, masked, where no newline ended it.
func (s *splitter) last(m *mask) (text []byte, ok bool) {
	text, _ = m.apply(s.begun, s.covered, len(s.begun), nil)
	ok = len(s.begun) > 0
	s.begun, s.covered = nil, 0
	return text, ok
}

// rest gives the memory back while no line has begun.
func (s *splitter) rest() {
	if len(s.begun) == 0 {
		s.begun = nil
	}
}
