package unit

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestSignals(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		sig  Signal
		name string
	}{
		"TERM": {15, "SIGTERM"}, "SIGTERM": {15, "SIGTERM"}, "sigkill": {9, "SIGKILL"}, "Hup": {1, "SIGHUP"},
		"15": {15, "SIGTERM"}, "1": {1, "SIGHUP"}, "40": {40, "signal 40"}, "64": {64, "signal 64"},
	} {
		sig, err := ParseSignal(in)
		if err != nil || sig != want.sig || sig.String() != want.name {
			t.Errorf("%q: %d, %s, %v", in, sig, sig, err)
		}
	}
	for _, in := range []string{"", "0", "-1", "65", "99999999999999999999", "+9", "007", "SIG", "SIGSIGTERM", "TERM ", "NOSUCH", "K\u0131LL", strings.Repeat("x", 999)} {
		if sig, err := ParseSignal(in); err == nil || sig != 0 || !strings.HasPrefix(err.Error(), "cannot use signal ") || len(err.Error()) > 200 {
			t.Errorf("%q: %d, %v", in, sig, err)
		}
	}
}

func TestExits(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Exit{
		"0": {}, "78": {Code: 78}, "255": {Code: 255}, "SIGTERM": {Signal: SIGTERM}, "kill": {Signal: SIGKILL},
	} {
		if e, err := ParseExit(in); err != nil || e != want {
			t.Errorf("%q: %+v, %v", in, e, err)
		}
	}
	for _, in := range []string{"", "-1", "256", "+1", "007", "-0", "1.0", " 1", "done"} {
		if e, err := ParseExit(in); err == nil || !strings.HasPrefix(err.Error(), "cannot use exit ") {
			t.Errorf("%q: %+v, %v", in, e, err)
		}
	}
	for _, c := range []struct {
		exit Exit
		code int
		ok   bool
		text string
		json string
	}{
		{Exit{}, 0, true, "exited with code 0", `{"code":0}`},
		{Exit{Code: 3}, 3, false, "exited with code 3", `{"code":3}`},
		{Exit{Signal: SIGKILL}, 137, false, "was killed by SIGKILL", `{"code":0,"signal":9}`},
		{Exit{Signal: 40}, 168, false, "was killed by signal 40", `{"code":0,"signal":40}`},
	} {
		got, err := json.Marshal(c.exit)
		if c.exit.ShellCode() != c.code || c.exit.Success() != c.ok || c.exit.String() != c.text || string(got) != c.json || err != nil {
			t.Errorf("%+v: %d, %v, %s, %s, %v", c.exit, c.exit.ShellCode(), c.exit.Success(), c.exit, got, err)
		}
	}
}

// FuzzExit: an exit that parses is one that a process can have.
func FuzzExit(f *testing.F) {
	for _, s := range []string{"0", "255", "256", "SIGTERM", "term", "-1", "+1", "1e1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseExit(s)
		if err != nil {
			return
		}
		if e.Code < 0 || e.Code > 255 || e.Signal < 0 || e.Signal > 64 || e.Code != 0 && e.Signal != 0 {
			t.Errorf("%q is %+v", s, e)
		}
	})
}

// TestJudge: a rule goes before the policy; the policy is Compose's.
func TestJudge(t *testing.T) {
	t.Parallel()
	rules := ExitRules{{}: VerdictRestart, {Code: 75}: VerdictRestart, {Code: 78}: VerdictFail, {Signal: SIGTERM}: VerdictDone}
	for _, c := range []struct {
		restart RestartPolicy
		rules   ExitRules
		exit    Exit
		verdict Verdict
		byRule  bool
	}{
		{RestartAlways, nil, Exit{}, VerdictRestart, false},
		{RestartAlways, nil, Exit{Code: 1}, VerdictRestart, false},
		{RestartOnFailure, nil, Exit{}, VerdictDone, false},
		{RestartOnFailure, nil, Exit{Code: 1}, VerdictRestart, false},
		{RestartOnFailure, nil, Exit{Signal: SIGTERM}, VerdictRestart, false},
		{RestartNever, nil, Exit{}, VerdictDone, false},
		{RestartNever, nil, Exit{Code: 1}, VerdictFail, false},
		{RestartNever, nil, Exit{Signal: SIGKILL}, VerdictFail, false},
		{RestartNever, rules, Exit{}, VerdictRestart, true},
		{RestartNever, rules, Exit{Code: 75}, VerdictRestart, true},
		{RestartAlways, rules, Exit{Code: 78}, VerdictFail, true},
		{RestartAlways, rules, Exit{Signal: SIGTERM}, VerdictDone, true},
		{RestartAlways, rules, Exit{Code: 143}, VerdictRestart, false}, // 128+15 by itself is no signal
	} {
		s := Spec{Restart: c.restart, ExitRules: c.rules}
		if v, byRule := s.Judge(c.exit); v != c.verdict || byRule != c.byRule {
			t.Errorf("%s, %s: %s, by rule %v", c.restart, c.exit, v, byRule)
		}
	}
}

func TestActors(t *testing.T) {
	t.Parallel()
	for want, a := range map[string]Actor{
		"boot": Boot, "policy": Policy,
		"uid 0 (pid 7)":              {Kind: "peer", PID: 7},
		"uid 10000 (pintle, pid 33)": {Kind: "peer", UID: 10000, PID: 33, Command: "pintle"},
	} {
		if a.String() != want {
			t.Errorf("%+v reads %q", a, a)
		}
	}
	if (Intent{Up: true}).Desired() != "up" || (Intent{}).Desired() != "down" {
		t.Error("an intent's word is not what it wants")
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		-time.Hour: "0 s", 0: "0 s", time.Millisecond - 1: "0 s", time.Millisecond: "1 ms", 99 * time.Millisecond: "99 ms",
		100*time.Millisecond - 1: "99 ms", 100 * time.Millisecond: "0.1 s", 300 * time.Millisecond: "0.3 s", 1240 * time.Millisecond: "1.2 s",
		9940 * time.Millisecond: "9.9 s", 9990 * time.Millisecond: "9.9 s", 10*time.Second - 1: "9.9 s",
		10 * time.Second: "10 s", time.Minute - 1: "59 s", time.Minute: "1 min", 125 * time.Second: "2 min 5 s",
		time.Hour - 1: "59 min 59 s", time.Hour: "1 h", 250 * time.Minute: "4 h 10 min", 2*day - 1: "47 h 59 min",
		2 * day: "2 d", 3*day + time.Hour: "3 d", 1000 * day: "1000 d",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v reads %q, want %q", d, got, want)
		}
	}
}
