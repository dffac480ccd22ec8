package supervisor

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// TestRunRecords: for each way in which a run can end, the record says how, why and because of whom; and it is there
// when the container is gone.
func TestRunRecords(t *testing.T) {
	alone(t, func(t *testing.T) {
		kept, directory := newStore(t)
		never := func(s *unit.Spec) { s.Restart = unit.RestartNever }
		short := func(s *unit.Spec) { s.Stop.Grace = 50 * time.Millisecond }
		// busy says that it is there when it has done what there is to measure.
		const busy = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo there; "
		w := newWorld(t, Options{Store: kept, Services: []unit.Spec{
			service("exits", "for i in $(seq 30); do echo line $i; done; printf end >&2; exit 3", never),
			service("stopped", busy+forever, never),
			service("deaf", "trap '' TERM; echo there; while :; do sleep 0.01; done", never, short),
			service("signalled", "echo there; "+forever, never),
			service("shot", "echo there; "+forever, never),
			service("suicide", "kill -SEGV $$", never),
			service("never", "", func(s *unit.Spec) { s.Command, s.Restart = []string{"/nonexistent"}, unit.RestartNever }),
			service("late", forever, func(s *unit.Spec) {
				s.Readiness, s.StartTimeout = &unit.Readiness{Check: unit.Check{TCP: "127.0.0.1:1"}}, 50*time.Millisecond
				s.GiveUp = unit.GiveUp{After: 1}
			}),
		}})
		for _, name := range []unit.Name{"stopped", "deaf", "signalled", "shot"} {
			w.untilLine(name, "there")
		}
		ctx := onPeersBehalf(10000)
		w.must(w.Stop(ctx, "stopped"))
		w.must(w.Stop(ctx, "deaf"))
		w.must(w.Signal(ctx, "signalled", unit.SIGKILL))
		if err := unix.Kill(w.must(w.Get(ctx, "shot")).PID, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		const peer = "uid 10000 (pintle, pid 33)"
		type end struct {
			code   int
			signal unit.Signal
			cause  unit.Reason
			sender engine.Sender
			by     string
			killed bool
			ready  bool
		}
		wants := map[unit.Name]end{
			"exits":     {code: 3, cause: unit.Crashed, ready: true},
			"stopped":   {signal: unit.SIGTERM, cause: unit.Asked, sender: engine.SentByPintle, by: peer, ready: true},
			"deaf":      {signal: unit.SIGKILL, cause: unit.Asked, sender: engine.SentByPintle, by: peer, killed: true, ready: true},
			"signalled": {signal: unit.SIGKILL, cause: unit.Crashed, sender: engine.SentByPintle, by: peer, ready: true},
			"shot":      {signal: unit.SIGKILL, cause: unit.Crashed, sender: engine.SentByOther, ready: true},
			"suicide":   {signal: unit.Signal(unix.SIGSEGV), cause: unit.Crashed, sender: engine.SentByOther, ready: true},
			"never":     {code: 127, cause: unit.CannotExecute},
			"late":      {signal: unit.SIGTERM, cause: unit.TimedOut, sender: engine.SentByPintle, by: "policy"},
		}
		records := map[unit.Name]engine.RunRecord{}
		for name, want := range wants {
			w.until(name, "over", func(s engine.Status) bool { return !s.State.Alive() && s.Last != nil })
			all, err := w.Runs(ctx, name, -1)
			if err != nil || len(all) != 1 {
				t.Fatalf("%s: %v, %v", name, all, err)
			}
			r := all[0]
			records[name] = r
			got := end{r.Exit.Code, r.Exit.Signal, r.Cause, r.Sender, r.By, r.Killed, !r.Ready.IsZero()}
			if got != want {
				t.Errorf("%s: %+v\nwant %+v\nof %+v", name, got, want, r)
			}
			if r.Run != 1 || r.Unit != name || r.Life != 1 || r.Container == "" || r.Started.IsZero() || r.Ended.Before(r.Started) {
				t.Errorf("%s: %+v", name, r)
			}
			if want.code != 127 && (r.Usage.MaxRSS < 100<<10 || r.Usage.MaxRSS > 1<<30) {
				t.Errorf("%s used %+v", name, r.Usage)
			}
		}
		if u := records["stopped"].Usage; u.User+u.System < time.Millisecond {
			t.Errorf("a busy run used %+v", u)
		}
		tail := slices.DeleteFunc(records["exits"].Tail, func(line string) bool { return line == "end" }) // of another pipe
		if len(records["exits"].Tail) != tailLines || tail[len(tail)-1] != "line 30" {
			t.Errorf("its last lines were %q", records["exits"].Tail)
		}
		if e := records["never"]; !strings.Contains(e.Error, "/nonexistent") {
			t.Errorf("%+v", e)
		}
		if _, err := w.Runs(ctx, "nobody", 1); engine.KindOf(err) != engine.NotFound {
			t.Errorf("of a unit that does not exist: %v", err)
		}

		if err := kept.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		next, _ := store.Open(store.Options{Directory: directory, UID: os.Geteuid()})
		defer next.Close(context.Background())
		for name := range wants {
			if after, err := next.Runs(t.Context(), name, -1); err != nil || len(after) != 1 || after[0].Exit != records[name].Exit {
				t.Errorf("%s, in the next life: %+v, %v", name, after, err)
			}
		}
		if life := next.Life(); life.Number != 2 || life.Before != engine.LifeKilled {
			t.Errorf("%+v", life)
		}
	})
}

// TestLateRecall: intents that could be read only when everything ran already hold from then on, but for units that were
// asked something meanwhile.
func TestLateRecall(t *testing.T) {
	alone(t, func(t *testing.T) {
		w := newWorld(t, Options{
			Services: []unit.Spec{sleeper("a"), sleeper("b")}, Templates: []unit.Template{template()},
		})
		w.untilState("a", unit.Up)
		w.untilState("b", unit.Up)
		w.must(w.Restart(onPeersBehalf(10000), "b"))
		w.Recall([]store.Record{recorded("a", false), recorded("b", false), recorded("gateway@x", true), recorded("gateway@y", false), recorded("nosuch", true)})
		if s := w.untilState("a", unit.Down); s.Intent.Generation != 7 || s.Desired != "down" || !strings.Contains(s.Because, "uid 10000") {
			t.Errorf("%+v", s)
		}
		if s := w.untilState("gateway@x", unit.Up); s.Desired != "up" {
			t.Errorf("%+v", s)
		}
		if s := w.untilState("gateway@y", unit.Down); s.Desired != "down" {
			t.Errorf("%+v", s)
		}
		if s := w.untilState("b", unit.Up); s.Desired != "up" || s.Intent.Generation != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestTailIsBounded: what is kept of a run's output is its own, its last, and of a bounded size.
func TestTailIsBounded(t *testing.T) {
	if got := shorten("aäb", 2); got != "a" {
		t.Errorf("%q", got)
	}
	alone(t, func(t *testing.T) {
		w := newWorld(t, Options{Services: []unit.Spec{
			service("wordy", `head -c 100000 /dev/zero | tr '\0' x; echo; echo last; exit 1`, func(s *unit.Spec) { s.Restart = unit.RestartNever }),
		}})
		w.untilState("wordy", unit.Failed)
		runs, err := w.Runs(t.Context(), "wordy", -1)
		if err != nil || len(runs) != 1 {
			t.Fatal(runs, err)
		}
		if tail := runs[0].Tail; len(tail) != 2 || tail[1] != "last" || len(tail[0]) > tailBytes || len(tail[0]) < tailBytes/2 {
			t.Errorf("%d lines: %.100q", len(tail), tail)
		}
	})
}
