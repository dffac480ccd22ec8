package wire

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Identity is what a directory is known by, whatever its names.
type Identity struct{ Dev, Ino uint64 }

// Entry is a service directory as s6-svscan finds it in a scan directory.
type Entry struct {
	Name string
	// ID is what makes it one service under two names.
	ID Identity
	// Log is set where the service has a logger: a directory log.
	Log bool
}

// CatchAll is the name of the service that s6-svscan takes for a logger of everything. It has no logger of its own.
const CatchAll = "s6-svscan-log"

// maxEntries is how many names a scan directory may have.
const maxEntries = 1 << 16

// maxName is how long a service's name may be, by default.
const maxName = 251

// Scan lists the services of a scan directory, in the order of the directory, and what s6-svscan would warn of. A name
// that begins with a dot is none, nor is what is no directory. Of two names of one directory the first counts. Where
// something could not be looked at, again is set: s6-svscan looks again after some seconds. It is an error where there are more
// than 65536 names. Symlinks in a directory of
// In are followed here, as only the type and identity of what they lead to is asked; to open one is In's owner's affair.
func (d *Dir) Scan(v Version) (entries []Entry, warnings []string, again bool, err error) {
	fd, err := openat(d.fd(), ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, nil, false, fmt.Errorf("cannot scan %s: %w", d.Path(), err)
	}
	list := os.NewFile(uintptr(fd), d.Path())
	defer list.Close()
	seen := map[Identity]bool{}
	for found := 0; ; {
		names, err := list.Readdirnames(256)
		if found += len(names); found > maxEntries {
			return nil, nil, false, fmt.Errorf("cannot scan %s: there are more than %d names in it", d.Path(), maxEntries)
		}
		for _, name := range names {
			if name[0] == '.' {
				continue
			}
			if v.AtLeast(2, 12) && len(name) > maxName {
				warnings = append(warnings, "name too long - not spawning service: "+name)
				continue
			}
			entry, ok, err := d.entry(name)
			if err != nil {
				warnings, again = append(warnings, err.Error()), true
				continue
			}
			if ok && !seen[entry.ID] {
				seen[entry.ID] = true
				entries = append(entries, entry)
			}
		}
		if err == io.EOF {
			return entries, warnings, again, nil
		}
		if err != nil {
			return nil, nil, false, fmt.Errorf("cannot scan %s: %w", d.Path(), err)
		}
	}
}

func (d *Dir) entry(name string) (Entry, bool, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstatat(d.fd(), name, &st, 0) }); err != nil {
		return Entry{}, false, fmt.Errorf("unable to stat %s: %s", name, Text(err))
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return Entry{}, false, nil
	}
	entry := Entry{Name: name, ID: Identity{st.Dev, st.Ino}}
	if name == CatchAll {
		return entry, true, nil
	}
	log := name + "/log"
	switch err := retry(func() error { return unix.Fstatat(d.fd(), log, &st, 0) }); err {
	case nil:
		entry.Log = st.Mode&unix.S_IFMT == unix.S_IFDIR
	case unix.ENOENT:
	default:
		return Entry{}, false, fmt.Errorf("unable to stat %s: %s", log, Text(err))
	}
	return entry, true, nil
}
