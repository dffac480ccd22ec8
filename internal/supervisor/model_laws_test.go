package supervisor

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// This file keeps the books of a tale: after each turn of the loop it looks at
// every unit, and holds what has changed against the laws. What follows from a
// declaration it asks of the declarations as they were drawn, which are not the
// supervisor's own.

// seen is what is known of a unit after a turn.
type seen struct {
	u        *record
	spec     *unit.Spec // as it was drawn
	state    unit.State
	reason   unit.Reason
	began    unit.Reason
	run      uint64
	executed bool
	ended    bool
	since    time.Time
	intent   unit.Intent
	last     *engine.RunEnd
}

func (x *seen) alive() bool { return x.state.Alive() }

// book is what the model remembers of a unit.
type book struct {
	// granted is what the run under way was granted with; since is when it began, or began to stop.
	granted *unit.Spec
	since   time.Time
	// stopping is when the run began to be stopped, killFrom from when it may be killed.
	stopping, killFrom time.Time
	// unbounded is set once a declaration has given the run as long to start as it takes.
	unbounded bool
}

type model struct {
	s     *Supervisor
	k     *fake
	truth map[string]*unit.Spec
	rule  unit.Governor // the governor's, as it was drawn
	was   unit.Governor // the one before the last reload
	main  bool

	commanding       atomic.Bool // somebody is asking for something
	before           map[unit.Name]*seen
	books            map[*record]*book
	stops            map[*fakeRun]*book // of runs that were ever stopped
	booted, stopping bool
	hurried          bool
	stopAt           time.Time
	over             bool
	firstFailure     []int
	turns            int
}

// truthOf is the declaration that a spec was made from, as it was drawn.
func (m *model) truthOf(s *unit.Spec) *unit.Spec {
	key := string(s.Name) + "#" + s.Labels["version"]
	if t := m.truth[key]; t != nil {
		return t
	}
	return s
}

func (m *model) learn(v *declared) {
	v = &declared{main: v.main, services: v.services, templates: v.templates}
	v.each(func(s *unit.Spec) {
		if s.Name != "" {
			m.truth[string(s.Name)+"#"+s.Labels["version"]] = s
		}
	})
	for i := range v.templates {
		for _, n := range modelInstances {
			if s, err := v.templates[i].Instantiate(n.Instance()); err == nil {
				m.truth[string(n)+"#"+s.Labels["version"]] = &s
			}
		}
	}
}

func (m *model) look() map[unit.Name]*seen {
	all := make(map[unit.Name]*seen, len(m.s.units))
	for n, u := range m.s.units {
		all[n] = &seen{
			u: u, spec: m.truthOf(u.spec), state: u.life.State, reason: u.life.Reason, began: u.life.Began(), run: u.life.Run,
			executed: u.life.Executed, ended: u.life.Ended, since: u.since, intent: u.intent, last: u.last,
		}
	}
	return all
}

// turn is called in the loop, after each event.
func (m *model) turn(event func()) {
	event()
	m.k.mu.Lock()
	defer m.k.mu.Unlock()
	m.turns++
	m.k.fault.tamper(m.s, m.turns)
	after := m.look()
	granted := m.keepBooks(after)
	m.startsWaitForDependencies(after, granted)
	m.startsAreBounded(after, granted)
	m.nothingStartsOnTheWayDown(granted)
	m.dependentsEndFirst(after)
	m.upIsReady(after)
	m.intentsChangeByVerbs(after)
	m.timeGoesForward(after)
	m.theContainerEndsByTheRules(after)
	m.before, m.stopping, m.booted = after, m.s.stopping, m.s.booted
}

// keepBooks notes what has begun in a turn, and returns the units whose run was granted in it.
func (m *model) keepBooks(after map[unit.Name]*seen) []*seen {
	var granted []*seen
	now := time.Now()
	for n, x := range after {
		b, old := m.books[x.u], m.before[n]
		if b == nil {
			b = &book{since: now}
			m.books[x.u] = b
		}
		if old == nil || old.u != x.u {
			old = &seen{u: x.u}
		}
		if x.run != old.run {
			b.granted, b.stopping, b.killFrom, b.unbounded = x.spec, time.Time{}, time.Time{}, false
			m.k.specs[runKey(n, x.run)] = x.spec
			if x.state == unit.Starting {
				granted = append(granted, x)
			}
		}
		if x.state != old.state || x.run != old.run {
			b.since = now
		}
		b.unbounded = b.unbounded || x.spec.StartTimeout == 0
		if x.state != unit.Stopping || !x.executed {
			continue
		}
		r := m.k.run(n, x.run)
		if r == nil {
			continue
		}
		grace := x.spec.Stop.Grace
		if r.undo {
			grace = undoTime(x.spec)
		}
		if b.stopping.IsZero() {
			b.stopping, b.killFrom = now, now.Add(grace)
		}
		if from := b.stopping.Add(grace); from.Before(b.killFrom) { // a reload made it shorter
			b.killFrom = from
		}
		c := *b
		m.stops[r] = &c
	}
	return granted
}

func undoTime(s *unit.Spec) time.Duration {
	if s.StartTimeout > 0 {
		return s.StartTimeout
	}
	return s.Stop.Grace
}

// met tells by what is published whether a dependency has come to what it must.
func met(d unit.Dependency, on *seen) bool {
	if on == nil {
		return d.Optional
	}
	ok := on.state == unit.Done
	switch d.Condition {
	case unit.OnStarted:
		ok = ok || on.state == unit.Up || on.state == unit.Starting && on.executed
	case unit.OnReady:
		ok = on.state == unit.Up || ok && on.spec.Kind == unit.Oneshot
	}
	return ok || d.Optional && (hopeless(on) || on.state == unit.Done || on.state == unit.Down && !on.intent.Up)
}

func hopeless(on *seen) bool { return on.state == unit.Disabled || on.state == unit.Failed }

// startsWaitForDependencies: no run begins before all that it depends on has come to what it must.
func (m *model) startsWaitForDependencies(after map[unit.Name]*seen, granted []*seen) {
	for _, x := range granted {
		for _, d := range x.spec.DependsOn {
			on := after[d.On]
			// In the same turn it may have come to it and gone on: a turn ends with all that follows from it.
			followed := on != nil && on.state == unit.Stopping && on.reason == unit.DependencyRestarted && on.since.Equal(time.Now())
			if !met(d, on) && !met(d, m.before[d.On]) && !followed {
				m.k.fails("a start waits for what it depends on", "%s begins, and %s is not %s but %s", x.spec.Name, d.On, d.Condition, stateOf(on))
			}
		}
	}
}

func stateOf(x *seen) unit.State {
	if x == nil {
		return "not there"
	}
	return x.state
}

// startsAreBounded: no more starts are under way than the governor allows, but for main, and what a person asks for.
func (m *model) startsAreBounded(after map[unit.Name]*seen, granted []*seen) {
	bound := m.bound()
	if was := boundOf(m.was); m.commanding.Load() && (was < 0 || was > bound && bound > 0) {
		bound = was // a reload may be under way
	}
	for _, x := range granted {
		if bound < 0 || x.spec.Kind == unit.Main || x.began == unit.Asked {
			continue
		}
		if n := m.underWay(after, false); n > bound {
			m.k.fails("starts are bounded", "with %s there are %d under way, and %d may be", x.spec.Name, n, bound)
		}
	}
}

func (m *model) bound() int { return boundOf(m.rule) }

func boundOf(rule unit.Governor) int {
	if rule.Starts == 0 {
		return unit.DefaultGovernor.Starts
	}
	return rule.Starts
}

// underWay counts starts, with or without those that a person asked for.
func (m *model) underWay(all map[unit.Name]*seen, asked bool) int {
	n := 0
	for _, x := range all {
		b := m.books[x.u]
		if x.spec.Kind == unit.Main || x.state != unit.Starting || x.began == unit.Asked && !asked {
			continue
		}
		slow := b.granted.Readiness != nil || b.granted.Kind == unit.Oneshot
		if !slow || time.Now().Before(b.since.Add(slotTime)) {
			n++
		}
	}
	return n
}

// nothingStartsOnTheWayDown: after Halt no run begins but of what undoes a oneshot's work, which is no start.
func (m *model) nothingStartsOnTheWayDown(granted []*seen) {
	for _, x := range granted {
		if m.stopping {
			m.k.fails("nothing starts on the way down", "%s does", x.spec.Name)
		}
	}
}

// dependentsEndFirst: on the way down a unit is stopped only when nothing that depends on it lives.
func (m *model) dependentsEndFirst(after map[unit.Name]*seen) {
	if !m.s.stopping || m.hurried {
		return
	}
	for n, x := range after {
		old := m.before[n]
		if old == nil || x.state != unit.Stopping || old.state == unit.Stopping || x.reason != unit.ContainerStopping {
			continue
		}
		for other, y := range after {
			for _, d := range y.spec.DependsOn {
				before := m.before[other]
				if d.On == n && y.alive() && (before == nil || before.alive() || before.state == unit.Done) {
					m.k.fails("dependents end first", "%s is stopped while %s, which depends on it, is %s", n, other, y.state)
				}
			}
		}
	}
}

// upIsReady: a unit is up only when its leader exists, and has said that it is ready where that is declared.
func (m *model) upIsReady(after map[unit.Name]*seen) {
	for n, x := range after {
		if old := m.before[n]; x.state != unit.Up || old != nil && old.state == unit.Up && old.run == x.run {
			continue
		}
		r := m.k.run(n, x.run)
		if r == nil || !r.told || x.spec.Readiness != nil && !r.ready {
			m.k.fails("up is ready", "%s is up, and %v is not ready", n, r)
		}
	}
}

// intentsChangeByVerbs: what is desired of a unit changes only when somebody asks.
func (m *model) intentsChangeByVerbs(after map[unit.Name]*seen) {
	for n, x := range after {
		old := m.before[n]
		if old == nil || old.u != x.u || old.intent == x.intent {
			continue
		}
		if !m.commanding.Load() {
			m.k.fails("intents change by verbs", "%s was wanted %s (generation %d) and nobody asked", n, x.intent.Desired(), x.intent.Generation)
		}
		if x.intent.Generation != old.intent.Generation+1 {
			m.k.fails("intents change by verbs", "%s goes from generation %d to %d", n, old.intent.Generation, x.intent.Generation)
		}
	}
}

// timeGoesForward: a unit is never in its state since an earlier time than the state before.
func (m *model) timeGoesForward(after map[unit.Name]*seen) {
	for n, x := range after {
		if old := m.before[n]; old != nil && old.u == x.u && x.since.Before(old.since) {
			m.k.fails("time goes forward", "%s is %s since %s, and was %s since %s", n, x.state, x.since, old.state, old.since)
		}
	}
}

// theContainerEndsByTheRules: Over is closed in the turn in which a rule of ending.go says so, with one of the codes
// that rules give in that turn, and in no other.
func (m *model) theContainerEndsByTheRules(after map[unit.Name]*seen) {
	codes, rest, why := m.endings(after)
	if m.over {
		return
	}
	select {
	case <-m.s.over:
		m.over = true
		codes = append(codes, rest...)
	default:
		if len(codes) > 0 || len(rest) > 0 && !m.s.settling {
			m.k.fails("the container ends by the rules", "it should end with %v: %s; before it was%s, now it is%s", append(codes, rest...), why, summary(m.before), summary(after))
		}
		return
	}
	for _, c := range codes {
		if c == m.s.verdict.Code {
			return
		}
	}
	m.k.fails("the container ends by the rules", "it ends with %+v; right is %v %s; before it was%s, now it is%s", m.s.verdict, codes, why, summary(m.before), summary(after))
}

// summary is what is so of all units, for a failure.
func summary(all map[unit.Name]*seen) string {
	var text string
	for _, n := range slices.Sorted(maps.Keys(all)) {
		text += fmt.Sprintf(" %s %s (%s)", n, all[n].state, all[n].reason)
	}
	return text
}

// endings are the codes that rules give in a turn: those of single units, and those of a container in which all rests.
func (m *model) endings(after map[unit.Name]*seen) (codes, rest []int, why string) {
	add := func(code int, format string, args ...any) {
		codes = append(codes, code)
		why += fmt.Sprintf(format, args...) + "; "
	}
	all := map[unit.Name]*seen{}
	for n, x := range after {
		all[n] = x
	}
	var failures []int
	for n, x := range all {
		old := m.before[n]
		if old == nil || old.u != x.u {
			old = &seen{}
		}
		if x.spec.Kind == unit.Main && x.last != old.last && m.k.mainEnd != nil {
			add(m.k.mainEnd.ShellCode(), "main has ended")
		}
		if x.spec.Kind == unit.Main && m.s.stopping && x.run == 0 && x.state == unit.Down {
			add(143, "main was never started")
		}
		if x.state != unit.Failed || old.state == unit.Failed && old.since.Equal(x.since) {
			continue // else it has failed, or was tried once more by a reload, and has failed again in the same turn
		}
		code := 1
		if x.last != nil && x.last.Exit.ShellCode() != 0 {
			code = x.last.Exit.ShellCode()
		}
		failures = append(failures, code)
		switch {
		case x.spec.Kind == unit.Main && x.run == 0:
			add(125, "main cannot start")
		case x.spec.Kind == unit.Oneshot && x.spec.Required:
			add(125, "%s is required", n)
		case x.spec.OnFailure == unit.FailureStopContainer && x.run == 0:
			add(125, "%s has failed without a run", n)
		case x.spec.OnFailure == unit.FailureStopContainer:
			add(code, "%s has failed", n)
		}
	}
	if len(m.firstFailure) == 0 {
		m.firstFailure = failures
	}
	if m.s.stopping && !m.stopping && !m.main {
		add(0, "it is halted")
	}
	if m.main || !m.s.booted || m.s.stopping || len(m.s.templates) > 0 || m.s.reloading || m.s.rounds > 0 {
		return codes, rest, why
	}
	for _, x := range all {
		if x.state != unit.Done && !hopeless(x) {
			return codes, rest, why
		}
	}
	if rest = m.firstFailure; len(rest) == 0 {
		rest = []int{0}
	}
	why += "all has ended"
	return codes, rest, why
}
