package supervisor

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

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
			w := newWatcher(c.first)
			for _, s := range c.read {
				w.put(&s)
				w.take()
			}
			for _, s := range c.then {
				w.put(&s)
			}
			if got := w.take(); !slices.EqualFunc(got, c.want, func(a, b engine.Status) bool {
				return a.Name == b.Name && a.Run == b.Run && a.Gone == b.Gone
			}) {
				t.Errorf("told %+v", got)
			}
			if got := w.take(); len(got) != 0 {
				t.Errorf("and then %+v", got)
			}
		})
	}
}

// TestNewsIsBounded: a reader that has stalled keeps nothing of units that come and go.
func TestNewsIsBounded(t *testing.T) {
	t.Parallel()
	w := newWatcher([]engine.Status{{Name: "a"}})
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
			r := newRelay()
			r.join(newWatcher(nil)) // another one
			for _, s := range c.before {
				r.say(s)
			}
			w := newWatcher(c.first)
			r.join(w)
			w.take()
			for _, s := range c.since {
				r.say(s)
			}
			r.pass()
			if got := w.take(); !slices.EqualFunc(got, c.want, func(a engine.Status, b *engine.Status) bool {
				return a.Name == b.Name && a.Run == b.Run && a.Gone == b.Gone
			}) {
				t.Errorf("told %+v", got)
			}
			r.leave(w)
			r.say(is("z", 1))
			r.pass()
			if got := w.take(); len(got) > 0 || r.count() != 1 {
				t.Errorf("having left, it was told %+v", got)
			}
		})
	}
}

// TestWatch: everybody who watches is given what is, then what changes; a slow
// one holds up nobody, and one that leaves is forgotten.
func TestWatch(t *testing.T) {
	o := Options{Services: []unit.Spec{unfit("web")}, Templates: []unit.Template{template(func(u *unit.Template) { u.Spec = unfit("") })}}
	inBubble(t, o, func(t *testing.T, s *Supervisor) {
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		const readers = 20
		var logs [readers][]string
		done := make(chan int)
		for i := range readers {
			go func() {
				for status, err := range s.Watch(ctx) {
					if err != nil {
						t.Error(err)
					}
					logs[i] = append(logs[i], fmt.Sprintf("%s %s %v", status.Name, status.State, status.Gone))
				}
				done <- i
			}()
		}
		var slow []engine.Status
		proceed := make(chan struct{})
		go func() {
			for status := range s.Watch(ctx) {
				slow = append(slow, status)
				if proceed != nil {
					<-proceed
					proceed = nil
				}
			}
			done <- readers
		}()
		synctest.Wait()
		for _, err := range s.Watch(ctx) { // leaves at once
			if err != nil {
				t.Error(err)
			}
			break
		}
		create := func(down bool) {
			if _, _, err := s.Create(ctx, engine.CreateRequest{Name: "gateway@a", Down: down}); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		create(true)
		create(false)
		if _, err := s.Stop(ctx, "gateway@a"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if _, err := s.Remove(ctx, "gateway@a"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if _, err := s.Stop(ctx, "web"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		close(proceed)
		synctest.Wait()
		want := []string{"web backoff false", "gateway@a down false", "gateway@a backoff false", "gateway@a down false", "gateway@a down true", "web down false"}
		for i := range readers {
			// The attempts in between are over so soon that a reader may be told of any number of them.
			attempt := func(l string) bool { return l == "gateway@a waiting false" || l == "gateway@a starting false" }
			if got := slices.Compact(slices.DeleteFunc(logs[i], attempt)); !slices.Equal(got, want) {
				t.Errorf("reader %d was told %q", i, got)
			}
		}
		if len(slow) != 2 || slow[0].State != unit.Backoff || slow[1].State != unit.Down || slow[1].Name != "web" {
			t.Errorf("the slow reader was told %+v", slow)
		}
		cancel()
		for range readers + 1 {
			<-done
		}
		synctest.Wait()
		left, err := ask(t.Context(), s, func(s *Supervisor, answer func(int, error)) { answer(s.relay.count(), nil) })
		if left != 0 || err != nil {
			t.Errorf("%d watchers are left, %v", left, err)
		}
		// One that gives up before it was let in leaves nothing either.
		for range s.Watch(ctx) {
		}
		if left, _ = ask(t.Context(), s, func(s *Supervisor, answer func(int, error)) { answer(s.relay.count(), nil) }); left != 0 {
			t.Errorf("%d watchers are left", left)
		}
	})
}
