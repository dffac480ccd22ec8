package supervisor

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// This file keeps the bugs of a system that was run on another supervisor from
// coming back: each test has the number and the story of one (docs/bug-classes.md).

// TestU39: a restart of a unit that is down did nothing and reported success.
// Here it starts it, from wherever it is, and the answer says so.
func TestU39(t *testing.T) {
	alone(t, func(t *testing.T) {
		failed := service("failed", "exit 3", func(s *unit.Spec) { s.Restart = unit.RestartNever })
		backoff := service("backoff", "exit 3", func(s *unit.Spec) { s.Backoff = unit.BackoffRule{Initial: time.Hour, Max: time.Hour, Factor: 1} })
		w := newWorld(t, Options{Services: []unit.Spec{sleeper("web"), failed, backoff}, Records: []store.Record{down("web")}})
		ctx := onPeersBehalf(10000)
		for name, state := range map[unit.Name]unit.State{"web": unit.Down, "failed": unit.Failed, "backoff": unit.Backoff} {
			before := w.untilState(name, state)
			begun := w.watchFor(name, func(s engine.Status) bool { return s.Run > before.Run })
			s := w.must(w.Restart(ctx, name))
			if s.State != unit.Starting || s.Desired != "up" || s.Reason != unit.Asked || s.Because != "started by uid 10000 (pintle, pid 33)" {
				t.Errorf("restart of one that is %s answered %+v", state, s)
			}
			if s := <-begun; s.Run != before.Run+1 {
				t.Errorf("after the restart of one that is %s: %+v", state, s)
			}
		}
		if s := w.untilState("web", unit.Up); s.PID == 0 {
			t.Errorf("%+v", s)
		}
	})
}

// startsOf counts how often a unit that ends at once, with this exit, is started in a time.
func startsOf(t *testing.T, in time.Duration, exit unit.Exit, change ...func(*unit.Spec)) (starts int) {
	t.Run(fmt.Sprint(exit), func(t *testing.T) {
		k := &fakeKernel{life: func(Launch) (time.Duration, unit.Exit) { return time.Millisecond, exit }}
		synctest.Test(t, func(t *testing.T) {
			bubble(t, Options{Kernel: k, Services: []unit.Spec{sleeper("web", change...)}}, func(t *testing.T, _ *Supervisor) {
				time.Sleep(in)
				synctest.Wait()
				starts = k.count()
			})
		})
	})
	return starts
}

// TestU43: a service without its token looped twice a second and filled a disk; the
// remedy was void, because the exit code that it went by never left the process.
// TestU46: one that refused to start ended with code 1, 13 times a minute, for 23 days.
// So the backoff asks for no code: whatever it is, a crash loop is as slow.
func TestU43(t *testing.T) { slowWhateverTheExit(t) }

// TestU46 has its story at TestU43.
func TestU46(t *testing.T) { slowWhateverTheExit(t) }

func slowWhateverTheExit(t *testing.T) {
	t.Parallel()
	restart := func(s *unit.Spec) { s.ExitRules = unit.ExitRules{{Code: 75}: unit.VerdictRestart} }
	want := startsOf(t, time.Hour, unit.Exit{Code: 3}, restart)
	if want < 100 || want > 150 { // every 30 s, but for the first few
		t.Errorf("%d starts in an hour", want)
	}
	for _, exit := range []unit.Exit{{}, {Code: 1}, {Code: 75}, {Code: 126}, {Code: 255}, {Signal: unit.SIGTERM}, {Signal: unit.SIGKILL}, {Signal: unit.Signal(unix.SIGSEGV)}} {
		if got := startsOf(t, time.Hour, exit, restart); got != want {
			t.Errorf("a unit that %s is started %d times in an hour, one that fails with code 3 %d times", exit, got, want)
		}
	}
}

// TestU44: an end with code 0 was followed by another start, at once: more than a
// thousand connections, and a revoked token. Where only failures are restarted, 0 is the end.
func TestU44(t *testing.T) {
	t.Parallel()
	if n := startsOf(t, time.Hour, unit.Exit{}, func(s *unit.Spec) { s.Restart = unit.RestartOnFailure }); n != 1 {
		t.Errorf("started %d times", n)
	}
	if n := startsOf(t, time.Minute, unit.Exit{}); n > 10 {
		t.Errorf("where it is always restarted it started %d times in a minute", n)
	}
}

// TestU45: the opposite: one that was sent SIGTERM while it started ended with
// code 0, which counted as success, and was parked for hours. What ends before it
// was ready has not done its work, whatever its code.
func TestU45(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs, player("web", dir,
			"once %s/first [ on TERM [ exit 0 ] pid %s/on sleep ] fd 3 ; sleep", quick,
			func(s *unit.Spec) { s.Restart, s.Readiness = unit.RestartOnFailure, &unit.Readiness{FD: 3} }))
		starter := w.pidIn("on")
		back := w.watchFor("web", func(s engine.Status) bool { return s.Run == 2 && s.State == unit.Up })
		if err := unix.Kill(starter, unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if s := <-back; s.Failures != 1 || !s.Last.Exit.Success() || s.Last.Asked {
			t.Errorf("after it ended before it was ready it is %+v, %+v", s, s.Last)
		}
	})
}

// TestU55: children of the old run survived a restart and competed with the new
// one. A restart begins when nothing of the run before is left, in whatever session it is.
func TestU55(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		w := newStagedWorld(t, dir, runs, player("web", dir,
			"once %s/first [ fork [ ignore TERM pid %s/child1 sleep ] daemon [ ignore TERM pid %s/child2 sleep ] until %s/child1 until %s/child2 write %s/on on sleep ] write %s/second on sleep",
			grace(200*time.Millisecond)))
		old := []int{w.pidIn("child1"), w.pidIn("child2")}
		w.untilFile("on")
		w.must(w.Restart(onPeersBehalf(10000), "web"))
		w.untilFile("second")
		for _, pid := range old {
			if lives(pid) {
				t.Errorf("process %d of the first run lives beside the second", pid)
			}
		}
	})
}

// TestU6: a service whose directory was only half made was started, and as root. Here
// an instance is there with all that belongs to it, or it is not there at all: whoever looks on never sees another one, and
// none is started before it is whole.
func TestU6(t *testing.T) {
	alone(t, func(t *testing.T) {
		p := newProfiles(t)
		w := newWorld(t, Options{Templates: []unit.Template{p.template(p.intentFrom)}})
		ctx, cancel := context.WithCancel(context.Background())
		looked := make(chan struct{})
		seen := map[unit.Name]engine.Status{} // the first of each
		go func() {
			defer close(looked)
			for ctx.Err() == nil {
				list, err := w.List(ctx)
				for _, s := range list {
					if _, ok := seen[s.Name]; !ok && err == nil {
						seen[s.Name] = s
					}
				}
			}
		}()
		if err := os.MkdirAll(p.dir+"/half/of/it", 0o755); err != nil { // without its marker yet
			t.Fatal(err)
		}
		for _, staged := range []string{".whole0.tmp", "whole0.tmp"} { // under another name
			p.make(staged, `{"desired_state":"running"}`)
		}
		for i := range 10 {
			p.make(fmt.Sprintf("whole%d", i), `{"desired_state":"running"}`)
			for _, down := range []bool{true, false} {
				name := unit.Name(fmt.Sprintf("gateway@asked%d-%v", i, down))
				if _, created, err := w.Create(onPeersBehalf(10000), engine.CreateRequest{Name: name, Down: down}); err != nil || !created {
					t.Fatal(created, err)
				}
			}
		}
		for i := range 10 {
			w.untilState(unit.Name(fmt.Sprintf("gateway@whole%d", i)), unit.Up)
			w.untilState(unit.Name(fmt.Sprintf("gateway@asked%d-false", i)), unit.Up)
		}
		cancel()
		<-looked
		for name, s := range seen {
			instance := name.Instance()
			declared := strings.HasPrefix(instance, "whole")
			up := declared || strings.HasSuffix(instance, "false")
			want := unit.Actor{Kind: "peer", UID: 10000, PID: 33, Command: "pintle"}
			if declared {
				want = unit.ByDiscovery
			}
			switch {
			case len(instance) < len("whole0") || strings.Contains(instance, "tmp"):
				t.Errorf("there is %s", name)
			case s.Intent.Up != up || s.Intent.Actor != want || s.Intent.Generation != 1 || declared && s.Origin == "" || !up && s.Run > 0:
				t.Errorf("the first that was seen of %s is %+v", name, s)
			}
		}
	})
}

// TestU35: in the container beside, a restart was answered with "no such gateway", which was not so. Here the unit
// is known there, the answer says who has it, and what was asked is what the owner's next start finds.
func TestU35(t *testing.T) {
	elsewhere := sleeper("elsewhere", func(s *unit.Spec) {
		s.Enabled = unit.Switch{Because: "this container's role is web, and only chat owns it"}
	})
	k := &fakeKernel{life: func(Launch) (time.Duration, unit.Exit) { return -1, unit.Exit{} }}
	l := &fakeLeases{}
	inBubble(t, Options{Kernel: k, Leases: l, Services: []unit.Spec{exclusiveUnit(), elsewhere}}, func(t *testing.T, s *Supervisor) {
		l.s = s
		synctest.Wait()
		ctx := onPeersBehalf(10000)
		_, err := s.Restart(ctx, "elsewhere")
		refusal(t, err, engine.Conflict, "cannot restart elsewhere: it is disabled in this container: this container's role is web, and only chat owns it")
		got, err := s.Restart(ctx, "gw")
		if err != nil || got.State != unit.Waiting || got.Desired != "up" || got.Intent.Generation != 1 ||
			got.Because != "waiting for container alpha, which holds it (fence 7)" {
			t.Errorf("%+v, %v", got, err)
		}
		if n := k.count(); n > 0 {
			t.Errorf("%d were started", n)
		}
	})
}

// TestU37: one place had all named gateways down, because the default one was to run them, and another had the default one
// refuse to. Here what becomes of an instance depends on what was asked of it, and on no other instance.
func TestU37(t *testing.T) {
	k := &fakeKernel{life: func(l Launch) (time.Duration, unit.Exit) {
		if slices.Contains(l.Env, "PINTLE_UNIT=gateway@crashing") {
			return time.Millisecond, unit.Exit{Code: 78}
		}
		return -1, unit.Exit{}
	}}
	o := Options{
		Kernel:    k,
		Templates: []unit.Template{template(func(t *unit.Template) { t.Always, t.Max = []string{"default"}, 9 })},
		Records:   []store.Record{recorded("gateway@default", false), recorded("gateway@a", true), recorded("gateway@b", false), recorded("gateway@crashing", true)},
	}
	inBubble(t, o, func(t *testing.T, s *Supervisor) {
		are := func(when string, want map[unit.Name]unit.State) {
			t.Helper()
			synctest.Wait()
			for name, state := range want {
				if u := get(t, s, name); u.State != state || state == unit.Up && u.Run != 1 {
					t.Errorf("%s %s is %s in run %d, want %s", when, name, u.State, u.Run, state)
				}
			}
		}
		are("at boot", map[unit.Name]unit.State{"gateway@default": unit.Down, "gateway@a": unit.Up, "gateway@b": unit.Down})
		if _, err := s.Start(t.Context(), "gateway@default"); err != nil {
			t.Fatal(err)
		}
		are("with the default one up", map[unit.Name]unit.State{"gateway@default": unit.Up, "gateway@a": unit.Up, "gateway@b": unit.Down})
		if _, err := s.Stop(t.Context(), "gateway@default"); err != nil {
			t.Fatal(err)
		}
		are("with the default one stopped", map[unit.Name]unit.State{"gateway@default": unit.Down, "gateway@a": unit.Up, "gateway@b": unit.Down})
	})
}

// TestU40: who stopped all of them at once left word in his own home only, so that the others took the stop for a crash,
// and came back. Here each is told by a file of its own, and it is pintle that knows what was asked, whatever code follows.
func TestU40(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		var services []unit.Spec
		for _, name := range []string{"a", "b", "c"} {
			services = append(services, player(unit.Name(name), dir, "on TERM [ copy PINTLE_STOP_FILE %s/note-"+name+" exit 1 ] write %s/on-"+name+" on sleep", quick))
		}
		w := newStagedWorld(t, dir, runs, services...)
		for _, s := range services {
			w.untilFile("on-" + string(s.Name))
		}
		for _, s := range services {
			w.must(w.Stop(onPeersBehalf(10000), s.Name))
		}
		for _, s := range services {
			var note stopNote
			if err := json.Unmarshal([]byte(w.untilFile("note-"+string(s.Name))), &note); err != nil {
				t.Fatal(err)
			}
			if note.Unit != s.Name || note.Then != "end" || note.Reason != unit.Asked || note.Actor != "uid 10000 (pintle, pid 33)" {
				t.Errorf("%s was told %+v", s.Name, note)
			}
			if s := w.untilState(s.Name, unit.Down); s.Run != 1 || s.Failures != 0 || !s.Last.Asked || s.Last.Exit.Code != 1 {
				t.Errorf("%+v, %+v", s, s.Last)
			}
		}
	})
}
