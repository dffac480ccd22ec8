package supervisor

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pintle/internal/account"
	"pintle/internal/engine"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// profiles is a directory that declares instances.
type profiles struct {
	t   *testing.T
	dir string
}

func newProfiles(t *testing.T) *profiles {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pintle-profiles-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return &profiles{t, dir}
}

// make makes a profile, with a state file if that has a text.
func (p *profiles) make(name, state string) {
	p.t.Helper()
	dir := filepath.Join(p.dir, name)
	err := os.Mkdir(dir, 0o755)
	if err == nil && state != "" {
		err = os.WriteFile(filepath.Join(dir, "state.json"), []byte(state), 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "SOUL.md"), nil, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *profiles) remove(name string) {
	p.t.Helper()
	if err := os.RemoveAll(filepath.Join(p.dir, name)); err != nil {
		p.t.Fatal(err)
	}
}

// template finds its instances there.
func (p *profiles) template(change ...func(*unit.Template)) unit.Template {
	return template(func(t *unit.Template) {
		t.Max = 1100
		t.Discover = &unit.Discovery{Directory: p.dir, Marker: "SOUL.md", KeepIntent: time.Hour}
		for _, c := range change {
			c(t)
		}
	})
}

func (p *profiles) intentFrom(t *unit.Template) {
	t.IntentFrom = &unit.IntentSource{File: p.dir + "/%i/state.json", Paths: []string{"desired_state", "gateway_state"}, Up: []string{"running", "draining", "degraded"}}
}

// untilGone waits until there is no such unit.
func (w *world) untilGone(name unit.Name) {
	w.t.Helper()
	eventually(w.t, string(name)+" is gone", func() bool {
		list, err := w.List(w.t.Context())
		return err == nil && !slices.ContainsFunc(list, func(s engine.Status) bool { return s.Name == name })
	})
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	eventuallyIn(t, time.Minute, what, is)
}

func eventuallyIn(t *testing.T, most time.Duration, what string, is func() bool) {
	t.Helper()
	for late := time.Now().Add(most); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("waited too long until %s", what)
		}
	}
}

// kept reads a unit's record.
func kept(t *testing.T, directory string, name unit.Name) (r struct {
	Desired    string
	Discovered bool
	Gone       time.Time
	Actor      unit.Actor
}, ok bool) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(directory, "intents", string(name)+".json"))
	if err != nil {
		return r, false
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r, true
}

// TestDirectoryDeclares: a directory with the marker is an instance; without it the instance is stopped and gone; and
// when it comes back, it is wanted as before (U31, U36).
func TestDirectoryDeclares(t *testing.T) {
	alone(t, func(t *testing.T) {
		p := newProfiles(t)
		s, directory := newStore(t)
		w := newWorld(t, Options{Store: s, Templates: []unit.Template{p.template()}})
		ctx := onPeersBehalf(10000)

		p.make("coder", "")
		found := w.untilState("gateway@coder", unit.Down)
		if want := "declared by " + p.dir + "/coder (SOUL.md)"; found.Origin != want || found.Reason != unit.NeverStarted || found.Intent.Actor != unit.ByDiscovery {
			t.Errorf("%+v\nwant %s", found, want)
		}
		if _, ok := kept(t, directory, "gateway@coder"); ok {
			t.Error("nobody has asked for anything, and that is kept")
		}
		w.must(w.Start(ctx, "gateway@coder"))
		pid := w.untilState("gateway@coder", unit.Up).PID
		if r, _ := kept(t, directory, "gateway@coder"); r.Desired != "up" || !r.Discovered || !r.Gone.IsZero() {
			t.Errorf("%+v", r)
		}

		p.remove("coder")
		stopping := w.until("gateway@coder", "gone", func(s engine.Status) bool { return s.Gone })
		if stopping.Reason != unit.Vanished || !strings.Contains(stopping.Because, "the directory that declared it is gone") || lives(pid) {
			t.Errorf("%+v", stopping)
		}
		w.untilGone("gateway@coder")
		eventually(t, "its directory is gone", func() bool {
			r, _ := kept(t, directory, "gateway@coder")
			return r.Desired == "up" && r.Discovered && !r.Gone.IsZero()
		})

		p.make("coder", "")
		back := w.untilState("gateway@coder", unit.Up)
		if back.Intent.Generation != 1 || back.Intent.Actor.UID != 10000 || back.Reason != unit.Declared {
			t.Errorf("%+v", back)
		}
		eventually(t, "its directory is not gone any more", func() bool {
			r, _ := kept(t, directory, "gateway@coder")
			return r.Desired == "up" && r.Gone.IsZero()
		})
	})
}

// TestAddressableAtOnce: who makes a directory and asks for the instance in the next moment is not told that there is none (B73).
func TestAddressableAtOnce(t *testing.T) {
	alone(t, func(t *testing.T) {
		p := newProfiles(t)
		w := newWorld(t, Options{Templates: []unit.Template{p.template(p.intentFrom)}})
		for i := range 20 {
			name := fmt.Sprintf("p%d", i)
			p.make(name, "")
			w.must(w.Start(context.Background(), unit.Name("gateway@"+name)))
		}
		p.make("asked", `{"desired_state":"running"}`)
		if s := w.must(w.Get(context.Background(), "gateway@asked")); s.Desired != "up" || s.Intent.Actor != unit.ByDiscovery {
			t.Errorf("%+v", s)
		}
		_, err := w.Start(context.Background(), "gateway@nosuch")
		refusal(t, err, engine.NotFound, "cannot start gateway@nosuch: there is no such instance; pintle create gateway@nosuch makes it")
	})
}

// TestLookedUpAndGone: an instance that was asked for by name and whose directory goes before anybody else saw it is dropped all the same.
func TestLookedUpAndGone(t *testing.T) {
	alone(t, func(t *testing.T) {
		p := newProfiles(t)
		w := newWorld(t, Options{Templates: []unit.Template{p.template()}})
		p.make("brief", "")
		w.must(w.Start(context.Background(), "gateway@brief"))
		p.remove("brief")
		w.untilGone("gateway@brief")
	})
}

// TestHeldByEither: an instance that somebody created and a directory declares is there until neither does.
func TestHeldByEither(t *testing.T) {
	alone(t, func(t *testing.T) {
		p := newProfiles(t)
		s, directory := newStore(t)
		w := newWorld(t, Options{Store: s, Templates: []unit.Template{p.template()}})
		ctx := onPeersBehalf(10000)
		create := func(name unit.Name, down, new bool) {
			t.Helper()
			if _, created, err := w.Create(ctx, engine.CreateRequest{Name: name, Down: down}); err != nil || created != new {
				t.Fatal(created, err)
			}
		}
		p.make("first", "")
		w.untilState("gateway@first", unit.Down)
		create("gateway@first", true, false)
		if r, ok := kept(t, directory, "gateway@first"); !ok || r.Discovered {
			t.Errorf("%+v", r)
		}
		create("gateway@second", false, true)
		w.untilState("gateway@second", unit.Up)
		p.make("second", "")
		w.until("gateway@second", "declared", func(s engine.Status) bool { return s.Origin != "" })

		p.remove("first")
		p.remove("second")
		for _, name := range []unit.Name{"gateway@first", "gateway@second"} {
			w.until(name, "not declared", func(s engine.Status) bool { return s.Origin == "" && !s.Gone })
		}
		w.untilState("gateway@second", unit.Up)
		w.must(w.Remove(ctx, "gateway@second"))
		w.untilGone("gateway@second")
	})
}

// TestRemoveWhatIsDeclared: it is stopped and known anew, as down, because its directory is there still.
func TestRemoveWhatIsDeclared(t *testing.T) {
	alone(t, func(t *testing.T) {
		p := newProfiles(t)
		s, directory := newStore(t)
		w := newWorld(t, Options{Store: s, Templates: []unit.Template{p.template(func(t *unit.Template) { t.Initial = unit.InitialUp })}})
		ctx := onPeersBehalf(10000)
		p.make("coder", "")
		pid := w.untilState("gateway@coder", unit.Up).PID
		if s := w.must(w.Remove(ctx, "gateway@coder")); s.Origin == "" {
			t.Errorf("the answer does not say what declares it: %+v", s)
		}
		again := w.until("gateway@coder", "known anew", func(s engine.Status) bool { return s.State == unit.Down && s.Run == 0 && !s.Gone })
		if again.Desired != "down" || again.Intent.Actor.UID != 10000 || lives(pid) || again.Because != "asked to be down by uid 10000 (pintle, pid 33)" {
			t.Errorf("%+v", again)
		}
		if r, ok := kept(t, directory, "gateway@coder"); !ok || r.Desired != "down" || !r.Discovered {
			t.Errorf("%+v", r)
		}
		p.remove("coder")
		w.untilGone("gateway@coder")
	})
}

// TestIntentFromFile: the file decides once, of an instance of which nobody has asked anything; whatever is wrong with
// one, the others come up right (U28, U29, U30, U32, U42).
func TestIntentFromFile(t *testing.T) {
	alone(t, func(t *testing.T) {
		p := newProfiles(t)
		states := map[string]string{
			"running":  `{"desired_state":"running","gateway_state":"stopped"}`,
			"draining": `{"gateway_state":"draining"}`,
			"stopped":  `{"desired_state":"stopped","gateway_state":"running"}`,
			"array":    `["running"]`,
			"broken":   `{"desired_state":"runn`,
			"big":      `{"desired_state":"running","x":"` + strings.Repeat("x", maxIntentFile) + `"}`,
			"utf8":     "{\"desired_state\":\"running\",\"x\":\"\xff\"}",
			"bom":      "\ufeff" + `{"desired_state":"running"}`,
			"none":     "",
			"asked":    `{"desired_state":"running"}`,
		}
		for name, state := range states {
			p.make(name, state)
		}
		p.make("link", "")
		p.make("fifo", "")
		secret := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(secret, []byte(`{"desired_state":"running"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(secret, p.dir+"/link/state.json"); err != nil {
			t.Fatal(err)
		}
		if err := os.Lchown(p.dir, 10000, 10000); err != nil {
			t.Skip("skipped: only root can make files of other users")
		}
		s, directory := newStore(t)
		own := filepath.Join(p.dir, "own.json")
		if err := os.WriteFile(own, []byte(`{"gateway_state":"degraded"}`), 0o644); err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, Options{
			Store: s,
			Templates: []unit.Template{p.template(p.intentFrom, func(t *unit.Template) {
				t.Always = []string{"default", "other"}
				t.Overrides = map[string]unit.Override{"default": {IntentFile: own}}
				t.BootReport = filepath.Join(p.dir, "boot.log")
			})},
			Records: []store.Record{{Unit: "gateway@asked", Intent: unit.Intent{Generation: 3, Actor: unit.Actor{Kind: "peer"}}, Discovered: true}},
			PriorExit: func(name unit.Name) string {
				return map[bool]string{true: "clean", false: "unclean"}[name == "gateway@stopped"]
			},
		})
		want := map[string]string{
			"running": "running started", "draining": "draining started", "stopped": "stopped registered", "array": "None registered",
			"broken": "None registered", "big": "None registered", "utf8": "None registered", "bom": "running started",
			"none": "None registered", "asked": "down registered", "link": "None registered", "fifo": "None registered",
			"default": "degraded started", "other": "None registered",
		}
		for name, text := range want {
			unitName := unit.Name("gateway@" + name)
			if strings.HasSuffix(text, "started") {
				w.untilState(unitName, unit.Up)
			} else if s := w.untilState(unitName, unit.Down); s.Desired != "down" {
				t.Errorf("%+v", s)
			}
		}
		for name, exists := range map[unit.Name]bool{"gateway@running": true, "gateway@stopped": true, "gateway@default": true, "gateway@none": false, "gateway@broken": false} {
			eventually(t, fmt.Sprintf("%s is kept: %v", name, exists), func() bool {
				r, ok := kept(t, directory, name)
				return ok == exists && (!ok || r.Actor == unit.ByDiscovery)
			})
		}
		// The boot report has a line for each, and no more.
		var text []byte
		eventually(t, "there is a boot report", func() bool {
			text, _ = os.ReadFile(p.dir + "/boot.log")
			return len(text) > 0
		})
		line := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} profile=(\S+) prior_state=(\S+) action=(\S+) prior_exit=(clean|unclean)$`)
		got := map[string]string{}
		for l := range strings.Lines(string(text)) {
			m := line.FindStringSubmatch(strings.TrimSuffix(l, "\n"))
			if m == nil || (m[4] == "clean") != (m[1] == "stopped") {
				t.Fatalf("%q", l)
			}
			got[m[1]] = m[2] + " " + m[3]
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the boot report says\n%v\nwant\n%v", got, want)
		}
		// What the file says later changes nothing.
		if err := os.WriteFile(p.dir+"/running/state.json", []byte(states["stopped"]), 0o644); err != nil {
			t.Fatal(err)
		}
		p.make("witness", "")
		w.untilState("gateway@witness", unit.Down)
		w.untilState("gateway@running", unit.Up)
	})
}

// TestNextLife: what was wanted of a discovered instance holds in the container's next life; one whose directory went
// meanwhile is not brought back, and its intent is kept as long as the template says and no longer.
func TestNextLife(t *testing.T) {
	alone(t, func(t *testing.T) {
		p := newProfiles(t)
		p.make("stays", "")
		s, directory := newStore(t)
		peer := unit.Actor{Kind: "peer", UID: 10000}
		up := unit.Intent{Up: true, Generation: 4, Time: time.Now(), Actor: peer}
		records := []store.Record{
			{Unit: "gateway@byhand", Intent: up},
			{Unit: "gateway@stays", Intent: up, Discovered: true},
			{Unit: "gateway@went", Intent: up, Discovered: true},
			{Unit: "gateway@old", Intent: up, Discovered: true, Gone: time.Now().Add(-2 * time.Hour)},
			{Unit: "gateway@young", Intent: up, Discovered: true, Gone: time.Now().Add(-time.Minute)},
		}
		for _, r := range records {
			done := make(chan error, 1)
			s.Put(r, func(err error) { done <- err })
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		w := newWorld(t, Options{Store: s, Records: records, Templates: []unit.Template{p.template()}})
		if s := w.untilState("gateway@stays", unit.Up); s.Reason != unit.AtBoot || s.Intent.Generation != 4 {
			t.Errorf("%+v", s)
		}
		w.untilState("gateway@byhand", unit.Up)
		eventually(t, "an intent is kept for an hour and no longer", func() bool {
			_, old := kept(t, directory, "gateway@old")
			went, _ := kept(t, directory, "gateway@went")
			return !old && !went.Gone.IsZero() && went.Desired == "up"
		})
		list, err := w.List(t.Context())
		if err != nil || len(list) != 2 {
			t.Errorf("%v, %v", list, err)
		}
		p.make("young", "")
		w.untilState("gateway@young", unit.Up)
	})
}

// TestMountHiccup: that the whole directory is away stops nobody and is said; one bad entry is said and disturbs nobody.
func TestMountHiccup(t *testing.T) {
	alone(t, func(t *testing.T) {
		p := newProfiles(t)
		w := newWorld(t, Options{Templates: []unit.Template{p.template(func(t *unit.Template) { t.Initial = unit.InitialUp; t.Max = 2 })}})
		p.make("coder", "")
		pid := w.untilState("gateway@coder", unit.Up).PID
		condition := func(text string) {
			t.Helper()
			eventually(t, "the condition "+text, func() bool {
				info, err := w.Info(t.Context())
				all := fmt.Sprint(info.Conditions)
				return err == nil && (text == "" && len(info.Conditions) == 0 || text != "" && strings.Contains(all, text))
			})
		}
		if err := os.Rename(p.dir, p.dir+".away"); err != nil {
			t.Fatal(err)
		}
		condition("instances of gateway are not looked for: cannot open " + p.dir + ": no such file or directory; the 1 instances that are known stay")
		if s := get(t, w.Supervisor, "gateway@coder"); s.PID != pid || s.State != unit.Up {
			t.Errorf("%+v", s)
		}
		if err := os.Rename(p.dir+".away", p.dir); err != nil {
			t.Fatal(err)
		}
		condition("")
		p.make("BAD", "")
		condition(`an entry of ` + p.dir + ` is no instance: "BAD" (cannot use instance name "BAD"`)
		p.make("writer", "")
		w.untilState("gateway@writer", unit.Up)
		p.make("xth", "")
		condition(`"xth" (there are 2 already, which is the most)`)
		p.remove("coder")
		w.untilState("gateway@xth", unit.Up)
	})
}

// TestCreatedCountToo: instances that somebody made leave no room for declared ones; when they go, there is.
func TestCreatedCountToo(t *testing.T) {
	alone(t, func(t *testing.T) {
		p := newProfiles(t)
		w := newWorld(t, Options{Templates: []unit.Template{p.template(func(t *unit.Template) { t.Max = 1 })}})
		if _, _, err := w.Create(t.Context(), engine.CreateRequest{Name: "gateway@byhand"}); err != nil {
			t.Fatal(err)
		}
		p.make("declared", "")
		const why = "gateway@declared is declared and can't be made: template gateway has 1 instances already, which is its max"
		eventually(t, "that is said", func() bool {
			info, err := w.Info(t.Context())
			return err == nil && slices.Contains(info.Conditions, engine.Condition{Code: engine.DiscoveryRefused, Text: why})
		})
		w.must(w.Remove(t.Context(), "gateway@byhand"))
		w.untilState("gateway@declared", unit.Down)
	})
}

// TestReloadOfDiscover: other rules are looked by at once, and no rule means no declared instances.
func TestReloadOfDiscover(t *testing.T) {
	alone(t, func(t *testing.T) {
		p, q := newProfiles(t), newProfiles(t)
		next := p.template()
		o := Options{Templates: []unit.Template{p.template()}}
		o.Load = func() (Declarations, error) {
			return Declarations{Templates: []unit.Template{next}, Differ: func(a, b *unit.Spec) []string { return nil }}, nil
		}
		w := newWorld(t, o)
		p.make("a", "")
		p.make("both", "")
		q.make("b", "")
		q.make("both", "")
		w.untilState("gateway@a", unit.Down)
		w.must(w.Start(t.Context(), "gateway@both"))
		pid := w.untilState("gateway@both", unit.Up).PID

		reload := func() {
			t.Helper()
			changes, err := w.Reload(t.Context(), engine.ReloadRequest{})
			if err != nil || len(changes) != 1 || !slices.Equal(changes[0].Keys, []string{"instances.discover"}) {
				t.Fatalf("%+v, %v", changes, err)
			}
		}
		next = q.template()
		reload()
		w.untilState("gateway@b", unit.Down)
		w.untilGone("gateway@a")
		if s := w.until("gateway@both", "declared by the other", func(s engine.Status) bool { return strings.Contains(s.Origin, q.dir) }); s.PID != pid {
			t.Errorf("%+v", s)
		}
		next.Discover = nil
		reload()
		w.untilGone("gateway@b")
		w.untilGone("gateway@both")
		next = p.template()
		reload()
		w.untilState("gateway@both", unit.Up) // as it was wanted
	})
}

// TestDeclaredTakeTurns: what is found at once is not started at once: each takes its turn like any other unit, but for
// the one that a person asks for.
func TestDeclaredTakeTurns(t *testing.T) {
	alone(t, func(t *testing.T) {
		p := newProfiles(t)
		const n, most = 5, 2
		for i := range n {
			p.make(fmt.Sprintf("p%d", i), "")
		}
		w := newWorld(t, Options{RunDirectory: t.TempDir(), Governor: unit.Governor{Starts: most}, Templates: []unit.Template{p.template(func(t *unit.Template) {
			t.Initial = unit.InitialUp
			t.Spec.Readiness = &unit.Readiness{FD: 3} // which it never is
		})}})
		waiting := w.untilAll(n-most, func(s engine.Status) bool { return s.State == unit.Waiting && s.Reason == unit.AwaitsTurn })
		w.untilAll(most, func(s engine.Status) bool { return s.State == unit.Starting && s.Run == 1 })
		for name := range waiting {
			s := w.must(w.Start(onPeersBehalf(10000), name))
			if s.State != unit.Starting || s.Intent.Actor.UID != 10000 {
				t.Errorf("a person started it, and it is %s because %s", s.State, s.Because)
			}
			break
		}
	})
}

// TestThousandDiscovered: a thousand directories are a thousand instances, no turn of the loop takes long, and one more is there at once.
func TestThousandDiscovered(t *testing.T) {
	alone(t, func(t *testing.T) {
		p := newProfiles(t)
		for i := range 1000 {
			p.make(fmt.Sprintf("p%d", i), `{"desired_state":"stopped"}`)
		}
		began := time.Now()
		w := newWorld(t, Options{Templates: []unit.Template{p.template(p.intentFrom)}})
		count, worst := 0, time.Duration(0)
		for late := time.Now().Add(30 * time.Second); count < 1000 && time.Now().Before(late); time.Sleep(time.Millisecond) {
			asked := time.Now()
			w.inLoop(func(s *Supervisor) { count = len(s.units) })
			worst = max(worst, time.Since(asked))
		}
		if count != 1000 {
			t.Fatalf("there are %d", count)
		}
		t.Logf("1000 were found and asked for in %v; the longest wait for the loop was %v", time.Since(began), worst)
		p.make("late", `{"desired_state":"running"}`)
		began = time.Now()
		w.untilState("gateway@late", unit.Up)
		t.Logf("one more was up after %v", time.Since(began))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("one more took %v", took)
		}
	})
}

// TestBootReportIsBounded: it is set aside when it is large, and never written through what somebody else put there.
func TestBootReportIsBounded(t *testing.T) {
	t.Parallel()
	dir := newProfiles(t).dir
	file := filepath.Join(dir, "boot.log")
	for range 2 {
		if err := appendAs(account.Database{}, "", file, strings.Repeat("x", maxBootReport)+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := appendAs(account.Database{}, "", file, "new\n"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "new\n" {
		t.Errorf("%.20q, %v", text, err)
	}
	files, _ := filepath.Glob(dir + "/*")
	if len(files) != 2 {
		t.Errorf("%q", files)
	}
	other := filepath.Join(t.TempDir(), "other")
	for what, make := range map[string]func(path string) error{
		"symlink":   func(path string) error { return os.Symlink(other, path) },
		"hard link": func(path string) error { return os.Link(file, path) },
		"directory": func(path string) error { return os.Mkdir(path, 0o755) },
	} {
		path := filepath.Join(dir, what)
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if err := appendAs(account.Database{}, "", path, "evil\n"); err == nil {
			t.Errorf("a report was written through a %s", what)
		}
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("a symlink was followed")
	}
	if err := appendAs(account.Database{}, "", dir+"/no/such/file", "x"); err == nil || !strings.HasPrefix(err.Error(), "cannot write the boot report ") {
		t.Error(err)
	}
}

// TestAsItsUser: where only the template's user may look, his rights are what is looked with, and what is read and written with.
func TestAsItsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: only root can act as another user")
	}
	alone(t, func(t *testing.T) {
		p := newProfiles(t)
		p.make("coder", `{"desired_state":"running"}`)
		secret := filepath.Join(t.TempDir(), "secret.json")
		if err := os.WriteFile(secret, []byte(`{"desired_state":"running"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		p.make("thief", "")
		if err := os.Link(secret, p.dir+"/thief/state.json"); err != nil { // no symlink, and not his to read
			t.Skip("skipped: /tmp is more than one file system: ", err)
		}
		for _, path := range []string{"", "/coder", "/coder/state.json", "/coder/SOUL.md", "/thief", "/thief/SOUL.md"} {
			if err := os.Chown(p.dir+path, 10000, 10000); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(p.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		report := p.dir + "/logs/boot.log"
		w := newWorld(t, Options{Templates: []unit.Template{p.template(p.intentFrom, func(t *unit.Template) {
			t.Spec.User, t.BootReport = "10000:10000", report
		})}})
		w.untilState("gateway@coder", unit.Up)
		w.untilState("gateway@thief", unit.Down)
		eventually(t, "there is a boot report", func() bool {
			text, _ := os.ReadFile(report)
			return strings.Count(string(text), "\n") == 2
		})
		for _, path := range []string{report, filepath.Dir(report)} {
			info, err := os.Stat(path)
			if err != nil || info.Sys().(*syscall.Stat_t).Uid != 10000 {
				t.Errorf("%s: %v, %v", path, info, err)
			}
		}
		p.make("late", "")
		w.untilState("gateway@late", unit.Down)
	})
}
