package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"pintle/internal/process/step"
)

// ReadFileAs reads a file with the rights of an identity alone: its user, its
// group and its supplementary groups. So what that user lays there, a symlink
// above all, can show nothing that he could not read himself. For pintle's own
// user it is a plain read.
//
// Only a regular file is read, of at most limit bytes, and it is never waited for
// (open(2), O_NONBLOCK). For another user a path that leads through /proc is
// refused: what it means there depends on who asks, and it is pintle that asks.
func ReadFileAs(id *Identity, path string, limit int) ([]byte, error) {
	as := ""
	if !id.isPintles() {
		as = fmt.Sprintf(" as user %s (uid %d)", id.Name, id.UID)
	}
	data, err := readFileAs(id, path, limit)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s%s: %w", path, as, err)
	}
	return data, nil
}

// isPintles tells whether files are the identity's as they are pintle's: it is nobody else's, or the same user's.
func (id *Identity) isPintles() bool { return id == nil || id.UID == os.Geteuid() }

func readFileAs(id *Identity, path string, limit int) ([]byte, error) {
	if !filepath.IsAbs(path) {
		return nil, errors.New("the path is not absolute")
	}
	open := openToRead
	if !id.isPintles() {
		open = id.openToRead
	}
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, bare(err)
	case info.IsDir():
		return nil, errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return nil, errNotRegular
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("it is longer than %d bytes", limit)
	}
	if err != nil {
		return nil, bare(err)
	}
	return data, nil
}

var errNotRegular = errors.New("it is not a regular file")

// bare is the cause without the path, which the sentence has already.
func bare(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

// openToRead opens a file with pintle's own rights.
func openToRead(path string) (*os.File, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, bare(err)
	case !info.IsDir() && !info.Mode().IsRegular():
		return nil, errNotRegular
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	return f, bare(err)
}

// openToRead opens a file with the identity's rights. Reading from it needs none.
func (id *Identity) openToRead(path string) (f *os.File, err error) {
	if err := CanSwitch(); err != nil {
		return nil, err
	}
	onOwnThread(func() {
		if err = id.seeFiles(); err == nil {
			f, err = openStepwise(path)
		}
	})
	return f, err
}

// onOwnThread does something on a thread that is thrown away after it, however it
// was changed: it ends with a goroutine that is locked to it.
func onOwnThread(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The main thread would not end but wait for ever, and be what /proc shows of pintle. Held here, it is not the next one.
			onOwnThread(do)
			runtime.UnlockOSThread()
			return
		}
		do()
	}()
	<-done
}

// seeFiles gives this thread the identity's rights to files, and no others.
func (id *Identity) seeFiles() error {
	if err := step.SetGroups(id.user().Groups); err != nil {
		return fmt.Errorf("cannot set its groups: %w", err)
	}
	if err := setFileIDs(id.UID, id.GID); err != nil {
		return err
	}
	// The kernel has taken those away that are for files, unless it was told not to (SECBIT_NO_SETUID_FIXUP).
	if err := (capabilities{}).take(); err != nil {
		return fmt.Errorf("cannot drop pintle's capabilities: %w", err)
	}
	return nil
}

// maxLinks is how many symlinks a path may lead through: the kernel's own limit (path_resolution(7)).
const maxLinks = 40

// openStepwise opens a file to read, one component of its path after the other, as
// the kernel would, but that it goes nowhere in /proc. There the kernel gives a
// process more of itself than its file modes say: /proc/self/fd/N opens what
// pintle has open, however it got there.
//
// openat2(2) with RESOLVE_NO_MAGICLINKS would do that too, but it is younger than
// kernels that containers run on, and than seccomp profiles that do not let it through.
func openStepwise(path string) (*os.File, error) {
	at, err := openDirectory(unix.AT_FDCWD, "/")
	if err != nil {
		return nil, err
	}
	defer func() { unix.Close(at) }()
	rest := path
	for links := 0; ; {
		name, after, more := strings.Cut(strings.TrimLeft(rest, "/"), "/")
		if name == "" {
			name = "." // the path ends with a slash, so it is a directory
		}
		var st unix.Stat_t
		if err := unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return nil, err
		}
		switch kind := st.Mode & unix.S_IFMT; {
		case kind == unix.S_IFLNK:
			if links++; links > maxLinks {
				return nil, unix.ELOOP
			}
			target, err := readLink(at, name)
			if err != nil {
				return nil, err
			}
			if rest = target; more {
				rest += "/" + after
			}
			if !strings.HasPrefix(target, "/") {
				continue
			}
			name = "/"
		case more:
			rest = after
		case kind == unix.S_IFREG || kind == unix.S_IFDIR:
			return openLast(at, name)
		default:
			return nil, errNotRegular // for a device, even to be opened can mean something
		}
		next, err := openDirectory(at, name)
		if err != nil {
			return nil, err
		}
		unix.Close(at)
		at = next
	}
}

// openDirectory opens a directory to look into, unless it is one of /proc.
func openDirectory(at int, name string) (int, error) {
	fd, err := unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := notProc(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// openLast opens the end of a path, which is no symlink, to read.
func openLast(at int, name string) (*os.File, error) {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := notProc(fd); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// notProc refuses a file of /proc, wherever that is mounted.
func notProc(fd int) error {
	var mounted unix.Statfs_t
	if err := unix.Fstatfs(fd, &mounted); err != nil {
		return err
	}
	if mounted.Type == unix.PROC_SUPER_MAGIC {
		return errors.New("its path leads through /proc")
	}
	return nil
}

// readLink is what a symlink points to.
func readLink(at int, name string) (string, error) {
	var target [unix.PathMax]byte
	n, err := unix.Readlinkat(at, name, target[:])
	if err != nil {
		return "", err
	}
	return string(target[:n]), nil
}
