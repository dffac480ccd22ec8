package engine

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"pintle/internal/unit"
)

// books is an engine that has lines and nothing else.
type books struct {
	Engine
	lines map[unit.Name][]Line
	// live is what each unit writes to those who follow, until it is closed.
	live map[unit.Name]chan Line
}

func (b books) Logs(ctx context.Context, req LogRequest) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		lines, ok := b.lines[req.Name]
		if !ok {
			yield(Line{}, Errorf(NotFound, "cannot read the log of %s: there is no such unit", req.Name))
			return
		}
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
		for req.Follow {
			select {
			case l, ok := <-b.live[req.Name]:
				if !ok || !yield(l, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func requests(b books, follow bool) []LogRequest {
	var reqs []LogRequest
	for name := range b.lines {
		reqs = append(reqs, LogRequest{Name: name, Tail: -1, Follow: follow})
	}
	return reqs
}

// TestMergeKeepsAll: every line of every unit comes once, each unit's own in their order whatever the clock did, and
// where no clock was set back all are in the order of time and then of name.
func TestMergeKeepsAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := books{lines: map[unit.Name][]Line{}}
		steady := rapid.Bool().Draw(t, "steady")
		least := 0
		if !steady {
			least = -3
		}
		total := 0
		for i := range rapid.IntRange(0, 6).Draw(t, "units") {
			name := unit.Name(fmt.Sprintf("u%d", i))
			b.lines[name] = []Line{}
			at := time.Unix(0, 0)
			for n := range rapid.IntRange(0, 8).Draw(t, "lines") {
				at = at.Add(time.Duration(rapid.IntRange(least, 3).Draw(t, "step")) * time.Second)
				b.lines[name] = append(b.lines[name], Line{Unit: name, Seq: uint64(n + 1), Time: at})
				total++
			}
		}
		got := map[unit.Name][]Line{}
		var all []Line
		for l, err := range LogsOf(context.Background(), b, requests(b, false)) {
			if err != nil {
				t.Fatal(err)
			}
			got[l.Unit] = append(got[l.Unit], l)
			all = append(all, l)
		}
		if len(all) != total {
			t.Fatalf("%d lines of %d", len(all), total)
		}
		for name, lines := range got {
			if !slices.Equal(lines, b.lines[name]) {
				t.Fatalf("%s: %v, want %v", name, lines, b.lines[name])
			}
		}
		if steady && !slices.IsSortedFunc(all, func(x, y Line) int {
			return cmp.Or(x.Time.Compare(y.Time), cmp.Compare(x.Unit, y.Unit))
		}) {
			t.Fatalf("not by time and name: %v", all)
		}
	})
}

// TestFollowMany: of units that are followed, every line comes as it is written, and it is said whose are over; the stream
// ends with the last of them, with its context, with its reader and with the first error, which says whom it is about, and
// leaves nothing behind.
func TestFollowMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := books{lines: map[unit.Name][]Line{}, live: map[unit.Name]chan Line{}}
		for _, name := range []unit.Name{"a", "b", "c"} {
			b.lines[name], b.live[name] = []Line{{Unit: name, Seq: 1}}, make(chan Line)
		}
		go func() {
			for n := range uint64(100) {
				for name, out := range b.live {
					out <- Line{Unit: name, Seq: n + 2}
				}
			}
			for _, out := range b.live {
				close(out)
			}
		}()
		last := map[unit.Name]uint64{}
		over := 0
		for l, err := range LogsOf(t.Context(), b, requests(b, true)) {
			if l.Over && last[l.Unit] == 101 {
				over++
				continue
			}
			if err != nil || l.Seq != last[l.Unit]+1 {
				t.Fatalf("%v after %d: %v", l, last[l.Unit], err)
			}
			last[l.Unit] = l.Seq
		}
		if over != 3 || last["a"] != 101 || last["b"] != 101 || last["c"] != 101 {
			t.Errorf("ended after %v, %d of them said to be over", last, over)
		}

		synctest.Wait() // until the writer has ended
		for name := range b.live {
			b.live[name] = make(chan Line)
		}
		for range LogsOf(t.Context(), b, requests(b, true)) {
			break
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for _, err := range LogsOf(ctx, b, requests(b, true)) {
			if err != nil {
				t.Error(err)
			}
		}
		var failed error
		for _, err := range LogsOf(t.Context(), b, append(requests(b, true), LogRequest{Name: "nosuch"})) {
			failed = err
		}
		if KindOf(failed) != NotFound || !slices.Equal(UnitsOf(failed), []unit.Name{"nosuch"}) {
			t.Errorf("ended with %v, about %v", failed, UnitsOf(failed))
		}
	})
}
