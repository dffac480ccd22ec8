package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// asleep is a Go program that does nothing.
var asleep = supervisor{
	name: "sleeping Go program", programs: []string{"forkexec"}, version: goLoop.version,
	declare: func(w *workshop, _, _ string, _ plan) []string { return []string{w.program("forkexec"), "sleep"} },
}

// idle: what a supervisor does while nothing happens. All of them are idle at the same time.
func idle(w *workshop) answer {
	n := w.pick(1000, 200, 5)
	window := time.Duration(w.pick(8600, 1200, 200)) * time.Millisecond
	const windows = 7
	a := answer{
		id: "idle", title: fmt.Sprintf("Idle with %d services up", n),
		measured: fmt.Sprintf("Context switches and CPU time of all threads of all processes that are no service, in %d windows of %v each, once nothing has moved for seven seconds (or 30 have passed). All peers stand beside each other.", windows, window),
	}
	type peer struct {
		supervisor
		*cell
		pids []int
	}
	var peers []peer
	for _, s := range w.here(asleep, pintle, s6, runit, supervisord, pebble, processCompose) {
		c := w.start(s, plan{n: n})
		if s.name != asleep.name {
			c.next("started", n)
		}
		peers = append(peers, peer{supervisor: s, cell: c})
	}
	for i := range peers {
		peers[i].pids = peers[i].processes(false)
	}
	if w.size != smoke { // what is known to move is not waited for
		var still []int
		for _, p := range peers[:2] {
			still = append(still, p.pids...)
		}
		before, calm := switchesOf(still), now()
		for end := now() + 30*time.Second; now() < end && now()-calm < 7*time.Second; time.Sleep(100 * time.Millisecond) {
			after := switchesOf(still)
			if _, moved := since(before, after); moved > 0 {
				before, calm = after, now()
			}
		}
	}
	wakes, cpu := map[string][]float64{}, map[string][]float64{}
	total := map[string]int64{}
	for range windows {
		began, before, burnt := make([]time.Duration, len(peers)), make([]map[string]int64, len(peers)), make([]float64, len(peers))
		for i, p := range peers {
			began[i], before[i], burnt[i] = now(), switchesOf(p.pids), cpuOf(p.pids)
		}
		time.Sleep(window)
		for i, p := range peers {
			moved, sum := since(before[i], switchesOf(p.pids))
			took := (now() - began[i]).Seconds()
			wakes[p.name] = append(wakes[p.name], float64(sum)/took)
			cpu[p.name] = append(cpu[p.name], (cpuOf(p.pids)-burnt[i])*60/took*1000)
			if p.name == pintle.name {
				for task, n := range moved {
					total[task] += n
				}
			}
		}
	}
	for _, p := range peers {
		a.figures = append(a.figures, figure{peer: p.name, what: "wake-ups", unit: "a second", samples: wakes[p.name]})
	}
	for _, p := range peers {
		a.figures = append(a.figures, figure{peer: p.name, what: "CPU in a minute", unit: "ms", samples: cpu[p.name]})
	}
	// The mean is held to the bound: a median would forgive what wakes once in two windows.
	a.goals = []goal{{what: "wake-ups: at most 1 a second more than a sleeping Go program", got: mean(wakes[pintle.name]) - mean(wakes[asleep.name]), atMost: 1}}
	if w.size == quick {
		a.notes = append(a.notes, "This quick run has 200 services where a full one has 1,000.")
	}
	var who []string
	for task, n := range total {
		name, _ := os.ReadFile(task + "/comm")
		who = append(who, fmt.Sprintf("thread %s of %s %d times", filepath.Base(task), strings.TrimSpace(string(name)), n))
	}
	if who == nil {
		a.notes = append(a.notes, "No thread of pintle's woke.")
	} else {
		a.notes = append(a.notes, "Of pintle's threads there woke: "+strings.Join(who, ", ")+".")
	}
	a.notes = append(a.notes, w.absent("s6", "runit", "supervisord", "pebble", "process-compose")...)
	return a
}

func mean(samples []float64) (m float64) {
	for _, s := range samples {
		m += s / float64(len(samples))
	}
	return m
}
