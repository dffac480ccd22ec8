package logs

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A ring keeps the newest lines that fit in its limit with their headers, exactly as they were, and no more memory
// than the limit, or than the largest single line.
func TestRingKeepsTheNewest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 4000).Draw(t, "limit")
		r := ring{limit: limit, held: nothingHeld, first: 1, next: 1}
		type line struct {
			entry
			text string
		}
		var all []line
		largest := 0
		for range rapid.IntRange(1, 60).Draw(t, "lines") {
			text := strings.Repeat(rapid.SampledFrom([]string{"a", "\x00", "é"}).Draw(t, "letter"), rapid.IntRange(0, 300).Draw(t, "length"))
			e := entry{
				time:    rapid.Int64().Draw(t, "time"),
				run:     rapid.Uint64().Draw(t, "run"),
				stream:  rapid.Uint8().Draw(t, "stream"),
				partial: rapid.Bool().Draw(t, "partial"),
			}
			r.append(e, []byte(text))
			e.length = len(text)
			all = append(all, line{e, text})
			largest = max(largest, e.size())

			if len(r.buf) > max(limit, largest) {
				t.Fatalf("the buffer has %d bytes, the limit is %d, the largest line %d", len(r.buf), limit, largest)
			}
			kept, used := 0, 0
			for i := len(all) - 1; i >= 0 && (kept == 0 || used+all[i].size() <= limit); i-- {
				kept++
				used += all[i].size()
			}
			m := r.tail(-1)
			if int(r.next-m.number) != kept || int(r.next) != len(all)+1 {
				t.Fatalf("kept %d lines of %d, want %d", r.next-m.number, r.next-1, kept)
			}
			if n := rapid.IntRange(0, 70).Draw(t, "tail"); r.next-r.tail(n).number != uint64(min(n, kept)) {
				t.Fatalf("tail(%d) begins at %d of %d", n, r.tail(n).number, r.next)
			}
			for _, want := range all[len(all)-kept:] {
				e := r.at(m.position)
				if text := r.text(m.position, e); e != want.entry || text != want.text {
					t.Fatalf("line %d is %v %q, want %v %q", m.number, e, text, want.entry, want.text)
				}
				m.position += uint64(e.size())
				m.number++
			}
		}
	})
}
