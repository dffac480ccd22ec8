package logs

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"pintle/internal/engine"
)

// writtenLine is a line as the model has it: which life it is of, too.
type writtenLine struct {
	engine.Line
	began uint64
}

// asked is what a request must yield of all lines that were ever written.
func asked(all []writtenLine, req engine.LogRequest) []engine.Line {
	var runs []runPlace
	for _, l := range all {
		runs = append(runs, runPlace{l.began, l.Run})
	}
	runs = newest(runs)
	keep := func(runPlace) bool { return true }
	if req.Run != nil {
		i := -*req.Run
		if *req.Run > 0 {
			i = slices.IndexFunc(runs, func(p runPlace) bool { return p.run == uint64(*req.Run) })
		}
		if i < 0 || i >= len(runs) {
			return nil
		}
		keep = func(p runPlace) bool { return p == runs[i] }
	}
	var lines []engine.Line
	for _, l := range all {
		if l.Seq > req.After && keep(runPlace{l.began, l.Run}) &&
			(req.Since.IsZero() || !l.Time.Before(req.Since)) && (req.Until.IsZero() || !l.Time.After(req.Until)) {
			lines = append(lines, l.Line)
		}
	}
	if req.Tail >= 0 {
		lines = lines[max(0, len(lines)-req.Tail):]
	}
	return lines
}

// TestReadIsWhatWasWritten: whatever is asked for, of lines that are in memory, in files set aside and compressed, and of
// earlier lives of the container, a reader gets exactly that, in order.
func TestReadIsWhatWasWritten(t *testing.T) {
	t.Parallel()
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		dir, h := scratch(outer), &hand{at: clock()}
		rule := File{Directory: dir, Size: rapid.Int64Range(200, 3000).Draw(t, "size"), UID: os.Geteuid(), Compress: rapid.Bool().Draw(t, "compress")}
		var all []writtenLine
		var b *Book
		var j *Journal
		for life := range rapid.IntRange(1, 3).Draw(t, "lives") {
			h.move(time.Hour)
			b = NewBook(Options{Now: h.now, RingBytes: rapid.IntRange(200, 3000).Draw(t, "ring")})
			j = b.Journal(name)
			j.Configure(Output{File: &rule})
			run := uint64(1)
			for i := range rapid.IntRange(0, 60).Draw(t, "lines") {
				switch rapid.IntRange(0, 9).Draw(t, "step") {
				case 0:
					run++
				case 1:
					h.move(time.Duration(rapid.IntRange(1, 3000).Draw(t, "milliseconds")) * time.Millisecond)
				}
				text := fmt.Sprint(life, " ", i, strings.Repeat("x", rapid.IntRange(0, 300).Draw(t, "length")))
				var s splitter
				j.take(&s, run, engine.Stderr, []byte(text+"\n"))
				written(j)
				at := h.now().UTC().Truncate(time.Microsecond)
				all = append(all, writtenLine{engine.Line{Unit: name, Run: run, Seq: j.began + 1 + uint64(i), Time: at, Stream: engine.Stderr, Text: text}, j.began})
			}
			if life%2 == 0 {
				settle(outer, b.compress)
			}
			defer closed(outer, b)
		}
		for range 20 {
			req := engine.LogRequest{Tail: rapid.IntRange(-1, 2*len(all)).Draw(t, "tail")}
			if len(all) > 0 {
				some := func(what string) writtenLine { return rapid.SampledFrom(all).Draw(t, what) }
				if rapid.Bool().Draw(t, "by number") {
					req.After = some("after").Seq - rapid.SampledFrom([]uint64{0, 0, 1, 2}).Draw(t, "before")
				}
				if rapid.IntRange(0, 3).Draw(t, "by time") == 0 {
					req.Since = some("since").Time
				}
				if rapid.IntRange(0, 3).Draw(t, "to a time") == 0 {
					req.Until = some("until").Time
				}
			}
			if rapid.IntRange(0, 2).Draw(t, "by run") == 0 {
				n := rapid.IntRange(-6, 6).Draw(t, "run")
				req.Run = &n
			}
			same(t, fmt.Sprintf("%+v (run %v) after a journal that began with %d", req, value(req.Run), j.began), collect(outer, j.Read(context.Background(), req)), asked(all, req))
		}
	})
}

func value(n *int) any {
	if n == nil {
		return nil
	}
	return *n
}

// TestSlowReaderGetsWhatIsInFiles: a reader that memory has left behind gets what it missed from the files, with nothing
// twice and nothing left out, however often that happens.
func TestSlowReaderGetsWhatIsInFiles(t *testing.T) {
	t.Parallel()
	b, j, _ := kept(t, File{Directory: scratch(t), Size: 20_000, Compress: true})
	defer closed(t, b)
	const lines = 5000
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []engine.Line
	turn := make(chan bool)
	over := make(chan bool)
	go func() {
		defer close(over)
		for line := range j.Read(ctx, engine.LogRequest{Tail: -1, Follow: true}) {
			if got = append(got, line); len(got)%700 == 1 {
				<-turn
			}
			if line.Seq == j.began+lines {
				return
			}
		}
	}()
	for i := 0; i < lines; i += 100 {
		var texts []string
		for n := range 100 {
			texts = append(texts, fmt.Sprint("line ", i+n, strings.Repeat(" and more", 10)))
		}
		say(j, texts...)
	}
	close(turn)
	<-over
	for i, l := range got {
		if l.Seq != j.began+1+uint64(i) || !strings.HasPrefix(l.Text, fmt.Sprint("line ", i, " ")) {
			t.Fatalf("line %d is %+v", i, l)
		}
	}
}

// TestCursorOfThisLife: who goes on where he left off is told how many lines are nowhere any more, and a number that
// nobody was given in this life, as after the clock was set back, hides nothing.
func TestCursorOfThisLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := NewBook(Options{RingBytes: 1 << 10}).Journal(name)
		write(j, 0, 500)
		kept := j.Tail(-1)
		got := collect(t, j.Read(t.Context(), engine.LogRequest{Tail: -1, After: j.began + 7}))
		want := fmt.Sprint(500-len(kept)-7, " lines are missing here: ", overwritten)
		if len(got) != len(kept)+1 || got[0].Text != want || got[0].Seq != kept[0].Seq-1 {
			t.Errorf("%d lines, the first %+v; want %q and %d more", len(got), got[0], want, len(kept))
		}
		for _, after := range []uint64{j.began + 501, j.began + 1<<40} {
			if got := collect(t, j.Read(t.Context(), engine.LogRequest{Tail: 5, After: after})); len(got) != 5 {
				t.Errorf("after a number that is still to come: %q", texts(got))
			}
		}
		if got := collect(t, j.Read(t.Context(), engine.LogRequest{Tail: -1, After: j.began + 500})); len(got) != 0 {
			t.Errorf("after the newest: %q", texts(got))
		}
	})
}

// TestFollowARun: to follow a run ends with its last line: when all its streams have ended, also where another one is
// under way; a run that has said nothing yet is the newest all the same.
func TestFollowARun(t *testing.T) {
	t.Parallel()
	b := NewBook(Options{})
	defer closed(t, b)
	j := b.Journal(name)
	follow := func(run int) <-chan []engine.Line {
		got := make(chan []engine.Line, 1)
		go func() { got <- collect(t, j.Read(t.Context(), engine.LogRequest{Tail: -1, Follow: true, Run: &run})) }()
		return got
	}
	if got := <-follow(0); got != nil {
		t.Errorf("of no run at all: %q", texts(got))
	}
	j.Note(1, "cannot start it")
	if got := <-follow(0); !slices.Equal(texts(got), []string{"pintle: cannot start it"}) {
		t.Errorf("of a run that never was: %q", texts(got))
	}
	out, outW := pipe(t)
	err, errW := pipe(t)
	j.Capture(2, engine.Stdout, out)
	j.Capture(2, engine.Stderr, err)
	newest, two := follow(0), follow(2)
	next, nextW := pipe(t)
	j.Capture(3, engine.Stdout, next)
	before := follow(-1)
	for i, w := range []*os.File{outW, nextW, errW} {
		fmt.Fprintln(w, "from", i)
		want := i + 2
		eventually(t, "it is there", func() bool { return len(j.Tail(-1)) == want })
		w.Close()
	}
	for i, got := range []<-chan []engine.Line{newest, two, before} {
		lines := <-got
		if i == 0 && len(lines) == 1 && lines[0].Run == 3 {
			continue // it was asked when the third run was there
		}
		if !slices.Equal(texts(lines), []string{"from 0", "stderr: from 2"}) {
			t.Errorf("follower %d: %q", i, texts(lines))
		}
	}
}

// TestFollowUntil: following ends with the first line that is later than it is asked for.
func TestFollowUntil(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &hand{at: clock()}
		j := NewBook(Options{Now: h.now}).Journal(name)
		var got []engine.Line
		ended := false
		go func() {
			got = collect(t, j.Read(t.Context(), engine.LogRequest{Tail: -1, Follow: true, Until: clock().Add(time.Second)}))
			ended = true
		}()
		for i := range 3 {
			synctest.Wait()
			if ended {
				t.Errorf("ended before line %d", i)
			}
			write(j, i, i+1)
			h.move(time.Second)
		}
		synctest.Wait()
		if !ended || len(got) != 2 {
			t.Errorf("%v, with %q", ended, texts(got))
		}
	})
}

// TestFilesThatCannotBeRead: what is in memory is shown all the same, behind a line that says why the rest is not.
func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b, j, _ := kept(t, File{Directory: dir, Size: 1000})
	defer closed(t, b)
	say(j, "one")
	j.Configure(Output{File: &File{Directory: "/dev/null", Size: 1000, UID: os.Geteuid()}})
	got := texts(collect(t, j.Read(t.Context(), engine.LogRequest{Tail: -1})))
	if len(got) != 2 || got[0] != "pintle: cannot read /dev/null: not a directory" || got[1] != "one" {
		t.Errorf("%q", got)
	}
	j.Configure(Output{})
}

// TestTooManyHistories: how many read files at a time is bounded; who comes too late is told so, and gets the rest.
func TestTooManyHistories(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b, j, _ := kept(t, File{Directory: dir, Size: 1000})
	defer closed(t, b)
	say(j, "one")
	b.histories.Store(mostHistories)
	got := texts(collect(t, j.Read(t.Context(), engine.LogRequest{Tail: -1})))
	if len(got) != 2 || got[0] != "pintle: "+errTooMany.Error() || got[1] != "one" {
		t.Errorf("%q", got)
	}
	if b.histories.Add(-1); len(collect(t, j.Read(t.Context(), engine.LogRequest{Tail: -1}))) != 1 {
		t.Error("there is room again, and it was not used")
	}
}

// TestDiskThatHangs: who reads waits for a disk that does not answer once, and not for long; then gets what is in memory.
func TestDiskThatHangs(t *testing.T) {
	t.Parallel()
	answer := make(chan struct{})
	b := newBook(t, Options{RingBytes: 1000})
	j := b.Journal(name)
	j.Configure(Output{Drop: true, File: &File{Directory: scratch(t), Size: 1000, UID: os.Geteuid(), As: func(do func()) error {
		<-answer
		do()
		return nil
	}}})
	write(j, 0, 100)
	var got []engine.Line
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for l := range j.Read(ctx, engine.LogRequest{Tail: -1, Follow: true, After: j.began + 1}) {
		if got = append(got, l); l.Seq == j.began+100 {
			write(j, 100, 300) // it is left behind once more
		}
		if l.Seq == j.began+300 {
			cancel()
		}
	}
	kept := j.Tail(-1)
	missed := 0
	for _, l := range got {
		if strings.Contains(l.Text, areMissing) {
			missed++
		}
	}
	if missed != 2 || len(got) < len(kept)+2 || got[len(got)-1] != kept[len(kept)-1] {
		t.Errorf("%d times lines were missing: %q", missed, texts(got))
	}
	if got := texts(collect(t, j.Read(t.Context(), engine.LogRequest{Tail: -1}))); !strings.HasSuffix(got[0], ": it has not answered for 5s") || len(got) != len(kept)+1 {
		t.Errorf("%q", got)
	}
	before := -1
	if got := texts(collect(t, j.Read(t.Context(), engine.LogRequest{Tail: -1, Run: &before}))); len(got) != 1 || !strings.HasSuffix(got[0], ": it has not answered for 5s") {
		t.Errorf("of the run before: %q", got)
	}
	close(answer)
	eventually(t, "nobody waits for the disk any more", func() bool { return b.histories.Load() == 0 })
}
