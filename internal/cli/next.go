package cli

import (
	"fmt"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// next is what will happen, and when.
func next(s engine.Status, now time.Time) string {
	in := "at once"
	if d := s.Next.Sub(now); d > 0 {
		in = "in " + unit.Span(d)
	}
	switch {
	case s.Gone:
		return "nothing; it was removed."
	case s.Reason == unit.ContainerStopping:
		return "the container stops; nothing is started any more."
	}
	switch s.State {
	case unit.Waiting:
		return nextOfWaiting(s, in)
	case unit.Starting:
		switch {
		case s.Kind == unit.Oneshot:
			return "it is done once it has ended as it should."
		case s.ReadyBy != "":
			return "it is up once it is ready by " + clean(s.ReadyBy) + "."
		}
		return "it is up once it has been executed."
	case unit.Up:
		return "it stays up; pintle acts when it ends, or when somebody asks."
	case unit.Stopping:
		text := nextOfStopping(s)
		if !s.Next.IsZero() {
			text += "; SIGKILL follows " + in
		}
		return text + "."
	case unit.Backoff:
		return fmt.Sprintf("run %d starts %s.", s.Run+1, in)
	case unit.Disabled:
		return "nothing, in this container."
	case unit.Failed:
		if s.Reason == unit.DependencyFailed {
			return "it is tried again once " + afterThose(s) + " after all, or when somebody asks."
		}
	}
	return "nothing, until somebody asks."
}

func nextOfWaiting(s engine.Status, in string) string {
	switch s.Reason {
	case unit.AwaitsDependency:
		return "it starts once " + afterThose(s) + "."
	case unit.AwaitsTurn:
		return "it starts once one of the starts that are under way is over."
	case unit.AwaitsLease:
		return "it starts once no other container runs it."
	case unit.AwaitsCalm:
		if s.Next.IsZero() {
			return "it starts once the pause is over."
		}
		return "the pause is over " + in + ", and then it starts."
	}
	return "it starts at once, where nothing keeps it from that."
}

// nextOfStopping has no end, because SIGKILL may follow.
func nextOfStopping(s engine.Status) string {
	switch {
	case s.Reason == unit.Dropped, s.Reason == unit.Vanished:
		return "it is forgotten once no process of this run is left"
	case s.Desired != "up":
		return "it is down once no process of this run is left"
	case s.Reason == unit.Asked, s.Reason == unit.DependencyRestarted:
		return "the next run starts once no process of this one is left"
	case s.Reason == unit.LostLease:
		return "it waits for its lease once no process of this run is left"
	case s.Reason == unit.Changed:
		return "the next run starts, as it is declared now, once no process of this one is left"
	}
	return "what follows is decided once no process of this run is left"
}
