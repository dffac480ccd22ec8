package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		os.Exit(play(role, os.Args[1]))
	}
	goleak.VerifyTestMain(m)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// scratch is a directory that pintle and every user can reach.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pintle-store-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

func open(t *testing.T, dir string) (*Store, []Record) {
	t.Helper()
	s, records := Open(Options{Directory: dir, UID: os.Geteuid()})
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s, records
}

// reopen is what the next pintle finds.
func reopen(t *testing.T, dir string) []Record {
	t.Helper()
	s, records := open(t, dir)
	if got := s.Conditions(); got != nil {
		t.Errorf("conditions %q", got)
	}
	must(t, s.Close(t.Context()))
	return records
}

func record(name unit.Name, up bool, generation uint64) Record {
	return Record{Unit: name, Intent: unit.Intent{
		Up:         up,
		Generation: generation,
		Time:       time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
		Actor:      unit.Actor{Kind: "peer", UID: 10000, PID: 77, Command: "pintle"},
	}}
}

// put waits for the outcome of a Put.
func put(s *Store, r Record) error {
	outcome := make(chan error, 1)
	s.Put(r, func(err error) { outcome <- err })
	return <-outcome
}

func remove(s *Store, name unit.Name) error {
	outcome := make(chan error, 1)
	s.Delete(name, func(err error) { outcome <- err })
	return <-outcome
}

func wantRecords(t *testing.T, got []Record, want ...Record) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// A desired state outlives the container.
func TestRecordsSurvive(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	s, records := open(t, dir)
	wantRecords(t, records)
	a, b := record("gateway@coder", true, 3), record("dashboard", false, 1)
	must(t, put(s, a))
	must(t, put(s, b))
	must(t, put(s, record("gone", true, 1)))
	must(t, remove(s, "gone"))
	must(t, remove(s, "never-was"))
	must(t, s.Close(t.Context()))
	wantRecords(t, reopen(t, dir), b, a)
}

// A record is one readable file that only pintle's user may read.
func TestFileForm(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	s, _ := open(t, dir)
	must(t, put(s, record("gateway@coder", true, 3)))
	file := dir + "/intents/gateway@coder.json"
	text, err := os.ReadFile(file)
	must(t, err)
	want := `{"unit":"gateway@coder","desired":"up","generation":3,"time":"2026-01-02T03:04:05.000000006Z",` +
		`"actor":{"kind":"peer","uid":10000,"pid":77,"command":"pintle"}}` + "\n"
	if string(text) != want {
		t.Errorf("got  %swant %s", text, want)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o700, dir + "/intents": 0o700, file: 0o600} {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), mode)
		}
	}
	names, err := os.ReadDir(dir + "/intents")
	must(t, err)
	if len(names) != 1 {
		t.Errorf("in the directory: %v", names)
	}
}

// However many wishes come for a unit while the disk is busy, the last is kept,
// and everybody who waits is told once.
func TestLatestWins(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	s, _ := open(t, dir)
	busy, free := make(chan struct{}), make(chan struct{})
	s.Put(record("busy", true, 1), func(error) { close(busy); <-free })
	<-busy // the goroutine is in the callback, and so all that follows is queued
	const n = 100
	told := make(chan error, 2*n)
	for i := range n {
		s.Put(record("a", i%2 == 0, uint64(i)), func(err error) { told <- err })
		s.Put(record("b", true, uint64(i)), nil)
		s.Delete("b", func(err error) { told <- err })
	}
	close(free)
	for range 2 * n {
		must(t, <-told)
	}
	must(t, s.Close(t.Context()))
	if len(told) != 0 {
		t.Error("somebody was told twice")
	}
	wantRecords(t, reopen(t, dir), record("a", false, n-1), record("busy", true, 1))
}

// What pintle only knows of a unit gives way to what another container was asked meanwhile, and to nothing else.
func TestRepeatGivesWay(t *testing.T) {
	t.Parallel()
	up, down := record("a", true, 3), record("a", false, 3)
	gone, later := up, up
	gone.Gone = time.Date(2026, 2, 2, 3, 4, 5, 6, time.UTC)
	later.Intent.Time = gone.Gone
	for name, c := range map[string]struct {
		there        *Record
		repeat, want Record
	}{
		"nothing":                  {nil, up, up},
		"an earlier one":           {new(record("a", false, 2)), up, record("a", false, 2)},
		"the same, and more of it": {&up, gone, gone},
		"another one":              {&down, up, down},
		"one of another time":      {&later, up, later},
		"a later one":              {new(record("a", false, 4)), gone, record("a", false, 4)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(scratch(t), "state")
			s, _ := open(t, dir)
			if c.there != nil { // another container writes it, after this one has looked
				other, _ := open(t, dir)
				must(t, put(other, *c.there))
				must(t, other.Close(t.Context()))
			}
			s.Repeat(c.repeat)
			must(t, s.Close(t.Context()))
			wantRecords(t, reopen(t, dir), c.want)
		})
	}
}

// What cannot be read is no reason to give way, and what comes after a wish of one's own repeats that.
func TestRepeatStands(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	s, _ := open(t, dir)
	must(t, os.WriteFile(dir+"/intents/a.json", []byte("{"), 0o600))
	s.Repeat(record("a", true, 1))
	must(t, put(s, record("b", false, 9)))
	busy, free := make(chan struct{}), make(chan struct{})
	s.Put(record("busy", true, 1), func(error) { close(busy); <-free })
	<-busy
	s.Delete("b", nil)
	s.Repeat(record("b", true, 1))
	close(free)
	must(t, s.Close(t.Context()))
	wantRecords(t, reopen(t, dir), record("a", true, 1), record("b", true, 1), record("busy", true, 1))
}

// Without a state directory nothing is kept, and that is no fault.
func TestNoDirectory(t *testing.T) {
	t.Parallel()
	s, records := open(t, "")
	wantRecords(t, records)
	must(t, put(s, record("a", true, 1)))
	must(t, remove(s, "a"))
	if got := s.Conditions(); got != nil || s.Durable() {
		t.Errorf("conditions %q, durable %t", got, s.Durable())
	}
	must(t, s.Close(t.Context()))
}

// What cannot be written is said, and tried again after 1 s, 2 s, 4 s … until the
// disk has what memory has.
func TestRetriesUntilItSucceeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		parent := filepath.Join(scratch(t), "volume")
		changed := 0
		s, _ := Open(Options{Directory: parent + "/state", UID: os.Geteuid(), Changed: func() { changed++ }})
		condition := []engine.Condition{{
			Code: engine.StateInMemory,
			Text: "desired states are kept in memory only: cannot open " + parent + "/state: " + parent + ": no such file or directory",
		}}
		wantConditions := func(want []engine.Condition) {
			t.Helper()
			synctest.Wait()
			if s.Durable() != (want == nil) {
				t.Errorf("durable: %t", s.Durable())
			}
			if diff := cmp.Diff(want, s.Conditions()); diff != "" {
				t.Errorf("conditions after %d changes (-want +got):\n%s", changed, diff)
			}
		}
		wantConditions(condition)
		if err := put(s, record("a", true, 1)); err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("outcome %v", err)
		}
		time.Sleep(1500 * time.Millisecond) // the first retry was after one second, the second comes after three
		must(t, os.Mkdir(parent, 0o755))
		wantConditions(condition)
		time.Sleep(time.Second)
		wantConditions(condition)
		time.Sleep(time.Second)
		wantConditions(nil)
		if changed != 1 {
			t.Errorf("Changed was called %d times, want once", changed)
		}
		must(t, s.Close(t.Context()))
		wantRecords(t, reopen(t, parent+"/state"), record("a", true, 1))
	})
}

// The waits between retries stay within 30 s: a disk that is back is noticed.
func TestRetryWaitIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		parent := filepath.Join(scratch(t), "volume")
		s, _ := Open(Options{Directory: parent + "/state", UID: os.Geteuid()})
		time.Sleep(24 * time.Hour)
		must(t, os.Mkdir(parent, 0o755))
		time.Sleep(maxRetry)
		synctest.Wait()
		if got := s.Conditions(); got != nil {
			t.Errorf("conditions %q", got)
		}
		must(t, s.Close(t.Context()))
	})
}

// A new wish does not wait for the retry, and takes with it what failed before.
func TestPutRetriesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		parent := filepath.Join(scratch(t), "volume")
		s, _ := Open(Options{Directory: parent + "/state", UID: os.Geteuid()})
		begin := time.Now()
		if put(s, record("a", true, 1)) == nil {
			t.Error("durable in a directory that does not exist")
		}
		must(t, os.Mkdir(parent, 0o755))
		must(t, put(s, record("b", true, 1)))
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("took %v", waited)
		}
		must(t, s.Close(t.Context()))
		wantRecords(t, reopen(t, parent+"/state"), record("a", true, 1), record("b", true, 1))
	})
}

// Close writes what is queued.
func TestCloseWritesWhatIsQueued(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	s, _ := open(t, dir)
	var want []Record
	for i := range 50 {
		r := record(unit.Name(fmt.Sprintf("u%02d", i)), true, 1)
		want = append(want, r)
		s.Put(r, nil)
	}
	must(t, s.Close(t.Context()))
	must(t, s.Close(t.Context())) // a second time is no harm
	wantRecords(t, reopen(t, dir), want...)
	if err := put(s, want[0]); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// Close says what could not be kept.
func TestCloseNamesWhatIsLost(t *testing.T) {
	t.Parallel()
	s, _ := open(t, filepath.Join(scratch(t), "no", "state"))
	s.Put(record("b", true, 1), nil)
	s.Put(record("a", true, 1), nil)
	err := s.Close(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "cannot keep the desired state of a, b: cannot open ") {
		t.Error(err)
	}
}

// A disk that hangs does not hold up the end of the container.
func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := Open(Options{})
		hang := make(chan struct{})
		s.Put(record("a", true, 1), func(error) { <-hang })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		close(hang)
		<-s.done
	})
}
