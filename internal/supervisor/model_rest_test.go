package supervisor

import (
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// This file is the laws of moments at which nothing happens: every goroutine
// waits for the clock or for somebody's wish. Then each state must explain itself.

// No wait of a unit is longer than these, in the fake kernel's world.
const (
	mostStarting = mostLag + 15*time.Second + 30*time.Second // its time to start, and what it may ask for beside that
	mostStopping = mostLag + 15*time.Second + 12*time.Second + 2*time.Second + killTime + 4*mostLag
	mostBackoff  = 31 * time.Second
)

// rest holds a moment of rest against the laws. published is what a reader of Watch knows, list what List says.
func (m *model) rest(published map[unit.Name]engine.Status, list []engine.Status) {
	m.k.mu.Lock()
	defer m.k.mu.Unlock()
	now := m.look()
	for n, x := range now {
		m.runsAreKnown(n, x)
		m.waitsHaveReasons(n, x, now)
		m.waitsHaveEnds(n, x)
	}
	for r, b := range m.stops {
		m.gracesAreGiven(r, b)
	}
	m.stopsHaveBegun()
	m.readersKnowAll(published, list)
	m.idleIsTheEnd()
}

// runsAreKnown: what the kernel has told of a run is what the supervisor believes, and without a run nothing lives.
func (m *model) runsAreKnown(n unit.Name, x *seen) {
	r := m.k.liveRun(n)
	if !x.alive() {
		if r != nil {
			m.k.fails("what is down has no process", "%s is %s, and %s lives", n, x.state, r)
		}
		return
	}
	r = m.k.run(n, x.run)
	switch {
	case r == nil || r.failed:
		m.k.fails("no event is lost", "%s is %s in run %d, which is not there", n, x.state, x.run)
	case r.exists && !x.executed && time.Since(r.begun) > 2*mostLag:
		m.k.fails("no event is lost", "%s has begun, and %s is %s", r, n, x.state)
	case r.dead && !x.ended && time.Since(r.diedAt) > mostLag:
		m.k.fails("no event is lost", "%s has ended, and %s is %s", r, n, x.state)
	}
}

// waitsHaveReasons: what a waiting unit says that it waits for is so; and what has failed because of another, has.
func (m *model) waitsHaveReasons(n unit.Name, x *seen, now map[unit.Name]*seen) {
	unmet, lost := 0, 0
	for _, d := range x.spec.DependsOn {
		if on := now[d.On]; !met(d, on) {
			unmet++
			if on != nil && hopeless(on) {
				lost++
			}
		}
	}
	law := "a wait has a reason"
	if x.state == unit.Failed && x.reason == unit.DependencyFailed && x.intent.Up && lost == 0 && !m.s.stopping {
		m.k.fails(law, "%s has failed because of what it depends on, which has not", n)
	}
	if x.state != unit.Waiting {
		return
	}
	until, _ := m.s.governor.Calm()
	switch x.reason {
	case unit.AwaitsDependency:
		if unmet == 0 || lost > 0 {
			m.k.fails(law, "%s waits for what it depends on: %d are missing, %d of them for ever", n, unmet, lost)
		}
	case unit.AwaitsTurn:
		if free := m.bound() - m.underWay(now, true); free > 0 || m.bound() < 0 || x.began == unit.Asked {
			m.k.fails(law, "%s waits for its turn (%s), and %d more may start", n, x.began, free)
		}
	case unit.AwaitsCalm:
		if !time.Now().Before(until) || x.began != unit.Crashed {
			m.k.fails(law, "%s waits until failures have calmed down (%s); they have", n, x.began)
		}
	default:
		m.k.fails(law, "%s waits and says only: %s", n, x.reason)
	}
}

// waitsHaveEnds: no unit starts, stops or waits after a failure for longer than declarations and the kernel allow.
func (m *model) waitsHaveEnds(n unit.Name, x *seen) {
	bound := map[unit.State]time.Duration{unit.Starting: mostStarting, unit.Stopping: mostStopping, unit.Backoff: mostBackoff}[x.state]
	if x.state == unit.Starting && m.books[x.u].granted.StartTimeout > 0 && m.books[x.u].unbounded {
		return // a reload took away what bounded it
	}
	if d := time.Since(m.books[x.u].since); bound > 0 && d > bound {
		m.k.fails("a wait has an end", "%s is %s (%s) for %s", n, x.state, x.reason, d)
	}
}

// gracesAreGiven: no run is killed before its grace period is over, unless everybody is hurried.
func (m *model) gracesAreGiven(r *fakeRun, b *book) {
	if !r.killed.IsZero() && r.killed.Before(b.killFrom) && !m.hurried {
		m.k.fails("graces are given", "%s is killed %s before its grace is over", r, b.killFrom.Sub(r.killed))
	}
}

// stopsHaveBegun: who was asked to end, or was killed, had begun to stop.
func (m *model) stopsHaveBegun() {
	for _, r := range m.k.runs {
		b := m.stops[r]
		early := b == nil && (len(r.terminated) > 0 || !r.killed.IsZero())
		if early || len(r.terminated) > 0 && r.terminated[0].Before(b.stopping) {
			m.k.fails("a run is ended in a stop", "%s was asked to end, and nobody stops it", r)
		}
	}
}

// readersKnowAll: who reads every change knows what who asks is told.
func (m *model) readersKnowAll(published map[unit.Name]engine.Status, list []engine.Status) {
	law := "readers know all"
	if len(list) != len(published) {
		m.k.fails(law, "%d units are published, and there are %d", len(published), len(list))
	}
	for _, is := range list {
		was := published[is.Name]
		if was.State != is.State || was.Reason != is.Reason || was.Run != is.Run || was.PID != is.PID || was.Desired != is.Desired ||
			was.Intent != is.Intent || was.Failures != is.Failures || !was.Since.Equal(is.Since) || len(was.Remaining) != len(is.Remaining) {
			m.k.fails(law, "published is\n%+v, and it is\n%+v", was, is)
		}
	}
}

// idleIsTheEnd: Idle is closed on the way down when no run lives and none will, and not before.
func (m *model) idleIsTheEnd() {
	law, closed := "idle is the end", false
	select {
	case <-m.s.idle:
		closed = true
	default:
	}
	lives := 0
	for _, r := range m.k.runs {
		if r.live() {
			lives++
			if closed {
				m.k.fails(law, "it is idle, and %s lives", r)
			}
		}
	}
	all := m.look()
	for n, x := range all {
		switch {
		case x.alive():
			lives++
		case closed && x.state == unit.Done && len(x.spec.Down) > 0 && !m.hurried:
			if b := m.books[x.u]; b.since.Before(m.stopAt) {
				m.k.fails(law, "it is idle, and what %s did is not undone", n)
			}
		}
	}
	if m.s.stopping && lives == 0 && !closed {
		m.k.fails(law, "nothing lives, and it is not idle")
	}
}

// quiet tells whether every unit has come to rest, and if not, which has not. In a kind world this is soon.
func (m *model) quiet() (loud unit.Name, why unit.State) {
	now := m.look()
	for n, x := range now {
		if !m.explained(x, now, 0) {
			return n, x.state
		}
	}
	return "", ""
}

// explained tells whether a unit is where it belongs, or cannot come there because of others.
func (m *model) explained(x *seen, now map[unit.Name]*seen, depth int) bool {
	switch x.state {
	case unit.Disabled, unit.Done, unit.Failed:
		return true
	case unit.Down:
		return !x.intent.Up
	case unit.Up:
		return x.intent.Up
	case unit.Waiting:
		if x.reason != unit.AwaitsDependency || depth > len(now) {
			return false
		}
		for _, d := range x.spec.DependsOn {
			on := now[d.On]
			if met(d, on) {
				continue
			}
			return on == nil || m.explained(on, now, depth+1)
		}
	}
	return false
}
