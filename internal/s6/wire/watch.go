package wire

import "strings"

// A Goal is a state of a service that somebody waits for.
type Goal struct {
	Up bool
	// Ready: when it is to be up, that its run says so; when it is to be down, that finish has ended, too.
	Ready bool
}

// A Watch knows from what services said whether all of them, or one, have reached a goal, as s6-svwait does. It is
// right if who watches listens first, then reads the statuses, and then tells it every event that was heard.
type Watch struct {
	goal Goal
	some bool
	// state is what is known of each service.
	state []Goal
	// Failed is how many services will never get there: they failed for good, or their supervisor ended.
	Failed int
}

// NewWatch begins with the statuses as they are. With some set, one service suffices.
func NewWatch(goal Goal, some bool, statuses ...Status) *Watch {
	w := &Watch{goal: goal, some: some, state: make([]Goal, len(statuses))}
	for i, s := range statuses {
		w.state[i] = Goal{Up: s.Up(), Ready: s.ReadyFlag}
	}
	return w
}

// Done tells whether the goal is reached, or is out of reach (see Failed).
func (w *Watch) Done() bool {
	for _, s := range w.state {
		if there := s.Up == w.goal.Up && (s.Ready || !w.goal.Ready); there == w.some {
			return w.some
		}
	}
	return !w.some
}

// Hear takes one event byte of the service with that index. Nothing is to be told after Done.
func (w *Watch) Hear(service int, event byte) {
	s := &w.state[service]
	switch {
	case event == 'x':
		// By s6's own account a service counts as failed here also when it only is readier than it has to be.
		if *s != w.goal {
			w.Failed++
		}
		*s = w.goal
	case event == 'O':
		if w.goal.Up {
			w.Failed++
			*s = w.goal
		}
	case strings.IndexByte("dDuU", event) >= 0:
		*s = Goal{Up: event == 'u' || event == 'U', Ready: event == 'D' || event == 'U'}
	}
}

// Again sets another goal for what is known by now: to wait for a restart is to wait for down and then for up.
func (w *Watch) Again(goal Goal) { w.goal = goal }
