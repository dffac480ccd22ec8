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

// possible are the reasons that a unit in each state can have, by the table of package lifecycle.
var possible = map[unit.State][]unit.Reason{
	unit.Disabled: {unit.SwitchedOff},
	unit.Down:     {unit.NeverStarted, unit.Asked, unit.Changed, unit.Dropped, unit.Vanished, unit.ContainerStopping},
	unit.Waiting: {unit.AwaitsDependency, unit.AwaitsTurn, unit.AwaitsCalm, unit.AwaitsLease, unit.LostLease, unit.Asked, unit.AtBoot, unit.Declared,
		unit.Crashed, unit.DependencyRestarted, unit.Changed},
	unit.Starting: {unit.LostLease, unit.Asked, unit.AtBoot, unit.Declared, unit.Crashed, unit.DependencyRestarted, unit.Changed, unit.NotReady, unit.Working},
	unit.Up:       {unit.LostLease, unit.Asked, unit.AtBoot, unit.Declared, unit.Crashed, unit.DependencyRestarted, unit.Changed},
	unit.Stopping: {unit.LostLease, unit.Asked, unit.Crashed, unit.Hung, unit.TimedOut, unit.EndsItself, unit.DependencyRestarted, unit.Changed,
		unit.Dropped, unit.Vanished, unit.ContainerStopping},
	unit.Backoff: {unit.Crashed, unit.CannotExecute, unit.ExitRule, unit.EndedUnready, unit.Hung, unit.TimedOut},
	unit.Failed: {unit.CannotExecute, unit.ExitRule, unit.RestartRule, unit.EndedUnready, unit.Hung, unit.TimedOut, unit.GaveUp,
		unit.DependencyFailed},
	unit.Done: {unit.ExitRule, unit.RestartRule, unit.CannotExecute},
}

// reasons lists them all; that of package engine's test is that none is missing there.
var reasons = []unit.Reason{
	unit.SwitchedOff, unit.NeverStarted, unit.Asked, unit.AtBoot, unit.Declared, unit.AwaitsDependency, unit.AwaitsTurn, unit.AwaitsCalm,
	unit.AwaitsLease, unit.LostLease, unit.NotReady, unit.Working, unit.Crashed, unit.CannotExecute, unit.EndedUnready, unit.TimedOut, unit.Hung, unit.EndsItself,
	unit.ExitRule, unit.RestartRule, unit.GaveUp, unit.DependencyFailed, unit.DependencyRestarted, unit.Changed, unit.Dropped,
	unit.Vanished, unit.ContainerStopping,
}

// inState is a unit as it can be met, with nothing that explains it but its state and reason.
func inState(kind unit.Kind, state unit.State, reason unit.Reason) engine.Status {
	s := engine.Status{
		Name: "gateway@coder", Kind: kind, State: state, Desired: "up", Reason: reason, Since: before(125 * time.Second), Run: 3,
		Intent: unit.Intent{Up: true, Generation: 2, Time: before(4 * time.Hour), Actor: unit.Actor{Kind: "peer", UID: 10000, PID: 55, Command: "pintle"}},
	}
	switch kind {
	case unit.Oneshot:
		s.Name = "migrate"
	case unit.Main:
		s.Name = unit.MainName
	}
	switch state {
	case unit.Disabled, unit.Down:
		s.Desired = "down"
	case unit.Starting, unit.Up, unit.Stopping:
		s.PID = 71
	case unit.Backoff:
		s.Next = noon.Add(3 * time.Second)
	}
	switch reason {
	case unit.NotReady, unit.EndedUnready:
		s.ReadyBy = "notify"
	case unit.Hung:
		s.AliveBy = "http http://localhost/healthz"
	case unit.AwaitsCalm:
		s.Next = noon.Add(8 * time.Second)
	case unit.AwaitsLease:
		s.Holder = engine.Holder{Container: "alpha", Fence: 7, Alive: true}
	case unit.AwaitsDependency, unit.DependencyFailed:
		s.DependsOn = []engine.Dependency{{On: "db", Condition: unit.OnReady}, {On: "cache", Condition: unit.OnStarted, Met: true}, {On: "seed", Condition: unit.OnDone}}
	}
	return s
}

// TestExplainEveryStateAndReason keeps promise 6 in its widest sense: whatever
// state and reason can meet, there is a screen of sentences and it is the one we mean.
func TestExplainEveryStateAndReason(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	met := map[unit.Reason]bool{}
	for _, kind := range []unit.Kind{unit.Instance, unit.Oneshot} {
		for _, state := range unit.States {
			for _, reason := range possible[state] {
				if kind == unit.Oneshot && (state == unit.Up || reason == unit.NotReady || reason == unit.Hung || reason == unit.EndedUnready) || kind != unit.Oneshot && reason == unit.Working {
					continue
				}
				met[reason] = true
				fmt.Fprintf(&b, "# %s: %s, %s\n%s\n", kind, state, reason, Explain(inState(kind, state, reason), Around{}, noon))
			}
		}
	}
	for _, reason := range reasons {
		if !met[reason] {
			t.Errorf("no state is known to have the reason %s", reason)
		}
	}
	golden(t, "explain-all.golden", b.String())
}

// TestExplainShowsNoConstant: whatever meets, also what can't, nobody reads a constant that is for programs.
func TestExplainShowsNoConstant(t *testing.T) {
	t.Parallel()
	for _, kind := range []unit.Kind{unit.Main, unit.Service, unit.Oneshot, unit.Instance} {
		for _, state := range unit.States {
			for _, reason := range reasons {
				for _, cause := range append(reasons, "") {
					s := inState(kind, state, reason)
					s.Last = &engine.RunEnd{Run: 2, PID: 70, Started: before(time.Hour), Ended: before(time.Minute), Exit: unit.Exit{Code: 1}, Cause: cause}
					text := Explain(s, Around{Strays: []string{"nc (pid 12)"}}, noon)
					for _, r := range reasons {
						word := string(r)
						if strings.Contains(word, "-") && strings.Contains(text, word) || strings.Contains(text, ": "+word+".") || strings.Contains(text, "  "+word+".") {
							t.Errorf("%s, %s, %s after %s shows %s:\n%s", kind, state, reason, cause, word, text)
						}
					}
				}
			}
		}
	}
}

// TestLastEnd: what a run was ended for is said in words, for each cause.
func TestLastEnd(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, kind := range []unit.Kind{unit.Service, unit.Oneshot} {
		for _, cause := range []unit.Reason{"", unit.Crashed, unit.Asked, unit.Hung, unit.TimedOut, unit.EndsItself, unit.DependencyRestarted,
			unit.Changed, unit.Dropped, unit.Vanished, unit.ContainerStopping} {
			for _, killed := range []bool{false, true} {
				s := engine.Status{Kind: kind, AliveBy: "http http://localhost/healthz", Last: &engine.RunEnd{
					Run: 2, PID: 70, Started: before(time.Hour), Ended: before(time.Minute), Cause: cause, Killed: killed,
					Asked: cause == unit.Asked || cause == unit.DependencyRestarted || cause == unit.Changed || cause == unit.Dropped || cause == unit.Vanished || cause == unit.ContainerStopping,
				}}
				fmt.Fprintf(&b, "%s %s %v: %s\n", kind, cause, killed, lastEnd(s, "", noon))
			}
		}
	}
	golden(t, "lastend.golden", b.String())
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
		{"a dependency is down", engine.Status{
			Name: "web", Kind: unit.Service, State: unit.Waiting, Desired: "up", Since: before(4 * time.Second), Intent: atBoot,
			Reason: unit.AwaitsDependency, Because: "waiting for db to be ready, which is down: nobody has started it",
			DependsOn: []engine.Dependency{
				{On: "db", Condition: unit.OnReady, RestartWith: true}, {On: "cache", Condition: unit.OnStarted, Met: true}, {On: "seed", Condition: unit.OnDone, Optional: true},
			},
		}},
		{"main waits", engine.Status{
			Name: "main", Kind: unit.Main, State: unit.Waiting, Desired: "up", Since: before(4 * time.Second), Intent: atBoot,
			Reason: unit.AwaitsDependency, Because: "waiting for db to be ready, which is starting",
			DependsOn: []engine.Dependency{{On: "db", Condition: unit.OnReady}},
		}},
		{"liveness failed", engine.Status{
			Name: "web", Kind: unit.Service, State: unit.Stopping, Desired: "up", Since: before(time.Second), Intent: atBoot, PID: 71, Run: 2,
			Reason: unit.Hung, Because: "liveness by http http://localhost/healthz failed 3 times", Next: noon.Add(9 * time.Second),
			AliveBy: "http http://localhost/healthz", Text: "\x1b[2Jserving\n12 clients " + strings.Repeat("x", 300),
		}},
		{"up with everything", engine.Status{
			Name: "web", Kind: unit.Service, State: unit.Up, Desired: "up", Since: before(time.Hour), Intent: atBoot, PID: 71, Run: 3,
			Reason: unit.DependencyRestarted, Because: "db began anew", ReadyBy: "notify", AliveBy: "http http://localhost/healthz", Text: "12 clients",
			DependsOn: []engine.Dependency{{On: "db", Condition: unit.OnReady, RestartWith: true, Met: true}},
			Last:      &engine.RunEnd{Run: 2, PID: 70, Started: before(2 * time.Hour), Ended: before(time.Hour), Cause: unit.DependencyRestarted, Asked: true},
		}},
		{"declared no more", engine.Status{
			Name: "web", Kind: unit.Service, State: unit.Down, Desired: "down", Since: before(0), Reason: unit.Dropped, Run: 1, Gone: true,
		}},
		{"a state of a later version", engine.Status{Name: "later", State: "paused", Desired: "up", Because: "it was frozen."}},
	}
	var b strings.Builder
	for _, tt := range tests {
		fmt.Fprintf(&b, "# %s\n%s\n", tt.name, Explain(tt.status, Around{Strays: []string{"nc (pid 12)", "sh\x1b[2J (pid 13)"}}, noon))
	}
	golden(t, "explain.golden", b.String())
}

// TestReadme: what README shows of why is what it answers.
func TestReadme(t *testing.T) {
	t.Parallel()
	person := unit.Actor{Kind: "peer", UID: 10000, PID: 55, Command: "pintle"}
	last := engine.RunEnd{Run: 6, PID: 80, Started: before(9 * time.Second), Ended: before(2 * time.Second), Exit: unit.Exit{Code: 1}, Cause: unit.Crashed}
	text := Explain(engine.Status{
		Name: "gateway@coder", Kind: unit.Instance, State: unit.Backoff, Desired: "up", Since: before(2 * time.Second),
		Reason: unit.Crashed, Because: "it exited with code 1 after 7.0 s", Run: 6, Failures: 6, Next: noon.Add(6 * time.Second),
		Intent: unit.Intent{Up: true, Generation: 2, Time: before(4 * time.Hour), Actor: person}, Last: &last,
		Origin: "declared by /opt/data/profiles/coder (SOUL.md)",
	}, Around{Record: &engine.RunRecord{RunEnd: last, Tail: []string{"ConnectionError: api.example.com does not answer"}}}, noon)
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "pintle why gateway@coder\n"+text+"```") {
		t.Errorf("README does not show:\n%s", text)
	}
}

// TestStrays: who asks about the container, or about a unit that something may have got away from, is told what runs
// beside the units.
func TestStrays(t *testing.T) {
	t.Parallel()
	many := []string{"a (pid 1)", "b (pid 2)", "c (pid 3)", "d (pid 4)", "e (pid 5)", "f (pid 6)", "g (pid 7)"}
	for _, tt := range []struct {
		strays []string
		want   string
	}{
		{many[:1], "1 process belongs to no unit: a (pid 1); it ends with the container."},
		{many[:2], "2 processes belong to no unit: a (pid 1), b (pid 2); they end with the container."},
		{many, "7 processes belong to no unit: a (pid 1), b (pid 2), c (pid 3), d (pid 4), e (pid 5) and 2 more; they end with the container."},
	} {
		if got := straying(tt.strays); got != tt.want {
			t.Errorf("got %s\nwant %s", got, tt.want)
		}
	}
	for _, state := range unit.States {
		for _, kind := range []unit.Kind{unit.Main, unit.Service} {
			s := engine.Status{Name: "x", Kind: kind, State: state, Run: 1}
			want := kind == unit.Main || state == unit.Stopping || state == unit.Backoff || ended(state)
			if got := strings.Contains(Explain(s, Around{Strays: many}, noon), "Strays:"); got != want {
				t.Errorf("%s %s: %v, want %v", kind, state, got, want)
			}
		}
	}
	if s := (engine.Status{Name: "x", Kind: unit.Service, State: unit.Down}); strings.Contains(Explain(s, Around{Strays: many}, noon), "Strays:") {
		t.Error("what never ran is asked about strays")
	}
}
