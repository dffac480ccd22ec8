package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// promises are what engine.Engine's comments say, each with a sentence for a name.
var promises = []promise{
	{name: "info says what answers", keep: func(k *kit) {
		info, err := k.Info(k.Context())
		k.must(err)
		if info.UID != os.Geteuid() || info.ProcessSets == "" || info.Started.IsZero() || info.Stopping {
			k.Errorf("%+v", info)
		}
	}},
	{name: "what is not there is not found", keep: func(k *kit) {
		for verb, do := range map[string]func(context.Context, unit.Name) (engine.Status, error){
			"find": k.Get, "start": k.Start, "stop": k.Stop, "restart": k.Restart, "remove": k.Remove,
		} {
			for _, n := range []unit.Name{name, "nothing", "none@such"} {
				_, err := do(k.Context(), n)
				k.refused(err, engine.NotFound, verb, n)
			}
		}
		_, err := k.Signal(k.Context(), name, unit.SIGTERM)
		k.refused(err, engine.NotFound, "signal", name)
		for _, err := range k.Logs(k.Context(), engine.LogRequest{Name: name, Tail: -1}) {
			k.refused(err, engine.NotFound, "read the log of", name)
		}
		if names := k.names(); len(names) > 0 {
			k.Errorf("there are %v", names)
		}
	}},
	{name: "only instances that a template allows are created", change: func(_ *kit, t *unit.Template) {
		t.Max = 2
		t.Names, _ = unit.ParseNamePattern("[a-z]+")
	}, keep: func(k *kit) {
		create := func(n unit.Name) error {
			_, created, err := k.Create(k.Context(), engine.CreateRequest{Name: n, Down: true})
			if created != (err == nil) {
				k.Errorf("%s: %v, %v", n, created, err)
			}
			return err
		}
		k.refused(create("gateway"), engine.Invalid, "create", "gateway")
		k.refused(create("other@a"), engine.NotFound, "create", "other@a")
		k.refused(create("gateway@1"), engine.Invalid, "create", "gateway@1")
		k.must(create("gateway@a"))
		k.must(create("gateway@b"))
		k.refused(create("gateway@c"), engine.Conflict, "create", "gateway@c")
	}},
	{name: "created down it is down, and listed", keep: func(k *kit) {
		s := k.create(name, true)
		if s.Name != name || s.Kind != unit.Instance || s.State != unit.Down || s.Desired != "down" || s.Run != 0 || s.PID != 0 || s.Last != nil {
			k.Errorf("%+v", s)
		}
		if s.Intent.Up || s.Intent.Generation == 0 || s.Intent.Time.IsZero() || s.Intent.Actor.Kind == "" || s.Because == "" {
			k.Errorf("%+v", s)
		}
		if got := k.ok(k.Get(k.Context(), name)); got.State != unit.Down || got.Intent.Generation != s.Intent.Generation {
			k.Errorf("%+v", got)
		}
		if names := k.names(); !slices.Equal(names, []unit.Name{name}) {
			k.Errorf("there are %v", names)
		}
	}},
	{name: "created up it comes up", keep: func(k *kit) {
		if s := k.create(name, false); s.Desired != "up" || !s.Intent.Up {
			k.Errorf("%+v", s)
		}
		s := k.untilOn(name, 1)
		if s.Desired != "up" || s.PID == 0 || s.Since.IsZero() || s.Last != nil || s.Gone {
			k.Errorf("%+v", s)
		}
	}},
	{name: "what exists is not created again, and only gets the wish", keep: func(k *kit) {
		was := k.create(name, true)
		again := func(down bool) engine.Status {
			s, created, err := k.Create(k.Context(), engine.CreateRequest{Name: name, Down: down})
			k.must(err)
			if created {
				k.Error("it is created again")
			}
			return s
		}
		if s := again(false); s.Desired != "up" || s.Intent.Generation <= was.Intent.Generation {
			k.Errorf("%+v", s)
		}
		up := k.untilOn(name, 1)
		if s := again(true); s.Desired != "up" || s.Intent.Generation != up.Intent.Generation || s.PID != up.PID {
			k.Errorf("nothing was to be asked: %+v", s)
		}
	}},
	{name: "all are listed by name", keep: func(k *kit) {
		for _, n := range []unit.Name{"gateway@c", "gateway@a", "gateway@b"} {
			k.create(n, true)
		}
		if names := k.names(); len(names) != 3 || !sorted(names) {
			k.Errorf("%v", names)
		}
	}},
	{name: "a start is a wish, and then so", keep: func(k *kit) {
		was := k.create(name, true)
		s := k.ok(k.Start(k.Context(), name))
		if s.Desired != "up" || s.Intent.Generation != was.Intent.Generation+1 || s.Intent.Time.IsZero() {
			k.Errorf("%+v", s)
		}
		k.untilOn(name, 1)
	}},
	{name: "a start of what is up changes only the wish", keep: func(k *kit) {
		k.create(name, false)
		was := k.untilOn(name, 1)
		k.ok(k.Start(k.Context(), name))
		s := k.ok(k.Get(k.Context(), name))
		if s.PID != was.PID || s.Run != 1 || s.State != unit.Up || s.Intent.Generation != was.Intent.Generation+1 {
			k.Errorf("%+v", s)
		}
	}},
	{name: "stopped means that nothing of it runs", keep: func(k *kit) {
		k.create(name, false)
		was := k.untilOn(name, 1)
		if s := k.ok(k.Stop(k.Context(), name)); s.Desired != "down" || s.Intent.Up {
			k.Errorf("%+v", s)
		}
		s := k.untilState(name, unit.Down)
		k.gone(was.PID)
		if s.PID != 0 || s.Reason != unit.Asked || s.Last == nil || !s.Last.Asked || s.Last.Run != 1 || s.Last.Exit.Signal != unit.SIGTERM || s.Last.Ended.IsZero() {
			k.Errorf("%+v, %+v", s, s.Last)
		}
	}},
	{name: "a stop of what is down changes only the wish", keep: func(k *kit) {
		was := k.create(name, true)
		k.ok(k.Stop(k.Context(), name))
		if s := k.untilState(name, unit.Down); s.Intent.Generation != was.Intent.Generation+1 || s.Run != 0 {
			k.Errorf("%+v", s)
		}
	}},
	{name: "a run that does not end is killed", change: func(k *kit, t *unit.Template) {
		k.script(t, "trap '' TERM")
		t.Spec.Stop.Grace = 200 * time.Millisecond
	}, keep: func(k *kit) {
		k.create(name, false)
		was := k.untilOn(name, 1)
		k.ok(k.Stop(k.Context(), name))
		s := k.untilState(name, unit.Down)
		k.gone(was.PID)
		if s.Last == nil || s.Last.Exit.Signal != unit.SIGKILL || !s.Last.Asked {
			k.Errorf("%+v, %+v", s, s.Last)
		}
	}},
	{name: "a restart is another run", keep: func(k *kit) {
		k.create(name, false)
		was := k.untilOn(name, 1)
		if s := k.ok(k.Restart(k.Context(), name)); s.Desired != "up" || s.Intent.Generation != was.Intent.Generation+1 {
			k.Errorf("%+v", s)
		}
		s := k.untilOn(name, 2)
		k.gone(was.PID)
		if s.PID == was.PID || s.Last == nil || !s.Last.Asked || s.Last.Run != 1 {
			k.Errorf("%+v, %+v", s, s.Last)
		}
	}},
	{name: "a restart of what is down starts it", keep: func(k *kit) {
		k.create(name, true)
		k.ok(k.Restart(k.Context(), name))
		k.untilOn(name, 1)
	}},
	{name: "a restart ends up also where the run ends well", change: func(k *kit, t *unit.Template) {
		k.script(t, "trap 'exit 0' TERM")
	}, keep: func(k *kit) {
		k.create(name, false)
		k.untilOn(name, 1)
		k.ok(k.Restart(k.Context(), name))
		s := k.untilOn(name, 2)
		if s.Last == nil || !s.Last.Exit.Success() || !s.Last.Asked {
			k.Errorf("%+v, %+v", s, s.Last)
		}
	}},
	{name: "a crash is followed by another run", keep: func(k *kit) {
		k.create(name, false)
		was := k.untilOn(name, 1)
		k.end(name, 3)
		s := k.untilOn(name, 2)
		if s.Desired != "up" || s.Intent.Generation != was.Intent.Generation || s.Last == nil || s.Last.Run != 1 || s.Last.Exit != (unit.Exit{Code: 3}) || s.Last.Asked {
			k.Errorf("%+v, %+v", s, s.Last)
		}
	}},
	{name: "who is done stays down, and can be started again", keep: func(k *kit) {
		k.create(name, false)
		k.untilOn(name, 1)
		k.end(name, 0)
		s := k.untilState(name, unit.Done)
		if s.Desired != "up" || s.PID != 0 || s.Reason != unit.RestartRule || s.Last == nil || s.Last.Asked || !s.Last.Exit.Success() {
			k.Errorf("%+v, %+v", s, s.Last)
		}
		k.ok(k.Start(k.Context(), name))
		k.untilOn(name, 2)
	}},
	{name: "restart always restarts also who is done", change: func(_ *kit, t *unit.Template) { t.Spec.Restart = unit.RestartAlways }, keep: func(k *kit) {
		k.create(name, false)
		k.untilOn(name, 1)
		k.end(name, 0)
		k.untilOn(name, 2)
	}},
	{name: "restart never gives up at the first failure", change: func(_ *kit, t *unit.Template) { t.Spec.Restart = unit.RestartNever }, keep: func(k *kit) {
		k.create(name, false)
		k.untilOn(name, 1)
		k.end(name, 7)
		s := k.untilState(name, unit.Failed)
		if s.Desired != "up" || s.Reason != unit.RestartRule || s.Last == nil || s.Last.Exit.Code != 7 || !strings.Contains(s.Because, "code 7") {
			k.Errorf("%+v, %+v", s, s.Last)
		}
	}},
	{name: "exit_codes come before restart", change: func(_ *kit, t *unit.Template) {
		t.Spec.ExitRules = unit.ExitRules{{Code: 78}: unit.VerdictFail, {Code: 0}: unit.VerdictRestart, {Code: 5}: unit.VerdictDone}
	}, keep: func(k *kit) {
		k.create(name, false)
		k.untilOn(name, 1)
		k.end(name, 0)
		k.untilOn(name, 2)
		k.end(name, 78)
		if s := k.untilState(name, unit.Failed); s.Reason != unit.ExitRule || !strings.Contains(s.Because, "code 78") {
			k.Errorf("%+v", s)
		}
		k.ok(k.Start(k.Context(), name))
		k.untilOn(name, 3)
		k.end(name, 5)
		if s := k.untilState(name, unit.Done); s.Reason != unit.ExitRule {
			k.Errorf("%+v", s)
		}
	}},
	{name: "a failed one that is stopped is down", change: func(_ *kit, t *unit.Template) { t.Spec.Restart = unit.RestartNever }, keep: func(k *kit) {
		k.create(name, false)
		k.untilOn(name, 1)
		k.end(name, 7)
		k.untilState(name, unit.Failed)
		k.ok(k.Stop(k.Context(), name))
		if s := k.untilState(name, unit.Down); s.Desired != "down" {
			k.Errorf("%+v", s)
		}
	}},
	{name: "a signal reaches the leader, and is no wish", keep: func(k *kit) {
		k.create(name, true)
		_, err := k.Signal(k.Context(), name, 1)
		k.refused(err, engine.Conflict, "signal", name)
		k.ok(k.Start(k.Context(), name))
		was := k.untilOn(name, 1)
		k.ok(k.Signal(k.Context(), name, 1))
		k.untilFile("hup-coder", "hup")
		k.ok(k.Signal(k.Context(), name, unit.SIGKILL))
		s := k.untilOn(name, 2)
		if s.Intent.Generation != was.Intent.Generation || s.Last == nil || s.Last.Exit.Signal != unit.SIGKILL || s.Last.Asked {
			k.Errorf("%+v, %+v", s, s.Last)
		}
	}},
	{name: "removed means that it is not there", keep: func(k *kit) {
		k.create(name, false)
		was := k.untilOn(name, 1)
		k.create("gateway@other", true)
		k.ok(k.Remove(k.Context(), name))
		k.untilRemoved(name)
		k.gone(was.PID)
		_, err := k.Get(k.Context(), name)
		k.refused(err, engine.NotFound, "find", name)
		if names := k.names(); !slices.Equal(names, []unit.Name{"gateway@other"}) {
			k.Errorf("there are %v", names)
		}
		k.create(name, false) // it is another one
		k.untilOn(name, 1)
	}},
	{name: "who watches is told once of what is gone", keep: func(k *kit) {
		k.create(name, false)
		k.untilOn(name, 1)
		ctx, cancel := context.WithTimeout(k.Context(), Patience)
		defer cancel()
		begun, gone := false, 0
		var asking sync.WaitGroup
		defer asking.Wait()
		do := func(ask func() error) {
			asking.Go(func() {
				if err := ask(); err != nil {
					k.Error(err)
					cancel()
				}
			})
		}
		for s, err := range k.Watch(ctx) {
			if err != nil {
				k.Error(err)
				break
			}
			if s.Name == name && !begun {
				begun = true
				do(func() error { _, err := k.Remove(ctx, name); return err })
			}
			if s.Name == name && s.Gone {
				gone++
				do(func() error {
					_, _, err := k.Create(ctx, engine.CreateRequest{Name: "gateway@after", Down: true})
					return err
				})
			}
			if s.Name == "gateway@after" {
				break
			}
		}
		if gone != 1 {
			k.Errorf("told %d times", gone)
		}
	}},
	{name: "a watch begins with what there is, and ends with its context", keep: func(k *kit) {
		for _, n := range []unit.Name{"gateway@a", "gateway@b", "gateway@c"} {
			k.create(n, true)
		}
		ctx, cancel := context.WithTimeout(k.Context(), Patience)
		defer cancel()
		seen := map[unit.Name]bool{}
		for s, err := range k.Watch(ctx) {
			if err != nil {
				if ctx.Err() == nil {
					k.Error(err)
				}
				break
			}
			if s.Kind == unit.Instance {
				seen[s.Name] = true
			}
			if len(seen) == 3 {
				cancel()
			}
		}
		if len(seen) != 3 || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			k.Errorf("seen are %v", seen)
		}
	}},
	{name: "what a template has always cannot be removed", change: func(_ *kit, t *unit.Template) { t.Always = []string{"default"} }, keep: func(k *kit) {
		k.create("gateway@a", true)
		if _, _, err := k.Create(k.Context(), engine.CreateRequest{Name: "gateway@default", Down: true}); err != nil {
			k.Fatal(err)
		}
		_, err := k.Remove(k.Context(), "gateway@default")
		k.refused(err, engine.Conflict, "remove", "gateway@default")
		k.ok(k.Get(k.Context(), "gateway@default"))
	}},
	{name: "a run knows whose it is", change: func(k *kit, t *unit.Template) {
		t.Spec.Environment = map[string]string{"OWN": "it's %i", "HOME": "/nowhere"}
		t.Spec.WorkingDir = k.dir
		k.script(t, `echo "$PWD|$PINTLE_UNIT|$PINTLE_TEMPLATE|$PINTLE_INSTANCE|$OWN|$HOME" >who`)
	}, keep: func(k *kit) {
		k.create(name, false)
		k.untilFile("who", k.dir+"|gateway@coder|gateway|coder|it's coder|/nowhere")
	}},
	{name: "a command that is not there is an end like others", change: func(_ *kit, t *unit.Template) {
		t.Spec.Command, t.Spec.Restart = []string{"/no/such/program"}, unit.RestartNever
	}, keep: func(k *kit) {
		k.create(name, false)
		if s := k.untilState(name, unit.Failed); s.Last == nil || s.Last.Exit.Code != 127 || s.Last.Asked {
			k.Errorf("%+v, %+v", s, s.Last)
		}
	}},
	{name: "ends are kept, the oldest first", keep: func(k *kit) {
		k.create(name, false)
		for run := range uint64(2) {
			k.untilOn(name, run+1)
			k.end(name, 10+int(run))
		}
		k.untilOn(name, 3)
		runs, err := k.Runs(k.Context(), name, -1)
		k.must(err)
		if len(runs) != 2 || runs[0].Exit.Code != 10 || runs[1].Exit.Code != 11 || runs[0].Run != 1 || runs[1].Unit != name || runs[1].Ended.Before(runs[0].Ended) {
			k.Errorf("%+v", runs)
		}
		if runs, err = k.Runs(k.Context(), name, 1); err != nil || len(runs) != 1 || runs[0].Run != 2 {
			k.Errorf("%+v, %v", runs, err)
		}
	}},
	{name: "many at once disturb nobody", keep: func(k *kit) {
		n := func(i int) unit.Name { return unit.Name(fmt.Sprintf("gateway@n%d", i)) }
		together(12, func(i int) {
			if _, created, err := k.Create(k.Context(), engine.CreateRequest{Name: n(i)}); err != nil || !created {
				k.Errorf("%v, %v", created, err)
			}
		})
		for i := range 12 {
			k.untilState(n(i), unit.Up)
		}
		together(12, func(i int) {
			if _, err := k.Remove(k.Context(), n(i)); err != nil {
				k.Error(err)
			}
		})
		for i := range 12 {
			k.untilRemoved(n(i))
		}
	}},
	{name: "one creation of many is the one that creates", keep: func(k *kit) {
		made := make(chan bool, 8)
		together(8, func(int) {
			_, created, err := k.Create(k.Context(), engine.CreateRequest{Name: name, Down: true})
			if err != nil {
				k.Error(err)
			}
			made <- created
		})
		n := 0
		for range 8 {
			if <-made {
				n++
			}
		}
		if n != 1 {
			k.Errorf("%d say that they created it", n)
		}
	}},
	{name: "a name that no unit has is refused", keep: func(k *kit) {
		for _, n := range []unit.Name{"../x", "gateway@../x", "gateway@", "@a", unit.Name("gateway@" + strings.Repeat("x", 300))} {
			for verb, do := range map[string]func(context.Context, unit.Name) (engine.Status, error){
				"find": k.Get, "start": k.Start, "stop": k.Stop, "restart": k.Restart, "remove": k.Remove,
			} {
				if _, err := do(k.Context(), n); engine.KindOf(err) != engine.NotFound && engine.KindOf(err) != engine.Invalid {
					k.Errorf("%s %.20q: %v (%s)", verb, n, err, engine.KindOf(err))
				}
			}
			if _, _, err := k.Create(k.Context(), engine.CreateRequest{Name: n}); engine.KindOf(err) != engine.NotFound && engine.KindOf(err) != engine.Invalid {
				k.Errorf("create %.20q: %v (%s)", n, err, engine.KindOf(err))
			}
		}
	}},
	{name: "who does not wait any longer is answered, and the wish stays", change: func(k *kit, t *unit.Template) {
		k.script(t, "trap '' TERM")
		t.Spec.Stop.Grace = time.Hour
	}, keep: func(k *kit) {
		k.create(name, false)
		was := k.untilOn(name, 1)
		ctx, cancel := context.WithTimeout(k.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := k.Restart(ctx, name) // whether it is an error depends on what the engine waits for itself
		if err != nil && ctx.Err() == nil || time.Since(began) > Patience {
			k.Errorf("after %v: %v", time.Since(began), err)
		}
		s := k.ok(k.Get(k.Context(), name))
		if s.Intent.Generation != was.Intent.Generation+1 || !s.Intent.Up || s.PID != was.PID || s.State != unit.Stopping {
			k.Errorf("%+v", s)
		}
		k.ok(k.Signal(k.Context(), name, unit.SIGKILL))
	}},
	{name: "what it cannot do it says", keep: func(k *kit) {
		k.create(name, true)
		if _, err := k.Reload(k.Context(), engine.ReloadRequest{DryRun: true}); err != nil && engine.KindOf(err) != engine.Conflict {
			k.Errorf("reload: %v (%s)", err, engine.KindOf(err))
		}
		for _, err := range k.Logs(k.Context(), engine.LogRequest{Name: name, Tail: -1}) {
			if err != nil && engine.KindOf(err) != engine.Conflict {
				k.Errorf("logs: %v (%s)", err, engine.KindOf(err))
			}
		}
	}},
}

// untilRemoved waits until there is no unit of that name.
func (k *kit) untilRemoved(n unit.Name) {
	k.Helper()
	ctx, cancel := context.WithTimeout(k.Context(), Patience)
	defer cancel()
	for {
		if _, err := k.Get(ctx, n); engine.KindOf(err) == engine.NotFound {
			return
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			k.Fatalf("%s is still there", n)
		}
	}
}
