package logs

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// roleVariable makes the test binary, run again, play a process of its own.
const roleVariable = "PINTLE_LOGS_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(roles[role]())
	}
	goleak.VerifyTestMain(m)
}

// pipe is a pipe as runs have it; the writing end is closed with the test.
func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return r, w
}

// newBook is a book that ends with its test, whatever is left then: what reads for it does not outlive the test.
func newBook(t testing.TB, o Options) *Book {
	t.Helper()
	b := NewBook(o)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = b.Close(ctx) // the test has looked at what it is about
	})
	return b
}

// closed ends a book with its test, and fails it if something is left.
func closed(t testing.TB, b *Book) {
	t.Helper()
	if err := b.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// eventually waits until a condition holds that another goroutine or the kernel brings about.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// texts are the texts of lines, each with its stream's first letter but for stdout's.
func texts(lines []engine.Line) []string {
	var out []string
	for _, l := range lines {
		text := l.Text
		if l.Stream != engine.Stdout {
			text = l.Stream + ": " + text
		}
		if l.Partial {
			text += "…"
		}
		out = append(out, text)
	}
	return out
}

// collect reads until the sequence ends.
func collect(t testing.TB, seq func(func(engine.Line, error) bool)) []engine.Line {
	t.Helper()
	var lines []engine.Line
	for l, err := range seq {
		if err != nil {
			t.Errorf("Read yielded error %v", err)
		}
		lines = append(lines, l)
	}
	return lines
}

// write adds numbered lines to a journal as if a run had written them.
func write(j *Journal, from, to int) {
	var s splitter
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	j.take(&s, 1, engine.Stdout, []byte(b.String()))
}

// clock stands still, in a zone that lines must not show.
func clock() time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("elsewhere", 3600))
}

const name = unit.Name("gateway@coder")
