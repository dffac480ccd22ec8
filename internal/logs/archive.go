package logs

import (
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// archiveForm is the name of a file that was set aside: when that was, in UTC. Names in order are times in order.
const archiveForm = "2006-01-02T150405.000000Z.log"

// archived is the time that a name says, and whether it is one of ours: only such files are ever removed.
func archived(name string) (time.Time, bool) {
	if len(name) != len(archiveForm) {
		return time.Time{}, false
	}
	at, err := time.Parse(archiveForm, name)
	return at, err == nil && at.Format(archiveForm) == name
}

// prune removes the oldest of the files that were set aside, so that keep remain, and returns the newest one's name. It
// holds no more names than that, however many there are.
func prune(dir, keep int) (newest string, err error) {
	fd, err := openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	list := os.NewFile(uintptr(fd), ".")
	defer list.Close()
	var kept []string // sorted
	for {
		const some = 256
		names, err := list.Readdirnames(some)
		for _, name := range names {
			if _, ok := archived(name); !ok {
				continue
			}
			newest = max(newest, name)
			i, again := slices.BinarySearch(kept, name)
			if !again {
				kept = slices.Insert(kept, i, name)
			}
			if len(kept) > keep {
				_ = unix.Unlinkat(dir, kept[0], 0) // where it can't be, that is no reason not to go on
				kept = kept[1:]
			}
		}
		if errors.Is(err, io.EOF) {
			return newest, nil
		}
		if err != nil {
			return "", bare(err)
		}
	}
}
