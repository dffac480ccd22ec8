package drive

import (
	"context"
	"iter"
	"reflect"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// glance is how often a watch looks at what no s6-supervise says: which services there are, and what is wanted of one
// that is down.
const glance = time.Second

// Watch implements engine.Engine, by listening to each s6-supervise that the caller may listen to.
func (t *Tree) Watch(ctx context.Context) iter.Seq2[engine.Status, error] {
	return func(yield func(engine.Status, error) bool) {
		w := &watcher{t: t, news: make(chan unit.Name, 64), poked: t.poker(), ends: map[unit.Name]func(){}, last: map[unit.Name]engine.Status{}, done: make(chan struct{})}
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
			case name := <-w.news:
				more = w.one(name, yield)
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
	news  chan unit.Name
	poked chan struct{}
	done  chan struct{}
	// ends are what ends listening to each service; last is what was said of it.
	ends map[unit.Name]func()
	last map[unit.Name]engine.Status
}

func (w *watcher) close() {
	close(w.done)
	for _, end := range w.ends {
		end()
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
	if end := w.ends[name]; end != nil {
		end()
	}
	delete(w.ends, name)
	delete(w.last, name)
	last.Gone, last.PID, last.State, last.Desired, last.Reason = true, 0, unit.Down, "down", unit.Asked
	last.Because = "removed"
	return yield(last, nil)
}

// one looks at a service, and says what is new of it.
func (w *watcher) one(name unit.Name, yield func(engine.Status, error) bool) bool {
	last, known := w.last[name]
	s, err := w.t.open("watch", name)
	if err != nil {
		if engine.KindOf(err) == engine.NotFound && known {
			return w.gone(name, last, yield)
		}
		return true
	}
	defer s.close()
	if _, listening := w.ends[name]; !listening {
		end, err := listen(s.Dir, func() {
			select {
			case w.news <- name:
			case <-w.done:
			}
		})
		if err == nil { // who may not listen looks now and then
			w.ends[name] = end
		}
	}
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
