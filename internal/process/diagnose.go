package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// diagnose says in words why a command could not be executed: the kernel's one
// number stands for several causes. It looks with the rights of the process that
// calls it, which must be those that the attempt was made with.
func diagnose(c Command, err error) *ExecError {
	path := c.Path
	if c.Dir != "" && !filepath.IsAbs(path) {
		path = filepath.Join(c.Dir, path)
	}
	what := fmt.Sprintf("cannot execute %s", path)
	if c.Dir != "" {
		if cause := usable(c.Dir); cause != nil {
			return execError(126, "%s: its working directory %w", what, cause)
		}
	}
	switch {
	case errors.Is(err, unix.E2BIG):
		return execError(126, "%s: its arguments and environment together are too long", what)
	case errors.Is(err, unix.EAGAIN):
		return execError(126, "%s: the limit of processes is reached (pids of the container's cgroup, or RLIMIT_NPROC)", what)
	}
	info, statErr := os.Stat(path)
	switch {
	case errors.Is(statErr, fs.ErrNotExist):
		return execError(127, "%s: there is no such file", what)
	case errors.Is(statErr, fs.ErrPermission):
		return execError(126, "%s: permission denied for a directory on the way to it%s", what, c.forWhom())
	case errors.Is(err, unix.ENOENT):
		return execError(127, "%s: its interpreter (the #! line or the dynamic loader) is not there", what)
	case statErr == nil && info.IsDir():
		return execError(126, "%s: it is a directory", what)
	case errors.Is(err, unix.EACCES):
		return execError(126, "%s: %s%s", what, denied(path, info), c.forWhom())
	case errors.Is(err, unix.ENOEXEC):
		return execError(126, "%s: it is neither a program for this machine nor a script with a #! line", what)
	}
	return execError(126, "%s: %w", what, err)
}

// usable says why a directory can't be a working directory, as the rest of a sentence that begins with the directory.
func usable(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return fmt.Errorf("is not usable: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("is not usable: %s: %w", dir, err)
	}
	return nil
}

// denied says why a file that can be seen must not be executed.
func denied(path string, info os.FileInfo) string {
	var mounted unix.Statfs_t
	switch {
	case info == nil:
	case !info.Mode().IsRegular():
		return "it is not a regular file"
	case unix.Statfs(path, &mounted) == nil && mounted.Flags&unix.ST_NOEXEC != 0:
		return "its file system is mounted noexec"
	case unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS) != nil:
		return fmt.Sprintf("its mode %04o does not allow it", info.Mode().Perm())
	}
	return "permission denied for it or for its interpreter"
}

// forWhom names the user that the attempt was made as, where that is not pintle's own.
func (c *Command) forWhom() string {
	if c.Identity == nil {
		return ""
	}
	return fmt.Sprintf(" (user %s, uid %d)", c.Identity.Name, c.Identity.UID)
}
