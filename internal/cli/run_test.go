package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// brokenPipe is a reader that went away.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// TestExitCodes keeps the promise that each kind of error has its exit code and its one line, at every command.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	kinds := map[engine.ErrorKind]int{
		engine.Invalid: 2, engine.NotFound: 4, engine.Denied: 77, engine.Conflict: 1, engine.Unavailable: 69, engine.Internal: 1,
	}
	commands := map[string]string{ // the command, and the method that fails
		"start gateway@b":            "start",
		"stop gateway@b":             "stop",
		"restart gateway@b":          "restart",
		"remove gateway@b":           "remove",
		"signal 1 gateway@b":         "signal",
		"create gateway@b":           "create",
		"logs gateway@b":             "logs",
		"logs gateway@*":             "logs",
		"logs -f gateway@b":          "logs",
		"logs -f gateway@*":          "logs",
		"logs -n0 -f gateway@b":      "logs",
		"logs --since 1h gateway@b":  "Connect",
		"logs -l tier=chat":          "List",
		"why gateway@b":              "Get",
		"runs gateway@b":             "Runs",
		"wait nosuch":                "Get",
		"status":                     "List",
		"status gateway@b":           "Connect",
		"status --watch":             "Watch",
		"status --tree":              "List",
		"graph":                      "List",
		"graph -o mermaid":           "Connect",
		"healthcheck":                "Info",
		"dashboard":                  "Connect",
		"healthcheck --level alive":  "Connect",
		"create gateway@x":           "Connect",
		"signal 1 gateway@c":         "Connect",
		"forward --to loki+http://x": "Connect",
	}
	for kind, code := range kinds {
		for command, method := range commands {
			f := some()
			f.refuse[method] = engine.Errorf(kind, "cannot do it: because\x1b[2J of %s", kind)
			got := pintle(t, f, strings.Fields(command)...)
			if want := (result{code, "", fmt.Sprintf("pintle: cannot do it: because of %s\n", kind)}); command != "status --watch" && got != want {
				t.Errorf("pintle %s: got %+v, want %+v", command, got, want)
			} else if got.code != code {
				t.Errorf("pintle %s: got %+v, want %d", command, got, code)
			}
		}
	}
	f := some()
	f.refuse["Connect"] = errors.New("cannot reach the supervisor: who knows")
	if got := pintle(t, f, "status"); got.code != exitFailed {
		t.Errorf("an error of no kind: got %+v", got)
	}
}

// TestUsage keeps the promise that what cannot be understood exits 2, does nothing, and names what was perhaps meant.
func TestUsage(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"stauts":              `there is no command "stauts"; did you mean status or start?; see 'pintle --help'`,
		"config chekc":        `there is no command "chekc"; did you mean check?; see 'pintle config --help'`,
		"help stauts":         `there is no command "stauts"; did you mean status or start?; see 'pintle help --help'`,
		"start":               `it needs a NAME; see 'pintle start --help'`,
		"signal TERM":         `it needs a signal and a NAME; see 'pintle signal --help'`,
		"why a b":             `it needs one NAME; see 'pintle why --help'`,
		"create":              `it needs one NAME, such as gateway@coder; see 'pintle create --help'`,
		"start --nosuch x":    `unknown flag: --nosuch; see 'pintle start --help'`,
		"wait x --for ever":   `invalid argument "ever" for "--for" flag: it is one of up, ready, down, done, gone; see 'pintle wait --help'`,
		"completion csh":      `invalid argument "csh" for "pintle completion"; see 'pintle completion --help'`,
		"start x --timeout 5": "invalid argument \"5\" for \"--timeout\" flag: time: missing unit in duration \"5\"; see 'pintle start --help'",
	} {
		got := pintle(t, some(), strings.Fields(args)...)
		if want := (result{2, "", "pintle: cannot understand the command line: " + want + "\n"}); got != want {
			t.Errorf("pintle %s:\n got %+v\nwant %+v", args, got, want)
		}
	}
	for _, args := range []string{"start ../x", "create gateway@*", "create A@../x", "signal NOSUCH main", "why a/b"} {
		got := pintle(t, some(), strings.Fields(args)...)
		if got.code != exitUsage || !strings.HasPrefix(got.stderr, "pintle: cannot use ") || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("pintle %s: got %+v", args, got)
		}
	}
	for _, args := range []string{"", "config"} {
		if got := pintle(t, some(), strings.Fields(args)...); got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, "Usage:") {
			t.Errorf("pintle %s: got %+v", args, got)
		}
	}
}

// TestHelp: every command is listed and documented, init with them.
func TestHelp(t *testing.T) {
	t.Parallel()
	got := pintle(t, some(), "help")
	if got.code != 0 || got.stderr != "" {
		t.Fatalf("got %+v", got)
	}
	for _, name := range strings.Fields("init status why graph start stop restart signal create remove logs wait healthcheck config diff reload dashboard forward version completion help") {
		if !strings.Contains(got.stdout, "\n  "+name+" ") {
			t.Errorf("%s is not listed in\n%s", name, got.stdout)
		}
		if name == "init" { // has its own help
			continue
		}
		if help, flag := pintle(t, some(), "help", name), pintle(t, some(), name, "--help"); help != flag || help.code != 0 {
			t.Errorf("help %s: %+v, with --help %+v", name, help, flag)
		}
	}
}

// TestInit: the entrypoint gets its words as they are, flags too, and its exit code comes out.
func TestInit(t *testing.T) {
	t.Parallel()
	var words []string
	got := pintleWith(t, some(), func(ctx context.Context, o *Options) context.Context {
		o.Init = func(args []string) int { words = args; return 143 }
		return ctx
	}, "init", "--config", "x", "--", "-h", "")
	if want := (result{143, "", ""}); got != want || strings.Join(words, "|") != "--config|x|--|-h|" {
		t.Errorf("got %+v for %q", got, words)
	}
}

// TestWait keeps the promises of wait's help.
func TestWait(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args   string
		script func(f *fake)
		want   result
	}{
		{"wait gateway@b", nil, result{0, "gateway@b is up\n", ""}},
		{"wait gateway@c", nil, result{3, "", "pintle: cannot wait for gateway@c to be up: it is failed (exit_codes says so)\n"}},
		{"wait dashboard --for up", nil, result{3, "", "pintle: cannot wait for dashboard to be up: it is disabled (WEB is not set)\n"}},
		{"wait gateway@a --timeout 4s", nil, result{1, "",
			"pintle: cannot wait for gateway@a to be up any longer: after 4.0 s it is backoff (it exited with code 1)\n"}},
		{"wait gateway@a --for up", func(f *fake) {
			time.Sleep(2 * time.Second)
			f.set("gateway@a", f.begin)
		}, result{0, "gateway@a is up\n", ""}},
		{"wait gateway@a --for up", func(f *fake) {
			time.Sleep(2 * time.Second)
			f.set("gateway@a", func(s *engine.Status) {
				s.State, s.Reason, s.Because = unit.Down, unit.ContainerStopping, "the container is stopping"
			})
		}, result{3, "", "pintle: cannot wait for gateway@a to be up: it is down (the container is stopping)\n"}},
		{"wait gateway@b --for ready", nil, result{0, "gateway@b is up\n", ""}},
		{"wait migrate --for up", nil, result{0, "migrate is done\n", ""}},
		{"wait migrate --for ready", nil, result{0, "migrate is done\n", ""}},
		{"wait migrate --for done", nil, result{0, "migrate is done\n", ""}},
		{"wait migrate --for down", nil, result{0, "migrate is done\n", ""}},
		{"wait held --timeout 4s", nil, result{1, "",
			"pintle: held is waiting (waiting for db to be ready)\n" +
				"pintle: cannot wait for held to be up any longer: after 4.0 s it is waiting (waiting for db to be ready)\n"}},
		{"wait held --for down", func(f *fake) { _, _ = f.Stop(context.Background(), "held") }, result{0, "held is down\n", ""}},
		{"wait gateway@c --for ready", func(*fake) {}, result{3, "", "pintle: cannot wait for gateway@c to be ready: it is failed (exit_codes says so)\n"}},
		{"wait gateway@a --for done", func(f *fake) {
			f.set("gateway@a", func(s *engine.Status) { s.State = unit.Done })
		}, result{0, "gateway@a is done\n", ""}},
		{"wait gateway@c --for done", nil, result{3, "", "pintle: cannot wait for gateway@c to be done: it is failed (exit_codes says so)\n"}},
		{"wait gateway@c --for down", nil, result{0, "gateway@c is failed\n", ""}},
		{"wait gateway@b --for down", func(f *fake) { _, _ = f.Stop(context.Background(), "gateway@b") }, result{0, "gateway@b is down\n", ""}},
		{"wait gateway@b --for down", func(f *fake) { _, _ = f.Remove(context.Background(), "gateway@b") }, result{0, "", ""}},
		{"wait gateway@b --for gone", func(f *fake) {
			time.Sleep(time.Second)
			_, _ = f.Remove(context.Background(), "gateway@b")
		}, result{0, "gateway@b is gone\n", ""}},
		{"wait nosuch --for gone", nil, result{0, "nosuch is gone\n", ""}},
		{"wait nosuch* --for gone", nil, result{0, "", ""}},
		{"wait nosuch", nil, result{4, "", "pintle: cannot show nosuch: there is no such unit\n"}},
		{"wait nosuch*", nil, result{4, "", "pintle: cannot wait for \"nosuch*\": no unit matches\n"}},
		{"wait gateway@a --for up", func(f *fake) { time.Sleep(time.Second); close(f.gone) },
			result{69, "", "pintle: cannot watch any longer: the supervisor has ended\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := some()
				migrate, held := at("migrate", unit.Done, 1), at("held", unit.Waiting, 0)
				migrate.Kind, held.Because = unit.Oneshot, "waiting for db to be ready"
				f.units["migrate"], f.units["held"] = &migrate, &held
				if tt.script != nil {
					f.script(func() { time.Sleep(time.Second); tt.script(f) })
				}
				got := pintle(t, f, strings.Fields(tt.args)...)
				f.scripts.Wait()
				if tt.want == (result{}) { // down and gone are both right
					got.stdout = ""
				}
				if got != tt.want {
					t.Errorf("got %+v\nwant %+v", got, tt.want)
				}
			})
		})
	}
}

// TestWaitForTheRemoved keeps the promise that a unit which goes between being
// chosen and being waited for is neither waited for without end nor called unknown.
func TestWaitForTheRemoved(t *testing.T) {
	t.Parallel()
	for what, want := range map[string]result{
		"up":   {3, "", "pintle: cannot wait for gateway@b to be up: it was removed\n"},
		"down": {0, "gateway@b is gone\n", ""},
		"done": {3, "", "pintle: cannot wait for gateway@b to be done: it was removed\n"},
		"gone": {0, "gateway@b is gone\n", ""},
	} {
		f := some()
		f.refuse["Get"] = engine.Errorf(engine.NotFound, "cannot show gateway@b: there is no such unit")
		if got := pintle(t, f, "wait", "gateway@b", "--for", what); got != want {
			t.Errorf("--for %s: got %+v, want %+v", what, got, want)
		}
	}
}

// TestHealthcheck keeps the promise that one line names the culprits.
func TestHealthcheck(t *testing.T) {
	t.Parallel()
	ill := some()
	well := newFake(at("main", unit.Up, 1), at("off", unit.Disabled, 0), at("idle", unit.Down, 0), at("job", unit.Done, 1))
	stopping := newFake(at("main", unit.Up, 1))
	stopping.info.Stopping = true
	held, oneshot := at("web", unit.Waiting, 0), at("migrate", unit.Failed, 1)
	held.Reason, oneshot.Kind, oneshot.Reason, oneshot.Intent.Up = unit.AwaitsDependency, unit.Oneshot, unit.RestartRule, false
	held.DependsOn = []engine.Dependency{{On: "db", Condition: unit.OnReady}}
	for _, tt := range []struct {
		f    *fake
		args string
		want result
	}{
		{ill, "healthcheck", result{3, "not healthy: gateway@a is backoff (it exited with code 1); gateway@c is failed (exit_codes says so)\n", ""}},
		{ill, "healthcheck --level alive", result{0, "healthy: the supervisor answers (pid 1)\n", ""}},
		{well, "healthcheck --level ready", result{0, "healthy: 1 unit up, 1 done\n", ""}},
		{newFake(held), "healthcheck", result{3, "not healthy: web is waiting (it waits for a unit that it depends on)\n", ""}},
		{newFake(at("web", unit.Starting, 1)), "healthcheck", result{3, "not healthy: web is starting (nobody has asked for it)\n", ""}},
		{newFake(oneshot), "healthcheck", result{3, "not healthy: migrate is failed (its restart policy says so)\n", ""}},
		{stopping, "healthcheck", result{3, "not healthy: the container is stopping\n", ""}},
	} {
		if got := pintle(t, tt.f, strings.Fields(tt.args)...); got != tt.want {
			t.Errorf("pintle %s: got %+v, want %+v", tt.args, got, tt.want)
		}
	}
}

// TestWhy keeps the promise that who may see names and states only is told that, and gets the state.
func TestWhy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(engine.Status{Name: "web", State: unit.Up, Restricted: true, Since: time.Now()}, at(coder, unit.Failed, 1))
		got := pintle(t, f, "why", "web")
		if want := (result{77, "web has been up for 0 s.\n", "pintle: cannot explain web: you may see its name and state only\n"}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if got := pintle(t, f, "why", string(coder)); got.code != 0 || !strings.HasPrefix(got.stdout, "gateway@coder has failed, and") {
			t.Errorf("got %+v", got)
		}
		if got := pintle(t, f, "why", "-o", "json", string(coder)); got.code != 0 || !strings.HasPrefix(got.stdout, "{\n  \"name\": \"gateway@coder\",\n") {
			t.Errorf("got %+v", got)
		}
		if got := pintle(t, f, "why", "nosuch"); got.code != 4 {
			t.Errorf("got %+v", got)
		}
	})
}

// TestConfig: mistakes are lines on stderr and exit 1; without one, a summary is on stdout, and exit 0.
func TestConfig(t *testing.T) {
	t.Parallel()
	with := func(change func(c *ConfigCommands)) func(context.Context, *Options) context.Context {
		return func(ctx context.Context, o *Options) context.Context {
			change(&o.Config)
			return ctx
		}
	}
	var asked []string
	got := pintleWith(t, nil, with(func(c *ConfigCommands) {
		c.Check = func(files []string) (string, error) {
			asked = files
			return "2 services, 1 template", nil
		}
	}), "config", "check", "--config", "a.yaml", "--config", "b.yaml")
	if want := (result{0, "pintle: configuration is valid: 2 services, 1 template\n", ""}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if strings.Join(asked, " ") != "a.yaml b.yaml" {
		t.Errorf("asked for %q", asked)
	}
	got = pintleWith(t, nil, with(func(c *ConfigCommands) {
		c.Check = func([]string) (string, error) {
			return "", errors.Join(errors.New("a.yaml:1:1: one"), errors.New("a.yaml:2:1: two"))
		}
	}), "config", "check")
	if want := (result{1, "", "pintle: a.yaml:1:1: one\npintle: a.yaml:2:1: two\n"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got = pintleWith(t, nil, with(func(c *ConfigCommands) {
		c.Show = func(_ []string, w io.Writer) error { _, err := io.WriteString(w, "main: {}\n"); return err }
	}), "config", "show")
	if want := (result{0, "main: {}\n", ""}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestVersion: neither form needs a supervisor.
func TestVersion(t *testing.T) {
	t.Parallel()
	if got := pintle(t, nil, "version"); got.code != 0 || !strings.HasPrefix(got.stdout, "pintle 1.2.3 (go") {
		t.Errorf("got %+v", got)
	}
	if got := pintle(t, nil, "version", "-o", "json"); got.code != 0 || !strings.Contains(got.stdout, `"version": "1.2.3"`) {
		t.Errorf("got %+v", got)
	}
}

// TestCompletion keeps the promises that names complete live, and that nothing is said where nobody answers.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if got := pintle(t, nil, "completion", shell); got.code != 0 || !strings.Contains(got.stdout, "__complete") {
			t.Errorf("%s: %+v", shell, got)
		}
	}
	deaf := some()
	deaf.refuse["Connect"] = engine.Errorf(engine.Unavailable, "nobody there")
	mute := some()
	mute.refuse["List"] = engine.Errorf(engine.Internal, "no")
	for _, tt := range []struct {
		f    *fake
		args []string
		want string
	}{
		{some(), []string{"stop", "gateway@b", "gateway@"}, "gateway@a\tbackoff\ngateway@c\tfailed\n:4\n"},
		{some(), []string{"why", "dash"}, "dashboard\tdisabled\n:4\n"},
		{some(), []string{"why", "dashboard", ""}, ":4\n"},
		{some(), []string{"signal", "HU"}, "HUP\n:4\n"},
		{some(), []string{"signal", "HUP", "mai"}, "main\tup\n:4\n"},
		{some(), []string{"wait", "main", "--for", ""}, "up\nready\ndown\ndone\ngone\n:4\n"},
		{some(), []string{"help", "sta"}, "start\nstatus\n:4\n"},
		{some(), []string{"reload", ""}, ":4\n"},
		{some(), []string{"reload", "-o", ""}, "text\njson\n:4\n"},
		{some(), []string{"reload", "--dr"}, "--dry-run\tonly say what would change (see also diff)\n:4\n"},
		{some(), []string{"diff", "-o", ""}, "text\njson\n:4\n"},
		{some(), []string{"diff", ""}, ":4\n"},
		{some(), []string{"graph", "-o", ""}, "dot\nmermaid\n:4\n"},
		{some(), []string{"graph", ""}, ":4\n"},
		{some(), []string{"logs", "-o", ""}, "text\njson\nraw\n:4\n"},
		{some(), []string{"logs", "--since", ""}, "10m\n1h\n1d\ntoday\nyesterday\n:36\n"},
		{some(), []string{"logs", "--run", ""}, "0\n-1\n-2\n:36\n"},
		{some(), []string{"logs", "--cursor", ""}, ":36\n"},
		{some(), []string{"logs", "gateway@b", "gateway@"}, "gateway@a\tbackoff\ngateway@c\tfailed\n:4\n"},
		{some(), []string{"status", "--tr"}, "--tree\tshow what depends on what; -o json and others stay as they are\n:4\n"},
		{deaf, []string{"stop", ""}, ":4\n"},
		{mute, []string{"stop", ""}, ":4\n"},
	} {
		got := pintle(t, tt.f, append([]string{"__complete"}, tt.args...)...)
		lines := strings.SplitAfter(got.stdout, "\n")
		var kept []string
		for _, l := range lines { // a shell's script filters by what has been typed; cobra leaves that to it
			if strings.HasPrefix(l, tt.args[len(tt.args)-1]) || strings.HasPrefix(l, ":") {
				kept = append(kept, l)
			}
		}
		if got.code != 0 || strings.Join(kept, "") != tt.want {
			t.Errorf("%q: got %+v, want %q", tt.args, got, tt.want)
		}
	}
}

// TestBrokenPipe: a reader that went away ends logs -f, and is said once.
func TestBrokenPipe(t *testing.T) {
	t.Parallel()
	f := some()
	f.wrote("gateway@b", 1, "text")
	for _, args := range []string{"status", "logs gateway@b", "logs -f gateway@b", "logs -f -o json gateway@b gateway@a", "logs -f --show-cursor *", "version", "help"} {
		got := pintleWith(t, f, func(ctx context.Context, o *Options) context.Context {
			o.Stdout = brokenPipe{}
			return ctx
		}, strings.Fields(args)...)
		if want := (result{1, "", "pintle: cannot write to standard output: broken pipe\n"}); got != want {
			t.Errorf("pintle %s: got %+v, want %+v", args, got, want)
		}
	}
}
