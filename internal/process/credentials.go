package process

import (
	"fmt"

	"golang.org/x/sys/unix"

	"pintle/internal/process/step"
)

// user is who a thread of the identity becomes. Whatever the identity says, gid 0 is no supplementary group.
func (id *Identity) user() step.User {
	return step.User{UID: id.UID, GID: id.GID, Groups: supplementary(id.Groups, id.GID)}
}

// become makes this thread one of the user's, for good.
func (id *Identity) become() error {
	err := id.user().Become()
	if err == unix.EINVAL {
		return fmt.Errorf("one of its ids is not mapped in this container's user namespace (uid %d, gid %d, groups %v): %w",
			id.UID, id.GID, id.Groups, err)
	}
	return err
}

// setFileIDs makes files this user's and group's to the thread (setfsuid(2),
// setfsgid(2)). These calls report no error, so the outcome is looked at.
func setFileIDs(uid, gid int) error {
	_ = unix.Setfsgid(gid)
	_ = unix.Setfsuid(uid)
	const ask = -1 // no valid id, so nothing changes, and the present one is returned
	isGID, _ := unix.SetfsgidRetGid(ask)
	isUID, _ := unix.SetfsuidRetUid(ask)
	if uint32(isUID) != uint32(uid) || uint32(isGID) != uint32(gid) {
		return fmt.Errorf("the kernel does not let files be seen as uid %d and gid %d", uid, gid)
	}
	return nil
}
