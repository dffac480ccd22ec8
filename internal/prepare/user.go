package prepare

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"pintle/internal/account"
	"pintle/internal/trust"
	"pintle/internal/unit"
)

// user has a user have the ids that are declared: for what pintle starts in any case,
// and for all others too where the files of accounts can be changed.
func (j *job) user(u unit.PreparedUser) {
	what := "user " + u.Name
	want, have, err := j.wanted(u)
	if err != nil {
		j.complain(what, u.OnError, err)
		return
	}
	want.Joins = j.groups(what, u)
	if !j.root() {
		if want.UID == j.o.UID {
			j.accounts.Declared = append(j.accounts.Declared, want)
		} else if want.User != have {
			j.complain(what, u.OnError, fmt.Errorf("pintle runs as uid %d, and only root can give it uid %d and gid %d", j.o.UID, want.UID, want.GID))
		}
		return
	}
	j.accounts.Declared = append(j.accounts.Declared, want)
	err = errors.Join(editPasswd(j.o.Accounts, want), editGroup(j.o.Accounts, want))
	if err != nil {
		j.complain(what, u.OnError, fmt.Errorf("its uid %d and gid %d hold for what pintle starts, and not for others (docker exec -u): %s",
			want.UID, want.GID, strings.ReplaceAll(err.Error(), "\n", "; ")))
	}
}

// wanted is the user as it is to be, and as it is; the latter is empty where there is none.
func (j *job) wanted(u unit.PreparedUser) (want account.Declared, have account.User, err error) {
	have, err = j.o.Accounts.User(u.Name)
	none := errors.Is(err, account.ErrNone) || errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !none:
		return want, have, err
	case none && u.UID == 0:
		return want, have, wrong{errors.New("there is no such user, and no uid to make it with")}
	case none:
		want.User = account.User{Name: u.Name, UID: u.UID, GID: u.UID, Home: "/"}
	default:
		want.User = have
	}
	if u.UID != 0 {
		want.UID = u.UID
	}
	if u.GID != 0 {
		want.GID = u.GID
	}
	if u.Home != "" {
		want.Home = u.Home
	}
	want.OwnGroup = none || u.GID != 0
	return want, have, nil
}

// groups are those of the sockets and devices that the user is to reach, as they are
// now. A node must stand where only root could have put it: else whoever puts one there
// would choose the group.
func (j *job) groups(what string, u unit.PreparedUser) []int {
	var gids []int
	for _, pattern := range u.JoinGroupsOf {
		nodes, _ := filepath.Glob(pattern) // the pattern is valid, and what can't be read has no nodes
		for _, node := range nodes {
			gid, err := j.group(node, pattern)
			if err != nil {
				j.complain(what, u.OnError, err)
			}
			if gid > 0 && !slices.Contains(gids, gid) {
				gids = append(gids, gid)
			}
		}
	}
	if j.root() {
		return gids
	}
	for _, gid := range gids {
		if gid != j.o.GID && !slices.Contains(j.o.Groups, gid) {
			j.complain(what, u.OnError, fmt.Errorf("pintle runs as uid %d, and only root can join it to group %d; start the container with --group-add %[2]d", j.o.UID, gid))
		}
	}
	return nil
}

// group is the group of a node; 0 is none, for root's is never joined.
func (j *job) group(node, pattern string) (int, error) {
	st, err := trust.Stat(node, j.o.UID)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil // it has gone, or a symlink leads nowhere
	case err != nil:
		return 0, fmt.Errorf("cannot join the group of %s: %w", node, err)
	case !is(&st, unix.S_IFSOCK) && !is(&st, unix.S_IFCHR) && !is(&st, unix.S_IFBLK):
		if node != pattern { // a glob finds others too
			return 0, nil
		}
		return 0, fmt.Errorf("cannot join the group of %s: it is neither a socket nor a device node", node)
	case st.Gid == 0 && st.Mode>>3&6&^st.Mode != 0: // the group may do what others may not
		return 0, fmt.Errorf("cannot join the group of %s: it is root's (gid 0), which owns too much", node)
	}
	return int(st.Gid), nil
}
