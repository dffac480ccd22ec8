package logs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

func journalName(i int) unit.Name { return unit.Name(fmt.Sprintf("gateway@n%d", i)) }

// recorder is a console that keeps what it is given; write, if set, decides.
type recorder struct {
	mu    sync.Mutex
	got   bytes.Buffer
	write func(p []byte) (int, error)
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := len(p), error(nil)
	if r.write != nil {
		n, err = r.write(p)
	}
	r.got.Write(p[:n])
	return n, err
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.String()
}

// stalled is a console that takes nothing until it is released.
type stalled struct {
	recorder
	gate    chan bool
	release func()
}

func newStalled() *stalled {
	s := &stalled{gate: make(chan bool)}
	s.release = sync.OnceFunc(func() { close(s.gate) })
	return s
}

func (s *stalled) Write(p []byte) (int, error) {
	<-s.gate
	return s.recorder.Write(p)
}

// The console shows whole lines with the unit's name, raw, and pintle's own words in its own name.
func TestConsoleShowsLines(t *testing.T) {
	t.Parallel()
	var console recorder
	b := newBook(t, Options{Console: &console})
	j := b.Journal(name)
	var out, errs splitter
	j.take(&out, 1, engine.Stdout, []byte("one\ntw"))
	j.take(&errs, 1, engine.Stderr, []byte("\x1b[31moops\x00\xff\r\n"))
	j.take(&out, 1, engine.Stdout, []byte("o\n\nhalf"))
	j.finish(&out, 1, engine.Stdout)
	j.Note(1, "exited with code 3")
	b.Say("stopping\nsoon")
	closed(t, b)
	want := strings.Join([]string{
		"gateway@coder | one", "gateway@coder | \x1b[31moops\x00\xff\r", "gateway@coder | two", "gateway@coder | ",
		"gateway@coder | half", "pintle | gateway@coder: exited with code 3", "pintle | stopping", "pintle | soon", "",
	}, "\n")
	if got := console.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := b.Conditions(); got != nil {
		t.Errorf("conditions: %q", got)
	}
}

// A console that stalls loses lines, says where and how many, and has each of them either shown or counted.
func TestConsoleCountsWhatItDrops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		console := newStalled()
		b := newBook(t, Options{Console: console})
		j := b.Journal(name)
		const lines = 50_000 // more than queue and writer hold
		write(j, 0, 1)
		synctest.Wait() // the writer has the first, and stalls
		write(j, 1, lines)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Close(ctx); err == nil || err.Error() != fmt.Sprintf("cannot finish the logs: not written to the console: %d lines", lines) {
			t.Errorf("Close: %v", err)
		}
		if n := b.console.used; n > consoleMost/2+100 { // a line may reach over the half
			t.Errorf("the console holds %d bytes of one unit", n)
		}
		console.release()
		synctest.Wait()
		write(j, lines, lines+1)
		synctest.Wait()

		shown := strings.Split(strings.TrimSuffix(console.String(), "\n"), "\n")
		next := 0
		for _, line := range shown {
			var dropped int
			if n, _ := fmt.Sscanf(line, "pintle | gateway@coder: %d lines were not shown here: the console did not keep up", &dropped); n == 1 {
				next += dropped
				continue
			}
			if want := fmt.Sprintf("gateway@coder | line %d", next); line != want {
				t.Fatalf("got %q, want %q", line, want)
			}
			next++
		}
		if next != lines+1 {
			t.Errorf("%d lines are accounted for, %d were written", next, lines+1)
		}
		if len(shown) == lines+1 {
			t.Error("nothing was dropped")
		}
		if o := b.console.err; o.queue != nil || o.writing != nil || o.sharers != nil || o.busy || b.console.used != 0 {
			t.Errorf("an idle console holds memory: %+v", o)
		}
	})
}

// A console whose disk is full is tried again, misses lines meanwhile, counts them, and never shows a torn line.
func TestConsoleOnAFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		room := 30 // of the first line and a half
		console := &recorder{write: func(p []byte) (int, error) { return len(p), nil }}
		full := func(p []byte) (int, error) {
			n := min(len(p), room)
			room -= n
			if n < len(p) {
				return n, unix.ENOSPC
			}
			return n, nil
		}
		console.write = full
		b := newBook(t, Options{Console: console})
		j := b.Journal(name)
		write(j, 0, 3)
		synctest.Wait()
		write(j, 3, 5) // not even tried: the disk was full just now
		synctest.Wait()
		time.Sleep(2 * consoleRetry)
		write(j, 5, 6) // tried in vain
		synctest.Wait()
		if got := b.Conditions(); len(got) != 1 || got[0].Text != "the console cannot be written to, and misses lines: no space left on device" {
			t.Errorf("conditions: %q", got)
		}
		room = 1 << 20
		time.Sleep(2 * consoleRetry)
		write(j, 6, 7)
		synctest.Wait()
		write(j, 7, 8)
		synctest.Wait()
		// The rest of the torn line comes first; what follows accounts for every line.
		want := "gateway@coder | line 0\ngateway@coder | line 1\n" +
			"pintle | 5 lines were not shown here: the console did not keep up\ngateway@coder | line 7\n"
		if got := console.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := b.Conditions(); got != nil {
			t.Errorf("conditions: %q", got)
		}
		closed(t, b)
	})
}

// Close gives a console that could not be written to a last try.
func TestCloseTriesTheConsoleAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failures := 2
		console := &recorder{write: func(p []byte) (int, error) {
			if failures--; failures >= 0 {
				return 0, unix.ENOSPC
			}
			return len(p), nil
		}}
		b := newBook(t, Options{Console: console})
		write(b.Journal(name), 0, 3)
		synctest.Wait()
		if err := b.Close(t.Context()); err == nil || err.Error() != "cannot finish the logs: not written to the console: 3 lines" {
			t.Errorf("Close: %v", err)
		}
		closed(t, b)
		if got := console.String(); got != "pintle | 3 lines were not shown here: the console did not keep up\n" {
			t.Errorf("got %q", got)
		}
	})
}

// A console that is gone is given up with one sentence, and the journal goes on.
func TestConsoleGone(t *testing.T) {
	t.Parallel()
	calls := 0
	console := &recorder{write: func([]byte) (int, error) { calls++; return 0, io.ErrClosedPipe }}
	b := newBook(t, Options{Console: console})
	j := b.Journal(name)
	write(j, 0, 1)
	if n := b.console.flush(t.Context()); n != 0 {
		t.Errorf("%d lines wait for a console that is gone", n)
	}
	write(j, 1, 3)
	closed(t, b)
	if got := b.Conditions(); len(got) != 1 || got[0].Text != "the console is closed, and shows no output any more: io: read/write on closed pipe" {
		t.Errorf("conditions: %q", got)
	}
	if calls != 1 || len(j.Tail(-1)) != 3 {
		t.Errorf("%d writes, journal %v", calls, texts(j.Tail(-1)))
	}
}

// roles are what the test binary plays when it is run again.
var roles = map[string]func() int{
	"quiet":  playing(quiet),
	"few":    playing(few),
	"logger": playing(logger),
	"writer": playing(flooding),
	// console shows lines on its own stderr until that is given up, and says the condition on stdout.
	"console": func() int {
		b := NewBook(Options{Console: os.Stderr})
		for i := 0; i < 1000 && b.Conditions() == nil; i++ {
			b.Say("hello")
			if err := b.Close(context.Background()); err != nil {
				fmt.Println(err)
				return 1
			}
		}
		for _, c := range b.Conditions() {
			fmt.Println(c)
		}
		return 0
	},
}

// playing is a role that may fail.
func playing(do func() error) func() int {
	return func() int {
		if err := do(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
}

// play runs the test binary again, in a role and with arguments of its own.
func play(role string, arguments ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", arguments...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	return cmd
}

// A process whose stderr nobody reads any more, or which has none, lives on: Go's own os.Stderr would end it by
// SIGPIPE (os/signal).
func TestClosedStderr(t *testing.T) {
	t.Parallel()
	t.Run("broken pipe", func(t *testing.T) {
		t.Parallel()
		r, w := pipe(t)
		r.Close()
		cmd := play("console")
		cmd.Stderr = w
		out, err := cmd.Output()
		if want := "the console is closed, and shows no output any more: write: broken pipe\n"; err != nil || string(out) != want {
			t.Errorf("%v: %q, want %q", err, out, want)
		}
	})
	t.Run("read-only descriptor", func(t *testing.T) {
		t.Parallel()
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd := play("console")
		cmd.Stderr = f
		out, err := cmd.Output()
		if want := "the console is closed, and shows no output any more: write: bad file descriptor\n"; err != nil || string(out) != want {
			t.Errorf("%v: %q, want %q", err, out, want)
		}
	})
	t.Run("full device", func(t *testing.T) {
		t.Parallel()
		f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip(err)
		}
		defer f.Close()
		b := newBook(t, Options{Console: f})
		b.Say("hello")
		if err := b.Close(t.Context()); err == nil || err.Error() != "cannot finish the logs: not written to the console: 1 lines" {
			t.Errorf("Close: %v", err)
		}
		if got := b.Conditions(); len(got) != 1 || got[0].Text != "the console cannot be written to, and misses lines: write: no space left on device" {
			t.Errorf("conditions: %q", got)
		}
	})
}

// A pipe that another process has made non-blocking is waited for like any other: everything arrives.
func TestConsoleMadeNonBlocking(t *testing.T) {
	t.Parallel()
	r, w := pipe(t)
	fd, err := unix.Dup(int(w.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	blocking := os.NewFile(uintptr(fd), "console") // made while the description is blocking: not in Go's poller
	defer blocking.Close()
	w.Close()
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	b := newBook(t, Options{Console: blocking})
	j := b.Journal(name)
	write(j, 0, 5000) // more than the pipe holds, less than the queue
	got := make(chan string)
	go func() {
		all, err := io.ReadAll(r)
		if err != nil {
			t.Error(err)
		}
		r.Close()
		got <- string(all)
	}()
	closed(t, b)
	blocking.Close()
	if n := strings.Count(<-got, "gateway@coder | line "); n != 5000 {
		t.Errorf("%d lines arrived", n)
	}
}

// A file that is closed under the console is a console that is gone.
func TestConsoleFileClosed(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "console"))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	b := newBook(t, Options{Console: f})
	b.Say("hello")
	closed(t, b)
	if got := b.Conditions(); len(got) != 1 || got[0].Text != "the console is closed, and shows no output any more: use of closed file" {
		t.Errorf("conditions: %q", got)
	}
}
