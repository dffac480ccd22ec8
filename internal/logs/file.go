package logs

import (
	"bytes"
	"errors"
	"fmt"
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
	// Keep is how many of those that were set aside remain, and Total how many bytes of them; 0: any number.
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
	currentName   = "current"
	fileMode      = 0o640
	directoryMode = 0o750
	// lookEvery is how often it is seen to that the open file is still the one of its name.
	lookEvery = time.Second
)

// current is the path of the file that is written to.
func (r *File) current() string { return r.Directory + "/" + currentName }

// visit goes to the directory, makes what is missing of it, and has something done there; all that with the rights of
// the unit's user. From the first directory on that others may change, no symlink is followed: see trust.Reach.
func (r *File) visit(do func(dir int) error) error {
	var err error
	work := func() {
		var dir *os.File
		dir, err = trust.Reach(r.Directory, r.UID, func(parent int, name, _ string, _ bool) error {
			if err := unix.Mkdirat(parent, name, directoryMode); err != unix.EEXIST {
				return err
			}
			return nil
		})
		if err == nil {
			defer dir.Close()
			err = do(int(dir.Fd()))
		}
	}
	if r.As == nil {
		work()
	} else if e := r.As(work); e != nil {
		return e
	}
	return err
}

// file is the file that a unit's lines are written to, where it is open. One goroutine at a time uses it.
type file struct {
	f      *os.File // nil where it is not open
	size   int64
	looked time.Time
}

// place is where lines belong: the run that all of them are of, and the number (engine.Line.Seq) of the first.
type place struct {
	run uint64
	seq uint64
}

// write writes whole lines that follow each other, and returns how many bytes of whole lines it has written. The error
// is a cause.
func (f *file) write(r *File, now time.Time, at place, lines []byte) (n int, err error) {
	if err := f.ready(r, now); err != nil {
		return 0, err
	}
	for n < len(lines) {
		whole := fit(lines[n:], r.Size-f.size)
		switch {
		case whole == 0 && f.size > 0:
			if err := f.rotate(r, now); err != nil {
				return n, err
			}
			continue
		case whole == 0: // longer than a file may be
			whole = bytes.IndexByte(lines[n:], '\n') + 1
		}
		m, err := f.f.Write(lines[n : n+whole])
		f.size += int64(m)
		if err != nil {
			return n + bytes.LastIndexByte(lines[n:n+m], '\n') + 1, bare(err)
		}
		n += whole
	}
	return n, nil
}

// ready has the file be open, be the one that has its name, and its size be known.
func (f *file) ready(r *File, now time.Time) error {
	if f.f != nil {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.f.Fd()), &st); err != nil || st.Nlink == 0 {
			f.close()
		}
		f.size = st.Size
	}
	if since := now.Sub(f.looked); f.f != nil && since >= 0 && since < lookEvery {
		return nil
	}
	f.looked = now
	return r.visit(func(dir int) error {
		if f.isAt(dir) {
			return nil
		}
		return f.open(dir)
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
func (f *file) open(dir int) error {
	f.close()
	var st unix.Stat_t
	if err := unix.Fstatat(dir, currentName, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errNotRegular // for a device, even to be opened can mean something
	}
	const flags = unix.O_RDWR | unix.O_APPEND | unix.O_CREAT | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, err := openat(dir, currentName, flags, fileMode)
	if err != nil {
		return err
	}
	opened := os.NewFile(uintptr(fd), currentName)
	if err = unix.Fstat(fd, &st); err == nil && (st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1) {
		err = errNotRegular
	}
	if err == nil {
		err = endLine(opened, &st.Size)
	}
	if err != nil {
		_ = opened.Close() // the file is not used
		return bare(err)
	}
	f.f, f.size = opened, st.Size
	return nil
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
	err := r.visit(func(dir int) error {
		if f.isAt(dir) { // otherwise somebody else has set it aside
			if err := setAside(dir, r.Keep, now); err != nil {
				return err
			}
		}
		return f.open(dir)
	})
	f.looked = now
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

// setAside renames the file that has become large enough, and removes the oldest of those that were renamed.
func setAside(dir, keep int, now time.Time) error {
	newest, err := prune(dir, keep-1)
	if err != nil {
		return fmt.Errorf("cannot look for older files: %w", err)
	}
	at := now.UTC().Truncate(time.Microsecond)
	if last, ok := archived(newest); ok && !at.After(last) { // the clock was set back, or there are many a second
		at = last.Add(time.Microsecond)
	}
	if at.Year() > 9999 { // somebody has made one of that name
		at = now.UTC()
	}
	for range 1000 {
		err = renameTo(dir, at.Format(archiveForm))
		if err != unix.EEXIST {
			break
		}
		at = at.Add(time.Microsecond)
	}
	if err != nil {
		return fmt.Errorf("cannot rename it: %w", err)
	}
	return nil
}

// renameTo renames the file unless there is one of that name.
func renameTo(dir int, name string) error {
	err := unix.Renameat2(dir, currentName, dir, name, unix.RENAME_NOREPLACE)
	if err != unix.EINVAL && err != unix.ENOSYS { // the file system, or the kernel, does not know it
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != unix.ENOENT {
		if err == nil {
			err = unix.EEXIST
		}
		return err
	}
	return unix.Renameat(dir, currentName, dir, name)
}
