package logs

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSetAsideWhileListed: the file that is written to may be set aside while it is looked for what files there are: it is
// not taken for two, so no line is read twice.
func TestSetAsideWhileListed(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	began := time.Date(2026, 11, 23, 9, 24, 10, 0, time.UTC)
	for i := range 1000 { // so that the look takes a while
		must(t, os.WriteFile(dir+"/"+began.Add(time.Duration(i)*time.Microsecond).Format(archiveForm), nil, 0o600))
	}
	r := &File{Directory: dir, Size: 4000, UID: os.Geteuid()}
	for round := range 40 {
		must(t, os.WriteFile(dir+"/current", []byte("x\n"), 0o600))
		name := dir + "/" + began.Add(time.Second+time.Duration(round)*time.Microsecond).Format(archiveForm)
		aside := make(chan error)
		go func() {
			aside <- errorsOf(os.Rename(dir+"/current", name), os.WriteFile(dir+"/current", []byte("y\n"), 0o600))
		}()
		fs, err := r.files()
		must(t, err)
		must(t, <-aside)
		if fs.current != nil {
			var own, there unix.Stat_t
			must(t, unix.Fstat(int(fs.current.Fd()), &own))
			for _, file := range fs.names[max(0, len(fs.names)-400) : len(fs.names)-1] {
				if unix.Fstatat(fs.dir, file, &there, unix.AT_SYMLINK_NOFOLLOW) == nil && there.Ino == own.Ino {
					t.Fatalf("round %d: %s is what is written to", round, file)
				}
			}
		}
		fs.close()
	}
}

// TestGrownWhileRead: a line that had begun when the files were looked at is read to its end, and the next one is not: what
// comes later is for who follows.
func TestGrownWhileRead(t *testing.T) {
	t.Parallel()
	for _, begun := range []int{10, scanBuffer - 1, scanBuffer, scanBuffer + 1, scanLine - 1, scanLine, 2 * scanLine, 3*scanLine - 5} {
		dir := scratch(t)
		must(t, os.WriteFile(dir+"/current", []byte(strings.Repeat("l", begun)), 0o600))
		r := &File{Directory: dir, Size: 4000, UID: os.Geteuid()}
		fs, err := r.files()
		must(t, err)
		f, err := os.OpenFile(dir+"/current", os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteString("tail\nlater\n")
		must(t, errorsOf(err, f.Close()))
		var got []string
		size := 0
		must(t, fs.scan(currentName, 0, func(s *scanner) bool {
			size += len(s.text)
			got = append(got, fmt.Sprint(s.line.Partial))
			return true
		}))
		fs.close()
		want := append(slices.Repeat([]string{"true"}, (begun+len("tail"))/scanLine), "false")
		if size != begun+len("tail") || !slices.Equal(got, want) {
			t.Errorf("of a line of %d bytes, %d are read, in parts %v", begun+len("tail"), size, got)
		}
	}
}
