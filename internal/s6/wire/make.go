package wire

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	// eventMode is for an event directory in which a group may listen, publicMode for one in which everybody may.
	eventMode  = 0o3730
	publicMode = 0o1733
)

// An Owner is to whom something new is given.
type Owner struct {
	// UID and GID are -1 where they are to stay the caller's.
	UID, GID int
	// lenient is set where it does not matter that the caller may not give it away.
	lenient bool
}

// Seed makes, before a service directory has its first supervisor, what that would make with rights that leave others
// out: event/ and supervise/event/ (mode 03730), supervise/ (0755) and the FIFO supervise/control (0660), all of
// them the owner's, and the same in log/ where the service has one. A supervisor takes them as they are, so the
// owner may control the service and wait for it. What is there already is not touched, so that a live service
// is safe, nor does it matter where the caller may not give things away: then they are the caller's own.
func (d *Dir) Seed(owner Owner) error {
	if err := d.SeedAlone(owner); err != nil {
		return err
	}
	log, err := d.enter("log")
	if err == unix.ENOENT || err == unix.ENOTDIR {
		return nil
	}
	if err != nil {
		return d.failure("open", "log", err)
	}
	defer log.Close()
	return log.SeedAlone(owner)
}

// SeedAlone is Seed without the logger.
func (d *Dir) SeedAlone(owner Owner) error {
	owner.lenient = true
	if err := d.seed(owner); err != nil {
		return fmt.Errorf("cannot prepare %s: %w", d.Path(), err)
	}
	return nil
}

func (d *Dir) seed(owner Owner) error {
	if err := d.makeOwned(eventDir, eventMode, owner); err != nil {
		return err
	}
	// The FIFO and the inner event directory are made before the supervise directory is the owner's to change.
	made, err := d.mkdir(superviseDir, 0o700)
	if err != nil {
		return err
	}
	in, err := d.enter(superviseDir)
	if err != nil {
		return err
	}
	defer in.Close()
	st, err := in.Stat(".")
	if self, _ := unix.SetfsuidRetUid(-1); err != nil || owner.UID != -1 && int(st.Uid) != self {
		return err // it is another one's already, who may exchange what is in it
	}
	if err := in.makeOwned(eventDir, eventMode, owner); err != nil {
		return err
	}
	if err := in.makeFIFO(controlName, 0o660, &owner); err != nil {
		return err
	}
	if !made {
		return nil
	}
	return d.give(superviseDir, unix.S_IFDIR, 0o755, &owner)
}

// makeOwned makes a directory, and leaves one that is there as it is.
func (d *Dir) makeOwned(name string, mode uint32, owner Owner) error {
	made, err := d.mkdir(name, 0o700)
	if err != nil || !made {
		return err
	}
	return d.give(name, unix.S_IFDIR, mode, &owner)
}

func (d *Dir) makeEvents(name string, mode uint32, gid int) error {
	return d.makeOwned(name, mode, Owner{UID: -1, GID: gid})
}

func (d *Dir) makeDir(name string, mode uint32) error {
	made, err := d.mkdir(name, mode)
	if err != nil || !made {
		return err
	}
	return d.give(name, unix.S_IFDIR, mode, nil) // whatever the umask is
}

// mkdir makes a directory, and tells whether it did. A symlink that leads nowhere is taken at its word, as s6 does:
// on a read-only image supervise may lead into /run. What is there must be a directory.
func (d *Dir) mkdir(name string, mode uint32) (made bool, err error) {
	err = retry(func() error { return unix.Mkdirat(d.fd(), name, mode) })
	if err == nil {
		return true, nil
	}
	if err != unix.EEXIST {
		return false, err
	}
	sub, err := d.enter(name)
	switch err {
	case nil:
		return false, sub.Close()
	case unix.ENOENT:
		if !d.follow {
			return false, err
		}
	default:
		return false, err
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(d.fd(), name, buf)
	if err != nil {
		return false, err
	}
	if err := unix.Mkdirat(d.fd(), string(buf[:n]), 0o700); err != nil {
		return false, err
	}
	return true, nil
}

// makeFIFO makes a FIFO and gives it to its owner. One that is there already is left as it is.
func (d *Dir) makeFIFO(name string, mode uint32, owner *Owner) error {
	err := retry(func() error { return unix.Mknodat(d.fd(), name, unix.S_IFIFO|0o600, 0) })
	if err == nil {
		return d.give(name, unix.S_IFIFO, mode, owner)
	}
	if err != unix.EEXIST {
		return err
	}
	st, err := d.Stat(name)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFIFO {
		err = wrongType(unix.S_IFIFO)
	}
	return err
}

// give sets mode and owner of what the caller has just made. Somebody who may write the directory may have put
// something else there since, so it is judged by its descriptor: it must be the caller's own, of that type, and, being no
// directory, have no second name.
func (d *Dir) give(name string, format, mode uint32, owner *Owner) error {
	flags := unix.O_RDONLY | unix.O_NONBLOCK
	if format == unix.S_IFDIR {
		flags = unix.O_RDONLY | unix.O_DIRECTORY
	}
	fd, err := d.openat(name, flags, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != format {
		return wrongType(format)
	}
	self, _ := unix.SetfsuidRetUid(-1) // whose files are made here; -1 changes nothing
	if int(st.Uid) != self || format != unix.S_IFDIR && st.Nlink != 1 {
		return errors.New(name + " was exchanged meanwhile")
	}
	if owner != nil {
		// Ownership first: a change of it may take the set-group-ID bit away.
		err := unix.Fchown(fd, owner.UID, owner.GID)
		if err != nil && (err != unix.EPERM || !owner.lenient) {
			return err
		}
	}
	return unix.Fchmod(fd, mode)
}

// HandOver gives what the directory's supervisor has made for itself to somebody who may control the service from now on. It
// does so where supervise/ is the one that the seat was taken in, is the caller's own and closed to everybody else, as Supervise
// makes it; what is in it is then the caller's own, too. The event directory is given away where it is the caller's.
func (s *Seat) HandOver(d *Dir, events *Fifodir, owner Owner) error {
	in, err := d.enter(superviseDir)
	if err == nil {
		defer in.Close()
		var held unix.Stat_t
		if err = unix.Fstat(int(s.lock.Fd()), &held); err == nil {
			err = in.handOver(held, owner)
		}
	}
	if err == nil {
		err = events.dir.giveAway(".", unix.S_IFDIR, eventMode, owner)
	}
	if err != nil {
		return d.failure("hand over", superviseDir, err)
	}
	return nil
}

func (d *Dir) handOver(held unix.Stat_t, owner Owner) error {
	st, err := d.Stat(".")
	if self, _ := unix.SetfsuidRetUid(-1); err != nil || int(st.Uid) != self || st.Mode&0o077 != 0 {
		return err // it is another one's already
	}
	if lock, err := d.Stat(lockName); err != nil || lock.Dev != held.Dev || lock.Ino != held.Ino {
		return errors.New(superviseDir + " was exchanged meanwhile")
	}
	for _, file := range []struct {
		name         string
		format, mode uint32
	}{
		{controlName, unix.S_IFIFO, 0o660}, {lockName, unix.S_IFREG, 0o644}, {statusName, unix.S_IFREG, 0o644},
		{tallyName, unix.S_IFREG, 0o644}, {"service-lock", unix.S_IFREG, 0o644}, {eventDir, unix.S_IFDIR, eventMode},
		{".", unix.S_IFDIR, 0o755},
	} {
		if err := d.giveAway(file.name, file.format, file.mode, owner); err != nil && err != unix.ENOENT {
			return err
		}
	}
	return nil
}

// giveAway is give for something that may be another's already.
func (d *Dir) giveAway(name string, format, mode uint32, owner Owner) error {
	st, err := d.Stat(name)
	if self, _ := unix.SetfsuidRetUid(-1); err != nil || int(st.Uid) != self {
		return err
	}
	return d.give(name, format, mode, &owner)
}
