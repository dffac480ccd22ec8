package supervisor

import (
	"os"
	"slices"

	"pintle/internal/account"
	"pintle/internal/process"
	"pintle/internal/trust"
	"pintle/internal/unit"
)

// This file asks a file of somebody else's what is wanted of an instance, once: of
// one of which nobody has asked anything of pintle, in this life or an earlier one. The
// answer is kept as pintle's own from then on, whatever becomes of the file.

// said is what a file says is wanted.
type said struct {
	value string
	up    bool
}

// maxIntentFile is the largest file that is read for that, in bytes.
const maxIntentFile = 64 << 10

// readIntents reads the files of some instances, with the rights of their user. One that cannot be used, for whatever reason, says nothing.
func readIntents(accounts account.Database, t *unit.Template, instances []string) map[string]*said {
	answers := map[string]*said{}
	if t.IntentFrom == nil {
		return answers
	}
	id, err := Identity(accounts, t.Spec.User)
	if err != nil {
		return answers
	}
	_ = process.As(id, func() {
		for _, instance := range instances {
			data, err := trust.ReadForeign(t.FileOf(instance), os.Geteuid(), maxIntentFile)
			if err != nil {
				continue
			}
			if value, ok := t.IntentFrom.Read(data); ok {
				answers[instance] = &said{value, t.IntentFrom.Means(value)}
			}
		}
	})
	return answers
}

// ask has the files of some instances read, and then decides.
func (s *Supervisor) ask(f *search, instances []string) {
	if len(instances) == 0 {
		return
	}
	for _, instance := range instances {
		f.asking[instance] = true
	}
	t := f.t
	go func() {
		answers := readIntents(s.o.Accounts, t, instances)
		for some := range slices.Chunk(instances, perTurn) {
			s.do(func(s *Supervisor) {
				if s.searches[t.Name] != f || s.stopping {
					return // another search asks anew
				}
				for _, instance := range some {
					delete(f.asking, instance)
					s.decide(f, instance, answers[instance])
				}
				s.work(f)
			})
		}
	}()
}

// decide is what follows from the answer; nil is none.
func (s *Supervisor) decide(f *search, instance string, a *said) {
	name := nameOf(f, instance)
	u := s.units[name]
	found := f.declared[instance] || now().Before(f.early[instance])
	if u == nil && !found || u != nil && (!u.undecided || u.intent.Generation > 0) {
		return // it went away meanwhile, or somebody has asked for something
	}
	intent := unit.Intent{Up: f.t.Initial == unit.InitialUp, Time: now(), Actor: unit.ByDiscovery}
	if a != nil {
		intent.Up, intent.Generation = a.up, 1
	}
	if u == nil {
		if s.makeFound(f, name, intent, false) != nil {
			return
		}
		u = s.units[name]
	} else {
		if u.undecided = false; a == nil {
			intent.Actor = unit.Boot // it is declared in the configuration
		}
		u.intent, u.by = intent, intent.Actor
		s.fulfil(u, a == nil)
		s.publish(u)
	}
	if a != nil {
		u.prior = a.value
		s.o.Store.Repeat(s.recordOf(u)) // another container may have taken it over too, and have been asked for something since
	}
}

// priorOf is an intent of an earlier life in the words of the file, where there is one.
func priorOf(t *unit.Template, intent unit.Intent) string {
	if intent.Up && t != nil && t.IntentFrom != nil {
		return t.IntentFrom.Up[0]
	}
	return intent.Desired()
}
