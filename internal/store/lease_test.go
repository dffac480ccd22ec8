package store

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pintle/internal/unit"
)

// shore is a directory that containers share, in memory, and the true time.
type shore struct {
	time   time.Duration
	hearts map[string]uint64
	claims map[unit.Name][]claim
	names  int
	// fate decides what becomes of a call.
	fate func() fate
}

// fate is what becomes of a call to the disk.
type fate int

const (
	done fate = iota
	failed
	doneUnheard // it has its effect, and is answered by an error
)

func newShore() *shore {
	return &shore{hearts: map[string]uint64{}, claims: map[unit.Name][]claim{}, fate: func() fate { return done }}
}

func (s *shore) highest(name unit.Name) claim {
	if all := s.claims[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return claim{}
}

// boat is a container on that shore: its clock, and its way to the disk, at every
// step of which it can be held up for as long as you like.
type boat struct {
	*leases
	shore *shore
	rate  float64
	// frozen is how long its clock has stood still.
	frozen time.Duration
	pause  func() // lets others go on; nil for nobody
}

var errBoat = errors.New("the disk does not answer")

func (s *shore) launch(rate float64) *boat {
	b := &boat{shore: s, rate: rate}
	s.names++
	b.leases = newLeases(b, b.clock, defaultLeaseRule, fmt.Sprint("heart", s.names))
	return b
}

func (b *boat) clock() time.Duration { return time.Duration(float64(b.shore.time-b.frozen) * b.rate) }

// follow makes b the next life of a container that is dead, and knows it.
func (b *boat) follow(before *boat) { b.dead = append([]string{before.owner}, before.dead...) }

// call does one thing to the disk, in one step, with others before it and behind it.
func (b *boat) call(do func() error) error {
	b.yield()
	defer b.yield()
	switch b.shore.fate() {
	case failed:
		return errBoat
	case doneUnheard:
		_ = do()
		return errBoat
	}
	return do()
}

func (b *boat) yield() {
	if b.pause != nil {
		b.pause()
	}
}

func (b *boat) Beat(owner string, counter uint64) error {
	return b.call(func() error { b.shore.hearts[owner] = counter; return nil })
}

func (b *boat) Heart(owner string) (counter uint64, err error) {
	err = b.call(func() error { counter = b.shore.hearts[owner]; return nil })
	return counter, err
}

func (b *boat) Look(wanted func(unit.Name) bool) (claims map[unit.Name]claim, err error) {
	err = b.call(func() error {
		claims = map[unit.Name]claim{}
		for name := range b.shore.claims {
			if wanted(name) {
				claims[name] = b.shore.highest(name)
			}
		}
		return nil
	})
	return claims, err
}

func (b *boat) Claim(c claim) error {
	return b.call(func() error {
		all := b.shore.claims[c.Unit]
		if slices.ContainsFunc(all, func(other claim) bool { return other.Fence == c.Fence }) {
			return errors.New("it exists")
		}
		all = append(slices.Clone(all), c)
		slices.SortFunc(all, func(a, b claim) int { return int(a.Fence) - int(b.Fence) })
		b.shore.claims[c.Unit] = all[len(all)-1:] // older ones are cleared away at once, which is the worst time
		if all[len(all)-1].Fence != c.Fence {
			b.shore.claims[c.Unit] = all
		}
		return nil
	})
}

func (b *boat) Release(c claim) error {
	return b.call(func() error {
		for i, other := range b.shore.claims[c.Unit] {
			if other.same(c) {
				b.shore.claims[c.Unit][i].released = true
			}
		}
		return nil
	})
}

// sailor is a boat whose turns are taken one call at a time.
type sailor struct {
	*boat
	next func() (struct{}, bool)
	stop func()
}

var errStopped = errors.New("stopped")

func (s *shore) sail(rate float64, units ...unit.Name) *sailor {
	b := &sailor{boat: s.launch(rate)}
	for _, name := range units {
		b.want(name)
	}
	b.next, b.stop = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			if r := recover(); r != nil && r != errStopped {
				panic(r)
			}
		}()
		b.pause = func() {
			if !yield(struct{}{}) {
				panic(errStopped)
			}
		}
		for {
			b.turn()
			b.pause()
			for _, name := range units { // what is lost is ended, as the supervisor does it
				if u := b.units[name]; u != nil && u.lost {
					b.over(name, true)
				}
			}
		}
	})
	return b
}

// Where a thousand units end at once on a slow disk, to release them does not cost what is held: the heart beats in between.
func TestReleasesDoNotCostTheOthers(t *testing.T) {
	t.Parallel()
	shore := newShore()
	shore.fate = func() fate { return done }
	b := shore.launch(1)
	var ended []unit.Name
	for i := range 1000 {
		ended = append(ended, unit.Name(fmt.Sprintf("gateway@p%d", i)))
		b.want(ended[i])
	}
	const kept = unit.Name("gateway@kept")
	b.want(kept)
	b.turn()
	lost := false
	b.pause = func() { // before each call, and after it
		shore.time += 10 * time.Millisecond
		_, held := b.holds(kept)
		lost = lost || !held
	}
	for _, name := range ended {
		b.over(name, false)
	}
	turns := 0
	for b.turn(); len(b.given) > 0 && turns < 20; turns++ {
		shore.time += defaultLeaseRule.Beat
		b.turn()
	}
	t.Logf("all were released after %d more turns", turns)
	if lost || len(b.given) > 0 {
		t.Errorf("what is held was lost: %v; %d claims are left", lost, len(b.given))
	}
}

// Whatever three containers, their clocks, their pauses and the disk do, at most one of them holds a unit at a time,
// and the fence in its hand is higher than every earlier one's.
func TestAtMostOneHolds(t *testing.T) {
	t.Parallel()
	took := 0
	rapid.Check(t, func(r *rapid.T) {
		shore := newShore()
		const name = unit.Name("gateway@coder")
		troubled := rapid.IntRange(0, 20).Draw(r, "trouble")
		shore.fate = func() fate {
			switch n := rapid.IntRange(0, 99).Draw(r, "fate"); {
			case n < troubled:
				return failed
			case n < 2*troubled:
				return doneUnheard
			}
			return done
		}
		launch := func() *sailor {
			return shore.sail(rapid.SampledFrom([]float64{0.8, 1, 1.2}).Draw(r, "rate"), name)
		}
		boats := []*sailor{launch(), launch(), launch()}
		defer func() {
			for _, b := range boats {
				b.stop()
			}
		}()
		last, holder := uint64(0), (*sailor)(nil)
		for range rapid.IntRange(50, 600).Draw(r, "steps") {
			i := rapid.IntRange(0, 2).Draw(r, "who")
			switch b := boats[i]; rapid.IntRange(0, 40).Draw(r, "what") {
			case 0: // it is killed, and another one starts in its place
				b.stop()
				boats[i] = launch()
				if rapid.Bool().Draw(r, "known dead") { // the same container
					boats[i].follow(b.boat)
				}
			case 1: // a long pause of everybody
				shore.time += rapid.SampledFrom([]time.Duration{time.Second, 9 * time.Second, 15 * time.Second, time.Minute}).Draw(r, "pause")
			case 2: // its run is ended, and wanted no more for a moment
				shore.fate, b.pause = func() fate { return done }, nil
				b.over(name, false)
				b.stop()
				boats[i] = launch()
			default:
				for range rapid.IntRange(1, 12).Draw(r, "calls") {
					b.next()
				}
				shore.time += rapid.SampledFrom([]time.Duration{0, 10 * time.Millisecond, 700 * time.Millisecond, 3 * time.Second}).Draw(r, "passes")
			}
			var holding []uint64
			for _, b := range boats {
				fence, ok := b.holds(name)
				if !ok {
					continue
				}
				holding = append(holding, fence)
				if fence < last || fence == last && holder != b {
					r.Fatalf("fence %d after %d", fence, last)
				}
				if fence > last {
					took++
				}
				last, holder = fence, b
			}
			if len(holding) > 1 {
				r.Fatalf("they hold fences %v at %v", holding, shore.time)
			}
		}
	})
	if took < 100 {
		t.Errorf("in all of that a unit was only taken %d times", took)
	}
}

// until lets boats take their turns every Beat, until one of them holds the unit.
func until(t *testing.T, s *shore, name unit.Name, holder *boat, others ...*boat) (after time.Duration, fence uint64) {
	t.Helper()
	begin := s.time
	for s.time < begin+time.Minute {
		for _, b := range append(others, holder) {
			b.turn()
		}
		for step := time.Duration(0); step < defaultLeaseRule.Beat; step += 100 * time.Millisecond {
			if fence, ok := holder.holds(name); ok {
				return s.time - begin, fence
			}
			s.time += 100 * time.Millisecond
		}
	}
	t.Fatal("nobody took over")
	return 0, 0
}

// Who was killed is followed within TTL + 2 Beat + Settle, who has released its lease within a Beat, and a heart that
// beats is never followed.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	const name = unit.Name("gateway@coder")
	s := newShore()
	a, b := s.launch(1), s.launch(1)
	a.want(name)
	b.want(name)
	if after, fence := until(t, s, name, a); after != 0 || fence != 1 {
		t.Errorf("the first took it after %v, with fence %d", after, fence)
	}
	for range 100 {
		a.turn()
		b.turn()
		s.time += defaultLeaseRule.Beat
		if _, ok := b.holds(name); ok {
			t.Fatal("it took over from a heart that beats")
		}
	}
	after, fence := until(t, s, name, b) // a is dead from here on
	if most := defaultLeaseRule.TTL + defaultLeaseRule.Beat + defaultLeaseRule.Settle; after > most || after < defaultLeaseRule.TTL || fence != 2 {
		t.Errorf("it was followed after %v, want at most %v; the fence is %d", after, most, fence)
	}
	if _, ok := a.holds(name); ok {
		t.Error("the dead one believes")
	}
	c := s.launch(1)
	c.want(name)
	c.turn()
	b.over(name, false)
	if after, fence := until(t, s, name, c, b); after > defaultLeaseRule.Beat || fence != 3 {
		t.Errorf("a released one was followed after %v, the fence is %d", after, fence)
	}
}

// Who knows that its owner is dead takes a lease at once, with the next fence, also from the life before the last; it
// does not take what somebody else has taken meanwhile, nor anything from one that it does not know to be dead.
func TestTakeBack(t *testing.T) {
	t.Parallel()
	const name = unit.Name("gateway@coder")
	s := newShore()
	other := s.launch(1)
	other.want("other")
	other.turn()
	a := s.launch(1)
	a.want(name)
	a.turn()
	life := func(before *boat) *boat {
		s.time += time.Second
		b := s.launch(1)
		b.follow(before)
		b.want(name)
		b.want("other")
		return b
	}
	second := life(life(a)) // the one between them did not get as far as to a turn
	second.turn()
	if fence, ok := second.holds(name); !ok || fence != 2 || !second.units[name].back {
		t.Errorf("held: %t, with fence %d", ok, fence)
	}
	if _, ok := second.holds("other"); ok {
		t.Error("it took a living one's")
	}
	a.turn()
	if _, ok := a.holds(name); ok {
		t.Error("the old life believes")
	}

	other.want(name)
	after, fence := until(t, s, name, other) // the second is dead as well, and its container does not start again
	if after < defaultLeaseRule.TTL || fence != 3 || other.units[name].back {
		t.Errorf("another took it after %v, with fence %d", after, fence)
	}
	third := life(second)
	for range 20 {
		third.turn()
		other.turn()
		s.time += defaultLeaseRule.Beat
		if _, ok := third.holds(name); ok {
			t.Fatal("it took it from the one that lives")
		}
	}
	if third.units[name].seen.Fence != 3 {
		t.Errorf("it waits for %+v", third.units[name].seen)
	}
	other.over(name, false)
	third.turn()
	if fence, ok := third.holds(name); !ok || fence != 4 || third.units[name].back {
		t.Errorf("held after a release: %t, with fence %d", ok, fence)
	}
}

// A container that was frozen together with its clock finds out at its first turn that another has its lease, and has
// the lower fence in its hands.
func TestFrozenOwnerFindsOut(t *testing.T) {
	t.Parallel()
	const name = unit.Name("gateway@coder")
	s := newShore()
	a, b := s.launch(1), s.launch(1)
	a.want(name)
	a.turn()
	older, ok := a.holds(name)
	if !ok {
		t.Fatal("the first does not have it")
	}
	b.want(name)
	began := s.time
	_, newer := until(t, s, name, b)
	a.frozen = s.time - began
	if _, ok := a.holds(name); !ok {
		t.Error("how does it know?")
	}
	a.turn()
	if _, ok := a.holds(name); ok || newer <= older {
		t.Errorf("it still believes; fences %d and %d", older, newer)
	}
	a.over(name, true)
	for range 10 {
		a.turn()
		b.turn()
		s.time += defaultLeaseRule.Beat
	}
	if _, ok := a.holds(name); ok {
		t.Error("it took it back from a heart that beats")
	}
	if _, ok := b.holds(name); !ok {
		t.Error("the new owner has lost it")
	}
}

// Who woke just before another made its claim has a turn before that one runs anything.
func TestSettle(t *testing.T) {
	t.Parallel()
	const name = unit.Name("gateway@coder")
	s := newShore()
	a, b := s.launch(1), s.launch(1)
	a.want(name)
	a.turn()
	b.want(name)
	for b.units[name].held.Fence == 0 {
		b.turn()
		s.time += defaultLeaseRule.Beat
	}
	s.time -= defaultLeaseRule.Beat
	a.frozen = s.time // it wakes at this moment, and has its turn within a Beat
	if _, ok := a.holds(name); !ok {
		t.Fatal("it does not believe")
	}
	s.time += defaultLeaseRule.Beat
	if _, ok := b.holds(name); ok {
		t.Error("both hold it")
	}
	a.turn()
	if _, ok := a.holds(name); ok {
		t.Error("it has not found out")
	}
	s.time += defaultLeaseRule.Settle - defaultLeaseRule.Beat
	b.turn()
	if _, ok := b.holds(name); !ok {
		t.Error("the new owner does not hold it")
	}
}
