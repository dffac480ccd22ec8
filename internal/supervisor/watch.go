package supervisor

import (
	"context"
	"iter"

	"pintle/internal/engine"
	"pintle/internal/relay"
)

// publish tells the watchers what a unit is now.
func (s *Supervisor) publish(u *record) {
	if s.relay.Count() == 0 {
		return
	}
	status := s.status(u)
	s.relay.Say(&status)
}

// Watch implements engine.Engine.
func (s *Supervisor) Watch(ctx context.Context) iter.Seq2[engine.Status, error] {
	return func(yield func(engine.Status, error) bool) {
		var w *relay.Reader
		_, err := ask(ctx, s, func(s *Supervisor, answer func(struct{}, error)) {
			w = relay.NewReader(s.list())
			s.relay.Join(w)
			answer(struct{}{}, nil)
		})
		defer s.queue.put(func(s *Supervisor) { s.relay.Leave(w) })
		if err != nil {
			yield(engine.Status{}, err)
			return
		}
		for {
			for _, status := range w.Take() {
				if !yield(status, nil) {
					return
				}
			}
			select {
			case <-w.Wake():
			case <-ctx.Done():
				return
			case <-s.done:
				yield(engine.Status{}, engine.Errorf(engine.Unavailable, "cannot watch any longer: the supervisor has ended"))
				return
			}
		}
	}
}
