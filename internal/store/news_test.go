package store

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// listener collects what a store that follows is told.
type listener struct {
	mu   sync.Mutex
	news []News
	more chan struct{}
}

func listen(s *Store, every time.Duration) *listener {
	l := &listener{more: make(chan struct{}, 1)}
	s.Follow(every, func(news []News) {
		l.mu.Lock()
		l.news = append(l.news, news...)
		l.mu.Unlock()
		select {
		case l.more <- struct{}{}:
		default:
		}
	})
	return l
}

// take waits until there is so much news, and returns it, sorted.
func (l *listener) take(t *testing.T, n int) []News {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		l.mu.Lock()
		if len(l.news) >= n {
			news := l.news
			l.news = nil
			l.mu.Unlock()
			slices.SortFunc(news, func(a, b News) int { return len(a.Unit) - len(b.Unit) })
			return news
		}
		l.mu.Unlock()
		select {
		case <-l.more:
		case <-deadline:
			t.Fatalf("there is no news; so far %v", l.news)
		}
	}
}

func (l *listener) none(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.news) > 0 {
		t.Fatalf("there is news: %v", l.news)
	}
}

func refresh(s *Store, name unit.Name) {
	done := make(chan struct{})
	s.Refresh(name, func() { close(done) })
	<-done
}

// A store that follows hears once of what another store writes and removes in the same directory, and of nothing that it
// wrote itself or that nobody can have meant.
func TestFollow(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	ours, _ := open(t, dir)
	must(t, put(ours, record("a", true, 1)))
	must(t, put(ours, record("bb", true, 1)))
	theirs, _ := open(t, dir)
	l := listen(ours, 10*time.Millisecond)

	must(t, put(theirs, record("a", false, 2)))
	must(t, remove(theirs, "bb"))
	must(t, put(theirs, record("ccc", true, 1)))
	news := l.take(t, 3)
	if len(news) != 3 || news[0].Unit != "a" || news[0].Intent != record("a", false, 2).Intent || !news[1].Removed || news[1].Unit != "bb" || news[2].Unit != "ccc" {
		t.Errorf("%v", news)
	}

	// What is no record is left to whoever opens next, and what is written with the same content is no news.
	must(t, os.WriteFile(dir+"/intents/broken.json", []byte("{"), 0o600))
	must(t, put(theirs, record("a", false, 2)))
	must(t, put(ours, record("dddd", true, 1)))
	must(t, put(theirs, record("eeeee", true, 1)))
	if news := l.take(t, 1); len(news) != 1 || news[0].Unit != "eeeee" {
		t.Errorf("%v", news)
	}

	// The directory itself is gone: nobody has removed anything.
	must(t, os.Rename(dir+"/intents", dir+"/elsewhere"))
	refresh(ours, "a")
	refresh(ours, "dddd")
	l.none(t)
	must(t, os.Rename(dir+"/elsewhere", dir+"/intents"))
	must(t, put(theirs, record("a", true, 3)))
	if news := l.take(t, 1); news[0].Intent.Generation != 3 {
		t.Errorf("%v", news)
	}
	must(t, theirs.Close(t.Context()))
	must(t, ours.Close(t.Context()))
}

// Who asks for one unit to be read again knows afterwards what was written before; also where the disk can't be asked,
// or the store is closed, he gets an answer.
func TestRefresh(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	ours, _ := open(t, dir)
	must(t, put(ours, record("a", true, 1)))
	theirs, _ := open(t, dir)
	l := listen(ours, 0)
	for generation := uint64(2); generation < 50; generation++ {
		must(t, put(theirs, record("a", generation%2 == 0, generation)))
		refresh(ours, "a")
		if news := l.take(t, 1); len(news) != 1 || news[0].Intent.Generation != generation {
			t.Fatalf("%v", news)
		}
	}
	must(t, remove(theirs, "a"))
	refresh(ours, "a")
	if news := l.take(t, 1); len(news) != 1 || !news[0].Removed {
		t.Fatalf("%v", news)
	}
	refresh(ours, "a")
	refresh(ours, "never-there")
	l.none(t)
	must(t, ours.Close(t.Context()))
	refresh(ours, "a")
	must(t, theirs.Close(t.Context()))

	memory, _ := open(t, "")
	refresh(memory, "a")
	must(t, memory.Close(t.Context()))
}

// What was asked here meanwhile is not undone by what another wrote before.
func TestOwnWishIsLater(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	ours, _ := open(t, dir)
	theirs, _ := open(t, dir)
	l := listen(ours, time.Millisecond)
	for generation := uint64(1); generation < 200; generation++ {
		must(t, put(theirs, record("a", false, generation)))
		must(t, put(ours, record("a", true, generation)))
	}
	must(t, theirs.Close(t.Context()))
	refresh(ours, "a")
	must(t, ours.Close(t.Context()))
	if records := reopen(t, dir); len(records) != 1 || !records[0].Intent.Up {
		t.Errorf("%v", records)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.news {
		if n.Intent.Up || n.Removed {
			t.Errorf("it is told what it wrote itself: %v", n)
		}
	}
}

// A directory that was moved away is worked in all the same, and is said to be elsewhere, until it is back.
func TestMoved(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	s, _ := open(t, dir)
	is := func(codes ...engine.ConditionCode) {
		t.Helper()
		must(t, put(s, record("a", true, 1)))
		var got []engine.ConditionCode
		for _, c := range s.Conditions() {
			got = append(got, c.Code)
		}
		if !slices.Equal(got, codes) {
			t.Errorf("conditions %v, want %v", got, codes)
		}
	}
	is()
	must(t, os.Rename(dir, dir+"-elsewhere"))
	is(engine.StateMoved)
	must(t, os.Mkdir(dir, 0o700)) // another is in its place
	is(engine.StateMoved)
	must(t, os.Remove(dir))
	must(t, os.Rename(dir+"-elsewhere", dir))
	is()
	must(t, s.Close(t.Context()))
	if records := reopen(t, dir); len(records) != 1 {
		t.Errorf("%v", records)
	}
}

// clearing is a volume on which another container starts at the very moment when something is about to be renamed.
type clearing struct {
	volume
	done bool
}

func (c *clearing) Rename(from, to string) error {
	if !c.done {
		c.done = true
		clearAway(c.volume, intentsDir)
	}
	return c.volume.Rename(from, to)
}

// A container that starts clears away what another one is just writing; that one writes it again, and tells nobody that
// it is in memory only.
func TestAnotherStartsMeanwhile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	s, _ := Open(Options{Directory: dir, UID: os.Geteuid(), mount: func(directory string, uid int, dirs ...string) (volume, error) {
		v, err := openTree(directory, uid, dirs...)
		if dirs[0] == intentsDir {
			v = &clearing{volume: v}
		}
		return v, err
	}})
	must(t, put(s, record("a", true, 1)))
	must(t, s.Close(t.Context()))
	wantRecords(t, reopen(t, dir), record("a", true, 1))
}
