package drive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/trust"
)

// maxLog is how much of the end of a log is read.
const maxLog = 4 << 20

// stampForm is how s6-log's T writes a time, with two spaces after it.
const stampForm = "2006-01-02 15:04:05.000000000"

// Logs implements engine.Engine: the lines of the file that s6-log writes to now, where the template has one. Of which
// run and stream they are is not in it.
func (t *Tree) Logs(ctx context.Context, req engine.LogRequest) iter.Seq2[engine.Line, error] {
	return func(yield func(engine.Line, error) bool) {
		lines, err := t.readLog(req)
		if err != nil {
			yield(engine.Line{}, err)
			return
		}
		for _, l := range lines {
			if ctx.Err() != nil || !yield(l, nil) {
				return
			}
		}
	}
}

func (t *Tree) readLog(req engine.LogRequest) ([]engine.Line, error) {
	s, err := t.open("read the log of", req.Name)
	if err != nil {
		return nil, err
	}
	defer s.close()
	run := t.look(s).run()
	spec, err := t.instantiate(req.Name)
	switch {
	case err != nil || !logged(spec):
		return nil, engine.Errorf(engine.Conflict, "cannot read the log of %s: with s6 it is in no file that pintle knows (a template's log: directory)", req.Name)
	case req.Follow:
		return nil, engine.Errorf(engine.Conflict, "cannot follow the log of %s: s6-log writes it, see tail -F %s/current", req.Name, spec.Log.Directory)
	}
	data, err := tailOf(spec.Log.Directory, "current")
	if err != nil {
		return nil, t.failure("read the log of", req.Name, err)
	}
	var lines []engine.Line
	for text := range bytes.Lines(data) {
		l := engine.Line{Unit: req.Name, Run: run, Stream: engine.Stdout, Text: strings.TrimSuffix(string(text), "\n")}
		if len(l.Text) > len(stampForm)+2 {
			if at, err := time.ParseInLocation(stampForm, l.Text[:len(stampForm)], time.Local); err == nil {
				l.Time, l.Text = at, strings.TrimPrefix(l.Text[len(stampForm):], "  ")
			}
		}
		lines = append(lines, l)
	}
	if req.Tail >= 0 && len(lines) > req.Tail {
		lines = lines[len(lines)-req.Tail:]
	}
	for i := range lines {
		lines[i].Seq = uint64(i + 1)
	}
	return lines, nil
}

// tailOf reads the end of a file in a directory that may be anybody's; one that is not there yet is empty. What is no
// file is not waited for, and what a link leads to is not shown.
func tailOf(directory, name string) ([]byte, error) {
	dir, err := trust.OpenForeign(directory, os.Geteuid())
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	defer dir.Close()
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", directory, name, err)
	}
	f := os.NewFile(uintptr(fd), directory+"/"+name)
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s/%s is not a file", directory, name)
	}
	cut := info.Size() > maxLog
	if cut {
		if _, err := f.Seek(-maxLog, io.SeekEnd); err != nil {
			return nil, err
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxLog))
	if cut {
		_, data, _ = bytes.Cut(data, []byte("\n"))
	}
	return data, err
}
