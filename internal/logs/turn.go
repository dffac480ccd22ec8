package logs

import "sync"

// turns has one sink at a time write in a directory: a unit that is made again may have lines before all those of the old
// one are written, and nothing keeps two units from having one directory. What the other one has written, each sees by the
// file's size, and begins with a marker behind it.
type turns struct {
	mu sync.Mutex
	of map[string]*turn // by directory; those that somebody has, or waits for
}

type turn struct {
	sync.Mutex
	users int // turns.mu guards it
}

// take waits for the turn, which lasts until done is called.
func (t *turns) take(dir string) (done func()) {
	t.mu.Lock()
	one := t.of[dir]
	if one == nil {
		if t.of == nil {
			t.of = map[string]*turn{}
		}
		one = &turn{}
		t.of[dir] = one
	}
	one.users++
	t.mu.Unlock()
	one.Lock()
	return func() {
		one.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(t.of, dir)
		}
	}
}
