package forward

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/klauspost/compress/s2"
	"pgregory.net/rapid"
)

// FuzzSnappy: a library reads what was written, whatever it was.
func FuzzSnappy(f *testing.F) {
	f.Add([]byte(""), 1)
	f.Add([]byte("abcabcabcabcabcd"), 9000)
	f.Add(bytes.Repeat([]byte{0}, 70), 1000)
	f.Fuzz(func(t *testing.T, b []byte, times int) {
		snappyIsRead(t, bytes.Repeat(b, min(max(times, 0), 200_000/max(len(b), 1))))
	})
}

func snappyIsRead(t interface{ Errorf(string, ...any) }, b []byte) {
	got, err := s2.Decode(nil, appendSnappy(nil, b))
	if err != nil || !bytes.Equal(got, b) {
		t.Errorf("%d bytes became %d, %v", len(b), len(got), err)
	}
}

// TestSnappy: texts of words that come again are read as they were, across blocks too; and what logs are like takes not
// much more room than with a library.
func TestSnappy(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 1, 20).Draw(t, "words")
		var b []byte
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(words)-1), 0, 2000).Draw(t, "which") {
			b = append(b, words[i]...)
		}
		snappyIsRead(t, b)
	})
	var b []byte
	for i := range 10_000 {
		b = fmt.Appendf(b, "10.0.%d.%d - - [23/Nov/2026:09:%02d:%02d] \"GET /items/%d HTTP/1.1\" 200 %d\n", i%7, i%251, i/600%60, i%60, i*7919, i*31%5000)
	}
	ours, theirs := len(appendSnappy(nil, b)), len(s2.EncodeSnappy(nil, b))
	if ours > theirs*5/4 || ours > len(b)/2 {
		t.Errorf("%d bytes became %d, and %d with a library", len(b), ours, theirs)
	}
	t.Logf("%d bytes became %d, and %d with a library", len(b), ours, theirs)
}
