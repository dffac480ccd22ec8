package prepare

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"pintle/internal/trust"
	"pintle/internal/unit"
)

// file writes a file, where there is nothing of that name: a symlink to nowhere is
// something, and somebody's.
func (j *job) file(f unit.PreparedFile) error {
	to, err := j.owner(f.Owner)
	if err != nil {
		return err
	}
	var content []byte
	if f.FromEnvironment != "" {
		value := variable(j.o.Environ, f.FromEnvironment)
		if value == "" {
			return nil
		}
		content = []byte(value)
	}
	dir, err := trust.Reach(filepath.Dir(f.Path), j.o.UID, func(parent int, name, _ string, _ bool) error {
		return j.parent(parent, name)
	})
	if err != nil {
		return err
	}
	defer dir.Close()
	in, name := int(dir.Fd()), filepath.Base(f.Path)
	var st unix.Stat_t
	if err := unix.Fstatat(in, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != unix.ENOENT {
		return err
	}
	if f.FromEnvironment == "" {
		if content, err = trust.ReadFile(f.Copy, j.o.UID); err != nil {
			return wrong{err}
		}
	}
	s := seed{in, name, content, f.Mode, to}
	placed, err := s.unnamed()
	if !placed && err == nil {
		err = s.named()
	}
	if err != nil {
		return err
	}
	// A crash of the machine should not lose it. Where the directory can't be read this can't be had.
	if open, err := unix.Openat(in, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
		_ = unix.Fsync(open)
		_ = unix.Close(open)
	}
	return nil
}

// variable is the value of an environment variable; empty is as good as unset.
func variable(environ []string, name string) string {
	for _, pair := range environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value // the first of two counts, as in os.Getenv
		}
	}
	return ""
}

// seed is a file that gets its name when it is whole, and only where the name is free:
// so a crash leaves all of it or nothing, and nothing is written over.
type seed struct {
	in      int
	name    string
	content []byte
	mode    uint32
	to      *owner
}

// unnamed makes the file without any name first (O_TMPFILE), so that nobody can
// reach it before it is whole. It is not placed where the file system has no such
// files, or there is no /proc to name one by.
func (s *seed) unnamed() (placed bool, err error) {
	fd, err := unix.Openat(s.in, ".", unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return false, nil
	}
	f := os.NewFile(uintptr(fd), s.name)
	defer f.Close()
	if err := s.fill(f); err != nil {
		return false, err
	}
	err = unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), s.in, s.name, unix.AT_SYMLINK_FOLLOW)
	return err == nil || err == unix.EEXIST, nil
}

// named makes the file under another name first. Whoever owns the directory can put
// something of his own there in the meantime, and has then seeded himself.
func (s *seed) named() error {
	temporary := "." + s.name + ".pintle-new"
	if err := unix.Unlinkat(s.in, temporary, 0); err != nil && err != unix.ENOENT { // of a crash
		return err
	}
	fd, err := unix.Openat(s.in, temporary, unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), s.name)
	defer f.Close()
	if err = s.fill(f); err == nil {
		err = unix.Renameat2(s.in, temporary, s.in, s.name, unix.RENAME_NOREPLACE)
		if err == unix.EINVAL || err == unix.ENOSYS { // NFS, and old kernels
			err = unix.Linkat(s.in, temporary, s.in, s.name, 0)
		}
	}
	_ = unix.Unlinkat(s.in, temporary, 0) // unless it was renamed
	if err == unix.EEXIST {
		return nil
	}
	return err
}

func (s *seed) fill(f *os.File) error {
	if _, err := f.Write(s.content); err != nil {
		return err
	}
	if err := unix.Fchmod(int(f.Fd()), s.mode); err != nil {
		return err
	}
	if s.to != nil {
		if err := unix.Fchown(int(f.Fd()), s.to.uid, s.to.gid); err != nil {
			return fmt.Errorf("it can't be given to %d:%d: %w", s.to.uid, s.to.gid, err)
		}
	}
	return f.Sync()
}
