// Package install gives a directory the tools of s6 by their own names, as links to pintle.
//
// It promises that nothing is replaced that is not pintle's, unless it is told to, and nothing at all where one name cannot
// be had; that a name is never missing in between, also not while a tool is being started; and that doing it twice is as
// doing it once.
package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"pintle/internal/s6/tools"
)

// Options say what to install, and where.
type Options struct {
	// Dir gets the links; it is made where it is missing.
	Dir string
	// Binary is pintle; empty for the running one.
	Binary string
	// Force replaces what is not pintle's.
	Force bool
}

// Result is what was done.
type Result struct {
	// Made are the names that were not links to pintle before, and Kept those that were.
	Made, Kept []string
}

// Install makes the links: hard ones, which are there also where pintle's own name is not, or symbolic ones where the
// directory is in another file system or the kernel refuses hard ones.
func Install(o Options) (Result, error) {
	var done Result
	binary, ours, err := find(o.Binary)
	if err != nil {
		return done, err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return done, fmt.Errorf("cannot make %s: %w", o.Dir, reason(err))
	}
	var missing []string
	var refusals []error
	for _, name := range tools.Names() {
		is, err := look(filepath.Join(o.Dir, name), ours, o.Force)
		switch {
		case err != nil:
			refusals = append(refusals, err)
		case is:
			done.Kept = append(done.Kept, name)
		default:
			missing = append(missing, name)
		}
	}
	if len(refusals) > 0 {
		return Result{}, errors.Join(refusals...)
	}
	for _, name := range missing {
		if err := link(binary, filepath.Join(o.Dir, name)); err != nil {
			return done, err
		}
		done.Made = append(done.Made, name)
	}
	return done, nil
}

// find is the binary's own path, without links, and what it is.
func find(binary string) (string, fs.FileInfo, error) {
	if binary == "" {
		self, err := os.Executable()
		if err != nil {
			return "", nil, fmt.Errorf("cannot find pintle's own file: %w", err)
		}
		binary = self
	}
	path, err := filepath.EvalSymlinks(binary)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", nil, fmt.Errorf("cannot find %s: %w", binary, reason(err))
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, fmt.Errorf("cannot find %s: %w", path, reason(err))
	}
	return path, info, nil
}

// errForeign is the cause where something is in the way.
var errForeign = errors.New("it is not pintle's (--force replaces it)")

// look says whether path is a link to ours already. It is an error that it is something else.
func look(path string, ours fs.FileInfo, force bool) (is bool, err error) {
	there, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("cannot look at %s: %w", path, reason(err))
	case there.IsDir():
		return false, fmt.Errorf("cannot replace %s: it is a directory", path)
	}
	if info, err := os.Stat(path); err == nil && os.SameFile(info, ours) {
		return true, nil
	}
	if !force {
		return false, fmt.Errorf("cannot replace %s: %w", path, errForeign)
	}
	return false, nil
}

// link makes path a link to binary, in one step.
func link(binary, path string) error {
	for try := 0; ; try++ {
		temporary := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d.%d", filepath.Base(path), os.Getpid(), try))
		err := os.Link(binary, temporary)
		if notHere(err) {
			err = os.Symlink(binary, temporary)
		}
		if errors.Is(err, fs.ErrExist) { // of a process that had our number, perhaps in another container
			continue
		}
		if err == nil {
			if err = os.Rename(temporary, path); err != nil {
				_ = os.Remove(temporary) // the error that matters is the other one
			}
		}
		if err != nil {
			return fmt.Errorf("cannot link %s: %w", path, reason(err))
		}
		return nil
	}
}

// notHere tells that a hard link cannot be made there, but a symbolic one can.
func notHere(err error) bool {
	for _, number := range []syscall.Errno{syscall.EXDEV, syscall.EPERM, syscall.EACCES, syscall.EMLINK, syscall.ENOTSUP, syscall.ENOSYS} {
		if errors.Is(err, number) {
			return true
		}
	}
	return false
}

// reason is an error without the path and the call that the sentence names already.
func reason(err error) error {
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number
	}
	return err
}
