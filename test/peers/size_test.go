package peers

import "os"

// footprint: what pintle takes on disk and in memory.
func footprint(w *workshop) answer {
	a := answer{
		id: "size", title: "Size",
		measured: "Bytes of the stripped static program; resident memory of PID 1 with three services up, " + settled + ".",
	}
	for _, p := range []string{"pintle", "pebble", "process-compose"} {
		if !w.has(p, p) {
			continue
		}
		info, err := os.Stat(w.program(p))
		w.must(err)
		a.figures = append(a.figures, figure{peer: p, what: "program", unit: "MB", samples: []float64{float64(info.Size()) / 1e6}})
		if p == "pintle" {
			a.goals = append(a.goals, goal{what: "program: under 14 MB", got: float64(info.Size()) / 1e6, atMost: 14})
		}
	}
	samples := map[string][]float64{}
	peers := w.here(pintle, s6, supervisord, pebble, processCompose)
	for range w.pick(7, 1, 1) {
		for _, s := range peers {
			c := w.start(s, plan{n: 3})
			c.next("started", 3)
			w.settle(s)
			samples[s.name] = append(samples[s.name], w.rssOf(c.pid))
			c.end()
		}
	}
	for _, s := range peers {
		a.figures = append(a.figures, figure{peer: s.name, what: "resident, PID 1", unit: "MB", samples: samples[s.name]})
	}
	a.goals = append(a.goals, goal{what: "resident: under 10 MB", got: middle(samples[pintle.name]), atMost: 10})
	a.notes = append(w.absent("s6", "supervisord", "pebble", "process-compose"), "The others need a supervisor for each service, or an interpreter, beside what is counted here.")
	return a
}
