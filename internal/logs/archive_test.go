package logs

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
)

// listing is what is in a directory.
func listing(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestMarkers: there is a marker in front of the first line of a file, of a run, of what follows a gap, and of what
// follows what somebody else did to the file; no other.
func TestMarkers(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	s := newScribe(dir, 1<<20)
	path := dir + "/current"
	s.put(t, "a", "b")
	s.put(t, "c") // goes on
	s.at.run = 13
	s.put(t, "d")
	s.at.seq += 340
	s.put(t, "e")
	s.f.close()
	s.put(t, "f") // after a restart
	must(t, appendTo(path, "somebody's\nhalf"))
	s.put(t, "g")
	info, err := os.Stat(path)
	must(t, err)
	must(t, os.Truncate(path, info.Size()-3)) // in the middle of a line
	s.put(t, "h")
	s.cut(t)
	s.put(t, "i")
	s.f.close()
	var got []string
	for _, file := range archives(t, dir) {
		data, err := os.ReadFile(file)
		must(t, err)
		for line := range strings.Lines(string(data)) {
			line = strings.TrimSuffix(line, "\n")
			_, rest, ok := strings.Cut(line, "Z ")
			if !ok {
				rest = line
			}
			got = append(got, strings.TrimSuffix(rest, " since 2026-11-23T09:24:10.123456Z"))
		}
	}
	want := []string{"run 1, line 1", "out a", "out b", "out c", "run 13, line 4", "out d", "run 13, line 345", "out e",
		"run 13, line 346", "out f", "somebody's", "half", "run 13, line 347", "out", "run 13, line 348", "out h", "run 13, line 349", "out i"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errorsOf(err, f.Close())
}

// TestAge: a file is set aside before the line that comes when its first one is as old as may be, also where that was
// written in another life; however often the clock is set back, not before.
func TestAge(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	s := newScribe(dir, 1<<20)
	s.r.Age = time.Hour
	files := func(want int) {
		t.Helper()
		s.put(t, "x")
		if n := len(archives(t, dir)); n != want {
			t.Fatalf("there are %d files, not %d", n, want)
		}
	}
	files(1)
	s.now = s.now.Add(59 * time.Minute)
	files(1)
	s.f.close()
	files(1)
	s.now = s.now.Add(time.Minute)
	files(2)
	s.now = s.now.Add(time.Hour)
	s.f.close()
	files(3)
	s.now = s.now.Add(-30 * time.Minute)
	files(3)
	s.now = s.now.Add(59 * time.Minute)
	files(3)
	s.now = s.now.Add(time.Minute)
	files(4)
	s.f.close()
	same(t, "all", s.read(t, all), s.said)
}

// TestTotal: of the files that were set aside the oldest are removed, so that they have no more bytes together than they
// may; compressed ones count for what they are, and the newest remains whatever its size.
func TestTotal(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	s := newScribe(dir, 2000)
	s.r.Total = 5000
	sum := func() (n int64) {
		for _, file := range listing(t, dir) {
			if info, err := os.Stat(dir + "/" + file); file != currentName {
				must(t, err)
				n += info.Size()
			}
		}
		return n
	}
	foreign := dir + "/2026-11-23T092410.000000Z.log.old"
	must(t, os.WriteFile(foreign, nil, 0o600))
	for i := range 40 {
		s.put(t, strings.Repeat("x", 500))
		if n := sum(); n > 5000 || i > 20 && n < 3000 {
			t.Fatalf("there are %d bytes", n)
		}
	}
	s.compress(t)
	before := len(listing(t, dir))
	for range 4 {
		s.put(t, strings.Repeat("x", 500))
	}
	if n := len(listing(t, dir)); n <= before || sum() > 5000 {
		t.Errorf("compressed ones are %d, then %d files, of %d bytes", before, n, sum())
	}
	s.r.Total = 100
	for range 5 {
		s.put(t, strings.Repeat("x", 500))
	}
	if n := len(archives(t, dir)); n != 2 {
		t.Errorf("there are %d files: %q", n, listing(t, dir))
	}
	must(t, os.Remove(foreign))
	s.f.close()
}

// TestMode: files have the mode that is asked for, whatever the process's umask; who may read them may enter their
// directory; what others have made keeps its own.
func TestMode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ mode, file, dir os.FileMode }{
		{0, 0o640, 0o750}, {0o600, 0o600, 0o700}, {0o644, 0o644, 0o755}, {0o664, 0o664, 0o775}, {0o604, 0o604, 0o705},
	} {
		top := scratch(t)
		must(t, os.Mkdir(top+"/there", 0o711))
		s := newScribe(top+"/there/made", 4000)
		s.r.Mode, s.r.Compress = test.mode, true
		s.put(t, "x")
		s.cut(t)
		s.compress(t)
		s.f.close()
		want := map[string]os.FileMode{"/there": 0o711, "/there/made": test.dir, "/there/made/current": test.file}
		for _, name := range listing(t, top+"/there/made") {
			want["/there/made/"+name] = test.file
		}
		if len(want) != 4 {
			t.Errorf("there are %v", want)
		}
		for path, mode := range want {
			if info, err := os.Stat(top + path); err != nil || info.Mode().Perm() != mode {
				t.Errorf("with %o %s has %o, not %o: %v", test.mode, path, info.Mode().Perm(), mode, err)
			}
		}
	}
}

// TestNothingIsTorn: of lines that a full disk does not take, nothing is in the file: who reads it never sees half a line,
// and those that were written are told exactly.
func TestNothingIsTorn(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := scratch(t)
	if err := unix.Mount("pintle-test", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("skipped: cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	s := newScribe(dir, 1<<20)
	defer s.f.close()
	for _, text := range []string{"short", strings.Repeat("x", 1000)} {
		at, lines := s.at, ""
		for range 200 {
			lines += s.line(engine.Stdout, text, false)
		}
		n, err := s.f.write(&s.r, s.now, at, []byte(lines))
		if text == "short" {
			must(t, err)
			continue
		}
		if err != unix.ENOSPC || s.f.f != nil || n == 0 || lines[n-1] != '\n' {
			t.Errorf("%d bytes were written, until %v", n, err)
		}
		whole := strings.Count(lines[:n], "\n")
		s.said = s.said[:200+whole]
	}
	if data, err := os.ReadFile(dir + "/current"); err != nil || data[len(data)-1] != '\n' {
		t.Errorf("%v: half a line is there", err)
	}
	same(t, "all", s.read(t, all), s.said)
	if n, err := s.f.write(&s.r, s.now, s.at, []byte(s.line(engine.Stdout, strings.Repeat("y", 60_000), false))); n != 0 || err != unix.ENOSPC {
		t.Errorf("%d bytes were written, until %v", n, err)
	}
	same(t, "all, once more", s.read(t, all), s.said[:len(s.said)-1])
}

// Names in order are times in order, whatever the clock does and whatever names are there; no name is given twice; and
// a name that pintle does not give is never taken for one of its own.
func FuzzArchiveNames(f *testing.F) {
	f.Add("2026-11-23T092410.123456Z.log", int64(1_790_000_000_000_000))
	f.Add("9999-12-31T235959.999999Z.log.gz", int64(0))
	f.Add(".2026-11-23T092410.123456Z.log.gz", int64(-1))
	f.Add("2026-02-30T092410,123456Z.log", int64(253402300799999999))
	f.Fuzz(func(t *testing.T, file string, micro int64) {
		now := time.UnixMicro(micro)
		if y := now.UTC().Year(); y < 0 || y > 9999 {
			return // no clock of a kernel
		}
		name, gz, unfinished, ok := kindOf(file)
		if ok {
			again := name
			if gz {
				again += zipped
			}
			if unfinished {
				again = hidden + again
			}
			if at, _ := archived(name); again != file || at.Format(archiveForm) != name {
				t.Fatalf("%q is taken for %q", file, name)
			}
		}
		own := now.UTC().Format(archiveForm)
		if at, ok := archived(own); !ok || !at.Equal(now) {
			t.Fatalf("%q is %v, not %v", own, at, now)
		}
		next := following(name, now).Format(archiveForm)
		if _, valid := archived(next); !valid {
			t.Fatalf("the name would be %q", next)
		}
		if ok && next <= name && name != "9999-12-31T235959.999999Z.log" {
			t.Fatalf("%q follows %q", next, name)
		}
		if strings.ContainsRune(file, '/') || len(file) == 0 || len(file) > 250 || strings.ContainsRune(file, 0) || file == "." || file == ".." || file == currentName {
			return
		}
		dir := t.TempDir()
		must(t, os.Chmod(dir, 0o755))
		must(t, os.WriteFile(dir+"/"+file, []byte("theirs"), 0o600))
		s := newScribe(dir, 4000)
		s.r.Keep, s.now = 2, now
		for i := range 4 {
			s.put(t, fmt.Sprint(i))
			s.cut(t)
		}
		s.f.close()
		data, err := os.ReadFile(dir + "/" + file)
		if !ok && (err != nil || string(data) != "theirs") {
			t.Fatalf("%q: %q, %v", file, data, err)
		}
		if n := len(archives(t, dir)); n > 4 {
			t.Fatalf("there are %q", listing(t, dir))
		}
	})
}

// TestKeepOfCompressed: compressed files are removed like others, when there are more than may remain.
func TestKeepOfCompressed(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	s := newScribe(dir, 4000)
	s.r.Keep = 2
	for range 6 {
		s.put(t, "x")
		s.cut(t)
		s.compress(t)
	}
	s.f.close()
	if names := listing(t, dir); len(names) != 3 {
		t.Errorf("there are %q", names)
	}
	same(t, "what remains", s.read(t, all), s.said[4:])
}
