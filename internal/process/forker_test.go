package process

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// TestForkersHaveSmallTables: what a child costs does not grow with what pintle has open, and pintle's own descriptors are
// what /proc/self/fd says they are, whichever thread asks.
func TestForkersHaveSmallTables(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		w := newWorld(t)
		const open = 100
		for range open {
			f, err := os.Open(os.DevNull)
			must(t, err)
			defer f.Close()
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { w.start(Command{Path: "/bin/true", Args: []string{"true"}}).ends() })
		}
		all.Wait()
		tables := map[int]int{} // by thread
		threads, err := filepath.Glob("/proc/self/task/*")
		must(t, err)
		small := 0
		for _, thread := range threads {
			fds, err := os.ReadDir(thread + "/fd")
			if os.IsNotExist(err) {
				continue // it has ended
			}
			must(t, err)
			tid, err := strconv.Atoi(filepath.Base(thread))
			must(t, err)
			tables[tid] = len(fds)
			if len(fds) < open {
				small++
				if len(fds) > 8 {
					t.Errorf("a forker has %d descriptors", len(fds))
				}
			}
		}
		if small < 1 || small > maxForkers || tables[unix.Getpid()] < open {
			t.Errorf("by thread there are %v descriptors; the main one is %d", tables, unix.Getpid())
		}
	})
}

// TestForkerIsNotTheMainThread: whichever thread a forker's goroutine begins on.
func TestForkerIsNotTheMainThread(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		for range 50 {
			f := newForkers()
			runtime.Gosched()
			one := f.engage()
			fd, err := unix.Dup(0)
			must(t, err)
			if _, err := os.Lstat("/proc/self/fd/" + strconv.Itoa(fd)); err != nil {
				t.Errorf("a descriptor that was made is not there: %v", err)
			}
			must(t, unix.Close(fd))
			f.release(one)
			f.close()
		}
	})
}

// TestManyDescriptors: a child can be given more than fit into one message to the thread that makes it.
func TestManyDescriptors(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		w := newWorld(t)
		more := map[int]*os.File{}
		for n := 3; n <= MaxFD; n++ {
			f, err := os.CreateTemp(t.TempDir(), "")
			must(t, err)
			defer f.Close()
			more[n] = f
		}
		script := "i=3; while [ $i -le 255 ]; do echo $i > /proc/self/fd/$i; i=$((i+1)); done"
		if e := w.start(Command{Path: "/bin/sh", Args: []string{"sh", "-c", script}, More: more}).ends(); e != (unit.Exit{}) {
			t.Fatalf("it ended with %v", e)
		}
		for n, f := range more {
			if got, err := os.ReadFile(f.Name()); err != nil || string(got) != strconv.Itoa(n)+"\n" {
				t.Errorf("descriptor %d got %q, %v", n, got, err)
			}
		}
	})
}

// TestNoRoomForDescriptors: what a thread's table has no room for is an error, and the next child gets what is its own.
func TestNoRoomForDescriptors(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		w := newWorld(t)
		var files []*os.File
		for range 2 * mostPassed {
			f, err := os.Open(os.DevNull)
			must(t, err)
			defer f.Close()
			files = append(files, f)
		}
		many := func() *birth {
			attr := &syscall.ProcAttr{Sys: &syscall.SysProcAttr{}}
			for _, f := range files {
				attr.Files = append(attr.Files, f.Fd())
			}
			return &birth{path: "/bin/true", args: []string{"true"}, attr: attr, in: none}
		}
		var limit unix.Rlimit
		must(t, unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &limit))
		for range 5 {
			for _, most := range []uint64{20, mostPassed + 50} { // in the first message, and in the next
				few := unix.Rlimit{Cur: most, Max: limit.Max}
				must(t, unix.Prlimit(0, unix.RLIMIT_NOFILE, &few, nil))
				if _, err := w.forkers.forkExec(many()); err != unix.EMFILE {
					t.Errorf("with room for %d: %v", most, err)
				}
				must(t, unix.Prlimit(0, unix.RLIMIT_NOFILE, &limit, nil))
				out, err := os.CreateTemp(t.TempDir(), "")
				must(t, err)
				w.start(Command{Path: "/bin/echo", Args: []string{"echo", "mine"}, Files: [3]*os.File{nil, out, nil}}).ends()
				if text, err := os.ReadFile(out.Name()); err != nil || string(text) != "mine\n" {
					t.Errorf("the next child wrote %q, %v", text, err)
				}
				out.Close()
			}
		}
	})
}
