package config

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/unit"
)

// compareConfigs compares by content; of a pattern that is its text.
var compareConfigs = cmp.Options{
	cmp.Comparer(func(a, b unit.NamePattern) bool { return a.String() == b.String() }),
	cmp.Comparer(func(a, b unit.Pattern) bool { return a == b }),
}

// stop is a stop that says no more than its signal and its grace period.
func stop(sig unit.Signal, grace time.Duration) unit.Stop {
	return unit.Stop{Signals: []unit.StopSignal{{Signal: sig}}, Target: unit.TargetGroup, Grace: grace}
}

// kept is what becomes of output by the defaults, in files or in none.
func kept(directory string) *unit.Log {
	l := &unit.Log{Directory: directory, Memory: unit.DefaultLogMemory, Console: unit.ConsolePrefixed}
	if directory != "" {
		l.Mode, l.Size, l.Keep = unit.DefaultLogMode, unit.DefaultLogSize, unit.DefaultLogKeep
	}
	return l
}

// The reference configuration of DESIGN.md loads, and means what it says.
func TestReference(t *testing.T) {
	t.Parallel()
	env := []string{"HERMES_HOME=/opt/data", "HERMES_DASHBOARD_PORT=9200"}
	got, err := fromText(env, reference(t))
	if err != nil {
		t.Fatal(err)
	}
	agent := func(args ...string) []string { return append([]string{"hermes"}, args...) }
	pattern, err := unit.ParseNamePattern("[a-z0-9][a-z0-9_-]{0,62}")
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Files: []string{"a.yaml"},
		Main: Main{
			Spec: unit.Spec{
				Name: "main", Kind: unit.Main, Enabled: unit.Switch{On: true}, Command: agent(), User: "hermes",
				Restart: unit.RestartNever, Stop: stop(unit.SIGTERM, 9*time.Second),
			},
			Subcommands: []string{"chat", "gateway", "dashboard", "profile", "config", "mcp", "login"},
		},
		Services: []unit.Spec{{
			Name: "dashboard", Kind: unit.Service, Enabled: unit.Switch{Because: "HERMES_DASHBOARD is not set"},
			Command: agent("dashboard", "--host", "127.0.0.1", "--port", "9200", "--no-open"),
			User:    "hermes", Restart: unit.RestartAlways,
			ExitRules: unit.ExitRules{{Code: 78}: unit.VerdictFail},
			Backoff:   unit.DefaultBackoff, StableAfter: unit.DefaultStableAfter, OnFailure: unit.FailureIgnore,
			Readiness: &unit.Readiness{Check: unit.Check{TCP: "127.0.0.1:9200"}, Period: 500 * time.Millisecond, Timeout: time.Second},
			Stop:      stop(unit.SIGTERM, 10*time.Second),
			Log:       kept(""),
		}},
		Templates: []unit.Template{{
			Name: "gateway",
			Spec: unit.Spec{
				Kind: unit.Instance, Enabled: unit.Switch{On: true}, Command: agent("-p", "%i", "gateway", "run", "--replace"),
				User: "hermes", Environment: map[string]string{"HERMES_SUPERVISED_CHILD": "1"}, Restart: unit.RestartOnFailure,
				ExitRules: unit.ExitRules{{Code: 75}: unit.VerdictRestart, {Code: 78}: unit.VerdictFail},
				Backoff:   unit.DefaultBackoff, StableAfter: unit.DefaultStableAfter, OnFailure: unit.FailureIgnore,
				Stop: stop(unit.SIGTERM, 20*time.Second), Exclusive: true,
				Log: kept("/opt/data/logs/gateways/%i"),
			},
			Names: pattern, Managers: unit.Managers{Users: []string{"hermes"}}, Max: 64,
			Always: []string{"default"}, Initial: "down",
			Discover:   &unit.Discovery{Directory: "/opt/data/profiles", Marker: "SOUL.md", Except: []string{"default"}, KeepIntent: 7 * 24 * time.Hour},
			BootReport: "/opt/data/logs/container-boot.log",
			IntentFrom: &unit.IntentSource{
				File: "/opt/data/profiles/%i/gateway_state.json", Paths: []string{"desired_state", "gateway_state"}, Up: []string{"running", "draining", "degraded"},
			},
			Overrides: map[string]unit.Override{"default": {Command: agent("gateway", "run", "--replace"), IntentFile: "/opt/data/gateway_state.json"}},
		}},
		Prepare: unit.Prepare{
			Users: []unit.PreparedUser{{
				Name: "hermes", UID: 10000, GID: 10000, Home: "/opt/data", JoinGroupsOf: []string{"/var/run/docker.sock", "/dev/dri/*"},
			}},
			Directories: []unit.PreparedDirectory{
				{Path: "/opt/data", Owner: "hermes"},
				{Path: "/opt/data/profiles", Owner: "hermes", Repair: true},
				{Path: "/opt/data/cron", Owner: "hermes", Repair: true},
				{Path: "/opt/data/logs/gateways", Owner: "hermes", Repair: true},
				{Path: "/opt/data/sessions", Owner: "hermes", Repair: true},
			},
			Files: []unit.PreparedFile{{Path: "/opt/data/.env", Copy: "/opt/hermes/env.example", Owner: "hermes", Mode: 0o600}},
		},
		Governor:       unit.DefaultGovernor,
		Log:            Log{Console: unit.ConsolePrefixed},
		StateDirectory: "/opt/data/.pintle",
		StopTimeout:    9 * time.Second,
	}
	if diff := cmp.Diff(want, got, compareConfigs); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if _, ok := got.Template("gateway"); !ok {
		t.Error("Template does not find gateway")
	}
	if _, ok := got.Template("dashboard"); ok {
		t.Error("Template finds a service")
	}
}

// What YAML and its writers can do to a file does not change what it says.
func TestForms(t *testing.T) {
	t.Parallel()
	plain := "main:\n  command: [sh, -c, \"a b\"]\n  user: app\n"
	want, err := fromText(nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"CRLF":           strings.ReplaceAll(plain, "\n", "\r\n"),
		"BOM":            "\ufeff" + plain,
		"document marks": "# c\n---\n" + plain + "...\n# c\n",
		"no last break":  strings.TrimSuffix(plain, "\n"),
		"JSON":           `{"main": {"command": ["sh", "-c", "a b"], "user": "app"}}`,
		"folded":         "main:\n  command:\n  - sh\n  - -c\n  - a\n    b\n  user: >-\n    app\n",
		"free keys":      "x-a: {b: [1, $x]}\n" + plain + "  x-b: ${NOPE}\n",
		"empty sections": plain + "services:\ntemplates:\nprepare: # nothing\n",
	} {
		got, err := fromText(nil, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, got, compareConfigs); diff != "" {
			t.Errorf("%s, want -, got +:\n%s", name, diff)
		}
	}
	for _, text := range []string{"", "\n\n", "# only a comment\n", "---\n", "null\n", "{}\n", "\ufeff"} {
		got, err := fromText(nil, text)
		if err != nil || got.StopTimeout != DefaultStopTimeout || len(got.Main.Spec.Command) > 0 {
			t.Errorf("%q is not an empty configuration: %+v, %v", text, got, err)
		}
	}
}

// A list of words takes numbers and booleans as they are written.
func TestWordsKeepTheirText(t *testing.T) {
	t.Parallel()
	c, err := fromText([]string{"N=007"}, `main:
  command: [a, 1, 0600, 0x1F, 1_000, 1.50, yes, True, .inf, 1e3, "", '#', "${N}", 2026-01-02, $$x]
  environment: {A: 0600, B: no, C: 1.0, D: "", 5: x}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a", "1", "0600", "0x1F", "1_000", "1.50", "yes", "True", ".inf", "1e3", "", "#", "007", "2026-01-02", "$x"}
	if diff := cmp.Diff(want, c.Main.Spec.Command); diff != "" {
		t.Errorf("command, want -, got +:\n%s", diff)
	}
	env := map[string]string{"A": "0600", "B": "no", "C": "1.0", "D": "", "5": "x"}
	if diff := cmp.Diff(env, c.Main.Spec.Environment); diff != "" {
		t.Errorf("environment, want -, got +:\n%s", diff)
	}
}

// A unit that is switched off can say by what, and never says what a variable holds.
func TestEnabled(t *testing.T) {
	t.Parallel()
	env := []string{"ON=Yes", "OFF=OFF", "EMPTY=", "ONE=1"}
	tests := []struct {
		value string
		want  unit.Switch
	}{
		{`true`, unit.Switch{On: true}},
		{`"1"`, unit.Switch{On: true}},
		{`oN`, unit.Switch{On: true}},
		{`no`, unit.Switch{Because: "enabled is false in a.yaml:4"}},
		{`0`, unit.Switch{Because: "enabled is false in a.yaml:4"}},
		{`""`, unit.Switch{Because: "enabled is false in a.yaml:4"}},
		{`${ON:-false}`, unit.Switch{On: true, Because: "ON is on"}},
		{`${ONE}`, unit.Switch{On: true, Because: "ONE is on"}},
		{`${OFF:-true}`, unit.Switch{Because: "OFF is off"}},
		{`${EMPTY}`, unit.Switch{Because: "EMPTY is empty"}},
		{`${EMPTY:-false}`, unit.Switch{Because: "EMPTY is empty"}},
		{`${NOPE:-false}`, unit.Switch{Because: "NOPE is not set"}},
		{`${NOPE:-${EMPTY:-no}}`, unit.Switch{Because: "NOPE is not set and EMPTY is empty"}},
		{`${NOPE:-${OFF}}`, unit.Switch{Because: "OFF is off"}},
		{`${NOPE:-true}`, unit.Switch{On: true, Because: "NOPE is not set"}},
	}
	for _, test := range tests {
		c, err := fromText(env, service("enabled: "+test.value))
		if err != nil {
			t.Errorf("%s: %v", test.value, err)
			continue
		}
		if got := c.Services[0].Enabled; got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.value, got, test.want)
		}
	}
}

// Every key that is not in the reference configuration is taken too.
func TestOtherKeys(t *testing.T) {
	t.Parallel()
	c, err := fromText([]string{"DIR=/srv", "PORT=80"}, `
stop_timeout: 1m
main: {environment: {A: b}, working_dir: "${DIR}/x", stop_signal: quit, stop_grace_period: 1h30m}
services:
  b:
    command: [b]
    labels: {tier: web}
    user: 10:20
    stop_signal: 40
    exit_codes: {TERM: done, 9: fail}
    depends_on: {a: {condition: ready}}
    env_file: /etc/b.env
  a: {command: [a], depends_on: [t@d], env_file: [/x, /y], log: {directory: /l/./%i/, rotate: {size: 2GiB, keep: 1}}}
templates:
  t:
    command: [t, "%i"]
    readiness: {tcp: "%i:80%i"}
    instances: {managers: [ops, "group:100", "group:wheel"], initial: up, max: 0, exclusive: no}
    overrides: {one: {environment: {A: "1"}}}
  s:
    command: [s]
    readiness: {tcp: "[::1]:${PORT}"}
prepare:
  users: {zoe: {on_error: warn}, app: {uid: 5, gid: "6"}}
  directories: [{path: "${DIR}/{a,b/c}-{1,2}", mode: 0o2755, repair: none, on_error: fail}]
  files: [{path: /a/.b, from_environment: KEY, on_error: warn}]
`)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Main.Spec, (unit.Spec{
		Name: "main", Kind: unit.Main, Enabled: unit.Switch{On: true}, Environment: map[string]string{"A": "b"}, WorkingDir: "/srv/x",
		Restart: unit.RestartNever, Stop: stop(3, 90*time.Minute),
	}); !cmp.Equal(want, got) {
		t.Error(cmp.Diff(want, got))
	}
	if a, b := c.Services[0], c.Services[1]; a.Name != "a" || b.Name != "b" || b.User != "10:20" || b.Stop.First() != 40 ||
		b.Labels["tier"] != "web" || !cmp.Equal(b.ExitRules, unit.ExitRules{{Signal: 15}: "done", {Code: 9}: "fail"}) {
		t.Errorf("services are %+v", c.Services)
	}
	log := kept("/l/%i")
	log.Size, log.Keep = 2<<30, 1
	if diff := cmp.Diff(log, c.Services[0].Log); diff != "" {
		t.Errorf("log, want -, got +:\n%s", diff)
	}
	one := c.Templates[1]
	if one.Max != 0 || one.Initial != "up" || one.Managers.String() != "ops, group:100, group:wheel" || one.Overrides["one"].Environment["A"] != "1" {
		t.Errorf("template t is %+v", one)
	}
	if two := c.Templates[0]; two.Name != "s" || two.Max != unit.DefaultMax || two.Initial != "down" || two.Names.String() != unit.DefaultNamePattern {
		t.Errorf("template s is %+v", two)
	}
	dir := func(path string) unit.PreparedDirectory {
		return unit.PreparedDirectory{Path: path, Mode: new(uint32(0o2755)), OnError: unit.ErrorFail}
	}
	if diff := cmp.Diff(unit.Prepare{
		Users:       []unit.PreparedUser{{Name: "app", UID: 5, GID: 6}, {Name: "zoe", OnError: unit.ErrorWarn}},
		Directories: []unit.PreparedDirectory{dir("/srv/a-1"), dir("/srv/a-2"), dir("/srv/b/c-1"), dir("/srv/b/c-2")},
		Files:       []unit.PreparedFile{{Path: "/a/.b", FromEnvironment: "KEY", Mode: 0o644, OnError: unit.ErrorWarn}},
	}, c.Prepare); diff != "" {
		t.Errorf("prepare, want -, got +:\n%s", diff)
	}
	checkShown(t, c)
}

// What Show writes is masked, says why a unit is off, and loads as the same configuration.
func TestShow(t *testing.T) {
	t.Parallel()
	c, err := fromText([]string{"HERMES_HOME=/opt/da$ta"}, reference(t), `
services:
  true: {command: ["a\nb", "$$x", "null", "é\u200b", "'\"", "- a", ": ", "%%i"], environment: {PASSWORD: hunter2, "no": b}, stop_signal: 40, exit_codes: {HUP: done}, labels: {"a b": "c: d"}, working_dir: /w}
`)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.Show(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"PASSWORD: \"***\"", "enabled: false  # HERMES_DASHBOARD is not set", "stop_grace_period: 20s", "directory: \"/opt/da$$ta/logs/gateways/%i\"\n", "rotate: {size: 1MB, age: never, keep: 10, total: unlimited, compress: none}"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("Show does not say %s:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("Show prints an environment value:\n%s", &out)
	}
	checkShown(t, c)
}

// compareShown leaves out what Show does not say: the values of environments, and where a switch was set.
var compareShown = cmp.Options{
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Because" }, cmp.Ignore()),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Environment" }, cmp.Comparer(func(a, b map[string]string) bool {
		return slices.Equal(slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)))
	})),
}

// checkShown checks that what Show writes says the same as c.
func checkShown(t *testing.T, c *Config) {
	t.Helper()
	var out, again bytes.Buffer
	if err := c.Show(&out); err != nil {
		t.Fatal(err)
	}
	second, err := fromText(nil, out.String())
	if err != nil {
		t.Fatalf("what Show writes does not load: %v\n%s", err, &out)
	}
	second.Files = c.Files
	if diff := cmp.Diff(c, second, compareConfigs, compareShown); diff != "" {
		t.Errorf("Show, want -, got +:\n%s\n%s", diff, &out)
	}
	for i := range second.Services {
		second.Services[i].Enabled.Because = c.Services[i].Enabled.Because
	}
	for i := range second.Oneshots {
		second.Oneshots[i].Enabled.Because = c.Oneshots[i].Enabled.Because
	}
	if err := second.Show(&again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(out.String(), again.String()); diff != "" {
		t.Errorf("shown twice, first -, then +:\n%s", diff)
	}
}

func TestReadableDurations(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 500 * time.Millisecond: "500ms", 10 * time.Second: "10s", time.Minute: "1m", 20 * time.Minute: "20m",
		time.Hour: "1h", 90 * time.Minute: "1h30m", 10 * time.Hour: "10h", time.Hour + time.Second: "1h0m1s",
	} {
		if got := readable(d); got != want {
			t.Errorf("%d is %s, want %s", d, got, want)
		}
	}
}

func TestSuggest(t *testing.T) {
	t.Parallel()
	known := map[string]int{"user": 0, "command": 0, "environment": 0, "exit_codes": 0, "log": 0}
	for unknown, want := range map[string]string{
		"usr": "user", "uesr": "user", "comand": "command", "enviroment": "environment", "exit-codes": "exit_codes", "logs": "log",
		"http": "", "x": "", "": "", strings.Repeat("user", 50): "",
	} {
		if want != "" {
			want = "; did you mean " + want + "?"
		}
		if got := suggest(unknown, known); got != want {
			t.Errorf("suggest(%q) is %q, want %q", unknown, got, want)
		}
	}
}

func BenchmarkReference(b *testing.B) {
	text := reference(b)
	env := []string{"HERMES_HOME=/opt/data"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := fromText(env, text); err != nil {
			b.Fatal(err)
		}
	}
}
