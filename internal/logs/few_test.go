package logs

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
)

// few is the part of a process that has no descriptors left: what it can't read and can't write it says, and it goes on with
// what it has, and with all once there are some again.
func few() error {
	dir := os.Args[1]
	b := NewBook(Options{})
	j := b.Journal(name)
	var writers []*os.File
	capture := func(run uint64) error {
		r, w, err := os.Pipe()
		if err == nil {
			j.Capture(run, engine.Stdout, r)
			writers = append(writers, w)
		}
		return err
	}
	r, w, err := os.Pipe()
	if err = errorsOf(err, capture(1)); err != nil {
		return err
	}
	var limit unix.Rlimit
	next, err := unix.Dup(0) // the least that is free
	if err = errorsOf(err, unix.Close(next), unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)); err != nil {
		return err
	}
	old := limit.Cur
	limit.Cur = uint64(next)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	j.Configure(Output{File: &File{Directory: dir, Size: 1 << 20, UID: os.Geteuid()}})
	j.Capture(2, engine.Stdout, r)
	if _, err := w.WriteString("nobody reads it\n"); err != unix.EPIPE && !strings.Contains(fmt.Sprint(err), "broken pipe") {
		return fmt.Errorf("a pipe that is not read takes lines: %v", err)
	}
	if _, err := writers[0].WriteString("one\n"); err != nil {
		return err
	}
	for len(b.Conditions()) == 0 || len(j.Tail(-1)) < 2 {
		runtime.Gosched()
	}
	fmt.Println(b.Conditions()[0].Text)
	limit.Cur = old
	if err := errorsOf(unix.Setrlimit(unix.RLIMIT_NOFILE, &limit), capture(3)); err != nil {
		return err
	}
	for i, w := range writers {
		if _, err := fmt.Fprintf(w, "last %d\n", i); err != nil {
			return err
		}
		w.Close()
		j.Drained(context.Background(), []uint64{1, 3}[i])
	}
	if err := b.Close(context.Background()); err != nil {
		return err
	}
	for _, text := range texts(j.Tail(-1)) {
		fmt.Println(text)
	}
	return nil
}

// TestFewDescriptors: where there are no descriptors left, a pipe that can't be read and files that can't be written are
// said with the cause, what is read goes on, and once there are some, every line that was kept is in the files.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	cmd := play("few", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	must(t, err)
	got := strings.Split(strings.TrimSpace(string(out)), "\n")
	want := []string{"pintle: cannot read stdout: too many open files", "one", "last 0", "last 1"}
	condition := "the output of gateway@coder is kept in memory only: cannot write " + dir + "/current: "
	if !slices.Equal(got[1:], want) || !strings.HasPrefix(got[0], condition) || !strings.HasSuffix(got[0], ": too many open files") {
		t.Errorf("it says %q", got)
	}
	if got := content(t, dir); got != "pintle cannot read stdout: too many open files\nout one\nout last 0\nout last 1\n" {
		t.Errorf("the file holds %q", got)
	}
}
