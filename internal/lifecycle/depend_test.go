package lifecycle

import (
	"fmt"
	"strings"
	"testing"

	"pintle/internal/unit"
)

// TestLook is the whole matrix: what a dependent sees, by the state of what it depends on (with and without a leader in
// starting), by whether that is wanted up, and by the condition. m is met, p pending, h hopeless.
func TestLook(t *testing.T) {
	t.Parallel()
	const matrix = `
		                    service                    oneshot
		                    started  ready  done       started  ready  done
		disabled            h        h      h          h        h      h
		disabled wanted     h        h      h          h        h      h
		down                p        p      p          p        p      p
		down wanted         p        p      p          p        p      p
		waiting wanted      p        p      p          p        p      p
		starting wanted     p        p      p          p        p      p
		executed wanted     m        p      p          m        p      p
		up                  m        m      p          m        m      p
		up wanted           m        m      p          m        m      p
		stopping            p        p      p          p        p      p
		stopping wanted     p        p      p          p        p      p
		backoff wanted      p        p      p          p        p      p
		failed              h        h      h          h        h      h
		failed wanted       h        h      h          h        h      h
		done                m        p      m          m        m      m
		done wanted         m        p      m          m        m      m`
	// What is optional is met too where there is nothing to wait for.
	nothingToWaitFor := map[string]bool{
		"disabled": true, "disabled wanted": true, "down": true, "failed": true, "failed wanted": true, "done": true, "done wanted": true,
	}
	letters := map[Prospect]string{Met: "m", Pending: "p", Hopeless: "h"}
	conditions := []unit.Condition{unit.OnStarted, unit.OnReady, unit.OnDone}
	seen := map[unit.State]bool{}
	for _, line := range strings.Split(matrix, "\n")[3:] {
		words := strings.Fields(line)
		cells := words[len(words)-6:]
		row := strings.Join(words[:len(words)-6], " ")
		wanted := strings.HasSuffix(row, "wanted")
		u := Unit{State: unit.State(words[0])}
		if words[0] == "executed" {
			u.State, u.Executed = unit.Starting, true
		}
		seen[u.State] = true
		for i, want := range cells {
			spec := service()
			if i >= 3 {
				spec = oneshot()
			}
			for _, optional := range []bool{false, true} {
				if optional && nothingToWaitFor[row] {
					want = "m"
				}
				d := unit.Dependency{On: "web", Condition: conditions[i%3], Optional: optional}
				if got := letters[Look(d, spec, &u, wanted)]; got != want {
					t.Error(fmt.Sprintf("%s, %s, %s, optional %v:", row, spec.Kind, d.Condition, optional), got, "want", want)
				}
			}
		}
	}
	for _, s := range unit.States {
		if !seen[s] {
			t.Errorf("the matrix has no row for %s", s)
		}
	}
	// Without a condition it is ready that counts.
	if Look(unit.Dependency{}, service(), &Unit{State: unit.Starting, Executed: true}, true) != Pending || Look(unit.Dependency{}, service(), &Unit{State: unit.Up}, true) != Met {
		t.Error("a dependency without a condition is not on readiness")
	}
}
