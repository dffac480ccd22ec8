package lifecycle

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"pgregory.net/rapid"

	"pintle/internal/unit"
)

// dice decide what happens. 0 is always the dullest outcome, so that rapid shrinks towards a quiet world.
type dice interface {
	// roll is a number from 0 to n-1.
	roll(n int) int
}

// rapidDice can be shrunk; seededDice are the same in every run, and fast.
type rapidDice struct{ t *rapid.T }

func (d rapidDice) roll(n int) int { return rapid.IntRange(0, n-1).Draw(d.t, "roll") }

type seededDice struct{ *rand.Rand }

func seeded(seed uint64) dice { return seededDice{rand.New(rand.NewPCG(seed, 1))} }

func (d seededDice) roll(n int) int { return d.IntN(n) }

// The world is late, but not without bounds.
const (
	mostLag  = 200 * time.Millisecond // of an answer
	mostLate = 50 * time.Millisecond  // of a timer
	killTime = 3 * time.Second        // from Kill to the set's end
)

// nextFunc is a machine: Next, or a broken copy of it.
type nextFunc func(*unit.Spec, Unit, Event) (Unit, []Effect)

// world is everything around one unit: it carries out the machine's effects as a kernel and a supervisor would that are
// slow, repeat themselves and mix things up, and keeps books of what is so, by which the laws judge the machine.
type world struct {
	dice
	next nextFunc
	spec *unit.Spec
	u    Unit
	now  time.Time
	// coming is what will happen, in no order.
	coming []happening
	// calm is set while nobody wishes anything and everything is answered as one would hope.
	calm  bool
	steps int
	trace []taken
	books
}

type happening struct {
	at time.Time
	do func()
}

// taken is one step of the machine.
type taken struct {
	event         Event
	before, after Unit
	effects       []Effect
}

// process is a run as it really is.
type process struct {
	run uint64
	// failed: it could not be executed. exists: the leader does, or did. told: and the machine was told so.
	failed, exists, told bool
	// dead: the leader has ended. empty: and nothing else is left. swept: that is to be reported, and reported that it was.
	dead, empty, swept, reported bool
	killed                       bool
	// undo is set for a oneshot's command for the way down.
	undo bool
	// stubborn leaders ignore everything but SIGKILL; so do stubborn leftovers, processes that outlive the leader.
	stubborn, leftovers, stubbornLeftovers bool
	exit                                   unit.Exit
	// heard is what the machine was told of it, ready whether it was, and asked whether it was somebody's wish that began
	// its end.
	heard        [eventKinds]bool
	ready, asked bool
}

// live tells whether a process of the run exists, or may at any moment.
func (p *process) live() bool { return !p.failed && !p.empty }

func newWorld(d dice, next nextFunc) *world {
	w := &world{dice: d, next: next, now: noon}
	w.spec = w.anySpec()
	w.u = New(w.spec)
	w.books = books{processes: map[uint64]*process{}}
	return w
}

func (w *world) chance(n int) bool { return w.roll(n) == n-1 }

func (w *world) lag() time.Duration { return time.Duration(w.roll(5)) * mostLag / 4 }

func (w *world) after(d time.Duration, do func()) {
	w.coming = append(w.coming, happening{w.now.Add(d), do})
}

// pass lets the next thing happen; false where nothing will.
func (w *world) pass() bool {
	if len(w.coming) == 0 {
		return false
	}
	first := 0
	for i, h := range w.coming {
		if h.at.Before(w.coming[first].at) {
			first = i
		}
	}
	h := w.coming[first]
	w.coming = append(w.coming[:first], w.coming[first+1:]...)
	if h.at.After(w.now) {
		w.now = h.at
	}
	h.do()
	return true
}

// tell has the machine take a step, holds that against the laws, and carries out what follows.
func (w *world) tell(e Event) {
	e.At = w.now
	s := taken{event: e, before: w.u}
	s.after, s.effects = w.next(w.spec, w.u, e)
	w.u = s.after
	w.steps++
	w.trace = append(w.trace, s)
	w.note(&s)
	w.judge(lawsOfSteps, &s)
	w.count(&s)
	for _, f := range s.effects {
		w.carryOut(f)
	}
	w.heard(&s)
	w.judge(lawsOfStates, &s)
	if e.Kind >= Spawned && !w.calm && w.chance(12) { // it is told again, soon or when nobody expects it
		w.after(time.Duration(w.roll(20))*time.Second+w.lag(), func() { w.tell(e) })
	}
}

func (w *world) answer(p *process, kind EventKind) {
	w.tell(Event{Kind: kind, Run: p.run, Exit: p.exit})
}

func (w *world) carryOut(f Effect) {
	p := w.processes[f.Run]
	switch f.Kind {
	case Await:
		w.leaves++
		w.after(w.lag(), w.leave)
	case Spawn, Undo:
		w.execute(f)
	case Probe:
		if w.spec.StartTimeout == 0 || !w.chance(4) { // who may never be ready has a timeout
			w.after(time.Duration(w.roll(3))*time.Second+w.lag(), func() { w.answer(p, Ready) })
		}
	case Guard:
		if w.chance(3) {
			w.after(time.Duration(w.roll(15))*time.Second, func() { w.answer(p, Hang) })
		}
	case Dump:
		if w.chance(3) {
			w.after(w.lag(), func() { w.die(p, unit.Exit{Signal: 3}) })
		}
	case Command:
		w.stopCommand(p)
	case Terminate:
		if !p.stubborn {
			w.after(w.lag(), func() { w.die(p, unit.Exit{Signal: f.Signal}) })
		}
	case Sweep:
		p.swept = true
		if !p.stubbornLeftovers {
			w.after(w.lag(), func() { w.vanish(p) })
		}
		w.reportEmpty(p)
	case Kill:
		p.killed = true
		w.after(time.Duration(w.roll(4))*killTime/3, func() {
			w.die(p, unit.Exit{Signal: unit.SIGKILL})
			w.vanish(p)
		})
	case Arm:
		w.arm(f)
	}
}

// leave answers Await.
func (w *world) leave() {
	switch {
	case !w.calm && w.chance(5):
		w.tell(Event{Kind: Held, Reason: unit.AwaitsDependency})
		w.after(w.lag(), w.leave)
	case !w.calm && w.chance(12):
		w.leaves--
		w.tell(Event{Kind: Refused})
		w.after(time.Second, func() { w.tell(Event{Kind: Mended}) })
	default:
		w.leaves--
		w.tell(Event{Kind: Granted})
	}
}

// execute makes a process, or does not; it lives as long as the dice say.
func (w *world) execute(f Effect) {
	p := &process{run: f.Run, undo: f.Kind == Undo}
	w.processes[f.Run] = p
	if w.chance(6) {
		w.after(w.lag(), func() {
			p.failed, p.exit = true, unit.Exit{Code: 127}
			w.tell(Event{Kind: SpawnFailed, Run: p.run, Exit: p.exit, Err: "there is no such file"})
		})
		return
	}
	p.stubborn, p.leftovers = w.chance(3), w.chance(3)
	p.stubbornLeftovers = p.leftovers && w.chance(2)
	bounded := w.spec.Kind == unit.Oneshot && w.spec.StartTimeout == 0
	w.after(w.lag(), func() {
		p.exists = true
		lives := []time.Duration{time.Second, 0, mostLag, 4 * time.Second, 20 * time.Second, 100 * time.Second, 0}
		if life := w.roll(len(lives)); bounded || f.Kind == Undo || life != len(lives)-1 {
			w.after(lives[life], func() { w.die(p, w.anyExit()) })
		}
		w.after(w.lag(), func() {
			p.told = true
			w.answer(p, Spawned)
			if p.dead {
				w.reportDead(p)
			}
		})
	})
}

func (w *world) anyExit() unit.Exit {
	return []unit.Exit{{}, {Code: 1}, {Code: 75}, {Code: 78}, {Signal: 11}}[w.roll(5)]
}

// die is the leader's end; vanish that of what it leaves behind.
func (w *world) die(p *process, e unit.Exit) {
	if p.dead {
		return
	}
	p.dead, p.exit = true, e
	p.empty = !p.leftovers
	if p.told {
		w.reportDead(p)
	}
	w.reportEmpty(p)
}

func (w *world) reportDead(p *process) {
	w.after(w.lag(), func() { w.answer(p, Exited) })
}

func (w *world) vanish(p *process) {
	if p.dead {
		p.leftovers, p.empty = false, true
	} else {
		p.leftovers = false
	}
	w.reportEmpty(p)
}

func (w *world) reportEmpty(p *process) {
	if p.swept && p.empty && !p.reported {
		p.reported = true
		w.after(w.lag(), func() { w.answer(p, Empty) })
	}
}

func (w *world) stopCommand(p *process) {
	how := w.roll(3)
	if how < 2 {
		w.after(time.Duration(w.roll(4))*time.Second, func() { w.answer(p, CommandEnded) })
	}
	if how == 1 && !p.stubborn {
		w.after(w.lag(), func() { w.die(p, unit.Exit{}) })
	}
}

// arm starts a timer. One that was armed anew may fire all the same: it had when that was asked.
func (w *world) arm(f Effect) {
	t := &armed{run: f.Run, serial: f.Serial, due: w.now.Add(f.After)}
	w.timers[f.Timer] = t
	w.after(f.After+time.Duration(w.roll(2))*mostLate, func() {
		if w.timers[f.Timer] == t || w.chance(2) {
			w.tell(Event{Kind: Expired, Timer: f.Timer, Run: f.Run, Serial: f.Serial})
		}
	})
}

// wish is somebody's at the socket, or the supervisor's.
func (w *world) wish() {
	kinds := []EventKind{Start, Start, Start, Start, Stop, Stop, Restart, Restart, Boot, Follow, Mended, Start, Stop, Restart, Freeze, Freeze, Halt, Hurry}
	k := w.roll(len(kinds))
	if k >= len(kinds)-3 && !w.chance(2) { // they end the story; not too soon
		k = 0
	}
	w.tell(Event{Kind: kinds[k]})
}

// word is the run's own, or what a check of it has found.
func (w *world) word() {
	p := w.processes[w.u.Run]
	if p == nil || p.failed || p.heard[Empty] {
		return
	}
	e := Event{Kind: []EventKind{Ping, Ping, Ping, Extend, Extend, Ready, Ending}[w.roll(7)], Run: p.run}
	if e.Kind == Extend {
		e.After = time.Duration(w.roll(30)) * time.Second
	}
	if e.Kind == Ending && p.exists && w.chance(2) {
		w.after(w.lag(), func() { w.die(p, w.anyExit()) })
	}
	w.tell(e)
}

// anySpec is a declaration as the configuration could have it.
func (w *world) anySpec() *unit.Spec {
	s := service()
	s.Restart = []unit.RestartPolicy{unit.RestartAlways, unit.RestartOnFailure, unit.RestartNever}[w.roll(3)]
	s.ExitRules = []unit.ExitRules{nil, {{Code: 75}: unit.VerdictRestart, {Code: 78}: unit.VerdictFail, {Signal: 11}: unit.VerdictDone}}[w.roll(2)]
	s.GiveUp = []unit.GiveUp{{}, {After: 3}, {After: 3, Within: 20 * time.Second}, {After: 1}}[w.roll(4)]
	s.StartTimeout = []time.Duration{0, 2 * time.Second, 20 * time.Second}[w.roll(3)]
	s.StableAfter = []time.Duration{0, 3 * time.Second}[w.roll(2)]
	if w.chance(3) {
		s.Backoff = unit.BackoffRule{Initial: time.Second, Max: 5 * time.Second, Factor: 3, Jitter: 0.5}
	}
	s.Stop.Grace = []time.Duration{5 * time.Second, time.Second, 0}[w.roll(3)]
	s.Stop.GraceMax = []time.Duration{0, 12 * time.Second}[w.roll(2)]
	if w.chance(3) {
		withStopCommand(s)
	}
	if w.chance(3) {
		withSignals(s)
	}
	if w.chance(3) {
		s.Kind = unit.Oneshot
		if w.chance(2) {
			s.Down = []string{"undo"}
		}
		return s
	}
	if w.chance(2) {
		withReadiness(s)
	}
	if w.chance(3) {
		s.Liveness = &unit.Liveness{}
	}
	if w.chance(2) {
		s.Watchdog = 4 * time.Second
	}
	if w.chance(2) {
		withDump(s)
	}
	s.Enabled.On = !w.chance(40)
	return s
}

// story is the last of what happened, for a person to read.
func (w *world) story() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, restart %s, give_up %+v, start timeout %s, grace %s to %s, command %v, %d signals, readiness %v, watchdog %s, dump %v, down %v\n",
		w.spec.Kind, w.spec.Restart, w.spec.GiveUp, w.spec.StartTimeout, w.spec.Stop.Grace, w.spec.Stop.GraceMax, w.spec.Stop.Command,
		len(w.spec.Stop.Signals), w.spec.Readiness, w.spec.Watchdog, w.spec.OnHang != nil, w.spec.Down)
	for _, s := range w.trace[max(0, len(w.trace)-30):] {
		fmt.Fprintf(&b, "%12s  %s", s.event.At.Sub(noon), s.event.Kind)
		if s.event.Kind == Expired {
			fmt.Fprintf(&b, " %s %d", s.event.Timer, s.event.Serial)
		}
		if s.event.Kind >= Spawned {
			fmt.Fprintf(&b, " of run %d", s.event.Run)
		}
		fmt.Fprintf(&b, " => %s %s:", s.after.State, s.after.Reason)
		for _, f := range s.effects {
			fmt.Fprintf(&b, " %s", f.Kind)
			if f.Kind == Arm {
				fmt.Fprintf(&b, " %s %s (%d)", f.Timer, f.After, f.Serial)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
