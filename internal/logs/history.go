package logs

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// history yields the lines of a unit that its files hold and q selects, oldest first: those that were there when it was
// asked. Files that are set aside, compressed or removed meanwhile don't change that, but for those removed before
// they are read. They are opened with the rights of the unit's user, who can have put anything there: nothing in them
// is waited for, none is held in memory as a whole, and of what can't be read a line on the stream Own says why. An error
// is about the directory.
//
// A line that was written before there were markers, or that somebody else wrote in front of the first one, has run 0
// and Seq 0. Another line of somebody else's has those of the line before it, and its time.
func (r *File) history(ctx context.Context, name unit.Name, q query) iter.Seq2[engine.Line, error] {
	return func(yield func(engine.Line, error) bool) {
		if q.tail == 0 {
			return
		}
		files, err := r.files()
		if err != nil {
			yield(engine.Line{}, err)
			return
		}
		defer files.close()
		first, offset, skip := files.begin(ctx, &q)
		last := engine.Line{Unit: name}
		for _, file := range files.names[first:] {
			err := files.scan(file, offset, func(s *scanner) bool {
				if ctx.Err() != nil {
					return false
				}
				if !q.selects(s) {
					return true
				}
				if skip > 0 {
					skip--
					return true
				}
				last = s.line
				last.Unit, last.Text = name, string(s.text)
				return yield(last, nil)
			})
			offset, skip = 0, 0
			if err == errStopped {
				return
			}
			if err != nil && !errors.Is(err, unix.ENOENT) {
				last.Stream, last.Partial, last.Text = Own, false, fmt.Sprintf("cannot read %s: %v", file, err)
				if !yield(last, nil) {
					return
				}
			}
		}
	}
}

// runs yields the runs that the files of a unit have lines of, by their markers, newest first, each once; the newest
// 65,536 of them.
func (r *File) runs(ctx context.Context) iter.Seq2[runPlace, error] {
	return func(yield func(runPlace, error) bool) {
		files, err := r.files()
		if err != nil {
			yield(runPlace{}, err)
			return
		}
		defer files.close()
		// What a run leaves behind can write when there is a newer one already, for any number of files. But nothing of one life
		// of pintle's is written in another, so the runs of a life are known when a file has something of an older one.
		var found []runPlace // newest first
		yielded := 0
		var last runPlace
		give := func(n int) bool {
			for _, p := range found[:n] {
				if yielded == mostRuns || !yield(p, nil) {
					return false
				}
				last, yielded = p, yielded+1
			}
			found = found[n:]
			return true
		}
		for _, file := range slices.Backward(files.names) {
			var here []runPlace
			_ = files.scan(file, 0, func(s *scanner) bool { // what can be read of it counts
				p := runPlace{s.next.began, s.next.run}
				if s.marker && (len(here) == 0 || here[len(here)-1] != p) && (yielded == 0 || p.compare(last) < 0) {
					if here = append(here, p); len(here) == 2*mostRuns {
						here = newest(here)
					}
				}
				return ctx.Err() == nil
			})
			if ctx.Err() != nil {
				return
			}
			here = newest(here)
			found = newest(slices.Concat(found, here))
			known := 0
			for len(here) > 0 && known < len(found) && found[known].began > here[len(here)-1].began {
				known++
			}
			if !give(known) {
				return
			}
		}
		give(len(found))
	}
}

// mostRuns bounds how many runs are told apart in files.
const mostRuns = 1 << 16

// newest sorts runs, newest first, and has each of them once; no more than mostRuns of them.
func newest(list []runPlace) []runPlace {
	slices.SortFunc(list, func(a, b runPlace) int { return b.compare(a) })
	list = slices.Compact(list)
	return list[:min(len(list), mostRuns)]
}

// files are a unit's files, as they were at one moment.
type files struct {
	rule    *File
	dir     int
	names   []string // oldest first; the one that is written to is the last of them
	current *os.File // nil where there is none
	size    int64    // how large that was
	problem error    // why it can't be read
	buffer  *bufio.Reader
}

// files looks for the files that there are. Where there is no directory, there are none.
func (r *File) files() (*files, error) {
	fs := &files{rule: r, dir: -1, buffer: bufio.NewReaderSize(nil, scanBuffer)}
	err := r.look(fs.open)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		fs.close()
		return nil, fmt.Errorf("cannot read %s: %w", r.Directory, bare(err))
	}
	return fs, nil
}

func (fs *files) open(at int) (err error) {
	if fs.dir, err = openat(at, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return err
	}
	const tries = 100 // until no file is set aside between two looks at the directory
	for i := range tries {
		fs.closeCurrent()
		fs.current, fs.size, fs.problem = openRegular(fs.dir, currentName, unix.O_RDONLY, 0)
		s, err := shelve(fs.dir, mostArchives, nil)
		if err != nil {
			return err
		}
		// One look can miss a file that is compressed meanwhile: the one name is not there yet when its place is passed, and
		// the other not any more.
		fs.names = union(fs.names, s.names)
		if i > 0 && (fs.current == nil || (&file{f: fs.current}).isAt(fs.dir)) {
			break
		}
	}
	fs.names = append(fs.names, currentName)
	return nil
}

// union is what is in one of two lists, in order.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func (fs *files) close() {
	fs.closeCurrent()
	if fs.dir >= 0 {
		_ = unix.Close(fs.dir) // only read
	}
}

func (fs *files) closeCurrent() {
	if fs.current != nil {
		_ = fs.current.Close() // only read
	}
}

// begin finds where the lines that are selected begin: in which file, where in it, and how many of those that are
// selected there are to be left out. What is older is read no more than that needs.
func (fs *files) begin(ctx context.Context, q *query) (first int, offset int64, skip int) {
	if len(fs.names) == 0 {
		return 0, 0, 0
	}
	for first < len(fs.names)-1 {
		at, _ := archived(fs.names[first])
		if q.since.IsZero() || !at.Before(q.since) { // all its lines came before it was set aside
			break
		}
		first++
	}
	for i := len(fs.names) - 1; q.after > 0 && i > first; i-- {
		begins := ^uint64(0)
		_ = fs.scan(fs.names[i], 0, func(s *scanner) bool { // where it can't be read, an older one tells
			if s.marker {
				begins = s.next.seq
			}
			return false
		})
		if begins <= q.after || begins-1 == q.after {
			first = i
		}
	}
	if q.tail < 0 {
		return first, fs.seek(fs.names[first], q.after), 0
	}
	need := q.tail
	for i := len(fs.names) - 1; i >= first && ctx.Err() == nil; i-- {
		n, offset := fs.count(ctx, fs.names[i], q, need)
		if n >= need {
			return i, offset, n - need
		}
		need -= n
	}
	return first, 0, 0
}

// seek finds a marker of a file that is not behind the line after a number, near it where the file is large; 0 where there
// is none.
func (fs *files) seek(file string, after uint64) (offset int64) {
	size := fs.sizeOf(file)
	for back := int64(2 * markEvery); after > 0 && back < size; back *= 4 {
		found := false
		_ = fs.scan(file, size-back, func(s *scanner) bool { // what can't be read is said when the lines are yielded
			found, offset = s.marker && s.next.seq-1 <= after, s.began
			return !s.marker
		})
		if found {
			return offset
		}
	}
	return 0
}

// sizeOf is a file's size, as far as it is read.
func (fs *files) sizeOf(file string) int64 {
	if file == currentName {
		return fs.size
	}
	return sizeOf(fs.dir, file)
}

// count counts the lines of a file that are selected, from an offset on that leaves need of them, if there are so many:
// the last one of those that it tries.
func (fs *files) count(ctx context.Context, file string, q *query, need int) (n int, offset int64) {
	size := fs.sizeOf(file)
	for back := int64(2 * markEvery); back < size; back *= 4 {
		if n, offset = fs.countFrom(ctx, file, size-back, q); n >= need {
			return n, offset
		}
	}
	return fs.countFrom(ctx, file, 0, q)
}

// countFrom counts the lines that are selected from the first marker on behind an offset, which it returns too; from the
// beginning on where the offset is 0.
func (fs *files) countFrom(ctx context.Context, file string, from int64, q *query) (n int, offset int64) {
	found := from == 0
	_ = fs.scan(file, from, func(s *scanner) bool { // what can't be read is said when the lines are yielded
		if !found && s.marker {
			found, offset = true, s.began
		}
		if found && q.selects(s) {
			n++
		}
		return ctx.Err() == nil
	})
	return n, offset
}

// errStopped is what scan returns where each wanted no more.
var errStopped = errors.New("stopped")

// scan reads a file from an offset on, and has each look at every marker and line, until it returns false. A file that
// is not there any more is ENOENT.
func (fs *files) scan(name string, offset int64, each func(*scanner) bool) error {
	most := fs.rule.mostRead()
	s := &scanner{r: fs.buffer, offset: offset, end: most, most: most}
	f := fs.current
	if name == currentName {
		if f == nil {
			return fs.problem
		}
		s.end = fs.size
	} else {
		var gz bool
		var err error
		if f, gz, err = fs.openArchive(name); err != nil {
			return err
		}
		defer f.Close()
		if gz {
			return fs.scanZipped(s, f, offset, each)
		}
	}
	s.r.Reset(io.NewSectionReader(f, offset, math.MaxInt64-offset))
	return s.all(each)
}

// scanZipped is scan for a file that was compressed; the offset is one in its text.
func (fs *files) scanZipped(s *scanner, f *os.File, offset int64, each func(*scanner) bool) error {
	zip, err := gzip.NewReader(f)
	if err != nil {
		return bare(err)
	}
	if _, err := io.CopyN(io.Discard, zip, offset); err != nil {
		return bare(err)
	}
	s.r.Reset(zip)
	return s.all(each)
}

// all has each look at all that there is.
func (s *scanner) all(each func(*scanner) bool) error {
	for {
		switch err := s.read(); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case !each(s):
			return errStopped
		}
	}
}

// openArchive opens a file that was set aside, and tells whether it is compressed. Where it is there both ways, the
// compressed one may not be whole.
func (fs *files) openArchive(name string) (f *os.File, gz bool, err error) {
	e := fs.rule.as(func() {
		if f, _, err = openRegular(fs.dir, name, unix.O_RDONLY, 0); err == unix.ENOENT {
			f, _, err = openRegular(fs.dir, name+zipped, unix.O_RDONLY, 0)
			gz = true
		}
	})
	if e != nil {
		err = e
	}
	return f, gz, err
}
