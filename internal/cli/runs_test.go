package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// history is two lives of gateway@a.
func history() []engine.RunRecord {
	run := func(life, number uint64, exit unit.Exit) engine.RunRecord {
		began := time.Date(2026, 3, 1, 11, int(number), 0, 0, time.UTC)
		return engine.RunRecord{
			Unit: "gateway@a", Container: "c0ffee", Life: life, Ready: began.Add(800 * time.Millisecond), By: "uid 10000 (pintle\x1b[2J, pid 33)",
			RunEnd: engine.RunEnd{Run: number, PID: 70, Started: began, Ended: began.Add(time.Minute), Exit: exit, Cause: unit.Crashed},
			Usage:  unit.Usage{User: time.Second, System: 500 * time.Millisecond, MaxRSS: 3 << 20, Peak: 5 << 30}, Tail: []string{"its last line"},
		}
	}
	asked := run(1, 1, unit.Exit{Signal: unit.SIGTERM})
	asked.Asked, asked.Cause, asked.Sender = true, unit.Asked, engine.SentByPintle
	oom := run(1, 2, unit.Exit{Signal: unit.SIGKILL})
	oom.Sender, oom.By = engine.SentByOOM, ""
	hung := run(1, 3, unit.Exit{Signal: unit.SIGKILL})
	hung.Cause, hung.Killed, hung.Sender, hung.By = unit.Hung, true, engine.SentByPintle, "policy"
	other := run(2, 1, unit.Exit{Signal: unit.SIGKILL})
	other.Sender, other.By = engine.SentByOther, ""
	never := engine.RunRecord{Unit: "gateway@a", RunEnd: engine.RunEnd{Run: 2, Exit: unit.Exit{Code: 127}, Cause: unit.CannotExecute, Error: "cannot find x\x1b[2J"}}
	return []engine.RunRecord{asked, oom, hung, other, never}
}

// TestRuns: the table says of each run how, why and because of whom it ended; nothing that a run or a peer is called
// reaches the terminal as a control sequence. Of a run that nobody saw begin no times are made up.
func TestRuns(t *testing.T) {
	t.Parallel()
	f := some()
	f.runs = map[unit.Name][]engine.RunRecord{"gateway@a": history()}
	got := pintle(t, f, "runs", "gateway@a")
	want := strings.TrimPrefix(`
LIFE  RUN  STARTED              READY  LASTED  CPU    MEMORY   END                                                      BY
1     1    2026-03-01 11:01:00  0.8 s  1 min   1.5 s  5.0 GiB  was killed by SIGTERM                                    uid 10000 (pintle, pid 33)
1     2    2026-03-01 11:02:00  0.8 s  1 min   1.5 s  5.0 GiB  was killed by SIGKILL (no memory was left)               -
1     3    2026-03-01 11:03:00  0.8 s  1 min   1.5 s  5.0 GiB  was killed by SIGKILL (its grace period was over), hung  policy
2     1    2026-03-01 11:01:00  0.8 s  1 min   1.5 s  5.0 GiB  was killed by SIGKILL (not sent by pintle)               -
-     2    -                    -      -       -      -        cannot find x                                            -
`, "\n")
	if diff := cmp.Diff(result{0, want, ""}, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	got = pintle(t, f, "runs", "gateway@a", "-n", "2", "-o", "json")
	var records []engine.RunRecord
	if err := json.Unmarshal([]byte(got.stdout), &records); err != nil || !cmp.Equal(records, history()[3:]) {
		t.Errorf("%v: %s", err, got.stdout)
	}
	if got := pintle(t, f, "runs", "gateway@b", "-o", "json"); got.stdout != "[]\n" {
		t.Errorf("%q", got.stdout)
	}
}

// TestWhyAcrossLives: who asks about a unit that has not run yet is told of its last run in a life before, and who asks
// about main, how that life ended.
func TestWhyAcrossLives(t *testing.T) {
	t.Parallel()
	f := some()
	f.runs = map[unit.Name][]engine.RunRecord{"dashboard": history()[:2]}
	f.info.Life = engine.Life{Container: "c0ffee", Number: 2, Before: engine.LifeKilled}
	got := pintle(t, f, "why", "dashboard")
	if !strings.Contains(got.stdout, "  Last:    in the container's life 1, run 2 (pid 70) was killed by SIGKILL (by the kernel: no memory was left) after 1 min, ") {
		t.Errorf("%s", got.stdout)
	}
	if strings.Contains(got.stdout, "Before:") {
		t.Errorf("it is not about the container:\n%s", got.stdout)
	}
	got = pintle(t, f, "why", "main")
	if !strings.Contains(got.stdout, "  Before:  the container's life 1 was cut off: pintle, or the whole container, was killed (SIGKILL, or no memory was left).\n") {
		t.Errorf("%s", got.stdout)
	}
}

// TestWhyKnowsTheRecord: what a run that failed wrote last, and by whose wish a run ended, is in the answer, also in JSON;
// but not what is of another run than the one it tells of.
func TestWhyKnowsTheRecord(t *testing.T) {
	t.Parallel()
	crashed := engine.RunEnd{Run: 6, PID: 80, Started: before(time.Minute), Ended: before(time.Second), Exit: unit.Exit{Code: 1}, Cause: unit.Crashed}
	asked := engine.RunEnd{Run: 6, PID: 80, Started: before(time.Minute), Ended: before(time.Second), Exit: unit.Exit{Signal: unit.SIGTERM}, Cause: unit.Asked, Asked: true}
	other := crashed
	other.Run = 5
	tail := []string{"Traceback (most recent call last):", "ConnectionError: \x1b[31mrefused", "  "}
	for _, tt := range []struct {
		last   engine.RunEnd
		record engine.RunRecord
		says   []string
		silent string
	}{
		{crashed, engine.RunRecord{RunEnd: crashed, Tail: tail}, []string{"  Wrote:   ConnectionError: refused\n", "; nobody had asked for that"}, ""},
		{crashed, engine.RunRecord{RunEnd: other, Tail: tail}, nil, "Wrote:"},
		{crashed, engine.RunRecord{RunEnd: crashed}, nil, "Wrote:"},
		{asked, engine.RunRecord{RunEnd: asked, Tail: tail, By: "uid 0 (ev\x1b[2Jil, pid 7)"}, []string{"; it was asked to end by uid 0 (evil, pid 7)."}, "Wrote:"},
		{asked, engine.RunRecord{RunEnd: asked, By: "policy"}, []string{"; it was asked to end."}, "policy"},
	} {
		s := at(coder, unit.Backoff, 6)
		s.Last = &tt.last
		f := newFake(s)
		f.runs = map[unit.Name][]engine.RunRecord{coder: {tt.record}}
		got := pintle(t, f, "why", string(coder)).stdout
		for _, text := range tt.says {
			if !strings.Contains(got, text) {
				t.Errorf("it does not say %q:\n%s", text, got)
			}
		}
		if tt.silent != "" && strings.Contains(got, tt.silent) {
			t.Errorf("it says %q:\n%s", tt.silent, got)
		}
		var answer struct {
			Name   unit.Name
			Record *engine.RunRecord
		}
		got = pintle(t, f, "why", "-o", "json", string(coder)).stdout
		if err := json.Unmarshal([]byte(got), &answer); err != nil || answer.Name != coder || (answer.Record != nil) != (tt.record.Run == tt.last.Run) {
			t.Errorf("%v: %s", err, got)
		}
	}
}
