package peers

import (
	"fmt"
	"os"
	"path/filepath"
)

// memory: what a supervisor of a thousand services with logs takes.
func memory(w *workshop) answer {
	n := w.pick(1000, 200, 5)
	a := answer{
		id: "memory", title: fmt.Sprintf("Memory beside %d services with a log file each", n),
		measured: "Proportional set size of all processes that are no service (supervisors, loggers, helpers), after each service has written a line, " + settled + ".",
	}
	peers := w.here(pintle, s6, runit, supervisord, processCompose)
	if w.has(pebble.name, pebble.programs...) {
		peers = append(peers, pebble)
	}
	samples := map[string][]float64{}
	for range w.pick(7, 1, 1) {
		for _, s := range peers {
			c := w.start(s, plan{n: n, logs: true})
			c.next("started", n)
			w.until(s.name+" has written each log", func() bool { return s.name == pebble.name || written(c.dir, n) })
			w.settle(s)
			samples[s.name] = append(samples[s.name], w.pssOf(c.processes(false)))
			c.end()
		}
	}
	best := 0.0
	for _, s := range peers {
		a.figures = append(a.figures, figure{peer: s.name, unit: "MB", samples: samples[s.name]})
		if m := middle(samples[s.name]); s.name != pintle.name && s.logs && (best == 0 || m < best) {
			best = m
		}
	}
	ours := middle(samples[pintle.name])
	a.goals = append(a.goals, goal{what: "under 25 MB", got: ours, atMost: 25})
	if best > 0 {
		a.goals = append(a.goals, goal{what: "at most half of the best peer that logs", got: ours / best, atMost: 0.5})
	}
	a.notes = append(a.notes, "pebble keeps output in memory only, and is no peer that logs.")
	if w.size == quick {
		a.notes = append(a.notes, "This quick run has 300 services where a full one has 1,000; each peer was started once.")
	}
	a.notes = append(a.notes, w.absent("s6", "runit", "supervisord", "pebble", "process-compose")...)
	return a
}

// written tells whether every service's line is in its file.
func written(dir string, n int) bool {
	files := 0
	for _, pattern := range []string{"log/s*/current", "log/s*"} {
		found, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, path := range found {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
				files++
			}
		}
	}
	return files >= n
}
