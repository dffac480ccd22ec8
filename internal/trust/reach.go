package trust

import (
	"os"

	"golang.org/x/sys/unix"
)

// Maker makes the directory name in parent, which is open with O_PATH; path is the
// new directory's, and last is set for the one that Reach goes to. That it is there by
// now is no error.
type Maker func(parent int, name, path string, last bool) error

// Reach goes to a directory that may be anybody's, on a path that may lead through
// anybody's directories: where OpenDir vouches for what it returns, Reach only
// vouches for the way. From the first directory on that others may change, no symlink
// is followed, nor "..". What is missing is made by mk, and then entered like
// everything else. The file is open with O_PATH.
//
// The error is a bare cause, for a sentence that names path.
func Reach(path string, self int, mk Maker) (*os.File, error) {
	at, err := walker{path: path, self: self, own: true, mk: mk}.descend()
	if err != nil {
		return nil, err
	}
	if !at.is(unix.S_IFDIR) {
		at.close()
		return nil, unix.ENOTDIR
	}
	return os.NewFile(uintptr(at.fd), at.path), nil
}

// Stat tells what is at path, where only root and uid self could have put it there.
// Who may write it makes no difference. The error is a bare cause.
func Stat(path string, self int) (unix.Stat_t, error) {
	at, err := walker{path: path, self: self}.descend()
	if err != nil {
		return unix.Stat_t{}, err
	}
	defer at.close()
	return at.stat, nil
}
