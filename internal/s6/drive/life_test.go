package drive

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

func ask(t *testing.T) func(engine.Status, error) engine.Status {
	return func(s engine.Status, err error) engine.Status {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// TestLife: an instance is created, stopped, started, restarted and removed, each verb says what is so, and in the end
// there is neither a directory nor an s6-supervise of it.
func TestLife(t *testing.T) {
	eachUser(t, func(t *testing.T, w *world) {
		const name = "gateway@coder"
		tree := w.open(template(func(u *unit.Template) { u.Spec.Log = &unit.Log{Directory: w.dir + "/logs/%i", Size: 100_000, Keep: 3} }))
		ctx, got := t.Context(), ask(t)

		s, created, err := tree.Create(ctx, engine.CreateRequest{Name: name, Down: true})
		must(t, err)
		if !created || s.State != unit.Down || s.Desired != "down" || s.Kind != unit.Instance || s.Intent.Actor.PID != 7 || s.Run != 0 {
			t.Errorf("created down it is %+v", s)
		}
		if _, created, err = tree.Create(ctx, engine.CreateRequest{Name: name, Down: true}); created || err != nil {
			t.Errorf("created again: %v, %v", created, err)
		}
		s = got(tree.Start(ctx, name))
		if s.Desired != "up" || s.Intent.Generation != 2 {
			t.Errorf("started it is %+v", s)
		}
		first := untilState(t, tree, name, unit.Up)
		if first.PID == 0 || !lives(first.PID) || first.Run != 1 || !strings.HasPrefix(first.Because, "started by uid") {
			t.Errorf("up it is %+v", first)
		}
		if again := got(tree.Start(ctx, name)); again.PID != first.PID || again.Run != 1 {
			t.Errorf("started again it is %+v", again)
		}
		got(tree.Restart(ctx, name))
		second := await(t, tree, name, "up again", func(s engine.Status) bool { return s.State == unit.Up && s.Run == 2 })
		if second.PID == first.PID || lives(first.PID) || !second.Last.Asked || second.Last.Exit.Signal != unit.SIGTERM {
			t.Errorf("restarted it is %+v, %+v", second, second.Last)
		}
		got(tree.Stop(ctx, name))
		s = untilState(t, tree, name, unit.Down)
		if lives(second.PID) || s.PID != 0 || s.Reason != unit.Asked || !strings.HasPrefix(s.Because, "stopped by uid") {
			t.Errorf("stopped it is %+v", s)
		}
		got(tree.Restart(ctx, name)) // of one that is down is a start
		third := untilState(t, tree, name, unit.Up)
		if third.Run != 3 {
			t.Errorf("restarted from down it is %+v", third)
		}
		got(tree.Remove(ctx, name))
		if lives(third.PID) || len(w.supervisors()) > 0 || len(w.left()) > 0 {
			t.Errorf("removed, but there are %v, %v", w.supervisors(), w.left())
		}
		if _, err := tree.Get(ctx, name); engine.KindOf(err) != engine.NotFound {
			t.Errorf("it is still there: %v", err)
		}
		if _, err := tree.Remove(ctx, name); engine.KindOf(err) != engine.NotFound {
			t.Errorf("removed again: %v", err)
		}
	})
}

// TestEnds: what follows an end is what the template says, and the status says why: a crash is followed by another run, a
// code of exit_codes or a success by none, and a restart begins a new run whatever the old one ended with.
func TestEnds(t *testing.T) {
	eachUser(t, func(t *testing.T, w *world) {
		text := `trap 'exit 0' TERM; echo $$ >` + w.dir + `/on; while ! [ -s ` + w.dir + `/end ]; do sleep 0.01; done; read code <` + w.dir + `/end; : >` + w.dir + `/end; exit $code`
		tree := w.open(script(text, func(u *unit.Template) { u.Spec.ExitRules = unit.ExitRules{{Code: 78}: unit.VerdictFail} }))
		ctx, got := t.Context(), ask(t)
		const name = "gateway@coder"
		end := func(code string) { must(t, os.WriteFile(w.dir+"/end", []byte(code+"\n"), 0o666)) }

		must(t, os.WriteFile(w.dir+"/end", nil, 0o666))
		must(t, os.Chmod(w.dir+"/end", 0o666))
		on := func(s engine.Status) {
			w.eventually("its trap to be set", func() bool {
				text, _ := os.ReadFile(w.dir + "/on")
				return string(text) == fmt.Sprintln(s.PID)
			})
		}
		_, _, err := tree.Create(ctx, engine.CreateRequest{Name: name})
		must(t, err)
		untilState(t, tree, name, unit.Up)
		end("3")
		s := await(t, tree, name, "up again", func(s engine.Status) bool { return s.State == unit.Up && s.Run == 2 })
		if s.Reason != unit.Crashed || s.Last.Exit.Code != 3 || s.Last.Asked {
			t.Errorf("after a crash it is %+v, %+v", s, s.Last)
		}
		on(s)
		got(tree.Restart(ctx, name))
		s = await(t, tree, name, "restarted", func(s engine.Status) bool { return s.State == unit.Up && s.Run == 3 })
		if !s.Last.Asked || !s.Last.Exit.Success() {
			t.Errorf("restarted it is %+v, %+v", s, s.Last)
		}
		end("78")
		if s = untilState(t, tree, name, unit.Failed); s.Reason != unit.ExitRule || s.Desired != "up" || !strings.Contains(s.Because, "code 78") {
			t.Errorf("after code 78 it is %+v", s)
		}
		got(tree.Start(ctx, name))
		await(t, tree, name, "started", func(s engine.Status) bool { return s.State == unit.Up && s.Run == 4 })
		end("0")
		if s = untilState(t, tree, name, unit.Done); s.Reason != unit.RestartRule {
			t.Errorf("after code 0 it is %+v", s)
		}
		got(tree.Start(ctx, name))
		s = await(t, tree, name, "started", func(s engine.Status) bool { return s.State == unit.Up && s.Run == 5 })
		got(tree.Signal(ctx, name, unit.SIGKILL))
		s = await(t, tree, name, "up after SIGKILL", func(s engine.Status) bool { return s.State == unit.Up && s.Run == 6 })
		if s.Last.Exit.Signal != unit.SIGKILL {
			t.Errorf("%+v", s.Last)
		}
		runs, err := tree.Runs(ctx, name, 2)
		if err != nil || len(runs) != 2 || runs[1].Run != 5 || runs[0].Run != 4 {
			t.Errorf("%+v, %v", runs, err)
		}
		got(tree.Remove(ctx, name))
	})
}

// TestItHasToEnd: a run that takes no notice of SIGTERM is killed when its grace period is over, so that stop and remove
// have an end.
func TestItHasToEnd(t *testing.T) {
	inWorld(t, os.Geteuid(), os.Geteuid(), func(t *testing.T, w *world) {
		tree := w.open(script("trap '' TERM; while :; do sleep 0.05; done", func(u *unit.Template) { u.Spec.Stop.Grace = 300_000_000 }))
		const name = "gateway@stubborn"
		_, _, err := tree.Create(t.Context(), engine.CreateRequest{Name: name})
		must(t, err)
		s := untilState(t, tree, name, unit.Up)
		ask(t)(tree.Remove(t.Context(), name))
		if lives(s.PID) || len(w.left()) > 0 || len(w.supervisors()) > 0 {
			t.Errorf("it is left: %v, %v", w.left(), w.supervisors())
		}
	})
}

// TestDeadTree: without an s6-svscan everything that needs one is refused with that, and nothing is left half done.
func TestDeadTree(t *testing.T) {
	inWorld(t, os.Geteuid(), os.Geteuid(), func(t *testing.T, w *world) {
		tree := w.open(template())
		ctx := context.Background()
		_, _, err := tree.Create(ctx, engine.CreateRequest{Name: "gateway@a"})
		must(t, err)
		must(t, w.svscan.Process.Signal(unix.SIGTERM))
		_ = w.svscan.Wait()
		want := "no s6-svscan runs on " + w.scan
		_, _, err = tree.Create(ctx, engine.CreateRequest{Name: "gateway@b"})
		if engine.KindOf(err) != engine.Unavailable || err.Error() != "cannot create gateway@b: "+want {
			t.Errorf("create: %v", err)
		}
		_, err = tree.Start(ctx, "gateway@a")
		if engine.KindOf(err) != engine.Unavailable || err.Error() != "cannot start gateway@a: "+want {
			t.Errorf("start: %v", err)
		}
		if err := tree.Reconcile(ctx, func(string) {}); engine.KindOf(err) != engine.Unavailable {
			t.Errorf("reconcile: %v", err)
		}
		if s, err := tree.Get(ctx, "gateway@a"); err != nil || s.State != unit.Down || s.Because != want {
			t.Errorf("%+v, %v", s, err)
		}
		if info, err := tree.Info(ctx); err != nil || len(info.Conditions) != 1 {
			t.Errorf("%+v, %v", info, err)
		}
		if _, err := tree.Remove(ctx, "gateway@a"); err != nil {
			t.Errorf("remove: %v", err)
		}
		if left := w.left(); len(left) > 0 {
			t.Errorf("%v", left)
		}
	})
}

// TestWho: a run is its template's user's with its environment, files of variables and working directory, however much
// its tree may do, and so is its logger, who makes the directory that it writes to.
func TestWho(t *testing.T) {
	eachUser(t, func(t *testing.T, w *world) {
		must(t, os.WriteFile(w.dir+"/vars", []byte("FROM_FILE='it is'\nBOTH=file\n"), 0o644))
		tree := w.open(script(`echo "$(id -u)|$PWD|$PINTLE_UNIT|$QUOTED|$FROM_FILE|$BOTH|$(umask)"; echo err >&2; exec sleep 100000`, func(u *unit.Template) {
			umask := uint32(0o027)
			u.Spec.User, u.Spec.WorkingDir = "10000", w.dir
			u.Spec.Attributes.Umask = &umask
			u.Spec.Environment = map[string]string{"QUOTED": "it's $HOME `x`\n\\", "BOTH": "own", "odd name": "x"}
			u.Spec.EnvFiles = []unit.EnvFile{{Path: w.dir + "/vars"}, {Path: w.dir + "/none", Optional: true}}
			u.Spec.Log = &unit.Log{Directory: w.dir + "/logs/deep/%i", Size: 100_000, Keep: 3}
		}))
		must(t, os.Chmod(w.dir, 0o777)) // the template's user makes his own directory for logs in it
		const name = "gateway@coder"
		_, _, err := tree.Create(t.Context(), engine.CreateRequest{Name: name})
		must(t, err)
		uid := "10000"
		var lines []string
		w.eventually("two lines in the log", func() bool {
			lines = nil
			for l, err := range tree.Logs(t.Context(), engine.LogRequest{Name: name, Tail: -1}) {
				must(t, err)
				lines = append(lines, l.Text)
				if l.Time.IsZero() || l.Run != 1 {
					t.Errorf("%+v", l)
				}
			}
			return len(lines) == 3
		})
		want := uid + "|" + w.dir + "|" + name + "|it's $HOME `x`"
		if lines[0] != want || lines[1] != `\|it is|own|0027` || lines[2] != "err" {
			t.Errorf("%q\nwant %q", lines, want)
		}
		for _, err := range tree.Logs(t.Context(), engine.LogRequest{Name: name, Follow: true}) {
			if engine.KindOf(err) != engine.Conflict {
				t.Errorf("followed: %v", err)
			}
		}
		ask(t)(tree.Remove(t.Context(), name))
	})
}
