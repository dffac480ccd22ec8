package lifecycle

import (
	"reflect"
	"sync"
	"testing"
	"time"

	"pintle/internal/unit"
)

// explored is what the machine does, found by having it do all that it can.
type explored struct {
	// cells are by state and by event, an expired timer being an event of its own.
	cells map[unit.State]map[string]*outcomes
	// reasons are the states in which each was seen.
	reasons map[unit.Reason]map[unit.State]bool
	units   int
}

// outcomes are what an event led to in a state, by the state that follows.
type outcomes struct {
	// tries are how often the event could happen; it was ignored in the rest.
	tries int
	to    map[unit.State]*outcome
	kind  EventKind
}

type outcome struct {
	times   int
	effects map[string]int
}

// effectName is an effect's name in the table: Arm is by its timer.
func effectName(f Effect) string {
	if f.Kind == Arm {
		return f.Timer.String() + " timer"
	}
	return f.Kind.String()
}

// explorable are declarations that together use all that there is.
func explorable() []*unit.Spec {
	rules := func(s *unit.Spec) { s.ExitRules = unit.ExitRules{{Code: 78}: unit.VerdictFail} }
	onFailure := func(s *unit.Spec) { s.Restart = unit.RestartOnFailure }
	giveUp := func(s *unit.Spec) { s.GiveUp.After = 3 }
	limited := func(s *unit.Spec) { s.StartTimeout = time.Minute }
	unexecuted := func(s *unit.Spec) { s.ExitRules = unit.ExitRules{{Code: 127}: unit.VerdictDone} }
	alive := func(s *unit.Spec) { s.Liveness = &unit.Liveness{} }
	return []*unit.Spec{
		service(rules, giveUp, withWatchdog),
		service(onFailure, withReadiness, limited, withSignals, withGraceMax, rules, alive, withDump),
		service(onFailure, withReadiness, limited, withStopCommand, withSignals, withWatchdog, withDump),
		service(withStopCommand, withWatchdog, alive),
		service(unexecuted),
		oneshot(limited),
		oneshot(onFailure, giveUp, func(s *unit.Spec) { s.Down = nil }),
		service(func(s *unit.Spec) { s.Enabled.On = false }),
	}
}

// explore goes wherever an event can lead to, from the beginning.
var explore = sync.OnceValue(func() *explored {
	x := &explored{cells: map[unit.State]map[string]*outcomes{}, reasons: map[unit.Reason]map[unit.State]bool{}}
	for _, spec := range explorable() {
		first := New(spec)
		seen, todo := map[Unit]bool{likeness(first): true}, []Unit{first}
		for len(todo) > 0 {
			u := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			x.units++
			for _, e := range possible(u) {
				after, effects := Next(spec, u, e)
				x.note(u, e, after, effects)
				if k := likeness(after); !seen[k] {
					seen[k] = true
					todo = append(todo, after)
				}
			}
		}
	}
	return x
})

// likeness leaves out of a unit what has no influence on where it can go, so that there is an end to where it can.
func likeness(u Unit) Unit {
	u.Run = min(u.Run, 1)
	u.Failures = min(u.Failures, 3)
	u.ExecError, u.failed, u.serial, u.deadline, u.latest = "", nil, 0, time.Time{}, time.Time{}
	for t := range u.armed {
		u.armed[t] = min(u.armed[t], 1)
	}
	if !u.Ended {
		u.Exit = unit.Exit{}
	}
	if u.State != unit.Stopping {
		if u.State != unit.Failed {
			u.Reason = ""
		}
		u.Ready, u.Killed, u.signals = u.Ready && u.Alive(), false, 0
		u.Exit, u.Cause, u.Asked, u.next = unit.Exit{}, "", false, byPolicy
	}
	return u
}

// possible are the events that can happen to a unit: a leader that does not exist does not exit.
func possible(u Unit) []Event {
	var list []Event
	for k := range eventKinds {
		e := Event{Kind: k, At: noon, Run: u.Run}
		switch k {
		case Spawned:
			if !u.Alive() || u.Executed || u.Ended {
				continue
			}
		case SpawnFailed:
			if !u.Alive() || u.Executed || u.Ended {
				continue
			}
			e.Exit.Code, e.Err = 127, "there is no such file"
		case Exited:
			if !u.Alive() || !u.Executed || u.Ended {
				continue
			}
			for _, code := range []int{1, 78} {
				e.Exit.Code = code
				list = append(list, e)
			}
			e.Exit.Code = 0
		case Empty:
			if !u.Alive() || !u.Ended {
				continue
			}
		case Ready, Hang, Ping, Extend, Ending, CommandEnded:
			e.After = 2 * time.Minute
			if u.Run == 0 {
				continue
			}
		case Held:
			for _, r := range []unit.Reason{unit.AwaitsDependency, unit.AwaitsTurn} {
				e.Reason = r
				list = append(list, e)
			}
			e.Reason = unit.AwaitsCalm
		case Expired:
			for t := range timers {
				if u.armed[t] != 0 {
					e.Timer, e.Serial = t, u.armed[t]
					list = append(list, e)
				}
			}
			continue
		}
		list = append(list, e)
	}
	return list
}

// eventName is an event's name in the table: Expired is by its timer.
func eventName(e Event) string {
	if e.Kind == Expired {
		return e.Timer.String() + " timer"
	}
	return e.Kind.String()
}

func (x *explored) note(u Unit, e Event, after Unit, effects []Effect) {
	if x.reasons[after.Reason] == nil {
		x.reasons[after.Reason] = map[unit.State]bool{}
	}
	x.reasons[after.Reason][after.State] = true
	if x.cells[u.State] == nil {
		x.cells[u.State] = map[string]*outcomes{}
	}
	c := x.cells[u.State][eventName(e)]
	if c == nil {
		c = &outcomes{to: map[unit.State]*outcome{}, kind: e.Kind}
		x.cells[u.State][eventName(e)] = c
	}
	c.tries++
	disarmed := u
	if e.Kind == Expired { // that the timer is over is no outcome
		disarmed.armed[e.Timer] = 0
	}
	if after == disarmed && len(effects) == 0 {
		return
	}
	o := c.to[after.State]
	if o == nil {
		o = &outcome{effects: map[string]int{}}
		c.to[after.State] = o
	}
	o.times++
	for _, f := range effects {
		o.effects[effectName(f)]++
	}
}

// TestNoCellIsDead: a cell of the table that has an answer gives it to something that can happen, and a cell that
// ignores an event does so to the letter.
func TestNoCellIsDead(t *testing.T) {
	t.Parallel()
	x := explore()
	ignored := reflect.ValueOf(cell(ignore)).Pointer()
	for i, row := range table {
		acts := map[EventKind]bool{}
		for _, c := range x.cells[unit.States[i]] {
			acts[c.kind] = acts[c.kind] || len(c.to) > 0
		}
		for k, c := range row {
			if want := reflect.ValueOf(c).Pointer() != ignored; acts[EventKind(k)] != want {
				t.Errorf("%s, %s: it acts is %v, want %v", unit.States[i], EventKind(k), acts[EventKind(k)], want)
			}
		}
	}
	t.Logf("%d different units", x.units)
}
