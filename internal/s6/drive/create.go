package drive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"pintle/internal/engine"
	"pintle/internal/s6/wire"
	"pintle/internal/unit"
)

// Create implements engine.Engine. It returns when the instance is supervised.
func (t *Tree) Create(ctx context.Context, req engine.CreateRequest) (engine.Status, bool, error) {
	name := req.Name
	if name.Template() == "" {
		return engine.Status{}, false, engine.Errorf(engine.Invalid,
			"cannot create %s: only instances of a template can be created, and their names have an @", name)
	}
	spec, err := t.instantiate(name)
	if err != nil {
		return engine.Status{}, false, engine.Errorf(engine.KindOf(err), "cannot create %s: %v", name, err)
	}
	s, created, err := t.ensure(ctx, spec, func(was note, exists bool) (note, bool) {
		n := was
		n.Discovered = false
		if exists && req.Down {
			return n, false
		}
		return t.wish(ctx, n, !req.Down), true
	})
	if err != nil {
		return engine.Status{}, false, t.failure("create", name, err)
	}
	return s, created, nil
}

// instantiate makes an instance's spec. The error is a cause, not yet a sentence.
func (t *Tree) instantiate(name unit.Name) (*unit.Spec, error) {
	template := t.templates[name.Template()]
	if template == nil {
		return nil, engine.Errorf(engine.NotFound, "there is no template %s", name.Template())
	}
	if e := template.Spec.Enabled; !e.On {
		return nil, engine.Errorf(engine.Conflict, "it is disabled in this container: %s", e.Because)
	}
	spec, err := template.Instantiate(name.Instance())
	if err != nil {
		return nil, engine.Errorf(engine.Invalid, "%v", err)
	}
	return &spec, nil
}

// decision makes the note of an instance of the one that is there, or was kept, and tells whether that is a wish.
type decision func(was note, exists bool) (n note, wish bool)

// ensure has an instance be there and supervised, as decide says; where it is there and that is a wish, it is done. It returns
// what the instance is before somebody else may change it, and whether it made it.
func (t *Tree) ensure(ctx context.Context, spec *unit.Spec, decide decision) (is engine.Status, created bool, err error) {
	ctx, cancel := t.underWay(ctx, 0)
	defer cancel()
	if err := t.alive(); err != nil {
		return is, false, err
	}
	unlock, err := t.lock(ctx, string(spec.Name))
	if err != nil {
		return is, false, err
	}
	defer unlock()
	if created, err = t.ensureLocked(ctx, spec, decide); err != nil {
		return is, false, err
	}
	is, err = t.Get(ctx, spec.Name)
	return is, created, err
}

// ensureLocked is ensure for who has the instance's lock.
func (t *Tree) ensureLocked(ctx context.Context, spec *unit.Spec, decide decision) (created bool, err error) {
	s, err := t.openAt(string(spec.Name))
	switch {
	case err == nil:
		s.name = spec.Name
		defer s.close()
		n, wish := decide(readNote(s.root, spec.Name), true)
		if err := writeNote(s.root, n); err != nil {
			return false, err
		}
		t.keep(n)
		if err := t.takeUp(ctx, s); err != nil || !wish {
			return false, err
		}
		return false, t.act(ctx, s, spec, n)
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	n := note{Unit: spec.Name}
	if r, ok := t.shelf.Get(spec.Name); ok {
		n.Intent = r.Intent
	}
	n, _ = decide(n, false)
	if err := t.sweep(ctx, spec.Name); err != nil {
		return false, fmt.Errorf("of an earlier one of that name something is left: %w", err)
	}
	if err := t.build(ctx, spec, n); err != nil {
		return false, err
	}
	t.keep(n)
	t.poke()
	return true, nil
}

// build makes a service directory in the workshop, has it appear in the scan directory by one rename, and waits until
// it is supervised. What cannot be supervised is taken away again.
func (t *Tree) build(ctx context.Context, spec *unit.Spec, n note) (err error) {
	place := interim(spec.Name)
	defer func() {
		if err != nil {
			_ = t.root.RemoveAll(place)
		}
	}()
	if err := t.furnish(place, spec, n); err != nil {
		return err
	}
	s, err := t.openAt(place)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.Seed(wire.Owner{UID: -1, GID: -1}); err != nil {
		return err
	}
	// Listening begins before anybody can be heard.
	published := false
	return until(ctx, s.supervisors(), func() (bool, error) {
		if !published {
			if err := t.publish(ctx, place, spec.Name); err != nil {
				return false, err
			}
			published = true
			if err := t.rescan(false); err != nil {
				return false, errors.Join(err, t.takeAway(ctx, s, spec.Name, place))
			}
		}
		return t.served(s), nil
	})
}

// takeUp has a service that is there be supervised: whoever made it may have been interrupted before s6-svscan heard of it.
func (t *Tree) takeUp(ctx context.Context, s *service) error {
	if t.served(s) {
		return nil
	}
	if err := t.rescan(false); err != nil {
		return err
	}
	return until(ctx, s.supervisors(), func() (bool, error) { return t.served(s), nil })
}

// served tells whether each s6-supervise of the service has begun its work.
func (t *Tree) served(s *service) bool {
	for _, d := range s.supervisors() {
		if held, err := d.Supervised(); err != nil || !held {
			return false
		}
		if _, err := d.StatusOfAny(t.o.Release); err != nil || d.Control("") != nil {
			return false
		}
	}
	return true
}

// furnish makes the directory and its files.
func (t *Tree) furnish(place string, spec *unit.Spec, n note) error {
	if err := t.root.Mkdir(place, 0o755); err != nil {
		return err
	}
	root, err := t.root.OpenRoot(place)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, dir := range []string{".", "data", "log"} {
		if dir == "log" && !logged(spec) {
			continue
		}
		if dir != "." {
			if err := root.Mkdir(dir, 0o755); err != nil {
				return err
			}
		}
		if err := root.Chmod(dir, 0o755); err != nil { // whatever the umask is
			return err
		}
	}
	if err := t.dress(root, spec); err != nil {
		return err
	}
	if !n.Intent.Up {
		if err := replaceFile(root, file{path: "down"}); err != nil {
			return err
		}
	}
	return writeNote(root, n)
}

// dress renders the files of a service directory, each in one step.
func (t *Tree) dress(root *os.Root, spec *unit.Spec) error {
	files, notes, err := render(spec, t.o.Self)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := replaceFile(root, f); err != nil {
			return err
		}
	}
	for _, text := range notes {
		t.sayOnce(fmt.Sprintf("template %s: s6 can't do %s", spec.Name.Template(), text))
	}
	return nil
}

// replaceFile puts a file in the place of the one that is there, or of whatever else has the name.
func replaceFile(root *os.Root, f file) error {
	interim := path.Join(path.Dir(f.path), ".new-"+path.Base(f.path))
	mode := fs.FileMode(0o644)
	if f.executable {
		mode = 0o755
	}
	if err := root.RemoveAll(interim); err != nil {
		return err
	}
	out, err := root.OpenFile(interim, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = out.WriteString(f.text)
	err = errors.Join(err, out.Chmod(mode), out.Close())
	if err == nil {
		err = root.Rename(interim, f.path)
	}
	if err != nil {
		_ = root.Remove(interim)
	}
	return err
}

// publish has the directory appear under the unit's name, unless that were one more than the template may have.
func (t *Tree) publish(ctx context.Context, place string, name unit.Name) error {
	template := t.templates[name.Template()]
	unlock, err := t.lock(ctx, template.Name+"!")
	if err != nil {
		return err
	}
	defer unlock()
	names, err := t.names()
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(n unit.Name) bool { return n.Template() != template.Name })
	if len(names) >= template.Max {
		return engine.Errorf(engine.Conflict, "cannot create %s: template %s has %d instances already, which is its max", name, template.Name, len(names))
	}
	if _, err := t.root.Lstat(string(name)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s/%s is in the way", t.o.Scan, name)
	}
	return t.root.Rename(place, string(name))
}
