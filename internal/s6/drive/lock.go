package drive

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"pintle/internal/s6/wire"
	"pintle/internal/unit"
)

// workshop is where directories are built and taken apart: in the scan directory, so that they come and go by one
// rename, and by a name that s6-svscan takes no notice of. It has the locks, too.
const workshop = ".pintle"

// lockSuffix is at the end of a lock's name. No unit's name has it after an "!", so that a lock is nothing else.
const lockSuffix = "!lock"

// lock keeps all others from changing the unit, or the set of a template's instances where that is asked for by its
// name and "!". It returns what ends that.
func (t *Tree) lock(ctx context.Context, name string) (unlock func(), err error) {
	fail := func(err error) (func(), error) {
		return nil, fmt.Errorf("cannot lock %s: %w", name, cause(err))
	}
	if err := t.openWorkshop(); err != nil {
		return fail(err)
	}
	path := workshop + "/" + name + lockSuffix
	for {
		f, err := t.root.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
		if err != nil {
			return fail(err)
		}
		if err := waitLock(ctx, f, true); err != nil {
			return fail(err)
		}
		// Whoever had it may have removed the file: then there is another by now, or there will be.
		held, err := f.Stat()
		if err == nil {
			var there fs.FileInfo
			there, err = t.root.Lstat(path)
			if err == nil && os.SameFile(held, there) {
				return func() {
					_ = t.root.Remove(path)
					_ = f.Close()
				}, nil
			}
		}
		_ = f.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fail(err)
		}
	}
}

// openWorkshop makes it where it is missing.
func (t *Tree) openWorkshop() error {
	err := t.root.Mkdir(workshop, 0o755)
	if errors.Is(err, fs.ErrExist) {
		info, err := t.root.Lstat(workshop)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s/%s is in the way: it is no directory", t.o.Scan, workshop)
		}
		return err
	}
	return err
}

// waitLock waits until it has the lock, or ctx ends; then the file is closed once the kernel gives the lock.
func waitLock(ctx context.Context, f *os.File, exclusive bool) error {
	if got, err := wire.Lock(f, exclusive); got || err != nil {
		if err != nil {
			_ = f.Close()
		}
		return err
	}
	done := make(chan error, 1)
	go func() { done <- wire.LockWait(f, exclusive) }()
	select {
	case err := <-done:
		if err != nil {
			_ = f.Close()
		}
		return err
	case <-ctx.Done():
		go func() {
			<-done
			_ = f.Close()
		}()
		return errors.New("somebody else has it")
	}
}

// interim is a name in the workshop for one of the unit's directories on its way in or out.
func interim(name unit.Name) string { return workshop + "/" + string(name) + "!" + rand.Text() }

// sweep removes what an interrupted command left of a unit, of which the caller has the lock, and ends what still
// supervises it: the command was about to. What cannot be removed is nobody's obstacle, because no name is used twice; the
// error says that something of it may still run.
func (t *Tree) sweep(ctx context.Context, name unit.Name) error {
	var failed error
	for _, left := range t.leftovers() {
		of, _, _ := strings.Cut(left, "!")
		if of != string(name) || strings.HasSuffix(left, lockSuffix) {
			continue
		}
		place := workshop + "/" + left
		s, err := t.openAt(place)
		if err != nil {
			_ = t.root.RemoveAll(place)
			continue
		}
		if t.supervised(s) {
			failed = errors.Join(failed, t.takeAway(ctx, s, name, place))
		} else {
			_ = t.root.RemoveAll(place)
		}
		s.close()
	}
	return failed
}

// leftovers are the names in the workshop, locks and all.
func (t *Tree) leftovers() []string {
	dir, err := t.root.OpenFile(workshop, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var left []string
	for _, name := range names {
		if strings.Contains(name, "!") {
			left = append(left, name)
		}
	}
	return left
}

// supervised tells whether something still supervises a service, or its logger.
func (t *Tree) supervised(s *service) bool {
	for _, d := range s.supervisors() {
		if held, err := d.Supervised(); err == nil && held {
			return true
		}
	}
	return false
}

// supervises tells whether an s6-supervise has a directory. Where its lock is not what one makes, none has begun there.
func supervises(d *wire.Dir) (bool, error) {
	held, err := d.Supervised()
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return false, nil
	}
	return held, err
}

// waitReleased waits until no s6-supervise has a directory, by the lock in its supervise directory: that can be shared
// as soon as who held it is gone.
func waitReleased(ctx context.Context, d *wire.Dir, root *os.Root, supervise string) error {
	if held, err := supervises(d); err != nil || !held {
		return err
	}
	f, err := root.OpenFile(supervise+"/lock", os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := waitLock(ctx, f, false); err != nil {
		return errors.New("an s6-supervise of it does not end")
	}
	return f.Close()
}
