package supervisor

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"pintle/internal/store"
	"pintle/internal/unit"
)

// This file says what a tale of the model is: declarations, and what is asked
// for. It is drawn as a whole before it is played, because rapid cannot be asked
// from inside of a bubble.

// dice decide. 0 is always the dullest outcome, so that rapid shrinks towards a quiet tale.
type dice interface {
	// roll is a number from 0 to n-1.
	roll(n int) int
}

type rapidDice struct{ t *rapid.T }

func (d rapidDice) roll(n int) int { return rapid.IntRange(0, n-1).Draw(d.t, "roll") }

// randomDice fall in the same way for the same seed.
type randomDice struct{ *rand.Rand }

func seeded(seed uint64) dice { return randomDice{rand.New(rand.NewPCG(seed, 1))} }

func (d randomDice) roll(n int) int { return d.IntN(n) }

func chance(d dice, n int) bool { return d.roll(n) == n-1 }

func pick[T any](d dice, list ...T) T { return list[d.roll(len(list))] }

// declared is everything that a reload can declare anew.
type declared struct {
	main      *unit.Spec
	services  []unit.Spec
	templates []unit.Template
	governor  unit.Governor
}

type plan struct {
	seed uint64 // of the fake kernel's dice
	// versions are the declarations: the first those of the start, each of the others one of a reload.
	versions []declared
	records  []store.Record
	asks     []asking
	// quiet has the tale come to rest in a kind world before it ends. hurry is when, after Halt, everybody is hurried.
	quiet bool
	hurry time.Duration
}

type deed uint8

const (
	passTime deed = iota
	askStart
	askStop
	askRestart
	askSignal
	askCreate
	askCreateDown
	askRemove
	askReload
	askHalt
	deeds
)

// asking is one thing that is asked for, and the time that passes after it.
type asking struct {
	deed deed
	who  unit.Name
	wait time.Duration
}

// The names. A unit depends only on those before it, so that there is no cycle.
var (
	modelNames     = []unit.Name{"a", "b", "t@x", "t@y", "t@z", unit.MainName, "c", "d", "e", "f"}
	modelInstances = []unit.Name{"t@x", "t@y", "t@z"}
)

func anyPlan(d dice) *plan {
	p := &plan{seed: uint64(d.roll(1 << 30))}
	services := 2 + d.roll(5)
	var names []unit.Name
	for _, n := range modelNames {
		if n.Template() == "" && n != unit.MainName && len(names) < services {
			names = append(names, n)
		}
	}
	withMain, withTemplate := chance(d, 2), chance(d, 2)
	for v := range 1 + d.roll(3) {
		p.versions = append(p.versions, anyDeclared(d, names, withMain, withTemplate, v))
		if v > 0 { // not all is declared anew: a reload's work is to find what is
			keepSome(d, &p.versions[v], &p.versions[v-1])
		}
	}
	for _, n := range names {
		if chance(d, 8) {
			p.records = append(p.records, store.Record{Unit: n, Intent: unit.Intent{Up: chance(d, 2), Generation: 7, Actor: unit.Boot}})
		}
	}
	there := slices.Clone(names)
	if withTemplate {
		there = append(there, modelInstances...)
	}
	for range 10 + d.roll(50) {
		p.asks = append(p.asks, anyAsking(d, there))
	}
	p.quiet = chance(d, 2)
	p.hurry = pick(d, 0, 300*time.Millisecond, 4*time.Second)
	return p
}

func anyAsking(d dice, there []unit.Name) asking {
	a := asking{wait: pick[time.Duration](d, 0, 50*time.Millisecond, 200*time.Millisecond, time.Second, 5*time.Second, 15*time.Second)}
	if a.who = pick(d, there...); chance(d, 20) {
		a.who = pick(d, modelNames...)
	}
	a.deed = pick(d, passTime, passTime, passTime, passTime, askStart, askStart, askStart, askStop, askStop, askRestart, askRestart,
		askSignal, askCreate, askCreate, askCreateDown, askRemove, askReload, askHalt)
	switch a.deed {
	case askHalt:
		if !chance(d, 6) { // it ends the tale; not too soon
			a.deed = passTime
		}
	case askCreate, askCreateDown, askRemove:
		a.who = pick(d, modelInstances...)
	}
	return a
}

func anyDeclared(d dice, names []unit.Name, withMain, withTemplate bool, version int) declared {
	var out declared
	for _, n := range names {
		if version > 0 && chance(d, 8) {
			continue // it is not declared any more
		}
		out.services = append(out.services, anySpec(d, n, names, withMain, withTemplate, version))
	}
	if withMain {
		s := anySpec(d, unit.MainName, names, true, withTemplate, version)
		s.Kind, s.Restart, s.ExitRules, s.Readiness, s.Liveness, s.Watchdog, s.Down = unit.Main, unit.RestartNever, nil, nil, nil, 0, nil
		s.Enabled.On, s.GiveUp, s.Required, s.OnFailure = true, unit.GiveUp{}, false, ""
		if version > 0 {
			s.DependsOn = nil
		}
		out.main = &s
	}
	if withTemplate && (version == 0 || !chance(d, 4)) {
		s := anySpec(d, "t@x", names, withMain, true, version)
		s.Kind, s.Down, s.Required, s.Name = unit.Instance, nil, false, ""
		s.Enabled.On = true
		t := unit.Template{Name: "t", Spec: s, Max: 2 + d.roll(2), Initial: pick(d, unit.InitialDown, unit.InitialUp)}
		if chance(d, 3) {
			t.Always = []string{"x"}
		}
		out.templates = []unit.Template{t}
	}
	out.governor = unit.Governor{Starts: pick(d, 0, 1, 2, 3, 4), Least: pick(d, 0, 2, 3), Within: pick[time.Duration](d, 0, 2*time.Second), Pause: pick[time.Duration](d, 0, 4*time.Second)}
	return out
}

// keepSome takes back part of what differs between two versions.
func keepSome(d dice, now, before *declared) {
	for i := range now.services {
		j := slices.IndexFunc(before.services, func(s unit.Spec) bool { return s.Name == now.services[i].Name })
		if j < 0 {
			continue
		}
		switch old := before.services[j]; d.roll(3) {
		case 0:
			now.services[i] = old
		case 1: // what it is executed with is the same
			s := &now.services[i]
			s.Command, s.Kind, s.Watchdog, s.Down, s.Restart, s.Required = old.Command, old.Kind, old.Watchdog, old.Down, old.Restart, old.Required
			if s.Kind == unit.Oneshot {
				s.Liveness, s.Readiness = nil, nil
			}
		}
	}
	if chance(d, 2) {
		now.governor = before.governor
	}
}

func anySpec(d dice, name unit.Name, names []unit.Name, withMain, withTemplate bool, version int) unit.Spec {
	s := unit.Spec{
		Name: name, Kind: unit.Service, Enabled: unit.Switch{On: true},
		Command: []string{"/bin/true", "run", fmt.Sprint(d.roll(2))}, Labels: map[string]string{"version": fmt.Sprint(version)},
	}
	s.Restart = pick(d, unit.RestartAlways, unit.RestartOnFailure, unit.RestartNever)
	s.ExitRules = pick(d, nil, unit.ExitRules{{Code: 75}: unit.VerdictRestart, {Code: 78}: unit.VerdictFail, {Signal: 11}: unit.VerdictDone})
	s.GiveUp = pick(d, unit.GiveUp{}, unit.GiveUp{After: 3}, unit.GiveUp{After: 3, Within: 20 * time.Second}, unit.GiveUp{After: 1})
	s.StartTimeout = pick[time.Duration](d, 0, 2*time.Second, 15*time.Second)
	s.StableAfter = pick[time.Duration](d, 0, 3*time.Second)
	if chance(d, 3) {
		s.Backoff = unit.BackoffRule{Initial: time.Second, Max: 5 * time.Second, Factor: 3, Jitter: 0.5}
	}
	s.Stop.Grace = pick[time.Duration](d, 5*time.Second, time.Second, 0)
	s.Stop.GraceMax = pick[time.Duration](d, 0, 12*time.Second)
	s.Stop.Target = pick(d, unit.TargetGroup, unit.TargetLeader, unit.TargetSet)
	if chance(d, 4) {
		s.Stop.Command = []string{"/bin/true", "stop"}
	}
	if chance(d, 4) {
		s.Stop.Signals = []unit.StopSignal{{Signal: 2}, {Signal: unit.SIGTERM, After: time.Second}, {Signal: 3, After: 2 * time.Second}}
	}
	if chance(d, 10) {
		s.OnFailure = unit.FailureStopContainer
	}
	s.Enabled.On = !chance(d, 12)
	s.DependsOn = anyDependencies(d, name, names, withMain, withTemplate)
	if chance(d, 4) {
		s.Kind, s.Restart = unit.Oneshot, pick(d, unit.RestartOnFailure, unit.RestartNever)
		s.Required = chance(d, 8)
		if chance(d, 2) {
			s.Down = []string{"/bin/true", "down"}
		}
		return s
	}
	switch d.roll(5) {
	case 1:
		s.Readiness = &unit.Readiness{Check: unit.Check{Exec: []string{"/bin/true", "ready"}}}
	case 2:
		pattern, _ := unit.ParsePattern("^READY")
		s.Readiness = &unit.Readiness{Log: pattern}
	case 3:
		s.Readiness = &unit.Readiness{Notify: true}
	}
	if chance(d, 4) {
		s.Liveness = &unit.Liveness{Check: unit.Check{Exec: []string{"/bin/true", "alive"}}, Period: 3 * time.Second, Failures: 2}
	}
	if chance(d, 4) {
		s.Watchdog = 4 * time.Second
	}
	if chance(d, 3) {
		s.OnHang = &unit.OnHang{Signal: 6, Wait: 2 * time.Second}
	}
	return s
}

func anyDependencies(d dice, name unit.Name, names []unit.Name, withMain, withTemplate bool) []unit.Dependency {
	var list []unit.Dependency
	for _, on := range modelNames[:slices.Index(modelNames, name)] {
		there := slices.Contains(names, on) || on == unit.MainName && withMain || on.Template() != "" && withTemplate
		if !there || on.Template() == "t" && name.Template() == "t" || !chance(d, 4) {
			continue
		}
		list = append(list, unit.Dependency{
			On: on, Condition: pick(d, unit.OnReady, unit.OnStarted, unit.OnDone, unit.OnReady), RestartWith: chance(d, 3), Optional: chance(d, 3),
		})
	}
	return list
}

// clone is a copy of the declarations that can be changed without changing what the model believes.
func (v declared) clone() declared {
	if v.main != nil {
		m := *v.main
		v.main = &m
	}
	v.services, v.templates = slices.Clone(v.services), slices.Clone(v.templates)
	return v
}

// each calls f for every declaration.
func (v *declared) each(f func(*unit.Spec)) {
	if v.main != nil {
		f(v.main)
	}
	for i := range v.services {
		f(&v.services[i])
	}
	for i := range v.templates {
		f(&v.templates[i].Spec)
	}
}

// differ names what differs, for Reload; the version's label is the model's own.
func differ(a, b *unit.Spec) []string {
	x, y := *a, *b
	x.Labels, y.Labels = nil, nil
	if reflect.DeepEqual(x, y) {
		return nil
	}
	return []string{"something"}
}

func (a asking) String() string {
	names := []string{"", "start", "stop", "restart", "signal", "create", "create down", "remove", "reload", "halt"}
	return strings.TrimSpace(fmt.Sprintf("%s %s", names[a.deed], a.who))
}
