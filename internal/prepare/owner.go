package prepare

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"pintle/internal/account"
)

// owner is whom something is to belong to.
type owner struct {
	uid, gid int
	// group is set where the group was declared by itself, and not as the user's.
	group bool
}

// owner finds the owner in the form of unit.Spec.User; nil for whoever it belongs to.
func (j *job) owner(spec string) (*owner, error) {
	if spec == "" || !j.root() {
		return nil, nil
	}
	name, group, both := strings.Cut(spec, ":")
	u, err := j.accounts.User(name)
	if errors.Is(err, account.ErrNone) {
		if uid, e := j.accounts.UID(name); e == nil { // a number that is in no file will do
			u, err = account.User{UID: uid, GID: uid}, nil
		}
	}
	if err == nil && both {
		u.GID, err = j.accounts.GID(group)
	}
	if err != nil {
		return nil, wrong{fmt.Errorf("its owner is not known: %w", err)}
	}
	return &owner{u.UID, u.GID, both}, nil
}

// fits tells whether something that is found below a declared directory is the
// owner's already. Its group counts only where it was declared: a service may have
// its reasons to share files with another group.
func (o *owner) fits(st *unix.Stat_t) bool {
	return int(st.Uid) == o.uid && (!o.group || int(st.Gid) == o.gid)
}

// take makes what fd, which is open with O_PATH, stands for the owner's.
func (o *owner) take(fd int) error {
	return unix.Fchownat(fd, "", o.uid, o.gid, unix.AT_EMPTY_PATH)
}

// isState tells whether a directory is pintle's state directory. Whoever owns the
// directory that it lies in can give it another name, and with it a place in a tree that is to be
// repaired; so it is known by what it is, too.
func (j *job) isState(fd int, st *unix.Stat_t) bool {
	if j.stateKnown && st.Dev == j.state.Dev && st.Ino == j.state.Ino {
		return true
	}
	if j.o.StateMark == "" || int(st.Uid) != j.o.UID || st.Mode&0o077 != 0 {
		return false
	}
	var mark unix.Stat_t
	err := unix.Fstatat(fd, j.o.StateMark, &mark, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && mark.Uid == st.Uid && mark.Mode&unix.S_IFMT == unix.S_IFDIR
}
