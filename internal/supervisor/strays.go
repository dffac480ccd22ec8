package supervisor

import (
	"context"
	"sync"
	"time"
)

// strays remembers for a moment which processes belong to no run: to find out
// takes a look at all processes, and anybody may ask.
type strays struct {
	mu    sync.Mutex
	names []string
	until time.Time
}

// straysKept is how long they are remembered.
const straysKept = time.Second

func (s *strays) list(ctx context.Context, k Kernel) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := now(); !at.Before(s.until) {
		s.names = nil
		for _, p := range k.Strays(ctx) {
			s.names = append(s.names, p.String())
		}
		s.until = at.Add(straysKept)
	}
	return s.names
}
