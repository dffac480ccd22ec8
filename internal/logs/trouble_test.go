package logs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/process"
)

// hermit is a service's user, who owns the directory of its files.
const hermit = 10000

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: only root can do this")
	}
}

// asHermit does something with his rights alone.
func asHermit(do func()) error { return process.As(&process.Identity{UID: hermit, GID: hermit}, do) }

// TestDiskFull: while a disk is full the lines are in memory, and a condition says so. By itself it goes on once there is
// room, and each line that was still in memory is in the file.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := scratch(t)
	if err := unix.Mount("pintle-test", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("skipped: cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	must(t, os.WriteFile(dir+"/filler", make([]byte, 20<<10), 0o600))
	b, j, h := kept(t, File{Directory: dir + "/log", Size: 1 << 20, Keep: 2})
	const all = 60
	text := strings.Repeat("x", 1000)
	for i := range all {
		say(j, fmt.Sprintf("%03d%s", i, text))
	}
	want := "the output of gateway@coder is kept in memory only: cannot write " + dir + "/log/current: no space left on device"
	if c := b.Conditions(); len(c) != 1 || c[0].Text != want {
		t.Errorf("the conditions are %q", c)
	}
	if lines := j.Tail(-1); len(lines) != all {
		t.Errorf("%d lines are in memory", len(lines))
	}
	h.change(t)
	must(t, os.Remove(dir+"/filler"))
	h.change(t)
	say(j, "next")
	closed(t, b)
	if n := len(h.changed); n != 0 || len(b.Conditions()) != 0 {
		t.Errorf("%d more changes were told, and the conditions are %q", n, b.Conditions())
	}
	whole, torn := 0, 0
	for line := range strings.Lines(content(t, dir+"/log")) {
		switch line = strings.TrimSuffix(line, "\n"); line {
		case fmt.Sprintf("out %03d%s", whole, text), "out next":
			whole++
		default:
			torn++
		}
	}
	if whole != all+1 || torn > 1 {
		t.Errorf("%d lines are whole, %d torn", whole, torn)
	}
}

// TestTroubles: whatever keeps the files from being written is a condition with its cause, and is over with the next line
// once it is mended, or within seconds without one.
func TestTroubles(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		spoil, mend func(dir string) error
		says        string
	}{
		"file for a directory": {
			func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, os.Remove, "not a directory",
		},
		"directory for a file": {
			func(dir string) error { return os.MkdirAll(dir+"/current", 0o700) }, func(dir string) error { return os.Remove(dir + "/current") },
			"it is not a regular file",
		},
		"FIFO for a file": {
			func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), unix.Mkfifo(dir+"/current", 0o600)) },
			func(dir string) error { return os.Remove(dir + "/current") }, "it is not a regular file",
		},
		"symlink for a file": {
			func(dir string) error {
				return errors.Join(os.Mkdir(dir, 0o700), os.Symlink("elsewhere", dir+"/current"))
			},
			func(dir string) error { return os.Remove(dir + "/current") }, "it is not a regular file",
		},
		"file with two names": {
			func(dir string) error {
				return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(dir+"/x", nil, 0o600), os.Link(dir+"/x", dir+"/current"))
			},
			func(dir string) error { return os.Remove(dir + "/current") }, "has another name too",
		},
	} {
		for _, by := range []string{"the next line", "time"} {
			t.Run(what+" until "+by, func(t *testing.T) {
				t.Parallel()
				dir := scratch(t) + "/log"
				must(t, test.spoil(dir))
				b, j, h := kept(t, File{Directory: dir, Size: 4000, Keep: 2})
				say(j, "one", "two")
				if c := b.Conditions(); len(c) != 1 || !strings.Contains(c[0].Text, dir) || !strings.Contains(c[0].Text, test.says) {
					t.Errorf("the conditions are %q", c)
				}
				h.change(t)
				must(t, test.mend(dir))
				say(j, "three") // too early: it is left alone for a second
				if by == "time" {
					h.change(t)
				}
				h.move(fileRetry)
				say(j, "four")
				got := content(t, dir)
				if got != "out one\nout two\nout three\nout four\n" || len(b.Conditions()) != 0 {
					t.Errorf("it holds %q, and the conditions are %q", got, b.Conditions())
				}
				closed(t, b)
			})
		}
	}
}

// TestTwoWriteToOneDirectory: two pintles (two containers on a volume) that write to the same files, and set them aside
// under each other's hands, lose no line and have nothing to say about it.
func TestTwoWriteToOneDirectory(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	const writers, turns, each = 2, 400, 5
	var all sync.WaitGroup
	for w := range writers {
		b, j, _ := kept(t, File{Directory: dir, Size: 4000, Keep: 1 << 20})
		all.Go(func() {
			for turn := range turns {
				var lines []string
				for i := range each {
					lines = append(lines, fmt.Sprintf("writer %d line %d", w, turn*each+i))
				}
				say(j, lines...)
				if c := b.Conditions(); c != nil {
					t.Errorf("writer %d: %q", w, c)
					return
				}
			}
			closed(t, b)
		})
	}
	all.Wait()
	text := content(t, dir)
	var next [writers]int
	for line := range strings.Lines(text) {
		var w, n int
		if _, err := fmt.Sscanf(line, "out writer %d line %d\n", &w, &n); err != nil || next[w] != n {
			t.Fatalf("%v: this is not the next line: %q", err, line)
		}
		next[w]++
	}
	if next != [writers]int{turns * each, turns * each} {
		t.Errorf("there are %d lines", next)
	}
}

// TestSlowDisk: a disk that does not answer makes the unit wait that writes, and nobody else: neither pintle's own lines
// nor another unit nor a reader nor the end. Nothing is lost by that but what pintle said too much.
func TestSlowDisk(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	answer := make(chan struct{})
	b := newBook(t, Options{})
	slow, fast := b.Journal("slow"), b.Journal("fast")
	slow.Configure(Output{File: &File{Directory: dir + "/slow", Size: 1 << 30, Keep: 2, UID: os.Geteuid(), As: func(do func()) error {
		<-answer
		do()
		return nil
	}}})
	fast.Configure(Output{File: &File{Directory: dir + "/fast", Size: 1 << 20, Keep: 2, UID: os.Geteuid()}})
	r, w := pipe(t)
	slow.Capture(1, engine.Stdout, r)
	written := make(chan error)
	const all = 100_000
	go func() {
		var err error
		for i := 0; i < all && err == nil; i++ {
			_, err = fmt.Fprintf(w, "line %06d\n", i)
		}
		written <- errors.Join(err, w.Close())
	}()
	eventually(t, "the first lines are there", func() bool { return len(slow.Tail(1)) == 1 })
	for i := range 10_000 {
		slow.Note(1, fmt.Sprintf("note %d", i))
	}
	say(fast, "here")
	if got := content(t, dir+"/fast"); got != "out here\n" {
		t.Errorf("another unit has %q", got)
	}
	select {
	case err := <-written:
		t.Fatalf("all was taken, though the disk does not answer: %v", err)
	default:
	}
	slow.mu.Lock()
	if n := len(slow.ring.buf); n > 2*DefaultRingBytes {
		t.Errorf("the ring has %d bytes", n)
	}
	slow.mu.Unlock()
	close(answer)
	must(t, <-written)
	closed(t, b)
	next, notes, missing := 0, 0, 0
	for line := range strings.Lines(content(t, dir+"/slow")) {
		switch {
		case line == fmt.Sprintf("out line %06d\n", next):
			next++
		case strings.HasPrefix(line, "pintle note "):
			notes++
		default:
			if _, err := fmt.Sscanf(line, "pintle %d lines are missing here: the disk did not keep up\n", &missing); err != nil {
				t.Fatalf("%v: %q", err, line)
			}
		}
	}
	if next != all || notes+missing != 10_000 || missing == 0 {
		t.Errorf("%d lines and %d notes are there, %d are said to be missing", next, notes, missing)
	}
}

// TestEndOfASlowDisk: the end waits for a disk no longer than it may, and says what was not written.
func TestEndOfASlowDisk(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	answer := make(chan struct{})
	b := newBook(t, Options{})
	j := b.Journal(name)
	j.Configure(Output{File: &File{Directory: dir, Size: 1 << 20, Keep: 2, UID: os.Geteuid(), As: func(do func()) error {
		<-answer
		return errors.New("no")
	}}})
	j.Note(1, "last words")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := b.Close(ctx); err == nil || !strings.Contains(err.Error(), "not written: ") || !strings.Contains(err.Error(), dir+"/current") {
		t.Errorf("Close: %v", err)
	}
	close(answer)
	written(j) // nothing of it is left for others
}

// TestAttacks: who owns the directory can exchange everything in it, and the directory itself, while lines are written,
// set aside and removed. No file that he could not write himself is made, written, renamed or removed, nothing is waited
// for, and when he is done the lines go on.
func TestAttacks(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for what, arrange := range map[string]func(t *testing.T, top, trap string) (a, b string){
		"symlink to a file": func(t *testing.T, top, trap string) (string, string) {
			must(t, os.Symlink(trap+"/current", top+"/log/evil"))
			return top + "/log/current", top + "/log/evil"
		},
		"symlink to a directory": func(t *testing.T, top, trap string) (string, string) {
			must(t, os.Symlink(trap, top+"/evil"))
			return top + "/log", top + "/evil"
		},
		"another's file": func(t *testing.T, top, trap string) (string, string) {
			must(t, os.Link(trap+"/current", top+"/log/evil")) // as where links to others' files are allowed
			return top + "/log/current", top + "/log/evil"
		},
		"a FIFO": func(t *testing.T, top, _ string) (string, string) {
			must(t, unix.Mkfifo(top+"/log/evil", 0o666))
			return top + "/log/current", top + "/log/evil"
		},
		"a device": func(t *testing.T, top, _ string) (string, string) {
			must(t, unix.Mknod(top+"/log/evil", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 7)))) // /dev/full
			return top + "/log/current", top + "/log/evil"
		},
		"a directory": func(t *testing.T, top, _ string) (string, string) {
			must(t, os.Mkdir(top+"/log/evil", 0o700))
			return top + "/log/current", top + "/log/evil"
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			base := scratch(t)
			top, trap := base+"/volume", base+"/trap"
			for _, dir := range []string{top, top + "/log", trap} {
				must(t, os.Mkdir(dir, 0o755))
			}
			const secret = "only root's\n"
			files := []string{"/current", "/2000-01-01T000000.000000Z.log", "/2000-01-01T000000.000001Z.log", "/2000-01-01T000000.000002Z.log"}
			for _, file := range files {
				must(t, os.WriteFile(trap+file, []byte(secret), 0o600))
			}
			must(t, os.WriteFile(top+"/log/current", nil, 0o640))
			a, z := arrange(t, top, trap)
			for _, path := range []string{top, top + "/log", top + "/log/current"} {
				must(t, os.Lchown(path, hermit, hermit))
			}
			b, j, h := kept(t, File{Directory: top + "/log", Size: 2000, Keep: 1, As: asHermit})
			stop, stopped := make(chan struct{}), make(chan error)
			var swaps atomic.Int64
			go func() {
				stopped <- asHermit(func() {
					for {
						select {
						case <-stop:
							return
						default:
							if unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, z, unix.RENAME_EXCHANGE) == nil {
								swaps.Add(1)
							} else if f, err := os.OpenFile(a, os.O_CREATE|os.O_EXCL, 0o640); err == nil { // it was renamed by us
								_ = f.Close()
							}
						}
					}
				})
			}()
			eventually(t, "he is at it", func() bool { return swaps.Load() > 10 })
			for i := range 100 {
				say(j, fmt.Sprint(i, strings.Repeat("z", 300)))
				h.move(time.Second)
			}
			close(stop)
			must(t, <-stopped)
			for _, file := range files {
				if data, err := os.ReadFile(trap + file); err != nil || string(data) != secret {
					t.Errorf("%s: %q, %v", file, data, err)
				}
			}
			if entries, err := os.ReadDir(trap); err != nil || len(entries) != len(files) {
				t.Errorf("%v: %v", err, entries)
			}
			must(t, os.RemoveAll(top+"/log"))
			must(t, os.RemoveAll(top+"/evil"))
			h.move(time.Second)
			say(j, "after it")
			if got := content(t, top+"/log"); !strings.HasSuffix(got, "out after it\n") {
				t.Errorf("after it, it holds %q and the conditions are %q", got, b.Conditions())
			}
			var st unix.Stat_t
			must(t, unix.Stat(top+"/log/current", &st))
			if st.Uid != hermit || st.Gid != hermit {
				t.Errorf("it belongs to %d:%d", st.Uid, st.Gid)
			}
			closed(t, b)
		})
	}
}
