package process

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Identity is who a process runs as, with all that follows from the name.
type Identity struct {
	// Name is the user's name; its uid as digits where it has none.
	Name     string
	UID, GID int
	// Groups are the supplementary groups.
	Groups []int
	// Home is the home directory, "/" where the user has none.
	Home string
}

// Self is the identity that pintle itself has.
func Self() Identity {
	id := Identity{UID: os.Geteuid(), GID: os.Getegid(), Home: "/"}
	id.Name = strconv.Itoa(id.UID)
	if u, err := user.LookupId(id.Name); err == nil {
		id.Name, id.Home = u.Username, u.HomeDir
	}
	id.Groups, _ = os.Getgroups()
	return id
}

// Resolve finds the identity for "name", "uid", "name:group" or "uid:gid", as
// Docker's --user has them, in /etc/passwd and /etc/group as they are now.
//
// The supplementary groups are those that the user is a member of, and those
// that the container was given (docker run --group-add), but never gid 0: it
// owns too much. What pintle has only because root is a member of it in
// /etc/group is not handed on either.
func Resolve(spec string) (Identity, error) {
	name, group, hasGroup := strings.Cut(spec, ":")
	id, err := resolveUser(name)
	if err != nil {
		return Identity{}, fmt.Errorf("cannot use user %q: %w", spec, err)
	}
	if hasGroup {
		if id.GID, err = LookupGroup(group); err != nil {
			return Identity{}, fmt.Errorf("cannot use user %q: %w", spec, err)
		}
	}
	groups := memberOf(id.Name)
	if own, err := os.Getgroups(); err == nil {
		roots := memberOf("root")
		for _, g := range own {
			if !slices.Contains(roots, g) {
				groups = append(groups, g)
			}
		}
	}
	slices.Sort(groups)
	id.Groups = slices.DeleteFunc(slices.Compact(groups), func(g int) bool { return g == 0 || g == id.GID })
	return id, nil
}

func resolveUser(name string) (Identity, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if n, numErr := strconv.ParseUint(name, 10, 31); numErr == nil {
			if u, err = user.LookupId(name); err != nil {
				// A uid without an entry is good enough, as with docker run --user: its group is its own number's, not root's.
				return Identity{Name: name, UID: int(n), GID: int(n), Home: "/"}, nil
			}
		}
	}
	if err != nil {
		return Identity{}, errors.New("there is no such user in /etc/passwd")
	}
	id := Identity{Name: u.Username, Home: u.HomeDir}
	if id.UID, err = strconv.Atoi(u.Uid); err != nil {
		return Identity{}, err
	}
	if id.GID, err = strconv.Atoi(u.Gid); err != nil {
		return Identity{}, err
	}
	return id, nil
}

// LookupGroup finds a group's gid by its name or its number.
func LookupGroup(name string) (int, error) {
	if g, err := user.LookupGroup(name); err == nil {
		return strconv.Atoi(g.Gid)
	}
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	return 0, fmt.Errorf("there is no group %q in /etc/group", name)
}

// memberOf lists the groups that /etc/group says the user is a member of.
func memberOf(name string) []int {
	u, err := user.Lookup(name)
	if err != nil {
		return nil
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil
	}
	var groups []int
	for _, s := range ids {
		if n, err := strconv.Atoi(s); err == nil {
			groups = append(groups, n)
		}
	}
	return groups
}

// CanSwitch tells whether this process may become another user at all: it is
// root and has CAP_SETUID and CAP_SETGID (capabilities(7)). The error is the sentence that
// a person needs where it cannot.
func CanSwitch() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("pintle runs as uid %d, and only root can switch users", os.Geteuid())
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("cannot read pintle's capabilities: %w", err)
	}
	const need = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
	if data[0].Effective&need != need {
		return errors.New("this container has no CAP_SETUID and CAP_SETGID; leave them in, or start it as that user (docker run --user)")
	}
	return nil
}

// Lend makes pipes, sockets and terminals the property of the user who works
// with them, as runc does for docker run --user: else a program that opens
// /dev/stdout or its terminal by name is refused. Regular files and devices are
// left alone, they are somebody's. A refusal by the kernel changes nothing for a
// program that uses the descriptors it was given, so it is not reported.
func Lend(id *Identity, files ...*os.File) {
	if id == nil || id.UID == os.Geteuid() {
		return
	}
	for _, f := range files {
		info, err := f.Stat()
		if err != nil {
			continue
		}
		_, notTerminal := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		if info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0 || notTerminal == nil {
			_ = unix.Fchown(int(f.Fd()), id.UID, -1)
		}
	}
}
