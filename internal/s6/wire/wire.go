// Package wire is what s6 has on disk and in its FIFOs: time stamps, status files, death tallies, control FIFOs,
// event directories, locks, and the files of a service directory. Whoever speaks it can stand in for s6-supervise and
// s6-svscan, and for each of the tools that talk to them.
//
// It promises that a real s6 of the same Version reads what is written here, and the other way round; where s6 has a
// bug that is not followed, a comment says so. It starts no goroutine and no process, has no clock, and changes
// neither the working directory nor the umask, so that it serves a program with many threads as well as a tool.
//
// A directory is opened once, as a Dir, and all else goes by that descriptor. Open takes a path as s6's own tools do:
// with the rights of whoever calls, symlinks and all. In takes a descriptor that somebody else vouched for
// (internal/trust), and from there on no symlink is followed: it is for a process that has more rights than whoever
// may write the directory. Either way nothing here waits for somebody else's FIFO, and what should be a FIFO, a
// regular file or a directory is used only after its descriptor has shown that it is one.
package wire

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Version is a release of s6, for what differs between them.
type Version [4]int

// Default is the release whose ways are kept where nobody asks for others: Debian 12's, and that of s6-overlay 3.1.
var Default = Version{2, 11, 3, 2}

// ParseVersion reads a version such as 2.11.3.2. What is left out at the end counts as 0.
func ParseVersion(s string) (Version, error) {
	var v Version
	parts := strings.Split(s, ".")
	if len(parts) > len(v) {
		return v, fmt.Errorf("cannot read the version %q of s6: it has more than %d numbers", s, len(v))
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 16)
		if err != nil {
			return Version{}, fmt.Errorf("cannot read the version %q of s6: %q is no number", s, part)
		}
		v[i] = int(n)
	}
	return v, nil
}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d.%d", v[0], v[1], v[2], v[3]) }

// AtLeast tells whether v is that release or a later one; numbers left out count as 0.
func (v Version) AtLeast(numbers ...int) bool {
	for i, n := range v {
		least := 0
		if i < len(numbers) {
			least = numbers[i]
		}
		if n != least {
			return n > least
		}
	}
	return true
}

// A Dir is a service directory or a scan directory.
type Dir struct {
	f *os.File
	// follow is set where symlinks in it may lead anywhere, as for s6's own tools.
	follow bool
}

// Open opens the directory at path, by the rights of the caller and through any symlink, as s6's tools do: what it
// says is no more trustworthy than whoever may write there. The directory need not be readable, only searchable.
func Open(path string) (*Dir, error) {
	fd, err := openat(unix.AT_FDCWD, path, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", path, err)
	}
	return &Dir{f: os.NewFile(uintptr(fd), path), follow: true}, nil
}

// In takes an open directory, by O_PATH or for reading, which Close will close. From it no symlink is followed.
func In(f *os.File) *Dir { return &Dir{f: f} }

// Path is what the directory was called when it was opened.
func (d *Dir) Path() string { return d.f.Name() }

// Close closes the directory.
func (d *Dir) Close() error { return d.f.Close() }

// Sub opens a directory in d, such as log, under the same rules as d. Its name has no "/".
func (d *Dir) Sub(name string) (*Dir, error) {
	fd, err := d.openat(name, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, d.failure("open", name, err)
	}
	return &Dir{f: os.NewFile(uintptr(fd), d.path(name)), follow: d.follow}, nil
}

// Stat tells what is called name in the directory. The error is a bare cause.
func (d *Dir) Stat(name string) (unix.Stat_t, error) {
	var st unix.Stat_t
	flags := 0
	if !d.follow {
		flags = unix.AT_SYMLINK_NOFOLLOW
	}
	err := retry(func() error { return unix.Fstatat(d.fd(), name, &st, flags) })
	return st, err
}

// File is the directory itself, which stays d's to close.
func (d *Dir) File() *os.File { return d.f }

// Descriptor is the directory's, as long as it is open.
func (d *Dir) Descriptor() int { return d.fd() }

func (d *Dir) fd() int                 { return int(d.f.Fd()) }
func (d *Dir) path(name string) string { return d.f.Name() + "/" + name }

func (d *Dir) failure(verb, name string, err error) error {
	return fmt.Errorf("cannot %s %s: %w", verb, d.path(name), err)
}

// openat opens what is called name in d; there is no "/" in it, as only the last step of a path is kept from following.
func (d *Dir) openat(name string, flags int, mode uint32) (int, error) {
	if !d.follow {
		flags |= unix.O_NOFOLLOW
	}
	return openat(d.fd(), name, flags, mode)
}

// open opens a file of the given type, one of unix.S_IF…, without waiting for anybody.
func (d *Dir) open(name string, flags int, mode, format uint32) (*os.File, error) {
	fd, err := d.openFD(name, flags, mode, format)
	if err != nil {
		return nil, err
	}
	if format == unix.S_IFREG { // os.File would give a regular file to the poller otherwise
		_ = unix.SetNonblock(fd, false)
	}
	return os.NewFile(uintptr(fd), d.path(name)), nil
}

// openFD is open, for a descriptor that does not block.
func (d *Dir) openFD(name string, flags int, mode, format uint32) (int, error) {
	fd, err := d.openat(name, flags|unix.O_NONBLOCK|unix.O_NOCTTY, mode)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	switch {
	case err != nil:
	case st.Mode&unix.S_IFMT == unix.S_IFDIR && format == unix.S_IFREG:
		err = unix.EISDIR // as from reading it
	case st.Mode&unix.S_IFMT != format:
		err = wrongType(format)
	case flags&unix.O_ACCMODE != unix.O_RDONLY && st.Nlink > 1:
		// Whoever may write the directory may have linked somebody else's file into it, or his control FIFO.
		err = typeError("it has other names, too")
	default:
		return fd, nil
	}
	_ = unix.Close(fd)
	return -1, err
}

// read reads a regular file, no more than limit bytes of it. The error is a bare cause.
func (d *Dir) read(name string, limit int) ([]byte, error) {
	f, err := d.open(name, unix.O_RDONLY, 0, unix.S_IFREG)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(limit)))
}

// replace puts a new file in the place of name, by way of name.new as s6 does, so that readers see the old one or the
// new one. The mode is 0666 without the umask, as s6 has it. The error is a bare cause.
func (d *Dir) replace(name string, data []byte) error {
	interim := name + ".new"
	// What lies there is a dead writer's, or was put there by somebody: it is not written through.
	if err := unix.Unlinkat(d.fd(), interim, 0); err != nil && err != unix.ENOENT {
		return err
	}
	fd, err := openat(d.fd(), interim, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o666)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), d.path(interim))
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = unix.Renameat(d.fd(), interim, d.fd(), name)
	}
	if err != nil {
		_ = unix.Unlinkat(d.fd(), interim, 0)
	}
	return err
}

// typeError says that something is not what its name promises.
type typeError string

func (e typeError) Error() string { return string(e) }

func wrongType(format uint32) error {
	switch format {
	case unix.S_IFIFO:
		return typeError("it is not a FIFO")
	case unix.S_IFREG:
		return typeError("it is not a regular file")
	}
	return typeError("it is not a directory")
}

func openat(dir int, name string, flags int, mode uint32) (int, error) {
	fd := -1
	err := retry(func() (err error) {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, mode)
		return err
	})
	return fd, err
}

// retry repeats what a signal interrupted, as happens on network and FUSE file systems.
func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

func write(fd int, text string) (n int, err error) {
	err = retry(func() error { n, err = unix.Write(fd, []byte(text)); return err })
	return n, err
}
