package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"syscall"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// Keeper keeps the leases of the units that one container at a time may run: see
// lease.go for what they promise. None of its methods waits for a disk: a goroutine
// has a worker take a turn every Beat, and when something is asked for. A lease that
// was held, and is not any more, is lost for good, also where the disk says otherwise
// later: the run that was begun by it is being killed by then.
type Keeper struct {
	options KeeperOptions
	rule    leaseRule
	clock   func() time.Duration
	desk    *leaseDesk // used by one worker at a time, and by nobody else

	wake chan struct{} // holds one token when there is something to do
	done chan struct{} // closed when the goroutine has ended

	mu sync.Mutex // guards what follows; never held during I/O or a callback
	// orders are what the next turn does first, batch the number of that turn.
	orders []order
	batch  uint64
	wishes map[unit.Name]*wish
	// confirmed is when the last turn that was sure of all leases began.
	confirmed time.Duration
	// busy is set while turns are needed, though nobody asks for anything.
	busy bool
	// alone is why there is nobody to share with, so that every wish is granted; nil where there may be. shared is set once
	// the directory was there: what fails after that is no reason to be alone.
	alone  error
	shared bool
	// begun is when the latest turn began, working is set until it has ended, and fault is what kept it from its work.
	begun   time.Duration
	working bool
	fault   error
	closing bool
}

// KeeperOptions say where and for whom to keep leases.
type KeeperOptions struct {
	// Directory is the state directory that the containers share. Where it is empty, or can't be used when it is first
	// needed and for a reason that lasts, every wish is granted, with fence 0.
	Directory string
	// UID is pintle's own (effective) user.
	UID int
	// RunDirectory is the run-time directory, where an earlier life of this container has left its name; "" where there is
	// none. See ownerFile.
	RunDirectory string
	// TookBack is called when leases were won that an earlier life of this container held, before Changed is; nil where
	// nobody cares.
	TookBack func([]unit.Name)
	// Changed is called after a unit's lease was won or lost, or its Holder is another; Noticed after Conditions changed;
	// both from the keeper's goroutine, and neither is nil.
	Changed func(unit.Name)
	Noticed func()
	// Patience is how long the disk may take before a condition says so; 0 means DefaultPatience.
	Patience time.Duration

	mount func(directory string, uid int, dirs ...string) (volume, error) // openTree, but in tests
	rule  leaseRule                                                       // defaultLeaseRule, but in tests
	life  func(*ownerFile)                                                // makes a container's first process of a test; else nil
}

// wish is a unit that is wanted, or runs.
type wish struct {
	// since is the first turn that knows what was last asked of it: what an earlier one brings back is of no interest.
	since uint64
	leaseView
	// told is set once somebody was told that it is held, lost when that ended, and reported is what Changed last told.
	told, lost, reported bool
	// holder is whom Changed last told of.
	holder engine.Holder
}

// order is something that was asked for.
type order func(*leases)

// NewKeeper starts a keeper.
func NewKeeper(o KeeperOptions) *Keeper {
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	if o.mount == nil {
		o.mount = openTree
	}
	if o.rule == (leaseRule{}) {
		o.rule = defaultLeaseRule
	}
	began := now()
	k := &Keeper{
		options: o, rule: o.rule, clock: func() time.Duration { return now().Sub(began) },
		wake: make(chan struct{}, 1), done: make(chan struct{}), wishes: map[unit.Name]*wish{}, batch: 1,
	}
	k.begun = -o.rule.Beat
	if o.Directory == "" {
		k.alone = errors.New("there is no state_directory that containers could share")
		close(k.done)
		return k
	}
	k.desk = newLeaseDesk(o, k.clock)
	go k.run()
	return k
}

// Want asks for a unit's lease, until Release.
func (k *Keeper) Want(name unit.Name) {
	k.order(name, func(l *leases) { l.want(name) }, func(w *wish) *wish {
		if w == nil {
			return &wish{}
		}
		return w
	})
}

// Release tells that nothing of the unit runs, and that nobody wants it to run here. It may be called of any unit.
func (k *Keeper) Release(name unit.Name) {
	k.order(name, func(l *leases) { l.over(name, false) }, func(*wish) *wish { return nil })
}

// Ended tells that nothing runs any more by a lease that was lost. It is tried for again from then on.
func (k *Keeper) Ended(name unit.Name) {
	k.order(name, func(l *leases) { l.lose(name); l.over(name, true) }, func(w *wish) *wish {
		if w == nil || !w.lost {
			return w
		}
		return &wish{}
	})
}

// order notes what is asked of a unit, where that makes a difference.
func (k *Keeper) order(name unit.Name, o order, change func(*wish) *wish) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.wishes[name]
	after := change(before)
	if after == before || k.closing {
		return
	}
	if k.alone != nil && len(k.wishes) == 0 {
		go k.options.Noticed()
	}
	if after == nil {
		delete(k.wishes, name)
	} else {
		after.since = k.batch
		k.wishes[name] = after
	}
	if k.alone == nil {
		k.orders = append(k.orders, o)
		k.nudge()
	}
}

// Holds tells whether a unit may run now. The fence is that of its lease, also of one that was lost until its run has
// ended; 0 where there is none.
func (k *Keeper) Holds(name unit.Name) (fence uint64, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := k.wishes[name]
	if w == nil {
		return 0, false
	}
	if ok = k.holds(w, k.clock()); ok != w.reported {
		k.nudge()
	}
	if !w.told {
		return 0, ok
	}
	return w.fence, ok
}

// holds is called with the mutex held.
func (k *Keeper) holds(w *wish, at time.Duration) bool {
	if k.alone != nil {
		return true
	}
	held := !w.lost && !w.expired && w.fence > 0 && at >= w.from && at-k.confirmed < k.rule.Hold
	w.lost = w.lost || w.told && !held
	w.told = w.told || held
	return held
}

// Holder is the container that holds a unit's lease; the zero value where it is not known that another does.
func (k *Keeper) Holder(name unit.Name) engine.Holder {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w := k.wishes[name]; w != nil {
		return w.another()
	}
	return engine.Holder{}
}

// another is the container that holds the lease instead.
func (w *wish) another() engine.Holder {
	if w.other.Fence == 0 {
		return engine.Holder{}
	}
	return engine.Holder{Container: cmp.Or(w.other.Host, "of an unknown name"), Fence: w.other.Fence, Alive: w.alive}
}

// Conditions are the things that are not as they should be.
func (k *Keeper) Conditions() []engine.Condition {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case len(k.wishes) == 0:
	case k.alone != nil:
		return []engine.Condition{engine.Conditionf(engine.NotExclusive, "exclusive units are not exclusive: %v", k.alone)}
	case k.working && k.clock()-k.begun >= k.options.Patience:
		return []engine.Condition{engine.Conditionf(engine.LeasesUnusable, "exclusive units wait: cannot use %s: it has not answered for %s", k.options.Directory, unit.Span(k.options.Patience))}
	case k.fault != nil:
		return []engine.Condition{engine.Conditionf(engine.LeasesUnusable, "exclusive units wait: %v", k.fault)}
	}
	return nil
}

// Close has what was released be so on disk, and ends the keeper. What was not
// released is left to be taken over: it may have a run that does not end even by SIGKILL.
func (k *Keeper) Close(ctx context.Context) error {
	k.mu.Lock()
	k.closing = true
	k.nudge()
	k.mu.Unlock()
	select {
	case <-k.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cannot release leases in time: %w", context.Cause(ctx))
	}
}

func (k *Keeper) nudge() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run is the keeper's goroutine.
func (k *Keeper) run() {
	defer close(k.done)
	back := make(chan leaseOutcome, 1)
	var conditions []engine.Condition
	for {
		k.begin(back)
		again := time.NewTimer(k.tell())
		if c := k.Conditions(); !slices.Equal(c, conditions) {
			conditions = c
			k.options.Noticed()
		}
		select {
		case <-k.wake:
		case <-again.C:
		case o := <-back:
			k.settle(o)
			if o.last {
				again.Stop()
				return
			}
		}
		again.Stop()
	}
}

// begin has a worker take a turn, if it is time for one.
func (k *Keeper) begin(back chan<- leaseOutcome) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.clock()
	asked := len(k.orders) > 0 && k.fault == nil
	late := (k.busy || len(k.orders) > 0) && at-k.begun >= k.rule.Beat
	if k.working || !asked && !late && !k.closing {
		return
	}
	orders, batch, last := k.orders, k.batch, k.closing
	k.orders, k.working, k.begun = nil, true, at
	k.batch++
	go func() { back <- k.desk.turn(orders, batch, last) }()
}

// settle takes what a turn brings back.
func (k *Keeper) settle(o leaseOutcome) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.working, k.fault, k.busy = false, o.fault, o.busy
	k.orders = append(o.undone, k.orders...)
	// A read-only volume, or another user's: a condition, and never a stop.
	if o.fault != nil && !k.shared && (errors.Is(o.fault, syscall.EROFS) || !o.opened && lasts(o.fault)) {
		k.alone, k.orders, k.busy = o.fault, nil, false
		return
	}
	if !o.opened {
		return
	}
	k.shared = k.shared || o.fault == nil
	k.confirmed = o.confirmed
	for name, w := range k.wishes {
		if v, ok := o.units[name]; ok && o.batch >= w.since {
			w.leaseView = v
			if v.expired && !w.told { // nothing was ever run by it
				*w = wish{since: k.batch}
				k.orders = append(k.orders, func(l *leases) { l.over(name, true) })
			}
		}
	}
}

// lasts tells whether a directory that cannot be used is likely to stay so. What the disk refuses in passing, another
// container may be at work in.
func lasts(fault error) bool {
	errno, ok := errors.AsType[syscall.Errno](fault)
	return !ok || slices.Contains([]syscall.Errno{
		syscall.EROFS, syscall.EACCES, syscall.EPERM, syscall.ENOENT, syscall.ENOTDIR, syscall.ELOOP, syscall.EINVAL,
		syscall.ENOSPC, syscall.EDQUOT, syscall.ENAMETOOLONG, syscall.ENOSYS, syscall.ENOTSUP,
	}, errno)
}

// tell calls Changed for each unit whose lease was won or lost since, and returns how long nothing changes by itself.
func (k *Keeper) tell() time.Duration {
	k.mu.Lock()
	at := k.clock()
	next := time.Hour
	until := func(t time.Duration) {
		if t > at {
			next = min(next, t-at)
		}
	}
	var changed, back []unit.Name
	for _, name := range slices.Sorted(maps.Keys(k.wishes)) {
		w := k.wishes[name]
		held, holder := k.holds(w, at), w.another()
		if held && !w.reported && w.back {
			back = append(back, name)
		}
		if held != w.reported || holder != w.holder {
			w.reported, w.holder = held, holder
			changed = append(changed, name)
		}
		until(w.from)
		until(k.confirmed + k.rule.Hold)
	}
	if k.working {
		until(k.begun + k.options.Patience)
	} else if k.busy || len(k.orders) > 0 {
		until(k.begun + k.rule.Beat)
	}
	k.mu.Unlock()
	if len(back) > 0 && k.options.TookBack != nil {
		k.options.TookBack(back)
	}
	for _, name := range changed {
		k.options.Changed(name)
	}
	return next
}
