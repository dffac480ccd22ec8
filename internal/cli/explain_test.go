package cli

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) time.Time { return noon.Add(-d) }

// reasons lists them all; the golden test below is to know each.
var reasons = []unit.Reason{
	unit.SwitchedOff, unit.NeverStarted, unit.Asked, unit.AtBoot, unit.Crashed, unit.CannotExecute,
	unit.ExitRule, unit.RestartRule, unit.NotReady, unit.ContainerStopping,
}

// TestExplainEveryStateAndReason keeps promise 6 in its widest sense: whatever
// state and reason meet, there is a screen of sentences and it is the one we mean.
func TestExplainEveryStateAndReason(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, state := range unit.States {
		for _, reason := range reasons {
			s := engine.Status{
				Name: "gateway@coder", Kind: unit.Instance, State: state, Desired: "up", Reason: reason,
				Since: before(125 * time.Second), Run: 3,
				Intent: unit.Intent{Up: true, Generation: 2, Time: before(4 * time.Hour), Actor: unit.Actor{Kind: "peer", UID: 10000, PID: 55, Command: "pintle"}},
			}
			switch state {
			case unit.Disabled, unit.Down:
				s.Desired = "down"
			case unit.Starting, unit.Up, unit.Stopping:
				s.PID = 71
			case unit.Backoff:
				s.Next = noon.Add(3 * time.Second)
			}
			fmt.Fprintf(&b, "# %s, %s\n%s\n", state, reason, Explain(s, noon))
		}
	}
	golden(t, "explain-all.golden", b.String())
}

// TestExplain keeps promise 6 for what people really meet.
func TestExplain(t *testing.T) {
	t.Parallel()
	person := unit.Intent{Up: true, Generation: 2, Time: before(4 * time.Hour), Actor: unit.Actor{Kind: "peer", UID: 10000, PID: 55, Command: "pintle"}}
	atBoot := unit.Intent{Up: true, Generation: 1, Time: before(26 * time.Hour), Actor: unit.Boot}
	tests := []struct {
		name   string
		status engine.Status
	}{
		{"a dashboard that a variable switches off", engine.Status{
			Name: "dashboard", Kind: unit.Service, State: unit.Disabled, Desired: "down", Reason: unit.SwitchedOff,
			Because: "WEB is not set", Intent: unit.Intent{Actor: unit.Boot},
		}},
		{"nobody has asked for it", engine.Status{
			Name: "gateway@coder", Kind: unit.Instance, State: unit.Down, Desired: "down", Since: before(30 * time.Minute),
			Reason: unit.NeverStarted, Because: "nobody has asked for it to be up", Intent: unit.Intent{Actor: unit.Policy, Time: before(30 * time.Minute)},
		}},
		{"not ready yet", engine.Status{
			Name: "dashboard", Kind: unit.Service, State: unit.Starting, Desired: "up", Since: before(4 * time.Second),
			Reason: unit.NotReady, Because: "waiting for tcp 127.0.0.1:9119 to accept a connection",
			PID: 71, Run: 1, ReadyBy: "tcp 127.0.0.1:9119", Intent: atBoot,
		}},
		{"up after a crash", engine.Status{
			Name: "gateway@coder", Kind: unit.Instance, State: unit.Up, Desired: "up", Since: before(40 * time.Minute),
			Reason: unit.Crashed, Because: "it was started again after a crash", PID: 72, Run: 4, Intent: person,
			Last: &engine.RunEnd{Run: 3, PID: 71, Started: before(3 * time.Hour), Ended: before(40 * time.Minute), Exit: unit.Exit{Signal: unit.SIGKILL}},
		}},
		{"the main program", engine.Status{
			Name: "main", Kind: unit.Main, State: unit.Up, Desired: "up", Since: before(26 * time.Hour),
			Reason: unit.AtBoot, Because: "it was started with the container", PID: 7, Run: 1, Intent: atBoot,
		}},
		{"it ignores the stop signal", engine.Status{
			Name: "gateway@coder", Kind: unit.Instance, State: unit.Stopping, Desired: "down", Since: before(3 * time.Second),
			Reason: unit.Asked, Because: "it was asked to be down", PID: 71, Run: 3, Next: noon.Add(17 * time.Second),
			Remaining: []string{"71 agent", "93 \x1b]0;owned\x07sleep"}, Intent: person,
		}},
		{"it crashes again and again", engine.Status{
			Name: "gateway@coder", Kind: unit.Instance, State: unit.Backoff, Desired: "up", Since: before(2 * time.Second),
			Reason: unit.Crashed, Because: "it exited with code 1", Run: 6, Failures: 6, Next: noon.Add(6 * time.Second), Intent: person,
			Last: &engine.RunEnd{Run: 6, PID: 80, Started: before(2*time.Second + 150*time.Millisecond), Ended: before(2 * time.Second), Exit: unit.Exit{Code: 1}},
		}},
		{"its program is not there", engine.Status{
			Name: "gateway@coder", Kind: unit.Instance, State: unit.Backoff, Desired: "up", Since: before(200 * time.Millisecond),
			Reason: unit.CannotExecute, Because: "it could not be executed", Run: 1, Failures: 1, Next: noon.Add(50 * time.Millisecond), Intent: person,
			Last: &engine.RunEnd{Run: 1, Ended: before(200 * time.Millisecond), Exit: unit.Exit{Code: 127}, Error: `cannot find "agent" on PATH`},
		}},
		{"exit_codes gives it up", engine.Status{
			Name: "gateway@coder", Kind: unit.Instance, State: unit.Failed, Desired: "up", Since: before(125 * time.Second),
			Reason: unit.ExitRule, Because: "it exited with code 78, which exit_codes calls a failure", Run: 3, Failures: 1, Intent: person,
			Last: &engine.RunEnd{Run: 3, PID: 71, Started: before(126 * time.Second), Ended: before(125 * time.Second), Exit: unit.Exit{Code: 78}},
		}},
		{"a shell wrapped it", engine.Status{
			Name: "gateway@coder", Kind: unit.Instance, State: unit.Failed, Desired: "up", Since: before(9 * 24 * time.Hour),
			Reason: unit.RestartRule, Because: "it failed, and restart is never", Run: 1, Failures: 1, Intent: person,
			Last: &engine.RunEnd{Run: 1, PID: 71, Started: before(10 * 24 * time.Hour), Ended: before(9 * 24 * time.Hour), Exit: unit.Exit{Code: 139}},
		}},
		{"it was stopped, the hard way", engine.Status{
			Name: "gateway@coder", Kind: unit.Instance, State: unit.Down, Desired: "down", Since: before(5 * time.Minute),
			Reason: unit.Asked, Because: "somebody asked for it to be down", Run: 3,
			Intent: unit.Intent{Generation: 3, Time: before(320 * time.Second), Actor: unit.Actor{Kind: "peer", PID: 60, Command: "evil\x1b[2J\nroot"}},
			Last:   &engine.RunEnd{Run: 3, PID: 71, Started: before(time.Hour), Ended: before(5 * time.Minute), Exit: unit.Exit{Signal: unit.SIGKILL}, Asked: true, Killed: true},
		}},
		{"restricted", engine.Status{
			Name: "gateway@coder", Kind: unit.Instance, State: unit.Up, Desired: "up", Since: before(time.Hour), Restricted: true,
		}},
		{"removed", engine.Status{
			Name: "gateway@coder", Kind: unit.Instance, State: unit.Down, Desired: "down", Since: before(0), Reason: unit.Asked, Gone: true, Intent: person,
		}},
		{"a state of a later version", engine.Status{Name: "later", State: "paused", Desired: "up", Because: "it was frozen."}},
	}
	var b strings.Builder
	for _, tt := range tests {
		fmt.Fprintf(&b, "# %s\n%s\n", tt.name, Explain(tt.status, noon))
	}
	golden(t, "explain.golden", b.String())
}
