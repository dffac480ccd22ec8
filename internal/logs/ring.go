package logs

import "encoding/binary"

// headerSize is what a line takes in a ring beside its text: time (8 bytes), run (8), length (4), stream (1), partial (1).
const headerSize = 22

// entry is a line without its text, as a ring keeps it.
type entry struct {
	time    int64 // microseconds since 1970
	run     uint64
	length  int
	stream  uint8 // index in Journal.streams
	partial bool
}

// size is what the line takes in the ring.
func (e entry) size() int { return headerSize + e.length }

// nothingHeld is a position that no line ever has.
const nothingHeld = ^uint64(0)

// ring keeps the newest lines in one circular buffer of bytes, without a pointer or an allocation for a single line.
// The buffer is made when the first line comes, and doubles up to limit; beyond limit it grows only for a single line
// that is larger, and for lines that are held.
//
// A line stands at a position that counts all bytes ever written and never changes; its place in the buffer follows from
// lap. Headers and texts run across the buffer's end.
type ring struct {
	limit  int
	buf    []byte
	lap    uint64 // the newest position that is at the buffer's beginning; not behind end
	oldest uint64 // position of the oldest line kept
	end    uint64 // position behind the newest line
	held   uint64 // the line there and those behind it make no room: who adds them stops soon (Journal.held)
	first  uint64 // number of the oldest line kept
	next   uint64 // number that the next line gets; equal to first only before the first line
}

// mark is a place in a ring: the position of the line with a number.
type mark struct {
	position uint64
	number   uint64
}

// after moves m behind the line e, which is there.
func (m *mark) after(e entry) {
	m.position += uint64(e.size())
	m.number++
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
	r.put(h[:])
	r.put(text)
	r.next++
}

// put writes b behind the end, where room has been made.
func (r *ring) put(b []byte) {
	start := int(r.end - r.lap)
	n := copy(r.buf[start:], b)
	if start+len(b) >= len(r.buf) {
		copy(r.buf, b[n:])
		r.lap += uint64(len(r.buf))
	}
	r.end += uint64(len(b))
}

// makeRoom makes size bytes behind the newest line free.
func (r *ring) makeRoom(size int) {
	for used := r.used() + size; used > r.limit && r.oldest < r.end && r.oldest < r.held; used = r.used() + size {
		r.oldest += uint64(r.at(r.oldest).size())
		r.first++
	}
	need := r.used() + size
	if need <= len(r.buf) && (len(r.buf) <= r.limit || need > r.limit) {
		return
	}
	const least = 128
	room := min(max(least, 2*len(r.buf)), r.limit)
	if need > r.limit && r.used() > 0 { // there are lines that are held
		room = 2 * len(r.buf)
	}
	other := make([]byte, max(need, room))
	head, tail := r.pieces(r.oldest, r.used())
	copy(other[copy(other, head):], tail)
	r.buf, r.lap = other, r.oldest
}

// used is the number of bytes that the kept lines take.
func (r *ring) used() int { return int(r.end - r.oldest) }

// behind is the number of bytes that the lines from a position on take.
func (r *ring) behind(position uint64) int { return int(r.end - max(position, r.oldest)) }

// at reads the header of the line at a position.
func (r *ring) at(position uint64) entry {
	h, tail := r.pieces(position, headerSize)
	if len(tail) > 0 {
		var both [headerSize]byte
		copy(both[copy(both[:], h):], tail)
		h = both[:]
	}
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
		m.after(r.at(m.position))
	}
	return m
}

// pieces are the n bytes from a position on: two pieces where they run across the buffer's end.
func (r *ring) pieces(position uint64, n int) (head, tail []byte) {
	if n == 0 {
		return nil, nil
	}
	start := int(int64(position - r.lap)) // of this lap, or of the one before
	if start < 0 {
		start += len(r.buf)
	}
	if start+n <= len(r.buf) {
		return r.buf[start : start+n], nil
	}
	return r.buf[start:], r.buf[:start+n-len(r.buf)]
}
