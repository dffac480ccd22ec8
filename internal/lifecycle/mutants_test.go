package lifecycle

import (
	"slices"
	"testing"
	"time"

	"pintle/internal/unit"
)

// A mutant is the machine with one mistake in it.
type mutant struct {
	name string
	next nextFunc
}

// without is a machine that loses some of its effects.
func without(lost func(Effect) bool) nextFunc {
	return func(spec *unit.Spec, u Unit, e Event) (Unit, []Effect) {
		u, effects := Next(spec, u, e)
		return u, slices.DeleteFunc(effects, lost)
	}
}

func withoutKind(k EffectKind) nextFunc { return without(func(f Effect) bool { return f.Kind == k }) }

func withoutTimer(t Timer) nextFunc {
	return without(func(f Effect) bool { return f.Kind == Arm && f.Timer == t })
}

// misread is a machine that takes something for what it is not, before it thinks.
func misread(change func(spec *unit.Spec, u *Unit, e *Event)) nextFunc {
	return func(spec *unit.Spec, u Unit, e Event) (Unit, []Effect) {
		s := *spec
		change(&s, &u, &e)
		return Next(&s, u, e)
	}
}

// deaf is a machine that does not hear an event in a state.
func deaf(s unit.State, kinds ...EventKind) nextFunc {
	return func(spec *unit.Spec, u Unit, e Event) (Unit, []Effect) {
		if u.State == s && slices.Contains(kinds, e.Kind) {
			return u, nil
		}
		return Next(spec, u, e)
	}
}

// forgetful is a machine that changes its mind once it has thought.
func forgetful(change func(before Unit, after *Unit, e Event, effects []Effect)) nextFunc {
	return func(spec *unit.Spec, u Unit, e Event) (Unit, []Effect) {
		after, effects := Next(spec, u, e)
		change(u, &after, e, effects)
		return after, effects
	}
}

// hasty is a machine that takes the next step, too, where it should wait for what causes it.
func hasty(first EventKind, second Event, from ...unit.State) nextFunc {
	return func(spec *unit.Spec, u Unit, e Event) (Unit, []Effect) {
		hasty := e.Kind == first && slices.Contains(from, u.State) && !u.stale(e)
		u, effects := Next(spec, u, e)
		if hasty {
			second.At, second.Run, second.Exit = e.At, u.Run, e.Exit
			var more []Effect
			u, more = Next(spec, u, second)
			effects = append(effects, more...)
		}
		return u, effects
	}
}

var mutants = []mutant{
	{"an old run's events count", misread(func(_ *unit.Spec, u *Unit, e *Event) {
		if e.Kind >= Spawned && e.Kind < Expired {
			e.Run = u.Run
		}
	})},
	{"a timer counts that was armed anew", misread(func(_ *unit.Spec, u *Unit, e *Event) {
		if e.Kind == Expired {
			e.Serial = u.armed[e.Timer]
		}
	})},
	{"every timer is the backoff's", misread(func(_ *unit.Spec, u *Unit, e *Event) {
		if e.Kind == Expired && u.State == unit.Backoff {
			e.Timer, e.Serial = BackoffTimer, u.armed[BackoffTimer]
		}
	})},
	{"the leader is announced twice", misread(func(_ *unit.Spec, u *Unit, e *Event) {
		if e.Kind == Spawned && e.Run == u.Run {
			u.Executed = false
		}
	})},
	{"ready is believed before the leader exists", misread(func(_ *unit.Spec, u *Unit, e *Event) {
		if e.Kind == Ready && u.State == unit.Starting {
			u.Executed = true
		}
	})},
	{"give_up counts one too many", misread(func(s *unit.Spec, _ *Unit, _ *Event) {
		if s.GiveUp.After > 0 {
			s.GiveUp.After++
		}
	})},
	{"give_up forgets its time", misread(func(s *unit.Spec, _ *Unit, _ *Event) { s.GiveUp.Within = 0 })},
	{"an extension has no cap", misread(func(_ *unit.Spec, u *Unit, e *Event) {
		if e.Kind == Extend {
			u.latest = u.latest.Add(time.Hour)
		}
	})},
	{"an extension may be for less", misread(func(_ *unit.Spec, u *Unit, e *Event) {
		if e.Kind == Extend {
			u.deadline = time.Time{}
		}
	})},
	{"nothing is undone", misread(func(s *unit.Spec, u *Unit, _ *Event) {
		if u.State == unit.Done {
			s.Down = nil
		}
	})},
	{"what is done just before a stop is not undone", misread(func(s *unit.Spec, u *Unit, e *Event) {
		if e.Kind == Empty && !u.Undoing {
			s.Down = nil
		}
	})},
	{"the set is not waited for", hasty(Exited, Event{Kind: Empty}, unit.Starting, unit.Up, unit.Stopping)},
	{"readiness is not waited for", hasty(Spawned, Event{Kind: Ready}, unit.Starting)},
	{"a restart does not wait for the run before", func(spec *unit.Spec, u Unit, e Event) (Unit, []Effect) {
		if e.Kind == Restart && u.State == unit.Up {
			u.State = unit.Waiting
			return Next(spec, u, Event{Kind: Granted, At: e.At})
		}
		return Next(spec, u, e)
	}},
	{"no patience at all", hasty(Stop, Event{Kind: Hurry}, unit.Up)},
	{"a stop is not heard while it starts", deaf(unit.Starting, Stop)},
	{"a stop is not heard while it waits", deaf(unit.Waiting, Stop)},
	{"a halt is not heard while it is up", deaf(unit.Up, Halt)},
	{"a wish is not heard while it stops", deaf(unit.Stopping, Start, Restart)},
	{"a stop is not heard while it stops", deaf(unit.Stopping, Stop)},
	{"a start that fails is not heard while it stops", deaf(unit.Stopping, SpawnFailed)},
	{"a ping is not heard", deaf(unit.Up, Ping)},
	{"a hang is not heard while it is up", deaf(unit.Up, Expired)},
	{"failures are never forgotten", forgetful(func(before Unit, after *Unit, _ Event, _ []Effect) {
		after.Failures = max(after.Failures, before.Failures)
	})},
	{"failures are forgotten at each start", forgetful(func(_ Unit, after *Unit, _ Event, effects []Effect) {
		if slices.ContainsFunc(effects, func(f Effect) bool { return f.Kind == Spawn }) {
			after.Failures, after.failed = 0, nil
		}
	})},
	{"an end that was asked for is judged", forgetful(func(_ Unit, after *Unit, e Event, _ []Effect) {
		if e.Kind == Stop && after.State == unit.Stopping {
			after.next = byPolicy
		}
	})},
	{"the halt is forgotten", forgetful(func(_ Unit, after *Unit, e Event, _ []Effect) {
		if e.Kind == Halt || e.Kind == Freeze {
			after.Halted = false
		}
	})},
	{"a restart ends what is halted", misread(func(_ *unit.Spec, u *Unit, e *Event) {
		if e.Kind == Restart && u.State == unit.Up {
			u.Halted = false
		}
	})},
	{"every backoff is the first", forgetful(func(_ Unit, _ *Unit, _ Event, effects []Effect) {
		for i := range effects {
			if effects[i].Kind == Arm && effects[i].Timer == BackoffTimer {
				effects[i].After = unit.DefaultBackoff.Initial
			}
		}
	})},
	{"no backoff timer", withoutTimer(BackoffTimer)},
	{"no start timer", withoutTimer(StartTimer)},
	{"no stable timer", withoutTimer(StableTimer)},
	{"no watchdog timer", withoutTimer(WatchdogTimer)},
	{"no hang timer", withoutTimer(HangTimer)},
	{"no command timer", withoutTimer(CommandTimer)},
	{"no signal timer", withoutTimer(SignalTimer)},
	{"no grace timer", withoutTimer(GraceTimer)},
	{"no leave is asked for", withoutKind(Await)},
	{"no signal", withoutKind(Terminate)},
	{"no SIGKILL", withoutKind(Kill)},
	{"no sweep", withoutKind(Sweep)},
	{"no probe", withoutKind(Probe)},
	{"no undo", withoutKind(Undo)},
}

// TestTheLawsFindMistakes: each broken machine breaks a law soon, with dice that do the true one no harm.
func TestTheLawsFindMistakes(t *testing.T) {
	t.Parallel()
	const soon = 50_000
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			steps := 0
			for seed := uint64(1); steps < soon; seed++ {
				w, err := live(seeded(seed), m.next)
				steps += w.steps
				if err != nil {
					t.Logf("after %d steps: %v", steps, err)
					return
				}
			}
			t.Errorf("nobody has noticed in %d steps", steps)
		})
	}
}
