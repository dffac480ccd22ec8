package process

import "testing"

// TestWhenNoLookIsNeeded: all processes are looked at only where something may be left of a run, and then they are.
func TestWhenNoLookIsNeeded(t *testing.T) {
	inBothForms(t, container, func(w *world) {
		other := w.start(hostile.does("say other sleep")) // whom nothing of this concerns
		other.hears("other")
		for range rounds(10) {
			before := w.census.looks.Load()
			l := w.start(hostile.does("exit 0"))
			l.ends()
			l.sweep()
			l.emptied()
			if n := w.census.looks.Load() - before; n != 0 {
				w.t.Errorf("there were %d looks for a run that left nothing", n)
			}
		}
		for _, leaves := range []string{"fork [ setsid say left sleep ]", "fork [ setsid fork [ setsid say left sleep ] exit 0 ]"} {
			l := w.start(hostile.does(leaves + " sleep"))
			left := l.hears("left")
			must(w.t, l.Run.Signal(9))
			l.ends()
			l.sweep()
			l.emptied()
			if isThere(left) {
				w.t.Errorf("%s: it was told empty, and process %d is left", leaves, left.pid)
			}
		}
		l := w.start(hostile.does("exit 0"))
		l.ends()
		_, err := l.of(w, "say probe sleep")
		must(w.t, err)
		l.sweep()
		l.emptied()
	})
}

// TestAllThatIsThere: the end needs no look where no process is left, and comes to none while one is.
func TestAllThatIsThere(t *testing.T) {
	alone(t, surroundings{PID1: true}, func(t *testing.T) {
		w := newWorld(t)
		before := w.census.looks.Load()
		empty := make(chan bool, 1)
		w.Everything().Sweep(func() { empty <- true }, nil)
		within(t, "the end of nothing", empty)
		if n := w.census.looks.Load() - before; n != 0 {
			t.Errorf("there were %d looks for nothing", n)
		}
		l := w.start(Command{Path: "/bin/sleep", Args: []string{"sleep", "100"}})
		w.Everything().Sweep(func() { empty <- true }, nil)
		within(t, "the end of what was there", empty)
		l.ends()
	})
}

func isThere(p process) bool {
	now, ok := readProcess(p.pid)
	return ok && now.process == p
}
