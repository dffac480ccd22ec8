package logs

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
)

func init() {
	// compress writes numbered lines to the files of a directory for ever, has them be compressed meanwhile, and says
	// each one that is written.
	roles["compress"] = func() int {
		c := newCompressor()
		s := newScribe(os.Getenv("PINTLE_LOGS_TEST_DIRECTORY"), 100_000)
		s.r.Compress, s.f.rotated = true, c.enqueue
		for i := 0; ; i++ {
			at := s.at
			if _, err := s.f.write(&s.r, s.now, at, []byte(s.line(engine.Stdout, fmt.Sprint(i, strings.Repeat(" word", 400)), false))); err != nil {
				fmt.Println(err)
				return 1
			}
			s.now = s.now.Add(time.Millisecond)
			fmt.Println(i)
		}
	}
}

// unzipped is what a compressed file holds.
func unzipped(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	zip, err := gzip.NewReader(f)
	must(t, err)
	data, err := io.ReadAll(zip)
	must(t, err)
	return string(data)
}

// aside are files that were set aside, each with a line, and nothing of them compressed yet; and what each holds.
func aside(t testing.TB, dir string, texts ...string) (*scribe, map[string]string) {
	t.Helper()
	s := newScribe(dir, 1<<30)
	for _, text := range texts {
		s.put(t, text)
		s.cut(t)
	}
	s.f.close()
	must(t, os.Remove(dir+"/current"))
	hold := map[string]string{}
	for _, name := range listing(t, dir) {
		data, err := os.ReadFile(dir + "/" + name)
		must(t, err)
		hold[name] = string(data)
	}
	return s, hold
}

// TestCompress: what was set aside is compressed, all of it, the one of another life too; what a kill has left is removed
// or made again, and nothing that is not pintle's is touched.
func TestCompress(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	s, hold := aside(t, dir, "one", "two", "three", strings.Repeat("many words ", 5000))
	names := listing(t, dir)
	must(t, os.WriteFile(dir+"/"+names[1]+".gz", []byte("half of it"), 0o600))
	must(t, os.WriteFile(dir+"/."+names[2]+".gz", []byte("half of it"), 0o600))
	must(t, os.WriteFile(dir+"/.2001-01-01T000000.000000Z.log.gz", []byte("of one that is gone"), 0o600))
	foreign := []string{".x.gz", "x.log", "2026-11-23.log", "current"}
	for _, name := range foreign {
		must(t, os.WriteFile(dir+"/"+name, []byte(name), 0o600))
	}
	same(t, "before", s.read(t, query{tail: -1, after: 1}), s.said)
	s.compress(t)
	same(t, "after", s.read(t, query{tail: -1, after: 1}), s.said)
	want := foreign
	for _, name := range names {
		want = append(want, name+".gz")
		if got := unzipped(t, dir+"/"+name+".gz"); got != hold[name] {
			t.Errorf("%s holds %.100q", name, got)
		}
	}
	slices.Sort(want)
	if got := listing(t, dir); !slices.Equal(got, want) {
		t.Errorf("there are %q, not %q", got, want)
	}
}

// TestKilledWhileCompressing: whenever pintle is killed, each line that was written is there once, in order; and what it
// was doing is done in the next life.
func TestKilledWhileCompressing(t *testing.T) {
	t.Parallel()
	for round := range 8 {
		dir := scratch(t)
		cmd := play("compress")
		cmd.Env = append(cmd.Env, "PINTLE_LOGS_TEST_DIRECTORY="+dir)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		said := bufio.NewScanner(out)
		for range 300 + 37*round {
			if !said.Scan() {
				t.Fatal("it has ended")
			}
		}
		must(t, cmd.Process.Kill())
		written := 300 + 37*round
		for said.Scan() {
			written++
		}
		_ = cmd.Wait() // it was killed
		s := newScribe(dir, 100_000)
		check := func(when string) {
			lines := s.read(t, all)
			for i, l := range lines {
				if n, _, _ := strings.Cut(l.Text, " "); n != fmt.Sprint(i) || l.Seq != s.at.seq+uint64(i) {
					t.Fatalf("%s: line %d is %.100q, %d", when, i, l.Text, l.Seq)
				}
			}
			if n := len(lines); n < written || n > written+1 {
				t.Fatalf("%s: there are %d lines of %d", when, n, written)
			}
		}
		check("killed")
		s.compress(t)
		check("compressed")
		for _, name := range listing(t, dir) {
			if name != currentName && (strings.HasPrefix(name, ".") || !strings.HasSuffix(name, ".gz")) {
				t.Errorf("there is %s", name)
			}
		}
	}
}

// TestDiskFullForCompressing: where there is no room for the compressed file, the other one stays as it is.
func TestDiskFullForCompressing(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := scratch(t)
	if err := unix.Mount("pintle-test", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("skipped: cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	var noise bytes.Buffer
	for i := range 6000 {
		fmt.Fprint(&noise, i*i*7919%1_000_003)
	}
	s, hold := aside(t, dir, noise.String(), "two")
	f, err := os.Create(dir + "/filler")
	must(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	s.compress(t)
	names := listing(t, dir)
	if len(names) != 3 {
		t.Errorf("there are %q", names)
	}
	same(t, "full", s.read(t, query{tail: -1, after: 1}), s.said)
	must(t, os.Remove(dir+"/filler"))
	s.compress(t)
	for name := range hold {
		if got := unzipped(t, dir+"/"+name+".gz"); got != hold[name] {
			t.Errorf("%s holds %.100q", name, got)
		}
	}
}

// TestCompressorCloses: what is being compressed is interrupted, and left as it was; nothing is waited for that the disk
// does not answer; what comes afterwards is not compressed.
func TestCompressorCloses(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	s, hold := aside(t, dir, strings.Repeat("many words ", 20<<20))
	r := s.r
	r.Compress = true
	c := newCompressor()
	c.enqueue(r)
	eventually(t, "it is at it", func() bool { return len(listing(t, dir)) == 2 })
	c.close(t.Context())
	c.enqueue(r)
	if names := listing(t, dir); len(names) != 1 || hold[names[0]] == "" || c.busy {
		t.Errorf("there are %q", names)
	}

	answer := make(chan struct{})
	c = newCompressor()
	r.As = func(do func()) error {
		<-answer
		do()
		return nil
	}
	c.enqueue(r)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.close(ctx)
	close(answer)
	settle(t, c)
	newCompressor().close(t.Context()) // which never had anything to do
}

// TestOneAtATime: for any number of units one file is compressed at a time; units that set files aside faster than that
// are asked once.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	c := newCompressor()
	var now, calls, most atomic.Int64
	const units = 20
	for i := range units {
		dir := scratch(t)
		s, _ := aside(t, dir, "x")
		s.r.Compress = true
		s.r.As = func(do func()) error {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			calls.Add(1)
			do()
			return nil
		}
		for range 1 + i%3 {
			c.enqueue(s.r)
		}
		t.Cleanup(func() {
			if names := listing(t, dir); len(names) != 1 || !strings.HasSuffix(names[0], ".gz") {
				t.Errorf("there are %q", names)
			}
		})
	}
	settle(t, c)
	if most.Load() != 1 || len(c.queue) != 0 {
		t.Errorf("%d at a time", most.Load())
	}
}

// TestExchangedWhileCompressing: a file that somebody puts in the place of the one that is being compressed, or that he
// writes more into, stays as it is; no compressed one takes its place.
func TestExchangedWhileCompressing(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(path, text string) error{
		"another file of that length": func(path, text string) error {
			return errorsOf(os.Rename(path, path+".theirs"), os.WriteFile(path, []byte(strings.ToUpper(text)), 0o600))
		},
		"more in it":  func(path, text string) error { return os.WriteFile(path, []byte(text+"more\n"), 0o600) },
		"a directory": func(path, _ string) error { return errorsOf(os.Rename(path, path+".theirs"), os.Mkdir(path, 0o700)) },
		"nothing":     func(path, _ string) error { return os.Rename(path, path+".theirs") },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := scratch(t)
			s, hold := aside(t, dir, "one")
			var file, text string
			for file, text = range hold {
			}
			calls := 0
			s.r.As = func(do func()) error {
				if calls++; calls == 3 { // it was looked for, it was opened, and now it is to be replaced
					must(t, change(dir+"/"+file, text))
				}
				do()
				return nil
			}
			s.compress(t)
			if calls != 3 {
				t.Fatalf("there were %d calls", calls)
			}
			want := map[string]string{"another file of that length": strings.ToUpper(text), "more in it": text + "more\n"}[what]
			if data, _ := os.ReadFile(dir + "/" + file); string(data) != want {
				t.Errorf("it holds %q, not %q", data, want)
			}
			for _, name := range listing(t, dir) {
				if strings.HasSuffix(name, zipped) {
					t.Errorf("there is %s", name)
				}
			}
		})
	}
}

// TestCompressAttacks: who owns the directory can exchange everything in it while files are compressed: nothing that he
// could not read is read, nothing that he could not write is written or removed, and nothing is waited for.
func TestCompressAttacks(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for what, arrange := range map[string]func(path, trap string) error{
		"symlink":        func(path, trap string) error { return os.Symlink(trap, path) },
		"another's file": func(path, trap string) error { return os.Link(trap, path) },
		"a FIFO":         func(path, _ string) error { return unix.Mkfifo(path, 0o666) },
		"a device":       func(path, _ string) error { return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) }, // /dev/zero
		"a directory":    func(path, _ string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			base := scratch(t)
			trap := base + "/secret"
			must(t, os.WriteFile(trap, []byte("only root's\n"), 0o600))
			dir := base + "/log"
			s, hold := aside(t, dir, "one", "two", "three")
			for _, name := range append(listing(t, dir), "") {
				must(t, os.Chown(dir+"/"+name, hermit, hermit))
			}
			must(t, arrange(dir+"/evil", trap))
			a := dir + "/" + listing(t, dir)[1]
			stop, stopped := make(chan struct{}), make(chan error)
			var swaps atomic.Int64
			go func() {
				stopped <- asHermit(func() {
					for {
						select {
						case <-stop:
							return
						default:
							for _, with := range []string{a, a + ".gz", dir + "/." + a[len(dir)+1:] + ".gz"} {
								_ = unix.Renameat2(unix.AT_FDCWD, dir+"/evil", unix.AT_FDCWD, with, unix.RENAME_EXCHANGE) // one is there
							}
							swaps.Add(1)
						}
					}
				})
			}()
			eventually(t, "he is at it", func() bool { return swaps.Load() > 10 })
			s.r.As = asHermit
			for range 20 {
				s.compress(t)
			}
			close(stop)
			must(t, <-stopped)
			if data, err := os.ReadFile(trap); err != nil || string(data) != "only root's\n" {
				t.Errorf("%q, %v", data, err)
			}
			for _, name := range listing(t, dir) {
				var st unix.Stat_t
				must(t, unix.Lstat(dir+"/"+name, &st))
				if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Uid == 0 {
					continue
				}
				data, err := os.ReadFile(dir + "/" + name)
				must(t, err)
				for { // names say nothing here: he may have had a compressed one be compressed
					zip, err := gzip.NewReader(bytes.NewReader(data))
					if err != nil {
						break
					}
					data, err = io.ReadAll(zip)
					must(t, err)
				}
				if len(data) > 0 && !slices.Contains(slices.Collect(maps.Values(hold)), string(data)) {
					t.Errorf("%s holds %q", name, data)
				}
			}
		})
	}
}

// How fast lines are compressed, and read back, of files of 1 MB as they are by default.
func BenchmarkCompress(b *testing.B) {
	dir := scratch(b)
	s, hold := aside(b, dir, strings.Repeat("INFO request path=/v1/units took 12 ms status=200 ", 20_000))
	var name, text string
	for name, text = range hold {
		b.SetBytes(int64(len(text)))
	}
	b.ReportAllocs()
	for b.Loop() {
		must(b, os.WriteFile(dir+"/"+name, []byte(text), 0o600))
		s.compress(b)
	}
}

// How long it takes to read back the newest 10 lines, and all, of 1 MB that is written to and 10 MB that were set aside
// and compressed.
func BenchmarkHistory(b *testing.B) {
	s := newScribe(scratch(b), 1_000_000)
	s.r.Compress = true
	c := newCompressor()
	s.f.rotated = c.enqueue
	text := strings.Repeat("x", 70)
	for range 105 {
		s.put(b, slices.Repeat([]string{text}, 1000)...)
	}
	s.f.close()
	settle(b, c)
	for _, tail := range []int{10, -1} {
		b.Run(fmt.Sprintf("tail=%d", tail), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for _, err := range s.r.history(b.Context(), name, query{tail: tail}) {
					must(b, err)
					n++
				}
				if n != 10 && n != len(s.said) {
					b.Fatalf("there are %d lines", n)
				}
			}
		})
	}
}
