package prepare

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"pintle/internal/trust"
	"pintle/internal/unit"
)

// parentMode is that of directories which nothing is said about.
const parentMode = 0o755

// directory has a directory be there, with its owner and mode, and repairs what is below.
func (j *job) directory(d unit.PreparedDirectory) {
	to, err := j.owner(d.Owner)
	if err != nil {
		j.complain(d.Path, d.OnError, err)
		return
	}
	mode := uint32(parentMode)
	if d.Mode != nil {
		mode = *d.Mode
	}
	made := false
	dir, err := trust.Reach(d.Path, j.o.UID, func(parent int, name, path string, last bool) error {
		if !last {
			return j.parent(parent, name)
		}
		var err error
		made, err = mkdir(parent, name, mode)
		return err
	})
	if err != nil {
		j.complain(d.Path, d.OnError, err)
		return
	}
	defer dir.Close()
	fd := int(dir.Fd())

	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && j.isState(fd, &st) {
		err = errors.New("it is pintle's own state directory, under whatever name")
	}
	if err != nil {
		j.complain(d.Path, d.OnError, err)
		return
	}
	// The mode first: nobody but the owner and root may change it, and pintle may be less than root.
	if (made || d.Mode != nil) && st.Mode&0o7777 != mode {
		if err := chmod(fd, mode); err != nil {
			j.complain(d.Path, d.OnError, fmt.Errorf("its mode is %04o and can't be changed to %04o: %w", st.Mode&0o7777, mode, err))
		}
	}
	if to != nil && (int(st.Uid) != to.uid || int(st.Gid) != to.gid) {
		if err := to.take(fd); err != nil {
			j.complain(d.Path, d.OnError, fmt.Errorf("it belongs to %d:%d and can't be given to %d:%d: %w", st.Uid, st.Gid, to.uid, to.gid, err))
		}
	}
	if to != nil && d.Repair {
		j.repair(fd, d, to, int(st.Uid))
	}
}

// parent makes a directory that nothing is said about, on the way to one that is
// declared. It belongs to whoever owns the directory that it is made in: root's in
// root's, and a user's in a user's own, who could have made it himself.
func (j *job) parent(in int, name string) error {
	made, err := mkdir(in, name, parentMode)
	if !made {
		return err
	}
	var around unix.Stat_t
	if err := unix.Fstat(in, &around); err != nil {
		return err
	}
	fd, err := unix.Openat(in, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close()
	// It may have been exchanged since; an empty directory is as good as the one that was made.
	if _, err := dir.Readdirnames(1); err != io.EOF {
		return errors.New("it was exchanged for another one as it was made")
	}
	if err := unix.Fchmod(fd, parentMode); err != nil { // whatever the umask
		return err
	}
	if !j.root() || around.Uid == 0 {
		return nil
	}
	return unix.Fchown(fd, int(around.Uid), int(around.Gid))
}

// mkdir makes a directory, unless one is there by now.
func mkdir(in int, name string, mode uint32) (made bool, err error) {
	err = unix.Mkdirat(in, name, mode&0o777)
	if err == unix.EEXIST {
		return false, nil
	}
	return err == nil, err
}

// chmod changes the mode of the directory fd, which is open with O_PATH: with that
// alone it can't be done.
func chmod(fd int, mode uint32) error {
	open, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(open)
	return unix.Fchmod(open, mode)
}
