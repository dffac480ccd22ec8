package peers

import (
	"fmt"
	"slices"
	"time"
)

// many: how long it takes to have a thousand services run, and to know that all of them are ready.
func many(w *workshop) answer {
	n := w.pick(1000, 100, 5)
	a := answer{
		id: "many", title: fmt.Sprintf("Start of %d services", n),
		measured: "From the moment that the supervisor is executed, as PID 1, to the moment that the last service is; and to the one that the supervisor holds the last to be ready, by its own record.",
	}
	for _, ready := range []bool{false, true} {
		what := map[bool]string{false: "all running", true: "all ready"}[ready]
		peers := w.here(bareLoop, goLoop, pintle, s6, runit, supervisord, pebble, processCompose)
		if ready {
			peers = slices.DeleteFunc(peers, func(s supervisor) bool { return s.ready == nil })
		}
		samples := map[string][]float64{}
		for range w.pick(7, 7, 1) {
			for _, s := range peers {
				times := 1
				switch {
				case w.size == smoke:
				case s.name == bareLoop.name, s.name == pintle.name:
					times = 3 // they are quick, and the noise is large beside them
				case w.size == quick && len(samples[s.name]) >= 3 && slices.Min(samples[s.name]) > 500:
					continue
				}
				for range times {
					samples[s.name] = append(samples[s.name], ms(manyOnce(w, s, plan{n: n, ready: ready})))
				}
			}
		}
		best := 0.0
		for _, s := range peers {
			f := figure{peer: s.name, what: what, unit: "ms", samples: samples[s.name]}
			a.figures = append(a.figures, f)
			if s.name != bareLoop.name && s.name != goLoop.name && s.name != pintle.name && (best == 0 || f.median() < best) {
				best = f.median()
			}
		}
		ours := figure{samples: samples[pintle.name]}.median()
		a.goals = append(a.goals, goal{what: what + ": at most 1.3 × the bare loop", got: ours / figure{samples: samples[bareLoop.name]}.median(), atMost: 1.3})
		if best > 0 {
			a.goals = append(a.goals, goal{what: what + ": less than 1 × the best peer", got: ours / best, atMost: 1})
		}
	}
	a.notes = append(a.notes, "runit, supervisord and pebble have no readiness by notification, and a loop in Go no need for it.")
	if w.size == quick {
		a.notes = append(a.notes, "This quick run has 100 services where a full one has 1,000, and who takes longer than 0.5 s was measured three times only.")
	}
	a.notes = append(a.notes, w.absent("s6", "runit", "supervisord", "pebble", "process-compose")...)
	return a
}

// manyOnce starts a plan once and returns how long it took.
func manyOnce(w *workshop, s supervisor, p plan) time.Duration {
	w.Helper()
	c := w.start(s, p)
	defer c.end()
	want := p.n
	if s.name == pintle.name {
		want++ // its main
	}
	last := time.Duration(0)
	for _, r := range c.next("started", want) {
		if r.index >= 0 {
			last = max(last, r.at)
		}
	}
	if p.ready {
		last = s.ready(c, p)
	}
	return last - c.began
}
