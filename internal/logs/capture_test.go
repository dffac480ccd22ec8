package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"pintle/internal/engine"
)

// What a run writes before it dies is kept, to the last half line, also what a process wrote that it left the pipe to.
func TestCaptureOfProcesses(t *testing.T) {
	t.Parallel()
	b := NewBook(Options{})
	j := b.Journal(name)
	out, outWriter := pipe(t)
	errs, errWriter := pipe(t)
	cmd := exec.Command("/bin/sh", "-c", `
		echo one; echo oops >&2
		exec 3>&1 1>&-; echo two >&3
		(while kill -0 $$; do :; done; echo three >&3; printf 'left to a grandchild' >&3) 2>/dev/null &
		printf half >&2; kill -9 $$`)
	cmd.Stdout, cmd.Stderr = outWriter, errWriter
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	j.Capture(3, engine.Stdout, out)
	j.Capture(3, engine.Stderr, errs)
	outWriter.Close()
	errWriter.Close()
	_ = cmd.Wait() // killed by itself
	closed(t, b)

	streams := map[string][]string{}
	for _, l := range j.Tail(-1) {
		text := l.Text
		if l.Partial {
			text += "…"
		}
		streams[l.Stream] = append(streams[l.Stream], text)
	}
	if got, want := fmt.Sprint(streams), "map[stderr:[oops half…] stdout:[one two three left to a grandchild…]]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A stream can be put together again from its lines, byte by byte, whatever its bytes are.
func TestCaptureIsLossless(t *testing.T) {
	t.Parallel()
	var input bytes.Buffer
	for i := range 50_000 {
		fmt.Fprintf(&input, "%d\x00\xff\r\n%s", i, strings.Repeat("\n", i%3))
	}
	input.WriteString(strings.Repeat("long ", 100_000))
	b := NewBook(Options{RingBytes: 16 << 20})
	j := b.Journal(name)
	r, w := pipe(t)
	j.Capture(1, engine.Stdout, r)
	if _, err := w.Write(input.Bytes()); err != nil {
		t.Fatal(err)
	}
	w.Close()
	closed(t, b)
	var got bytes.Buffer
	for _, l := range j.Tail(-1) {
		got.WriteString(l.Text)
		if !l.Partial {
			got.WriteByte('\n')
		}
	}
	if !bytes.Equal(got.Bytes(), input.Bytes()) {
		t.Errorf("%d bytes became %d others", input.Len(), got.Len())
	}
}

// The pipe of a run is drained at full speed although a follower stalls and the console takes nothing.
func TestNothingStallsARun(t *testing.T) {
	t.Parallel()
	console := newStalled()
	b := NewBook(Options{Console: console})
	j := b.Journal(name)
	r, w := pipe(t)
	j.Capture(1, engine.Stdout, r)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stalled := make(chan bool)
	go func() {
		for range j.Read(ctx, engine.LogRequest{Tail: -1, Follow: true}) {
			stalled <- true
			<-ctx.Done()
		}
	}()
	line := []byte(strings.Repeat("x", 99) + "\n")
	for i := range 200_000 { // 20 MB
		if _, err := w.Write(line); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			<-stalled
		}
	}
	w.Close()
	eventually(t, "the last line is there", func() bool { l := j.Tail(1); return len(l) == 1 && l[0].Seq == j.began+200_000 })
	console.release()
	closed(t, b)
}

// Close waits no longer than its context, says which pipes somebody still holds, and closes them.
func TestCloseSaysWhatIsOpen(t *testing.T) {
	t.Parallel()
	var console recorder
	b := NewBook(Options{Console: &console})
	r, w := pipe(t)
	j := b.Journal(name)
	j.Capture(4, engine.Stderr, r)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := b.Close(ctx)
	if want := "cannot finish the logs: still open: stderr of gateway@coder (run 4)"; err == nil || err.Error() != want {
		t.Errorf("Close: %v, want %s", err, want)
	}
	eventually(t, "a write fails, because the pipe is closed", func() bool { _, err := w.WriteString("x\n"); return errors.Is(err, unix.EPIPE) })
	closed(t, b) // nothing is left the second time
	if got := console.String(); got != "" {
		t.Errorf("the console shows %q: that Close closed the pipe is no failure of the unit", got)
	}

	r, w = pipe(t)
	j.Capture(5, engine.Stderr, r)
	if _, err := w.WriteString("x\n"); !errors.Is(err, unix.EPIPE) {
		t.Errorf("a closed book captures: %v", err)
	}
}

// Close ends a capture in the middle of a flood too.
func TestCloseEndsAFlood(t *testing.T) {
	t.Parallel()
	b := NewBook(Options{})
	r, w := pipe(t)
	j := b.Journal(name)
	j.Capture(1, engine.Stdout, r)
	done := make(chan bool)
	go func() {
		defer close(done)
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}()
	eventually(t, "the flood has begun", func() bool { return len(j.Tail(1)) > 0 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if b.Close(ctx) == nil {
		t.Error("Close says that nothing was left")
	}
	<-done
}

// Where many pipes are held open, Close names some, and counts the others.
func TestCloseNamesSome(t *testing.T) {
	t.Parallel()
	b := NewBook(Options{})
	for i := range 10 {
		r, _ := pipe(t)
		b.Journal(name).Capture(uint64(i), engine.Stdout, r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Close(ctx); err == nil || !strings.HasSuffix(err.Error(), "stdout of gateway@coder (run 7) and 2 more") {
		t.Errorf("Close: %v", err)
	}
}

// A read that fails is said, and what came before it is kept.
func TestReadError(t *testing.T) {
	t.Parallel()
	b := NewBook(Options{})
	j := b.Journal(name)
	master, tty, err := pty.Open() // the one end fails once nobody has the other
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tty.WriteString("a\nb"); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	j.Capture(1, engine.Stdout, master)
	closed(t, b)
	if got, want := texts(j.Tail(-1)), []string{"a\r", "b…", "pintle: cannot read stdout: input/output error"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// raiseFileLimit lets the process have n files open, or skips the benchmark.
func raiseFileLimit(t testing.TB, n uint64) {
	t.Helper()
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	if l.Cur >= n {
		return
	}
	if l.Max < n {
		t.Skipf("needs %d open files, the limit is %d", n, l.Max)
	}
	l.Cur = n
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
}
