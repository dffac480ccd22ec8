package logs

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
)

// full is a disk that has no room.
func full(func()) error { return unix.ENOSPC }

// TestLinesOfAnyLengthWait: whatever the ring's size, the lengths of lines and the number of streams, a slow disk costs no
// line, and no unit waits for ever: what each stream was is in the files, byte by byte.
func TestLinesOfAnyLengthWait(t *testing.T) {
	t.Parallel()
	for _, ring := range []int{1, 1 << 10, 4 << 10, 64 << 10} {
		t.Run(fmt.Sprint(ring), func(t *testing.T) {
			t.Parallel()
			dir := scratch(t)
			answer := make(chan struct{})
			b := newBook(t, Options{})
			j := b.Journal(name)
			j.Configure(Output{RingBytes: ring, File: &File{Directory: dir, Size: 300_000, UID: os.Geteuid(), As: func(do func()) error {
				<-answer
				do()
				return nil
			}}})
			inputs, done := map[string]string{}, make(chan error)
			for i, stream := range []string{engine.Stdout, engine.Stderr} {
				random := rand.New(rand.NewPCG(1, uint64(i)))
				var input bytes.Buffer
				for n := range 200 {
					size := []int{0, 10, 500, ring * 7 / 10, maxLine - 1, maxLine, maxLine + 1, 3 * maxLine}[random.IntN(8)]
					if n == 0 {
						size = ring * 7 / 10 // not enough to wait
					}
					fmt.Fprintf(&input, "%s\n", strings.Repeat(string(rune('a'+n%26)), size))
				}
				input.WriteString(strings.Repeat("e", maxLine-i))
				inputs[words[stream]] = input.String()
				r, w := pipe(t)
				j.Capture(1, stream, r)
				go func() {
					_, err := w.Write(input.Bytes())
					done <- errorsOf(err, w.Close())
				}()
			}
			eventually(t, "both wait", func() bool {
				j.mu.Lock()
				defer j.mu.Unlock()
				return len(j.paused) == 2
			})
			close(answer)
			for range inputs {
				must(t, <-done)
			}
			closed(t, b)
			got := map[string]*strings.Builder{"out": {}, "err": {}}
			for line := range strings.Lines(content(t, dir)) {
				word, text, _ := strings.Cut(line, " ")
				if part, ok := strings.CutSuffix(word, "+"); ok {
					word, text = part, strings.TrimSuffix(text, "\n")
				}
				if got[word] == nil {
					t.Fatalf("there is %.100q", line)
				}
				got[word].WriteString(text)
			}
			for word, input := range inputs {
				if got[word].String() != input {
					t.Errorf("%s has %d bytes, not %d", word, got[word].Len(), len(input))
				}
			}
		})
	}
}

// TestMissingLinesAreCounted: how many lines are said to be missing is how many are, also where some of those that were
// being written were, before the disk was full, and meanwhile newer ones took the place of all in memory.
func TestMissingLinesAreCounted(t *testing.T) {
	t.Parallel()
	for _, later := range []int{0, 10, 1000} {
		j := newBook(t, Options{}).Journal(name)
		s := &sink{drop: true, working: true, idle: make(chan struct{}), next: mark{j.ring.end, j.ring.next}}
		close(s.idle)
		j.sink = s
		j.ring.limit = 4096
		j.hold()
		write(j, 0, 50)
		j.mu.Lock()
		b, ok := j.nextBatch(s)
		if !ok || lines(*b.lines) != 50 {
			t.Fatalf("%d lines are to be written", lines(*b.lines))
		}
		j.mu.Unlock()
		write(j, 50, 50+later)
		j.mu.Lock()
		j.wrote(s, b, 20, unix.ENOSPC)
		s.stopRetry()
		if s.next.number != j.began+21 {
			t.Errorf("with %d lines more, line %d is the next one", later, s.next.number-j.began)
		}
		if first := j.ring.first; first > j.began+21 {
			b, _ = j.nextBatch(s)
			want := fmt.Sprintf("pintle %d lines are missing here: no space left on device\n", first-j.began-21)
			if !strings.HasSuffix(string(*b.lines), want) || b.at.seq != j.began+21 {
				t.Errorf("it is said: %q", *b.lines)
			}
		} else if e := j.ring.at(s.next.position); j.ring.text(s.next.position, e) != "line 20" {
			t.Errorf("the next one is %q", j.ring.text(s.next.position, e))
		}
		j.mu.Unlock()
	}
}

// TestPatienceEnds: a unit waits for a full disk no longer than patience lasts, also where the disk took a little while it
// was waiting.
func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	for _, took := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			b := newBook(t, Options{RingBytes: 1000})
			j := b.Journal(name)
			j.Configure(Output{File: &File{Directory: "/nowhere", Size: 4000, UID: os.Geteuid(), As: full}})
			var s splitter
			if _, wait := j.take(&s, 1, engine.Stdout, []byte(strings.Repeat(strings.Repeat("x", 99)+"\n", 20))); !wait || !j.pause(&capture{journal: j}) {
				t.Fatal("it does not wait")
			}
			synctest.Wait()
			j.mu.Lock()
			j.sink.stopRetry()
			j.wrote(j.sink, batch{}, took, unix.ENOSPC)
			j.mu.Unlock()
			begun := time.Now()
			for waits := true; waits && time.Since(begun) <= 2*patience; time.Sleep(time.Second) {
				j.mu.Lock()
				waits = len(j.paused) > 0
				j.mu.Unlock()
			}
			if d := time.Since(begun); d < patience-time.Second || d > patience+2*time.Second {
				t.Errorf("where %d lines were written it waits for %v", took, d)
			}
			closeLate(t, b)
		})
	}
}

// closeLate ends a book that has something left.
func closeLate(t testing.TB, b *Book) error {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return b.Close(ctx)
}

// TestEndOfAFullDisk: the end says what a full disk did not take, however quickly that refuses; and what a run wrote that
// had to wait is on the console, to its last line, and with its whole end.
func TestEndOfAFullDisk(t *testing.T) {
	t.Parallel()
	b := newBook(t, Options{})
	for i := range 100 {
		j := b.Journal(journalName(i))
		j.Configure(Output{File: &File{Directory: "/nowhere", Size: 4000, UID: os.Geteuid(), As: full}})
		j.Note(1, "last words")
	}
	if err := b.Close(t.Context()); err == nil || !strings.HasSuffix(err.Error(), "1 lines to /nowhere/current and 92 more") {
		t.Fatalf("Close: %v", err)
	}

	var console recorder
	b = newBook(t, Options{Console: &console})
	j := b.Journal(name)
	j.Configure(Output{File: &File{Directory: "/nowhere", Size: 4000, UID: os.Geteuid(), As: full}})
	const all = 1200
	r, w := pipe(t)
	j.Capture(1, engine.Stdout, r)
	written := make(chan error)
	go func() {
		_, err := w.Write(bytes.Repeat(hundred, all))
		written <- err
	}()
	must(t, <-written) // 64 KiB are with the reader, and the others in the pipe, which its process holds open
	eventually(t, "it waits", func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return len(j.paused) == 1
	})
	if err := closeLate(t, b); err == nil || !strings.Contains(err.Error(), "still open: stdout of gateway@coder (run 1); not written: ") {
		t.Errorf("Close: %v", err)
	}
	eventually(t, "the console shows all", func() bool { return lines([]byte(console.String())) == all })
}

// TestAForgottenUnitWaitsForNoDisk: a unit that is forgotten while it waits for a full disk goes on.
func TestAForgottenUnitWaitsForNoDisk(t *testing.T) {
	t.Parallel()
	for what, stop := range map[string]func(b *Book){
		"forgotten":      func(b *Book) { b.Forget(name) },
		"without a file": func(b *Book) { b.Journal(name).Configure(Output{}) },
		"to drop": func(b *Book) {
			b.Journal(name).Configure(Output{Drop: true, File: &File{Directory: "/nowhere", Size: 4000, UID: os.Geteuid(), As: full}})
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := newBook(t, Options{})
			j := b.Journal(name)
			j.Configure(Output{File: &File{Directory: "/nowhere", Size: 4000, UID: os.Geteuid(), As: full}})
			written := talk(t, b, name, 10_000)
			eventually(t, "it waits", func() bool {
				j.mu.Lock()
				defer j.mu.Unlock()
				return len(j.paused) == 1
			})
			stop(b)
			select {
			case <-written:
			case <-time.After(patience * 3 / 4):
				t.Fatal("it still waits")
			}
			j.Drained(t.Context(), 1)
			if last := j.Tail(1); last[0].Text != fmt.Sprintf("%099d", 9999) {
				t.Errorf("the last line is %q", last[0].Text)
			}
		})
	}
}

// TestIdlePipesHoldNothing: a capture that has nothing to say holds no memory of a line that came in pieces, nor of what
// waited for a disk.
func TestIdlePipesHoldNothing(t *testing.T) {
	t.Parallel()
	b := newBook(t, Options{})
	j := b.Journal(name)
	j.Configure(Output{RingBytes: 4 << 10, File: &File{Directory: scratch(t), Size: 1 << 20, UID: os.Geteuid()}})
	r, w := pipe(t)
	j.Capture(1, engine.Stdout, r)
	for range 10 {
		_, err := w.WriteString(strings.Repeat("x", maxLine-10) + "\n" + strings.Repeat("y", maxLine))
		must(t, err)
		_, err = w.WriteString("\n")
		must(t, err)
	}
	eventually(t, "all is there", func() bool { l := j.Tail(1); return len(l) == 1 && l[0].Seq == j.began+20 })
	reader, held := b.reader.Load(), make(chan int)
	reader.do(func() {
		for _, c := range reader.captures {
			held <- cap(c.split.begun) + cap(c.rest)
		}
	})
	if n := <-held; n != 0 {
		t.Errorf("it holds %d bytes", n)
	}
	must(t, w.Close())
}

// TestPausedPipesAreQuiet: a pipe that is left alone does not wake the reader over and over, even if it has come to its
// end; and its end is seen when it goes on.
func TestPausedPipesAreQuiet(t *testing.T) {
	t.Parallel()
	b := newBook(t, Options{})
	j := b.Journal(name)
	answer := make(chan struct{})
	j.Configure(Output{RingBytes: 1000, File: &File{Directory: scratch(t), Size: 1 << 20, UID: os.Geteuid(), As: func(do func()) error {
		<-answer
		do()
		return nil
	}}})
	written := talk(t, b, name, 10)
	soon(t, "it has written all", written)
	eventually(t, "it waits", func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return len(j.paused) == 1
	})
	reader, seen := b.reader.Load(), make(chan int)
	reader.do(func() {
		var events [8]unix.EpollEvent
		_, _ = unix.EpollWait(reader.fd, events[:], 0) // its end may be told once
		n, _ := unix.EpollWait(reader.fd, events[:], 0)
		seen <- n
	})
	if n := <-seen; n > 0 {
		t.Errorf("%d descriptors are ready, and nothing is to be done", n)
	}
	close(answer)
	closed(t, b)
	if n := len(j.Tail(-1)); n == 0 {
		t.Error("nothing is there")
	}
}

// TestOmittedLinesAreToldAtOnce: who follows is told of lines that were left out as soon as the files are there again.
func TestOmittedLinesAreToldAtOnce(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := newBook(t, Options{RingBytes: 1000})
	j := b.Journal(name)
	answer := make(chan struct{})
	j.Configure(Output{File: &File{Directory: dir, Size: 1 << 20, UID: os.Geteuid(), As: func(do func()) error {
		<-answer
		do()
		return nil
	}}})
	told := make(chan struct{})
	go func() {
		for l := range j.Read(t.Context(), engine.LogRequest{Tail: -1, Follow: true}) {
			if strings.HasSuffix(l.Text, " lines are missing here: the disk did not keep up") {
				close(told)
				return
			}
		}
	}()
	for i := range 100 {
		j.Note(1, fmt.Sprintf("a note that is long enough %d", i))
	}
	eventually(t, "the follower has read all", func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.wake != nil
	})
	close(answer)
	soon(t, "it is told", told)
	closed(t, b)
}

// TestDropIsCounted: a unit that is not to wait for its files never does, and each of its lines is there, or said to be
// missing, once.
func TestDropIsCounted(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := newBook(t, Options{})
	j := b.Journal(name)
	answer := make(chan struct{})
	j.Configure(Output{RingBytes: 8 << 10, Drop: true, File: &File{Directory: dir, Size: 20_000, UID: os.Geteuid(), As: func(do func()) error {
		<-answer
		do()
		return nil
	}}})
	const each = 20_000
	over := make(chan struct{})
	soon(t, "all is written", talk(t, b, name, each))
	j.Drained(t.Context(), 1)
	go func() {
		defer close(answer)
		for { // it answers, again and again, but never quickly
			select {
			case answer <- struct{}{}:
				runtime.Gosched()
			case <-over:
				return
			}
		}
	}()
	soon(t, "all is written once more", talk(t, b, name, each))
	j.Drained(t.Context(), 1)
	close(over)
	closed(t, b)
	there, missing, next := 0, 0, 0
	for line := range strings.Lines(content(t, dir)) {
		var n int
		if _, err := fmt.Sscanf(line, "out %d\n", &n); err == nil {
			if n != next%each {
				t.Fatalf("%q is not line %d", line, next)
			}
			there++
			next++
			continue
		}
		if _, err := fmt.Sscanf(line, "pintle %d line", &n); err != nil || !strings.HasSuffix(line, " missing here: the disk did not keep up\n") {
			t.Fatalf("there is %q", line)
		}
		missing += n
		next += n
	}
	if there+missing != 2*each || missing < each/2 || there == 0 {
		t.Errorf("%d lines are there, %d are said to be missing", there, missing)
	}
}
