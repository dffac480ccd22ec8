package serve

import (
	"errors"
	"fmt"
	"io/fs"
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

// enter goes to the service's directory.
func (s *service) enter() (*wire.Dir, error) {
	dir, err := trust.Reach(s.path, s.tree.o.Self, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot enter %s: %w", s.path, err)
	}
	d := wire.In(dir)
	if st, err := d.Stat("."); err == nil && !s.logger && (wire.Identity{Dev: st.Dev, Ino: st.Ino}) != s.slot.id {
		return nil, errors.Join(fmt.Errorf("cannot enter %s: it was exchanged meanwhile", s.path), d.Close())
	}
	return d, nil
}

// judge finds out who the service runs as: pintle's own user where only that could have written its directory, what is
// executed of it and the scan directory; else who else could have. Where several could have, it is nobody's, and not run. It is
// asked anew before each start, since files are given away at any time.
func (s *service) judge() (owner, error) {
	w := writers{self: s.tree.o.Self, path: s.path}
	err := w.directory(s.tree.dir, ".", s.tree.o.Directory)
	if err == nil && s.logger { // who owns the directory above may put another one in its place
		err = w.directory(s.dir, "..", filepath.Dir(s.path))
	}
	if err == nil {
		err = w.directory(s.dir, ".", s.path)
	}
	if err == nil && !w.some {
		if err = w.trusted(s); err != nil {
			return owner{}, err
		}
		return s.tree.identify(w.who())
	}
	if err != nil {
		return owner{}, err
	}
	who, err := s.tree.identify(w.who())
	if err != nil {
		return owner{}, err
	}
	return who, w.scripts(func(script string) (st unix.Stat_t, err error) {
		err = who.as(func() error { return unix.Fstatat(s.dir.Descriptor(), script, &st, 0) })
		return st, err
	})
}

// writers gathers who, beside pintle's own user and root, may write what a service runs of.
type writers struct {
	self int
	path string // of the service, for errors
	uid  int
	some bool // uid is one
}

func (w *writers) who() int {
	if w.some {
		return w.uid
	}
	return w.self
}

// add adds the owner of what is at a path, which nobody else may write.
func (w *writers) add(st unix.Stat_t, path string) error {
	uid := int(st.Uid)
	switch {
	case st.Mode&writable != 0:
		return fmt.Errorf("cannot run %s: others than its owner may write it", path)
	case uid == w.self || uid == 0:
	case w.some && w.uid != uid:
		return fmt.Errorf("cannot run %s: it and its scripts belong to several users, %d and %d", w.path, w.uid, uid)
	default:
		w.uid, w.some = uid, true
	}
	return nil
}

func (w *writers) directory(d *wire.Dir, name, path string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(d.Descriptor(), name, &st, 0); err != nil {
		return fmt.Errorf("cannot run %s: %w", w.path, err)
	}
	if st.Mode&writable != 0 && path != w.path {
		return fmt.Errorf("cannot run %s: others than its owner may write %s", w.path, path)
	}
	return w.add(st, path)
}

// scripts adds the owners of what is executed; stat tells of it.
func (w *writers) scripts(stat func(script string) (unix.Stat_t, error)) error {
	for _, script := range []string{"run", "finish"} {
		st, err := stat(script)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return fmt.Errorf("cannot run %s: %s: %w", w.path, script, err)
		}
		if err := w.add(st, w.path+"/"+script); err != nil {
			return err
		}
	}
	return nil
}

// trusted judges a directory that is pintle's own by the path that it has now, on which nobody else may change anything.
func (w *writers) trusted(s *service) error {
	path := s.place()
	st, err := trust.Stat(path, w.self)
	if err != nil {
		return fmt.Errorf("cannot run %s: %w", w.path, err)
	}
	if own, err := s.dir.Stat("."); err != nil || own.Dev != st.Dev || own.Ino != st.Ino {
		return fmt.Errorf("cannot run %s: it is not at %s any more", w.path, path)
	}
	return w.scripts(func(script string) (unix.Stat_t, error) { return trust.Stat(filepath.Join(path, script), w.self) })
}

// adopt has the service be, from now on, whose it is by now.
func (s *service) adopt() error {
	who, err := s.judge()
	if err != nil {
		return err
	}
	before := s.owner.uid
	if who.uid != before {
		s.tree.o.Logs.Forget(s.unit) // what it wrote for one user is not for another
	}
	s.belong(who) // its groups may be others
	if who.uid != before {
		s.say(fmt.Sprintf("it runs as uid %d from now on, and no more as uid %d", who.uid, before))
		if before == s.tree.o.Self {
			s.check(s.seat.HandOver(s.dir, s.events, wire.Owner{UID: who.uid, GID: who.gid}))
		}
	}
	return nil
}

// belong has the service be somebody's.
func (s *service) belong(who owner) {
	s.owner = who
	if who.uid == s.tree.o.Self {
		s.tree.keepers.Delete(s.unit)
		return
	}
	s.tree.keepers.Store(s.unit, who.uid)
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

// asKeeper is owner.as for what is in supervise/, which root may have given to another user than the service's, who then
// controls it.
func (s *service) asKeeper(do func() error) error {
	keeper, err := s.keeper()
	if err != nil {
		return err
	}
	return keeper.as(do)
}

func (s *service) keeper() (owner, error) {
	self := s.tree.o.Self
	if s.owner.uid != self {
		return s.owner, nil
	}
	st, err := s.dir.Stat("supervise")
	switch {
	case err != nil || int(st.Uid) == self && st.Mode&writable == 0:
		return s.owner, nil
	case st.Mode&writable != 0:
		return owner{}, fmt.Errorf("cannot write to %s/supervise: others than its owner may, too", s.path)
	case s.kept.identity == nil || s.kept.uid != int(st.Uid):
		if s.kept, err = s.tree.identify(int(st.Uid)); err != nil {
			return owner{}, err
		}
	}
	return s.kept, nil
}

// seed makes what a supervisor needs, such that its owner may control the service. In a directory that is pintle's own, in
// which the owner can make nothing, pintle makes it for him.
func (s *service) seed(keeper owner) error {
	st, err := s.dir.Stat(".")
	if err != nil {
		return fmt.Errorf("cannot prepare %s: %w", s.path, err)
	}
	if int(st.Uid) == s.tree.o.Self {
		return s.dir.SeedAlone(wire.Owner{UID: keeper.uid, GID: keeper.gid})
	}
	return keeper.as(func() error { return s.dir.SeedAlone(wire.Owner{UID: -1, GID: -1}) })
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
