package wire

import (
	"errors"
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

// ServiceLock opens the lock that a run with lock-fd holds, and takes it for who gets the file; free is false where an
// earlier run, or what it left, still has it. Where the file had something in it, that was taken out, and said: it
// is no lock's.
func (d *Dir) ServiceLock() (f *os.File, free bool, warnings []string, err error) {
	in, err := d.enter(superviseDir)
	if err != nil {
		return nil, false, nil, d.failure("open", superviseDir, err)
	}
	defer in.Close()
	if f, err = in.open("service-lock", unix.O_RDWR|unix.O_CREAT, 0o666, unix.S_IFREG); err != nil {
		return nil, false, nil, in.failure("open", "service-lock", err)
	}
	if free, err = Lock(f, true); err != nil || !free {
		return nil, false, nil, errors.Join(err, f.Close())
	}
	if st, err := f.Stat(); err == nil && st.Size() > 0 {
		warnings = append(warnings, "truncating a non-empty service-lock")
		if err := f.Truncate(0); err != nil {
			return nil, false, nil, errors.Join(err, f.Close())
		}
	}
	return f, true, warnings, nil
}
