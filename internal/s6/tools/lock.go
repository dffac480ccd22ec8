package tools

import (
	"errors"
	"io"
	"syscall"
)

// setlock holds a lock on a file while a program runs: its descriptor stays open there.
func setlock(c *call) int {
	exclusive, wait := true, true
	timeout, timed := uint32(0), false
	o := c.parse()
	for letter, ok := o.next(); ok; letter, ok = o.next() {
		switch letter {
		case 'n':
			wait, timed = false, false
		case 'N':
			wait, timed = true, false
		case 'r':
			exclusive = false
		case 'w':
			exclusive = true
		case 't':
			timeout, ok = uint32Of(o.arg)
			timed = true
		default:
			ok = false
		}
		if !ok {
			return c.wrongUsage()
		}
	}
	args := o.rest()
	if len(args) < 2 {
		return c.wrongUsage()
	}
	fd, doing, err := openLock(args[0], exclusive)
	if err != nil {
		return c.unable(exitSystem, err, doing)
	}
	err = lock(fd, exclusive, wait && !timed)
	if timed && errors.Is(err, syscall.EBUSY) {
		err = within(timeout, func() error { return lock(fd, exclusive, true) })
	}
	switch {
	case errors.Is(err, syscall.ETIMEDOUT):
		return c.unable(exitRefused, err, "acquire lock")
	case err != nil:
		return c.unable(exitRefused, err, "lock "+args[0])
	}
	return c.execute(args[1:])
}

// openLock opens a lock file, for the next program too, and makes it where there is none.
func openLock(path string, exclusive bool) (fd int, doing string, err error) {
	const create = syscall.O_WRONLY | syscall.O_CREAT | syscall.O_NONBLOCK
	if exclusive {
		fd, err = syscall.Open(path, create, 0o666)
		return fd, "open " + path + " for writing", err
	}
	fd, err = syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK, 0)
	if !errors.Is(err, syscall.ENOENT) {
		return fd, "open " + path + " for reading", err
	}
	made, err := syscall.Open(path, create, 0o666)
	if err != nil {
		return -1, "create " + path, err
	}
	_ = syscall.Close(made)
	fd, err = syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK, 0)
	return fd, "open " + path + " for reading", err
}

// lock takes a POSIX lock on the whole file. Where it is held by another and is not waited for, that is EBUSY.
func lock(fd int, exclusive, wait bool) error {
	region := syscall.Flock_t{Type: syscall.F_RDLCK, Whence: io.SeekStart}
	if exclusive {
		region.Type = syscall.F_WRLCK
	}
	command := syscall.F_SETLK
	if wait {
		command = syscall.F_SETLKW
	}
	if losesLocks() {
		command += openFileLock
	}
	for {
		err := syscall.FcntlFlock(uintptr(fd), command, &region)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EAGAIN):
			return syscall.EBUSY
		}
		return err
	}
}

// openFileLock makes of F_SETLK and F_SETLKW the commands for locks of the open file, F_OFD_SETLK and F_OFD_SETLKW.
const openFileLock = 31

// losesLocks tells whether an execve(2) loses the locks of a process that has threads, as ours: so it was before Linux 5.11.
// There the lock is one of the open file, which conflicts with others alike, but that the program's children share.
func losesLocks() bool {
	var system syscall.Utsname
	if syscall.Uname(&system) != nil {
		return false
	}
	var release []byte
	for _, c := range system.Release {
		release = append(release, byte(c))
	}
	major, n := leadingNumber(string(release), 1<<16)
	minor, _ := leadingNumber(string(release[min(n+1, len(release)):]), 1<<16)
	return n > 0 && (major < 5 || major == 5 && minor < 11)
}
