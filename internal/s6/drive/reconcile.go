package drive

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"pintle/internal/discover"
	"pintle/internal/engine"
	"pintle/internal/store"
	"pintle/internal/trust"
	"pintle/internal/unit"
)

// atOnce is how many instances are made side by side.
const atOnce = 16

// Reconcile makes the instances that there are to be and are not: those that their templates declare, those that
// somebody has created, and those that a directory declares; each as it was wanted last, else as a file says, else as
// its template does. What is there is left as it is. One that cannot be made keeps no other from it: say hears one line
// of each, and the error tells how many failed.
func (t *Tree) Reconcile(ctx context.Context, say func(line string)) error {
	if err := t.alive(); err != nil {
		return engine.Errorf(engine.Unavailable, "cannot reconcile: %v", err)
	}
	var mu sync.Mutex
	failed := 0
	report := func(bad bool, format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if bad {
			failed++
		}
		say(fmt.Sprintf(format, args...))
	}
	t.unkeptNow(t.unkept)
	records, told := t.shelf.All()
	for _, c := range told {
		report(true, "%s", c.Text)
	}
	t.tidy(ctx, report)
	if err := t.rescan(false); err != nil { // for what was made by a command that was interrupted then
		report(true, "cannot have s6-svscan look at its directory: %v", err)
	}
	t.each(t.toBe(ctx, records, report), func(name string) { t.restore(ctx, unit.Name(name), report) })
	if failed > 0 {
		return engine.Errorf(engine.Internal, "cannot reconcile everything: %d things could not be done", failed)
	}
	return nil
}

// tidy takes away what interrupted commands have left, and ends what they were about to end; locks that nobody has go, too.
func (t *Tree) tidy(ctx context.Context, report func(bad bool, format string, args ...any)) {
	of := map[string]bool{}
	for _, left := range t.leftovers() {
		name := strings.TrimSuffix(left, lockSuffix) // of the lock of a template's instances it leaves an "!"
		if name == left {
			name, _, _ = strings.Cut(left, "!")
		}
		of[name] = true
	}
	t.each(slices.Sorted(maps.Keys(of)), func(name string) {
		ctx, cancel := t.underWay(ctx, unit.DefaultStopGracePeriod+finishTime)
		defer cancel()
		unlock, err := t.lock(ctx, name)
		if err == nil {
			err = t.sweep(ctx, unit.Name(name))
			unlock()
		}
		if err != nil {
			report(true, "cannot take away what is left of %s: %v", name, cause(err))
		}
	})
}

// each does something for each name, some of them side by side.
func (t *Tree) each(names []string, do func(name string)) {
	turns := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for _, name := range names {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			do(name)
		})
	}
	all.Wait()
}

// toBe lists the instances that there are to be.
func (t *Tree) toBe(ctx context.Context, records []store.Record, report func(bad bool, format string, args ...any)) []string {
	names := map[string]bool{}
	for i := range t.o.Templates {
		template := &t.o.Templates[i]
		if e := template.Spec.Enabled; !e.On {
			report(false, "%s: skipped, it is disabled in this container: %s", template.Name, e.Because)
			continue
		}
		for _, instance := range template.Always {
			names[template.Name+"@"+instance] = true
		}
		found := t.discover(ctx, template, records)
		if found.Trouble != "" {
			report(true, "cannot look for instances of %s: %s", template.Name, found.Trouble)
		}
		if text := found.Summary(directoryOf(template)); text != "" {
			report(false, "%s", text) // whoever owns the directory must not make a boot fail
		}
		for _, instance := range found.Names {
			names[template.Name+"@"+instance] = true
		}
	}
	for _, r := range records {
		if !r.Discovered && r.Unit.Template() != "" {
			names[string(r.Unit)] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func directoryOf(t *unit.Template) string {
	if t.Discover == nil {
		return ""
	}
	return t.Discover.Directory
}

// discover looks once.
func (t *Tree) discover(ctx context.Context, template *unit.Template, records []store.Record) (found discover.Found) {
	if template.Discover == nil {
		return found
	}
	rule := ruleOf(template)
	for _, r := range records {
		if r.Discovered && r.Gone.IsZero() && r.Unit.Template() == template.Name {
			rule.Known = append(rule.Known, r.Unit.Instance())
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	discover.Watch(ctx, rule, func(f discover.Found) {
		found = f
		cancel()
	})
	return found
}

func ruleOf(t *unit.Template) discover.Rule {
	return discover.Rule{
		Directory: t.Discover.Directory, Marker: t.Discover.Marker, Except: t.Discover.Except, Max: t.Max, UID: os.Geteuid(),
		Check: func(instance string) error {
			if _, err := unit.InstanceName(t.Name, instance); err != nil {
				return err
			}
			return t.Names.Check(instance)
		},
	}
}

// declared tells whether a directory declares an instance now.
func (t *Tree) declared(name unit.Name) bool {
	template := t.templates[name.Template()]
	return template != nil && template.Discover != nil && discover.Declares(ruleOf(template), name.Instance())
}

// restore makes one instance, where it is missing.
func (t *Tree) restore(ctx context.Context, name unit.Name, report func(bad bool, format string, args ...any)) {
	spec, err := t.instantiate(name)
	if err != nil {
		report(true, "cannot restore %s: %v", name, err)
		return
	}
	var intent unit.Intent
	_, created, err := t.ensure(ctx, spec, func(was note, exists bool) (note, bool) {
		n, wish := t.found(name)(was, exists)
		intent = n.Intent
		return n, wish
	})
	switch {
	case err != nil:
		report(true, "%v", t.failure("restore", name, err))
	case created:
		report(false, "%s: restored, %s (%s)", name, intent.Desired(), intent.Actor)
	default:
		report(false, "%s: it is there already", name)
	}
}

// found is what is wanted of an instance that nobody has just asked for: what was wanted last, else what a file says,
// else what its template does.
func (t *Tree) found(name unit.Name) decision {
	return func(was note, exists bool) (note, bool) {
		if exists {
			return was, false
		}
		was.Discovered = true
		if r, ok := t.shelf.Get(name); ok {
			was.Intent, was.Discovered = r.Intent, r.Discovered
			return was, true
		}
		template := t.templates[name.Template()]
		actor := unit.ByDiscovery
		if slices.Contains(template.Always, name.Instance()) {
			actor = unit.Boot
		}
		was.Intent = unit.Intent{Up: template.Initial == unit.InitialUp, Time: now(), Actor: actor}
		if up, ok := saidOf(template, name.Instance()); ok {
			was.Intent.Up, was.Intent.Generation = up, 1
		}
		return was, true
	}
}

// maxIntentFile is the largest file that is asked for what is wanted.
const maxIntentFile = 64 << 10

// saidOf is what a file of somebody else's says is wanted of an instance.
func saidOf(t *unit.Template, instance string) (up, ok bool) {
	if t.IntentFrom == nil {
		return false, false
	}
	data, err := trust.ReadForeign(t.FileOf(instance), os.Geteuid(), maxIntentFile)
	if err != nil {
		return false, false
	}
	value, ok := t.IntentFrom.Read(data)
	return ok && t.IntentFrom.Means(value), ok
}
