package logs

import "encoding/binary"

// headerSize is what a line takes in a ring beside its text: time (8 bytes), run (8), length (4), stream (1), partial (1).
const headerSize = 22

// entry is a line without its text, as a ring keeps it.
type entry struct {
	time    int64 // nanoseconds since 1970, UTC
	run     uint64
	length  int
	stream  uint8 // index in Journal.streams
	partial bool
}

// size is what the line takes in the ring.
func (e entry) size() int { return headerSize + e.length }

// ring keeps the newest lines in one circular buffer of bytes, without a pointer or an allocation for a single line.
// The buffer is made when the first line comes, and doubles up to limit; beyond limit it grows only for a single line
// that is larger.
//
// A line stands at a position that counts all bytes ever written and never changes; its place in the buffer is the
// position modulo the buffer's length. Headers and texts run across the buffer's end.
type ring struct {
	limit  int
	buf    []byte
	oldest uint64 // position of the oldest line kept
	end    uint64 // position behind the newest line
	first  uint64 // number of the oldest line kept
	next   uint64 // number that the next line gets; equal to first only before the first line
}

// mark is a place in a ring: the position of the line with a number.
type mark struct {
	position uint64
	number   uint64
}

// append adds a line and drops the oldest ones that it needs the room of. e.length is set here.
func (r *ring) append(e entry, text []byte) {
	e.length = len(text)
	r.makeRoom(e.size())
	var h [headerSize]byte
	binary.LittleEndian.PutUint64(h[0:], uint64(e.time))
	binary.LittleEndian.PutUint64(h[8:], e.run)
	binary.LittleEndian.PutUint32(h[16:], uint32(e.length))
	h[20] = e.stream
	if e.partial {
		h[21] = 1
	}
	put(r.buf, r.end, h[:])
	put(r.buf, r.end+headerSize, text)
	r.end += uint64(e.size())
	r.next++
}

// makeRoom makes size bytes behind the newest line free.
func (r *ring) makeRoom(size int) {
	for r.oldest < r.end && r.used()+size > r.limit {
		r.oldest += uint64(r.at(r.oldest).size())
		r.first++
	}
	need := r.used() + size
	if need <= len(r.buf) {
		return
	}
	const least = 128
	grown := make([]byte, max(need, min(max(least, 2*len(r.buf)), r.limit)))
	head, tail := r.pieces(r.oldest, r.used())
	put(grown, r.oldest, head)
	put(grown, r.oldest+uint64(len(head)), tail)
	r.buf = grown
}

// used is the number of bytes that the kept lines take.
func (r *ring) used() int { return int(r.end - r.oldest) }

// at reads the header of the line at a position.
func (r *ring) at(position uint64) entry {
	var h [headerSize]byte
	head, tail := r.pieces(position, headerSize)
	copy(h[copy(h[:], head):], tail)
	return entry{
		time:    int64(binary.LittleEndian.Uint64(h[0:])),
		run:     binary.LittleEndian.Uint64(h[8:]),
		length:  int(binary.LittleEndian.Uint32(h[16:])),
		stream:  h[20],
		partial: h[21] == 1,
	}
}

// text copies the text of the line at a position, whose header is e.
func (r *ring) text(position uint64, e entry) string {
	head, tail := r.pieces(position+headerSize, e.length)
	if len(tail) == 0 {
		return string(head)
	}
	return string(head) + string(tail)
}

// tail is the mark of the line that is the nth from the newest; of the oldest kept where there are fewer, or n is
// negative.
func (r *ring) tail(n int) mark {
	m := mark{r.oldest, r.first}
	if n < 0 {
		return m
	}
	for r.next-m.number > uint64(n) {
		m.position += uint64(r.at(m.position).size())
		m.number++
	}
	return m
}

// pieces are the n bytes from a position on: two pieces where they run across the buffer's end.
func (r *ring) pieces(position uint64, n int) (head, tail []byte) {
	if n == 0 {
		return nil, nil
	}
	start := int(position % uint64(len(r.buf)))
	if start+n <= len(r.buf) {
		return r.buf[start : start+n], nil
	}
	return r.buf[start:], r.buf[:start+n-len(r.buf)]
}

// put writes b into a circular buffer from a position on.
func put(buf []byte, position uint64, b []byte) {
	start := int(position % uint64(len(buf)))
	copy(buf, b[copy(buf[start:], b):])
}
