// Package conformance states what every engine.Engine promises to who uses it, as tests: a word, a state and an error mean
// the same whichever engine answers. Each promise has an engine of its own, with the templates that it needs.
//
// It does not test what only one engine has; where an engine cannot do something at all, it must say so by an error of
// kind Conflict, and that is what is tested then.
package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// Patience bounds waits that end with their condition.
const Patience = time.Minute

// Open makes an engine whose instances are made of these templates, and ends it and all that runs in it with the test.
type Open func(t *testing.T, templates []unit.Template) engine.Engine

// Run has an engine keep all promises, one after the other.
func Run(t *testing.T, open Open) {
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			k := &kit{T: t, dir: dir}
			template := k.template()
			if p.change != nil {
				p.change(k, &template)
			}
			k.Engine = open(t, []unit.Template{template})
			p.keep(k)
		})
	}
}

// promise is one thing that every engine does.
type promise struct {
	name string
	// change makes the template what the promise needs.
	change func(k *kit, t *unit.Template)
	keep   func(k *kit)
}

// kit is what a promise is tested with.
type kit struct {
	*testing.T
	engine.Engine
	dir string
}

// name is the instance that most promises are about.
const name unit.Name = "gateway@coder"

// template makes instances that end with the code in the file "end", which is then empty, and take no notice of SIGHUP
// but to write that they had one. They write their pids to "on" once they do.
func (k *kit) template() unit.Template {
	t := unit.Template{
		Name: "gateway", Max: 40, Initial: unit.InitialDown,
		Spec: unit.Spec{
			Enabled: unit.Switch{On: true}, Kind: unit.Instance, Restart: unit.RestartOnFailure,
			Stop: unit.Stop{Grace: 20 * time.Second},
		},
	}
	k.script(&t, "")
	return t
}

// script has a template's instances do something first.
func (k *kit) script(t *unit.Template, first string) {
	text := first + `
cd ` + k.dir + `
trap 'echo hup >hup-%i' HUP
echo $$ >on-%i.new; mv on-%i.new on-%i
while :; do
  if [ -s end-%i ]; then read code <end-%i; rm -f end-%i; exit $code; fi
  sleep 0.02
done`
	t.Spec.Command = []string{"/bin/sh", "-c", text}
}

// end has a run end with a code.
func (k *kit) end(n unit.Name, code int) {
	k.Helper()
	file := k.dir + "/end-" + n.Instance()
	k.must(os.WriteFile(file+".new", []byte(strconv.Itoa(code)+"\n"), 0o666))
	k.must(os.Rename(file+".new", file))
}

func (k *kit) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

// ok is a status that was no refusal.
func (k *kit) ok(s engine.Status, err error) engine.Status {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
	return s
}

func (k *kit) create(n unit.Name, down bool) engine.Status {
	k.Helper()
	s, created, err := k.Create(k.Context(), engine.CreateRequest{Name: n, Down: down})
	k.must(err)
	if !created {
		k.Errorf("%s is not said to be created", n)
	}
	return s
}

// refused checks that err is a refusal of this kind whose text is a sentence about what was asked for.
func (k *kit) refused(err error, kind engine.ErrorKind, verb string, n unit.Name) {
	k.Helper()
	if _, ok := errors.AsType[*engine.Error](err); !ok || engine.KindOf(err) != kind || !strings.HasPrefix(err.Error(), "cannot "+verb+" "+string(n)+": ") {
		k.Errorf("%s %s: %v (%s), want a refusal of kind %s", verb, n, err, engine.KindOf(err), kind)
	}
}

// until waits until a unit's status is as judge wants it. Every status on the way says why it is so.
func (k *kit) until(n unit.Name, what string, judge func(engine.Status) bool) engine.Status {
	k.Helper()
	ctx, cancel := context.WithTimeout(k.Context(), Patience)
	defer cancel()
	var last engine.Status
	for s, err := range k.Watch(ctx) {
		k.must(err)
		if s.Name != n {
			continue
		}
		if s.Because == "" || s.Reason == "" || s.Kind != unit.Instance {
			k.Errorf("%s does not say why: %+v", n, s)
		}
		if last = s; judge(s) {
			return s
		}
	}
	k.Fatalf("%s is not %s: %+v, %+v", n, what, last, last.Last)
	return last
}

func (k *kit) untilState(n unit.Name, state unit.State) engine.Status {
	k.Helper()
	return k.until(n, string(state), func(s engine.Status) bool { return s.State == state })
}

// untilOn waits until a run of the unit's does its work.
func (k *kit) untilOn(n unit.Name, run uint64) engine.Status {
	k.Helper()
	s := k.until(n, fmt.Sprintf("up in run %d", run), func(s engine.Status) bool { return s.State == unit.Up && s.Run == run })
	k.untilFile("on-"+n.Instance(), strconv.Itoa(s.PID))
	return s
}

// untilFile waits until a file holds a line.
func (k *kit) untilFile(file, line string) {
	k.Helper()
	ctx, cancel := context.WithTimeout(k.Context(), Patience)
	defer cancel()
	for {
		text, _ := os.ReadFile(k.dir + "/" + file)
		if strings.TrimSpace(string(text)) == line {
			return
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			k.Fatalf("%s holds %q, not %q", file, text, line)
		}
	}
}

// gone checks that a process is not there any more.
func (k *kit) gone(pid int) {
	k.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	if err == nil && !strings.HasPrefix(rest, "Z") {
		k.Errorf("process %d is left", pid)
	}
}

// names lists the instances that List has.
func (k *kit) names() []unit.Name {
	k.Helper()
	list, err := k.List(k.Context())
	k.must(err)
	var names []unit.Name
	for _, s := range list {
		if s.Kind == unit.Instance {
			names = append(names, s.Name)
		}
	}
	return names
}

// together does something several times at once.
func together(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

func sorted(names []unit.Name) bool { return slices.IsSorted(names) }
