package process

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"pintle/internal/account"
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
func Self(accounts account.Database) Identity {
	id := unlisted(os.Geteuid())
	id.GID = os.Getegid()
	if u, err := accounts.User(id.Name); err == nil {
		id.Name, id.Home = u.Name, u.Home
	}
	id.Groups, _ = os.Getgroups()
	return id
}

// Resolve finds the identity for "name", "uid", "name:group" or "uid:gid", as
// Docker's --user has them, in the accounts as they are now.
//
// The supplementary groups are those that the user is a member of, and those
// that the container was given (docker run --group-add), but never gid 0: it
// owns too much. What pintle has only because root is a member of it in
// /etc/group is not handed on either.
func Resolve(accounts account.Database, spec string) (Identity, error) {
	name, group, hasGroup := strings.Cut(spec, ":")
	id, err := resolveUser(accounts, name)
	if err == nil && hasGroup {
		if id.GID, err = accounts.GID(group); errors.Is(err, account.ErrNone) {
			err = fmt.Errorf("there is no group %q in /etc/group", group)
		}
	}
	if err != nil {
		return Identity{}, fmt.Errorf("cannot use user %q: %w", spec, err)
	}
	groups := accounts.GroupsOf(id.Name)
	if own, err := os.Getgroups(); err == nil {
		roots := rootsGroups(accounts)
		for _, g := range own {
			if !slices.Contains(roots, g) {
				groups = append(groups, g)
			}
		}
	}
	id.Groups = supplementary(groups, id.GID)
	return id, nil
}

func resolveUser(accounts account.Database, name string) (Identity, error) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		name = strconv.FormatUint(n, 10) // as it stands in the file: without leading zeros
	}
	u, err := accounts.User(name)
	if err == nil {
		return Identity{Name: u.Name, UID: u.UID, GID: u.GID, Home: u.Home}, nil
	}
	if uid, err := accounts.UID(name); err == nil {
		return unlisted(uid), nil // good enough, as with docker run --user
	}
	if errors.Is(err, account.ErrNone) {
		err = errors.New("there is no such user in /etc/passwd")
	}
	return Identity{}, err
}

// unlisted is a user who is in no file. Its group is its own number's, not root's.
func unlisted(uid int) Identity {
	return Identity{Name: strconv.Itoa(uid), UID: uid, GID: uid, Home: "/"}
}

// rootsGroups are the groups that pintle may have because of what the files say about root.
func rootsGroups(accounts account.Database) []int {
	root, err := accounts.User("0")
	if err != nil {
		return nil
	}
	return append(accounts.GroupsOf(root.Name), root.GID)
}

// supplementary are the groups that mean something beside the primary one: sorted, each once, and without gid 0.
func supplementary(groups []int, primary int) []int {
	groups = slices.Sorted(slices.Values(groups))
	return slices.DeleteFunc(slices.Compact(groups), func(g int) bool { return g == 0 || g == primary })
}

// CanSwitch tells whether this process may become another user at all: it is
// root and has CAP_SETUID and CAP_SETGID (capabilities(7)). The error is the sentence that
// a person needs where it cannot.
func CanSwitch() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("pintle runs as uid %d, and only root can switch users", os.Geteuid())
	}
	own, err := ownCapabilities()
	if err != nil {
		return err
	}
	const need = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
	if own.effective&need != need {
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
