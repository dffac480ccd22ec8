package logs

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// cut splits a stream that comes in chunks of these sizes, over and over.
func cut(input []byte, sizes ...int) (lines []string) {
	var s splitter
	add := func(text []byte, partial bool) {
		line := string(text)
		if !partial {
			line += "\n"
		}
		lines = append(lines, line)
	}
	for i := 0; len(input) > 0; i++ {
		size := min(sizes[i%len(sizes)], len(input))
		chunk := input[:size]
		input = input[size:]
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

// However a stream is cut into chunks, its lines are the same, and put together they are the stream; no line is longer than
// maxLine, and a part is just that long unless the stream ends with it.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("a\nb\r\n\x00\xff"), []byte{0}, uint16(0))
	f.Add([]byte("a\n\n\nb"), []byte{1, 0, 2}, uint16(2))
	f.Add([]byte("xyz"), []byte{45, 255, 0, 181}, uint16(60000))
	f.Add([]byte("x\n"), []byte{180, 3}, uint16(maxLine-1))
	f.Add([]byte(""), []byte{}, uint16(0))
	f.Fuzz(func(t *testing.T, input, cuts []byte, repeat uint16) {
		if grown := len(input) * int(repeat); grown <= 4*maxLine {
			input = bytes.Repeat(input, int(repeat)+1)
		}
		sizes := []int{1}
		for _, c := range cuts {
			sizes = append(sizes, 1+2*int(c)*int(c)) // up to twice maxLine
		}
		lines := cut(input, sizes...)
		if got := strings.Join(lines, ""); got != string(input) {
			t.Fatalf("the lines together are %d bytes, not the %d of the input", len(got), len(input))
		}
		for i, line := range lines {
			text, whole := strings.CutSuffix(line, "\n")
			if len(text) > maxLine || strings.Contains(text, "\n") || !whole && len(text) < maxLine && i < len(lines)-1 {
				t.Fatalf("line %d of %d has %d bytes: %.80q", i, len(lines), len(text), text)
			}
		}
		if once := cut(input, len(input)+1); !slices.Equal(lines, once) {
			t.Fatalf("%d lines in chunks of %v, %d in one chunk", len(lines), sizes, len(once))
		}
	})
}
