package logs

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// torrent is so many lines of 100 bytes that a console has room for a quarter of them.
const torrent = 4 * consoleMost / 100

// talk has a unit write n numbered lines of 100 bytes into a pipe that is captured, and closes that. What it returns is
// closed when it has written all.
func talk(t *testing.T, b *Book, name unit.Name, n int) (written chan struct{}) {
	t.Helper()
	r, w := pipe(t)
	b.Journal(name).Capture(1, engine.Stdout, r)
	written = make(chan struct{})
	go func() {
		defer close(written)
		defer w.Close()
		out := bufio.NewWriter(w)
		for i := range n {
			if _, err := fmt.Fprintf(out, "%099d\n", i); err != nil {
				t.Error(err)
			}
		}
		if err := out.Flush(); err != nil {
			t.Error(err)
		}
	}()
	return written
}

// numbers checks that lines are those that talk wrote, each once and in order.
func numbers(t *testing.T, shown string, prefix string, n int) {
	t.Helper()
	next := 0
	for line := range strings.Lines(shown) {
		if want := fmt.Sprintf("%s%099d\n", prefix, next); line != want {
			t.Fatalf("got %q, want %q", line, want)
		}
		next++
	}
	if next != n {
		t.Errorf("%d lines are shown, %d were written", next, n)
	}
}

// soon fails the test if something that happens elsewhere does not.
func soon(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("still not: %s", what)
	}
}

// A reader that stalls makes nobody wait, but a unit that was asked to: that loses nothing however long it takes, and
// what it says is in its journal when it is shown. The console is a pipe, as Docker's.
func TestWhoWaitsForTheConsoleLosesNothing(t *testing.T) {
	t.Parallel()
	r, w := pipe(t)
	b := newBook(t, Options{Console: w})
	waiting := b.Journal("waiting")
	waiting.Configure(Output{Console: unit.ConsoleRaw, Wait: true})
	b.Journal("quick").Configure(Output{Console: unit.ConsoleNone})
	waits := talk(t, b, "waiting", torrent)
	eventually(t, "it is asked to wait", func() bool {
		waiting.mu.Lock()
		defer waiting.mu.Unlock()
		return waiting.full
	})
	soon(t, "a unit that is not shown has written all", talk(t, b, "quick", torrent))
	select {
	case <-waits:
		t.Error("it did not wait")
	default:
	}
	b.console.mu.Lock()
	if used := b.console.used; used > consoleMost {
		t.Errorf("the console holds %d bytes", used)
	}
	b.console.mu.Unlock()
	got := make(chan string)
	go func() {
		all, err := io.ReadAll(r)
		if err != nil {
			t.Error(err)
		}
		got <- string(all)
	}()
	soon(t, "the one that waits has written all", waits)
	waiting.Drained(t.Context(), 1)
	closed(t, b)
	w.Close()
	numbers(t, <-got, "", torrent)
}

// While somebody who waits holds up the console, a unit that does not wait writes at full speed; all that is not shown of
// it is counted.
func TestWhoDoesNotWaitIsCounted(t *testing.T) {
	t.Parallel()
	r, w := pipe(t)
	b := newBook(t, Options{Console: w})
	b.Journal("waiting").Configure(Output{Wait: true})
	waits := talk(t, b, "waiting", torrent)
	soon(t, "the other has written all", talk(t, b, "other", torrent))
	b.Journal("other").Drained(t.Context(), 1)
	var seen int
	var shown strings.Builder
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := bufio.NewScanner(r); s.Scan(); {
			var n int
			switch line := s.Text(); {
			case strings.HasPrefix(line, "waiting | "):
				fmt.Fprintln(&shown, line)
			case strings.HasPrefix(line, "other | "):
				seen++
			default:
				if got, _ := fmt.Sscanf(line, "pintle | other: %d lines were not shown here: the console did not keep up", &n); got != 1 {
					t.Errorf("got %q", line)
				}
				seen += n
			}
		}
	}()
	soon(t, "the one that waits has written all", waits)
	b.Journal("waiting").Drained(t.Context(), 1)
	closed(t, b)
	w.Close()
	<-done
	numbers(t, shown.String(), "waiting | ", torrent)
	if seen != torrent {
		t.Errorf("%d lines are accounted for, %d were written", seen, torrent)
	}
}

// A console that is gone, or that fails, lets those go on that wait for it, and nobody waits for it again.
func TestNobodyWaitsForAConsoleThatFails(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{unix.EPIPE, unix.ENOSPC} {
		t.Run(failure.Error(), func(t *testing.T) {
			t.Parallel()
			gate := make(chan struct{})
			console := &recorder{write: func([]byte) (int, error) { <-gate; return 0, failure }}
			b := newBook(t, Options{Console: console})
			j := b.Journal(name)
			j.Configure(Output{Wait: true})
			waits := talk(t, b, name, torrent)
			eventually(t, "it is asked to wait", func() bool {
				j.mu.Lock()
				defer j.mu.Unlock()
				return j.full
			})
			close(gate)
			soon(t, "it has written all", waits)
			j.Drained(t.Context(), 1)
			soon(t, "it has written all again", talk(t, b, name, torrent))
			j.Drained(t.Context(), 1)
			_ = b.Close(t.Context()) // what is not shown
		})
	}
}

// A reader of docker logs that goes away: its pipe breaks under a writer that waits.
func TestTheReaderGoesAway(t *testing.T) {
	t.Parallel()
	r, w := pipe(t)
	b := newBook(t, Options{Console: w})
	j := b.Journal(name)
	j.Configure(Output{Wait: true})
	waits := talk(t, b, name, torrent)
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	r.Close()
	soon(t, "it has written all", waits)
	closed(t, b)
	if c := b.Conditions(); len(c) != 1 || c[0].Code != engine.ConsoleClosed {
		t.Errorf("conditions: %q", c)
	}
}

// The stop is not held up by who waits for a console that has stalled: neither what still runs then, nor the end of the
// book. The journal has every line all the same.
func TestTheStopWaitsForNoConsole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		stop func(*Book) error
	}{
		{"by the stop", func(b *Book) error { b.Stopping(); return nil }},
		{"by a reload", func(b *Book) error { b.Journal(name).Configure(Output{}); return nil }},
		{"by the end", func(b *Book) error {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			done := make(chan error)
			go func() { done <- b.Close(ctx) }()
			eventually(t, "the captures have ended", func() bool {
				b.mu.Lock()
				defer b.mu.Unlock()
				return len(b.captures) == 0
			})
			cancel()
			return <-done
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			console := newStalled()
			defer console.release()
			b := newBook(t, Options{Console: console})
			j := b.Journal(name)
			j.Configure(Output{Wait: true})
			waits := talk(t, b, name, torrent)
			eventually(t, "it is asked to wait", func() bool {
				j.mu.Lock()
				defer j.mu.Unlock()
				return j.full
			})
			err := c.stop(b)
			soon(t, "it has written all", waits)
			j.Drained(t.Context(), 1)
			if last := j.Tail(1); len(last) != 1 || last[0].Text != fmt.Sprintf("%099d", torrent-1) {
				t.Errorf("the journal ends with %v", last)
			}
			if err != nil && !strings.Contains(err.Error(), "not written to the console: ") {
				t.Error(err)
			}
		})
	}
}

// One that floods a stalled console hides nothing of what the others say, as long as that is little; its own lines are
// counted. Two that flood get the same.
func TestTheConsoleIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		console := newStalled()
		b := newBook(t, Options{Console: console})
		write(b.Journal("first"), 0, 2*torrent)
		write(b.Journal("second"), 0, 2*torrent)
		for i := range 100 {
			write(b.Journal(journalName(i)), 0, 10)
			b.Journal("first").Note(1, fmt.Sprint("note ", i))
		}
		if used := b.console.used; used > consoleMost {
			t.Errorf("the console holds %d bytes", used)
		}
		console.release()
		synctest.Wait()
		times, accounted := map[string]int{}, map[string]int{}
		for line := range strings.Lines(console.String()) {
			times[line]++
			var dropped int
			name, text, _ := strings.Cut(line, " | ")
			if name != Own {
				accounted[name]++
				continue
			}
			name, text, _ = strings.Cut(text, ": ")
			if n, _ := fmt.Sscanf(text, "%d lines were not shown here: ", &dropped); n == 1 {
				accounted[name] += dropped
			}
		}
		for i := range 100 {
			for n := range 10 {
				if line := fmt.Sprintf("%s | line %d\n", journalName(i), n); times[line] != 1 {
					t.Fatalf("%q is there %d times", line, times[line])
				}
			}
			if line := fmt.Sprintf("pintle | first: note %d\n", i); times[line] != 1 {
				t.Fatalf("%q is there %d times", line, times[line])
			}
		}
		if accounted["first"] != 2*torrent || accounted["second"] != 2*torrent {
			t.Errorf("of those that flood %d and %d lines are accounted for, of %d", accounted["first"], accounted["second"], 2*torrent)
		}
		closed(t, b)
	})
}

// Without a main program the lines of standard outputs go to the container's, and all others to its standard error. One
// that stalls holds up nothing of the other.
func TestTwoStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var errs recorder
		out := newStalled()
		b := newBook(t, Options{Console: &errs, ConsoleOut: out})
		j := b.Journal(name)
		write(j, 0, 2*torrent)
		var s splitter
		j.take(&s, 1, engine.Stderr, []byte("oops\n"))
		j.Note(1, "exited")
		synctest.Wait()
		if got, want := errs.String(), "gateway@coder | oops\npintle | gateway@coder: exited\n"; got != want {
			t.Errorf("stderr has %q, want %q", got, want)
		}
		out.release()
		synctest.Wait()
		if got := out.String(); !strings.HasPrefix(got, "gateway@coder | line 0\n") || !strings.HasSuffix(got, "the console did not keep up\n") {
			t.Errorf("stdout begins with %.80q and ends with %q", got, got[max(len(got)-80, 0):])
		}
		if b.console.used != 0 || j.show.held != [2]int{} {
			t.Errorf("%d bytes are still taken, %d of them by the unit", b.console.used, j.show.held)
		}
		out.write = func([]byte) (int, error) { return 0, unix.EPIPE }
		write(j, 0, 1)
		closed(t, b)
		if c := b.Conditions(); len(c) != 1 || c[0].Text != "the console's standard output is closed, and shows no output any more: broken pipe" {
			t.Errorf("conditions: %q", c)
		}
	})
}

// Two descriptors of one file are one console, which keeps the order of all lines.
func TestOneFileIsOneConsole(t *testing.T) {
	t.Parallel()
	r, w := pipe(t)
	fd, err := unix.Dup(int(w.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	twin := os.NewFile(uintptr(fd), "twin")
	defer twin.Close()
	b := newBook(t, Options{Console: w, ConsoleOut: twin})
	j := b.Journal(name)
	var want strings.Builder
	for i := range 200 {
		var s splitter
		j.take(&s, 1, []string{engine.Stdout, engine.Stderr}[i%2], fmt.Appendf(nil, "line %d\n", i))
		fmt.Fprintf(&want, "gateway@coder | line %d\n", i)
	}
	closed(t, b)
	w.Close()
	twin.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != want.String() {
		t.Errorf("%v: %q", err, got)
	}
}

// On a terminal names have colours, unless nobody wants them, and what services print is harmless; a terminal that is
// held (Ctrl-S) holds up nobody.
func TestConsoleOnATerminal(t *testing.T) {
	t.Parallel()
	for _, colour := range []bool{true, false} {
		t.Run(fmt.Sprint("colour ", colour), func(t *testing.T) {
			t.Parallel()
			master, terminal, err := pty.Open()
			if err != nil {
				t.Skipf("skipped: cannot open a terminal: %v", err)
			}
			defer master.Close()
			defer terminal.Close()
			b := newBook(t, Options{Console: terminal, ConsoleOut: terminal, ConsoleColour: colour})
			j := b.Journal(name)
			var s splitter
			j.take(&s, 1, engine.Stdout, []byte("\x1b[2Jred \x1b[31malert\n"))
			b.Journal("raw").Configure(Output{Console: unit.ConsoleRaw})
			b.Journal("raw").take(&s, 1, engine.Stderr, []byte("\x1b[32mraw\n"))
			want := "gateway@coder | red alert\r\n\x1b[32mraw\r\n"
			if colour {
				want = "\x1b[95mgateway@coder\x1b[0m | red alert\r\n\x1b[32mraw\r\n"
			}
			got := make([]byte, len(want))
			if _, err := io.ReadFull(master, got); err != nil || string(got) != want {
				t.Errorf("%v: %q, want %q", err, got, want)
			}
			soon(t, "a torrent is over while nobody reads", talk(t, b, name, torrent))
			j.Drained(t.Context(), 1)
			go func() { _, _ = io.Copy(io.Discard, master) }() // until it is closed
			closed(t, b)
		})
	}
}

// Where a write fails, be it in the middle of units' lines or of those that say how many were dropped, each line is shown
// or counted, once.
func TestEachLineIsShownOrCounted(t *testing.T) {
	t.Parallel()
	const each = consoleMost / 1000
	long := bytes.Repeat(fmt.Appendf(nil, "line %s\n", strings.Repeat("x", 1000)), each)
	for fromEnd := 1; fromEnd < 2500; fromEnd += 37 {
		synctest.Test(t, func(t *testing.T) {
			console := newStalled()
			writes := 0
			console.write = func(p []byte) (int, error) {
				if writes++; writes == 2 { // all that has been queued while the first stalled
					return len(p) - fromEnd, unix.ENOSPC
				}
				return len(p), nil
			}
			b := newBook(t, Options{Console: console})
			write(b.Journal("a"), 0, 1)
			synctest.Wait()
			var s splitter
			b.Journal("a").take(&s, 1, engine.Stdout, long)
			b.Journal("b").take(&s, 1, engine.Stdout, long)
			console.release()
			synctest.Wait()
			time.Sleep(2 * consoleRetry)
			write(b.Journal("a"), 0, 1)
			closed(t, b)
			total := 0
			for line := range strings.Lines(console.String()) {
				name, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " | ")
				if name != Own {
					total++
					continue
				}
				dropped := 0
				text = strings.TrimPrefix(strings.TrimPrefix(text, "a: "), "b: ")
				if n, err := fmt.Sscanf(text, "%d line", &dropped); n != 1 || !strings.HasSuffix(text, " not shown here: the console did not keep up") {
					t.Fatalf("got %q: %v", line, err)
				}
				total += dropped
			}
			if total != 2*each+2 {
				t.Errorf("where it fails %d bytes before the end, %d lines are accounted for, of %d", fromEnd, total, 2*each+2)
			}
		})
	}
}
