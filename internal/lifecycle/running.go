package lifecycle

import (
	"time"

	"pintle/internal/unit"
)

// This file is a run from its execution until it ends, by itself or because it must.

func spawned(m *machine, _ Event) {
	m.Executed = true
	switch {
	case m.spec.Kind == unit.Oneshot:
		m.Reason = unit.Working
	case m.spec.Readiness != nil:
		m.Reason = unit.NotReady
		m.do(Probe)
	default:
		m.up()
		return
	}
	if m.spec.StartTimeout > 0 {
		m.until(StartTimer, m.spec.StartTimeout)
	}
}

// until arms a timer that the run may ask to have moved.
func (m *machine) until(t Timer, after time.Duration) {
	m.deadline = m.at.Add(after)
	m.arm(t, after)
}

// extend moves such a timer; never to an earlier time.
func (m *machine) extend(t Timer, to time.Time) {
	if m.armed[t] != 0 && to.After(m.deadline) {
		m.until(t, to.Sub(m.at))
	}
}

func ready(m *machine, _ Event) {
	if m.Executed && m.spec.Kind != unit.Oneshot {
		m.up()
	}
}

func (m *machine) up() {
	m.Ready = true
	m.enter(unit.Up, m.began)
	stable := m.spec.StableAfter
	if stable == 0 {
		stable = unit.DefaultStableAfter
	}
	m.arm(StableTimer, stable)
	if m.spec.Liveness != nil {
		m.do(Guard)
	}
	if m.spec.Watchdog > 0 {
		m.arm(WatchdogTimer, m.spec.Watchdog)
	}
}

// ping begins the watchdog's time anew.
func ping(m *machine, _ Event) {
	if m.spec.Watchdog > 0 {
		m.arm(WatchdogTimer, m.spec.Watchdog)
	}
}

func upExpired(m *machine, e Event) {
	switch e.Timer {
	case StableTimer:
		m.Failures = 0
	case WatchdogTimer:
		hang(m, e)
	}
}

// hang ends a run that does not do its work, once it has had the time to say where it hangs.
func hang(m *machine, _ Event) {
	h := m.spec.OnHang
	if h == nil || m.Hurried {
		m.end(byPolicy, unit.Hung)
		return
	}
	m.ends(byPolicy, unit.Hung)
	m.do(Dump)
	m.arm(HangTimer, h.Wait)
}

// startOver ends a run that took too long to be ready, or to be done.
func startOver(m *machine, e Event) {
	if e.Timer == StartTimer {
		m.end(byPolicy, unit.TimedOut)
	}
}

// extendStart is a run that needs more time to be ready.
func extendStart(m *machine, e Event) { m.extend(StartTimer, m.at.Add(e.After)) }

// ending is a run that says that it ends by itself.
func ending(m *machine, _ Event) {
	if m.Executed {
		m.ends(byPolicy, unit.EndsItself)
		m.grace()
	}
}
