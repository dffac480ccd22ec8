package supervisor

import (
	"cmp"
	"context"
	"maps"
	"reflect"
	"slices"

	"pintle/internal/engine"
	"pintle/internal/lifecycle"
	"pintle/internal/unit"
)

// Declarations are what a reload reads: everything that can be declared anew.
type Declarations struct {
	Main      *unit.Spec
	Services  []unit.Spec
	Templates []unit.Template
	Governor  unit.Governor
	// Fixed are keys that can't change while the container runs, and differ; sorted.
	Fixed []string
	// Free are keys of the container's own that differ, and hold once Commit is called; sorted.
	Free []string
	// Secret is Options.Secret where that is another now; else nil.
	Secret func(name string) bool
	// Differ names the keys in which two declarations differ, as the configuration has them.
	Differ func(a, b *unit.Spec) []string
	// Commit is called when the declarations are taken over.
	Commit func()
}

// Reload implements engine.Engine.
func (s *Supervisor) Reload(ctx context.Context, req engine.ReloadRequest) ([]engine.Change, error) {
	if s.o.Load == nil {
		return nil, engine.Errorf(engine.Conflict, "cannot reload the configuration: there is no configuration here")
	}
	d, err := s.o.Load()
	if err != nil {
		return nil, engine.Errorf(engine.Invalid, "cannot reload the configuration:\n%v", err)
	}
	actor := engine.ActorOf(ctx)
	return ask(ctx, s, func(s *Supervisor, answer func([]engine.Change, error)) {
		switch {
		case s.stopping:
			answer(nil, engine.Errorf(engine.Conflict, "cannot reload the configuration: the container is stopping"))
			return
		case s.reloading:
			answer(nil, engine.Errorf(engine.Conflict, "cannot reload the configuration: another reload is under way"))
			return
		}
		r := reload{s: s, d: d, actor: actor, dry: req.DryRun}
		s.reloading = true
		r.plan(func() {
			r.carryOut(func() { answer(r.changes, nil) })
		})
	})
}

// reload is one reload under way. It is planned as a whole first, so that a dry run and a real one agree. Both parts
// take several turns of the loop, and what has happened between them counts: who is being removed by now is not declared
// anew, and a container that is stopping by now does not care.
type reload struct {
	s       *Supervisor
	d       Declarations
	actor   unit.Actor
	dry     bool
	changes []engine.Change
	steps   []func()
}

func (r *reload) add(c engine.Change, step func()) {
	r.changes = append(r.changes, c)
	r.steps = append(r.steps, step)
}

// carryOut does what is planned, but in a dry run.
func (r *reload) carryOut(then func()) {
	if r.dry {
		r.steps = nil
	} else if r.d.Secret != nil {
		r.s.classify(r.d.Secret) // before anything starts that has one of them
	}
	r.s.inTurns(len(r.steps), func(i int) {
		if !r.s.stopping {
			r.steps[i]()
		}
	}, func() {
		r.s.reloading = false
		if !r.dry {
			r.s.searchAll()
			if r.d.Commit != nil {
				r.d.Commit()
			}
		}
		r.s.settle()
		then()
	})
}

// plan finds what differs.
func (r *reload) plan(then func()) {
	templates := map[string]*unit.Template{}
	for i := range r.d.Templates {
		templates[r.d.Templates[i].Name] = &r.d.Templates[i]
	}
	wanted := map[unit.Name]*unit.Spec{}
	for i := range r.d.Services {
		wanted[r.d.Services[i].Name] = &r.d.Services[i]
	}
	r.planInstances(templates, wanted)
	units := r.s.sorted()
	r.s.inTurns(len(units), func(i int) { r.planUnit(units[i], wanted[units[i].spec.Name]) }, func() {
		r.planAdditions(wanted)
		r.planTemplates(templates)
		r.planRest()
		slices.SortStableFunc(r.changes, func(a, b engine.Change) int { return cmp.Compare(a.Name, b.Name) })
		then()
	})
}

// planRest finds what differs in the container's own settings.
func (r *reload) planRest() {
	if len(r.d.Fixed) > 0 {
		r.add(engine.Change{Kind: engine.ChangeEdit, Keys: r.d.Fixed, Effect: "takes effect when the container starts anew"}, func() {})
	}
	if len(r.d.Free) > 0 {
		r.add(engine.Change{Kind: engine.ChangeEdit, Keys: r.d.Free, Effect: "holds from now on"}, func() {})
	}
	if r.d.Governor != r.s.o.Governor {
		r.add(engine.Change{Kind: engine.ChangeEdit, Keys: []string{"governor"}, Effect: "holds from now on"}, func() {
			r.s.o.Governor = r.d.Governor
			r.s.governor.Rule(r.d.Governor)
		})
	}
}

// planInstances finds what becomes of the instances that there are, and which are declared anew.
func (r *reload) planInstances(templates map[string]*unit.Template, wanted map[unit.Name]*unit.Spec) {
	for name := range r.s.units {
		t := templates[name.Template()]
		if t == nil {
			continue
		}
		if spec, err := t.Instantiate(name.Instance()); err == nil { // else its template forbids the name now
			wanted[name] = &spec
		}
	}
	for _, t := range templates {
		for _, instance := range t.Always {
			if spec, err := t.Instantiate(instance); err == nil { // the configuration was checked for this
				wanted[spec.Name] = &spec
			}
		}
	}
}

// planUnit finds what becomes of a unit for which spec is declared now; nil for nothing.
func (r *reload) planUnit(u *record, spec *unit.Spec) {
	c := engine.Change{Name: string(u.spec.Name), Kind: engine.ChangeEdit}
	switch {
	case u.spec.Kind == unit.Main:
		if c.Keys = r.d.Differ(u.spec, r.d.Main); len(c.Keys) > 0 {
			c.Effect = "takes effect when the container starts anew"
			r.add(c, func() {})
		}
	case u.removing:
	case spec == nil:
		c.Kind, c.Effect = engine.ChangeRemove, removalOf(u)
		r.add(c, func() { r.s.dismiss(u, r.actor) })
	default:
		old := u.spec
		if u.pending != nil {
			old = u.pending
		}
		if c.Keys = r.d.Differ(old, spec); len(c.Keys) > 0 {
			replaces := replacesRun(old, spec)
			c.Effect = editOf(u, spec, replaces)
			r.add(c, func() { r.s.redeclare(u, spec, replaces, r.actor) })
		}
	}
}

// planAdditions finds which units are new.
func (r *reload) planAdditions(wanted map[unit.Name]*unit.Spec) {
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if r.s.units[name] == nil {
			spec := wanted[name]
			up := r.upAtFirst(spec)
			r.add(engine.Change{Name: string(name), Kind: engine.ChangeAdd, Effect: additionOf(spec, up)}, func() {
				r.s.welcome(spec, up, r.actor)
			})
		}
	}
}

// upAtFirst tells whether a unit that is declared anew is wanted up.
func (r *reload) upAtFirst(spec *unit.Spec) bool {
	if spec.Kind != unit.Instance {
		return spec.Enabled.On
	}
	t := slices.IndexFunc(r.d.Templates, func(t unit.Template) bool { return t.Name == spec.Name.Template() })
	return t >= 0 && r.d.Templates[t].Initial == unit.InitialUp
}

// planTemplates compares the rules for instances.
func (r *reload) planTemplates(templates map[string]*unit.Template) {
	names := map[string]bool{}
	for name := range templates {
		names[name] = true
	}
	for name := range r.s.templates {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, is := r.s.templates[name], templates[name]
		c := engine.Change{Name: name, Kind: engine.ChangeEdit, Effect: "holds for instances from now on"}
		switch {
		case was == nil:
			c.Kind, c.Effect = engine.ChangeAdd, "instances of it can be created"
		case is == nil:
			c.Kind, c.Effect = engine.ChangeRemove, "no instances of it can be created any more"
		default:
			if c.Keys = rulesThatDiffer(r.d.Differ, was, is); len(c.Keys) == 0 {
				continue
			}
			if slices.Contains(c.Keys, "instances.discover") {
				c.Effect += "; those that directories declare are looked for anew"
			}
		}
		r.add(c, func() {
			if is == nil {
				delete(r.s.templates, name)
			} else {
				r.s.templates[name] = is
				r.s.followOthers()
			}
		})
	}
}

func rulesThatDiffer(differ func(a, b *unit.Spec) []string, was, is *unit.Template) []string {
	keys := differ(&was.Spec, &is.Spec)
	for key, differs := range map[string]bool{
		"instances.names":    was.Names.String() != is.Names.String(),
		"instances.managers": !reflect.DeepEqual(was.Managers, is.Managers),
		"instances.max":      was.Max != is.Max,
		"instances.always":   !slices.Equal(was.Always, is.Always),
		"instances.initial":  was.Initial != is.Initial,
		"instances.discover": !reflect.DeepEqual(was.Discover, is.Discover),
		// The latter two are looked at when an instance is first seen, and when the container starts.
		"instances.intent_from": !reflect.DeepEqual(was.IntentFrom, is.IntentFrom),
		"instances.roles":       !slices.Equal(was.Roles, is.Roles),
		"instances.boot_report": was.BootReport != is.BootReport,
		"overrides":             !reflect.DeepEqual(was.Overrides, is.Overrides),
	} {
		if differs {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// replacesRun tells whether a run of the one declaration is not a run of the
// other: what it was executed with differs, and not only what is done about it.
func replacesRun(a, b *unit.Spec) bool {
	return !slices.Equal(a.Command, b.Command) || a.User != b.User || !slices.Equal(a.EnvFiles, b.EnvFiles) ||
		!maps.Equal(a.Environment, b.Environment) || a.WorkingDir != b.WorkingDir ||
		!reflect.DeepEqual(a.Attributes, b.Attributes) || fdOf(a) != fdOf(b) || talks(a) != talks(b) || notifies(a) != notifies(b) || a.Watchdog != b.Watchdog || a.Exclusive != b.Exclusive || a.Kind != b.Kind
}

func fdOf(s *unit.Spec) int {
	if s.Readiness == nil {
		return 0
	}
	return s.Readiness.FD
}

func removalOf(u *record) string {
	if u.life.Alive() {
		return "it is stopped and forgotten"
	}
	return "it is forgotten"
}

func additionOf(spec *unit.Spec, up bool) string {
	switch {
	case !spec.Enabled.On:
		return "it is disabled: " + disabledBecause(spec)
	case up:
		return "it is started"
	}
	return "it is down until somebody starts it"
}

func editOf(u *record, spec *unit.Spec, replaces bool) string {
	switch {
	case !spec.Enabled.On && u.life.Alive():
		return "it is stopped, and then disabled: " + disabledBecause(spec)
	case !spec.Enabled.On:
		return "it is disabled: " + disabledBecause(spec)
	case u.life.State == unit.Disabled:
		return "it is started"
	case u.life.Alive() && replaces:
		return "its run is replaced"
	case u.life.Alive():
		return "holds from now on; its run goes on"
	case u.intent.Up:
		return "it is started with it"
	}
	return "holds from its next run on"
}

// welcome makes a unit known that was declared anew.
func (s *Supervisor) welcome(spec *unit.Spec, up bool, actor unit.Actor) {
	if s.units[spec.Name] != nil {
		return // somebody has created it meanwhile
	}
	u := s.add(spec)
	if up {
		s.intendBy(u, true, actor, lifecycle.Event{Kind: lifecycle.Start, Reason: unit.Changed})
		return
	}
	u.intent = unit.Intent{Time: now(), Actor: actor}
	s.publish(u)
}

// dismiss ends and forgets a unit that is not declared any more. What was asked of it stays on disk, for a mistake that
// the next reload takes back.
func (s *Supervisor) dismiss(u *record, actor unit.Actor) {
	if u.gone {
		return
	}
	if u.found && !u.created {
		s.remember(u, now())
	}
	u.removing = true
	s.intendBy(u, false, actor, lifecycle.Event{Kind: lifecycle.Stop, Reason: unit.Dropped})
}

// redeclare gives a unit another declaration.
func (s *Supervisor) redeclare(u *record, spec *unit.Spec, replaces bool, actor unit.Actor) {
	on := spec.Enabled.On
	switch {
	case u.removing:
	case !u.life.Alive():
		wasOff := u.life.State == unit.Disabled
		u.pending = spec
		s.renew(u)
		if on && (u.intent.Up || wasOff) {
			s.intendBy(u, true, actor, lifecycle.Event{Kind: lifecycle.Restart, Reason: unit.Changed})
		}
		s.publish(u)
	case !on:
		u.pending = spec
		s.intendBy(u, false, actor, lifecycle.Event{Kind: lifecycle.Stop, Reason: unit.Changed})
	case replaces && !u.intent.Up: // it is ending, and nobody wants another run
		u.pending = spec
		s.publish(u)
	case replaces:
		u.pending = spec
		s.intendBy(u, u.intent.Up, actor, lifecycle.Event{Kind: lifecycle.Restart, Reason: unit.Changed})
	default:
		old := u.spec
		s.undepend(u)
		u.spec = spec
		s.keepOutput(u, old)
		s.depend(u)
		s.recheck(u, old)
		s.touch(u)
		s.publish(u)
	}
}

// renew has the declaration that waits for the end of a run take its place.
func (s *Supervisor) renew(u *record) {
	if u.pending == nil {
		return
	}
	s.touchDependents(u) // on the way down also those that only the old declaration depends on
	s.undepend(u)
	old := u.spec
	u.spec, u.pending = u.pending, nil
	s.keepOutput(u, old)
	s.depend(u)
	before := u.life
	if u.life = lifecycle.Redeclare(u.spec, u.life); u.life.State != before.State {
		s.moved(u, &before)
	}
	s.touch(u)
	s.touchDependents(u)
	s.settleLease(u)
}

// intendBy lets an event happen to a unit whose reason is not that somebody asked just for it.
func (s *Supervisor) intendBy(u *record, up bool, actor unit.Actor, e lifecycle.Event) {
	if u.intent.Up != up {
		u.intent = unit.Intent{Up: up, Generation: u.intent.Generation + 1, Time: now(), Actor: actor}
	}
	u.by = actor
	s.step(u, e)
	if !u.gone {
		s.publish(u) // what is wanted may have changed alone
	}
}
