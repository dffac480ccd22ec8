package relay

import (
	"fmt"
	"slices"
	"testing"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// TestNews: a reader misses what lies between two looks, never the last; and it
// is told that a unit is gone if it knew it, before it is told of another of that name.
func TestNews(t *testing.T) {
	t.Parallel()
	is := func(name unit.Name, run uint64) engine.Status { return engine.Status{Name: name, Run: run} }
	gone := func(name unit.Name, run uint64) engine.Status {
		return engine.Status{Name: name, Run: run, Gone: true}
	}
	for name, c := range map[string]struct{ first, read, then, want []engine.Status }{
		"the first list is told in its order":   {[]engine.Status{is("main", 1), is("a", 1)}, nil, nil, []engine.Status{is("main", 1), is("a", 1)}},
		"the last of several":                   {nil, nil, []engine.Status{is("a", 1), is("b", 1), is("a", 2), is("a", 3)}, []engine.Status{is("a", 3), is("b", 1)}},
		"come and gone unseen":                  {nil, nil, []engine.Status{is("a", 1), gone("a", 1), is("b", 1)}, []engine.Status{is("b", 1)}},
		"gone before the first list was read":   {[]engine.Status{is("a", 1)}, nil, []engine.Status{gone("a", 1)}, []engine.Status{gone("a", 1)}},
		"gone":                                  {nil, []engine.Status{is("a", 1)}, []engine.Status{is("a", 2), gone("a", 2)}, []engine.Status{gone("a", 2)}},
		"gone, and another has the name":        {nil, []engine.Status{is("a", 5)}, []engine.Status{gone("a", 5), is("a", 1), is("a", 2)}, []engine.Status{gone("a", 5), is("a", 2)}},
		"gone, and another, and that gone, too": {nil, []engine.Status{is("a", 5)}, []engine.Status{gone("a", 5), is("a", 1), gone("a", 1)}, []engine.Status{gone("a", 1)}},
		"gone is told once":                     {nil, []engine.Status{is("a", 1), gone("a", 1)}, []engine.Status{gone("a", 1)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := NewReader(c.first)
			for _, s := range c.read {
				w.put(&s)
				w.Take()
			}
			for _, s := range c.then {
				w.put(&s)
			}
			if got := w.Take(); !slices.EqualFunc(got, c.want, func(a, b engine.Status) bool {
				return a.Name == b.Name && a.Run == b.Run && a.Gone == b.Gone
			}) {
				t.Errorf("told %+v", got)
			}
			if got := w.Take(); len(got) != 0 {
				t.Errorf("and then %+v", got)
			}
		})
	}
}

// TestNewsIsBounded: a reader that has stalled keeps nothing of units that come and go.
func TestNewsIsBounded(t *testing.T) {
	t.Parallel()
	w := NewReader([]engine.Status{{Name: "a"}})
	for i := range 10000 {
		name := unit.Name(fmt.Sprintf("gateway@%d", i))
		w.put(&engine.Status{Name: name})
		w.put(&engine.Status{Name: name, Gone: true})
	}
	if len(w.order) != 1 || len(w.news) != 1 || len(w.known) != 1 {
		t.Errorf("%d, %d, %d", len(w.order), len(w.news), len(w.known))
	}
}

// TestRelay: a reader is told what was said since it came and nothing from before, also where both are passed on at once.
func TestRelay(t *testing.T) {
	t.Parallel()
	is := func(name unit.Name, run uint64) *engine.Status { return &engine.Status{Name: name, Run: run} }
	gone := func(name unit.Name, run uint64) *engine.Status {
		return &engine.Status{Name: name, Run: run, Gone: true}
	}
	for name, c := range map[string]struct {
		before      []*engine.Status
		first       []engine.Status
		since, want []*engine.Status
	}{
		"nothing from before":        {[]*engine.Status{is("a", 1)}, []engine.Status{*is("a", 2)}, nil, nil},
		"nor of what has gone":       {[]*engine.Status{is("a", 1), gone("a", 1), is("a", 5)}, []engine.Status{*is("a", 5)}, nil, nil},
		"what is now":                {[]*engine.Status{is("a", 1)}, []engine.Status{*is("a", 1)}, []*engine.Status{is("a", 2), is("b", 1)}, []*engine.Status{is("a", 2), is("b", 1)}},
		"another of a name that was": {[]*engine.Status{gone("a", 1)}, nil, []*engine.Status{is("a", 5)}, []*engine.Status{is("a", 5)}},
		"gone":                       {[]*engine.Status{is("a", 1)}, []engine.Status{*is("a", 1)}, []*engine.Status{gone("a", 1)}, []*engine.Status{gone("a", 1)}},
		"gone, and another":          {nil, []engine.Status{*is("a", 1)}, []*engine.Status{is("a", 2), gone("a", 2), is("a", 7)}, []*engine.Status{gone("a", 2), is("a", 7)}},
		"come and gone":              {nil, nil, []*engine.Status{is("a", 1), gone("a", 1)}, nil},
		"the last of many":           {nil, []engine.Status{*is("a", 1)}, []*engine.Status{is("a", 2), is("a", 3), is("a", 4)}, []*engine.Status{is("a", 4)}},
	} {
		t.Run(name, func(t *testing.T) {
			r := New()
			r.Join(NewReader(nil)) // another one
			for _, s := range c.before {
				r.Say(s)
			}
			w := NewReader(c.first)
			r.Join(w)
			w.Take()
			for _, s := range c.since {
				r.Say(s)
			}
			r.pass()
			if got := w.Take(); !slices.EqualFunc(got, c.want, func(a engine.Status, b *engine.Status) bool {
				return a.Name == b.Name && a.Run == b.Run && a.Gone == b.Gone
			}) {
				t.Errorf("told %+v", got)
			}
			r.Leave(w)
			r.Say(is("z", 1))
			r.pass()
			if got := w.Take(); len(got) > 0 || r.Count() != 1 {
				t.Errorf("having left, it was told %+v", got)
			}
		})
	}
}
