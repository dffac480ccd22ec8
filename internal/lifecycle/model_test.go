package lifecycle

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pintle/internal/unit"
)

// live has one unit live through something, with a machine. It tells which law does not hold, if one does not.
func live(d dice, next nextFunc) (w *world, err error) {
	w = newWorld(d, next)
	defer func() {
		if r := recover(); r != nil {
			b, ok := r.(broken)
			if !ok {
				panic(r)
			}
			err = b
		}
	}()
	for range 100 {
		switch k := w.roll(20); {
		case k == 19:
			w.getThere(Stop, unit.Down, unit.Disabled)
		case k == 18 && !w.halted && w.spec.Enabled.On:
			w.getThere(Start, unit.Up, unit.Failed, unit.Done, unit.Backoff)
		case k >= 16:
			w.wish()
		case k >= 12:
			w.word()
		default:
			if !w.pass() {
				w.wish()
			}
		}
	}
	w.getThere(Stop, unit.Down, unit.Disabled)
	return w, nil
}

// getThere holds a wish to its promise: where nothing else is wished for and all that is asked is answered, the unit
// comes to one of the states, and in bounded time.
func (w *world) getThere(k EventKind, states ...unit.State) {
	s := w.spec
	stop := s.Stop.Grace + s.Stop.GraceMax + killTime
	if s.OnHang != nil {
		stop += s.OnHang.Wait
	}
	// The first failure is followed by another run at once. A oneshot lives for at most 100 s, and a run may have asked for
	// 30 s more to start. The rest is answers.
	until := w.now.Add(2*(stop+s.StartTimeout+100*time.Second+30*time.Second) + 40*mostLag)
	w.calm = true
	w.tell(Event{Kind: k})
	for !w.is(states) {
		if !w.pass() {
			panic(broken{"a wish comes true", fmt.Sprintf("after %s it stays %s for ever", k, w.u.State)})
		}
		if w.now.After(until) {
			panic(broken{"a wish comes true in bounded time", fmt.Sprintf("after %s it is still %s", k, w.u.State)})
		}
	}
	w.calm = false
}

func (w *world) is(states []unit.State) bool {
	for _, s := range states {
		if w.u.State == s {
			return true
		}
	}
	return false
}

// TestTheLawsHold: whatever is wished for, and however late, often or out of order a unit's world answers, no law breaks.
func TestTheLawsHold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, err := live(rapidDice{t}, Next)
		if err != nil {
			t.Fatalf("%v\n%s", err, w.story())
		}
	})
}

// TestTheLawsHoldForLong is the same with dice that are thrown faster, and fall in the same way every time.
func TestTheLawsHoldForLong(t *testing.T) {
	t.Parallel()
	const enough = 200_000
	steps := 0
	for seed := uint64(1); steps < enough; seed++ {
		w, err := live(seeded(seed), Next)
		if err != nil {
			t.Fatalf("seed %d, after %d steps: %v\n%s", seed, w.steps, err, w.story())
		}
		steps += w.steps
	}
	t.Logf("%d steps", steps)
}
