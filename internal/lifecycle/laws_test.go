package lifecycle

import (
	"fmt"
	"slices"
	"time"

	"pintle/internal/unit"
)

// A law is what must be so of every step. It says what is not, or nothing.
type law struct {
	name  string
	holds func(*world, *taken) string
}

// lawsOfSteps are about a step, before its effects are carried out; lawsOfStates about what is so afterwards.
var (
	lawsOfSteps = []law{
		{"at most one run lives", atMostOneRun},
		{"a halted unit starts nothing", haltedStartsNothing},
		{"what is stale changes nothing", staleChangesNothing},
		{"an effect is for a run that exists", effectsAreForARunThatExists},
		{"a stop is never refused", aStopIsNeverRefused},
		{"a oneshot that is done is undone", doneIsUndone},
		{"up is ready", upIsReady},
		{"a wish is kept when the run is over", wishesAreKept},
		{"what nobody asked for is judged by the rules", endsAreJudged},
		{"a backoff is waited for", backoffIsWaitedFor},
		{"a grace period is given", graceIsGiven},
		{"an extension is never beyond the cap nor for less", extensionsHold},
		{"a run that gives signs of life does not hang", signsOfLifeCount},
	}
	lawsOfStates = []law{
		{"a unit without a run has no process", restIsEmpty},
		{"failures are counted", failuresAreCounted},
		{"every wait has an end", everyWaitEnds},
		{"signals come, one by one", signalsCome},
		{"SIGKILL comes", killComes},
		{"a start is bounded", startsAreBounded},
		{"a watchdog bites", watchdogBites},
		{"a stable run is known to be", stableIsFound},
	}
)

// broken is a law that does not hold.
type broken struct{ law, what string }

func (b broken) Error() string { return b.law + ": " + b.what }

func (w *world) judge(laws []law, s *taken) {
	for _, l := range laws {
		if what := l.holds(w, s); what != "" {
			panic(broken{l.name, what})
		}
	}
}

func does(s *taken, kinds ...EffectKind) bool {
	return slices.ContainsFunc(s.effects, func(f Effect) bool { return slices.Contains(kinds, f.Kind) })
}

func atMostOneRun(w *world, s *taken) string {
	for _, f := range s.effects {
		if f.Kind != Spawn && f.Kind != Undo {
			continue
		}
		for _, p := range w.processes {
			if p.live() || p.run >= f.Run {
				return fmt.Sprintf("run %d begins while run %d lives, or did already", f.Run, p.run)
			}
		}
	}
	return ""
}

func haltedStartsNothing(w *world, s *taken) string {
	if w.halted && does(s, Spawn, Await) {
		return "it starts, or asks for leave to"
	}
	if restart := s.event.Kind == Restart || s.event.Kind == Follow; w.halted && restart && s.before.State != s.after.State {
		return fmt.Sprintf("%s ends what would not come back", s.event.Kind)
	}
	return ""
}

func staleChangesNothing(w *world, s *taken) string {
	if w.stale(s) && (s.before != s.after || len(s.effects) > 0) {
		return fmt.Sprintf("%s of run %d has an effect", s.event.Kind, s.event.Run)
	}
	return ""
}

func effectsAreForARunThatExists(w *world, s *taken) string {
	for _, f := range s.effects {
		p := w.processes[f.Run]
		switch f.Kind {
		case Probe, Guard, Dump, Command, Terminate, Sweep, Kill:
			if p == nil || !p.told || f.Run != s.after.Run {
				return fmt.Sprintf("%s is for run %d, whose leader nobody has seen", f.Kind, f.Run)
			}
		}
		if f.Kind == Kill && p.killed {
			return fmt.Sprintf("run %d is killed twice", f.Run)
		}
		if f.Kind == Sweep && !p.heard[Exited] && s.event.Kind != Exited {
			return fmt.Sprintf("run %d is swept before its leader has ended", f.Run)
		}
	}
	return ""
}

// aStopIsNeverRefused: a stop leads away from alive in every state, and a leader that exists is told so at once.
func aStopIsNeverRefused(w *world, s *taken) string {
	if s.event.Kind != Stop && s.event.Kind != Halt {
		return ""
	}
	to := s.after.State
	switch s.before.State {
	case unit.Starting, unit.Up:
		if to != unit.Stopping {
			return fmt.Sprintf("from %s to %s", s.before.State, to)
		}
		if p := w.processes[s.before.Run]; p.told && !does(s, Terminate, Command, Kill) {
			return "nobody tells the run"
		}
	case unit.Waiting, unit.Backoff:
		if to != unit.Down {
			return fmt.Sprintf("from %s to %s", s.before.State, to)
		}
	case unit.Failed, unit.Done:
		if s.event.Kind == Stop && to != unit.Down && to != unit.Stopping {
			return fmt.Sprintf("from %s to %s", s.before.State, to)
		}
	}
	return ""
}

func doneIsUndone(w *world, s *taken) string {
	asked := s.event.Kind == Stop || s.event.Kind == Halt || s.event.Kind == Restart && !w.halted
	if s.before.State == unit.Done && asked && len(w.spec.Down) > 0 && !w.hurried && !does(s, Undo) {
		return fmt.Sprintf("%s does not", s.event.Kind)
	}
	return ""
}

func upIsReady(w *world, s *taken) string {
	if s.after.State != unit.Up || s.before.State == unit.Up {
		return ""
	}
	p := w.processes[s.after.Run]
	switch {
	case p == nil || !p.told:
		return "its leader does not exist"
	case w.spec.Kind == unit.Oneshot:
		return "it is a oneshot"
	case w.spec.Readiness != nil && s.event.Kind != Ready:
		return "it did not say so"
	}
	return ""
}

func wishesAreKept(w *world, s *taken) string {
	if !w.over(s) {
		return ""
	}
	to := s.after.State
	switch did := w.accomplished(s); {
	case did && w.wanted == nothing:
		return want(to == unit.Done, "a oneshot that did its work is %s", to)
	case did:
		return want(does(s, Undo), "what was done is not undone before it is %s", to)
	case w.halted || w.wanted == wantsDown:
		return want(to == unit.Down, "down is wanted, and it is %s", to)
	case w.wanted != nothing:
		return want(to == unit.Waiting && does(s, Await), "another run is wanted, and it is %s", to)
	}
	return ""
}

func want(ok bool, format string, args ...any) string {
	if ok {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// endsAreJudged: the next state and the delay are what the rules say about failures that somebody else has counted.
func endsAreJudged(w *world, s *taken) string {
	if !w.over(s) || w.wanted != nothing || w.halted {
		return ""
	}
	d, to := w.decision(s), s.after.State
	switch {
	case d.Verdict == unit.VerdictDone:
		return want(to == unit.Done, "done is right, and it is %s", to)
	case d.Verdict == unit.VerdictFail:
		return want(to == unit.Failed && s.after.Reason == d.Reason, "failed (%s) is right after failure %d, and it is %s", d.Reason, w.failures+1, to)
	case d.Delay == 0:
		return want(to == unit.Waiting && does(s, Await), "at once is right after failure %d, and it is %s", w.failures+1, to)
	}
	var got time.Duration
	for _, f := range s.effects {
		if f.Kind == Arm && f.Timer == BackoffTimer {
			got = f.After
		}
	}
	return want(to == unit.Backoff && got == d.Delay, "a backoff of %s is right after failure %d, and it is %s with %s", d.Delay, w.failures+1, to, got)
}

func backoffIsWaitedFor(w *world, s *taken) string {
	if s.before.State != unit.Backoff || s.event.Kind != Expired || s.after.State == unit.Backoff {
		return ""
	}
	t := w.timers[BackoffTimer]
	return want(s.event.Timer == BackoffTimer && !w.now.Before(t.due), "it ends by %s at %s, due at %s", s.event.Timer, w.now, t.due)
}

func graceIsGiven(w *world, s *taken) string {
	if !does(s, Kill) || w.hurried {
		return ""
	}
	return want(!w.killFrom.IsZero() && !w.now.Before(w.killFrom), "it is killed at %s, due from %s", w.now, w.killFrom)
}

func extensionsHold(w *world, s *taken) string {
	for _, f := range s.effects {
		if f.Kind != Arm || f.Timer != GraceTimer {
			continue
		}
		due, before := w.now.Add(f.After), w.timers[GraceTimer]
		switch {
		case !w.killBy.IsZero() && due.After(w.killBy):
			return fmt.Sprintf("it has until %s, and at most %s is allowed", due, w.killBy)
		case before != nil && before.run == f.Run && due.Before(before.due):
			return fmt.Sprintf("it had until %s, and now has until %s", before.due, due)
		}
	}
	return ""
}

func signsOfLifeCount(w *world, s *taken) string {
	if s.before.State != unit.Up || s.after.State == unit.Up || s.event.Kind != Expired {
		return ""
	}
	return want(!w.now.Before(w.sign.Add(w.spec.Watchdog)), "the last sign was at %s, and at %s it hangs", w.sign, w.now)
}

func restIsEmpty(w *world, _ *taken) string {
	if w.u.Alive() {
		return ""
	}
	for _, p := range w.processes {
		if p.live() {
			return fmt.Sprintf("it is %s while run %d lives", w.u.State, p.run)
		}
	}
	return ""
}

func failuresAreCounted(w *world, _ *taken) string {
	return want(w.u.Failures == w.failures, "%d are counted of %d", w.u.Failures, w.failures)
}

// everyWaitEnds: a state that is not settled has an answer under way, or a timer.
func everyWaitEnds(w *world, _ *taken) string {
	p := w.processes[w.u.Run]
	pending := func(k Timer) bool {
		t := w.timers[k]
		return t != nil && !t.fired && t.run == w.u.Run
	}
	switch w.u.State {
	case unit.Waiting:
		return want(w.leaves > 0, "nobody gives it leave")
	case unit.Starting:
		return want(p != nil && !p.heard[SpawnFailed] && !p.heard[Exited], "its run is over")
	case unit.Backoff:
		return want(pending(BackoffTimer), "no timer ends the backoff")
	case unit.Stopping:
		switch {
		case !p.told:
			return want(!p.failed, "it could not be executed and is still stopping")
		case p.heard[Empty]:
			return "its set is empty and it is still stopping"
		case p.killed:
			return want(!p.heard[Exited] || p.swept, "nobody looks what is left")
		case p.heard[Exited]:
			return want(p.swept && pending(GraceTimer), "nothing ends what the leader left behind")
		}
		return want(pending(GraceTimer) || pending(HangTimer), "no timer ends the stop")
	}
	return ""
}

// signalsCome: each in its time while the leader lives, and the first in the middle of the grace period at the latest.
func signalsCome(w *world, s *taken) string {
	p := w.processes[w.u.Run]
	for _, f := range s.effects {
		if list := w.spec.Stop.Signals; f.Kind == Terminate && len(list) > 0 && f.Signal != list[w.signals-1].Signal {
			return fmt.Sprintf("signal %d is %s", w.signals, f.Signal)
		}
	}
	if w.u.State != unit.Stopping || w.signalBy.IsZero() || p.heard[Exited] || p.killed {
		return ""
	}
	return want(!w.now.After(w.signalBy.Add(mostLate)), "it is %s, and signal %d was due at %s", w.now, w.signals+1, w.signalBy)
}

func killComes(w *world, _ *taken) string {
	p := w.processes[w.u.Run]
	if w.u.State != unit.Stopping || w.killBy.IsZero() || p.killed {
		return ""
	}
	return want(!w.now.After(w.killBy.Add(mostLate)), "it is %s, and run %d should be killed by %s", w.now, p.run, w.killBy)
}

func startsAreBounded(w *world, _ *taken) string {
	if w.u.State != unit.Starting || w.startBy.IsZero() || w.spec.Kind != unit.Oneshot && w.spec.Readiness == nil {
		return ""
	}
	return want(!w.now.After(w.startBy.Add(mostLate)), "it is %s, and the start had until %s", w.now, w.startBy)
}

func watchdogBites(w *world, _ *taken) string {
	if w.u.State != unit.Up || w.spec.Watchdog == 0 {
		return ""
	}
	return want(!w.now.After(w.sign.Add(w.spec.Watchdog+mostLate)), "it is %s, and the last sign was at %s", w.now, w.sign)
}

func stableIsFound(w *world, _ *taken) string {
	after := w.spec.StableAfter
	if after == 0 {
		after = unit.DefaultStableAfter
	}
	if w.u.State != unit.Up || w.stable {
		return ""
	}
	return want(!w.now.After(w.upSince.Add(after+mostLate)), "it is %s, and up since %s", w.now, w.upSince)
}
