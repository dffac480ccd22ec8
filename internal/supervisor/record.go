package supervisor

import (
	"os"
	"slices"
	"strings"
	"time"

	"pintle/internal/engine"
	"pintle/internal/lifecycle"
	"pintle/internal/unit"
)

// record is one unit: what was declared, what is so, and what is under way.
type record struct {
	spec *unit.Spec
	// pending is what a reload declared instead; it takes its place once nothing of the current run is left.
	pending *unit.Spec
	life    lifecycle.Unit
	since   time.Time
	intent  unit.Intent
	// by is whose wish brought it into this state. It is not always the intent's
	// actor: who asks for what is so already changes nothing.
	by unit.Actor
	// created is set where somebody has made the instance, or it is from a time when only that could be; found is set
	// while a directory declares it. undecided is set until a file has been asked what is wanted of it.
	created, found, undecided bool
	// origin says which directory declares it, by the rule declaredBy: it is in every status, and costs more than the rest.
	origin     string
	declaredBy *unit.Discovery
	// prior is what was wanted of it when pintle started, in the words of whoever said so; "" for nothing.
	prior string
	// removing is set from the request to remove it, gone once that is done.
	removing, gone bool

	run       Run       // of the current run, once it is executed
	began     time.Time // when the current run was executed
	last      *engine.RunEnd
	books     books     // what is noted of the current run for its record
	next      time.Time // when the armed timer that matters to a person fires
	timers    [lifecycle.Timers]*time.Timer
	endChecks func() // ends what asks for readiness or liveness; never nil
	remaining []string
	// text is what the run says of itself, ailment what a check said of it last.
	text, ailment string
	// early are the signals that came for main while it was being executed: it may
	// have been at work, and been signalled, before the loop knows that it exists.
	early []unit.Signal

	// socket is where the run talks to pintle, if it does; words came before the loop knew the run.
	socket Socket
	words  []word
	// ready is where a run writes that it is ready, until somebody reads it; note is the run's stop file, while it has one.
	ready *os.File
	note  string

	// with are the runs, when the current one was granted, of the units that it restarts with.
	with map[unit.Name]uint64
	// touched is set while it is on the agenda, queued while it waits for its turn, calmed while it does for the end of a
	// pause.
	touched, queued, calmed bool
	// slot is set while its start counts as under way, at most until slotTimer fires.
	slot      bool
	slotTimer *time.Timer
	// wants is set while the lease of an exclusive unit is held, or wanted.
	wants bool
	// sure is the fence of the lease since which it is known what other containers have asked of it; asking is set while
	// that is found out.
	sure   uint64
	asking bool
	// unsaved is set while what was last asked of an exclusive unit is not on disk; saves counts the tries.
	unsaved bool
	saves   uint64
	// halted is set once it was its turn to end, in a container that ends.
	halted bool
}

func newRecord(spec *unit.Spec) *record {
	return &record{spec: spec, life: lifecycle.New(spec), since: now(), endChecks: func() {}}
}

// add makes a unit known.
func (s *Supervisor) add(spec *unit.Spec) *record { return s.enter(newRecord(spec)) }

func (s *Supervisor) enter(u *record) *record {
	s.units[u.spec.Name] = u
	if f := s.searches[u.spec.Name.Template()]; f != nil && f.declared[u.spec.Name.Instance()] {
		u.found = true
	}
	s.keepOutput(u, nil)
	s.depend(u)
	for _, d := range s.dependents[u.spec.Name] {
		s.touch(d) // it may have waited for somebody to make it
	}
	return u
}

// depend notes whom u depends on.
func (s *Supervisor) depend(u *record) {
	for _, d := range u.spec.DependsOn {
		s.dependents[d.On] = append(s.dependents[d.On], u)
	}
}

// undepend forgets it.
func (s *Supervisor) undepend(u *record) {
	for _, d := range u.spec.DependsOn {
		s.dependents[d.On] = slices.DeleteFunc(s.dependents[d.On], func(other *record) bool { return other == u })
		if len(s.dependents[d.On]) == 0 {
			delete(s.dependents, d.On)
		}
	}
}

// sorted lists the records by name, main first.
func (s *Supervisor) sorted() []*record {
	list := make([]*record, 0, len(s.units))
	for _, u := range s.units {
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b *record) int {
		return inOrder(a.spec.Kind, b.spec.Kind, a.spec.Name, b.spec.Name)
	})
	return list
}

// inOrder compares two units.
func inOrder(kindA, kindB unit.Kind, a, b unit.Name) int {
	if (kindA == unit.Main) != (kindB == unit.Main) {
		if kindA == unit.Main {
			return -1
		}
		return 1
	}
	return strings.Compare(string(a), string(b))
}

// reset forgets what belonged to the run before: none is under way, or a new one begins.
func (s *Supervisor) reset(u *record) {
	u.run, u.remaining, u.words, u.text, u.ailment = nil, nil, nil, "", ""
	u.books = books{}
	if u.socket != nil {
		_ = u.socket.Close() // nobody is left who could use it
		u.socket = nil
	}
	if u.ready != nil {
		u.ready.Close()
		u.ready = nil
	}
	for i, t := range u.timers {
		if t != nil {
			t.Stop()
			u.timers[i] = nil
		}
	}
}
