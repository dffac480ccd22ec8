package store

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"pintle/internal/unit"
)

// TestShelf: what a command has put is there for the next command and for a store, and what it has deleted is for
// nobody; many that write at once disturb nobody, and a record that cannot be read is told of and hides no other.
func TestShelf(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	open := func() *Shelf {
		s, err := OpenShelf(dir, os.Geteuid())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	record := func(name unit.Name) Record {
		return Record{Unit: name, Discovered: true, Intent: unit.Intent{Up: true, Generation: 7, Time: time.Unix(1, 0).UTC(), Actor: unit.Boot}}
	}
	var writers sync.WaitGroup
	for _, name := range []unit.Name{"a@1", "a@2", "a@3", "a@4", "a@5", "a@6", "a@7", "a@8"} {
		s := open()
		writers.Go(func() {
			for range 20 {
				if err := s.Put(record(name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	s := open()
	if err := s.Delete("a@8"); err != nil {
		t.Error(err)
	}
	if err := s.Delete("a@9"); err != nil {
		t.Errorf("what is not there is deleted: %v", err)
	}
	if r, ok := open().Get("a@3"); !ok || r != record("a@3") {
		t.Errorf("%+v, %v", r, ok)
	}
	if _, ok := s.Get("a@8"); ok {
		t.Error("what was deleted is there")
	}
	if err := os.WriteFile(filepath.Join(dir, "intents", "a@2.json"), []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	records, told := open().All()
	if len(records) != 6 || len(told) != 1 {
		t.Errorf("%d records, %v", len(records), told)
	}
	late, records := Open(Options{Directory: dir, UID: os.Geteuid()})
	if len(records) != 6 {
		t.Errorf("a store finds %v, %v", records, late.Conditions())
	}
	if err := late.Close(t.Context()); err != nil {
		t.Error(err)
	}

	var none *Shelf
	if records, _ := none.All(); len(records) > 0 || none.Put(record("a@1")) == nil || none.Delete("a@1") != nil {
		t.Error("a shelf that is none keeps something, or says so")
	}
}
