package lifecycle

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pintle/internal/unit"
)

// noon is when every script begins.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const testGrace = 5 * time.Second

func service(change ...func(*unit.Spec)) *unit.Spec {
	s := &unit.Spec{
		Name: "web", Kind: unit.Service, Enabled: unit.Switch{On: true}, Command: []string{"web"},
		Restart: unit.RestartAlways, Stop: unit.Stop{Grace: testGrace},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

func oneshot(change ...func(*unit.Spec)) *unit.Spec {
	return service(append([]func(*unit.Spec){func(s *unit.Spec) {
		s.Kind, s.Restart, s.Down = unit.Oneshot, unit.RestartNever, []string{"undo"}
	}}, change...)...)
}

func withReadiness(s *unit.Spec) {
	s.Readiness = &unit.Readiness{Check: unit.Check{TCP: "localhost:1"}}
}

// A script is a life, one event a line:
//
//	[+AFTER] EVENT [WORD…] => STATE REASON: EFFECT, EFFECT
//
// +AFTER lets time pass first. The words of an event are a timer's name, "code N", "signal N", "after D", "why R",
// "err TEXT", "run N" (otherwise it is the current run) and "serial N" (otherwise a timer's is the one that it was
// last armed with). Leave to start is given as soon as it is asked for, until a line says "no leave". A line "check
// failures=1 asked=true" looks at the unit.
func walk(t *testing.T, spec *unit.Spec, scripts ...string) Unit {
	t.Helper()
	w := walker{spec: spec, u: New(spec), now: noon, leave: true}
	for i, line := range strings.Split(strings.Join(scripts, "\n"), "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if err := w.line(line); err != nil {
			t.Fatalf("line %d: %s\n%v", i+1, line, err)
		}
	}
	return w.u
}

type walker struct {
	spec    *unit.Spec
	u       Unit
	now     time.Time
	leave   bool
	serials [timers]uint32
}

func (w *walker) line(line string) error {
	if line == "no leave" {
		w.leave = false
		return nil
	}
	if want, ok := strings.CutPrefix(line, "check "); ok {
		return w.check(want)
	}
	left, want, ok := strings.Cut(line, "=>")
	if !ok {
		return fmt.Errorf("there is no => in it")
	}
	e, err := w.event(strings.Fields(left))
	if err != nil {
		return err
	}
	got, err := w.step(e)
	if want = strings.TrimSpace(want); err == nil && got != want {
		return fmt.Errorf("got  %s\nwant %s", got, want)
	}
	return err
}

// step takes one event, and gives leave where it is asked for.
func (w *walker) step(e Event) (string, error) {
	var said []string
	for {
		var effects []Effect
		w.u, effects = Next(w.spec, w.u, e)
		awaits := false
		for _, f := range effects {
			if f.Run != w.u.Run {
				return "", fmt.Errorf("%s is for run %d in run %d", f.Kind, f.Run, w.u.Run)
			}
			if f.Kind == Arm {
				w.serials[f.Timer] = f.Serial
			}
			if f.Kind == Await && w.leave {
				awaits = true
				continue
			}
			s, err := w.say(f)
			if err != nil {
				return "", err
			}
			said = append(said, s)
		}
		if !awaits {
			break
		}
		e = Event{Kind: Granted, At: w.now}
	}
	got := fmt.Sprintf("%s %s", w.u.State, w.u.Reason)
	if len(said) > 0 {
		got += ": " + strings.Join(said, ", ")
	}
	return got, nil
}

// say is an effect as a script has it. Backoff is said without its jitter, which must be within its bounds.
func (w *walker) say(f Effect) (string, error) {
	switch {
	case f.Kind == Spawn || f.Kind == Undo:
		return fmt.Sprintf("%s %d", f.Kind, f.Run), nil
	case f.Kind == Terminate:
		return fmt.Sprintf("%s %s", f.Kind, f.Signal), nil
	case f.Kind == Arm && f.Timer == BackoffTimer:
		even := *w.spec
		if even.Backoff == (unit.BackoffRule{}) {
			even.Backoff = unit.DefaultBackoff
		}
		jitter := even.Backoff.Jitter
		even.Backoff.Jitter = 0
		about := delay(&even, w.u.Failures, f.Run)
		if off := (f.After - about).Abs(); float64(off) > jitter*float64(about) || f.After != delay(w.spec, w.u.Failures, f.Run) {
			return "", fmt.Errorf("the backoff is %s, and should be about %s", f.After, about)
		}
		return fmt.Sprintf("%s %s ~%s", f.Kind, f.Timer, about), nil
	case f.Kind == Arm:
		return fmt.Sprintf("%s %s %s", f.Kind, f.Timer, f.After), nil
	}
	return f.Kind.String(), nil
}

func (w *walker) event(words []string) (Event, error) {
	if d, ok := strings.CutPrefix(words[0], "+"); ok {
		after, err := time.ParseDuration(d)
		if err != nil {
			return Event{}, err
		}
		w.now = w.now.Add(after)
		words = words[1:]
	}
	e := Event{Kind: eventKinds, At: w.now, Run: w.u.Run}
	for k, name := range eventNames {
		if name == words[0] {
			e.Kind = EventKind(k)
		}
	}
	if e.Kind == eventKinds {
		return e, fmt.Errorf("there is no event %q", words[0])
	}
	words = words[1:]
	if e.Kind == Expired {
		for k, name := range timerNames {
			if name == words[0] {
				e.Timer = Timer(k)
				e.Serial = w.serials[k]
			}
		}
		words = words[1:]
	}
	for ; len(words) > 1; words = words[2:] {
		n, _ := strconv.Atoi(words[1])
		switch words[0] {
		case "run":
			e.Run = uint64(n)
		case "serial":
			e.Serial = uint32(n)
		case "code":
			e.Exit.Code = n
		case "signal":
			e.Exit.Signal = unit.Signal(n)
		case "err":
			e.Err = words[1]
		case "why":
			e.Reason = unit.Reason(words[1])
		case "after":
			var err error
			if e.After, err = time.ParseDuration(words[1]); err != nil {
				return e, err
			}
		default:
			return e, fmt.Errorf("there is no word %q for an event", words[0])
		}
	}
	return e, nil
}

func (w *walker) check(want string) error {
	u := &w.u
	is := map[string]string{
		"failures": strconv.Itoa(u.Failures), "asked": strconv.FormatBool(u.Asked), "cause": string(u.Cause),
		"killed": strconv.FormatBool(u.Killed), "halted": strconv.FormatBool(u.Halted), "hurried": strconv.FormatBool(u.Hurried),
		"executed": strconv.FormatBool(u.Executed), "ready": strconv.FormatBool(u.Ready), "ended": strconv.FormatBool(u.Ended),
		"undoing": strconv.FormatBool(u.Undoing), "error": u.ExecError, "exit": strconv.Itoa(u.Exit.ShellCode()),
		"run": strconv.FormatUint(u.Run, 10),
	}
	for _, w := range strings.Fields(want) {
		name, value, _ := strings.Cut(w, "=")
		if got, ok := is[name]; !ok || got != value {
			return fmt.Errorf("%s is %q", name, got)
		}
	}
	return nil
}
