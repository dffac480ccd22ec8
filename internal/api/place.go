package api

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// The environment's words about the socket.
const (
	// runtimeDirVariable names the run-time directory, for the server and for clients.
	runtimeDirVariable = "PINTLE_RUNTIME_DIR"
	// socketVariable names the socket to a client, which then asks no further who serves it.
	socketVariable = "PINTLE_SOCKET"
)

// places is where the run-time directory may be: where the environment says and
// nowhere else, or else one of candidates, or else one of the usual three. The
// last of these is writable in nearly every container, also on a read-only root.
func places(getenv func(string) string, candidates []string) ([]string, error) {
	if dir := getenv(runtimeDirVariable); dir != "" {
		if !filepath.IsAbs(dir) {
			return nil, fmt.Errorf("%s is %q, which is no absolute path", runtimeDirVariable, dir)
		}
		return []string{filepath.Clean(dir)}, nil
	}
	if candidates == nil {
		candidates = []string{"/run/pintle", "/tmp/pintle", "/dev/shm/pintle"}
	}
	return candidates, nil
}

// inDir is a path for name in the open directory dir, for calls that cannot
// start from a directory. It stays right when somebody moves the directory
// away, and is never too long for a socket's address.
func inDir(dir *os.File, name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name)
}

// visit opens a run-time directory that somebody else has made, whose socket may
// be trusted as far as its owner: nobody but he and root can have put it there.
// (Group 0 is root's; package trust says why it may write.)
func visit(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch err {
	case nil:
	case unix.ENOTDIR, unix.ELOOP:
		return nil, fmt.Errorf("cannot trust %s: it is a symlink or no directory", path)
	default:
		return nil, fmt.Errorf("cannot open %s: %w", path, err)
	}
	dir := os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	switch {
	case err != nil:
	case !trusted(st.Uid):
		err = fmt.Errorf("it belongs to uid %d, who is neither root nor you nor the user of PID 1", st.Uid)
	case st.Mode&0o002 != 0, st.Mode&0o020 != 0 && st.Gid != 0:
		err = errors.New("others may write it")
	}
	if err != nil {
		dir.Close()
		return nil, fmt.Errorf("cannot trust %s: %w", path, err)
	}
	return dir, nil
}

// isSelf tells whether uid is the caller's.
func isSelf(uid uint32) bool { return int64(uid) == int64(os.Geteuid()) }
