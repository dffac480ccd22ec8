package engine

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"pintle/internal/unit"
)

// shop is an engine whose units come and go while they are followed. A unit's lines are numbered on through all of its
// lives; those of an earlier life can't be asked for any more.
type shop struct {
	Engine

	mu     sync.Mutex
	change chan struct{} // closed and made anew
	units  map[unit.Name]*ware
	open   int
}

func (s *shop) do(what func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what()
}

// streams is how many are open, and readers how many read a unit.
func (s *shop) streams() (n int) {
	s.do(func() { n = s.open })
	return n
}

func (s *shop) readers(name unit.Name) (n int) {
	s.do(func() { n = s.units[name].readers })
	return n
}

type ware struct {
	first, next uint64 // the numbers of this life's lines
	gone        bool
	readers     int
}

func (s *shop) rouse() {
	close(s.change)
	s.change = make(chan struct{})
}

func (s *shop) LogsOf(ctx context.Context, reqs []LogRequest) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		s.do(func() { s.open++ })
		defer s.do(func() { s.open-- })
		Gather(ctx, reqs, func(ctx context.Context, r LogRequest) iter.Seq2[Line, error] { return logsOf(ctx, s, r) })(yield)
	}
}

func (s *shop) Logs(ctx context.Context, req LogRequest) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		var w *ware
		s.do(func() {
			if w = s.units[req.Name]; w != nil && w.gone {
				w = nil
			}
			if w != nil {
				w.readers++
			}
		})
		if w == nil {
			yield(Line{}, Errorf(NotFound, "cannot read the log of %s: there is no such unit", req.Name))
			return
		}
		defer s.do(func() { w.readers-- })
		for place := max(req.After, w.first-1); ; {
			var change chan struct{}
			var next uint64
			var gone bool
			s.do(func() { change, next, gone = s.change, w.next, w.gone })
			for place+1 < next {
				place++
				if !yield(Line{Unit: req.Name, Seq: place}, nil) {
					return
				}
			}
			if gone {
				return
			}
			select {
			case <-change:
			case <-ctx.Done():
				return
			}
		}
	}
}

// TestFollowerMissesNothing: whatever units come, write, go and come again, each line of each comes once and in order, and
// streams are few.
func TestFollowerMissesNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			s := &shop{change: make(chan struct{}), units: map[unit.Name]*ware{}}
			read := map[unit.Name]uint64{}
			wanted := map[unit.Name]bool{}
			const most = 3
			f := NewFollower(s, func(name unit.Name) LogRequest { return LogRequest{Name: name, Tail: -1, After: read[name]} }, most, 0)
			take := func() bool {
				synctest.Wait()
				select {
				case i := <-f.Items():
					e := f.Take(i)
					if e.HasLine {
						if e.Line.Seq != read[e.Line.Unit]+1 {
							t.Errorf("seed %d: line %d of %s after %d", seed, e.Line.Seq, e.Line.Unit, read[e.Line.Unit])
						}
						read[e.Line.Unit] = e.Line.Seq
					}
					for _, name := range e.Over {
						if wanted[name] = !s.units[name].gone; wanted[name] { // who watches hears when it comes again
							f.Want(name)
						}
					}
				default:
					return false
				}
				f.Open(t.Context())
				synctest.Wait()
				return true
			}
			// What is removed while nobody reads it is lost, last lines and all: it is not here.
			remove := func(name unit.Name) bool {
				for take() {
				}
				if s.readers(name) == 0 {
					return false
				}
				s.do(func() {
					s.units[name].gone = true
					s.units[name].next += uint64(random.IntN(3))
				})
				wanted[name] = false
				f.Gone(name)
				return true
			}
			for range 400 {
				name := unit.Name(fmt.Sprintf("u%d", random.IntN(12)))
				w := s.units[name]
				switch random.IntN(8) {
				case 0: // one comes, maybe at once in the place of one that is there
					if w == nil {
						s.do(func() { s.units[name] = &ware{first: 1, next: 1} })
					} else if remove(name) {
						s.do(func() { s.units[name] = &ware{first: w.next, next: w.next} })
					}
				case 1, 2:
					if w != nil {
						remove(name)
					}
				case 3, 4:
					if w != nil && !w.gone && !wanted[name] {
						wanted[name] = true
						f.Want(name)
						f.Open(t.Context())
					}
				case 5, 6:
					if w != nil && !w.gone {
						n := uint64(random.IntN(3))
						s.do(func() { w.next += n })
					}
				case 7:
					take()
				}
				s.do(s.rouse)
				synctest.Wait()
				if n := s.streams(); n > 2*most+2 {
					t.Fatalf("seed %d: %d streams", seed, n)
				}
			}
			for name, w := range s.units {
				if !w.gone && !wanted[name] {
					wanted[name] = true
					f.Want(name)
				}
			}
			f.Open(t.Context())
			for take() {
			}
			for name, w := range s.units {
				if !w.gone && read[name] != w.next-1 {
					t.Errorf("seed %d: %s was read up to %d of %d", seed, name, read[name], w.next-1)
				}
			}
			f.Close()
			if synctest.Wait(); s.streams() != 0 || f.Streams() != 0 {
				t.Errorf("seed %d: %d streams are left", seed, s.streams())
			}
		})
	}
}
