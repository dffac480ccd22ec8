package process

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Credentials belong to a thread (credentials(7)). Go's syscall.Setgroups and its
// like change those of all threads; the functions here change the calling one
// alone, to which the goroutine must be locked. That is what a process needs that
// executes something from this thread, or throws the thread away.

// become makes this thread one of the user's, for good. Whatever the identity says, gid 0 is no supplementary group.
func (id *Identity) become() error {
	err := setGroups(supplementary(id.Groups, id.GID))
	if err == nil {
		err = setAll(unix.SYS_SETRESGID, id.GID)
	}
	if err == nil {
		err = setAll(unix.SYS_SETRESUID, id.UID)
	}
	if err == unix.EINVAL {
		return fmt.Errorf("one of its ids is not mapped in this container's user namespace (uid %d, gid %d, groups %v): %w",
			id.UID, id.GID, id.Groups, err)
	}
	return err
}

// setAll is setresuid(2) or setresgid(2) with one id for the real, the effective and the saved one.
func setAll(call uintptr, id int) error {
	if _, _, errno := unix.RawSyscall(call, uintptr(id), uintptr(id), uintptr(id)); errno != 0 {
		return errno
	}
	return nil
}

// setGroups is setgroups(2).
func setGroups(groups []int) error {
	list := make([]uint32, len(groups)+1) // one more, so that there is a first one to point to
	for i, g := range groups {
		list[i] = uint32(g)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&list[0])), 0); errno != 0 {
		return errno
	}
	return nil
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
