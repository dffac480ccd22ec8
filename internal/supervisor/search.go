package supervisor

import (
	"context"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"pintle/internal/account"
	"pintle/internal/discover"
	"pintle/internal/engine"
	"pintle/internal/process"
	"pintle/internal/unit"
)

// This file has a template's directories looked at, and takes over what is found.
// Package discover looks, in a goroutine for each template; what it finds comes into
// the loop as an event, and is taken over a few instances at a turn.

// search is what is known of a template's instances from outside pintle.
type search struct {
	t *unit.Template
	// rule is for looking at once; zero where no directory declares anything.
	rule discover.Rule
	end  context.CancelFunc
	// found is what was found last, declared its names; looked is set once there was a first look.
	found    discover.Found
	declared map[string]bool
	looked   bool
	// todo are the instances to be compared with what was found; working is set while an event that does so is under way.
	todo    []string
	working bool
	// asking are those whose intent is being read from a file.
	asking map[string]bool
	// refused are those that are declared, and why they can't be made.
	refused map[string]string
	// early is until when one that was looked up stays, though what was found is from before it.
	early map[string]time.Time
	// atBoot is set until all that was there when pintle started is known, reported once that is in the boot report.
	atBoot, reported bool
	said             string
	saidAt           time.Time
}

// perTurn is how many instances are taken over in one event, so that a thousand of them keep nobody waiting.
const perTurn = 8

// searchAll has a search for each template that needs one, and for no other.
func (s *Supervisor) searchAll() {
	for name, f := range s.searches {
		t := s.templates[name]
		if t != nil && sameSearch(f.t, t) {
			f.t = t
			continue
		}
		f.end()
		delete(s.searches, name)
		if t == nil || t.Discover == nil {
			for _, u := range s.instancesOf(name) {
				s.vanish(u)
			}
		}
	}
	for name, t := range s.templates {
		if s.searches[name] == nil && (t.Discover != nil || t.IntentFrom != nil || t.BootReport != "") {
			s.search(t)
		}
	}
}

// sameSearch tells whether two templates look for the same.
func sameSearch(a, b *unit.Template) bool {
	return reflect.DeepEqual(a.Discover, b.Discover) && a.Names.String() == b.Names.String() && a.Max == b.Max && a.Spec.User == b.Spec.User
}

// search begins to look for a template's instances.
func (s *Supervisor) search(t *unit.Template) {
	ctx, cancel := context.WithCancel(context.Background())
	f := &search{
		t: t, end: cancel, declared: map[string]bool{}, asking: map[string]bool{}, refused: map[string]string{},
		early: map[string]time.Time{}, atBoot: !s.searched, reported: s.searched,
	}
	s.searches[t.Name] = f
	var ask []string
	for _, u := range s.instancesOf(t.Name) {
		if u.undecided {
			ask = append(ask, u.spec.Name.Instance())
		}
	}
	s.ask(f, ask)
	if t.Discover == nil {
		s.work(f)
		return
	}
	f.rule = s.ruleOf(t)
	rule := f.rule
	rule.As = asUser(s.o.Accounts, t.Spec.User) // it is the watching goroutine's own
	for _, u := range s.instancesOf(t.Name) {
		if u.found {
			rule.Known = append(rule.Known, u.spec.Name.Instance())
		}
	}
	for name, r := range s.remembered {
		if name.Template() == t.Name && r.Gone.IsZero() {
			rule.Known = append(rule.Known, name.Instance())
		}
	}
	go discover.Watch(ctx, rule, func(found discover.Found) {
		s.do(func(s *Supervisor) {
			if s.searches[t.Name] == f {
				s.takeOver(f, found)
			}
		})
	})
}

func (s *Supervisor) ruleOf(t *unit.Template) discover.Rule {
	names, template := t.Names, t.Name
	return discover.Rule{
		Directory: t.Discover.Directory, Marker: t.Discover.Marker, Except: t.Discover.Except, Max: t.Max, UID: os.Geteuid(),
		Check: func(instance string) error {
			if _, err := unit.InstanceName(template, instance); err != nil {
				return err
			}
			return names.Check(instance)
		},
	}
}

// asUser does things with the rights of a unit's user, who is looked up once. Where pintle can be nobody else, it looks
// as itself: package trust keeps it from being led astray, and then no run of the unit reads anything either.
func asUser(accounts account.Database, user string) func(do func()) error {
	var id *process.Identity
	return func(do func()) (err error) {
		if process.CanSwitch() != nil {
			do()
			return nil
		}
		if id == nil {
			if id, err = Identity(accounts, user); err != nil {
				return err
			}
		}
		return process.As(id, do)
	}
}

// instancesOf lists a template's instances.
func (s *Supervisor) instancesOf(template string) []*record {
	var list []*record
	for name, u := range s.units {
		if name.Template() == template {
			list = append(list, u)
		}
	}
	return list
}

// takeOver is what follows from another state of the directory.
func (s *Supervisor) takeOver(f *search, found discover.Found) {
	if s.stopping {
		return
	}
	f.found, f.looked = found, true
	defer s.work(f)
	if !found.Read {
		return
	}
	f.declared = make(map[string]bool, len(found.Names))
	f.todo = nil
	clear(f.refused)
	for _, instance := range found.Names {
		f.declared[instance] = true
		if u := s.units[nameOf(f, instance)]; u == nil || !u.found {
			f.todo = append(f.todo, instance)
		}
	}
	for _, u := range s.instancesOf(f.t.Name) {
		if instance := u.spec.Name.Instance(); u.found && !f.declared[instance] {
			f.todo = append(f.todo, instance)
		}
	}
	s.missThose(f)
}

// work takes over some instances, and goes on with the others in another event.
func (s *Supervisor) work(f *search) {
	n := min(perTurn, len(f.todo))
	var ask []string
	for _, instance := range f.todo[:n] {
		if s.compare(f, instance) {
			ask = append(ask, instance)
		}
	}
	f.todo = f.todo[n:]
	s.ask(f, ask)
	if len(f.todo) > 0 {
		s.goOn(f)
		return
	}
	if len(f.asking) == 0 && (f.t.Discover == nil || f.looked) {
		s.report(f)
		f.atBoot = false
		s.sayFound(f)
	}
	s.prune() // once for all of them, because it looks at everything that is remembered
}

// goOn has the work on a search go on in another event.
func (s *Supervisor) goOn(f *search) {
	if f.working {
		return
	}
	f.working = true
	s.do(func(s *Supervisor) {
		f.working = false
		if s.searches[f.t.Name] == f {
			s.work(f)
		}
	})
}

// sayFound says what is not as it should be, once; and no more often than once a minute, because it is in the hands of
// whoever owns the directory.
func (s *Supervisor) sayFound(f *search) {
	var texts []string
	for _, c := range f.troubles() {
		texts = append(texts, c.Text)
	}
	text := strings.Join(texts, "; ")
	if text == f.said || now().Sub(f.saidAt) < time.Minute {
		return
	}
	if f.said = text; text != "" {
		f.saidAt = now()
		s.o.Log.Warn(text)
	}
}

// troubles are what could not be found.
func (f *search) troubles() []engine.Condition {
	if f.t.Discover == nil {
		return nil
	}
	var list []engine.Condition
	if f.found.Trouble != "" {
		list = append(list, engine.Conditionf(engine.DiscoveryBlind, "instances of %s are not looked for: %s", f.t.Name, f.found.Trouble))
	}
	if text := f.found.Summary(f.t.Discover.Directory); text != "" {
		list = append(list, engine.Condition{Code: engine.DiscoveryRefused, Text: text})
	}
	if n := len(f.refused); n > 0 {
		first := slices.Min(slices.Collect(maps.Keys(f.refused)))
		text := fmt.Sprintf("%s is declared and can't be made: %s", nameOf(f, first), f.refused[first])
		if n > 1 {
			text += fmt.Sprintf("; and %d more", n-1)
		}
		list = append(list, engine.Condition{Code: engine.DiscoveryRefused, Text: text})
	}
	return list
}

// searchTroubles are those of all templates, for Info.
func (s *Supervisor) searchTroubles() []engine.Condition {
	var list []engine.Condition
	for _, f := range s.searches {
		list = append(list, f.troubles()...)
	}
	slices.SortFunc(list, func(a, b engine.Condition) int { return strings.Compare(a.Text, b.Text) })
	return list
}

// endSearches ends all looking.
func (s *Supervisor) endSearches() {
	for _, f := range s.searches {
		f.end()
	}
}
