// Package trust opens what pintle may believe: configuration, and the
// directories that it keeps its own state in.
//
// It promises that what ReadFile and ReadDir return could have been put there
// or changed by nobody but root and the uid that pintle runs as, all the way up
// the path, and that a directory from OpenDir can be changed by nobody but that
// uid and root, wherever it lies. What may be anybody's is opened by the functions
// whose names end with Foreign; they promise only that it is what the path names: no
// symlink leads to it that somebody else could have put there. A path is walked from "/" one component at a
// time; each is judged by the descriptor that the next step starts from, so there
// is no moment between looking and using. What does not pass is refused with an
// error that names the component and the rule, and is never repaired.
//
// The rule for a component: it belongs to root or to pintle's uid, and nobody
// else may write it. Three things follow the field's custom:
//
//   - A group-writable component passes where the group is 0, as sudo has it: files
//     copied into an image keep the mode 0664 of their author's umask, and whoever is
//     in root's group was put there by root.
//   - Access lists (acl(5)) need no look of their own, since the group bits of the
//     mode are the most that any entry but the owner's and the others' grants. Only
//     for group 0, where those bits are let pass, there must be no list at all.
//   - A sticky directory that everybody may write (/tmp) passes on the way to a
//     directory: nobody can rename another's directory in it or move one into it. It
//     does not pass as the place of a file or a symlink, because a file of root's can
//     be moved into it from elsewhere and a symlink can be anybody's.
//
// It does not look at mounts, capabilities or NFSv4 access lists, and a uid that the
// user namespace does not map is a stranger.
package trust

import (
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// MaxFile is the size in bytes of the largest file that ReadFile reads.
const MaxFile = 1 << 20

// ReadFile reads a regular file of at most MaxFile bytes that nobody but root
// and uid self could have put there or changed. Symlinks are followed where only
// those two could have made them.
func ReadFile(path string, self int) ([]byte, error) {
	at, err := walker{path: path, self: self}.walk()
	if err != nil {
		return nil, err
	}
	defer at.close()
	if fault := at.fault(self); fault != "" {
		return nil, distrust(path, at.path, fault)
	}
	// Only now is it opened for reading, so that a FIFO or a device is never touched.
	if !at.is(unix.S_IFREG) {
		return nil, fmt.Errorf("cannot read %s: it is not a regular file", path)
	}
	f, err := at.open(unix.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	if len(data) > MaxFile {
		return nil, fmt.Errorf("cannot read %s: it is larger than %d bytes", path, MaxFile)
	}
	return data, nil
}

// ReadDir lists, sorted, the names in a directory that nobody but root and uid
// self could have put there or added to. A missing directory is fs.ErrNotExist.
// The files in it are not judged: that is for ReadFile.
func ReadDir(path string, self int) ([]string, error) {
	at, err := walker{path: path, self: self}.walk()
	if err != nil {
		return nil, err
	}
	defer at.close()
	if fault := at.dirFault(self); fault != "" {
		return nil, distrust(path, at.path, fault)
	}
	f, err := at.open(unix.O_RDONLY | unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	slices.Sort(names)
	return names, nil
}

// OpenDir opens a directory for keeping state in, and makes its last component
// with mode perm (less the umask) when there is none. The directory must belong to
// uid self and be writable by nobody else. Its parents may be anybody's, such as a
// volume that a service's user owns; from the first such parent on, no symlink is
// followed. That parent's owner can still rename or hide the directory, but neither
// change what is in it nor put another's, or his own, in its place.
//
// The file is the directory itself, whatever happens to its path later: work
// relative to it.
func OpenDir(path string, self int, perm os.FileMode) (*os.File, error) {
	at, err := walker{path: path, self: self, own: true, perm: perm}.walk()
	if err != nil {
		return nil, err
	}
	defer at.close()
	return at.openOwn(path, self)
}

// OpenDirIn is OpenDir for the directory called name (one component) in parent,
// which itself came from OpenDir.
func OpenDirIn(parent *os.File, name string, self int, perm os.FileMode) (*os.File, error) {
	in, err := held(parent)
	if err != nil {
		return nil, err
	}
	defer in.close()
	at, err := in.enterOrMake(name, perm)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", in.child(name), err)
	}
	defer at.close()
	return at.openOwn(at.path, self)
}

// distrust is the error that path is refused because of one of its components.
func distrust(path, component, fault string) error {
	return fmt.Errorf("cannot trust %s: %s %s", path, component, fault)
}
