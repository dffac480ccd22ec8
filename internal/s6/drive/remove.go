package drive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/s6/wire"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// Remove implements engine.Engine. It returns when there is neither the service directory any more nor an s6-supervise
// of it, or with what is still there.
func (t *Tree) Remove(ctx context.Context, name unit.Name) (engine.Status, error) {
	template := t.templates[name.Template()]
	_, err := unit.ParseName(string(name))
	switch {
	case err != nil:
		return engine.Status{}, t.unknown("remove", name)
	case name.Template() == "":
		s, err := t.open("remove", name)
		if err != nil {
			return engine.Status{}, err
		}
		s.close()
		return engine.Status{}, engine.Errorf(engine.Conflict, "cannot remove %s: it is not pintle's; only instances can be removed", name)
	case template != nil && slices.Contains(template.Always, name.Instance()):
		return engine.Status{}, engine.Errorf(engine.Conflict, "cannot remove %s: template %s declares it as always there; stop it instead", name, template.Name)
	}
	last, err := t.remove(ctx, name)
	if err != nil {
		return engine.Status{}, t.failure("remove", name, err)
	}
	t.poke()
	return last, nil
}

func (t *Tree) remove(ctx context.Context, name unit.Name) (engine.Status, error) {
	grace := unit.DefaultStopGracePeriod
	spec, err := t.instantiate(name)
	if err == nil {
		grace = spec.Stop.Grace
	}
	ctx, cancel := t.underWay(ctx, grace+finishTime)
	defer cancel()
	unlock, err := t.lock(ctx, string(name))
	if err != nil {
		return engine.Status{}, err
	}
	defer unlock()
	s, err := t.open("remove", name)
	if err != nil {
		if err := t.sweep(ctx, name); err != nil {
			return engine.Status{}, fmt.Errorf("of an earlier one of that name something is left: %w", err)
		}
		return engine.Status{}, err
	}
	defer s.close()
	n := t.wish(ctx, readNote(s.root, name), false)
	_ = writeNote(s.root, n) // on a full disk it can be removed nevertheless
	if err := t.stopped(ctx, s); err != nil {
		return engine.Status{}, err
	}
	t.unkeptNow(t.forget(n))
	place := interim(name)
	if err := t.root.Rename(string(name), place); err != nil {
		return engine.Status{}, err
	}
	err = t.takeAway(ctx, s, name, place)
	status := t.status(s)
	status.State, status.PID, status.Desired, status.Intent = unit.Down, 0, "down", n.Intent
	status.Reason = unit.Asked
	status.Because = "removed by " + n.Intent.Actor.String()
	return status, err
}

// forget ends what is kept of an instance; of one that a directory declares it stays that it is to be down.
func (t *Tree) forget(n note) error {
	if t.shelf == nil {
		return nil
	}
	if t.declared(n.Unit) {
		return t.shelf.Put(store.Record{Unit: n.Unit, Intent: n.Intent, Discovered: true})
	}
	return t.shelf.Delete(n.Unit)
}

// stopped has a service be down, and stay so whoever looks at it next.
func (t *Tree) stopped(ctx context.Context, s *service) error {
	if err := replaceFile(s.root, file{path: "down"}); err != nil {
		return err
	}
	first, told := now(), false
	return until(ctx, []*wire.Dir{s.Dir}, func() (bool, error) {
		if held, err := supervises(s.Dir); err != nil || !held {
			return true, err // nobody is there who could start it
		}
		if !told {
			switch err := s.Control("d"); {
			case beginning(err, first):
				return false, nil
			case err != nil:
				return false, err
			}
			told = true
		}
		status, err := t.read(s)
		return err == nil && status.PID == 0 && !status.WantUp, nil
	})
}

// loggerTime is how long a logger may take to read what is left, before it is told to end.
const loggerTime = 5 * time.Second

// takeAway ends the s6-supervise of a directory that is not in the scan directory any more, by way of the s6-svscan
// that would start it again, and removes it. Where there is none, it is asked itself.
func (t *Tree) takeAway(ctx context.Context, s *service, name unit.Name, place string) error {
	if place != "" && t.published(s, name) {
		if err := t.root.Rename(string(name), place); err != nil {
			return err
		}
	}
	if t.rescan(true) != nil {
		for _, d := range s.supervisors() {
			_ = d.Control("dx") // where nobody listens, nobody has to end
		}
	}
	if err := waitReleased(ctx, s.Dir, s.root, "supervise"); err != nil {
		return err
	}
	if s.log != nil {
		soon, cancel := context.WithTimeout(ctx, loggerTime)
		err := waitReleased(soon, s.log, s.root, "log/supervise")
		cancel()
		if err != nil { // something else holds its pipe
			_ = s.log.Control("dx")
			err = waitReleased(ctx, s.log, s.root, "log/supervise")
		}
		if err != nil {
			return err
		}
	}
	// Somebody who waits for it may be making, or taking away, the FIFO by which he listens.
	return until(ctx, nil, func() (bool, error) {
		switch err := t.root.RemoveAll(place); {
		case errors.Is(err, unix.ENOTEMPTY):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("cannot remove what is left of it: %w", err)
		}
		return true, nil
	})
}

// published tells whether the directory is the one that has the unit's name.
func (t *Tree) published(s *service, name unit.Name) bool {
	there, err := t.root.Lstat(string(name))
	if err != nil {
		return false
	}
	own, err := s.root.Stat(".")
	return err == nil && os.SameFile(there, own)
}
