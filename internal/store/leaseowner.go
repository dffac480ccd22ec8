package store

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"pintle/internal/trust"
)

// An owner has a new name in every life of pintle. So who was killed and starts again is a stranger to what it held
// itself, and would wait for its own heart as for anybody's. This file lets it know better: each life leaves its name
// in a file in the run-time directory, and the next life of the same container learns there who is dead, and that
// all it ran is dead too. It believes that only where every one of these holds:
//
//   - The owner was the first process of its PID namespace, and with that the kernel ends all the others. Where pintle
//     is another process, as under docker run --init, what it ran can outlive it. Only a first process leaves a file
//     and believes one, and it must be another process than the one that left it.
//   - Nobody has the file locked. Its owner does for its whole life.
//   - It lies on the container's own root file system, which no other container has mounted, and that is one whose locks
//     and inode numbers are known to be good. So it is neither a volume nor a file system of the network.
//   - It is the very file that its owner made: it has its own inode number and time of birth in it, and its file system's
//     id. An image that was made of a running container (docker commit) has a copy, and so has a copied directory.
//   - The container's name is the same and the kernel has not been started since. A machine or a container that was
//     cloned with its disk has that very file, too.
//
// It relies on the container's engine for one thing: that it starts a container again only once its first process is
// gone; the kernel keeps that until all the others are. The lock alone would not do: it does not hold between two
// mounts of one overlay.
//
// Whatever else is the case, and whatever goes wrong, this life is a stranger and waits: that is never a failure.
type ownerFile struct {
	directory  string // the run-time directory; "" where there is none
	uid        int
	host, boot string
	// first is when this process was started as the first one of its PID namespace; "" where it was not.
	first string
	// alone tells whether what is in a directory is this container's alone; ofThisContainer, but in tests.
	alone func(dir *os.File) bool
}

// ownerDocument is what the file says.
type ownerDocument struct {
	Owner string `json:"owner"`
	// Dead are the owners before it, the newest first. One that was killed before it claimed anything leaves claims of
	// theirs.
	Dead []string     `json:"dead,omitempty"`
	File fileIdentity `json:"file"`
	Boot string       `json:"boot"`
	Host string       `json:"host"`
	// First is when its owner was started, in the kernel's ticks since its boot.
	First string `json:"first"`
}

// fileIdentity tells a file from its copies.
type fileIdentity struct {
	System string `json:"system"`
	Inode  uint64 `json:"inode"`
	Born   string `json:"born"`
}

const (
	ownerName    = "lease-owner.json"
	ownerInterim = "lease-owner.new"
	maxOwner     = 4 << 10
	mostDead     = 16
)

// begin makes up this life's name, and returns it with those that are dead. The lock is an open descriptor, or -1. It is
// not an *os.File, which is closed once nobody refers to it: nobody closes this one, so that it is held until the
// process has ended.
func (o ownerFile) begin() (owner string, dead []string, lock int) {
	owner, lock = rand.Text(), -1
	if o.directory == "" || o.host == "" || o.boot == "" || o.first == "" {
		return owner, nil, lock
	}
	dir, err := trust.OpenDir(o.directory, o.uid, 0o755)
	if err != nil {
		return owner, nil, lock
	}
	defer dir.Close()
	if !o.alone(dir) {
		return owner, nil, lock
	}
	if fd, err := unix.Openat(int(dir.Fd()), ownerName, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err == nil {
		before := os.NewFile(uintptr(fd), ownerName)
		defer before.Close()
		if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) != nil {
			return owner, nil, lock // its owner lives, and keeps it
		}
		dead = o.read(before)
	}
	return owner, dead, o.leave(dir, owner, dead)
}

// read returns the owners that a file proves to be dead, the newest first.
func (o ownerFile) read(f *os.File) []string {
	var stat unix.Stat_t
	if unix.Fstat(int(f.Fd()), &stat) != nil || stat.Mode != unix.S_IFREG|0o600 || int(stat.Uid) != o.uid || stat.Size > maxOwner {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(f, maxOwner))
	var d ownerDocument
	if err != nil || json.Unmarshal(text, &d) != nil {
		return nil
	}
	itself, ok := identify(int(f.Fd()))
	if !ok || d.File != itself || d.Boot != o.boot || d.Host != o.host || d.First == "" || d.First == o.first {
		return nil
	}
	dead := append([]string{d.Owner}, d.Dead...)
	if !slices.ContainsFunc(dead, func(owner string) bool { return !plainWord(owner) }) {
		return dead[:min(len(dead), mostDead)]
	}
	return nil
}

// leave makes the file of this life in the place of the one before, and returns its lock, or -1. It is locked before
// anybody can find it. It need not outlast a crash of the machine, so nothing is synced.
func (o ownerFile) leave(dir *os.File, owner string, dead []string) (lock int) {
	at := int(dir.Fd())
	_ = unix.Unlinkat(at, ownerInterim, 0) // of one that was killed meanwhile
	fd, err := unix.Openat(at, ownerInterim, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return -1
	}
	if err := o.write(fd, ownerDocument{Owner: owner, Dead: dead, Boot: o.boot, Host: o.host, First: o.first}); err == nil {
		if unix.Renameat(at, ownerInterim, at, ownerName) == nil {
			return fd
		}
	}
	_ = unix.Unlinkat(at, ownerInterim, 0)
	_ = unix.Close(fd)
	return -1
}

func (o ownerFile) write(fd int, d ownerDocument) error {
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, 0o600); err != nil { // whatever the umask
		return err
	}
	itself, ok := identify(fd)
	if !ok {
		return unix.ENOTSUP
	}
	d.File = itself
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if n, err := unix.Write(fd, append(text, '\n')); err != nil || n <= len(text) {
		return unix.EIO
	}
	return nil
}

// identify fails where a file has no time of birth.
func identify(fd int) (fileIdentity, bool) {
	const needed = unix.STATX_INO | unix.STATX_BTIME
	var stat unix.Statx_t
	var system unix.Statfs_t
	if unix.Statx(fd, "", unix.AT_EMPTY_PATH, needed, &stat) != nil || stat.Mask&needed != needed || unix.Fstatfs(fd, &system) != nil {
		return fileIdentity{}, false
	}
	return fileIdentity{
		System: fmt.Sprintf("%08x%08x", uint32(system.Fsid.Val[0]), uint32(system.Fsid.Val[1])),
		Inode:  stat.Ino, Born: fmt.Sprintf("%d.%09d", stat.Btime.Sec, stat.Btime.Nsec),
	}, true
}

// goodSystems are the types of file systems whose locks hold among all who can see a file, and whose files keep their
// inode numbers and times of birth while they are mounted anew.
var goodSystems = []int64{unix.OVERLAYFS_SUPER_MAGIC, unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC}

// ofThisContainer tells whether a directory is in the container's own root file system, and that is a good one. It is
// the mount that counts: a volume can be on the same device.
func ofThisContainer(dir *os.File) bool {
	var system unix.Statfs_t
	if unix.Fstatfs(int(dir.Fd()), &system) != nil || !slices.Contains(goodSystems, int64(system.Type)) {
		return false
	}
	var here, root unix.Statx_t
	const needed = unix.STATX_MNT_ID
	return unix.Statx(int(dir.Fd()), "", unix.AT_EMPTY_PATH, needed, &here) == nil && here.Mask&needed != 0 &&
		unix.Statx(unix.AT_FDCWD, "/", 0, needed, &root) == nil && root.Mask&needed != 0 && here.Mnt_id == root.Mnt_id
}
