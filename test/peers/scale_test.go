package peers

import (
	"context"
	"fmt"
	"time"

	"pintle/internal/unit"
)

// The costs of a unit.
var costs = []struct{ what, unit string }{
	{"start", "ms a unit"}, {"memory", "kB a unit"}, {"crash and restart", "ms of CPU"}, {"status of one", "ms"},
}

// scale: whether a unit costs the same beside few as beside many.
func scale(w *workshop) answer {
	a := answer{
		id: "scale", title: "Cost of a unit, beside few and beside many",
		measured: "Start of all, and proportional set size of pintle: what they are more than in the row before (the first: than with no unit), divided by the number of units that are more; CPU time of pintle's for each crash and restart; median time of the status of one unit over the socket. pintle alone.",
	}
	counts := []int{10, 100, 1000, 10000}
	switch w.size {
	case smoke:
		counts = []int{2, 4}
	case quick:
		counts = counts[:3]
		a.notes = append(a.notes, "This quick run leaves out 10,000 units.")
	}
	// Two pipes a unit, and what pintle itself needs.
	if most := (int(raiseLimit(w)) - 200) / 2; counts[len(counts)-1] > most {
		a.notes = append(a.notes, fmt.Sprintf("This machine lets a process have %d open files, and each unit has two: so the largest number is %d.", raiseLimit(w), most))
		counts[len(counts)-1] = most
	}
	samples := make([][][]float64, len(costs)) // by cost and count
	for i := range samples {
		samples[i] = make([][]float64, len(counts))
	}
	for range w.pick(7, 1, 1) {
		before, fewer := scaleOnce(w, 0), 0
		for k, n := range counts {
			s := scaleOnce(w, n)
			all := s
			for _, i := range []int{0, 1} { // what the units more cost
				s[i] = (all[i] - before[i]) / float64(n-fewer)
			}
			before, fewer = all, n
			for i := range costs {
				samples[i][k] = append(samples[i][k], s[i])
			}
		}
	}
	for i, c := range costs {
		var flat []float64
		for k, n := range counts {
			a.figures = append(a.figures, figure{peer: pintle.name, what: fmt.Sprintf("%s, %d units", c.what, n), unit: c.unit, samples: samples[i][k]})
			if n >= 100 || w.size == smoke {
				flat = append(flat, middle(samples[i][k]))
			}
		}
		// A cost that falls is no miss; and a difference of two measures may come out as nothing, which nothing is a multiple of.
		ratio := 0.0
		for k := range flat {
			for _, fewer := range flat[:k] {
				if fewer > 0 {
					ratio = max(ratio, flat[k]/fewer)
				}
			}
		}
		a.goals = append(a.goals, goal{what: c.what + ": grows by no more than 20 %, from 100 units on", got: ratio, atMost: 1.2})
	}
	a.notes = append(a.notes, "With 10 units, what the collector has left behind weighs more than the units' own memory, which may then seem to be negative.")
	return a
}

// scaleOnce measures each of costs with n units.
func scaleOnce(w *workshop, n int) (s [4]float64) {
	w.Helper()
	c := w.start(pintle, plan{n: n, atOnce: true})
	defer c.end()
	client := c.client()
	pids := map[int]int{}
	last := time.Duration(0)
	for _, r := range c.next("started", n+1) {
		pids[r.index] = r.pid
		last = max(last, r.at)
	}
	s[0] = ms(last - c.began)
	w.until("every unit is up", func() bool { return c.get(client, "main").State == unit.Up })
	w.settle(pintle) // a run is stable after 1 s, too
	s[1] = w.pssOf([]int{c.pid}) * 1000

	var took []float64
	for range w.pick(300, 200, 3) {
		began := now()
		_, err := client.Get(context.Background(), "main")
		w.must(err)
		took = append(took, ms(now()-began))
	}
	s[3] = middle(took)

	if n > 0 {
		k := c.newKiller()
		// Less than half of all, which would be a storm.
		kills := max(1, min(n/2-1, 40))
		before := cpuOf([]int{c.pid})
		for i := range kills {
			k.kill(pids[i], i)
			c.next("started", 1)
			c.next("killed", 1)
		}
		s[2] = (cpuOf([]int{c.pid}) - before) * 1000 / float64(kills)
		k.end()
	}
	return s
}
