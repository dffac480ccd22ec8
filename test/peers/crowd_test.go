package peers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"pintle/internal/unit"
)

// crowd: what becomes of restarts, and of answers, while a tenth of all services is killed each second.
func crowd(w *workshop) answer {
	n := w.many()
	tenth := max(1, n/10)
	seconds := w.pick(30, 3, 1)
	a := answer{
		id: "crowd", title: fmt.Sprintf("A crowd: %d of %d services killed each second, for %d s", tenth, n, seconds),
		measured: "From SIGKILL of each to the first instruction of its next run, and the time that status of one unit takes over the socket, asked without end. Alone: one service is killed every 100 ms. Evenly: the same number spread over the second. At once: all in one moment. Each row has every single measure; goals are about the 99th percentile.",
		notes: []string{
			"Services are killed in turn, so each has run for ten seconds. pintle is told that a run is stable after 1 s, so that no backoff holds a restart back, and not to take half of all units failing together for a storm (governor.storm: off); s6 has its own rule, by which who has said a second ago that it was ready is started at once: so its services say it.",
		},
	}
	for _, s := range w.here(pintle, s6) {
		p := plan{n: n, atOnce: true, ready: s.name == s6.name, more: "governor: {storm: off}\n"}
		c := w.start(s, p)
		m := &mob{cell: c, killer: c.newKiller(), pids: map[int]int{}, away: map[int]bool{}}
		want := n
		var ask func() error
		if s.name == pintle.name {
			want++
			client := c.client()
			ask = func() error {
				_, err := client.Get(context.Background(), unit.Name("s@1"))
				return err
			}
		}
		for _, r := range c.next("started", want) {
			m.pids[r.index] = r.pid
		}
		time.Sleep(time.Duration(w.pick(2000, 2000, 1100)) * time.Millisecond) // s6 and pintle take an earlier end for that of a start
		phases := []struct {
			what        string
			each, burst int
			every       time.Duration
		}{
			{"alone", 10 * seconds, 1, 100 * time.Millisecond},
			{"evenly", tenth * seconds, 1, time.Second / time.Duration(tenth)},
			{"at once", seconds, tenth, time.Second},
		}
		delays, answers := map[string][]float64{}, map[string][]float64{}
		for _, ph := range phases {
			over := make(chan struct{})
			var asking sync.WaitGroup
			if ask != nil {
				asking.Go(func() {
					for {
						select {
						case <-over:
							return
						case <-time.After(time.Millisecond):
						}
						began := now()
						if err := ask(); err != nil {
							w.Errorf("cannot ask for a status: %v", err)
							return
						}
						answers[ph.what] = append(answers[ph.what], ms(now()-began))
					}
				})
			}
			delays[ph.what] = m.strike(n, ph.each, ph.burst, ph.every)
			close(over)
			asking.Wait()
			a.figures = append(a.figures, figure{peer: s.name, what: "restart, " + ph.what, unit: "ms", samples: delays[ph.what]})
			if ask != nil {
				a.figures = append(a.figures, figure{peer: s.name, what: "status, " + ph.what, unit: "ms", samples: answers[ph.what]})
			}
		}
		if s.name == pintle.name {
			for _, ph := range phases[1:] {
				a.goals = append(a.goals,
					goal{what: "restart, p99 " + ph.what + ": at most 10 × alone", got: late(delays[ph.what]) / late(delays["alone"]), atMost: 10},
					goal{what: "status, p99 " + ph.what + ": at most 10 × alone", got: late(answers[ph.what]) / late(answers["alone"]), atMost: 10})
			}
		}
		a.notes = append(a.notes, fmt.Sprintf("%s: %d were killed, and every one of them ran again.", s.name, m.killed))
		c.end()
	}
	a.notes = append(a.notes, w.absent("s6")...)
	return a
}

// mob kills services of one cell in turn.
type mob struct {
	*cell
	killer *killer
	pids   map[int]int  // of the services that run, by index
	away   map[int]bool // those that were killed and are not back
	turn   int
	killed int
}

// strike kills burst services, times times, every so often, and returns how long each was away. It fails where one does
// not come back.
func (m *mob) strike(n, times, burst int, every time.Duration) (delays []float64) {
	m.w.Helper()
	down := map[int]time.Duration{} // when each was killed that is not back
	back := map[int]record{}        // those whose next run was heard of before their end
	look := func() {
		m.read()
		for _, r := range m.news {
			switch r.word {
			case "killed":
				down[r.index] = r.at
			case "started":
				back[r.index] = r
			default:
				m.w.Fatalf("cannot kill s%d: it did not run (%+v; its pid was %d)", r.index, r, m.pids[r.index])
			}
		}
		m.news = nil
		for i, r := range back {
			if at, killed := down[i]; killed {
				delays = append(delays, ms(r.at-at))
				m.pids[i] = r.pid
				delete(m.away, i)
				delete(down, i)
				delete(back, i)
			}
		}
	}
	began, asked := now(), 0
	for k := range times {
		for now() < began+time.Duration(k)*every {
			look()
			time.Sleep(time.Millisecond)
		}
		for range min(burst, n) {
			m.w.until("a service runs that can be killed", func() bool {
				look()
				return len(m.away) < n
			})
			for m.away[m.turn] {
				m.turn = (m.turn + 1) % n
			}
			m.away[m.turn] = true
			m.killer.kill(m.pids[m.turn], m.turn)
			m.turn = (m.turn + 1) % n
			asked++
		}
	}
	m.w.until(fmt.Sprintf("that all %d services run again that were killed", asked), func() bool {
		look()
		return len(delays) == asked
	})
	m.killed += asked
	return delays
}
