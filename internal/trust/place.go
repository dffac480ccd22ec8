package trust

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// place is one file or directory, held by an O_PATH descriptor: it can be judged
// and entered, but nothing has been opened yet, so nothing can block or have effects.
type place struct {
	fd int
	// path has no symlink in it.
	path string
	stat unix.Stat_t
}

// openPlace opens name relative to the directory dirfd, without following it.
func openPlace(dirfd int, name, path string) (*place, error) {
	p := &place{path: path}
	var err error
	for {
		p.fd, err = unix.Openat(dirfd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != unix.EINTR { // possible on network and FUSE file systems
			break
		}
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Fstat(p.fd, &p.stat); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func slash() (*place, error) { return openPlace(unix.AT_FDCWD, "/", "/") }

// held is the place of a directory that is open already.
func held(f *os.File) (*place, error) {
	p, err := openPlace(int(f.Fd()), ".", f.Name())
	runtime.KeepAlive(f)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", f.Name(), err)
	}
	return p, nil
}

// close has no error worth returning: nothing was written through the descriptor.
func (p *place) close() { _ = unix.Close(p.fd) }

// child is the path of what is called name in p.
func (p *place) child(name string) string { return filepath.Join(p.path, name) }

func (p *place) enter(name string) (*place, error) {
	return openPlace(p.fd, name, p.child(name))
}

// enterOrMake makes a directory where there is nothing of that name.
func (p *place) enterOrMake(name string, perm os.FileMode) (*place, error) {
	next, err := p.enter(name)
	if err != unix.ENOENT {
		return next, err
	}
	if err := unix.Mkdirat(p.fd, name, uint32(perm.Perm())); err != nil && err != unix.EEXIST {
		return nil, err
	}
	// A crash of the machine should not lose the new directory with what will be synced
	// into it. Where the parent may not be read this cannot be had, and is no reason to stop.
	if f, err := p.open(unix.O_RDONLY | unix.O_DIRECTORY); err == nil {
		_ = f.Sync()
		_ = f.Close()
	}
	return p.enter(name)
}

// is tells whether the place is of a type, one of unix.S_IF….
func (p *place) is(format uint32) bool { return p.stat.Mode&unix.S_IFMT == format }

// proc is a path that leads to the place itself, whatever its own path leads to by now.
func (p *place) proc() string { return "/proc/self/fd/" + strconv.Itoa(p.fd) }

// open opens the place itself for use.
func (p *place) open(flags int) (*os.File, error) {
	fd, err := 0, error(nil)
	for {
		if p.is(unix.S_IFDIR) {
			fd, err = unix.Openat(p.fd, ".", flags|unix.O_CLOEXEC, 0)
		} else {
			fd, err = unix.Open(p.proc(), flags|unix.O_CLOEXEC, 0)
		}
		if err != unix.EINTR {
			break
		}
	}
	if err == unix.ENOENT { // not to be taken for a missing file, which it is not: it is held
		return nil, errors.New("there is no /proc/self/fd to open it by")
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), p.path), nil
}

// openOwn opens a directory that must be self's own; path is what the caller calls it.
func (p *place) openOwn(path string, self int) (*os.File, error) {
	if p.is(unix.S_IFLNK) {
		return nil, distrust(path, p.path, "is a symlink")
	}
	if p.stat.Uid != uint32(self) {
		return nil, distrust(path, p.path, fmt.Sprintf("belongs to uid %d, not to %s", p.stat.Uid, user(self)))
	}
	if fault := p.dirFault(self); fault != "" {
		return nil, distrust(path, p.path, fault)
	}
	f, err := p.open(unix.O_RDONLY | unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", path, err)
	}
	return f, nil
}

// target is where a symlink points to.
func (p *place) target() (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(p.fd, "", buf)
	if err != nil {
		return "", err
	}
	if n == len(buf) {
		return "", unix.ENAMETOOLONG
	}
	return string(buf[:n]), nil
}

// fault is why somebody else than root and self could change the file or replace
// the entries of the directory, as the end of a sentence; "" where nobody could.
func (p *place) fault(self int) string {
	if uid := p.stat.Uid; uid != 0 && uid != uint32(self) {
		owners := "root"
		if self != 0 {
			owners = "root or " + user(self)
		}
		return fmt.Sprintf("belongs to uid %d, not to %s", uid, owners)
	}
	if p.shared() && (!p.is(unix.S_IFDIR) || p.stat.Mode&unix.S_ISVTX == 0) {
		return p.sharedFault()
	}
	return ""
}

// dirFault is fault for a directory in which nobody else may even make new entries.
func (p *place) dirFault(self int) string {
	switch fault := p.fault(self); {
	case fault != "":
		return fault
	case !p.is(unix.S_IFDIR):
		return "is not a directory"
	case p.shared():
		return p.sharedFault()
	}
	return ""
}

// shared tells whether others than the owner may write: the package comment says which group may.
func (p *place) shared() bool {
	const group, others = 0o020, 0o002
	switch mode := p.stat.Mode; {
	case mode&others != 0:
		return true
	case mode&group == 0:
		return false
	}
	return p.stat.Gid != 0 || p.hasAccessList()
}

func (p *place) sharedFault() string {
	return fmt.Sprintf("is writable by others (mode %04o)", p.stat.Mode&0o7777)
}

// hasAccessList errs on the safe side.
func (p *place) hasAccessList() bool {
	_, err := unix.Getxattr(p.proc(), "system.posix_acl_access", nil)
	return err != unix.ENODATA && err != unix.EOPNOTSUPP
}

func user(uid int) string {
	if uid == 0 {
		return "root"
	}
	return "uid " + strconv.Itoa(uid)
}
