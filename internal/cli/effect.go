package cli

import (
	"fmt"
	"strings"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// verdict is what a status says about an effect that is waited for.
type verdict int

const (
	pending verdict = iota // it can still come, or the status is older than the request
	reached                // it is there
	lost                   // it will not come
)

// effect judges a status; why belongs to lost. It is pure, and must give the
// same answer whether it has seen the statuses in between or not.
type effect func(s engine.Status) (v verdict, why string)

// upEffect is what start, restart and create wait for: that a run counted from
// first is up, or has done its work, under the wish with this generation or a
// later one. A unit may wait for others before that run begins; that takes as
// long as it takes.
//
// Both numbers are there because a status can be older than the request it is
// read after: the "up" of the run that is being restarted, or the "failed" that
// start was asked for to mend. A failure without a run is told from an older one
// by the time since when it is so: stale is that of the status before the request.
func upEffect(generation, first uint64, stale time.Time) effect {
	return func(s engine.Status) (verdict, string) {
		switch {
		case s.Intent.Generation < generation:
			return pending, ""
		case s.Gone:
			return lost, "it was removed meanwhile"
		case s.Intent.Generation > generation && s.Desired == "down":
			return lost, "it was asked to be down meanwhile, by " + clean(s.Intent.Actor.String())
		case s.Kind == unit.Oneshot && serves(s) && s.Run >= first:
			return reached, ""
		case s.State == unit.Failed && s.Reason == unit.DependencyFailed && !s.Since.Equal(stale):
			return lost, "it is " + isNow(s)
		case s.Last != nil && s.Last.Run >= first && !s.Last.Asked:
			if s.State == unit.Stopping {
				return pending, "" // what follows is decided once nothing of the run is left
			}
			return lost, died(s)
		case s.State == unit.Up && s.Run >= first, elsewhere(s):
			return reached, ""
		case s.State == unit.Disabled, s.State == unit.Down && s.Reason == unit.ContainerStopping:
			return lost, "it is " + isNow(s)
		}
		return pending, ""
	}
}

// firstRun is the number of the first run whose fate answers a start or a
// restart, from the status before the request and the one that answered it.
func firstRun(before, asked engine.Status, restart bool) uint64 {
	switch {
	case asked.State == unit.Waiting:
		return asked.Run + 1 // it has not begun
	case restart && (asked.State == unit.Stopping || asked.Run <= before.Run):
		return asked.Run + 1 // the run that is there is the one that ends
	case restart, asked.State == unit.Starting, asked.State == unit.Up:
		return asked.Run
	}
	return before.Run + 1
}

// downEffect is what stop waits for: that nothing of the unit is left.
func downEffect(generation uint64) effect {
	return func(s engine.Status) (verdict, string) {
		switch {
		case s.Intent.Generation < generation:
			return pending, ""
		case s.Gone:
			return reached, ""
		case s.Intent.Generation > generation && s.Desired == "up":
			return lost, "it was asked to be up meanwhile, by " + clean(s.Intent.Actor.String())
		case ended(s.State):
			return reached, ""
		}
		return pending, ""
	}
}

// goneEffect is what remove waits for. What a directory declares is known anew the moment it is gone, and that it was
// gone may not be seen; then it has no run any more.
func goneEffect(generation uint64) effect {
	return func(s engine.Status) (verdict, string) {
		if s.Gone || s.Origin != "" && s.Intent.Generation >= generation && s.Run == 0 && ended(s.State) {
			return reached, ""
		}
		return pending, ""
	}
}

// elsewhere tells whether a unit that is to run is another container's, which is alive and knows of that.
func elsewhere(s engine.Status) bool { return s.State == unit.Waiting && s.Holder.Alive }

// serves tells whether a unit is as somebody wants it who wants it up. A oneshot is so once its work is done.
func serves(s engine.Status) bool {
	return s.State == unit.Up || s.Kind == unit.Oneshot && s.State == unit.Done
}

// ended tells whether a unit in this state has no process and will not have one by itself.
func ended(s unit.State) bool {
	switch s {
	case unit.Disabled, unit.Down, unit.Failed, unit.Done:
		return true
	}
	return false
}

// died says how a unit's last run ended, as a clause with "it", and what the
// unit is now. Where the reason names that end already, it is not said twice.
func died(s engine.Status) string {
	l, why := s.Last, because(s)
	if l.Error != "" {
		return fmt.Sprintf("it could not be executed: %s; it is now %s", clean(l.Error), s.State)
	}
	after := afterTime(*l)
	switch s.State {
	case unit.Waiting, unit.Starting, unit.Up: // the first failure is answered at once
		return fmt.Sprintf("it died%s: %s; pintle starts it again", after, l.Exit)
	}
	if strings.Contains(why, l.Exit.String()) {
		return fmt.Sprintf("it died%s, and is now %s: %s", after, s.State, why)
	}
	return fmt.Sprintf("it died%s: %s; it is now %s", after, l.Exit, isNow(s))
}

// afterTime is after how long a run ended, as the end of a clause; "" where it is not known when it began.
func afterTime(l engine.RunEnd) string {
	if l.Started.IsZero() {
		return ""
	}
	return " after " + unit.Span(l.Ended.Sub(l.Started))
}
