// Package account turns the names of users and groups into ids, by the files of
// passwd(5) and group(5).
//
// It promises that the files are read at each question, so that an account made
// or changed while the container runs counts at once, and that beside them only
// what was declared to it is believed: os/user would keep the current user for good,
// and takes $USER for a user who is in no file, which in a container anybody may have set.
//
// It knows no other source of accounts (NSS, LDAP): a static binary has none.
package account

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Database is where accounts are looked up. The zero value is /etc/passwd and /etc/group.
type Database struct {
	// Passwd and Group are the files' paths; empty means those in /etc.
	Passwd, Group string
	// Declared accounts come before what the files say of the same names.
	Declared []Declared
}

// User is one line of passwd(5).
type User struct {
	Name     string
	UID, GID int
	Home     string
}

// ErrNone is the cause of an error where there is no such user or group.
var ErrNone = errors.New("there is none")

// User finds a user by name; a decimal number is always a uid, never a name.
func (d Database) User(name string) (User, error) {
	if u, ok := d.declared(name); ok {
		return u.User, nil
	}
	_, byID := parseID(name)
	var found User
	err := each(d.Passwd, "/etc/passwd", 7, func(field []string) bool {
		if byID && field[2] != name || !byID && field[0] != name || d.named(field[0]) {
			return false
		}
		uid, ok := parseID(field[2])
		gid, ok2 := parseID(field[3])
		if !ok || !ok2 {
			return false // a broken line is no account
		}
		found = User{Name: field[0], UID: uid, GID: gid, Home: field[5]}
		return true
	})
	if err != nil {
		return User{}, fmt.Errorf("cannot find user %q: %w", name, err)
	}
	return found, nil
}

// UID is the id of a user; a decimal number is an id already.
func (d Database) UID(name string) (int, error) {
	if id, ok := parseID(name); ok {
		return id, nil
	}
	u, err := d.User(name)
	return u.UID, err
}

// GID is the id of a group; a decimal number is an id already.
func (d Database) GID(name string) (int, error) {
	if id, ok := parseID(name); ok {
		return id, nil
	}
	if gid, ok := d.ownGroup(name); ok {
		return gid, nil
	}
	gid := 0
	err := each(d.Group, "/etc/group", 4, func(field []string) (ok bool) {
		if field[0] == name {
			gid, ok = parseID(field[2])
		}
		return ok
	})
	if err != nil {
		return 0, fmt.Errorf("cannot find group %q: %w", name, err)
	}
	return gid, nil
}

// GroupsOf lists the groups that name is a member of, which does not include the
// primary one. An unreadable file has no members.
func (d Database) GroupsOf(name string) []int {
	var groups []int
	_ = each(d.Group, "/etc/group", 4, func(field []string) bool {
		gid, ok := d.ownGroup(field[0])
		if !ok {
			gid, ok = parseID(field[2])
		}
		if ok && slices.Contains(strings.Split(field[3], ","), name) {
			groups = append(groups, gid)
		}
		return false
	})
	if u, ok := d.declared(name); ok && u.Name == name {
		groups = append(groups, u.Joins...)
	}
	return groups
}

// each calls match with the fields of each line that has n of them, until it
// says that this was the one; ErrNone where it never did.
func each(path, otherwise string, n int, match func(field []string) bool) error {
	if path == "" {
		path = otherwise
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20) // a line of group(5) holds all members
	for lines.Scan() {
		if field := strings.Split(lines.Text(), ":"); len(field) >= n && match(field) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("cannot read %s: %w", path, err)
	}
	return fmt.Errorf("%w in %s", ErrNone, path)
}

// parseID takes a decimal id. The largest 32-bit number is left out: chown(2) and setuid(2) take it for "no change".
func parseID(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0, false
	}
	return int(n), true
}
