package wire

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Lock takes a lock on the whole file that s6 sees as held, exclusive or shared, and tells whether it got it. It holds
// until the file is closed, by every descriptor that was made of it. It is a lock of the open file (F_OFD_SETLK), as
// the classic ones of s6 would be lost with the first descriptor of that file that any part of the process closes.
func Lock(f *os.File, exclusive bool) (bool, error) {
	err := setLock(f, unix.F_OFD_SETLK, exclusive)
	if err == unix.EAGAIN || err == unix.EACCES {
		return false, nil
	}
	return err == nil, err
}

// LockWait is Lock for who has the time to wait.
func LockWait(f *os.File, exclusive bool) error { return setLock(f, unix.F_OFD_SETLKW, exclusive) }

func setLock(f *os.File, command int, exclusive bool) error {
	lock := unix.Flock_t{Type: unix.F_RDLCK}
	if exclusive {
		lock.Type = unix.F_WRLCK
	}
	return retry(func() error {
		err := unix.FcntlFlock(f.Fd(), command, &lock)
		runtime.KeepAlive(f)
		return err
	})
}

// Locked tells whether somebody holds an exclusive lock on the file, be it of this kind or of s6's, in this process or
// in another.
func Locked(f *os.File) (bool, error) {
	lock := unix.Flock_t{Type: unix.F_RDLCK}
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock)
	runtime.KeepAlive(f)
	return err == nil && lock.Type != unix.F_UNLCK, err
}
