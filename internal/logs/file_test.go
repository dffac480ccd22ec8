package logs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"pintle/internal/engine"
)

// hand is a clock that a test moves; changed gets something whenever the conditions may be others.
type hand struct {
	mu      sync.Mutex
	at      time.Time
	changed chan struct{}
}

func (h *hand) tell() {
	select {
	case h.changed <- struct{}{}:
	default: // nobody listens to so many
	}
}

// change waits until the conditions may be others.
func (h *hand) change(t testing.TB) {
	t.Helper()
	select {
	case <-h.changed:
	case <-time.After(30 * time.Second):
		t.Fatal("nothing has changed")
	}
}

func (h *hand) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *hand) move(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

// kept is a journal whose lines are kept in files, and its clock.
func kept(t testing.TB, f File) (*Book, *Journal, *hand) {
	t.Helper()
	h := &hand{at: clock(), changed: make(chan struct{}, 100)}
	b := newBook(t, Options{Now: h.now, Changed: h.tell})
	j := b.Journal(name)
	f.UID = os.Geteuid()
	j.Configure(Output{File: &f})
	return b, j, h
}

// scratch is a directory that belongs to the test alone, and that others can reach.
func scratch(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pintle-logs-")
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// say has lines of a unit be taken and written, as a capture does.
func say(j *Journal, texts ...string) {
	var s splitter
	for _, text := range texts {
		j.take(&s, 1, engine.Stdout, []byte(text+"\n"))
	}
	written(j)
}

// written waits until the sink has written what it can.
func written(j *Journal) {
	j.mu.Lock()
	var idle chan struct{}
	if s := j.sink; s != nil {
		idle = s.idle
	}
	j.mu.Unlock()
	if idle != nil {
		<-idle
	}
}

// archives are the files that were set aside, oldest first, and then the current one.
func archives(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var files []string
	for _, e := range entries {
		if _, ok := archived(e.Name()); ok {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return append(files, filepath.Join(dir, currentName))
}

// content is all that the files hold, in order; without the times, and the markers.
func content(t testing.TB, dir string) string {
	t.Helper()
	var all strings.Builder
	for _, file := range archives(t, dir) {
		data, err := os.ReadFile(file)
		must(t, err)
		for line := range strings.Lines(string(data)) {
			stamp, rest, ok := strings.Cut(line, " ")
			if _, err := time.Parse(stampForm, stamp); err != nil || !ok {
				all.WriteString(line)
				continue
			}
			if _, ok := cutMarker([]byte(strings.TrimSuffix(line, "\n"))); !ok {
				all.WriteString(rest)
			}
		}
	}
	return all.String()
}

// TestFileFormat: a line is its time, its stream and its text, whatever its bytes; a part of a line is marked. In front of
// the first one there is a marker.
func TestFileFormat(t *testing.T) {
	t.Parallel()
	dir := scratch(t) + "/made/too"
	b, j, _ := kept(t, File{Directory: dir, Size: 1 << 20, Keep: 3})
	var out, err splitter
	j.take(&out, 1, engine.Stdout, []byte("one\ntw"))
	j.take(&err, 1, engine.Stderr, []byte("\x00\xff\x1b[m\r\n\n"))
	j.finish(&out, 1, engine.Stdout)
	j.Note(1, "exited with code 1\nand more")
	closed(t, b)
	const at = "2026-01-02T02:04:05.000000Z "
	want := at + "out one\n" + at + "err \x00\xff\x1b[m\r\n" + at + "err \n" + at + "out+ tw\n" +
		at + "pintle exited with code 1\n" + at + "pintle and more\n"
	data, e := os.ReadFile(dir + "/current")
	must(t, e)
	first, got, _ := strings.Cut(string(data), "\n")
	if _, ok := cutMarker([]byte(first)); !ok || got != want {
		t.Errorf("got  %q, %q\nwant %q", first, got, want)
	}
	for path, mode := range map[string]os.FileMode{dir: os.ModeDir | 0o750, filepath.Dir(dir): os.ModeDir | 0o750, dir + "/current": 0o640} {
		info, err := os.Stat(path)
		if must(t, err); info.Mode() != mode {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), mode)
		}
	}
}

// TestRotation: whatever is written, and whatever the clock does, the files in order hold each line once, none is too
// large, the newest of them remain, and no other file is touched.
func TestRotation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp("", "pintle-logs-")
		must(t, err)
		defer os.RemoveAll(dir)
		foreign := []string{"current.1", "2026-01-02T020405.000000Z.log.xz", ".2026-01-02T020405.000000Z.log", "2026-01-02T020405.000000Z.log.gz.gz", "2026-13-02T020405.000000Z.log", "x.log", "@400000004a.s"}
		for _, name := range foreign {
			must(t, os.WriteFile(dir+"/"+name, []byte(name), 0o600))
		}
		size := int64(rapid.IntRange(200, 4000).Draw(r, "size"))
		keep := rapid.IntRange(1, 12).Draw(r, "keep")
		var all []string
		for range rapid.IntRange(1, 3).Draw(r, "restarts") {
			b, j, h := kept(t, File{Directory: dir, Size: size, Keep: keep})
			for range rapid.IntRange(1, 30).Draw(r, "flushes") {
				var texts []string
				for range rapid.IntRange(0, 12).Draw(r, "lines") {
					text := fmt.Sprintf("%d %s", len(all), strings.Repeat("x", rapid.IntRange(0, int(size)-180).Draw(r, "length")))
					texts, all = append(texts, text), append(all, "out "+text+"\n")
				}
				say(j, texts...)
				h.move(time.Duration(rapid.IntRange(-2_000_000, 2_000_000).Draw(r, "µs")) * time.Microsecond)
			}
			closed(t, b)
		}
		files := archives(t, dir)
		if len(all) == 0 {
			return
		}
		if n := len(files) - 1; n > keep {
			r.Fatalf("%d files remain of %d", n, keep)
		}
		for _, file := range files {
			if info, err := os.Stat(file); err != nil || info.Size() > size {
				r.Fatalf("%v: %d bytes of %d", err, info.Size(), size)
			}
		}
		got, want := content(t, dir), strings.Join(all, "")
		if !strings.HasSuffix(want, got) || len(files)-1 < keep && got != want {
			r.Fatalf("%d files hold\n%.300q\nof\n%.300q", len(files), got, want)
		}
		for _, name := range foreign {
			if data, err := os.ReadFile(dir + "/" + name); err != nil || string(data) != name {
				r.Fatalf("%s: %q, %v", name, data, err)
			}
		}
	})
}

// TestLongLine: a line that is longer than a file may be has a file of its own.
func TestLongLine(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b, j, _ := kept(t, File{Directory: dir, Size: 4000, Keep: 5})
	long := strings.Repeat("y", 9000)
	say(j, "a", long, "b")
	closed(t, b)
	if n := len(archives(t, dir)); n != 3 || content(t, dir) != "out a\nout "+long+"\nout b\n" {
		t.Errorf("%d files hold %.100q", n, content(t, dir))
	}
}

// TestHalfALine: what a line was cut off by, a kill or a full disk, does not take the next one with it.
func TestHalfALine(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	must(t, os.WriteFile(dir+"/current", []byte("2026-01-02T02:04:05.000000Z out whole\n2026-01-02T02:04:05.000000Z out ha"), 0o600))
	b, j, _ := kept(t, File{Directory: dir, Size: 4000, Keep: 5})
	say(j, "next")
	closed(t, b)
	if got := content(t, dir); got != "out whole\nout ha\nout next\n" {
		t.Errorf("it holds %q", got)
	}
}

// TestSomebodyElseRotates: a file that was renamed, removed or exchanged, or whose directory was, is left at once or
// within a second, and there is a new one, which begins with a marker.
func TestSomebodyElseRotates(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		do   func(dir string) error
		wait time.Duration
	}{
		"removed": {func(dir string) error { return os.Remove(dir + "/current") }, 0},
		"renamed": {func(dir string) error { return os.Rename(dir+"/current", dir+"/current.1") }, lookEvery},
		"exchanged": {func(dir string) error {
			if err := os.WriteFile(dir+"/new", nil, 0o640); err != nil {
				return err
			}
			return os.Rename(dir+"/new", dir+"/current")
		}, 0},
		"truncated":         {func(dir string) error { return os.Truncate(dir+"/current", 0) }, 0},
		"directory removed": {func(dir string) error { return os.RemoveAll(dir) }, 0},
		"directory renamed": {func(dir string) error { return os.Rename(dir, dir+".1") }, lookEvery},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := scratch(t) + "/here"
			b, j, h := kept(t, File{Directory: dir, Size: 4000, Keep: 5})
			say(j, "before")
			must(t, test.do(dir))
			h.move(test.wait)
			say(j, "after")
			if data, err := os.ReadFile(dir + "/current"); err != nil || !strings.HasSuffix(string(data), " out after\n") || strings.Count(string(data), "\n") != 2 || !strings.Contains(string(data), " run ") {
				t.Errorf("%v: %q", err, data)
			}
			closed(t, b)
		})
	}
}

// TestForgottenUnitsKeepTheirFiles: what a unit wrote last is in its file although it is forgotten, also what is read
// only then; and no file stays open.
func TestForgottenUnitsKeepTheirFiles(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b, j, _ := kept(t, File{Directory: dir, Size: 4000, Keep: 5})
	r, w := pipe(t)
	j.Capture(1, engine.Stdout, r)
	_, err := w.WriteString("first\n")
	must(t, err)
	b.Forget(name)
	_, err = w.WriteString("last\n")
	must(t, err)
	w.Close()
	closed(t, b)
	if got := content(t, dir); got != "out first\nout last\n" {
		t.Errorf("it holds %q", got)
	}
	eventually(t, "it is closed", func() bool { return !isOpen(t, dir) })
}

// isOpen tells whether this process has a file in a directory open.
func isOpen(t testing.TB, dir string) bool {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return slices.ContainsFunc(fds, func(e os.DirEntry) bool {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		return err == nil && strings.HasPrefix(to, dir+"/")
	})
}

// TestAnotherRule: lines go where the rule says that holds when they come; without one, to no file.
func TestAnotherRule(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b, j, _ := kept(t, File{Directory: dir + "/a", Size: 4000, Keep: 5})
	say(j, "a")
	j.Configure(Output{File: &File{Directory: dir + "/b", Size: 4000, Keep: 5, UID: os.Geteuid()}})
	say(j, "b")
	j.Configure(Output{})
	say(j, "nowhere")
	eventually(t, "it is closed", func() bool { return !isOpen(t, dir) })
	for which, want := range map[string]string{"/a": "out a\n", "/b": "out b\n"} {
		if got := content(t, dir+which); got != want {
			t.Errorf("%s holds %q", which, got)
		}
	}
	closed(t, b)
}

// TestNamesOfOthers: whatever names somebody makes, also of the last microsecond there is, new files get names of our
// form, and the number that remain stays bounded.
func TestNamesOfOthers(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	must(t, os.WriteFile(dir+"/9999-12-31T235959.999999Z.log", nil, 0o600))
	must(t, os.Mkdir(dir+"/2000-01-01T000000.000000Z.log", 0o700))
	must(t, os.Symlink("/etc/passwd", dir+"/2000-01-01T000000.000001Z.log"))
	b, j, _ := kept(t, File{Directory: dir, Size: 100, Keep: 2})
	for i := range 40 {
		say(j, fmt.Sprint(i, strings.Repeat("z", 60)))
	}
	closed(t, b)
	entries, err := os.ReadDir(dir)
	if must(t, err); len(entries) > 5 {
		t.Errorf("there are %v", entries)
	}
	for _, e := range entries {
		if _, ok := archived(e.Name()); !ok && e.Name() != currentName {
			t.Errorf("there is %s", e.Name())
		}
	}
	if _, err := os.Stat("/etc/passwd"); err != nil {
		t.Error(err)
	}
	var st unix.Stat_t
	must(t, unix.Lstat(dir+"/2000-01-01T000000.000000Z.log", &st)) // no directory is removed
}
