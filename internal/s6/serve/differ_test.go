//go:build !race

package serve

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"pintle/internal/s6/tools"
)

// A scene is what happens to a scan directory: the files at its beginning, and the lines that are played (see side.step).
type scene struct {
	name   string
	files  files
	script string
	// deaf is set where nobody listens beforehand, as listening makes event/.
	deaf bool
	// timed is set where something has to be there in less than a second (see side.pause), which a busy machine can spoil. It is
	// played when the others are over, and may differ some times.
	timed bool
}

type files map[string]string

// casts are who plays a scene: whose tree it is, and whose tools ask it.
var casts = [...]cast{{"s6", "s6"}, {"s6", "pintle"}, {"pintle", "s6"}, {"pintle", "pintle"}}

type cast struct{ tree, tools string }

// TestTheSameAsDebians: whatever happens to a scan directory, pintle does what s6-svscan and s6-supervise do, and its tools
// what s6's do with either: the same events, states, exit codes, tallies, arguments of finish and files, but for the
// differences that differences.md lists, each of which is there.
func TestTheSameAsDebians(t *testing.T) {
	t.Parallel()
	for _, program := range []string{svscan, "/usr/bin/s6-svc"} {
		if _, err := os.Stat(program); err != nil {
			t.Skipf("s6 is not installed here: %v", err)
		}
	}
	links := linkTools(t)
	all := scenes()
	results := make([]result, len(all))
	free := make(chan struct{}, 16) // so many at the same time: they mostly wait
	for _, timed := range []bool{false, true} {
		var done sync.WaitGroup
		for i, sc := range all {
			if sc.timed != timed {
				continue
			}
			done.Go(func() {
				free <- struct{}{}
				defer func() { <-free }()
				for range 5 {
					if results[i] = sc.play(links); len(results[i].differ) == 0 || !timed {
						return
					}
				}
			})
		}
		done.Wait()
	}
	listed := readDifferences(t)
	for i, sc := range all {
		r := results[i]
		if r.err != nil {
			t.Errorf("%s: %v", sc.name, r.err)
		}
		unlisted := false
		for _, d := range r.differ {
			if at := slices.Index(listed, d.key); at >= 0 {
				listed = slices.Delete(listed, at, at+1)
				continue
			}
			unlisted = true
			t.Errorf("%s: %s", d.key, d.got)
		}
		if unlisted || r.err != nil {
			t.Log(r.said)
		}
	}
	for _, l := range listed {
		t.Errorf("differences.md lists what is no difference: %s", l)
	}
}

// linkTools makes the links by whose names this program is pintle's tools.
func linkTools(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	dir := filepath.Join(t.TempDir(), linkDir)
	must(t, os.Mkdir(dir, 0o755))
	for _, name := range tools.Names() {
		must(t, os.Symlink(self, filepath.Join(dir, name)))
	}
	return dir
}

// A result is what came of a scene.
type result struct {
	differ []difference
	err    error
	said   string // what the trees said, for who wants to know why
}

// A difference is a step of a scene of which something else came. The key is "scene: step" where the trees differ, and
// "tools: scene: step" where tools that were asked of the same tree do.
type difference struct{ key, got string }

// play has everybody play the scene at the same time.
func (sc scene) play(links string) (r result) {
	var sides [len(casts)]*side
	for i, c := range casts {
		s, err := stage(c, links, sc.files, sc.deaf)
		if s != nil {
			defer s.leave()
		}
		if err != nil {
			r.err = fmt.Errorf("%v: %w", c, err)
			return r
		}
		sides[i] = s
	}
	var all sync.WaitGroup
	meet := newMeeting(len(sides))
	for _, s := range sides {
		s.meet = meet.come
		all.Go(func() {
			defer meet.leave()
			s.play(sc.script)
		})
	}
	all.Wait()
	for _, step := range sides[0].vain {
		if !slices.ContainsFunc(sides[1:], func(s *side) bool { return !slices.Contains(s.vain, step) }) {
			r.err = fmt.Errorf("the scene is wrong: everybody waited in vain: %s: %s", step, strings.Join(sides[0].notes, "; "))
		}
	}
	var notes [len(casts)][]string
	for i, s := range sides {
		notes[i] = s.notes
		said, _ := os.ReadFile(s.out.Name())
		r.said += fmt.Sprintf("%s: tree of %v: %s\n", sc.name, casts[i], said)
	}
	r.differ = sc.compare(notes)
	return r
}

// compare compares everybody's notes. They have the same steps, as all play the same.
func (sc scene) compare(notes [len(casts)][]string) (list []difference) {
	for i := range slices.MaxFunc(notes[:], func(a, b []string) int { return len(a) - len(b) }) {
		var step string
		var got [len(casts)]string
		for k, n := range notes {
			if i < len(n) {
				step, got[k], _ = strings.Cut(n[i], " → ")
				got[k] = step + " → " + got[k]
			}
		}
		key := sc.name + ": " + step
		if trees := got[0] != got[2] || got[1] != got[3]; trees {
			list = append(list, difference{key, fmt.Sprintf("\n s6:     %s\n pintle: %s", got[0], got[2])})
		}
		for _, k := range []int{0, 2} {
			if got[k] != got[k+1] {
				list = append(list, difference{"tools: " + key, fmt.Sprintf("\n s6's tools, %s's tree:     %s\n pintle's tools, the same: %s", casts[k].tree, got[k], got[k+1])})
				break
			}
		}
	}
	return list
}

// A meeting is where some wait for each other.
type meeting struct {
	mu      sync.Mutex
	changed *sync.Cond
	of      int
	there   int // who came, in all
	left    bool
}

func newMeeting(of int) *meeting {
	m := &meeting{of: of}
	m.changed = sync.NewCond(&m.mu)
	return m
}

func (m *meeting) come() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.there++
	m.changed.Broadcast()
	for until := (m.there + m.of - 1) / m.of * m.of; m.there < until && !m.left; {
		m.changed.Wait()
	}
}

func (m *meeting) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = true
	m.changed.Broadcast()
}

var listedLine = regexp.MustCompile("(?m)^- `(.+)`$")

// readDifferences reads which steps of which scenes are to differ: the lines "- `key`" (see difference).
func readDifferences(t *testing.T) (list []string) {
	t.Helper()
	text, err := os.ReadFile("differences.md")
	must(t, err)
	for _, m := range listedLine.FindAllStringSubmatch(string(text), -1) {
		list = append(list, m[1])
	}
	return list
}
