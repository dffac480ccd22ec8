package supervisor

import (
	"context"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/lifecycle"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// TestVerbs: each verb does what it says, answers with the wish recorded, and says who asked.
func TestVerbs(t *testing.T) {
	alone(t, func(t *testing.T) {
		w := newWorld(t, Options{Services: []unit.Spec{sleeper("web")}})
		first := w.untilState("web", unit.Up)
		if first.PID == 0 || first.Run != 1 || first.Desired != "up" || first.Intent.Generation != 0 || first.Because != "started with the container" {
			t.Fatalf("%+v", first)
		}
		ctx := onPeersBehalf(10000)

		s := w.must(w.Restart(ctx, "web"))
		if s.Desired != "up" || s.Intent.Generation != 1 || s.Intent.Actor.UID != 10000 || s.Intent.Time.IsZero() {
			t.Errorf("restart answered %+v", s)
		}
		second := w.until("web", "up again", func(s engine.Status) bool { return s.State == unit.Up && s.Run == 2 })
		if second.PID == first.PID || lives(first.PID) || !second.Last.Asked || second.Last.PID != first.PID || second.Last.Exit.Signal != unit.SIGTERM {
			t.Errorf("after the restart %+v, %+v", second, second.Last)
		}

		s = w.must(w.Stop(ctx, "web"))
		if s.Desired != "down" || s.State != unit.Stopping || s.Because != "being stopped by uid 10000 (pintle, pid 33)" || s.Next.IsZero() {
			t.Errorf("stop answered %+v", s)
		}
		s = w.untilState("web", unit.Down)
		if s.PID != 0 || s.Because != "stopped by uid 10000 (pintle, pid 33)" || !s.Next.IsZero() || !s.Last.Asked || s.Last.Killed || lives(second.PID) {
			t.Errorf("stopped it is %+v, %+v", s, s.Last)
		}
		// Who asks for what is so already changes the wish, but not why it is so.
		s = w.must(w.Stop(onPeersBehalf(7), "web"))
		if s.Intent.Generation != 3 || s.Intent.Actor.UID != 7 || s.Because != "stopped by uid 10000 (pintle, pid 33)" {
			t.Errorf("stopped again it is %+v", s)
		}

		// A restart of a stopped unit ends up.
		w.must(w.Restart(ctx, "web"))
		s = w.untilState("web", unit.Up)
		if s.Run != 3 || s.Because != "started by uid 10000 (pintle, pid 33)" {
			t.Errorf("restarted from down it is %+v", s)
		}
		if again := w.must(w.Start(ctx, "web")); again.PID != s.PID || again.Run != 3 || again.Intent.Generation != 5 {
			t.Errorf("start of one that is up: %+v", again)
		}
	})
}

// TestSignal: a signal reaches the leader alone, and an end by it is nobody's wish.
func TestSignal(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir := t.TempDir()
		web := service("web", "trap 'echo got > "+dir+"/usr1' USR1; echo on > "+dir+"/on; while :; do sleep 0.01; done")
		w := newWorld(t, Options{Services: []unit.Spec{web}})
		w.dir = dir
		w.untilFile("on")
		w.untilState("web", unit.Up)
		first := w.must(w.Signal(context.Background(), "web", 10))
		w.untilFile("usr1")
		w.must(w.Signal(context.Background(), "web", unit.SIGKILL))
		s := w.until("web", "up again", func(s engine.Status) bool { return s.State == unit.Up && s.Run == 2 })
		if s.Intent != first.Intent || s.Last.Asked || s.Last.Killed || s.Last.Exit.Signal != unit.SIGKILL {
			t.Errorf("after SIGKILL it is %+v, %+v", s, s.Last)
		}
	})
}

// TestRefusals: what can't be done is refused with the rule, and nothing changes.
func TestRefusals(t *testing.T) {
	alone(t, func(t *testing.T) {
		ctx := context.Background()
		off := sleeper("off", func(s *unit.Spec) { s.Enabled = unit.Switch{Because: "WEB_ENABLED is not set"} })
		offToo := sleeper("off-too", func(s *unit.Spec) { s.Enabled = unit.Switch{} })
		names, err := unit.ParseNamePattern("[a-z]+")
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		main := mainProgram("trap 'exit 7' TERM; echo on > " + dir + "/on; while :; do sleep 0.01; done")
		w := newWorld(t, Options{
			Main: &main, Services: []unit.Spec{off, offToo, sleeper("web")},
			Templates: []unit.Template{template(func(u *unit.Template) { u.Names, u.Max, u.Always = names, 2, []string{"default"} })},
			Records:   []store.Record{down("web")},
		})
		w.dir = dir
		w.untilFile("on")
		w.untilState("main", unit.Up)
		before, err := w.List(ctx)
		if err != nil {
			t.Fatal(err)
		}
		type verb func(context.Context, unit.Name) (engine.Status, error)
		create := func(ctx context.Context, n unit.Name) (engine.Status, error) {
			s, created, err := w.Create(ctx, engine.CreateRequest{Name: n})
			if created {
				t.Errorf("%s is said to be created", n)
			}
			return s, err
		}
		hup := func(ctx context.Context, n unit.Name) (engine.Status, error) { return w.Signal(ctx, n, 1) }
		const mainsEnd = "it is the main program, whose end ends the container; stop or restart the container instead"
		for _, c := range []struct {
			do   verb
			name unit.Name
			kind engine.ErrorKind
			text string
		}{
			{w.Start, "main", engine.Conflict, "cannot start main: " + mainsEnd},
			{w.Stop, "main", engine.Conflict, "cannot stop main: " + mainsEnd},
			{w.Restart, "main", engine.Conflict, "cannot restart main: " + mainsEnd},
			{w.Remove, "main", engine.Conflict, "cannot remove main: it is declared in the configuration; only instances can be removed"},
			{create, "main", engine.Invalid, "cannot create main: only instances of a template can be created, and their names have an @"},
			{w.Start, "off", engine.Conflict, "cannot start off: it is disabled in this container: WEB_ENABLED is not set"},
			{w.Restart, "off-too", engine.Conflict, "cannot restart off-too: it is disabled in this container: its configuration says so"},
			{hup, "off", engine.Conflict, "cannot signal off: it is not running"},
			{hup, "web", engine.Conflict, "cannot signal web: it is not running"},
			{w.Remove, "web", engine.Conflict, "cannot remove web: it is declared in the configuration; only instances can be removed"},
			{create, "web", engine.Invalid, "cannot create web: only instances of a template can be created, and their names have an @"},
			{create, "nosuch", engine.Invalid, "cannot create nosuch: only instances of a template can be created, and their names have an @"},
			{create, "nosuch@a", engine.NotFound, "cannot create nosuch@a: there is no template nosuch"},
			{create, "gateway@A", engine.Invalid, `cannot create gateway@A: cannot use instance name "A": the template allows only names that match [a-z]+`},
			{create, "gateway@../x", engine.Invalid, `cannot create gateway@../x: cannot use name "gateway@../x": instance name: only letters, digits, '_', '.' and '-' are allowed, and the first must be a letter or a digit`},
			{w.Remove, "gateway@default", engine.Conflict, "cannot remove gateway@default: template gateway declares it as always there; stop it instead"},
			{w.Get, "nosuch", engine.NotFound, "cannot find nosuch: there is no such unit"},
			{w.Start, "gateway@a", engine.NotFound, "cannot start gateway@a: there is no such instance; pintle create gateway@a makes it"},
			{w.Stop, "gateway@a", engine.NotFound, "cannot stop gateway@a: there is no such instance; pintle create gateway@a makes it"},
			{w.Restart, "a@b", engine.NotFound, "cannot restart a@b: there is no such unit"},
			{w.Remove, "nosuch", engine.NotFound, "cannot remove nosuch: there is no such unit"},
			{hup, "nosuch", engine.NotFound, "cannot signal nosuch: there is no such unit"},
		} {
			_, err := c.do(ctx, c.name)
			refusal(t, err, c.kind, c.text)
		}
		for _, err := range w.Logs(ctx, engine.LogRequest{Name: "nosuch"}) {
			refusal(t, err, engine.NotFound, "cannot read the log of nosuch: there is no such unit")
		}
		for _, err := range w.Logs(ctx, engine.LogRequest{Name: "main"}) {
			refusal(t, err, engine.Conflict, "cannot read the log of main: its output goes to the container's own, see docker logs")
		}
		after, err := w.List(ctx)
		if err != nil || !sameStatuses(before, after) {
			t.Errorf("%v: the refusals changed\n%+v\nto\n%+v", err, before, after)
		}

		// max counts all, also those that are always there; what exists can still be created.
		for range 2 {
			if _, _, err := w.Create(ctx, engine.CreateRequest{Name: "gateway@a", Down: true}); err != nil {
				t.Error(err)
			}
		}
		_, err = create(ctx, "gateway@b")
		refusal(t, err, engine.Conflict, "cannot create gateway@b: template gateway has 2 instances already, which is its max")

		// A stop is a wish, and what is off may be wished down.
		if s := w.must(w.Stop(ctx, "off")); s.State != unit.Disabled || s.Desired != "down" || s.Because != "WEB_ENABLED is not set" {
			t.Errorf("stopped while disabled: %+v", s)
		}

		w.Halt()
		within(t, w.Over(), "main's end")
		for _, do := range []verb{w.Start, w.Restart, create} {
			_, err := do(ctx, "gateway@a")
			if engine.KindOf(err) != engine.Conflict {
				t.Errorf("while the container stops: %v", err)
			}
		}
		_, _, err = w.Create(ctx, engine.CreateRequest{Name: "gateway@z", Down: true})
		if engine.KindOf(err) != engine.Conflict {
			t.Errorf("while the container stops: %v", err)
		}
		w.must(w.Remove(ctx, "gateway@a"))
		if info, err := w.Info(ctx); err != nil || !info.Stopping {
			t.Errorf("%+v, %v", info, err)
		}
		if v := w.Verdict(); v.Code != 7 || v.Message != "" {
			t.Errorf("main ended as %+v", v)
		}
	})
}

// TestUpsert: to create what exists asks it up, or changes nothing.
func TestUpsert(t *testing.T) {
	alone(t, func(t *testing.T) {
		w := newWorld(t, Options{Templates: []unit.Template{template()}})
		ctx := onPeersBehalf(10000)
		create := func(down bool) (engine.Status, bool) {
			s, created, err := w.Create(ctx, engine.CreateRequest{Name: "gateway@a", Down: down})
			if err != nil {
				t.Fatal(err)
			}
			return s, created
		}
		s, created := create(true)
		if !created || s.State != unit.Down || s.Desired != "down" || s.Intent.Generation != 1 || s.Because != "asked to be down by uid 10000 (pintle, pid 33)" {
			t.Errorf("created down: %v, %+v", created, s)
		}
		if s, created = create(true); created || s.Intent.Generation != 1 {
			t.Errorf("created down again: %v, %+v", created, s)
		}
		if s, created = create(false); created || s.State != unit.Starting || s.Desired != "up" || s.Intent.Generation != 2 {
			t.Errorf("created: %v, %+v", created, s)
		}
		up := w.untilState("gateway@a", unit.Up)
		if s, created = create(true); created || s.State != unit.Up || s.Desired != "up" || s.Intent.Generation != 2 {
			t.Errorf("created down while it is up: %v, %+v", created, s)
		}
		if s, created = create(false); created || s.PID != up.PID || s.Intent.Generation != 3 {
			t.Errorf("created while it is up: %v, %+v", created, s)
		}
	})
}

// TestRemove: what was removed leaves nothing, and its name can be used again.
func TestRemove(t *testing.T) {
	alone(t, func(t *testing.T) {
		kept, directory := newStore(t)
		w := newWorld(t, Options{
			Store: kept,
			Templates: []unit.Template{template(func(u *unit.Template) {
				u.Spec = service("", "trap 'sleep 0.3; exit' TERM; echo hello; while :; do sleep 0.01; done")
			})},
		})
		ctx := onPeersBehalf(10000)
		const name unit.Name = "gateway@a"
		for range 2 {
			if _, created, err := w.Create(ctx, engine.CreateRequest{Name: name}); err != nil || !created {
				t.Fatalf("created %v, %v", created, err)
			}
			up := w.untilState(name, unit.Up)
			if up.Run != 1 || up.Intent.Generation != 1 {
				t.Errorf("it is not new: %+v", up)
			}
			w.untilLine(name, "hello")
			if n := recordsIn(t, directory); n != 1 {
				t.Errorf("%d records", n)
			}
			gone := w.watchFor(name, func(s engine.Status) bool { return s.Gone })
			ended := make(chan struct{})
			go func() { // a follower is let go
				defer close(ended)
				for range w.Logs(ctx, engine.LogRequest{Name: name, Follow: true}) {
				}
			}()
			s := w.must(w.Remove(ctx, name))
			if s.State != unit.Stopping || s.Gone || s.Desired != "down" || s.Because != "being removed by uid 10000 (pintle, pid 33)" {
				t.Errorf("remove answered %+v", s)
			}
			for verb, do := range map[string]func(context.Context, unit.Name) (engine.Status, error){
				"start": w.Start, "stop": w.Stop, "restart": w.Restart,
				"create": func(ctx context.Context, name unit.Name) (engine.Status, error) {
					s, _, err := w.Create(ctx, engine.CreateRequest{Name: name, Down: true})
					return s, err
				},
			} {
				_, err := do(ctx, name)
				refusal(t, err, engine.Conflict, "cannot "+verb+" gateway@a: it is being removed")
			}
			w.must(w.Remove(ctx, name)) // once more is no fault
			if s := <-gone; s.PID != 0 || s.State != unit.Down || s.Because != "removed by uid 10000 (pintle, pid 33)" {
				t.Errorf("at last it was %+v", s)
			}
			within(t, ended, "the follower's end")
			_, err := w.Get(ctx, name)
			refusal(t, err, engine.NotFound, "cannot find gateway@a: there is no such instance; pintle create gateway@a makes it")
			if lives(up.PID) || recordsIn(t, directory) != 0 || len(w.o.Logs.Journal(name).Tail(-1)) != 0 {
				t.Error("something of it is left")
			}
		}
		// One that is not running is gone at once, and the answer says so.
		if _, _, err := w.Create(ctx, engine.CreateRequest{Name: name, Down: true}); err != nil {
			t.Fatal(err)
		}
		if s := w.must(w.Remove(ctx, name)); !s.Gone || recordsIn(t, directory) != 0 {
			t.Errorf("removed while down: %+v", s)
		}
	})
}

// TestNameOfAnother: nothing that comes late from a unit that was removed reaches the next one of its name.
func TestNameOfAnother(t *testing.T) {
	alone(t, func(t *testing.T) {
		spec := service("", "trap '' TERM; "+forever, func(s *unit.Spec) {
			s.Readiness, s.Stop.Grace = &unit.Readiness{Check: unit.Check{TCP: closedPort(t)}}, 50*time.Millisecond
		})
		w := newWorld(t, Options{Templates: []unit.Template{template(func(u *unit.Template) { u.Spec = spec })}})
		ctx := context.Background()
		const name unit.Name = "gateway@a"
		create := func() engine.Status {
			if _, _, err := w.Create(ctx, engine.CreateRequest{Name: name}); err != nil {
				t.Fatal(err)
			}
			return w.until(name, "executed", func(s engine.Status) bool { return s.PID != 0 })
		}
		create()
		var old *record
		w.inLoop(func(s *Supervisor) { old = s.units[name] })
		gone := w.watchFor(name, func(s engine.Status) bool { return s.Gone })
		w.must(w.Remove(ctx, name))
		<-gone
		fresh := create()
		w.inLoop(func(s *Supervisor) {
			for _, e := range []lifecycle.Event{
				{Kind: lifecycle.Ready}, {Kind: lifecycle.Expired, Timer: lifecycle.GraceTimer},
				{Kind: lifecycle.Exited}, {Kind: lifecycle.Empty}, {Kind: lifecycle.SpawnFailed, Err: "x"}, {Kind: lifecycle.Stop},
			} {
				e.Run = 1
				s.step(old, e)
			}
		})
		if s := w.must(w.Get(ctx, name)); s.State != unit.Starting || s.PID != fresh.PID || s.Run != 1 {
			t.Errorf("the new one is %+v", s)
		}
	})
}

// TestAfterClose: whoever asks when the loop has ended is told so, at once.
func TestAfterClose(t *testing.T) {
	inBubble(t, Options{Services: []unit.Spec{unfit("web")}}, func(t *testing.T, s *Supervisor) {
		watching := make(chan error)
		go func() {
			var last error
			for _, err := range s.Watch(t.Context()) {
				last = err
			}
			watching <- last
		}()
		get(t, s, "web")
		s.Close()
		if err := <-watching; engine.KindOf(err) != engine.Unavailable {
			t.Errorf("the watcher was told %v", err)
		}
		s.Halt()
		s.Hurry()
		s.SignalMain(1)
		_, err := s.Start(t.Context(), "web")
		refusal(t, err, engine.Unavailable, "cannot ask the supervisor: it has ended")
		for _, err := range s.Watch(t.Context()) {
			refusal(t, err, engine.Unavailable, "cannot ask the supervisor: it has ended")
		}
	})
}

// TestImpatience: who does not wait for an answer any longer is let go, and the loop goes on.
func TestImpatience(t *testing.T) {
	inBubble(t, Options{Services: []unit.Spec{unfit("web")}}, func(t *testing.T, s *Supervisor) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := ask(ctx, s, func(*Supervisor, func(int, error)) {}) // an answer that never comes
		refusal(t, err, engine.Unavailable, "cannot wait for the supervisor's answer: context deadline exceeded")
		get(t, s, "web")
	})
}

func sameStatuses(a, b []engine.Status) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || a[i].State != b[i].State || a[i].Intent != b[i].Intent || a[i].Run != b[i].Run {
			return false
		}
	}
	return true
}

func TestInfo(t *testing.T) {
	alone(t, func(t *testing.T) {
		w := newWorld(t, Options{Version: "1.2", Conditions: func() []engine.Condition { return []engine.Condition{{Code: engine.OneUser, Text: "a sentence"}} }})
		info, err := w.Info(context.Background())
		if err != nil || info.Version != "1.2" || info.PID == 0 || info.Started.IsZero() || info.ProcessSets == "" || info.Stopping || len(info.Conditions) != 1 {
			t.Errorf("%+v, %v", info, err)
		}
	})
}
