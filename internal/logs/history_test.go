package logs

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"pintle/internal/engine"
)

// scribe writes lines to files by a rule, as a sink does, and remembers them.
type scribe struct {
	r    File
	f    file
	now  time.Time
	at   place
	said []engine.Line
}

func newScribe(dir string, size int64) *scribe {
	began := time.Date(2026, 11, 23, 9, 24, 10, 123456000, time.UTC)
	return &scribe{
		r:   File{Directory: dir, Size: size, UID: os.Geteuid()},
		now: began.Add(time.Second),
		at:  place{run: 1, began: uint64(began.UnixMicro()), seq: uint64(began.UnixMicro()) + 1},
	}
}

// line has a line be the next one, and returns it as files have it.
func (s *scribe) line(stream, text string, partial bool) string {
	l := engine.Line{Unit: name, Run: s.at.run, Seq: s.at.seq, Time: s.now.UTC(), Stream: stream, Text: text, Partial: partial}
	s.said = append(s.said, l)
	s.at.seq++
	word := words[stream]
	if partial {
		word += "+"
	}
	return s.now.UTC().Format(stampForm) + " " + word + " " + text + "\n"
}

// put writes lines of stdout.
func (s *scribe) put(t testing.TB, texts ...string) {
	t.Helper()
	at := s.at
	var lines []byte
	for _, text := range texts {
		lines = append(lines, s.line(engine.Stdout, text, false)...)
	}
	if n, err := s.f.write(&s.r, s.now, at, lines); err != nil || n != len(lines) {
		t.Fatalf("%d bytes of %d: %v", n, len(lines), err)
	}
	s.now = s.now.Add(time.Millisecond)
}

// cut sets the file aside.
func (s *scribe) cut(t testing.TB) {
	t.Helper()
	must(t, s.f.rotate(&s.r, s.now))
	s.now = s.now.Add(time.Millisecond)
}

// compress compresses all that was set aside.
func (s *scribe) compress(t testing.TB) {
	t.Helper()
	c := newCompressor()
	r := s.r
	r.Compress = true
	c.enqueue(r)
	settle(t, c)
}

// settle waits until a compressor has nothing to do.
func settle(t testing.TB, c *compressor) {
	t.Helper()
	c.mu.Lock()
	idle := c.idle
	c.mu.Unlock()
	if idle == nil { // it never had anything
		return
	}
	select {
	case <-idle:
	case <-time.After(60 * time.Second):
		t.Fatal("it is still compressing")
	}
}

// read reads what is asked for.
func (s *scribe) read(t testing.TB, q query) []engine.Line {
	t.Helper()
	return collect(t, s.r.history(context.Background(), name, q))
}

var all = query{tail: -1}

// same fails a test where lines are not those that are wanted.
func same(t rapid.TB, what string, got, want []engine.Line) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("%s: there are %d lines, not %d; from line %d on\ngot  %.300q\nwant %.300q", what, len(got), len(want), i,
				fmt.Sprint(got[min(i, len(got)):min(i+2, len(got))]), fmt.Sprint(want[min(i, len(want)):min(i+2, len(want))]))
		}
	}
}

// chosen are the lines of a list that a query selects, by a simpler way than that of history.
func chosen(list []engine.Line, began map[uint64]uint64, q query) []engine.Line {
	var out []engine.Line
	for _, l := range list {
		if l.Seq > q.after && (q.before == 0 || l.Seq < q.before) && !l.Time.Before(q.since) &&
			(q.until.IsZero() || !l.Time.After(q.until)) && (q.run == nil || *q.run == runPlace{began[l.Seq], l.Run}) {
			out = append(out, l)
		}
	}
	if q.tail >= 0 {
		out = out[max(0, len(out)-q.tail):]
	}
	return out
}

// TestHistory: what was written, in however many runs and lives, with whatever gaps, in however many files, compressed or
// not, is read back as it was, and of it just what is asked for; and so are the runs.
func TestHistory(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp("", "pintle-logs-")
		must(t, err)
		defer os.RemoveAll(dir)
		s := newScribe(dir, int64(rapid.SampledFrom([]int{300, 2000, 100_000, 5 << 20}).Draw(r, "size")))
		defer s.f.close()
		began := map[uint64]uint64{}
		var ran []runPlace
		for range rapid.IntRange(1, 25).Draw(r, "steps") {
			switch rapid.IntRange(0, 9).Draw(r, "step") {
			case 0:
				s.at.run++
			case 1:
				s.at.seq += uint64(rapid.IntRange(1, 5).Draw(r, "gap"))
			case 2:
				s.f.close() // a life ends, and another one begins
				s.now = s.now.Add(time.Second)
				s.at = place{run: 1, began: uint64(s.now.UnixMicro()), seq: uint64(s.now.UnixMicro()) + 1}
			case 3:
				if s.f.f != nil && s.f.size > 0 {
					s.cut(t)
				}
			case 4:
				if s.f.f != nil {
					s.compress(t)
				}
			default:
				at, lines := s.at, ""
				for range rapid.IntRange(1, 30).Draw(r, "lines") {
					text := rapid.SampledFrom([]string{"", "x", "\x00\xff\r", " run 1, line 2", "2026-11-23T09:30:00.000000Z out x",
						strings.Repeat("y", 150), strings.Repeat("z", 5000), strings.Repeat("é", maxLine/2)}).Draw(r, "text")
					stream := rapid.SampledFrom([]string{engine.Stdout, engine.Stderr, Own}).Draw(r, "stream")
					began[s.at.seq] = s.at.began
					lines += s.line(stream, text, rapid.Bool().Draw(r, "partial"))
				}
				if n, err := s.f.write(&s.r, s.now, at, []byte(lines)); err != nil || n != len(lines) {
					r.Fatalf("%d bytes of %d: %v", n, len(lines), err)
				}
				if p := (runPlace{at.began, at.run}); len(ran) == 0 || ran[0] != p {
					ran = slices.Insert(ran, 0, p)
				}
				s.now = s.now.Add(time.Duration(rapid.IntRange(1, 3000).Draw(r, "µs")) * time.Microsecond)
			}
		}
		same(r, "all", s.read(t, all), s.said)
		var runs []runPlace
		for p, err := range s.r.runs(t.Context()) {
			must(t, err)
			runs = append(runs, p)
		}
		if !slices.Equal(runs, ran) {
			r.Fatalf("the runs are %v, not %v", runs, ran)
		}
		for range 8 {
			q := query{tail: rapid.SampledFrom([]int{-1, 0, 1, 10, 50, 1000}).Draw(r, "tail")}
			if len(s.said) > 0 {
				some := rapid.SampledFrom(s.said)
				if rapid.Bool().Draw(r, "with after") {
					q.after = some.Draw(r, "after").Seq
				}
				if rapid.Bool().Draw(r, "with before") {
					q.before = some.Draw(r, "before").Seq
				}
				if rapid.Bool().Draw(r, "with since") {
					q.since = some.Draw(r, "since").Time
				}
				if rapid.Bool().Draw(r, "with until") {
					q.until = some.Draw(r, "until").Time
				}
				if rapid.Bool().Draw(r, "with run") {
					q.run = &runPlace{began[some.Draw(r, "run").Seq], s.said[0].Run}
				}
			}
			same(r, fmt.Sprintf("%+v", q), s.read(t, q), chosen(s.said, began, q))
		}
	})
}

// TestHistoryWhileFilesChange: files that are set aside, compressed, or removed by others while they are read change
// nothing of what was there: no line is there twice, and none is missing that is still in a file.
func TestHistoryWhileFilesChange(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		tail int
		do   func(s *scribe)
		left func(said []engine.Line) []engine.Line // of those that were there; nil: all
	}{
		"set aside":             {-1, func(s *scribe) { s.cut(t) }, nil},
		"compressed":            {-1, func(s *scribe) { s.compress(t) }, nil},
		"both":                  {-1, func(s *scribe) { s.cut(t); s.compress(t) }, nil},
		"both, of the newest":   {25, func(s *scribe) { s.cut(t); s.compress(t) }, nil},
		"written to":            {-1, func(s *scribe) { s.put(t, "later") }, nil},
		"removed as a whole":    {-1, func(s *scribe) { must(t, os.RemoveAll(s.r.Directory)) }, func(l []engine.Line) []engine.Line { return append(slices.Clone(l[:10]), l[40:]...) }},
		"directory moved aside": {-1, func(s *scribe) { must(t, os.Rename(s.r.Directory, s.r.Directory+".1")) }, nil},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := newScribe(scratch(t)+"/log", 1<<20)
			for i := range 50 {
				if i%10 == 0 && i > 0 {
					s.cut(t)
				}
				s.put(t, fmt.Sprint("line ", i))
			}
			want := slices.Clone(s.said)
			if test.left != nil {
				want = test.left(want)
			}
			if test.tail >= 0 {
				want = want[len(want)-test.tail:]
			}
			var got []engine.Line
			for l, err := range s.r.history(t.Context(), name, query{tail: test.tail}) {
				must(t, err)
				if len(got) == 0 {
					test.do(s)
				}
				got = append(got, l)
			}
			same(t, what, got, want)
			s.f.close()
		})
	}
}

// TestTailReadsTheEnd: of large files only their ends are read for the newest lines, and files that are not needed for
// what is asked for are not opened.
func TestTailReadsTheEnd(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	s := newScribe(dir, 1<<30)
	text := strings.Repeat("x", 1000)
	for range 40 {
		s.put(t, slices.Repeat([]string{text}, 1000)...)
	}
	s.f.close()
	// A FIFO is no file that can be read, so that it is told when it is opened. What is at the beginning of the large file
	// is not what it was: lines that are counted from there have other numbers.
	const aside = "2026-11-23T092410.000000Z.log"
	must(t, unix.Mkfifo(dir+"/"+aside, 0o600))
	f, err := os.OpenFile(dir+"/current", os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte("\n"), 1<<20), 0)
	must(t, errorsOf(err, f.Close()))
	for _, q := range []query{{tail: 10}, {tail: 10, since: s.said[1].Time}} {
		same(t, fmt.Sprint(q), s.read(t, q), s.said[len(s.said)-10:])
	}
	after := query{tail: -1, after: s.said[len(s.said)-4].Seq, since: s.said[2].Time}
	same(t, "after", s.read(t, after), s.said[len(s.said)-3:])
	if lines := s.read(t, query{tail: math.MaxInt}); lines[0].Text != "cannot read "+aside+": "+errNotRegular.Error() || lines[0].Stream != Own {
		t.Errorf("of what can't be read is said: %+v", lines[0])
	}
}

func errorsOf(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestHistoryOfAnything: whatever is in the place of a file, or in it, is neither waited for nor followed nor held in
// memory; the other files are read all the same, and what can't be read is said.
func TestHistoryOfAnything(t *testing.T) {
	t.Parallel()
	const before = "2026-11-23T092412.000000Z.log"
	zip := func(data []byte, times int) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(data) // to memory
		_ = w.Close()
		return bytes.Repeat(b.Bytes(), times)
	}
	for what, test := range map[string]struct {
		make func(dir string) error
		says string
	}{
		"FIFO":            {func(dir string) error { return unix.Mkfifo(dir+"/"+before, 0o600) }, errNotRegular.Error()},
		"compressed FIFO": {func(dir string) error { return unix.Mkfifo(dir+"/"+before+".gz", 0o600) }, errNotRegular.Error()},
		"symlink":         {func(dir string) error { return os.Symlink("/etc/passwd", dir+"/"+before) }, errNotRegular.Error()},
		"directory":       {func(dir string) error { return os.Mkdir(dir+"/"+before, 0o700) }, errNotRegular.Error()},
		"two names": {func(dir string) error {
			return errorsOf(os.WriteFile(dir+"/x", nil, 0o600), os.Link(dir+"/x", dir+"/"+before))
		}, errNotRegular.Error()},
		"empty and gz": {func(dir string) error { return os.WriteFile(dir+"/"+before+".gz", nil, 0o600) }, "EOF"},
		"no gz":        {func(dir string) error { return os.WriteFile(dir+"/"+before+".gz", []byte("something else"), 0o600) }, "gzip: invalid header"},
		"half a gz": {func(dir string) error {
			return os.WriteFile(dir+"/"+before+".gz", zip([]byte("text\n"), 1)[:20], 0o600)
		}, "unexpected EOF"},
		"a hole of a terabyte": {func(dir string) error {
			return errorsOf(os.WriteFile(dir+"/"+before, nil, 0o600), os.Truncate(dir+"/"+before, 1<<40))
		}, errTooLarge.Error()},
		"a bomb": {func(dir string) error {
			return os.WriteFile(dir+"/"+before+".gz", zip(make([]byte, 32<<20), 40), 0o600)
		}, errTooLarge.Error()},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := scratch(t)
			must(t, test.make(dir))
			s := newScribe(dir, 4000)
			s.put(t, "one", "two")
			s.f.close()
			var got, own []engine.Line
			size := 0
			for l, err := range s.r.history(t.Context(), name, all) {
				must(t, err)
				switch size += len(l.Text); {
				case len(l.Text) > scanLine:
					t.Fatalf("a line of %d bytes", len(l.Text))
				case l.Stream == Own:
					own = append(own, l)
				case l.Seq > 0:
					got = append(got, l)
				}
			}
			same(t, what, got, s.said)
			if len(own) != 1 || !strings.HasSuffix(own[0].Text, ": "+test.says) || size > leastRead+2*scanLine {
				t.Errorf("of %d bytes is said: %+v", size, own)
			}
			same(t, "the newest line", s.read(t, query{tail: 1}), s.said[1:])
		})
	}
}

// TestForeignLines: what pintle has not written, or wrote before it wrote markers, is shown as what it is, and a line
// that is longer than any in parts; what forged markers say is believed, but nothing else comes of them.
func TestForeignLines(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	const stamp = "2026-11-23T09:24:12.000000Z"
	long := strings.Repeat("l", maxLine+10_000)
	must(t, os.WriteFile(dir+"/current", []byte("hello\n"+stamp+" err old\n\n"+stamp+" run 18446744073709551615, line 9223372036854775807 since 9999-12-31T23:59:59.999999Z\n"+
		stamp+" out forged\nmine\n"+stamp+" run 1, line 1 since "+stamp+"\n"+stamp+" log+ x\n"+stamp+" out "+long+"\nhalf"), 0o600))
	r := &File{Directory: dir, Size: 4000, UID: os.Geteuid()}
	var got []string
	for l, err := range r.history(t.Context(), name, all) {
		must(t, err)
		text := l.Text
		if strings.HasPrefix(text, "l") {
			text = fmt.Sprint(len(text))
		}
		got = append(got, fmt.Sprintf("%d %d %s %d %s %v", l.Run, l.Seq%1_000_000_000, l.Stream, l.Time.Second(), text, l.Partial))
	}
	want := []string{
		"0 0 stdout 0 hello false", "0 0 stderr 12 old false", "0 0 stdout 12  false",
		"18446744073709551615 654775806 stdout 12 forged false", "18446744073709551615 654775806 stdout 12 mine false",
		"1 852000001 syslog 12 x true", "1 852000002 stdout 12 69600 true", "1 852000002 stdout 12 5936 false", "1 852000002 stdout 12 half true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	after := collect(t, r.history(t.Context(), name, query{tail: -1, after: 1}))
	if len(after) != len(want)-3 {
		t.Errorf("with a number there are %d", len(after))
	}
}

// TestRunsThatOverlap: what is left of a run may write when a newer one does, and for files after its last word. The
// newest is the newest all the same, of each life of pintle's, and files of older lives are read only for who wants those.
func TestRunsThatOverlap(t *testing.T) {
	t.Parallel()
	s := newScribe(scratch(t), 4000)
	var want []string
	for life, files := range [][][]uint64{{{1, 2, 1}, {9}, {3}, {3}, {}}, {{1}}, {{1, 2, 1}, {3, 4, 3}, {2}, {1, 2, 1, 2}, {}}} {
		if life == 2 {
			s.cut(t) // the last two lives have no file in common
		}
		s.at.began += 1_000_000
		s.at.seq = s.at.began
		for _, file := range files {
			for _, run := range file {
				s.at.run = run
				s.at.seq++
				s.put(t, "x")
			}
			if len(file) > 0 && len(files) > 1 {
				s.cut(t)
			}
		}
		for _, run := range [][]uint64{{9, 3, 2, 1}, {1}, {4, 3, 2, 1}}[life] {
			want = append(want, fmt.Sprint(s.at.began, run))
		}
	}
	s.f.close()
	want = slices.Concat(want[5:], want[4:5], want[:4])
	names := archives(t, s.r.Directory)
	var got []string
	for p, err := range s.r.runs(t.Context()) {
		must(t, err)
		got = append(got, fmt.Sprint(p.began, p.run))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the runs are %s, not %s", got, want)
	}
	got = nil
	for p, err := range s.r.runs(t.Context()) {
		must(t, err)
		if len(got) == 0 {
			for _, file := range names[:4] {
				must(t, os.Remove(file))
			}
		}
		got = append(got, fmt.Sprint(p.began, p.run))
	}
	if !slices.Equal(got, want[:5]) {
		t.Errorf("files of older lives were read at once: %s", got)
	}
}

// TestNoHistory: where there is no directory there are no lines, and none is made; where it can't be read, that is said.
func TestNoHistory(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	r := &File{Directory: dir + "/none", Size: 4000, UID: os.Geteuid()}
	if lines := collect(t, r.history(t.Context(), name, all)); len(lines) != 0 {
		t.Errorf("there are %v", lines)
	}
	if _, err := os.Stat(dir + "/none"); err == nil {
		t.Error("it was made")
	}
	must(t, os.WriteFile(dir+"/none", nil, 0o600))
	for _, err := range r.history(t.Context(), name, all) {
		if err == nil || err.Error() != "cannot read "+dir+"/none: not a directory" {
			t.Errorf("it is said: %v", err)
		}
	}
}

// Any bytes are lines, in bounded memory, and all of them are shown: nothing hangs, fails or is left out, and the newest
// lines are those that are the last of all.
func FuzzHistory(f *testing.F) {
	const stamp = "2026-11-23T09:24:12.000000Z"
	f.Add([]byte(stamp+" run 1, line 1 since "+stamp+"\n"+stamp+" out x\n"), []byte("x"), uint16(0), uint8(3))
	f.Add([]byte(stamp+" err+ \n\n"), []byte(stamp+" run"), uint16(2), uint8(0))
	f.Add([]byte("y"), []byte(""), uint16(math.MaxUint16), uint8(200))
	f.Add([]byte(stamp+" log y\n"+stamp+" pintle "), []byte("\n"), uint16(3000), uint8(200))
	f.Fuzz(func(t *testing.T, aside, current []byte, repeat uint16, tail uint8) {
		if grown := len(aside) * int(repeat); grown <= 4*maxLine {
			aside = bytes.Repeat(aside, int(repeat)+1)
		}
		dir := t.TempDir()
		must(t, os.Chmod(dir, 0o755))
		must(t, os.WriteFile(dir+"/2026-11-23T092412.000000Z.log", aside, 0o600))
		must(t, os.WriteFile(dir+"/current", current, 0o600))
		r := &File{Directory: dir, Size: 4000, UID: os.Geteuid()}
		lines := collect(t, r.history(t.Context(), name, all))
		newest := collect(t, r.history(t.Context(), name, query{tail: int(tail)}))
		if want := lines[max(0, len(lines)-int(tail)):]; !slices.Equal(texts(newest), texts(want)) {
			t.Fatalf("the newest are %q of %q", texts(newest), texts(lines))
		}
		count := 0
		for data := range bytes.Lines(slices.Concat(aside, current)) {
			if _, ok := cutMarker(bytes.TrimSuffix(data, []byte("\n"))); !ok {
				count++
			}
		}
		if (len(aside) == 0 || aside[len(aside)-1] == '\n') && len(lines) < count {
			t.Fatalf("there are %d lines, not %d", len(lines), count)
		}
	})
}

// TestTailOfSeveralFiles: the newest lines may begin within a large file and go on in the next one, also where the large
// one is compressed between the two looks at it.
func TestTailOfSeveralFiles(t *testing.T) {
	t.Parallel()
	s := newScribe(scratch(t), 1<<30)
	for range 8 {
		s.put(t, slices.Repeat([]string{strings.Repeat("x", 1000)}, 1000)...)
	}
	s.cut(t)
	s.put(t, "one", "two")
	s.f.close()
	q := query{tail: 15}
	same(t, "two files", s.read(t, q), s.said[len(s.said)-15:])
	fs, err := s.r.files()
	must(t, err)
	defer fs.close()
	first, offset, skip := fs.begin(t.Context(), &q)
	if first != 0 || offset == 0 {
		t.Fatalf("it begins in file %d at %d", first, offset)
	}
	s.compress(t)
	var got []engine.Line
	must(t, fs.scan(fs.names[0], offset, func(sc *scanner) bool {
		if q.selects(sc) {
			l := sc.line
			l.Unit, l.Text = name, string(sc.text)
			got = append(got, l)
		}
		return true
	}))
	same(t, "compressed", got[skip:], s.said[len(s.said)-15:len(s.said)-2])
}

// TestNoFileIsMissed: a file that is compressed while the directory is looked at is found, by one of its names.
func TestNoFileIsMissed(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	var names []string
	for i := range 200 {
		name := time.Date(2026, 11, 23, 9, 24, i, 0, time.UTC).Format(archiveForm)
		must(t, os.WriteFile(dir+"/"+name, nil, 0o600))
		names = append(names, name)
	}
	r := &File{Directory: dir, Size: 1000, UID: os.Geteuid()}
	over := make(chan error, 1)
	go func() { // as the compressor does it, and back
		var err error
		for range 8 {
			for _, name := range names {
				err = errorsOf(err, os.WriteFile(dir+"/"+hidden+name+zipped, nil, 0o600),
					os.Rename(dir+"/"+hidden+name+zipped, dir+"/"+name+zipped), os.Remove(dir+"/"+name))
			}
			for _, name := range names {
				err = errorsOf(err, os.WriteFile(dir+"/"+name, nil, 0o600), os.Remove(dir+"/"+name+zipped))
			}
		}
		over <- err
	}()
	looks, missed := 0, 0
	for ended := false; !ended; looks++ {
		select {
		case err := <-over:
			must(t, err)
			ended = true
		default:
		}
		fs, err := r.files()
		must(t, err)
		missed += len(names) + 1 - len(fs.names)
		fs.close()
	}
	if missed > 0 {
		t.Errorf("%d files missed in %d looks", missed, looks)
	}
}

// TestOpenedAsItGoes: a file that goes away just as it is opened, as one does that has been compressed, is one that is not there,
// and no file of another kind: who reads then finds it by its other name.
func TestOpenedAsItGoes(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	dir, err := os.Open(path)
	must(t, err)
	defer dir.Close()
	stop := make(chan struct{})
	var goes sync.WaitGroup
	goes.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.WriteFile(path+"/a", nil, 0o600)
				_ = os.Remove(path + "/a")
			}
		}
	})
	for range 20000 {
		f, _, err := openRegular(int(dir.Fd()), "a", unix.O_RDONLY, 0)
		if err != nil && err != unix.ENOENT {
			t.Fatal(err)
		}
		if err == nil {
			must(t, f.Close())
		}
	}
	close(stop)
	goes.Wait()
}
