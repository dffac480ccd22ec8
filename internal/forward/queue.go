package forward

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// own is the stream of lines that are pintle's words, not a unit's.
const own = "pintle"

// entry is a line in a queue, or what stands there for some that are not in it any more.
type entry struct {
	line engine.Line
	// nanos is the line's time, in nanoseconds since 1970, distinct from that of its unit's others.
	nanos int64
	// lost is how many lines it stands for; 0 for a line.
	lost uint64
}

// text is what the receiver reads.
func (e *entry) text() string {
	switch e.lost {
	case 0:
		return e.line.Text
	case 1:
		return "1 line is missing here: it could not be forwarded"
	}
	return fmt.Sprintf("%d lines are missing here: they could not be forwarded", e.lost)
}

// size is how much memory an entry takes, about.
func (e *entry) size() int64 {
	const bookkeeping = 192 // the entry itself, and what an allocation is rounded to
	return bookkeeping + int64(len(e.line.Text))
}

// queue holds the lines for one target, oldest first, within a bound. Many put, one takes.
//
// Lines that were taken are flying until they are confirmed to have arrived, or rewound to be taken again.
type queue struct {
	limit int64
	self  unit.Name // in whose name it speaks of lines that are missing

	news   chan struct{} // has one item once there is something to look at
	ending chan struct{} // closed once nobody puts any more

	mu      sync.Mutex // guards what follows
	flying  []entry
	waiting []entry
	bytes   int64 // of both
	ahead   int64 // of waiting alone
	// down is set while the receiver takes nothing.
	down bool
	// dropped counts the lines that will never arrive.
	dropped uint64
	// room is closed, and made anew, when there may be room.
	room chan struct{}
}

func newQueue(limit int64, self unit.Name) *queue {
	if self == "" {
		self = "pintle-forward"
	}
	return &queue{limit: limit, self: self, news: make(chan struct{}, 1), ending: make(chan struct{}), room: make(chan struct{})}
}

// put adds a line. Where there is no room it waits for some, as long as the receiver takes lines; else the oldest make
// room. It is false where ctx ended first, and the line is not in the queue.
func (q *queue) put(ctx context.Context, e entry) bool {
	for {
		room, ok := q.try(e)
		if ok {
			q.wake()
			return true
		}
		select {
		case <-room:
		case <-ctx.Done():
			return false
		}
	}
}

func (q *queue) try(e entry) (room <-chan struct{}, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.down && q.bytes > 0 && q.bytes+e.size() > q.limit {
		return q.room, false
	}
	q.waiting = append(q.waiting, e)
	q.grow(e.size())
	for q.bytes > q.limit && q.drop() {
	}
	return nil, true
}

func (q *queue) grow(n int64) { q.bytes += n; q.ahead += n }

// drop gives up the oldest line that is waiting; an entry in its place says how many were. It is false where there is
// none to give up. The caller holds q.mu.
func (q *queue) drop() bool {
	if len(q.waiting) == 0 {
		return false
	}
	first := q.waiting[0]
	at := 0
	if first.lost > 0 {
		if at = 1; len(q.waiting) == 1 {
			return false
		}
	}
	gone := q.waiting[at]
	lost := first.lost + gone.lost
	if gone.lost == 0 {
		lost++
		q.dropped++
	}
	before := gone.size()
	if at == 1 {
		before += first.size()
		q.waiting[0] = entry{}
		q.waiting = q.waiting[1:]
	}
	q.waiting[0] = q.missing(lost, gone)
	q.grow(q.waiting[0].size() - before)
	return true
}

// missing stands for so many lines, of which gone was the last.
func (q *queue) missing(n uint64, gone entry) entry {
	return entry{
		line: engine.Line{Unit: q.self, Stream: own, Time: gone.line.Time}, nanos: gone.nanos, lost: n,
	}
}

// look is what there is: whether something flies, how many bytes wait, and whether that is all there will ever be.
func (q *queue) look() (flying bool, waiting int64, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-q.ending:
		ended = true
	default:
	}
	return len(q.flying) > 0, q.ahead, ended
}

// take returns the oldest entries that wait, at most so many bytes of them but at least one; they fly then.
func (q *queue) take(most int64) []entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, int64(0)
	for n < len(q.waiting) && (n == 0 || size+q.waiting[n].size() <= most) {
		size += q.waiting[n].size()
		n++
	}
	batch := append([]entry{}, q.waiting[:n]...)
	clear(q.waiting[:n])
	q.waiting = q.waiting[n:]
	q.flying = append(q.flying, batch...)
	q.ahead -= size
	return batch
}

// confirm forgets the oldest n that fly, which have arrived, and returns them.
func (q *queue) confirm(n int) []entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.down = false
	return q.land(n)
}

// land takes the oldest n out of those that fly. The caller holds q.mu.
func (q *queue) land(n int) []entry {
	landed := slices.Clone(q.flying[:n])
	clear(q.flying[:n]) // their texts would stay in memory as long as the rest of the array
	q.flying = q.flying[n:]
	for i := range landed {
		q.bytes -= landed[i].size()
	}
	q.makeRoom()
	return landed
}

// refuse forgets the oldest n that fly, of which the receiver will never take so many lines, and returns them. The next
// that is taken says so to the receiver.
func (q *queue) refuse(n int, lines uint64) []entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	landed := q.land(n)
	lost := uint64(0)
	for i := range landed {
		lost += landed[i].lost
	}
	q.dropped += lines
	if len(landed) > 0 && lost+lines > 0 {
		e := q.missing(lost+lines, landed[len(landed)-1])
		q.waiting = append([]entry{e}, q.waiting...)
		q.grow(e.size())
	}
	return landed
}

// rewind has all that fly wait again; with down because the receiver takes nothing at present.
func (q *queue) rewind(down bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.down = q.down || down
	for i := range q.flying {
		q.ahead += q.flying[i].size()
	}
	q.waiting = append(q.flying[:len(q.flying):len(q.flying)], q.waiting...)
	q.flying = nil
	q.makeRoom() // who waits for room is to make it
}

// makeRoom wakes those who wait for room. The caller holds q.mu.
func (q *queue) makeRoom() {
	close(q.room)
	q.room = make(chan struct{})
}

// end says that nobody puts any more.
func (q *queue) end() {
	close(q.ending)
	q.wake()
}

func (q *queue) wake() {
	select {
	case q.news <- struct{}{}:
	default:
	}
}

// held is how many lines and bytes there are, and how many lines were given up.
func (q *queue) held() (lines int, bytes int64, dropped uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.flying) + len(q.waiting), q.bytes, q.dropped
}
