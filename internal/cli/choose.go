package cli

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// chooser is what the words NAME… and -l of a command line choose.
type chooser struct {
	names    []unit.Name // exact names
	patterns []string    // with path.Match's syntax
	labels   []string    // "key=value"
}

// newChooser checks the words; a bad one is Invalid.
func newChooser(words, labels []string) (chooser, error) {
	c := chooser{labels: labels}
	for _, w := range words {
		if strings.ContainsAny(w, `*?[\`) {
			if _, err := path.Match(w, ""); err != nil {
				return c, engine.Errorf(engine.Invalid, "cannot use pattern %q: %v", w, err)
			}
			c.patterns = append(c.patterns, w)
			continue
		}
		n, err := parseName(w)
		if err != nil {
			return c, err
		}
		if !slices.Contains(c.names, n) {
			c.names = append(c.names, n)
		}
	}
	for _, l := range labels {
		if key, _, ok := strings.Cut(l, "="); !ok || key == "" {
			return c, engine.Errorf(engine.Invalid, "cannot use label %q: it is written key=value", l)
		}
	}
	return c, nil
}

// matches tells whether the unit is chosen. Nothing named chooses all.
func (c chooser) matches(s engine.Status) bool {
	for _, l := range c.labels {
		key, value, _ := strings.Cut(l, "=")
		if have, ok := s.Labels[key]; !ok || have != value {
			return false
		}
	}
	if len(c.names)+len(c.patterns) == 0 || slices.Contains(c.names, s.Name) {
		return true
	}
	return slices.ContainsFunc(c.patterns, func(p string) bool {
		ok, _ := path.Match(p, string(s.Name)) // newChooser has seen that p is well formed
		return ok
	})
}

// filter is those of all that are chosen.
func (c chooser) filter(all []engine.Status) []engine.Status {
	var chosen []engine.Status
	for _, s := range all {
		if c.matches(s) {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

// missing is the exact names that are not among all.
func (c chooser) missing(all []engine.Status) []unit.Name {
	var none []unit.Name
	for _, n := range c.names {
		if !slices.ContainsFunc(all, func(s engine.Status) bool { return s.Name == n }) {
			none = append(none, n)
		}
	}
	return none
}

func (c chooser) String() string {
	words := slices.Clone(c.patterns)
	for _, n := range c.names {
		words = append(words, string(n))
	}
	for _, l := range c.labels {
		words = append(words, "-l "+l)
	}
	return strings.Join(words, " ")
}

// target is a unit to do something to, as it was before. For a name that the
// engine did not list, before is empty: the engine itself is to say what is
// wrong with it.
type target struct {
	name   unit.Name
	before engine.Status
}

// targets finds what a verb is for. A pattern that matches nothing is an error
// of kind NotFound: a verb must not report success without having done
// anything.
func (c chooser) targets(ctx context.Context, eng engine.Engine, verb string) ([]target, error) {
	all, err := eng.List(ctx)
	if err != nil {
		return nil, err
	}
	var found []target
	for _, s := range c.filter(all) {
		found = append(found, target{s.Name, s})
	}
	if len(c.labels) == 0 {
		for _, n := range c.missing(all) {
			found = append(found, target{name: n})
		}
	}
	if len(found) == 0 {
		return nil, engine.Errorf(engine.NotFound, "cannot %s %q: no unit matches", verb, c)
	}
	return found, nil
}

// known tells whether the engine listed any of the targets.
func known(ts []target) bool {
	return slices.ContainsFunc(ts, func(t target) bool { return t.before.Name != "" })
}

// addLabels declares -l.
func addLabels(cmd *cobra.Command, labels *[]string) {
	cmd.Flags().StringArrayVarP(labels, "label", "l", nil, "only units with this `key=value`; several must all be there")
}

// completionTime is how long a person at a shell waits for names.
const completionTime = time.Second

// completeNames offers the units there are, with their state. It is silent
// where there is nobody to ask: a shell prompt is no place for an error.
func (a *app) completeNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	const none = cobra.ShellCompDirectiveNoFileComp
	eng, err := a.Connect()
	if err != nil {
		return nil, none
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	all, err := eng.List(ctx)
	if err != nil {
		return nil, none
	}
	var names []string
	for _, s := range all {
		if !slices.Contains(args, string(s.Name)) {
			names = append(names, fmt.Sprintf("%s\t%s", clean(string(s.Name)), clean(string(s.State))))
		}
	}
	return names, none
}

// completeOneName is completeNames for a command that takes one name.
func (a *app) completeOneName(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeNames(cmd, args, word)
}

// parseName reads the name of one unit.
func parseName(word string) (unit.Name, error) {
	name, err := unit.ParseName(word)
	if err != nil {
		return "", engine.Errorf(engine.Invalid, "%v", err)
	}
	return name, nil
}

// connectFor reads the name of one unit, and then connects: what is wrong with a name needs no supervisor to be said.
func (a *app) connectFor(word string) (unit.Name, engine.Engine, error) {
	name, err := parseName(word)
	if err != nil {
		return "", nil, err
	}
	eng, err := a.Connect()
	return name, eng, err
}
