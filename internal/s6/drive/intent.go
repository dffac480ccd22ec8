package drive

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"syscall"

	"pintle/internal/engine"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// note is what pintle keeps in an instance's service directory, in data/, which s6 leaves to others. By it the instance
// is known as pintle's, and it says what is wanted of it as long as the tree lives; the state directory, where there is
// one, says the same to the next life.
type note struct {
	Unit   unit.Name   `json:"unit"`
	Intent unit.Intent `json:"intent"`
	// Asked is the run that somebody asked to end, or one that came before it.
	Asked uint64 `json:"asked,omitempty"`
	// Discovered is set where nobody has created it: a directory declares it.
	Discovered bool `json:"discovered,omitempty"`
}

const (
	noteFile = "data/pintle.json"
	maxNote  = 64 << 10
)

// readNote reads an instance's note. One that is missing or makes no sense is as none: nobody has asked anything.
func readNote(root *os.Root, name unit.Name) note {
	none := note{Unit: name}
	if root == nil {
		return none
	}
	f, err := root.OpenFile(noteFile, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return none
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return none
	}
	data, err := io.ReadAll(io.LimitReader(f, maxNote))
	var n note
	if err != nil || json.Unmarshal(data, &n) != nil || n.Unit != name {
		return none
	}
	return n
}

// writeNote puts a note in the place of the one that is there.
func writeNote(root *os.Root, n note) error {
	data, err := json.Marshal(n)
	if err == nil {
		_ = root.Mkdir(path.Dir(noteFile), 0o755) // of what somebody else has made
		err = replaceFile(root, file{path: noteFile, text: string(data) + "\n"})
	}
	return err
}

// wish makes the note of who now wants what.
func (t *Tree) wish(ctx context.Context, n note, up bool) note {
	actor := engine.ActorOf(ctx)
	if actor == unit.Policy && t.o.Actor.Kind != "" {
		actor = t.o.Actor
	}
	n.Intent = unit.Intent{Up: up, Generation: n.Intent.Generation + 1, Time: now(), Actor: actor}
	return n
}

// keep has what is wanted outlive the tree, where it can be kept. That it cannot is a condition of the tree's.
func (t *Tree) keep(n note) {
	if t.shelf == nil {
		return
	}
	err := t.shelf.Put(store.Record{Unit: n.Unit, Intent: n.Intent, Discovered: n.Discovered})
	t.unkeptNow(err)
}

func (t *Tree) unkeptNow(err error) {
	if err != nil {
		t.sayOnce(fmt.Sprintf("desired states end with the tree: %v", err))
	}
}

// sayOnce says a line that this process has not said yet.
func (t *Tree) sayOnce(line string) {
	t.mu.Lock()
	known := t.said[line]
	t.said[line] = true
	t.mu.Unlock()
	if !known {
		t.o.Say(line)
	}
}
