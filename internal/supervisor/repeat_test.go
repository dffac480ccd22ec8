package supervisor

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pintle/internal/store"
	"pintle/internal/unit"
)

// TestOthersWishStands: of two containers on one volume, one was asked for something of an instance that the other one
// only finds, takes over from a file, or sees go and come back. What was asked for is what is kept.
func TestOthersWishStands(t *testing.T) {
	alone(t, func(t *testing.T) {
		p := newProfiles(t)
		s, directory := newStore(t)
		w := newWorld(t, Options{Store: s, Templates: []unit.Template{p.template(p.intentFrom)}})
		ask := func(up bool, generation uint64) {
			t.Helper()
			other, _ := store.Open(store.Options{Directory: directory, UID: os.Geteuid()})
			done := make(chan error, 1)
			other.Put(store.Record{Unit: "gateway@coder", Discovered: true, Intent: unit.Intent{Up: up, Generation: generation, Time: time.Now()}}, func(err error) { done <- err })
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if err := other.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		is := func(desired string, generation uint64) {
			t.Helper()
			w.must(w.Start(t.Context(), "gateway@after")) // what came before it has been written by then
			w.must(w.Stop(t.Context(), "gateway@after"))
			var r struct {
				Desired    string
				Generation uint64
			}
			text, err := os.ReadFile(filepath.Join(directory, "intents", "gateway@coder.json"))
			if err != nil || json.Unmarshal(text, &r) != nil || r.Desired != desired || r.Generation != generation {
				t.Errorf("kept is %s, want %s in generation %d (%v)", text, desired, generation, err)
			}
		}
		p.make("after", "")
		ask(true, 1)
		p.make("coder", `{"desired_state":"stopped"}`)
		w.untilState("gateway@coder", unit.Down)
		is("up", 1)
		ask(true, 2)
		p.remove("coder")
		w.untilGone("gateway@coder")
		is("up", 2)
		p.make("coder", "")
		w.untilState("gateway@coder", unit.Down)
		is("up", 2)
	})
}
