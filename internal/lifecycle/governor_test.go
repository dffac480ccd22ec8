package lifecycle

import (
	"fmt"
	"testing"
	"time"

	"pintle/internal/unit"
)

func name(i int) unit.Name { return unit.Name(fmt.Sprintf("unit%d", i)) }

// TestGovernorBoundsStarts: so many at once, and another one when one is over.
func TestGovernorBoundsStarts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ starts, most int }{{0, unit.DefaultGovernor.Starts}, {1, 1}, {3, 3}, {-1, 1000}} {
		g := NewGovernor(unit.Governor{Starts: c.starts})
		took := 0
		for took < 1000 && g.Take() {
			took++
		}
		if took != c.most {
			t.Errorf("starts %d: %d under way at once", c.starts, took)
		}
		if took == 1000 {
			continue
		}
		g.Release()
		if !g.Take() || g.Take() {
			t.Errorf("starts %d: one that is over does not make room for exactly one", c.starts)
		}
	}
}

// TestGovernorStorm: a pause begins when the share of the units fails, and at least as many as must, within the time.
func TestGovernorStorm(t *testing.T) {
	t.Parallel()
	type fail struct {
		unit  int
		after time.Duration // since the failure before
	}
	several := func(n int, apart time.Duration) (list []fail) {
		for i := range n {
			list = append(list, fail{i, apart})
		}
		return list
	}
	rule := unit.Governor{Share: 0.5, Least: 3, Within: 5 * time.Second, Pause: 10 * time.Second}
	off := func(change func(*unit.Governor)) unit.Governor { r := rule; change(&r); return r }
	for name1, c := range map[string]struct {
		rule       unit.Governor
		population int
		fails      []fail
		begins     int // the failure with which the pause begins, from 1; 0 for never
	}{
		"half of six":                          {rule, 6, several(5, 0), 3},
		"half of seven is four":                {rule, 7, several(5, 0), 4},
		"the least, of few":                    {rule, 2, several(5, 0), 3},
		"fewer than the least":                 {rule, 2, several(2, 0), 0},
		"not half":                             {rule, 100, several(49, 0), 0},
		"just within the time":                 {rule, 6, several(3, 2500*time.Millisecond), 3},
		"too far apart":                        {rule, 6, several(50, 3*time.Second), 0},
		"one unit, a hundred times":            {rule, 1, make([]fail, 100), 0},
		"two units, a hundred times":           {rule, 2, append(make([]fail, 100), fail{1, 0}, fail{0, 0}, fail{1, 0}), 0},
		"by default, five units":               {unit.Governor{}, 10, several(9, 0), 5},
		"by default, four units":               {unit.Governor{}, 4, several(4, 0), 0},
		"switched off by share":                {off(func(r *unit.Governor) { r.Share = -1 }), 6, several(9, 0), 0},
		"switched off by least":                {off(func(r *unit.Governor) { r.Least = -1 }), 6, several(9, 0), 0},
		"switched off by within":               {off(func(r *unit.Governor) { r.Within = -1; r.Least = 1 }), 1, several(9, 0), 0},
		"switched off by pause":                {off(func(r *unit.Governor) { r.Pause = -1 }), 6, several(9, 0), 0},
		"an old failure of a unit counts anew": {rule, 6, []fail{{0, 0}, {1, 4 * time.Second}, {0, 4 * time.Second}, {2, 0}}, 4},
	} {
		t.Run(name1, func(t *testing.T) {
			t.Parallel()
			g, now, began := NewGovernor(c.rule), noon, 0
			for i, f := range c.fails {
				now = now.Add(f.after)
				if g.Failed(name(f.unit), now, c.population) {
					began = i + 1
					break
				}
			}
			if began != c.begins {
				t.Fatalf("the pause begins with failure %d, want %d", began, c.begins)
			}
			until, together := g.Calm()
			if began == 0 && until.After(now) {
				t.Errorf("there is a pause until %s", until)
			}
			if began > 0 && (!until.Equal(now.Add(NewGovernor(c.rule).rule.Pause)) || together < NewGovernor(c.rule).rule.Least) {
				t.Errorf("calm until %s after %d failed together", until, together)
			}
		})
	}
}

// TestGovernorPauseEnds: a second storm in a pause prolongs it and is not announced again; after it one is.
func TestGovernorPauseEnds(t *testing.T) {
	t.Parallel()
	g := NewGovernor(unit.Governor{Share: 0.5, Least: 2, Within: 5 * time.Second, Pause: 10 * time.Second})
	storm := func(at time.Time) bool {
		first := g.Failed("a", at, 2)
		return g.Failed("b", at, 2) || first
	}
	if !storm(noon) {
		t.Fatal("no pause begins")
	}
	if g.Failed("c", noon.Add(time.Second), 2) {
		t.Error("one more failure is a storm: those of the storm before count twice")
	}
	if until, _ := g.Calm(); !until.Equal(noon.Add(10 * time.Second)) {
		t.Errorf("one more failure moves the pause's end to %s", until)
	}
	if storm(noon.Add(8 * time.Second)) {
		t.Error("the pause begins twice")
	}
	if until, _ := g.Calm(); !until.Equal(noon.Add(18 * time.Second)) {
		t.Errorf("a storm in the pause ends it at %s", until)
	}
	if !storm(noon.Add(18 * time.Second)) {
		t.Error("no pause begins after the one before is over")
	}
}
