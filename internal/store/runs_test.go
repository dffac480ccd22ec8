package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

func aRun(name unit.Name, number uint64, tail ...string) engine.RunRecord {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return engine.RunRecord{
		Unit: name, Container: "c0ffee", Life: 7, Ready: began.Add(time.Second), By: "policy", Tail: tail,
		Usage: unit.Usage{User: time.Second, System: time.Millisecond, MaxRSS: 1 << 20},
		RunEnd: engine.RunEnd{
			Run: number, PID: 33, Started: began, Ended: began.Add(time.Minute),
			Exit: unit.Exit{Signal: unit.SIGKILL}, Cause: unit.Hung, Sender: engine.SentByPintle, Detail: "no answer",
		},
	}
}

func ran(s *Store, r engine.RunRecord) { s.Ran(r.Unit, func() engine.RunRecord { return r }) }

// runsOf are the numbers of the records that are kept.
func runsOf(t *testing.T, s *Store, name unit.Name, limit int) []uint64 {
	t.Helper()
	records, err := s.Runs(t.Context(), name, limit)
	must(t, err)
	var numbers []uint64
	for _, r := range records {
		numbers = append(numbers, r.Run)
	}
	return numbers
}

// What is kept of a run is there as it was after the container has gone, for pintle and for a person with a text tool.
func TestRunsSurvive(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	s, _ := open(t, dir)
	want := []engine.RunRecord{aRun("gateway@coder", 1), aRun("gateway@coder", 2, "its last words", "\x1b[31mred\x00")}
	for _, r := range want {
		ran(s, r)
	}
	ran(s, aRun("other", 1))
	must(t, s.Close(t.Context()))

	file := dir + "/runs/gateway@coder.jsonl"
	text, err := os.ReadFile(file)
	must(t, err)
	if lines := strings.Split(string(text), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], `{"unit":"gateway@coder","container":"c0ffee","life":7,"run":1,"pid":33,`) {
		t.Errorf("file:\n%s", text)
	}
	info, err := os.Stat(file)
	must(t, err)
	if info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", info.Mode().Perm())
	}

	s, _ = open(t, dir)
	got, err := s.Runs(t.Context(), "gateway@coder", -1)
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	ran(s, aRun("gateway@coder", 3))
	if got := runsOf(t, s, "gateway@coder", 2); !cmp.Equal(got, []uint64{2, 3}) {
		t.Errorf("the newest two are %v", got)
	}
	if got := runsOf(t, s, "nobody", -1); got != nil {
		t.Errorf("of nobody: %v", got)
	}
	must(t, remove(s, "gateway@coder"))
	if got := runsOf(t, s, "gateway@coder", -1); got != nil {
		t.Errorf("of one that was forgotten: %v", got)
	}
}

// However long a unit fails, its file stays small, and has the newest runs.
func TestRunsAreBounded(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	s, _ := open(t, dir)
	size := func(name string) int64 {
		info, err := os.Stat(dir + "/runs/" + name + ".jsonl")
		must(t, err)
		return info.Size()
	}
	const n = 300                          // a file is written anew several times
	wordy := strings.Repeat("\x00", 4<<10) // six times as long in JSON
	for i := range uint64(n) {
		ran(s, aRun("short", i+1))
		ran(s, aRun("wordy", i+1, wordy))
		if i%7 != 0 && i != n-1 {
			continue // to read them is what takes long
		}
		short, long := runsOf(t, s, "short", -1), runsOf(t, s, "wordy", -1)
		if len(short) < min(int(i), keptRuns) || len(short) > mostRuns || short[len(short)-1] != i+1 || long[len(long)-1] != i+1 || len(long) < min(int(i), 5) {
			t.Fatalf("after %d runs: %v, %v", i+1, short, long)
		}
		if size("short") > mostRunBytes || size("wordy") > mostRunBytes {
			t.Fatalf("after %d runs: %d and %d bytes", i+1, size("short"), size("wordy"))
		}
	}
}

// Whatever call to the disk goes wrong, the records from before can still be read, and a new one is whole or not there;
// where pintle lives on, it is there.
func TestRunsWhenAnyCallGoesWrong(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]func(*faulty, func() error) error{
		"SIGKILL before": dies, "SIGKILL after": diesAfter, "ENOSPC": fails(syscall.ENOSPC), "EIO after": failsAfter(syscall.EIO),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at := 1; ; at++ {
				dir := filepath.Join(scratch(t), "state")
				s, _ := open(t, dir)
				for i := range uint64(mostRuns) {
					ran(s, aRun("full", i+1))
				}
				ran(s, aRun("a", 1))
				must(t, s.Close(t.Context()))
				disk := &faulty{part: runsDir, at: at, how: how}
				s, _ = Open(Options{Directory: dir, UID: os.Geteuid(), mount: disk.mount})
				ran(s, aRun("full", mostRuns+1))
				ran(s, aRun("a", 2))
				_, _ = s.Runs(t.Context(), "a", -1)
				ran(s, aRun("a", 3))
				_ = s.Close(t.Context())

				s, _ = open(t, dir)
				full, a := runsOf(t, s, "full", -1), runsOf(t, s, "a", -1)
				if len(full) < keptRuns || len(a) == 0 || a[0] != 1 {
					t.Fatalf("call %d of %q: %d and %v are left", at, disk.log, len(full), a)
				}
				ran(s, aRun("a", 4))
				if a := runsOf(t, s, "a", 1); !cmp.Equal(a, []uint64{4}) {
					t.Fatalf("call %d of %q: the next one is %v", at, disk.log, a)
				}
				must(t, s.Close(t.Context()))
				if !disk.wrong {
					break
				}
			}
		})
	}
}

// What is no record is passed over, and a file that cannot be one is set aside.
func TestBadRuns(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	s, _ := open(t, dir)
	ran(s, aRun("a", 1))
	ran(s, aRun("b", 1))
	must(t, s.Close(t.Context()))
	f, err := os.OpenFile(dir+"/runs/a.jsonl", os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString("null\n[]\n\xff\n{\"unit\":\"b\",\"run\":9}\n{\"unit\":\"a\",\"run\":2")
	must(t, errors.Join(err, f.Close()))
	must(t, os.Remove(dir+"/runs/b.jsonl"))
	must(t, os.Symlink("a.jsonl", dir+"/runs/b.jsonl"))

	s, _ = open(t, dir)
	ran(s, aRun("a", 3))
	ran(s, aRun("b", 2))
	if a, b := runsOf(t, s, "a", -1), runsOf(t, s, "b", -1); !cmp.Equal(a, []uint64{1, 3}) || !cmp.Equal(b, []uint64{2}) {
		t.Errorf("a has %v, b has %v", a, b)
	}
	if _, err := os.Lstat(dir + "/aside/b.jsonl"); err != nil {
		t.Error(err)
	}
}

// Without a state directory the latest are remembered.
func TestRunsInMemory(t *testing.T) {
	t.Parallel()
	s, _ := open(t, "")
	for i := range uint64(3 * memoryRuns) {
		ran(s, aRun("a", i+1))
	}
	if got := runsOf(t, s, "a", -1); len(got) != memoryRuns || got[memoryRuns-1] != 3*memoryRuns {
		t.Errorf("%v", got)
	}
}

// A disk that gives nothing holds up nobody for longer than he is willing to wait; what it can't take is bounded, and said.
func TestRunsOnADiskThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		dir := filepath.Join(scratch(t), "state")
		s, _ := Open(Options{Directory: dir, UID: os.Geteuid(), mount: func(directory string, uid int, dirs ...string) (volume, error) {
			if dirs[0] == runsDir {
				<-goOn
			}
			return openTree(directory, uid, dirs...)
		}})
		ran(s, aRun("a", 1))
		synctest.Wait()
		for i := range uint64(2 * mostQueued) {
			ran(s, aRun("a", i+2))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Runs(ctx, "a", 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		s.runs.mu.Lock()
		if slices.ContainsFunc(s.runs.queue, func(j runJob) bool { return j.answer != nil }) {
			t.Error("who has gone away asks still")
		}
		s.runs.mu.Unlock()
		close(goOn)
		if got := runsOf(t, s, "a", 1); !cmp.Equal(got, []uint64{2*mostQueued + 1}) {
			t.Errorf("%v", got)
		}
		must(t, s.Close(t.Context()))
	})
}

// Where records can't be written, that is a condition, they can still be read, and they are written when that is over.
func TestRunsOnAFullDisk(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	full := fails(syscall.ENOSPC)
	disk := &faulty{part: runsDir, calls: []string{"write runs/a.jsonl"}, how: func(f *faulty, do func() error) error { return full(f, do) }}
	s, _ := Open(Options{Directory: dir, UID: os.Geteuid(), mount: disk.mount})
	for i := range uint64(3) {
		ran(s, aRun("a", i+1))
	}
	if got := runsOf(t, s, "a", -1); !cmp.Equal(got, []uint64{1, 2, 3}) {
		t.Errorf("%v", got)
	}
	want := fmt.Sprintf("run records are kept in memory only: cannot write %s/runs/a.jsonl: no space left on device", dir)
	if got := s.Conditions(); !cmp.Equal(got, []engine.Condition{{Code: engine.RunsInMemory, Text: want}}) {
		t.Errorf("conditions %q", got)
	}
	disk.mu.Lock()
	disk.calls = nil
	disk.mu.Unlock()
	ran(s, aRun("a", 4))
	if got := runsOf(t, s, "a", -1); !cmp.Equal(got, []uint64{1, 2, 3, 4}) {
		t.Errorf("%v", got)
	}
	if got := s.Conditions(); got != nil {
		t.Errorf("conditions %q", got)
	}
	must(t, s.Close(t.Context()))
}

// When the disk is well again, what could not be written is, and the condition is gone, also where no other run ends.
func TestRunsAreTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(scratch(t), "state")
		var broken atomic.Bool
		broken.Store(true)
		s, _ := Open(Options{Directory: dir, UID: os.Geteuid(), mount: func(directory string, uid int, dirs ...string) (volume, error) {
			if broken.Load() && dirs[0] == runsDir {
				return nil, syscall.ENOSPC
			}
			return openTree(directory, uid, dirs...)
		}})
		ran(s, aRun("a", 1))
		synctest.Wait()
		if c := s.Conditions(); len(c) != 1 || c[0].Code != engine.RunsInMemory {
			t.Errorf("conditions %v", c)
		}
		broken.Store(false)
		time.Sleep(maxRetry)
		synctest.Wait()
		if c := s.Conditions(); c != nil {
			t.Errorf("conditions %v", c)
		}
		must(t, s.Close(t.Context()))
		if _, err := os.Stat(dir + "/runs/a.jsonl"); err != nil {
			t.Error(err)
		}
	})
}
