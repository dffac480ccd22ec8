package logs

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// cut splits a stream that comes in chunks of a size.
func cut(input []byte, size int) (lines []string) {
	var s splitter
	add := func(text []byte, partial bool) {
		line := string(text)
		if !partial {
			line += "\n"
		}
		lines = append(lines, line)
	}
	for chunk := range slices.Chunk(input, size) {
		for {
			text, partial, rest, ok := s.next(nil, true, chunk)
			if !ok {
				break
			}
			add(text, partial)
			chunk = rest
		}
	}
	if text, ok := s.last(nil); ok {
		add(text, true)
	}
	return lines
}

// A line is what stands before a newline; only what is longer than maxLine, or ended by the stream's end, is a part.
func TestSplit(t *testing.T) {
	t.Parallel()
	whole := strings.Repeat("x", maxLine)
	for _, c := range []struct {
		name, input string
		want        []string
	}{
		{"nothing", "", nil},
		{"empty lines", "\n\n", []string{"\n", "\n"}},
		{"no newline at the end", "a\nb", []string{"a\n", "b"}},
		{"carriage returns stay", "a\r\nb\rc\r\n", []string{"a\r\n", "b\rc\r\n"}},
		{"bytes stay", "\x00\xff\x1b[2J\n", []string{"\x00\xff\x1b[2J\n"}},
		{"the longest line", whole + "\n", []string{whole + "\n"}},
		{"the longest line, unended", whole, []string{whole}},
		{"one byte more", whole + "y\n", []string{whole, "y\n"}},
		{"three parts", whole + whole + "y\nz\n", []string{whole, whole, "y\n", "z\n"}},
		{"two lengths", whole + whole + "\n", []string{whole, whole + "\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{1, 2, 7, 4096, maxLine, maxLine + 1, 1 << 20} {
				if got := cut([]byte(c.input), size); !slices.Equal(got, c.want) {
					t.Errorf("in chunks of %d: %.60q, want %.60q", size, got, c.want)
				}
			}
		})
	}
}

// However a stream is cut into chunks, its lines are the same, and put together they are the stream.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("a\nb\r\n\x00\xff"), uint16(1), uint16(0))
	f.Add([]byte("a\n\n\nb"), uint16(3), uint16(2))
	f.Add([]byte("xyz"), uint16(4096), uint16(40000))
	f.Add([]byte(""), uint16(0), uint16(0))
	f.Fuzz(func(t *testing.T, input []byte, size, repeat uint16) {
		if grown := len(input) * int(repeat); grown <= 4*maxLine {
			input = bytes.Repeat(input, int(repeat)+1)
		}
		lines := cut(input, int(size)+1)
		if got := strings.Join(lines, ""); got != string(input) {
			t.Fatalf("the lines together are %d bytes, not the %d of the input", len(got), len(input))
		}
		for _, line := range lines {
			if text := strings.TrimSuffix(line, "\n"); len(text) > maxLine || strings.Contains(text, "\n") {
				t.Fatalf("a line of %d bytes: %.80q", len(text), text)
			}
		}
		if whole := cut(input, len(input)+1); !slices.Equal(lines, whole) {
			t.Fatalf("%d lines in chunks of %d, %d in one chunk", len(lines), int(size)+1, len(whole))
		}
	})
}
