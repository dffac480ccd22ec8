package logs

import (
	"bytes"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/trust"
)

// File is the rule by which the lines of a unit are kept in files.
type File struct {
	// Directory is absolute. It is made, with its parents, when there is something to write.
	Directory string
	// Size is what a file must not grow over: before the line that would do that, it is set aside.
	Size int64
	// Age is after how long a file is set aside all the same; 0: never.
	Age time.Duration
	// Keep is how many of those that were set aside remain, and Total how many bytes of them, compressed or not; 0: any
	// number. The newest of them remains, however large it is.
	Keep  int
	Total int64
	// Compress has those that were set aside be compressed.
	Compress bool
	// Mode is a file's; 0 means 0640.
	Mode os.FileMode
	// UID is pintle's own.
	UID int
	// As does something with the rights of the unit's user, who may own the directory, and says why not. Where it is nil,
	// it is done with pintle's.
	As func(do func()) error
}

const (
	currentName = "current"
	fileMode    = 0o640
	// lookEvery is how often it is seen to that the open file is still the one of its name.
	lookEvery = time.Second
	// markEvery is how many bytes there are between two markers of a file, but for those of one write: what is looked
	// for at the end of a large file is found without reading all of it.
	markEvery = 1 << 20
)

// current is the path of the file that is written to.
func (r *File) current() string { return r.Directory + "/" + currentName }

// mode is a file's, and directoryMode that of a directory: who may read files may enter it.
func (r *File) mode() uint32 {
	if r.Mode == 0 {
		return fileMode
	}
	return uint32(r.Mode.Perm())
}

func (r *File) directoryMode() uint32 { return 0o700 | r.mode() | r.mode()&0o444>>2 }

// visit goes to the directory, makes what is missing of it, and has something done there; all that with the rights of
// the unit's user. From the first directory on that others may change, no symlink is followed: see trust.Reach.
func (r *File) visit(do func(dir int) error) error {
	return r.reach(do, func(parent int, name, _ string, _ bool) error {
		err := unix.Mkdirat(parent, name, r.directoryMode())
		if err == nil {
			r.grant(parent, name)
		}
		if err == unix.EEXIST {
			return nil
		}
		return err
	})
}

// look is visit where nothing is made.
func (r *File) look(do func(dir int) error) error { return r.reach(do, nil) }

func (r *File) reach(do func(dir int) error, mk trust.Maker) error {
	var err error
	e := r.as(func() {
		var dir *os.File
		if dir, err = trust.Reach(r.Directory, r.UID, mk); err == nil {
			defer dir.Close()
			err = do(int(dir.Fd()))
		}
	})
	if e != nil {
		return e
	}
	return err
}

// as does something with the rights of the unit's user, and says why not.
func (r *File) as(do func()) error {
	if r.As == nil {
		do()
		return nil
	}
	return r.As(do)
}

// grant gives a directory that was just made the bits that the process's umask took away.
func (r *File) grant(parent int, name string) {
	fd, err := openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return // it is entered next, which says why that can't be
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err == nil && st.Mode&0o777 != r.directoryMode() {
		_ = unix.Fchmod(fd, r.directoryMode()) // without it fewer may read
	}
}

// file is the file that a unit's lines are written to, where it is open. One goroutine at a time uses it.
type file struct {
	// rotated is told the rule by which a file was set aside; nil: nobody is.
	rotated func(File)

	f      *os.File // nil where it is not open
	size   int64
	looked time.Time
	born   time.Time // when its first line came
	next   place     // of the line that would need no marker; none before the first one
	marked int64     // how large it was at the last marker
}

// place is where lines belong: the run that all of them are of, the number (engine.Line.Seq) of the first, and when the
// unit's journal began, in microseconds since 1970.
type place struct {
	run   uint64
	seq   uint64
	began uint64
}

// nowhere is the place of no line.
var nowhere = place{seq: ^uint64(0)}

// write writes whole lines that follow each other, and returns how many bytes of whole lines it has written. The error
// is a cause; with it, nothing of the line that was not written remains in the file, which is closed.
func (f *file) write(r *File, now time.Time, at place, lines []byte) (n int, err error) {
	if err := f.ready(r, now); err != nil {
		return 0, err
	}
	if f.old(r, now) {
		if err := f.rotate(r, now); err != nil {
			return 0, err
		}
	}
	var room [2 * len(markerForm)]byte
	for n < len(lines) {
		var mark []byte
		if f.size == 0 || at != f.next || f.size-f.marked >= markEvery {
			mark = appendMarker(room[:0], lines[n:], at)
		}
		whole := fit(lines[n:], r.Size-f.size-int64(len(mark)))
		switch {
		case whole == 0 && f.size > 0:
			if err := f.rotate(r, now); err != nil {
				return n, err
			}
			continue
		case whole == 0: // longer than a file may be
			whole = bytes.IndexByte(lines[n:], '\n') + 1
		}
		if f.size == 0 {
			f.born = birth(mark, now)
		}
		m, err := f.put(mark, lines[n:n+whole])
		if err != nil {
			return n + m, err
		}
		if mark != nil {
			f.marked = f.size - int64(whole)
		}
		n += whole
		at.seq += uint64(bytes.Count(lines[n-whole:n], []byte{'\n'}))
		f.next = at
	}
	return n, nil
}

// put writes a marker, where there is one, and lines behind it, and returns how many bytes of whole lines were written.
// What was written besides them, when that can't be done, it takes back, and closes the file.
func (f *file) put(mark, lines []byte) (n int, err error) {
	var m, of int
	if len(mark) > 0 {
		of, err = f.f.Write(mark)
	}
	if err == nil {
		m, err = f.f.Write(lines)
	}
	if err == nil {
		f.size += int64(of + m)
		return m, nil
	}
	if n = bytes.LastIndexByte(lines[:m], '\n') + 1; n > 0 {
		f.size += int64(of + n)
	}
	var st unix.Stat_t
	torn := unix.Fstat(int(f.f.Fd()), &st) == nil && st.Size > f.size && st.Size-f.size <= int64(of+m)
	if torn {
		_ = f.f.Truncate(f.size) // otherwise half a line remains, and is ended when the file is opened again
	}
	f.close()
	return n, bare(err)
}

// old tells whether the file has been written to for as long as it may be. It is asked when there is a line to write: a
// file that nothing is written to is not set aside.
func (f *file) old(r *File, now time.Time) bool {
	if now.Before(f.born) { // the clock was set back
		f.born = now
	}
	return r.Age > 0 && f.size > 0 && now.Sub(f.born) >= r.Age
}

// birth is when the first line of a file came, by the marker in front of it; now where there is none, or it is later.
func birth(first []byte, now time.Time) time.Time {
	if at, _, ok := cutStamp(first); ok && at.Before(now) {
		return at
	}
	return now
}

// ready has the file be open, be the one that has its name, and be as it was left: where somebody else has written into
// it, or taken something out, it is opened again.
func (f *file) ready(r *File, now time.Time) error {
	if f.f != nil {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.f.Fd()), &st); err != nil || st.Nlink == 0 || st.Size != f.size {
			f.close()
		}
	}
	if since := now.Sub(f.looked); f.f != nil && since >= 0 && since < lookEvery {
		return nil
	}
	f.looked = now
	return r.visit(func(dir int) error {
		if f.isAt(dir) {
			return nil
		}
		return f.open(r, dir, now)
	})
}

// isAt tells whether it is this file that has the name in a directory.
func (f *file) isAt(dir int) bool {
	if f.f == nil {
		return false
	}
	var own, there unix.Stat_t
	err := unix.Fstat(int(f.f.Fd()), &own)
	if err == nil {
		err = unix.Fstatat(dir, currentName, &there, unix.AT_SYMLINK_NOFOLLOW)
	}
	return err == nil && own.Dev == there.Dev && own.Ino == there.Ino
}

// open opens the file in a directory, or makes it. If it ends with half a line, that is ended.
func (f *file) open(r *File, dir int, now time.Time) error {
	f.close()
	const flags = unix.O_RDWR | unix.O_APPEND
	var opened *os.File
	var size int64
	var err error
	for range 100 { // another container may make it, or set it aside, at the same time
		if opened, size, err = openRegular(dir, currentName, flags, 0); err != unix.ENOENT {
			break
		}
		if opened, size, err = openRegular(dir, currentName, flags|unix.O_CREAT|unix.O_EXCL, r.mode()); err == nil {
			_ = unix.Fchmod(int(opened.Fd()), r.mode()) // without it, fewer may read than the process's umask lets
		}
		if err != unix.EEXIST {
			break
		}
	}
	if err != nil {
		return err
	}
	if err := endLine(opened, &size); err != nil {
		_ = opened.Close() // the file is not used
		return bare(err)
	}
	var first [len(stampForm) + 1]byte
	_, _ = opened.ReadAt(first[:], 0) // where it can't be read, or has no line, its age counts from now
	f.f, f.size, f.born, f.next = opened, size, birth(first[:], now), nowhere
	return nil
}

// openRegular opens what has a name in a directory, and tells its size, unless it is anything but a regular file of
// that one name.
func openRegular(dir int, name string, flags int, mode uint32) (*os.File, int64, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, 0, errNotRegular // for a device, even to be opened can mean something
	}
	fd, err := openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, mode)
	if err != nil {
		return nil, 0, err
	}
	err = unix.Fstat(fd, &st)
	switch {
	case err != nil:
	case st.Nlink == 0: // compressed, say, since it was opened
		err = unix.ENOENT
	case st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink > 1:
		err = errNotRegular
	}
	if err != nil {
		_ = unix.Close(fd) // nothing was written
		return nil, 0, err
	}
	return os.NewFile(uintptr(fd), name), st.Size, nil
}

var errNotRegular = errors.New("it is not a regular file, or has another name too")

// endLine ends a line that was not written to its end, as when the container was killed.
func endLine(f *os.File, size *int64) error {
	if *size == 0 {
		return nil
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], *size-1); err != nil || last[0] == '\n' {
		return err
	}
	*size++
	_, err := f.Write([]byte{'\n'})
	return err
}

// rotate sets the file aside, and opens a new one.
func (f *file) rotate(r *File, now time.Time) error {
	aside := false
	err := r.visit(func(dir int) error {
		if f.isAt(dir) { // otherwise somebody else has set it aside
			if err := setAside(dir, r, f.size, now); err != nil {
				return err
			}
			aside = true
		}
		return f.open(r, dir, now)
	})
	f.looked = now
	if aside && f.rotated != nil {
		f.rotated(*r)
	}
	return err
}

func (f *file) close() {
	if f.f != nil {
		_ = f.f.Close() // every write has said its own error
		f.f = nil
	}
}

func openat(dir int, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags, mode)
		if err != unix.EINTR { // possible on network and FUSE file systems
			return fd, err
		}
	}
}

// bare is the cause without the path, which the sentence has already.
func bare(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}
