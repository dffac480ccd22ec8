package forward

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pintle/internal/engine"
)

// TestNothingIsMissingUnsaid: whatever a receiver does, what it has in the end is every line in order, once, and in the
// place of those that it has not, how many they are; the memory is within its bound while it takes nothing.
func TestNothingIsMissingUnsaid(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const limit = 1500
		q := newQueue(limit, "forward")
		written := uint64(0)
		var got []entry
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				e := entry{line: engine.Line{Unit: "web", Seq: written + 1, Text: strings.Repeat("x", rapid.IntRange(0, 500).Draw(t, "size"))}}
				if _, ok := q.try(e); ok {
					written++
				} else if q.down || q.bytes+e.size() <= limit {
					t.Fatalf("there was no room: %d bytes, down: %v", q.bytes, q.down)
				}
			},
			"take":    func(t *rapid.T) { q.take(rapid.Int64Range(0, 1000).Draw(t, "most")) },
			"rewind":  func(t *rapid.T) { q.rewind(rapid.Bool().Draw(t, "down")) },
			"confirm": func(t *rapid.T) { got = append(got, q.confirm(rapid.IntRange(0, len(q.flying)).Draw(t, "n"))...) },
			"refuse": func(*rapid.T) {
				lines := uint64(0)
				for _, e := range q.flying {
					if e.lost == 0 {
						lines++
					}
				}
				q.refuse(len(q.flying), lines)
			},
			"": func(t *rapid.T) {
				bytes := int64(0)
				for _, list := range [][]entry{q.flying, q.waiting} {
					for _, e := range list {
						bytes += e.size()
					}
				}
				ahead := int64(0)
				for _, e := range q.waiting {
					ahead += e.size()
				}
				if _, have, _ := q.held(); have != bytes || q.ahead != ahead {
					t.Fatalf("it counts %d bytes, %d of them waiting, of %d and %d", have, q.ahead, bytes, ahead)
				}
				if bytes > limit+2*192 { // what stands for lines that are missing may come on top
					t.Fatalf("it holds %d bytes", bytes)
				}
			},
		})
		for {
			got = append(got, q.confirm(len(q.flying))...)
			if len(q.take(1)) == 0 {
				break
			}
		}
		next, lost := uint64(1), uint64(0)
		for _, e := range got {
			if e.lost > 0 {
				next += e.lost
				lost += e.lost
				continue
			}
			if e.line.Seq != next {
				t.Fatalf("line %d comes where %d should", e.line.Seq, next)
			}
			next++
		}
		if next != written+1 || lost != q.dropped || q.bytes != 0 {
			t.Fatalf("%d of %d lines are there or told missing, %d missing of %d that were dropped; %d bytes are left", next-1, written, lost, q.dropped, q.bytes)
		}
	})
}
