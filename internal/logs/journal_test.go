package logs

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/engine"
)

// A line says to which unit, run and stream it belongs, when it came, and its number in the unit.
func TestLineSaysWhereItBelongs(t *testing.T) {
	t.Parallel()
	j := NewBook(Options{Now: clock}).Journal(name)
	var out, err splitter
	j.take(&out, 7, engine.Stdout, []byte("begun "))
	j.take(&err, 7, engine.Stderr, []byte("oops\n"))
	j.take(&out, 7, engine.Stdout, []byte("and ended\nhalf"))
	j.finish(&out, 7, engine.Stdout)
	j.Note(7, "exited with code 1")
	at := clock().UTC().Truncate(time.Microsecond)
	want := []engine.Line{
		{Unit: name, Run: 7, Seq: j.began + 1, Time: at, Stream: "stderr", Text: "oops"},
		{Unit: name, Run: 7, Seq: j.began + 2, Time: at, Stream: "stdout", Text: "begun and ended"},
		{Unit: name, Run: 7, Seq: j.began + 3, Time: at, Stream: "stdout", Text: "half", Partial: true},
		{Unit: name, Run: 7, Seq: j.began + 4, Time: at, Stream: "pintle", Text: "exited with code 1"},
	}
	if d := cmp.Diff(want, j.Tail(-1)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want[2:], j.Tail(2)); d != "" {
		t.Error(d)
	}
	if got := j.Tail(0); len(got) != 0 {
		t.Errorf("Tail(0) is %v", got)
	}
}

// Read without follow yields the tail that was asked for and ends; an empty journal has none.
func TestReadTail(t *testing.T) {
	t.Parallel()
	j := NewBook(Options{}).Journal(name)
	if got := collect(t, j.Read(t.Context(), engine.LogRequest{Tail: -1})); len(got) != 0 {
		t.Errorf("an empty journal yields %v", got)
	}
	write(j, 0, 200) // more than a batch
	for _, c := range []struct{ tail, want int }{{-1, 200}, {0, 0}, {3, 3}, {1000, 200}} {
		got := collect(t, j.Read(t.Context(), engine.LogRequest{Tail: c.tail}))
		if len(got) != c.want || c.want > 0 && got[len(got)-1].Text != "line 199" {
			t.Errorf("tail %d: %d lines %v", c.tail, len(got), texts(got[max(0, len(got)-1):]))
		}
	}
	for line := range j.Read(t.Context(), engine.LogRequest{Tail: -1}) { // the caller may stop
		if line.Seq == j.began+2 {
			break
		}
	}
	// What comes while a reader without follow is at it is not for it.
	var got []engine.Line
	for line := range j.Read(t.Context(), engine.LogRequest{Tail: 1}) {
		got = append(got, line)
		write(j, 200, 201)
	}
	if want := []string{"line 199"}; !slices.Equal(texts(got), want) {
		t.Errorf("got %v, want %v", texts(got), want)
	}
}

// A follower gets the tail, then each line as it comes, and ends cleanly with its context.
func TestFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := NewBook(Options{}).Journal(name)
		write(j, 0, 5)
		ctx, cancel := context.WithCancel(t.Context())
		var got []engine.Line
		go func() { got = collect(t, j.Read(ctx, engine.LogRequest{Tail: 2, Follow: true})) }()
		for i := 5; i < 8; i++ {
			synctest.Wait()
			if len(got) != 0 {
				t.Error("ended early")
			}
			write(j, i, i+1)
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		if want := []string{"line 3", "line 4", "line 5", "line 6", "line 7"}; !slices.Equal(texts(got), want) {
			t.Errorf("got %v, want %v", texts(got), want)
		}
	})
}

// When a unit is forgotten, followers get what is kept and end; the name begins anew.
func TestForgetEndsFollowers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBook(Options{})
		b.Forget(name) // unknown: nothing
		j := b.Journal(name)
		write(j, 0, 1)
		var got []engine.Line
		go func() { got = collect(t, j.Read(t.Context(), engine.LogRequest{Tail: -1, Follow: true})) }()
		synctest.Wait()
		write(j, 1, 2)
		b.Forget(name)
		write(j, 2, 3)
		synctest.Wait()
		if want := []string{"line 0", "line 1"}; !slices.Equal(texts(got), want) {
			t.Errorf("got %v, want %v", texts(got), want)
		}
		if again := b.Journal(name); again == j || len(again.Tail(-1)) != 0 {
			t.Error("the name kept its journal")
		}
	})
}

// The memory of a forgotten unit is freed.
func TestForgetFrees(t *testing.T) {
	t.Parallel()
	b := NewBook(Options{})
	j := b.Journal(name)
	write(j, 0, 1000)
	w := weak.Make(j)
	b.Forget(name)
	eventually(t, "the journal is collected", func() bool { runtime.GC(); return w.Value() == nil })
	runtime.KeepAlive(b)
}

// Close ends followers, and nothing is followed or captured afterwards.
func TestCloseEndsFollowers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBook(Options{})
		ended := 0
		var mu sync.Mutex
		follow := func() {
			collect(t, b.Journal(name).Read(t.Context(), engine.LogRequest{Tail: -1, Follow: true}))
			mu.Lock()
			ended++
			mu.Unlock()
		}
		go follow()
		synctest.Wait()
		closed(t, b)
		closed(t, b)
		go follow()
		b.Forget(name)
		go follow()
		synctest.Wait()
		if ended != 3 {
			t.Errorf("%d followers ended, want 3", ended)
		}
	})
}

// A follower that stalls neither holds the writer nor another follower. It loses what the ring dropped, is told how
// many lines that were, and gets all that is kept.
func TestStalledFollower(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := NewBook(Options{RingBytes: 8 << 10}).Journal(name)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		resume := make(chan bool)
		var slow, quick []engine.Line
		go func() {
			for line := range j.Read(ctx, engine.LogRequest{Tail: -1, Follow: true}) {
				slow = append(slow, line)
				if len(slow) == 1 {
					<-resume
				}
			}
		}()
		go func() {
			for line := range j.Read(ctx, engine.LogRequest{Tail: -1, Follow: true}) {
				quick = append(quick, line)
			}
		}()
		for i := range 2000 {
			write(j, i, i+1)
			synctest.Wait()
			if len(quick) != i+1 || quick[i].Seq != j.began+uint64(i+1) {
				t.Fatalf("after line %d the quick follower has %d", i+1, len(quick))
			}
		}
		kept := j.Tail(-1)
		close(resume)
		synctest.Wait()
		if len(slow) < 3 || slow[0].Text != "line 0" {
			t.Fatalf("got %d lines: %v", len(slow), texts(slow))
		}
		want := kept[0] // its time and run are the next line's
		want.Seq--
		want.Stream = Own
		want.Text = fmt.Sprintf("%d lines are missing here: newer ones took their place before they were read", want.Seq-j.began-1)
		if d := cmp.Diff(append([]engine.Line{want}, kept...), slow[1:]); d != "" {
			t.Errorf("after the first line: %s", d)
		}
	})
}

// Followers of a unit whose runs write at the same time get every line once, in order within each stream.
func TestFollowersGetAll(t *testing.T) {
	t.Parallel()
	const writers, followers, each = 4, 3, 500
	b := NewBook(Options{RingBytes: 1 << 20})
	j := b.Journal(name)
	var done sync.WaitGroup
	got := make([][]engine.Line, followers)
	for i := range followers {
		done.Go(func() { got[i] = collect(t, j.Read(t.Context(), engine.LogRequest{Tail: -1, Follow: true})) })
	}
	for w := range writers {
		r, out := pipe(t)
		j.Capture(uint64(w), engine.Stdout, r)
		done.Go(func() {
			for i := range each {
				fmt.Fprintf(out, "%d\n", i)
			}
			out.Close()
		})
	}
	closed(t, b)
	done.Wait()
	for _, lines := range got {
		next := make([]int, writers)
		for i, l := range lines {
			if l.Seq != j.began+uint64(i+1) || l.Text != fmt.Sprint(next[l.Run]) {
				t.Fatalf("line %d: %+v", i, l)
			}
			next[l.Run]++
		}
		if len(lines) != writers*each {
			t.Errorf("%d lines, want %d", len(lines), writers*each)
		}
	}
}

// A note of several lines becomes several.
func TestNoteOfSeveralLines(t *testing.T) {
	t.Parallel()
	j := NewBook(Options{}).Journal(name)
	j.Note(1, "cannot start:\nno such user")
	if got := strings.Join(texts(j.Tail(-1)), "|"); got != "pintle: cannot start:|pintle: no such user" {
		t.Error(got)
	}
}

// A unit that has not written takes next to nothing; a line takes no allocation once the ring has its size.
func TestMemoryOfAJournal(t *testing.T) {
	b := NewBook(Options{})
	j := b.Journal(name)
	if j.ring.buf != nil || j.streams != nil {
		t.Error("a journal that nobody wrote to has memory")
	}
	var s splitter
	chunk := []byte(strings.Repeat(strings.Repeat("x", 99)+"\n", 300))
	for range 10 {
		j.take(&s, 1, engine.Stdout, chunk)
	}
	if n := testing.AllocsPerRun(100, func() { j.take(&s, 1, engine.Stdout, chunk) }); n != 0 {
		t.Errorf("300 lines take %v allocations", n)
	}
	if len(j.ring.buf) != DefaultRingBytes {
		t.Errorf("the ring takes %d bytes", len(j.ring.buf))
	}
}
