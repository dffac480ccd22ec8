package store

import (
	"slices"
	"time"

	"pintle/internal/unit"
)

// A lease says which of the containers that share a state directory may run a unit.
// This file decides; it has no clock and no disk of its own.
//
// Each pintle that wants leases has one heart: a counter in a file that it moves at
// every turn. A lease is a claim, a file UNIT.FENCE that is made in one step by
// whoever is first; of a unit's claims the one with the highest fence counts. Who
// wants a unit that another holds watches that one's heart, and claims the next
// fence when it has not moved for TTL of the watcher's own clock. No lock and no
// time of day is asked, so neither flock(2) nor equal clocks are needed; what is
// needed is that link(2) succeeds for one only, and that what one container has
// written another can read.
//
// What is promised, where clocks run at rates that differ by less than half:
//
//   - At any time at most one container holds a unit, by its own judgement: it has
//     moved its heart and then seen no higher claim, less than Hold before. So a
//     container that cannot reach the directory stops believing long before another
//     one begins to: the difference, TTL - Hold, is there for killing its run.
//   - Whoever has not been sure of its lease for Hold has lost it, for ever: it is
//     not revived by a turn that succeeds later. To run the unit again takes a new claim
//     with a higher fence. A holder that lost its lease and is alive is not followed
//     before it says that its run has ended.
//   - A container that was frozen, with its clock (a suspended machine), can hold a
//     lease that another has by now, since nobody can tell it. It finds out at its
//     first turn, that is within Beat of waking.
//   - Fences only grow; a run's fence tells it from every earlier holder's.
//
// A holder that is killed is followed after at most TTL + 2 Beat + Settle: its last
// beat may be seen up to a Beat late, and TTL may be over just behind a turn. One that
// released its lease is followed at the next turn, within Beat. Who knows that it is
// dead, and all that it ran, as the next life of the same container may (ownerFile),
// does not wait.
type leases struct {
	files leaseFiles
	// now is a clock that only this container has.
	now  func() time.Duration
	rule leaseRule
	// owner is the name of this pintle's heart, which nobody has had before. dead are owners that will never run
	// anything again, nor does anything run that they began: they are followed at once.
	owner   string
	dead    []string
	counter uint64
	// confirmed is when the last turn began at which this pintle was sure of all that it holds.
	confirmed time.Duration
	units     map[unit.Name]*lease
	// given are claims that are to be released; those that could not be are tried again.
	given []claim
}

// leaseRule are the times of a lease.
type leaseRule struct {
	// Beat is the time between two turns, TTL how long a heart must stand still to be dead.
	Beat, TTL time.Duration
	// Hold is how long a holder believes without having been sure again.
	Hold time.Duration
	// Settle is how long one who took over from a dead heart waits before it runs anything: an owner whose clock stood
	// still with it has one turn in that time.
	Settle time.Duration
}

var defaultLeaseRule = leaseRule{Beat: 3 * time.Second, TTL: 15 * time.Second, Hold: 9 * time.Second, Settle: 4 * time.Second}

// leaseFiles is the directory that the containers share. Each call may fail whether or not it had its effect.
type leaseFiles interface {
	// Beat sets the counter of a heart, Heart reads it; 0 where there is none.
	Beat(owner string, counter uint64) error
	Heart(owner string) (uint64, error)
	// Look returns the claim with the highest fence of each unit that is wanted.
	Look(wanted func(unit.Name) bool) (map[unit.Name]claim, error)
	// Claim makes a claim; it fails where there is one with that fence.
	Claim(claim) error
	// Release says of a claim that its owner will never run anything by it again.
	Release(claim) error
}

// claim is one claim as everybody can see it.
type claim struct {
	Unit  unit.Name `json:"unit"`
	Fence uint64    `json:"fence"`
	// Owner is the name of a heart. Host and Boot are for people: where it beats.
	Owner    string `json:"owner"`
	Host     string `json:"host,omitempty"`
	Boot     string `json:"boot,omitempty"`
	released bool
}

// lease is this pintle's side of a unit.
type lease struct {
	// held is this pintle's claim; its Fence is 0 where it has none.
	held claim
	// from is when the unit may run by it; before that an owner who is not quite dead has time to find out.
	from time.Duration
	// lost is set once the claim is not to be relied on any more, until the run has ended.
	lost bool
	// back is set where the claim before it was that of a dead owner.
	back bool

	// seen is another's claim that is waited for, with its heart's counter; since is when that was first so.
	seen    claim
	counter uint64
	since   time.Duration
	// beats is set once that heart was seen to move.
	beats bool
}

func newLeases(files leaseFiles, now func() time.Duration, rule leaseRule, owner string) *leases {
	return &leases{files: files, now: now, rule: rule, owner: owner, units: map[unit.Name]*lease{}}
}

// want asks for a unit's lease; it is tried for at each turn.
func (l *leases) want(name unit.Name) {
	if l.units[name] == nil {
		l.units[name] = &lease{}
	}
}

func (l *leases) wants(name unit.Name) bool { return l.units[name] != nil }

// holds tells whether the unit may run now, and with which fence.
func (l *leases) holds(name unit.Name) (fence uint64, ok bool) {
	u := l.units[name]
	if u == nil || u.held.Fence == 0 || u.lost || l.now() < u.from || l.now()-l.confirmed >= l.rule.Hold {
		return 0, false
	}
	return u.held.Fence, true
}

// over tells that nothing of the unit runs, and whether it is wanted still. A lost
// lease can be tried for again from then on; one that is not wanted is released.
func (l *leases) over(name unit.Name, wanted bool) {
	u := l.units[name]
	switch {
	case u == nil:
	case !wanted:
		delete(l.units, name)
		l.release(u)
	case u.lost:
		l.units[name] = &lease{}
		l.release(u)
	}
}

// lose gives up relying on a unit's lease, until its run has ended.
func (l *leases) lose(name unit.Name) {
	if u := l.units[name]; u != nil && u.held.Fence > 0 {
		u.lost = true
	}
}

func (l *leases) release(u *lease) {
	if u.held.Fence > 0 {
		l.given = append(l.given, u.held)
		l.give()
	}
}

// give releases what is to be released. Until that is done, the others wait for a heart that goes on beating.
func (l *leases) give() {
	l.given = slices.DeleteFunc(l.given, func(c claim) bool { return !l.hurried() && l.files.Release(c) == nil })
}

// hurried tells whether the heart must beat now, so that what is held is not lost: many may be to be released, and a
// disk may be slow.
func (l *leases) hurried() bool {
	if l.now()-l.confirmed < l.rule.Hold-l.rule.Beat {
		return false
	}
	for _, u := range l.units {
		if u.held.Fence > 0 && !u.lost {
			return true
		}
	}
	return false
}

// turn is what is done every Beat, and when somebody wants a unit.
func (l *leases) turn() {
	begin := l.now()
	l.expire(begin)
	l.give()
	if len(l.units) == 0 {
		return
	}
	// First the heart and then the look: who takes over has looked at the heart and then makes a claim. On a network
	// file system, to write in the directory has the look see what is there now.
	l.counter++
	moved := l.files.Beat(l.owner, l.counter) == nil
	claims, err := l.files.Look(l.wants)
	if err != nil || !moved {
		return // neither sure of what it holds, nor may it claim anything
	}
	if l.expire(l.now()) {
		return // it took too long: somebody may have looked at the heart before it moved
	}
	l.confirmed = begin
	var made []claim
	for name, u := range l.units {
		highest := claims[name]
		switch {
		case u.lost:
		case u.held.Fence > 0:
			u.lost = !highest.same(u.held)
		case l.now()-begin >= l.rule.Beat: // what many claims take must not cost those that are held
		case l.may(u, highest):
			if c := (claim{Unit: name, Fence: highest.Fence + 1, Owner: l.owner}); l.files.Claim(c) == nil {
				made = append(made, c)
			}
		}
	}
	l.take(made, claims)
}

// take makes the claims that were made leases, where each is its unit's highest. It
// might not be: between the look and the claim there may have been time for others to
// come, to go and to be cleared away.
func (l *leases) take(made []claim, before map[unit.Name]claim) {
	if len(made) == 0 {
		return
	}
	claims, err := l.files.Look(l.wants)
	if err != nil {
		return // at the next turn they are found, and released
	}
	for _, c := range made {
		if !claims[c.Unit].same(c) {
			continue
		}
		u := &lease{held: c}
		switch previous := before[c.Unit]; {
		case previous.Fence == 0 || previous.released:
		case slices.Contains(l.dead, previous.Owner):
			u.back = true
		default:
			u.from = l.now() + l.rule.Settle
		}
		l.units[c.Unit] = u
	}
}

// same tells whether two are the same claim.
func (c claim) same(other claim) bool { return c.Fence == other.Fence && c.Owner == other.Owner }

// expire has everything be lost where this pintle has not been sure of it for too
// long. Its heart goes on beating, so that the others wait until what was run by
// the lost leases has ended and they are released.
func (l *leases) expire(now time.Duration) (expired bool) {
	if now-l.confirmed < l.rule.Hold {
		return false
	}
	for _, u := range l.units {
		if u.held.Fence > 0 {
			u.lost, expired = true, true
		}
	}
	return expired
}

// may tells whether a unit that this pintle does not hold can be claimed.
func (l *leases) may(u *lease, highest claim) bool {
	switch {
	case highest.Fence == 0 || highest.released || slices.Contains(l.dead, highest.Owner):
		return true
	case highest.Owner == l.owner:
		// A claim of its own of which it was never told. Others may have seen it since, so it is not relied on.
		if !slices.ContainsFunc(l.given, highest.same) {
			l.given = append(l.given, highest)
		}
		return false
	}
	counter, err := l.files.Heart(highest.Owner)
	if err != nil {
		return false // this says nothing about the heart
	}
	if same := highest.same(u.seen); !same || counter != u.counter {
		u.seen, u.counter, u.since, u.beats = highest, counter, l.now(), same
	}
	return l.now()-u.since >= l.rule.TTL
}
