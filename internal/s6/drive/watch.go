package drive

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"pintle/internal/engine"
	"pintle/internal/s6/wire"
	"pintle/internal/unit"
)

// glance is how often a watch looks at what no s6-supervise says: which services there are, and what is wanted of one
// that is down.
const glance = time.Second

// Watch implements engine.Engine, by listening to each s6-supervise that the caller may listen to.
func (t *Tree) Watch(ctx context.Context) iter.Seq2[engine.Status, error] {
	return func(yield func(engine.Status, error) bool) {
		w := &watcher{t: t, changed: map[unit.Name]bool{}, news: make(chan struct{}, 1), poked: t.poker(), ends: map[unit.Name]ear{}, last: map[unit.Name]engine.Status{}}
		defer w.close()
		seldom, stop := tick(glance)
		defer stop()
		if !w.all(yield) {
			return
		}
		for {
			more := true
			select {
			case <-ctx.Done():
				return
			case <-w.news:
				for _, name := range w.take() {
					more = more && w.one(name, yield)
				}
			case <-w.poked:
				more = w.all(yield)
			case <-seldom:
				more = w.all(yield)
			}
			if !more {
				return
			}
		}
	}
}

type watcher struct {
	t     *Tree
	poked chan struct{}
	// ends are what ends listening to each service; last is what was said of it.
	ends map[unit.Name]ear
	last map[unit.Name]engine.Status

	// news has something when changed has. Who listens never waits for who watches, who may be about to end it.
	news    chan struct{}
	mu      sync.Mutex
	changed map[unit.Name]bool
}

// ear is a listener in a directory; of one that has another's name by now it hears nothing.
type ear struct {
	in  wire.Identity
	end func()
}

// note hears of a service.
func (w *watcher) note(name unit.Name) {
	w.mu.Lock()
	w.changed[name] = true
	w.mu.Unlock()
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *watcher) take() []unit.Name {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := slices.Sorted(maps.Keys(w.changed))
	clear(w.changed)
	return names
}

func (w *watcher) close() {
	for _, e := range w.ends {
		e.end()
	}
	w.t.mu.Lock()
	delete(w.t.poked, w.poked)
	w.t.mu.Unlock()
}

// all looks at every service; it tells whether the caller wants more.
func (w *watcher) all(yield func(engine.Status, error) bool) bool {
	names, err := w.t.names()
	if err != nil {
		yield(engine.Status{}, engine.Errorf(engine.Unavailable, "cannot watch %s any longer: %v", w.t.o.Scan, err))
		return false
	}
	there := map[unit.Name]bool{}
	for _, name := range names {
		there[name] = true
		if !w.one(name, yield) {
			return false
		}
	}
	for name, last := range w.last {
		if !there[name] && !w.gone(name, last, yield) {
			return false
		}
	}
	return true
}

func (w *watcher) gone(name unit.Name, last engine.Status, yield func(engine.Status, error) bool) bool {
	w.deafen(name)
	delete(w.last, name)
	last.Gone, last.PID, last.State, last.Desired, last.Reason = true, 0, unit.Down, "down", unit.Asked
	last.Because = "removed"
	return yield(last, nil)
}

func (w *watcher) deafen(name unit.Name) {
	if e, listening := w.ends[name]; listening {
		e.end()
		delete(w.ends, name)
	}
}

// listen listens to a service, if it does not yet. Who may not looks now and then.
func (w *watcher) listen(s *service) {
	var in wire.Identity
	if st, err := s.Stat("event"); err == nil {
		in = wire.Identity{Dev: uint64(st.Dev), Ino: st.Ino}
	}
	if e, listening := w.ends[s.name]; listening && e.in == in {
		return
	}
	w.deafen(s.name)
	if end, err := listen(s.Dir, func() { w.note(s.name) }); err == nil {
		w.ends[s.name] = ear{in, end}
	}
}

// one looks at a service, and says what is new of it.
func (w *watcher) one(name unit.Name, yield func(engine.Status, error) bool) bool {
	last, known := w.last[name]
	s, err := w.t.open("watch", name)
	if err != nil {
		if engine.KindOf(err) == engine.NotFound {
			// It was there when the names were read: who has had the first status since may wait for just this.
			last.Name, last.Kind = name, cmp.Or(last.Kind, unit.Instance)
			return w.gone(name, last, yield)
		}
		return true
	}
	defer s.close()
	w.listen(s)
	status := w.t.status(s)
	if known && reflect.DeepEqual(status, last) {
		return true
	}
	w.last[name] = status
	return yield(status, nil)
}

// poker is a channel that has something when this process itself has changed what services there are, or what is wanted.
func (t *Tree) poker() chan struct{} {
	c := make(chan struct{}, 1)
	t.mu.Lock()
	t.poked[c] = true
	t.mu.Unlock()
	return c
}

func (t *Tree) poke() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.poked {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
