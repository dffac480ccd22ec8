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
		left, err := ask(t.Context(), s, func(s *Supervisor, answer func(int, error)) { answer(s.relay.Count(), nil) })
		if left != 0 || err != nil {
			t.Errorf("%d watchers are left, %v", left, err)
		}
		// One that gives up before it was let in leaves nothing either.
		for range s.Watch(ctx) {
		}
		if left, _ = ask(t.Context(), s, func(s *Supervisor, answer func(int, error)) { answer(s.relay.Count(), nil) }); left != 0 {
			t.Errorf("%d watchers are left", left)
		}
	})
}
