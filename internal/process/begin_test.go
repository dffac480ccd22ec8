package process

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"pintle/internal/unit"
)

// ways are the two on which a child comes to be: directly, and by the exec step.
func ways() map[string]Command {
	all := map[string]Command{"direct": {}, "step": {Attributes: unit.Attributes{Nice: 1}}}
	if CanSwitch() == nil {
		all["user"] = Command{Identity: &victim}
	}
	return all
}

// TestReady: the descriptor has the number that was asked for, works, and is the only one beside the first three.
func TestReady(t *testing.T) {
	alone(t, surroundings{Before: "open", Soft: 300}, func(t *testing.T) {
		w := newWorld(t)
		for way, base := range ways() {
			for _, number := range []int{3, 4, 5, 9, MaxFD} {
				r, ready, err := Pipe()
				must(t, err)
				c := as(fmt.Sprintf("ready %d yes exit 0", number))
				c.Identity, c.Attributes, c.More = base.Identity, base.Attributes, map[int]*os.File{number: ready}
				l := w.start(c)
				ready.Close()
				text, err := io.ReadAll(r) // which ends when nobody has the other end
				if err != nil || string(text) != "yes\n" {
					t.Errorf("%s, %d: it wrote %q, %v", way, number, text, err)
				}
				l.ends()
				r.Close()

				r, ready, err = Pipe()
				must(t, err)
				c.Path, c.Args, c.More = "/bin/ls", []string{"ls", "/proc/self/fd"}, map[int]*os.File{number: ready}
				l = w.start(c)
				ready.Close()
				r.Close()
				want := []string{"0", "1", "2", "3", fmt.Sprint(number)} // 3 is ls's own
				if number == 3 {
					want[4] = "4"
				}
				slices.Sort(want) // as ls does
				var fds []string
				for line := range l.said {
					fds = append(fds, line)
				}
				if l.ends(); !slices.Equal(fds, want) {
					t.Errorf("%s, %d: it has %v open", way, number, fds)
				}
			}
			for _, number := range []int{-1, 0, 2, MaxFD + 1} {
				c := Command{Path: "/bin/true", Args: []string{"true"}, Identity: base.Identity, Attributes: base.Attributes, More: map[int]*os.File{number: os.Stdin}}
				if _, err := w.try(c); err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("cannot execute /bin/true: it can be given no descriptor %d;", number)) {
					t.Errorf("%s, %d: %v", way, number, err)
				}
			}
			c := Command{Path: "/none", Args: []string{"none"}, Identity: base.Identity, Attributes: base.Attributes, More: map[int]*os.File{3: os.Stdin}}
			if _, err := w.try(c); err == nil || err.Error() != "cannot execute /none: there is no such file" {
				t.Errorf("%s: %v", way, err)
			}
		}
	})
}

// TestWhatAChildGets: nothing but what the command says, whatever way it comes to
// be and whatever pintle itself was started with: no other descriptor, no ignored
// and no blocked signal, a session of its own without a terminal, and the soft
// limit of open files that the container has, not the one that Go's runtime gives
// itself.
func TestWhatAChildGets(t *testing.T) {
	odd := []int{1, 2, 3, 10, 13, 15, 17, 18, 20, 21, 22, 34, 40, 64}
	s := surroundings{Before: "open", Soft: 1000, Ignored: odd, Blocked: odd, Terminal: true}
	alone(t, s, func(t *testing.T) {
		w := newWorld(t)
		own, err := os.ReadFile("/proc/self/oom_score_adj")
		must(t, err)
		for way, base := range ways() {
			nice := fmt.Sprint(base.Attributes.Nice)
			s := w.looks(base)
			want := map[string]string{"Max open files": "1000", "NoNewPrivs": "0", "TracerPid": "0"}
			for _, set := range []string{"SigIgn", "SigBlk", "SigCgt", "SigPnd", "ShdPnd", "CapAmb"} {
				want[set] = "0000000000000000"
			}
			for name, want := range want {
				if got, _, _ := strings.Cut(s.lines[name], ":"); got != want {
					t.Errorf("%s: %s is %q", way, name, s.lines[name])
				}
			}
			if s.stat[niceField] != nice || s.oom != strings.TrimSpace(string(own)) || s.stat[terminalField] != "0" {
				t.Errorf("%s: nice is %s, oom_score_adj %s, terminal %s", way, s.stat[niceField], s.oom, s.stat[terminalField])
			}
			var fds []string
			l := w.start(Command{Path: "/bin/ls", Args: []string{"ls", "/proc/self/fd"}, Identity: base.Identity, Attributes: base.Attributes})
			for line := range l.said {
				fds = append(fds, line)
			}
			if l.ends(); !slices.Equal(fds, []string{"0", "1", "2", "3"}) { // 3 is ls's own
				t.Errorf("%s: it has %v open", way, fds)
			}
			c := as("report")
			c.Dir, c.Identity, c.Attributes = "/usr", base.Identity, base.Attributes
			l = w.start(c)
			f := l.report()
			if f.Dir != "/usr" || f.Session != l.Pid() || f.Group != l.Pid() {
				t.Errorf("%s: %+v", way, f)
			}
			l.ends()
			c = Command{Path: "/bin/sh", Args: []string{"sh", "-c", "exec 2>/dev/null; : </dev/tty"}, Identity: base.Identity, Attributes: base.Attributes}
			if e := w.start(c).ends(); e.Success() {
				t.Errorf("%s: it has opened pintle's terminal", way)
			}
		}
		main := w.looks(onIt(Command{}))
		if main.stat[terminalField] == "0" {
			t.Error("the main program has no terminal")
		}
	})
}

// TestNeverGroupRoot: even an identity that says so does not get gid 0 as a supplementary group.
func TestNeverGroupRoot(t *testing.T) {
	alone(t, surroundings{Groups: []int{0, 6}}, func(t *testing.T) {
		w := newWorld(t)
		c := (&Identity{Name: "careless", UID: 10000, GID: 10000, Groups: []int{0, 44, 44, 10000}}).does("report")
		l := w.start(c)
		if f := l.report(); !slices.Equal(f.Groups, []int{44}) {
			t.Errorf("it has the groups %v", f.Groups)
		}
		l.ends()
	})
}
