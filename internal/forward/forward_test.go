package forward

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/engine"
)

func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

// pass lets time go by, and then all that is done without more of it be done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// TestAllLinesArrive: those that are kept, those that come, and those of units that come later; each unit's in order.
func TestAllLinesArrive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks("quiet")
		b.write("web", 3)
		r := startForwarder(t, b, 1, nil)
		pass(defaultTuning().gather)
		if len(r.shelves[0].texts("web")) == 0 {
			t.Error("what is kept is not sent at once")
		}
		pass(2 * time.Second)
		same(t, "what is kept", r.shelves[0].texts("web"), numbered("web", 1, 3))
		b.write("web", 2)
		b.write("late", 2)
		pass(2 * time.Second)
		same(t, "web", r.shelves[0].texts("web"), numbered("web", 1, 5))
		same(t, "late", r.shelves[0].texts("late"), numbered("late", 1, 2))
		if c := r.Counters()[0]; c.Sent != 7 || c.Queued != 0 || c.QueuedBytes != 0 || c.Dropped != 0 || c.Failing {
			t.Errorf("%+v", c)
		}
	})
}

// TestItsOwnLinesAreNotForwarded: a line that forwarding a line makes would make the next one.
func TestItsOwnLinesAreNotForwarded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks()
		b.write("forward", 3)
		b.write("noise", 3)
		b.write("web", 1)
		r := startForwarder(t, b, 1, func(o *Options, _ *tuning) {
			o.Self = "forward"
			o.Match = func(s engine.Status) bool { return s.Name != "noise" }
		})
		pass(time.Minute)
		same(t, "all that arrives", r.shelves[0].texts(""), numbered("web", 1, 1))
	})
}

// TestDownForLong: while a receiver fails, attempts become rarer, lines wait, and then all of them arrive in order; it is
// said once when it begins, once a minute, and when it is over.
func TestDownForLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks()
		r := startForwarder(t, b, 1, nil)
		s := r.shelves[0]
		s.set(func([]entry) error { return errors.New("connection refused") }, false)
		for range 100 {
			b.write("web", 1)
			pass(6 * time.Second)
		}
		tries := s.attempts()
		if c := r.Counters()[0]; c.Queued != 100 || c.Sent != 0 || c.Retries != uint64(tries) || !c.Failing || c.LastError != "connection refused" {
			t.Errorf("%+v after %d attempts", c, tries)
		}
		if tries < 20 || tries > 60 { // 15 to 30 s apart, in 600
			t.Errorf("%d attempts in ten minutes", tries)
		}
		if n := len(r.words()); n < 8 || n > 11 {
			t.Errorf("it said %d things in ten minutes: %q", n, r.words())
		}
		s.set(nil, false)
		pass(35 * time.Second)
		same(t, "web", s.texts("web"), numbered("web", 1, 100))
		words := r.words()
		if last := words[len(words)-1]; !strings.HasPrefix(last, "target0 takes lines again, after 10m") {
			t.Errorf("it says %q last", last)
		}
		if c := r.Counters()[0]; c.Queued != 0 || c.Sent != 100 || c.Failing || c.Dropped != 0 {
			t.Errorf("%+v", c)
		}
	})
}

// TestOneThatHangsHoldsUpNoOther: the other gets its lines as if it were alone, however full the first one's queue is.
func TestOneThatHangsHoldsUpNoOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks()
		r := startForwarder(t, b, 2, func(o *Options, _ *tuning) { o.Queue = MinQueue })
		r.shelves[0].set(nil, true)
		for i := range 20 {
			b.write("web", 500)
			pass(1500 * time.Millisecond)
			if got := len(r.shelves[1].texts("web")); got != 500*(i+1) {
				t.Fatalf("the other one has %d lines, want %d", got, 500*(i+1))
			}
		}
		if c := r.Counters()[0]; c.QueuedBytes > MinQueue || c.Sent != 0 {
			t.Errorf("the one that hangs: %+v", c)
		}
	})
}

// TestAFullQueue: while the receiver takes nothing the oldest lines make room, are counted, and the receiver reads in their
// place how many they were; the newest arrive.
func TestAFullQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks()
		r := startForwarder(t, b, 1, func(o *Options, _ *tuning) { o.Queue = MinQueue; o.Self = "forward" })
		s := r.shelves[0]
		s.set(func([]entry) error { return errors.New("connection refused") }, false)
		b.write("web", 1)
		pass(time.Minute)
		b.write("web", 4999)
		pass(time.Minute)
		c := r.Counters()[0]
		if c.Dropped == 0 || c.QueuedBytes > MinQueue || c.QueuedBytes < MinQueue*9/10 {
			t.Errorf("%+v", c)
		}
		s.set(nil, false)
		pass(time.Minute)
		lost := int(c.Dropped)
		same(t, "what arrives", s.texts(""), append(
			[]string{fmt.Sprintf("%d lines are missing here: they could not be forwarded", lost)}, numbered("web", lost+1, 5000)...))
		if got := s.got[0].line.Unit; got != "forward" {
			t.Errorf("it is said in the name of %q", got)
		}
		if c := r.Counters()[0]; c.Sent != uint64(5000-lost) || c.Dropped != uint64(lost) || c.Queued != 0 || c.QueuedBytes != 0 {
			t.Errorf("%+v", c)
		}
	})
}

// TestSlowIsNotDown: while the receiver takes lines, though slowly, nothing is dropped: pintle keeps what is not read yet.
func TestSlowIsNotDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks()
		b.write("web", 20000)
		r := startForwarder(t, b, 1, func(o *Options, _ *tuning) { o.Queue = MinQueue })
		r.shelves[0].set(func([]entry) error { time.Sleep(5 * time.Second); return nil }, false)
		pass(10 * time.Minute)
		same(t, "web", r.shelves[0].texts("web"), numbered("web", 1, 20000))
		if c := r.Counters()[0]; c.Dropped != 0 || c.Sent != 20000 {
			t.Errorf("%+v", c)
		}
	})
}

// TestBatches: what comes after a silence goes at once, what comes often goes once a second, and a full batch goes at once.
func TestBatches(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks("web")
		r := startForwarder(t, b, 1, func(_ *Options, u *tuning) { u.batch = 64 << 10 })
		s := r.shelves[0]
		pass(time.Second)
		began := time.Now()
		for range 100 {
			b.write("web", 1)
			pass(100 * time.Millisecond)
		}
		if times := s.batches(); len(times) < 10 || len(times) > 11 || !times[0].Equal(began) {
			t.Errorf("batches in 10 s: %s, since %s", times, began)
		}
		pass(time.Minute)
		before := len(s.batches())
		b.write("web", 5000)
		pass(50 * time.Millisecond)
		if n := len(s.batches()) - before; n < 15 {
			t.Errorf("a million bytes went in %d batches of 64 KiB at once", n)
		}
		pass(2 * time.Second)
		same(t, "web", s.texts("web"), numbered("web", 1, 5100))
	})
}

// TestPatience: a receiver that asks to be left alone for a time is, but not for longer than a few minutes.
func TestPatience(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, c := range []struct{ asks, least, most time.Duration }{
			{90 * time.Second, 90 * time.Second, 92 * time.Second},
			{24 * time.Hour, mostPatience, mostPatience + 2*time.Second},
		} {
			b := newBooks()
			r := startForwarder(t, b, 1, nil)
			var tries []time.Time
			r.shelves[0].set(func([]entry) error {
				if tries = append(tries, time.Now()); len(tries) == 1 {
					return &notNow{after: c.asks, cause: "it answers 429"}
				}
				return nil
			}, false)
			b.write("web", 1)
			pass(10 * time.Minute)
			r.stop()
			if len(tries) != 2 || tries[1].Sub(tries[0]) < c.least || tries[1].Sub(tries[0]) > c.most {
				t.Errorf("it asks for %s: %s", c.asks, tries)
			}
		}
	})
}

// TestRefused: what a receiver will never take is dropped, counted and said, the receiver is told, and the rest arrives.
func TestRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks("web")
		file := filepath.Join(t.TempDir(), "cursors")
		r := startForwarder(t, b, 1, func(o *Options, _ *tuning) { o.Cursors = file })
		s := r.shelves[0]
		s.set(func([]entry) error { return &refusal{lines: -1, cause: "it answers 400 Bad Request"} }, false)
		b.write("web", 3)
		pass(10 * time.Minute)
		if n := s.attempts(); n < 20 || n > 60 { // what is missing is told again and again, but not all the time
			t.Errorf("%d attempts in ten minutes", n)
		}
		s.set(func(batch []entry) error {
			if batch[len(batch)-1].line.Seq == 5 {
				s.mu.Lock()
				defer s.mu.Unlock()
				return &refusal{lines: 1, cause: "one is too old"}
			}
			return nil
		}, false)
		pass(time.Minute)
		b.write("web", 2)
		pass(5 * time.Second)
		b.write("web", 1)
		pass(5 * time.Second)
		same(t, "what arrives", s.texts(""), []string{
			"3 lines are missing here: they could not be forwarded", "1 line is missing here: it could not be forwarded", "web 6",
		})
		if c := r.Counters()[0]; c.Dropped != 4 || c.Sent != 2 || c.Retries != 0 || c.LastError != "one is too old" {
			t.Errorf("%+v", c)
		}
		if n := len(r.words()); n != 2 {
			t.Errorf("it said %d things: %q", n, r.words())
		}
		r.stop()
		again := startForwarder(t, b, 1, func(o *Options, _ *tuning) { o.Cursors = file })
		pass(5 * time.Second)
		same(t, "the next one, of what was refused", again.shelves[0].texts("web"), nil)
	})
}

// TestTooLarge: what a receiver does not take at once it gets in parts, as large as it takes them; a line that is too long by
// itself is all that is dropped.
func TestTooLarge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks()
		b.write("web", 5000)
		r := startForwarder(t, b, 1, nil)
		s := r.shelves[0]
		large := 0
		s.set(func(batch []entry) error {
			if len(batch) > 300 || len(batch) == 1 && batch[0].line.Seq == 7000 {
				large++
				return &tooLarge{"it answers 413"}
			}
			if slices.ContainsFunc(batch, func(e entry) bool { return e.line.Seq == 7000 }) {
				return &tooLarge{"it answers 413"}
			}
			return nil
		}, false)
		for range 4 {
			pass(time.Minute)
			b.write("web", 1000)
		}
		pass(time.Minute)
		want := numbered("web", 1, 9000)
		want[6999] = "1 line is missing here: it could not be forwarded"
		same(t, "web", s.texts(""), want)
		c := r.Counters()[0]
		if c.Dropped != 1 || c.Sent != 8999 || c.Failing || c.LastError != "it answers 413" {
			t.Errorf("%+v", c)
		}
		if n := len(s.batches()); large > n/2 {
			t.Errorf("%d requests of %d were too large", large, large+n)
		}
	})
}

// TestAllIsTooLarge: one that takes no single line is asked the more rarely, and few are given up.
func TestAllIsTooLarge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks()
		b.write("web", 5000)
		r := startForwarder(t, b, 1, nil)
		s := r.shelves[0]
		s.set(func([]entry) error { return &tooLarge{"it answers 413"} }, false)
		pass(10 * time.Minute)
		if c := r.Counters()[0]; c.Dropped == 0 || c.Dropped > 60 || s.attempts() > 100 {
			t.Errorf("%d attempts; %+v", s.attempts(), c)
		}
	})
}

// TestTheEnd: when it is told to end, what is queued is sent; what hangs or fails then has a few seconds, no more.
func TestTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks("web")
		r := startForwarder(t, b, 1, nil)
		b.write("web", 1)
		pass(100 * time.Millisecond)
		b.write("web", 1) // which would wait for the second to be over
		synctest.Wait()
		began := time.Now()
		r.stop()
		if d := time.Since(began); d > 500*time.Millisecond {
			t.Errorf("it took %s to end", d)
		}
		same(t, "web", r.shelves[0].texts("web"), numbered("web", 1, 2))

		for _, hangs := range []bool{true, false} {
			r := startForwarder(t, b, 1, nil)
			r.shelves[0].set(func([]entry) error { return errors.New("no") }, hangs)
			pass(time.Hour)
			began := time.Now()
			r.stop()
			if d := time.Since(began); d > 5*time.Second {
				t.Errorf("hangs: %v: it took %s to end", hangs, d)
			}
		}
		// One that failed is asked at once, however long it was to be left alone.
		r = startForwarder(t, b, 1, nil)
		r.shelves[0].set(func([]entry) error { return errors.New("no") }, false)
		pass(time.Hour)
		time.AfterFunc(time.Second, func() { r.shelves[0].set(nil, false) }) // it is not too late then
		r.stop()
		same(t, "web", r.shelves[0].texts("web"), numbered("web", 1, 2))
	})
}

// TestGoesOn: the next forwarder sends what the one before had not, and nothing else; without a file it begins anew.
func TestGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks()
		file := filepath.Join(t.TempDir(), "cursors")
		keep := func(o *Options, _ *tuning) { o.Cursors = file }
		r := startForwarder(t, b, 2, keep)
		r.shelves[1].set(nil, true)
		b.write("web", 3)
		pass(2 * time.Second)
		if err := os.Remove(file); err != nil {
			t.Error(err)
		}
		b.write("web", 1)
		pass(3 * time.Second)
		text, err := os.ReadFile(file) // without having ended, which it may not come to
		if want := `{"version":1,"targets":{"target0":{"web":4}}}` + "\n"; err != nil || string(text) != want {
			t.Errorf("%v; the file is %s", err, text)
		}
		r.stop()
		b.write("web", 2)
		r = startForwarder(t, b, 2, keep)
		pass(2 * time.Second)
		same(t, "to who had some", r.shelves[0].texts("web"), numbered("web", 5, 6))
		same(t, "to who had none", r.shelves[1].texts("web"), numbered("web", 1, 6))
		r.stop()
		r = startForwarder(t, b, 1, nil)
		pass(2 * time.Second)
		same(t, "without a file", r.shelves[0].texts("web"), numbered("web", 1, 6))
		left, err := filepath.Glob(file + "*")
		if err != nil || len(left) != 2 { // and its lock
			t.Errorf("%v; there are %q", err, left)
		}
	})
}

// TestDenied: a unit that may not be read is tried again, more and more rarely, is said once a minute, and keeps nobody from
// the others.
func TestDenied(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks("secret")
		b.denied["secret"] = 0
		b.write("web", 1)
		r := startForwarder(t, b, 1, nil)
		pass(10 * time.Minute)
		same(t, "all", r.shelves[0].texts(""), numbered("web", 1, 1))
		if n := len(r.words()); n < 8 || n > 11 || !strings.HasPrefix(r.words()[0], "cannot read the logs of secret: uid 7 may not") {
			t.Errorf("it said %d things in ten minutes: %q", n, r.words())
		}
		b.mu.Lock()
		tries := b.denied["secret"]
		delete(b.denied, "secret")
		b.mu.Unlock()
		if tries > 60 {
			t.Errorf("%d attempts in ten minutes", tries)
		}
		b.write("secret", 1)
		pass(time.Minute)
		same(t, "all", r.shelves[0].texts("secret"), numbered("secret", 1, 1))
	})
}

// TestWithoutLines: that a main program's output is not kept is no news, and does not keep the forwarder busy.
func TestWithoutLines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks("main")
		b.denied["main"] = 0
		r := startForwarder(t, b, 1, nil)
		pass(10 * time.Minute)
		b.mu.Lock()
		tries := b.denied["main"]
		b.mu.Unlock()
		if n := len(r.words()); n != 0 || tries > 21 {
			t.Errorf("it tried %d times, and said %q", tries, r.words())
		}
	})
}

// TestGone: of a unit that is removed the last lines arrive, nobody reads it any more, and when there is one of its name
// again it is read again.
func TestGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks()
		b.write("web", 2)
		r := startForwarder(t, b, 1, nil)
		pass(2 * time.Second)
		b.write("web", 1)
		b.remove("web")
		pass(2 * time.Minute)
		same(t, "web", r.shelves[0].texts("web"), numbered("web", 1, 3))
		if open, _, _ := b.streams(); open != 0 {
			t.Errorf("%d are read", open)
		}
		b.write("web", 1)
		pass(2 * time.Minute)
		got := r.shelves[0].texts("web")
		if !slices.Contains(got, "web 4") {
			t.Errorf("got %q", got)
		}
	})
}

// TestTimesAreDistinct: lines of one chunk keep their order wherever somebody sorts by time, and a clock that was set back
// is believed.
func TestTimesAreDistinct(t *testing.T) {
	t.Parallel()
	const at = 1_700_000_000_000_000_000
	for _, c := range []struct{ nanos, before, want int64 }{
		{at, 0, at}, {at, at, at + 1}, {at, at + 7, at + 8}, {at + 1000, at + 7, at + 1000}, {at, at + 1e9, at},
	} {
		if got := distinct(c.nanos, c.before); got != c.want {
			t.Errorf("%d after %d became %d, want %d", c.nanos, c.before, got, c.want)
		}
	}
}
