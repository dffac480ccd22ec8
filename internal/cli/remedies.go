package cli

import (
	"pintle/internal/engine"
	"pintle/internal/unit"
)

// remedy is a command that a person can type, and what it would do.
type remedy struct{ command, effect string }

// fewRemedies is how many dependencies a person is sent to at once.
const fewRemedies = 2

// remedies is what a person can do, the likeliest first.
func remedies(s engine.Status) []remedy {
	name := string(s.Name)
	var (
		logs    = remedy{"pintle logs --tail 20 " + name, "shows what it wrote"}
		start   = remedy{"pintle start " + name, "starts it"}
		hurry   = remedy{"pintle start " + name, "starts it now"}
		stop    = remedy{"pintle stop " + name, "stops it"}
		giveUp  = remedy{"pintle stop " + name, "has it wait no longer"}
		restart = remedy{"pintle restart " + name, "starts it afresh"}
		kill    = remedy{"pintle signal KILL " + name, "kills its leader now"}
		wait    = remedy{"pintle wait " + name + " --for up", "returns once it is up"}
		config  = remedy{"pintle config show", "shows how it is declared"}
		diff    = remedy{"pintle diff", "shows what the configuration says now"}
	)
	if s.Kind == unit.Oneshot {
		start.effect, hurry.effect = "has it do its work", "has it do its work now"
		wait = remedy{"pintle wait " + name + " --for done", "returns once it is done"}
	}
	switch {
	case s.Gone && s.Kind == unit.Instance:
		return []remedy{{"pintle create " + name, "makes it anew"}}
	case s.Gone, s.Reason == unit.Dropped && s.State == unit.Down:
		return []remedy{diff}
	case s.Reason == unit.ContainerStopping:
		return nil
	case s.Kind == unit.Main && s.State == unit.Waiting:
		return mending(s)
	case s.Kind == unit.Main: // it lives and ends with the container
		return []remedy{{"pintle signal TERM " + name, "asks it to end, and the container with it"}}
	}
	switch s.State {
	case unit.Disabled:
		return []remedy{{"pintle config show", "shows what switches it: a file needs a reload, a variable a new container"}}
	case unit.Down:
		return []remedy{start}
	case unit.Done:
		if s.Kind == unit.Oneshot {
			start.effect = "has it do its work again"
		}
		return []remedy{start}
	case unit.Waiting:
		if s.Holder.Fence > 0 {
			giveUp.effect = "stops it, in container " + clean(s.Holder.Container) + " too"
		}
		return append(mending(s), giveUp)
	case unit.Starting:
		return []remedy{wait, logs, stop}
	case unit.Up:
		return []remedy{logs, restart, stop}
	case unit.Stopping:
		return []remedy{kill}
	case unit.Backoff:
		return []remedy{logs, hurry, stop}
	case unit.Failed:
		switch s.Reason {
		case unit.DependencyFailed:
			start.effect = "tries again, once that is mended"
			return append(mending(s), start)
		case unit.CannotExecute:
			return []remedy{config, logs, start}
		}
		return []remedy{logs, start}
	}
	return []remedy{logs}
}

// mending is what a person can do about what a unit waits for.
func mending(s engine.Status) []remedy {
	var all []remedy
	switch s.Reason {
	case unit.AwaitsTurn, unit.AwaitsCalm:
		return []remedy{{"pintle status", "shows the other units"}}
	case unit.AwaitsDependency, unit.DependencyFailed:
		for i, d := range unmet(s) {
			if i == fewRemedies {
				break
			}
			on := clean(string(d.On))
			all = append(all, remedy{"pintle why " + on, "says why " + on + " is not there yet"})
			if s.Reason == unit.AwaitsDependency {
				all = append(all, remedy{"pintle start " + on, "starts it, where nobody has asked for that"})
			}
		}
	}
	return all
}
