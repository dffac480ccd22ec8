package supervisor

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	"pintle/internal/engine"
	"pintle/internal/notify"
	"pintle/internal/process"
	"pintle/internal/unit"
)

// The fake kernel is late, but not without bounds.
const (
	mostLag  = 200 * time.Millisecond // of any answer
	killTime = 3 * time.Second        // from Kill to the set's end
)

// fault is a way in which the model is deceived on purpose, to see that a law notices.
type fault string

// fake is a kernel without processes. What a run does is decided by its name and number, so that a tale is the same
// whichever goroutine comes first.
type fake struct {
	seed  uint64
	fault fault
	s     *Supervisor           // for what runs say of themselves
	specs map[string]*unit.Spec // what each run was granted with, by name and number

	mu      sync.Mutex
	kind    bool // every run starts, obeys and stays
	runs    []*fakeRun
	asked   map[string]uint64 // how often a helper was asked for
	results int
	broken  error // the first law that did not hold
	pids    int
	mainEnd *unit.Exit
	closing bool
}

// fakeRun is a run as it really is.
type fakeRun struct {
	k      *fake
	unit   unit.Name
	number uint64
	pid    int
	dice   dice
	hooks  Hooks
	undo   bool
	of     *fakeRun // for a helper, the run that it belongs to
	begun  time.Time

	failed, exists, told   bool // told: that it exists
	dead, exitTold, swept  bool
	emptyTold              bool
	diedAt                 time.Time
	exit                   unit.Exit
	left                   int // processes beside the leader
	stubborn, stubbornLeft bool
	slow                   time.Duration
	obeys                  int // the number of stop signals that it takes
	ready                  bool
	onEmpty                func()
	helpers                map[*fakeRun]bool
	killed                 time.Time
	terminated             []time.Time
	watchdog               time.Duration
	quietOneshot           bool
}

func newFake(seed uint64, f fault) *fake {
	return &fake{seed: seed, fault: f, asked: map[string]uint64{}, pids: 100, specs: map[string]*unit.Spec{}}
}

// diceOf are for one run or helper.
func (k *fake) diceOf(name unit.Name, number uint64, what string, n uint64) dice {
	h := fnv.New64a()
	fmt.Fprint(h, name, " ", number, " ", what, " ", n)
	return randomDice{rand.New(rand.NewPCG(k.seed, h.Sum64()))}
}

func lag(d dice) time.Duration { return time.Duration(d.roll(5)) * mostLag / 4 }

// after lets something happen to the fake world.
func (k *fake) after(d time.Duration, do func()) {
	time.AfterFunc(d, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		do()
	})
}

// fails notes a law that does not hold. The caller holds k.mu.
func (k *fake) fails(law, format string, args ...any) {
	if k.broken == nil {
		k.broken = broken{law, fmt.Sprintf(format, args...)}
	}
}

// broken is a law that does not hold.
type broken struct{ law, what string }

func (b broken) Error() string { return b.law + ": " + b.what }

func (r *fakeRun) String() string {
	return fmt.Sprintf("run %d of %s (pid %d)", r.number, r.unit, r.pid)
}

// live tells whether a process of the run exists, or may at any moment.
func (r *fakeRun) live() bool { return !r.failed && !(r.dead && r.left == 0 && len(r.helpers) == 0) }

func (k *fake) liveRun(name unit.Name) *fakeRun {
	for i := len(k.runs) - 1; i >= 0; i-- {
		if r := k.runs[i]; r.unit == name && r.live() {
			return r
		}
	}
	return nil
}

// run is the latest run of a unit with this number.
func (k *fake) run(name unit.Name, number uint64) *fakeRun {
	for i := len(k.runs) - 1; i >= 0; i-- {
		if r := k.runs[i]; r.unit == name && r.number == number {
			return r
		}
	}
	return nil
}

func runKey(name unit.Name, number uint64) string { return fmt.Sprint(name, "#", number) }

// Start implements Kernel.
func (k *fake) Start(l Launch, h Hooks) (Run, error) {
	if of, ok := l.Of.(*fakeRun); ok {
		return k.startHelper(of, l, h)
	}
	k.mu.Lock()
	k.results++
	r := &fakeRun{k: k, unit: l.Unit, number: l.Number, dice: k.diceOf(l.Unit, l.Number, "run", 0), hooks: h, helpers: map[*fakeRun]bool{}, begun: time.Now()}
	r.undo = l.Args[1] == "down"
	k.atMostOneRunLives(r)
	k.runs = append(k.runs, r)
	wait, fails := time.Millisecond+lag(r.dice), chance(r.dice, 8) && !k.kind
	k.mu.Unlock()
	time.Sleep(wait) // at least a moment: by then the grant is in the books
	k.mu.Lock()
	defer k.mu.Unlock()
	k.results++
	if fails {
		r.failed = true
		code := 126 + r.dice.roll(2)
		if l.Unit == unit.MainName {
			k.mainEnd = &unit.Exit{Code: code}
		}
		if code == 126 {
			return nil, errors.New("cannot fork: there is no more room")
		}
		return nil, &process.ExecError{Code: code, Err: errors.New("cannot execute it")}
	}
	k.pids++
	r.exists, r.pid = true, k.pids
	if k.fault != "lost Started" || !chance(r.dice, 3) {
		r.told = true
		h.Started(r)
	}
	r.begin(l)
	return r, nil
}

// atMostOneRunLives: two runs of a unit never overlap, not even in what a leader left behind.
func (k *fake) atMostOneRunLives(r *fakeRun) {
	for _, other := range k.runs {
		if other.unit == r.unit && other.live() {
			k.fails("at most one run of a unit lives", "%s begins while %s lives (%d left)", r, other, other.left)
		}
	}
}

// begin decides what a run does with its life.
func (r *fakeRun) begin(l Launch) {
	d, k := r.dice, r.k
	r.stubborn, r.left = chance(d, 4), pick(d, 0, 0, 1, 2)
	r.stubbornLeft = r.left > 0 && chance(d, 2)
	r.slow, r.obeys = pick[time.Duration](d, 0, mostLag, 2*time.Second), 1
	if chance(d, 4) {
		r.obeys = 2
	}
	spec := k.specs[runKey(l.Unit, l.Number)]
	oneshot, timeout := spec.Kind == unit.Oneshot, spec.StartTimeout
	r.watchdog = spec.Watchdog
	lives := []time.Duration{time.Second, 0, mostLag, 4 * time.Second, 15 * time.Second, time.Minute, 0, 0}
	life := d.roll(len(lives))
	end := []unit.Exit{{}, {}, {Code: 1}, {Code: 75}, {Code: 78}, {Signal: 11}}[d.roll(6)]
	switch ends := oneshot || r.undo; {
	case k.kind && ends:
		k.after(mostLag, func() { r.die(unit.Exit{}) })
	case ends && (timeout == 0 || r.undo):
		k.after(lives[life%5], func() { r.die(end) })
	case ends && life < 6:
		k.after(lives[life], func() { r.die(end) })
	case ends:
		r.quietOneshot = true // its timeout ends it, or kindness
	case !k.kind && life < 6 && chance(d, 2):
		k.after(lives[life], func() {
			if !k.kind {
				r.die(end)
			}
		})
	}
	if oneshot || r.undo {
		return
	}
	if timeout == 0 || !chance(d, 4) || k.kind {
		k.after(time.Duration(d.roll(3))*time.Second+lag(d), r.beReady)
	}
	if r.watchdog > 0 {
		hang := pick[time.Duration](d, time.Hour, 10*time.Second, 2*time.Second)
		r.ping(time.Now().Add(hang))
	}
	if chance(d, 3) {
		r.speak()
	}
}

// beReady has the run say that it is ready, in every way there is.
func (r *fakeRun) beReady() {
	if r.dead || r.ready {
		return
	}
	r.ready = true
	r.k.results++
	r.k.s.o.Logs.Journal(r.unit).Add(r.number, engine.Stdout, []byte("READY"))
	r.say(notify.Message{Ready: true})
}

func (r *fakeRun) ping(until time.Time) {
	r.k.after(r.watchdog/2, func() {
		if r.dead || r.k.closing {
			return
		}
		if r.k.kind || time.Now().Before(until) {
			r.say(notify.Message{Alive: true})
		}
		r.ping(until)
	})
}

// speak is what a run says of itself, some time.
func (r *fakeRun) speak() {
	d := r.dice
	m := pick(d, notify.Message{Extend: 8 * time.Second}, notify.Message{HasStatus: true, Status: "at work"}, notify.Message{Stopping: true}, notify.Message{Hung: true})
	ends, exit := chance(d, 2), lag(d)
	r.k.after(pick(d, 0, mostLag, 3*time.Second, 9*time.Second), func() {
		if r.k.kind {
			return
		}
		r.say(m)
		if m.Stopping && ends {
			r.k.after(exit, func() { r.die(unit.Exit{}) })
		}
	})
}

func (r *fakeRun) say(m notify.Message) {
	if r.dead {
		return
	}
	r.k.results++
	number, s := r.number, r.k.s
	s.do(func(s *Supervisor) {
		if u := s.units[r.unit]; u != nil && (u.run == r || u.run == nil) {
			s.heard(u, number, word{r, m})
		}
	})
}

// die is the leader's end.
func (r *fakeRun) die(e unit.Exit) {
	if r.dead || r.failed {
		return
	}
	k := r.k
	r.dead, r.exit, r.diedAt = true, e, time.Now()
	if r.unit == unit.MainName {
		k.mainEnd = &e
	}
	told := e
	switch {
	case k.fault == "lost Exited" && chance(r.dice, 3):
		return
	case k.fault == "false exit of main" && r.unit == unit.MainName:
		told.Code++
	}
	k.after(lag(r.dice), func() {
		k.results++
		r.exitTold = true
		r.hooks.Exited(told, unit.Usage{})
	})
}

// vanish is the end of what a leader leaves behind.
func (r *fakeRun) vanish() {
	r.left = 0
	for h := range r.helpers {
		h.exitHelper(unit.Exit{Signal: unit.SIGKILL})
	}
	r.reportEmpty()
}

func (r *fakeRun) reportEmpty() {
	k := r.k
	if !r.swept || r.live() && k.fault != "early Empty" || r.emptyTold {
		return
	}
	r.emptyTold = true
	if k.fault == "lost Empty" && chance(r.dice, 3) {
		return
	}
	k.after(lag(r.dice), func() {
		k.results++
		r.onEmpty()
	})
}

// Pid implements Run.
func (r *fakeRun) Pid() int                   { return r.pid }
func (r *fakeRun) Names() (unit.Name, uint64) { return "", 0 }

// Signal implements Run: a person's, or the one that has a run say where it hangs.
func (r *fakeRun) Signal(sig unit.Signal) error {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	if !r.k.kind && chance(r.dice, 3) {
		r.k.after(lag(r.dice), func() { r.die(unit.Exit{Signal: sig}) })
	}
	return nil
}

// Terminate implements Run.
func (r *fakeRun) Terminate(sig unit.Signal, _ unit.Target) {
	k := r.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.of != nil {
		k.after(lag(r.dice), func() { r.exitHelper(unit.Exit{Signal: sig}) })
		return
	}
	r.terminated = append(r.terminated, time.Now())
	switch {
	case k.fault == "no mercy":
	case k.kind:
		k.after(mostLag/2, func() { r.die(unit.Exit{Signal: sig}) })
	case !r.stubborn && len(r.terminated) >= r.obeys:
		k.after(r.slow+lag(r.dice), func() { r.die(pick(r.dice, unit.Exit{Signal: sig}, unit.Exit{})) })
	}
}

// Sweep implements Run.
func (r *fakeRun) Sweep(empty func(), report func([]process.Left)) {
	k := r.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if !r.exitTold {
		k.fails("a run is swept when its leader has ended", "%s was not known to be dead", r)
	}
	r.swept, r.onEmpty = true, empty
	if r.live() {
		report([]process.Left{{PID: r.pid + 10000, Command: "left"}})
		if !r.stubbornLeft || k.kind {
			k.after(lag(r.dice), r.vanish)
		}
	}
	r.reportEmpty()
}

// Kill implements Run.
func (r *fakeRun) Kill() {
	k := r.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if !r.killed.IsZero() {
		k.fails("a run is killed once", "%s was killed already", r)
	}
	r.killed = time.Now()
	if k.fault == "no mercy" {
		return
	}
	wait := time.Duration(r.dice.roll(4)) * killTime / 3
	if k.kind {
		wait = mostLag
	}
	k.after(wait, func() {
		r.die(unit.Exit{Signal: unit.SIGKILL})
		r.vanish()
	})
}

// startHelper executes a check or a stop command. It answers at once: real pipes are being read for it, and the clock
// stands still while they are.
func (k *fake) startHelper(of *fakeRun, l Launch, h Hooks) (Run, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.results++
	what := l.Args[1]
	key := fmt.Sprint(of.unit, of.number, what)
	k.asked[key]++
	d := k.diceOf(of.unit, of.number, what, k.asked[key])
	if !of.live() || !k.kind && chance(d, 10) {
		return nil, &process.ExecError{Code: 127, Err: errors.New("cannot execute it")}
	}
	r := &fakeRun{k: k, of: of, unit: of.unit, pid: of.pid, dice: d, hooks: h, exists: true}
	of.helpers[r] = true
	how := d.roll(4)
	switch {
	case k.kind, how < 2:
	case how == 2:
		return r, nil // it hangs
	}
	k.after(lag(d), func() {
		e := unit.Exit{Code: 1}
		switch {
		case what == "ready" && of.ready, what == "stop", what == "alive" && (k.kind || how == 0):
			e.Code = 0
		}
		if what == "stop" && !of.stubborn && how == 0 && !k.kind {
			of.die(unit.Exit{})
		}
		r.exitHelper(e)
	})
	return r, nil
}

func (r *fakeRun) exitHelper(e unit.Exit) {
	if r.dead {
		return
	}
	r.dead = true
	r.k.results++
	r.hooks.Exited(e, unit.Usage{})
	delete(r.of.helpers, r)
	r.of.reportEmpty()
}

// beKind makes the world one in which everything starts, obeys and stays.
func (k *fake) beKind() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kind = true
	for _, r := range k.runs {
		if !r.live() {
			continue
		}
		r.stubborn, r.stubbornLeft, r.obeys = false, false, 1
		if r.exists && r.quietOneshot {
			k.after(mostLag, func() { r.die(unit.Exit{}) })
		}
		if r.exists && !r.undo {
			k.after(mostLag, r.beReady)
		}
	}
}

// close lets go of all who wait for a helper.
func (k *fake) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closing = true
	for _, r := range k.runs {
		r.dead = true
		for h := range r.helpers {
			h.exitHelper(unit.Exit{Signal: unit.SIGKILL})
		}
	}
}

// RunOf, Strays and Sets implement Kernel.
func (k *fake) RunOf(int) Run                         { return nil }
func (k *fake) SendersOf(int, uint32) []Run           { return nil }
func (k *fake) Strays(context.Context) []process.Left { return nil }
func (k *fake) Sets() string                          { return "none" }

func (k *fake) Listen(string, int) (Socket, error) { return quiet(make(chan struct{})), nil }
