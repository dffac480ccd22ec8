package serve

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A scene is what happens to a scan directory: the files at its beginning, and the lines that are played (see side.step).
type scene struct {
	name   string
	files  files
	script string
	// deaf is set where nobody listens beforehand, as listening makes event/.
	deaf bool
	// timed is set where the notes have times, which a busy machine can spoil: it may differ twice.
	timed bool
}

type files map[string]string

// TestTheSameAsDebians: whatever happens to a scan directory, pintle does what s6-svscan and s6-supervise do: the same events,
// states, exit codes, tallies, arguments of finish and files, but for the differences that differences.md lists, each of
// which is there.
func TestTheSameAsDebians(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	must(t, err)
	all := scenes()
	differ := make([][]difference, len(all))
	errs := make([]error, len(all))
	free := make(chan struct{}, 10) // so many at the same time
	var done sync.WaitGroup
	for i, sc := range all {
		done.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			begun := time.Now()
			defer func() { t.Logf("%s: %v", sc.name, time.Since(begun)) }()
			for range 3 {
				if differ[i], errs[i] = sc.play(self); len(differ[i]) == 0 || !sc.timed {
					return
				}
			}
		})
	}
	done.Wait()
	listed := readDifferences(t)
	for i, sc := range all {
		if errs[i] != nil {
			t.Errorf("%s: %v", sc.name, errs[i])
		}
		for _, d := range differ[i] {
			if at := slices.IndexFunc(listed, func(l string) bool { return l == sc.name+": "+d.step }); at >= 0 {
				listed = slices.Delete(listed, at, at+1)
				continue
			}
			t.Errorf("%s: %s:\n s6:     %s\n pintle: %s", sc.name, d.step, d.s6, d.pintle)
		}
	}
	for _, l := range listed {
		t.Errorf("differences.md lists what is no difference: %s", l)
	}
	t.Logf("%d scenes", len(all))
}

// A difference is a step of a scene of which something else came.
type difference struct{ step, s6, pintle string }

// play has both sides play the scene at the same time.
func (sc scene) play(self string) (list []difference, err error) {
	var sides [2]*side
	for i, who := range []string{"s6", "pintle"} {
		command := "/usr/bin/s6-svscan"
		if who == "pintle" {
			command = self
		}
		s, err := stage(who, command, sc.files, sc.deaf)
		if s != nil {
			defer s.leave()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", who, err)
		}
		sides[i] = s
	}
	var both sync.WaitGroup
	meet := newMeeting()
	for _, s := range sides {
		s.meet = meet.come
		both.Go(func() {
			defer meet.leave()
			s.play(sc.script)
		})
	}
	both.Wait()
	for _, step := range sides[0].vain {
		if slices.Contains(sides[1].vain, step) {
			err = fmt.Errorf("the scene is wrong: both sides waited in vain: %s: %s", step, strings.Join(sides[0].notes, "; "))
		}
	}
	return compare(sides[0].notes, sides[1].notes), err
}

// compare compares the notes of two sides. They have the same steps, as both play the same.
func compare(s6, pintle []string) (list []difference) {
	split := func(notes []string, i int) (step, got string) {
		if i < len(notes) {
			step, got, _ = strings.Cut(notes[i], " → ")
		}
		return step, got
	}
	for i := range max(len(s6), len(pintle)) {
		step, a := split(s6, i)
		other, b := split(pintle, i)
		if a != b || step != other {
			list = append(list, difference{max(step, other), a, b})
		}
	}
	return list
}

// A meeting is where each of two waits for the other.
type meeting struct {
	mu      sync.Mutex
	changed *sync.Cond
	there   int // who came, in all
	left    bool
}

func newMeeting() *meeting {
	m := new(meeting)
	m.changed = sync.NewCond(&m.mu)
	return m
}

func (m *meeting) come() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.there++
	m.changed.Broadcast()
	for until := (m.there + 1) / 2 * 2; m.there < until && !m.left; {
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

// readDifferences reads which steps of which scenes are to differ: the lines "- `scene: step`".
func readDifferences(t *testing.T) (list []string) {
	t.Helper()
	text, err := os.ReadFile("differences.md")
	must(t, err)
	for _, m := range listedLine.FindAllStringSubmatch(string(text), -1) {
		list = append(list, m[1])
	}
	return list
}
