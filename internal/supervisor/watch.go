package supervisor

import (
	"context"
	"iter"
	"sync"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// watcher is one reader of changes. What it has not read yet is kept once for
// each unit, so that a slow one costs a bounded amount of memory and the loop
// never waits for it.
type watcher struct {
	mu      sync.Mutex
	changed map[unit.Name]engine.Status
	order   []unit.Name
	wake    chan struct{}
}

func (w *watcher) put(s engine.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, waiting := w.changed[s.Name]; !waiting {
		w.order = append(w.order, s.Name)
	}
	w.changed[s.Name] = s
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watcher) take() []engine.Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]engine.Status, 0, len(w.order))
	for _, name := range w.order {
		list = append(list, w.changed[name])
	}
	clear(w.changed)
	w.order = w.order[:0]
	return list
}

// publish tells the watchers what a unit is now.
func (s *Supervisor) publish(u *record) {
	if len(s.watchers) > 0 {
		s.broadcast(u.status())
	}
}

func (s *Supervisor) broadcast(status engine.Status) {
	for w := range s.watchers {
		w.put(status)
	}
}

// Watch implements engine.Engine.
func (s *Supervisor) Watch(ctx context.Context) iter.Seq2[engine.Status, error] {
	return func(yield func(engine.Status, error) bool) {
		w := &watcher{changed: map[unit.Name]engine.Status{}, wake: make(chan struct{}, 1)}
		_, err := ask(ctx, s, func(s *Supervisor, answer func(struct{}, error)) {
			s.watchers[w] = true
			for _, status := range s.list() {
				w.put(status)
			}
			answer(struct{}{}, nil)
		})
		defer s.queue.put(func(s *Supervisor) { delete(s.watchers, w) })
		if err != nil {
			yield(engine.Status{}, err)
			return
		}
		for {
			for _, status := range w.take() {
				if !yield(status, nil) {
					return
				}
			}
			select {
			case <-w.wake:
			case <-ctx.Done():
				return
			case <-s.done:
				yield(engine.Status{}, engine.Errorf(engine.Unavailable, "cannot watch any longer: the supervisor has ended"))
				return
			}
		}
	}
}
