package prepare

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// maxDepth bounds how deep a repair goes: each step down holds a descriptor.
const maxDepth = 200

// readAtOnce is how many names of a directory are held at a time.
const readAtOnce = 512

// repair gives everything below a directory to its owner.
//
// Names in it can be exchanged at any moment by whoever owns it, so what is looked at
// and what is changed is always a descriptor. What is left to an attacker are names
// of his choice for files that are not his, which are hard links. The kernel lets
// nobody make one to another's file (proc(5), fs.protected_hardlinks), but one may have been
// made before, or by somebody else who may. Such a file has two names; it could have one
// again when it is looked at, because the attacker has removed the name that led
// here. So after its names were counted, the name must still be there: it can't have
// come back. See stays.
type repair struct {
	j   *job
	top string
	to  *owner
	// old is whom the top belonged to; files of his with more than one name are taken too. It
	// is never root.
	old       int
	mount     mount
	protected bool

	changed int
	over    error // why it ended before its end
	// What was left as it is.
	linked, devices, deep, failed left
	failure                       error // the first one's cause
}

// left counts entries and remembers the first.
type left struct {
	n     int
	first string
}

func (l *left) add(path string) {
	if l.n++; l.n == 1 {
		l.first = path
	}
}

func (j *job) repair(fd int, d unit.PreparedDirectory, to *owner, old int) {
	r := repair{j: j, top: d.Path, to: to, old: old, protected: protectedHardLinks()}
	if old == 0 {
		r.old = to.uid
	}
	var err error
	if r.mount, err = mountOf(fd); err == nil {
		err = r.directory(fd, d.Path, 0)
	}
	if err != nil {
		r.fail(d.Path, err)
	}
	for _, err := range r.report() {
		j.complain(d.Path, d.OnError, err)
	}
}

// directory repairs what is in the directory fd, which is open with O_PATH.
func (r *repair) directory(fd int, path string, depth int) error {
	open, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(open), path)
	defer dir.Close()
	for r.over == nil {
		names, err := dir.Readdirnames(readAtOnce)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			if r.over == nil && r.j.o.Now().After(r.j.until) { // each time: on a slow disk one name may take long
				r.over = fmt.Errorf("it took longer than %v", r.j.o.Time)
			}
			if r.over != nil {
				break
			}
			if err := r.entry(open, name, filepath.Join(path, name), depth); err != nil && err != unix.ENOENT {
				r.fail(filepath.Join(path, name), err)
			}
		}
	}
	return nil
}

// entry repairs one name in the directory in. That it has gone is unix.ENOENT.
func (r *repair) entry(in int, name, path string, depth int) error {
	if id, ok := mountID(in, name); ok && id != r.mount.id {
		return nil // before anything is asked of it: it may not answer
	}
	var st unix.Stat_t
	if err := unix.Fstatat(in, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if !is(&st, unix.S_IFDIR) && r.to.fits(&st) {
		return nil // nearly all of them, and nothing was opened
	}
	fd, err := unix.Openat(in, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if m, err := mountOf(fd); err != nil || m != r.mount {
		return err
	}
	if is(&st, unix.S_IFDIR) {
		return r.below(fd, &st, path, depth)
	}
	switch owner := int(st.Uid); {
	case r.to.fits(&st):
		return nil
	case is(&st, unix.S_IFCHR), is(&st, unix.S_IFBLK):
		r.devices.add(path)
		return nil
	case owner == r.to.uid: // only the group is another
	case st.Nlink > 1 && owner != r.old, !r.protected:
		r.linked.add(path)
		return nil
	case st.Nlink == 1:
		if err := stays(in, name, &st); err != nil {
			return err
		}
	case st.Nlink == 0:
		return unix.ENOENT
	}
	return r.take(fd)
}

// stays tells whether a name still stands for the same file, now that every removal of the
// name has ended which had begun when the file's names were counted; unix.ENOENT where it does not.
//
// While a name is being removed, the kernel counts it no more but finds it still. Whoever removes
// or replaces a name holds the directory's lock to the end, and so does a rename, also this
// one, which comes to nothing: it waits for them.
func stays(in int, name string, st *unix.Stat_t) error {
	if err := unix.Renameat2(in, name, in, name, unix.RENAME_NOREPLACE); err != nil && err != unix.EEXIST {
		return err
	}
	var now unix.Stat_t
	if err := unix.Fstatat(in, name, &now, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if now.Dev != st.Dev || now.Ino != st.Ino {
		return unix.ENOENT // it is another by now
	}
	return nil
}

// below repairs a directory, and then what is in it.
func (r *repair) below(fd int, st *unix.Stat_t, path string, depth int) error {
	if r.j.isState(fd, st) {
		return nil
	}
	if !r.to.fits(st) {
		if err := r.take(fd); err != nil {
			r.fail(path, err)
		}
	}
	if depth == maxDepth {
		r.deep.add(path)
		return nil
	}
	return r.directory(fd, path, depth+1)
}

func (r *repair) take(fd int) error {
	if r.j.entries == 0 {
		r.over = fmt.Errorf("more than %d entries belong to others", r.j.o.Entries)
		return nil
	}
	if err := r.to.take(fd); err != nil {
		return err
	}
	r.j.entries--
	r.changed++
	return nil
}

func (r *repair) fail(path string, err error) {
	r.failed.add(path)
	if r.failure == nil {
		r.failure = err
	}
}

// report says what was left as it is.
func (r *repair) report() []error {
	var list []error
	say := func(format string, args ...any) { list = append(list, fmt.Errorf(format, args...)) }
	if r.over != nil {
		say("%w; %d entries below it were given to uid %d, and the next start of the container goes on", r.over, r.changed, r.to.uid)
	}
	if n := r.linked.n; n > 0 && r.protected {
		say("%s, such as %s: others' files that have more than one name (hard links) may be needed elsewhere", keep(n), r.linked.first)
	} else if n > 0 {
		say("%s, such as %s: the host lets anybody make hard links to others' files (fs.protected_hardlinks is 0)", keep(n), r.linked.first)
	}
	if n := r.devices.n; n > 0 {
		say("%s, such as %s: device nodes are nobody's to give", keep(n), r.devices.first)
	}
	if n := r.deep.n; n > 0 {
		say("what is more than %d directories deep is not looked at, such as below %s", maxDepth, r.deep.first)
	}
	if n := r.failed.n; n > 0 {
		say("%s, such as %s: %w", keep(n), r.failed.first, r.failure)
	}
	return list
}

func keep(n int) string {
	if n == 1 {
		return "1 entry keeps its owner"
	}
	return fmt.Sprintf("%d entries keep their owners", n)
}

func is(st *unix.Stat_t, format uint32) bool { return st.Mode&unix.S_IFMT == format }

// mount tells one mount from another: by the kernel's number for it, or else by the
// device, which bind mounts of one file system share, and overlay files may not.
type mount struct{ id, device uint64 }

func mountOf(fd int) (mount, error) {
	if id, ok := mountID(fd, ""); ok {
		return mount{id: id}, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return mount{}, err
	}
	return mount{device: st.Dev}, nil
}

// mountID is the kernel's number for the mount that a name in a directory leads into, or a
// descriptor's, for an empty name. It is the kernel's own knowledge: no file system is asked, so none is waited for.
func mountID(in int, name string) (id uint64, ok bool) {
	var x unix.Statx_t
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_STATX_DONT_SYNC
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	err := unix.Statx(in, name, flags, unix.STATX_MNT_ID, &x)
	return x.Mnt_id, err == nil && x.Mask&unix.STATX_MNT_ID != 0 // since Linux 5.8; seccomp filters of older times forbid it
}

// protectedHardLinks tells whether the kernel keeps users from making hard links to
// others' files. Who can't tell had better believe that it does not.
func protectedHardLinks() bool {
	text, err := os.ReadFile("/proc/sys/fs/protected_hardlinks")
	return err == nil && !bytes.Equal(bytes.TrimSpace(text), []byte("0"))
}
