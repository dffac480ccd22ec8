package api

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Lookup turns the names of users and groups into ids, by the files of
// passwd(5) and group(5). The files are read at each question, so that an
// account made or changed while the container runs counts at once. (os/user
// would do, but keeps the current user for good, and believes $USER about him.)
type Lookup struct {
	// Passwd and Group are the files' paths; empty means those in /etc.
	Passwd, Group string
}

// UID is the id of a user; a decimal number is an id already.
func (l Lookup) UID(name string) (uint32, error) {
	return lookup("user", name, l.Passwd, "/etc/passwd")
}

// GID is the id of a group; a decimal number is an id already.
func (l Lookup) GID(name string) (uint32, error) {
	return lookup("group", name, l.Group, "/etc/group")
}

// lookup finds the third field of the first line whose first field is name,
// which is where both files have the id.
func lookup(kind, name, path, otherwise string) (uint32, error) {
	if id, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(id), nil
	}
	if path == "" {
		path = otherwise
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("cannot find %s %s: %w", kind, name, err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20) // a line of /etc/group holds all members
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) < 3 || fields[0] != name {
			continue
		}
		id, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil {
			return 0, fmt.Errorf("cannot find %s %s: %s has the id %q for it", kind, name, path, fields[2])
		}
		return uint32(id), nil
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("cannot find %s %s: cannot read %s: %w", kind, name, path, err)
	}
	return 0, fmt.Errorf("cannot find %s %s: it is not in %s", kind, name, path)
}
