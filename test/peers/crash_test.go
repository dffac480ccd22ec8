package peers

import (
	"context"
	"time"
)

// crash: how long a service is not there that was killed.
func crash(w *workshop) answer {
	kills := w.pick(41, 7, 1)
	// So many that half of them never fail together, which pintle would take for a common cause.
	n := 2*kills + 10
	a := answer{
		id: "crash", title: "Crash to restart",
		measured: "From just before SIGKILL of a service to the first instruction of its next run, at the first crash of each: another service every time, of those that have run for a while. Everybody as configured by default.",
	}
	peers := w.here(bareLoop, pintle, s6, s6, runit, supervisord, pebble, processCompose)
	notifies := make([]bool, len(peers))
	var cells []*cell
	var killers []*killer
	pids := make([]map[int]int, len(peers))
	for i, s := range peers {
		notifies[i] = s.name == s6.name && i > 0 && peers[i-1].name == s6.name
		c := w.start(s, plan{n: n, ready: notifies[i]})
		pids[i] = map[int]int{}
		want := n
		if s.name == pintle.name {
			want++
		}
		for _, r := range c.next("started", want) {
			pids[i][r.index] = r.pid
		}
		cells, killers = append(cells, c), append(killers, c.newKiller())
	}
	time.Sleep(2 * time.Second) // before that, s6, runit and pebble take an end for that of a start
	for i, s := range peers {
		if s.name == pintle.name {
			info, err := cells[i].client().Info(context.Background())
			w.must(err)
			a.notes = append(a.notes, "pintle tells the processes of a service from others by this: "+info.ProcessSets+".")
		}
	}
	samples := make([][]float64, len(peers))
	for k := range kills {
		for i := range peers {
			killers[i].kill(pids[i][k], k)
			at := cells[i].next("killed", 1)[0].at
			samples[i] = append(samples[i], ms(cells[i].next("started", 1)[0].at-at))
		}
	}
	ours, limit := 0.0, 0.0
	for i, s := range peers {
		what := ""
		if notifies[i] {
			what = "with readiness"
		}
		a.figures = append(a.figures, figure{peer: s.name, what: what, unit: "ms", samples: samples[i]})
		switch s.name {
		case pintle.name:
			ours = middle(samples[i])
		case bareLoop.name:
			limit = middle(samples[i])
		}
	}
	a.goals = []goal{{what: "at most 3 × the bare loop", got: ours / limit, atMost: 3}}
	a.notes = append(a.notes, "s6 waits for a second after each end, unless the service had said a second before that it was ready.")
	a.notes = append(a.notes, w.absent("s6", "runit", "supervisord", "pebble", "process-compose")...)
	return a
}
