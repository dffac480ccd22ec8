package trust

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symlinks a path may lead through: the kernel's own limit (path_resolution(7)).
const maxLinks = 40

// walker says how a path is walked.
type walker struct {
	// path is as the caller has it, for errors too.
	path string
	self int

	// own is set where the last component vouches for itself, being self's own
	// directory, or where nobody has to vouch for it: then parents may be anybody's. The
	// last component is made with mode perm when it is missing, unless that is zero.
	own  bool
	perm os.FileMode
	// mk makes what is missing; nil where nothing but the last component may be.
	mk Maker
	// file is set where the last component may be somebody else's file.
	file bool
}

// refusal is a cause that is no failure of the system but a rule of this package.
type refusal string

func (r refusal) Error() string { return string(r) }

// walk goes from "/" to the end of the path, and judges every directory that it goes
// through. The last component, which is never a symlink, is for the caller to judge,
// and to close.
func (w walker) walk() (*place, error) {
	at, err := w.descend()
	if _, ok := errors.AsType[refusal](err); ok {
		return nil, fmt.Errorf("cannot trust %s: %w", w.path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", w.path, err)
	}
	return at, nil
}

func (w walker) descend() (_ *place, err error) {
	rest, err := components(w.path)
	if err != nil {
		return nil, err
	}
	at, err := slash()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			at.close()
		}
	}()
	// foreign is the first directory on the way that others may change, and why:
	// a name beneath it stands for whatever they like.
	foreign := ""
	for links := 0; len(rest) > 0; {
		if fault := at.fault(w.self); fault != "" && foreign == "" {
			foreign = at.path + " " + fault
		}
		next, err := w.step(at, rest[0], len(rest) == 1, foreign)
		if err != nil {
			return nil, err
		}
		rest = rest[1:]
		if next.is(unix.S_IFLNK) {
			target, err := next.target()
			next.close()
			if links++; err == nil && links > maxLinks {
				err = unix.ELOOP
			}
			if err != nil {
				return nil, w.failure(next.path, err)
			}
			rest = append(split(target), rest...)
			next = at
			if filepath.IsAbs(target) {
				if next, err = slash(); err != nil {
					return nil, err
				}
			}
		}
		if next != at {
			at.close()
			at = next
		}
	}
	return at, nil
}

// step enters what is called name in at, where the rule allows that.
func (w walker) step(at *place, name string, last bool, foreign string) (next *place, err error) {
	switch {
	case foreign != "" && !w.own:
		return nil, refusal(foreign)
	case foreign != "" && name == "..":
		return nil, refusal(`its ".." can lead anywhere: ` + foreign)
	case w.mk != nil:
		next, err = at.enter(name)
		if err == unix.ENOENT {
			if err = w.mk(at.fd, name, at.child(name), last); err == nil {
				next, err = at.enter(name)
			}
		}
	case w.perm != 0 && last:
		next, err = at.enterOrMake(name, w.perm)
	default:
		next, err = at.enter(name)
	}
	if err != nil {
		return nil, w.failure(at.child(name), err)
	}
	if foreign == "" && at.shared() { // a sticky directory
		foreign = at.path + " " + at.sharedFault()
	}
	if foreign == "" || next.is(unix.S_IFDIR) || w.file && last && !next.is(unix.S_IFLNK) {
		return next, nil
	}
	defer next.close()
	what := "file"
	if next.is(unix.S_IFLNK) {
		what = "symlink"
	}
	return nil, refusal(next.path + " is a " + what + " that others may have put there: " + foreign)
}

// failure names the component, where it is not the path itself.
func (w walker) failure(component string, err error) error {
	if component == w.path {
		return err
	}
	return fmt.Errorf("%s: %w", component, err)
}

// components are the steps from "/" to path, which is taken from the working
// directory when relative. ".." stays: only the walk knows what it leads to.
func components(path string) ([]string, error) {
	if path == "" {
		return nil, unix.ENOENT
	}
	if !filepath.IsAbs(path) {
		wd, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		path = wd + "/" + path
	}
	return split(path), nil
}

func split(path string) []string {
	var steps []string
	for step := range strings.SplitSeq(path, "/") {
		if step != "" && step != "." {
			steps = append(steps, step)
		}
	}
	return steps
}
