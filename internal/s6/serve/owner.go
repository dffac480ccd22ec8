package serve

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"pintle/internal/process"
	"pintle/internal/s6/wire"
	"pintle/internal/trust"
)

// owner is who a service runs as: who could have written what it executes. s6 runs all of it as its own user, which makes
// root of whoever may write a service directory.
type owner struct {
	uid, gid int
	identity *process.Identity
}

// writable are the bits that let others than its owner write a file.
const writable = 0o022

// enter goes to a service directory, and finds out who its services run as.
func (t *Tree) enter(path string) (*os.File, owner, error) {
	dir, err := trust.Reach(path, t.o.Self, nil)
	if err != nil {
		return nil, owner{}, fmt.Errorf("cannot enter %s: %w", path, err)
	}
	who, err := t.ownerOf(path, dir)
	if err != nil {
		_ = dir.Close() // nothing was written
		return nil, owner{}, err
	}
	return dir, who, nil
}

// ownerOf judges a service directory: pintle's own user where only that could have written it, what is executed and the
// scan directory; else whose it is. Where several could have, it is nobody's, and not run.
func (t *Tree) ownerOf(path string, dir *os.File) (owner, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return owner{}, fmt.Errorf("cannot enter %s: %w", path, err)
	}
	uid := int(st.Uid)
	if st.Mode&writable != 0 {
		return owner{}, fmt.Errorf("cannot run %s: others than its owner may write it", path)
	}
	if t.owner.uid != t.o.Self { // who owns the scan directory may put anything there
		return t.owner, nil
	}
	if uid == t.o.Self {
		var err error
		if uid, err = t.writer(path); err != nil {
			return owner{}, err
		}
	}
	return t.identify(uid)
}

// writer is who may write what is executed of a directory that is pintle's own.
func (t *Tree) writer(path string) (int, error) {
	uid := t.o.Self
	if _, err := trust.Stat(path, t.o.Self); err != nil {
		return 0, fmt.Errorf("cannot run %s: %w", path, err)
	}
	for _, script := range []string{"run", "finish"} {
		st, err := trust.Stat(filepath.Join(path, script), t.o.Self)
		switch {
		case isNotExist(err):
			continue
		case err != nil:
			return 0, fmt.Errorf("cannot run %s/%s: %w", path, script, err)
		case st.Mode&writable != 0:
			return 0, fmt.Errorf("cannot run %s/%s: others than its owner may write it", path, script)
		case int(st.Uid) == t.o.Self || st.Uid == 0:
			continue
		case uid != t.o.Self && uid != int(st.Uid):
			return 0, fmt.Errorf("cannot run %s: its scripts belong to several users", path)
		}
		uid = int(st.Uid)
	}
	return uid, nil
}

func isNotExist(err error) bool {
	return err == unix.ENOENT || os.IsNotExist(err) || err == fs.ErrNotExist
}

// identify is the owner of that uid.
func (t *Tree) identify(uid int) (owner, error) {
	if uid == t.o.Self {
		self := process.Self(t.o.Accounts)
		return owner{self.UID, self.GID, &self}, nil
	}
	id, err := process.Resolve(t.o.Accounts, fmt.Sprint(uid))
	if err != nil {
		return owner{}, err
	}
	return owner{id.UID, id.GID, &id}, nil
}

// as does something to files of the owner's directories, with his rights and no others: they may be anything that he put
// there, and become another thing at any moment.
func (o owner) as(do func() error) error {
	var err error
	if failed := process.As(o.identity, func() { err = do() }); failed != nil {
		return failed
	}
	return err
}

// as is owner.as for the files of the service's directory.
func (s *service) as(do func() error) error { return s.owner.as(do) }

// seed makes what a supervisor needs, such that its owner may control the service. In a directory that is pintle's own, in
// which the owner can make nothing, pintle makes it for him.
func (s *service) seed() error {
	st, err := s.dir.Stat(".")
	if err != nil {
		return fmt.Errorf("cannot prepare %s: %w", s.path, err)
	}
	if int(st.Uid) == s.tree.o.Self {
		return s.dir.SeedAlone(wire.Owner{UID: s.owner.uid, GID: s.owner.gid})
	}
	return s.as(func() error { return s.dir.SeedAlone(wire.Owner{UID: -1, GID: -1}) })
}

// environment is the environment of who runs as somebody: the container's, but for what a change of user changes.
func (t *Tree) environment(who owner) []string {
	if who.uid == t.o.Self {
		return t.o.Environ
	}
	env := slices.DeleteFunc(slices.Clone(t.o.Environ), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return name == "HOME" || name == "USER" || name == "LOGNAME"
	})
	return append(env, "HOME="+who.identity.Home, "USER="+who.identity.Name, "LOGNAME="+who.identity.Name)
}
