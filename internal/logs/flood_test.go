package logs

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// floodVariable, set to anything, has TestFlood be of its full size.
const floodVariable = "PINTLE_LOGS_TEST_FLOOD"

// flood says how much TestFlood has to stand.
type flood struct {
	writers int
	rate    int           // how many bytes each of them writes in a second, while it can
	lasts   time.Duration // in all
	full    time.Duration // how long the disk is full, in the middle of it
	kill    time.Duration // from one SIGKILL to the next
	size    int64         // of a file, at most
	disk    string        // its size; files that were checked make room
}

// TestFlood: many writers at once, whose files are set aside all the time; one or another of them is killed at random and
// started again, and the disk is full for a while. Every line that a write(2) has returned for is in the writer's files
// exactly once, whole, and in its run's order. What a writer had begun when it was killed is there as far as it came, and
// marked where it is half a line.
func TestFlood(t *testing.T) {
	t.Parallel()
	f := flood{200, 50_000, 12 * time.Second, 4 * time.Second, 200 * time.Millisecond, 100_000, "256m"}
	switch {
	case os.Getenv(floodVariable) != "":
		f = flood{200, 1_000_000, time.Minute, 10 * time.Second, 50 * time.Millisecond, 1_000_000, "4g"}
	case testing.Short():
		f = flood{50, 100_000, 4 * time.Second, 2 * time.Second, 50 * time.Millisecond, 100_000, "128m"}
	}
	raiseFileLimit(t, uint64(5*f.writers+100))
	disk := scratch(t)
	if err := unix.Mount("pintle-test", disk, "tmpfs", 0, "size="+f.disk); err != nil {
		t.Logf("the disk does not become full: cannot mount a tmpfs: %v", err)
		f.full = 0
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	progress, err := os.CreateTemp(scratch(t), "")
	must(t, err)
	t.Cleanup(func() { progress.Close() })

	book := NewBook(Options{})
	all := make([]*flooder, f.writers)
	var living sync.WaitGroup
	for i := range all {
		all[i] = &flooder{index: i, rate: f.rate, dir: filepath.Join(disk, strconv.Itoa(i)), progress: progress, next: map[int]int{}, half: map[int]bool{}}
		j := book.Journal(journalName(i))
		j.Configure(Output{File: &File{Directory: all[i].dir, Size: f.size, Keep: 1000, UID: os.Geteuid()}})
		living.Go(func() {
			if err := all[i].live(j); err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	end := func(s syscall.Signal) {
		for _, w := range all {
			w.tell(s, true)
		}
		living.Wait()
	}
	var room sync.Mutex // held by who needs that no file is removed
	over, checked := make(chan struct{}), make(chan error, 1)
	go func() { checked <- checkAll(all, &room, over) }()
	finish := sync.OnceFunc(func() { close(over) })
	t.Cleanup(func() { // where it fails in the middle
		finish()
		end(unix.SIGKILL)
		_ = book.Close(t.Context())
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for _, w := range all { // that takes a while where many processes start at once
		for n, err := w.taken(); n == 0 && !t.Failed(); n, err = w.taken() {
			must(t, err)
			<-tick.C
		}
	}
	f.rage(t, all, disk, &room)
	end(unix.SIGTERM)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	err = book.Close(ctx)
	finish()
	must(t, errors.Join(err, <-checked))

	var sum struct{ lines, bytes, runs, killed, half, torn int }
	for _, w := range all {
		must(t, w.check(true))
		for run, promised := range w.promised {
			if got := w.next[run+1]; got < promised {
				t.Errorf("writer %d, run %d: %d lines are there, and %d were taken", w.index, run+1, got, promised)
			}
			sum.lines += w.next[run+1]
		}
		if len(w.torn) > 0 {
			t.Errorf("writer %d: its files end with %q", w.index, w.torn)
		}
		sum.runs, sum.killed, sum.half, sum.torn = sum.runs+len(w.promised), sum.killed+w.killed, sum.half+len(w.half), sum.torn+w.tears
		sum.bytes += w.bytes
	}
	t.Logf("%d writers, each at up to %d kB/s, for %v, with a full disk for %v: %d lines, %d MB, %d runs, of which %d were killed and %d left half a line; %d lines were torn by the full disk and written again",
		f.writers, f.rate/1000, f.lasts, f.full, sum.lines, sum.bytes/1_000_000, sum.runs, sum.killed, sum.half, sum.torn)
	if sum.killed == 0 || sum.lines < f.writers {
		t.Error("that is no flood")
	}
}

// rage kills writers, and fills the disk for a while, as long as the flood lasts.
func (f flood) rage(t *testing.T, all []*flooder, disk string, room *sync.Mutex) {
	tick := time.NewTicker(f.kill)
	defer tick.Stop()
	killUntil := func(end time.Time, also func()) {
		for time.Now().Before(end) {
			<-tick.C
			all[rand.IntN(len(all))].tell(unix.SIGKILL, false)
			also()
		}
	}
	began := time.Now()
	killUntil(began.Add((f.lasts-f.full)/2), func() {})
	if f.full > 0 {
		stayFull(t, disk+"/filler", room, func(do func()) { killUntil(began.Add((f.lasts+f.full)/2), do) })
	}
	killUntil(began.Add(f.lasts), func() {})
}

// stayFull has the disk be full as long as meanwhile lasts, which does again and again what it is given.
func stayFull(t *testing.T, path string, room *sync.Mutex, meanwhile func(do func())) {
	room.Lock()
	defer room.Unlock()
	filler, err := os.Create(path)
	must(t, err)
	defer filler.Close()
	meanwhile(func() { fill(t, filler) })
	if n, err := filler.Write([]byte("more")); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("the disk is not full: it has taken %d bytes more, %v", n, err)
	}
	must(t, os.Remove(path))
}

// fill takes what room there is on the disk.
func fill(t *testing.T, f *os.File) {
	for _, size := range []int{1 << 20, 1 << 12, 1} {
		for err := error(nil); err == nil; {
			if _, err = f.Write(make([]byte, size)); err != nil && !errors.Is(err, unix.ENOSPC) {
				t.Errorf("cannot fill the disk: %v", err)
			}
		}
	}
}

// checkAll checks what was set aside, again and again, until it is over or something is wrong.
func checkAll(all []*flooder, room *sync.Mutex, over <-chan struct{}) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, w := range all {
			room.Lock()
			err := w.check(false)
			room.Unlock()
			if err != nil {
				<-over
				return err
			}
		}
		select {
		case <-tick.C:
		case <-over:
			return nil
		}
	}
}
