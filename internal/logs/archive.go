package logs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// archiveForm is the name of a file that was set aside: when that was, in UTC. Names in order are times in order. A file
// that was compressed has zipped behind it; while that is being made, it has hidden in front of it too.
const (
	archiveForm = "2006-01-02T150405.000000Z.log"
	zipped      = ".gz"
	hidden      = "."
)

// mostArchives bounds how many names of files that were set aside are held in memory: the newest.
const mostArchives = 1 << 16

// archived is the time that a name says, and whether it is that of a file that was set aside; compressed ones have
// zipped cut off.
func archived(name string) (time.Time, bool) {
	if len(name) != len(archiveForm) {
		return time.Time{}, false
	}
	at, err := time.Parse(archiveForm, name)
	return at, err == nil && at.Format(archiveForm) == name
}

// kindOf is the name that a file had when it was set aside, and what has become of it. Only files with such names are
// ever removed.
func kindOf(file string) (name string, gz, unfinished, ok bool) {
	name, gz = strings.CutSuffix(file, zipped)
	if gz {
		name, unfinished = strings.CutPrefix(name, hidden)
	}
	_, ok = archived(name)
	return name, gz, unfinished, ok
}

// shelf is what is in a directory of files that were set aside.
type shelf struct {
	names      []string // in order; of those that were compressed too
	newest     string
	unfinished []string
}

// shelve looks for the files that were set aside, and holds the newest most of them, and no more names than that however
// many there are. The older ones are given to drop, which may be nil.
func shelve(dir, most int, drop func(name string)) (s shelf, err error) {
	fd, err := openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return s, err
	}
	list := os.NewFile(uintptr(fd), ".")
	defer list.Close()
	for {
		const some = 256
		files, err := list.Readdirnames(some)
		for _, file := range files {
			name, _, unfinished, ok := kindOf(file)
			switch {
			case !ok:
				continue
			case unfinished:
				if len(s.unfinished) < some {
					s.unfinished = append(s.unfinished, file)
				}
				continue
			}
			s.newest = max(s.newest, name)
			i, again := slices.BinarySearch(s.names, name)
			if !again {
				s.names = slices.Insert(s.names, i, name)
			}
			if len(s.names) > most {
				if drop != nil {
					drop(s.names[0])
				}
				s.names = slices.Delete(s.names, 0, 1)
			}
		}
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return s, bare(err)
		}
	}
}

// prune removes the oldest of the files that were set aside, so that there is room for one more of size bytes, and
// returns the newest one's name.
func prune(dir int, r *File, size int64) (newest string, err error) {
	remove := func(name string) {
		// Where it can't be, that is no reason not to go on.
		_ = unix.Unlinkat(dir, name, 0)
		_ = unix.Unlinkat(dir, name+zipped, 0)
	}
	var s shelf
	switch {
	case r.Keep > 0:
		s, err = shelve(dir, r.Keep-1, remove)
	case r.Total > 0:
		s, err = shelve(dir, mostArchives, remove)
	default:
		s, err = shelve(dir, 1, nil)
	}
	if err != nil {
		return "", err
	}
	if !r.Compress { // else it may be one that is being made just now: who makes them removes what is left of others
		for _, file := range s.unfinished {
			_ = unix.Unlinkat(dir, file, 0)
		}
	}
	for i := len(s.names) - 1; i >= 0 && r.Total > 0; i-- {
		if size += sizeOf(dir, s.names[i]) + sizeOf(dir, s.names[i]+zipped); size <= r.Total {
			continue
		}
		for _, name := range s.names[:i+1] {
			remove(name)
		}
		break
	}
	return s.newest, nil
}

// sizeOf is a file's size; 0 where there is none.
func sizeOf(dir int, name string) int64 {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0
	}
	return st.Size
}

// setAside renames the file that has become large or old enough, and removes the oldest of those that were renamed.
func setAside(dir int, r *File, size int64, now time.Time) error {
	newest, err := prune(dir, r, size)
	if err != nil {
		return fmt.Errorf("cannot look for older files: %w", err)
	}
	at := following(newest, now)
	for range 1000 {
		err = renameTo(dir, at.Format(archiveForm))
		if err != unix.EEXIST {
			break
		}
		at = at.Add(time.Microsecond)
	}
	if err != nil && err != unix.ENOENT { // another container has just done it
		return fmt.Errorf("cannot rename it: %w", err)
	}
	return nil
}

// following is the time for the name of a file that is set aside now: later than that of the newest one, also when the
// clock was set back, or there are many a second.
func following(newest string, now time.Time) time.Time {
	at := now.UTC().Truncate(time.Microsecond)
	last, ok := archived(newest)
	if !ok || at.After(last) {
		return at
	}
	if next := last.Add(time.Microsecond); next.Year() <= 9999 { // else somebody has made one of that name
		return next
	}
	return at
}

// renameTo renames the file unless there is one of that name.
func renameTo(dir int, name string) error {
	err := unix.Renameat2(dir, currentName, dir, name, unix.RENAME_NOREPLACE)
	if err != unix.EINVAL && err != unix.ENOSYS { // the file system, or the kernel, does not know it
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != unix.ENOENT {
		if err == nil {
			err = unix.EEXIST
		}
		return err
	}
	return unix.Renameat(dir, currentName, dir, name)
}
