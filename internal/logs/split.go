package logs

import "bytes"

// maxLine is the greatest length of a line's text in bytes; what is longer goes in parts.
const maxLine = 64 << 10

// splitter cuts a stream into lines. Between chunks it holds the beginning of a line whose end has not come yet.
type splitter struct {
	begun []byte // shorter than or as long as maxLine
}

// next takes the first line off chunk, and returns its text, whether it is a part (see engine.Line), and what remains
// of chunk. It returns ok false when chunk holds no end of a line: all of it is then kept. The text is valid until the
// next call.
//
// A part is cut when the byte that would make the line longer than maxLine has come, so a line of just that length is
// whole. It may be cut inside a character.
func (s *splitter) next(chunk []byte) (text []byte, partial bool, rest []byte, ok bool) {
	room := maxLine - len(s.begun)
	end := bytes.IndexByte(chunk[:min(len(chunk), room+1)], '\n')
	switch {
	case end >= 0:
		text, rest = chunk[:end], chunk[end+1:]
	case len(chunk) > room:
		text, rest, partial = chunk[:room], chunk[room:], true
	default:
		s.begun = append(s.begun, chunk...)
		return nil, false, nil, false
	}
	if len(s.begun) > 0 {
		text = append(s.begun, text...)
		s.begun = text[:0]
	}
	return text, partial, rest, true
}

// last returns what the stream ended with, where no newline ended it.
func (s *splitter) last() (text []byte, ok bool) {
	text, s.begun = s.begun, nil
	return text, len(text) > 0
}

// rest gives the memory back while no line has begun.
func (s *splitter) rest() {
	if len(s.begun) == 0 {
		s.begun = nil
	}
}
