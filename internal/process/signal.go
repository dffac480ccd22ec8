package process

import (
	"bytes"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// asOwner sends a signal to pid with the rights of its user where pintle's own
// are not enough. As root without CAP_KILL (docker run --cap-drop ALL --cap-add
// SETUID --cap-add SETGID) it may become any user, but may not signal what it has
// started as one (kill(2)).
func asOwner(pid int, send func() error) error {
	err := send()
	if err != unix.EPERM || os.Geteuid() != 0 {
		return err
	}
	uid, known := ownerOf(pid)
	if !known || uid == 0 {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The raw call changes this thread alone. Its real and saved uids stay root's, so that it can come back.
	const keep = ^uintptr(0)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(uid), keep); errno != 0 {
		return err
	}
	err = send()
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, 0, keep); errno != 0 {
		runtime.LockOSThread() // once more than it is unlocked: nobody else may get this thread
	}
	return err
}

// ownerOf is the real uid of a process.
func ownerOf(pid int) (uid int, known bool) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(status) {
		if uids, ok := bytes.CutPrefix(line, []byte("Uid:")); ok {
			uid, err = strconv.Atoi(string(bytes.Fields(uids)[0]))
			return uid, err == nil
		}
	}
	return 0, false
}
