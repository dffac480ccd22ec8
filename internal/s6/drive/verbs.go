package drive

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/s6/wire"
	"pintle/internal/unit"
)

// Start implements engine.Engine.
func (t *Tree) Start(ctx context.Context, name unit.Name) (engine.Status, error) {
	return t.change(ctx, "start", name, func(ctx context.Context, s *service, spec *unit.Spec) error {
		if s.root == nil {
			return t.tell(ctx, s, "u")
		}
		n := t.wish(ctx, readNote(s.root, name), true)
		if err := writeNote(s.root, n); err != nil {
			return err
		}
		t.keep(n)
		return t.act(ctx, s, spec, n)
	})
}

// Stop implements engine.Engine.
func (t *Tree) Stop(ctx context.Context, name unit.Name) (engine.Status, error) {
	return t.change(ctx, "stop", name, func(ctx context.Context, s *service, spec *unit.Spec) error {
		if s.root == nil {
			return t.tell(ctx, s, "d")
		}
		n := t.asked(s, t.wish(ctx, readNote(s.root, name), false))
		if err := writeNote(s.root, n); err != nil {
			return err
		}
		t.keep(n)
		return t.act(ctx, s, spec, n)
	})
}

// Restart implements engine.Engine. For s6 that is to be told to stop, and when it has, to start, because a finish that
// leaves a service down takes no notice of what it ended for; so it returns when the new run is asked for.
func (t *Tree) Restart(ctx context.Context, name unit.Name) (engine.Status, error) {
	return t.change(ctx, "restart", name, func(ctx context.Context, s *service, spec *unit.Spec) error {
		if s.root == nil {
			return t.again(ctx, s)
		}
		n := t.asked(s, t.wish(ctx, readNote(s.root, name), true))
		n.Intent.Anew = true
		if err := writeNote(s.root, n); err != nil {
			return err
		}
		t.keep(n)
		if err := t.stopped(ctx, s); err != nil {
			return err
		}
		return t.act(ctx, s, spec, n)
	})
}

// again is a restart of what pintle did not make: its file down is left as it is.
func (t *Tree) again(ctx context.Context, s *service) error {
	if err := t.tell(ctx, s, "d"); err != nil {
		return err
	}
	err := until(ctx, []*wire.Dir{s.Dir}, func() (bool, error) {
		status, err := t.read(s)
		return err == nil && status.PID == 0 && !status.WantUp, err
	})
	return errors.Join(err, t.tell(ctx, s, "u"))
}

// change does something to a service, one command at a time where it is an instance.
func (t *Tree) change(ctx context.Context, verb string, name unit.Name, do func(context.Context, *service, *unit.Spec) error) (engine.Status, error) {
	fail := func(err error) (engine.Status, error) { return engine.Status{}, t.failure(verb, name, err) }
	spec := &unit.Spec{Name: name, Kind: unit.Service}
	more := unit.DefaultStopGracePeriod
	if name.Template() != "" {
		made, err := t.instantiate(name)
		switch {
		case err == nil:
			spec, more = made, made.Stop.Grace
		case t.templates[name.Template()] != nil:
			return engine.Status{}, engine.Errorf(engine.KindOf(err), "cannot %s %s: %v", verb, name, err)
		}
	}
	ctx, cancel := t.underWay(ctx, more+finishTime)
	defer cancel()
	s, err := t.open(verb, name)
	if engine.KindOf(err) == engine.NotFound && t.declared(name) { // its directory is newer than the tree
		if _, _, err := t.ensure(ctx, spec, t.found(name)); err != nil {
			return fail(err)
		}
		s, err = t.open(verb, name)
	}
	if err != nil {
		return engine.Status{}, err
	}
	if s.root != nil { // it may be removed until the lock is held
		s.close()
		unlock, err := t.lock(ctx, string(name))
		if err != nil {
			return fail(err)
		}
		defer unlock()
		if s, err = t.open(verb, name); err != nil {
			return engine.Status{}, err
		}
	}
	defer s.close()
	if err := do(ctx, s, spec); err != nil {
		return fail(err)
	}
	t.poke()
	return t.status(s), nil
}

// act has an instance become what is wanted of it. Its files are rendered anew before it starts.
func (t *Tree) act(ctx context.Context, s *service, spec *unit.Spec, n note) error {
	if !n.Intent.Up {
		if err := replaceFile(s.root, file{path: "down"}); err != nil {
			return err
		}
		if held, err := s.Supervised(); err != nil || !held {
			return err // nothing of it runs, or will
		}
		return t.tell(ctx, s, "d")
	}
	if t.templates[spec.Name.Template()] != nil {
		if err := t.dress(s.root, spec); err != nil {
			return err
		}
	}
	if err := s.root.RemoveAll("down"); err != nil {
		return err
	}
	return t.tell(ctx, s, "u")
}

// tell writes commands to the service's s6-supervise, which may be just being started, or may have to be.
func (t *Tree) tell(ctx context.Context, s *service, commands string) error {
	first := now()
	err := s.Control(commands)
	if !beginning(err, first) || t.rescan(false) != nil {
		return err
	}
	return until(ctx, []*wire.Dir{s.Dir}, func() (bool, error) {
		err := s.Control(commands)
		if beginning(err, first) {
			return false, nil
		}
		return err == nil, err
	})
}

// birth bounds what an s6-supervise takes from its lock to its control FIFO, on a machine that has much else to do. A
// supervise directory without that FIFO is broken, but for so long it may be new.
const birth = 5 * time.Second

// beginning tells whether nobody took a command, first given at a time, because an s6-supervise has only just begun, or is
// still to begin.
func beginning(err error, first time.Time) bool {
	return errors.Is(err, wire.ErrNotListening) || errors.Is(err, wire.ErrBroken) && errors.Is(err, fs.ErrNotExist) && now().Sub(first) < birth
}

// asked notes that the run that there is, and those before it, are ended by a wish.
func (t *Tree) asked(s *service, n note) note {
	n.Asked = t.look(s).run()
	return n
}

// Signal implements engine.Engine, for those signals that s6 sends.
func (t *Tree) Signal(ctx context.Context, name unit.Name, sig unit.Signal) (engine.Status, error) {
	s, err := t.open("signal", name)
	if err != nil {
		return engine.Status{}, err
	}
	defer s.close()
	if v := t.look(s); v.err == nil && !v.status.Up() {
		return engine.Status{}, engine.Errorf(engine.Conflict, "cannot signal %s: it is not running", name)
	}
	for _, b := range []byte(wire.Commands(t.o.Release)) {
		c, _ := wire.CommandOf(t.o.Release, b)
		if c.Signal == unix.Signal(sig) && !c.Group && c.Want == wire.WantSame && !c.Down && !c.Reload {
			if err := s.Control(string(b)); err != nil {
				return engine.Status{}, t.failure("signal", name, err)
			}
			return t.status(s), nil
		}
	}
	return engine.Status{}, engine.Errorf(engine.Invalid, "cannot signal %s: s6 does not send %s", name, sig)
}

// Reload implements engine.Engine: nobody is there whom a reload could concern.
func (t *Tree) Reload(context.Context, engine.ReloadRequest) ([]engine.Change, error) {
	return nil, engine.Errorf(engine.Conflict, "cannot reload: every command reads the configuration anew, and with s6 an instance takes it over when it is started")
}

// Runs implements engine.Engine, as far as s6 remembers ends: since its supervisor was started, and no more than so many.
func (t *Tree) Runs(_ context.Context, name unit.Name, limit int) ([]engine.RunRecord, error) {
	s, err := t.open("find the runs of", name)
	if err != nil {
		return nil, err
	}
	defer s.close()
	v := t.look(s)
	if v.err != nil {
		return nil, t.failure("find the runs of", name, v.err)
	}
	ends := v.ends()
	if limit >= 0 && len(ends) > limit {
		ends = ends[len(ends)-limit:]
	}
	records := make([]engine.RunRecord, 0, len(ends))
	for _, end := range ends {
		records = append(records, engine.RunRecord{Unit: name, RunEnd: end})
	}
	return records, nil
}
