package serve

import (
	"maps"
	"sync"

	"pintle/internal/unit"
)

// Names are the units' names that trees have: what one of them has, by a service whose directory is there, no other gets. Else
// who owns one scan directory could write to the log of a service of another's, or have it be told what was meant for his.
// None at all is for a tree that is the only one.
type Names struct {
	mu sync.Mutex
	of map[unit.Name]*Tree
}

// take tells whether a name is a tree's, as it is from now on where it was nobody's.
func (n *Names) take(name unit.Name, t *Tree) bool {
	if n == nil {
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if has := n.of[name]; has != nil {
		return has == t
	}
	if n.of == nil {
		n.of = map[unit.Name]*Tree{}
	}
	n.of[name] = t
	return true
}

// give has a name be nobody's, where it was the tree's.
func (n *Names) give(name unit.Name, t *Tree) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of[name] == t {
		delete(n.of, name)
	}
}

// giveAll is give, for all that a tree has.
func (n *Names) giveAll(t *Tree) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.DeleteFunc(n.of, func(_ unit.Name, has *Tree) bool { return has == t })
}
