package logs

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// The bounds of what is masked.
const (
	// leastSecret is the length of the shortest value that is masked: a shorter one stands in too many lines by chance.
	leastSecret = 4
	// mostSecret is that of the longest, so that half a line is always enough to know one.
	mostSecret = maxLine / 2
	// mostSecrets bounds the number of values, and secretBytes their length in all.
	mostSecrets = 1000
	secretBytes = 1 << 20
)

// mask finds secret values in lines. It never changes. A nil *mask finds none.
//
// It looks at two bytes in every so many, and at more only where those are in the beginning of some value (Wu and
// Manber, "A fast algorithm for multi-pattern searching", 1994). So text without a secret takes about as long for a
// hundred values as for one.
type mask struct {
	known  map[string]struct{} // the values
	size   int                 // their length in all
	least  int                 // the length of the shortest
	filler [3]byte             // stands for a value
	// begin has the values by their first head bytes.
	begin map[string][]string
	head  int
	// skip has, for the last two of least bytes, how many bytes further on a value may begin; 0: here.
	skip [1 << 16]uint8
}

// Mask has secret values not be in any line from now on, neither of units nor of pintle's own: "***" stands for each,
// and for values that overlap together. Of a value of several lines each line is one, without the white space around
// it.
//
// Only what is exactly the value is masked: not what is encoded, cut in two lines, or a part of it. What a line of more
// than 64 KiB is cut into parts for never helps to get one through. It is masked on the way in, so it is nowhere in
// memory, in files or with readers. Where there is an asterisk in some value, another character is taken for all.
//
// The error counts values that are not masked, those of fewer than 4 bytes among them. It says so once of each.
func (b *Book) Mask(values ...string) error {
	b.masking.Lock()
	defer b.masking.Unlock()
	old := b.mask.Load()
	m := &mask{known: map[string]struct{}{}}
	if old != nil {
		m.size = old.size
	}
	short, over := 0, 0
	for _, value := range values {
		if _, again := b.unmasked[value]; again || value == "" {
			continue
		}
		added, refused := m.take(old, value)
		if added > 0 && refused == 0 {
			continue
		}
		if len(b.unmasked) < mostSecrets {
			b.unmasked[value] = struct{}{}
		}
		if refused > 0 {
			over++
		} else {
			short++
		}
	}
	if len(m.known) > 0 {
		if old != nil {
			for value := range old.known {
				m.known[value] = struct{}{}
			}
		}
		m.prepare()
		b.mask.Store(m)
	}
	return unmasked(short, over)
}

func unmasked(short, over int) error {
	var errs []error
	if short > 0 {
		errs = append(errs, fmt.Errorf("cannot mask %s: shorter than %d bytes", secrets(short), leastSecret))
	}
	if over > 0 {
		errs = append(errs, fmt.Errorf("cannot mask all of %s: there is room for %d values of at most %d KiB, and %d KiB in all",
			secrets(over), mostSecrets, mostSecret>>10, secretBytes>>10))
	}
	return errors.Join(errs...)
}

func secrets(n int) string {
	if n == 1 {
		return "a secret value"
	}
	return fmt.Sprintf("%d secret values", n)
}

// take adds a value that old does not have. It counts its lines that are masked now, and those for which there is no room.
func (m *mask) take(old *mask, value string) (masked, refused int) {
	lines := []string{value}
	if strings.ContainsAny(value, "\n") {
		lines = strings.Split(value, "\n")
		for i, line := range lines {
			lines[i] = strings.TrimSpace(line)
		}
	}
	had := 0
	if old != nil {
		had = len(old.known)
	}
	for _, line := range lines {
		_, again := m.known[line]
		if old != nil && !again {
			_, again = old.known[line]
		}
		switch {
		case len(line) < leastSecret:
		case again:
			masked++
		case len(line) > mostSecret || m.size+len(line) > secretBytes || had+len(m.known) == mostSecrets:
			refused++
		default:
			m.known[strings.Clone(line)] = struct{}{}
			m.size += len(line)
			masked++
		}
	}
	return masked, refused
}

// prepare makes the tables.
func (m *mask) prepare() {
	m.least = math.MaxUint8
	var used [256]bool
	for value := range m.known {
		m.least = min(m.least, len(value))
		for _, c := range []byte(value) {
			used[c] = true
		}
	}
	// With a byte that is in no value, what stands for one can't be the beginning of another. No variable's value has a
	// zero byte.
	filler := byte(0)
	for _, c := range []byte("*#%+=-_.~x") {
		if !used[c] {
			filler = c
			break
		}
	}
	m.filler = [3]byte{filler, filler, filler}
	for i := range m.skip {
		m.skip[i] = uint8(m.least - 1)
	}
	const mostHead = 32 // many values may begin as PRIVATE KEYs do
	m.head = min(m.least, mostHead)
	m.begin = make(map[string][]string, len(m.known))
	for value := range m.known {
		m.begin[value[:m.head]] = append(m.begin[value[:m.head]], value)
		for i := 1; i < m.least; i++ {
			pair := pair(value[i-1], value[i])
			m.skip[pair] = min(m.skip[pair], uint8(m.least-1-i))
		}
	}
}

func pair(a, b byte) uint16 { return uint16(a) | uint16(b)<<8 }

// next finds where the next value begins that begins at from or later, and the length of the longest that does so
// there; 0 where there is none.
func (m *mask) next(text []byte, from int) (at, length int) {
	skip := &m.skip
	for i := from + m.least - 1; i < len(text); {
		if n := skip[pair(text[i-1], text[i])]; n > 0 {
			i += int(n)
			continue
		}
		at = i - (m.least - 1)
		for _, value := range m.begin[string(text[at:at+m.head])] {
			if len(value) > length && len(value) <= len(text)-at && string(text[at:at+len(value)]) == value {
				length = len(value)
			}
		}
		if length > 0 {
			return at, length
		}
		i++
	}
	return 0, 0
}

// mayMatch tells whether some value is in a chunk. One that begins or ends outside of it is not seen.
func (m *mask) mayMatch(chunk []byte) bool {
	if m == nil {
		return false
	}
	_, length := m.next(chunk, 0)
	return length > 0
}

// apply masks the first n bytes of text, of which so many at the beginning are covered: they belong to a value that
// began before, and that something stands for already. It returns text[:n] where there is nothing to do, else what it
// adds to scratch[:0]; and how many of the bytes behind n belong to values that begin before n.
func (m *mask) apply(text []byte, covered, n int, scratch []byte) (masked []byte, beyond int) {
	if m == nil {
		return text[covered:n], 0
	}
	at, length := m.next(text, 0)
	if length == 0 || at >= n {
		return text[min(covered, n):n], max(covered-n, 0)
	}
	masked = slices.Grow(scratch[:0], n+len(m.filler))
	end := covered // of what is masked, or has been copied
	for ; length > 0 && at < n; at, length = m.next(text, at+1) {
		if at >= end { // else it overlaps the one before
			masked = append(masked, text[end:at]...)
			masked = append(masked, m.filler[:]...)
		}
		end = max(end, at+length)
	}
	return append(masked, text[min(end, n):n]...), max(end-n, 0)
}

// cut tells where to cut off a part of a line, so that no value begins in the part and goes on behind it.
func (m *mask) cut(part []byte) int {
	if m == nil {
		return len(part)
	}
	longest := 0
	for value := range m.known {
		for n := min(len(value)-1, len(part)); n > longest; n-- {
			if end := part[len(part)-n:]; end[0] == value[0] && bytes.Equal(end, []byte(value[:n])) {
				longest = n
			}
		}
	}
	return len(part) - longest
}
