package config

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/unit"
)

// everything has each key of a unit at least once, and none at its default.
const everything = `
governor: {starts: unlimited, storm: {share: 0.25, least: 3, within: 4s, pause: 1m}}
main:
  command: [main]
  depends_on: {web: {condition: ready, required: false}}
  env_file: /etc/main.env
  stop_command: [quit, "%i"]
  stop_target: leader
  stop_grace_max: 1h
  umask: 022
  nice: -20
services:
  web:
    command: [web]
    enabled: no
    user: web:www
    environment: {A: b}
    env_file: [/etc/a.env, {path: /etc/b.env, required: false}, {path: /etc/c.env}]
    working_dir: /srv
    depends_on: {migrate: {condition: done}, "gw@one": {restart_with: true}}
    restart: on-failure
    exit_codes: {78: fail, 1-9: restart, 5: done, SIGTERM: done, 100-102: fail, 103: fail}
    backoff: {initial: 1s, max: 1m, factor: 1.5, jitter: 0.25}
    stable_after: 1m
    give_up: {after: 5, within: 1m}
    on_failure: stop_container
    readiness: {http: "http://127.0.0.1:80/ready?$$x", period: 2s, timeout: 3s}
    start_timeout: 30s
    liveness: {exec: [ask, "a b"], period: 1s, timeout: 2s, start_period: 3s, failures: 4, successes: 5}
    watchdog: 45s
    on_hang: {signal: QUIT, wait: 7s}
    stop_signal: [INT, {signal: TERM, after: 5s}, {signal: 40, after: 8s}]
    stop_command: [web, stop]
    stop_target: set
    stop_grace_period: 20s
    stop_grace_max: 60s
    umask: "0027"
    ulimits: {nofile: 1024, nproc: {soft: 10, hard: 20}, core: unlimited, rtprio: {soft: 0, hard: -1}}
    nice: 5
    oom_score_adj: -500
    no_new_privileges: true
    capabilities: [cap_net_bind_service, Kill]
    ambient_capabilities: [CAP_NET_BIND_SERVICE]
    labels: {tier: web}
templates:
  gw:
    command: [gw, "%i"]
    env_file: [/data/%i/.env]
    depends_on: ["side@%i"]
    readiness: {log: "^ready$$"}
    give_up: {after: 3}
    capabilities: []
    exit_codes: {0-255: fail}
  side:
    command: [side]
    readiness: {fd: 3}
    liveness: {http: "http://%i.local:8%i/"}
    on_hang: {signal: ABRT}
  third: {command: [third], readiness: {notify: true}, watchdog: 1s, oom_score_adj: 0, umask: 000}
oneshots:
  migrate:
    up: [migrate, up]
    down: [migrate, down]
    timeout: 2m
    retries: 3
    required: false
    enabled: no
    user: "10"
    environment: {A: b}
    env_file: /etc/a.env
    working_dir: /srv
    depends_on: [db]
    labels: {a: b}
    exit_codes: {3: done}
    backoff: {max: 2s}
    stop_signal: HUP
    stop_grace_period: 3s
    stop_target: set
    umask: "777"
    ambient_capabilities: [CHOWN, AUDIT_READ]
  db: {up: [db]}
`

// Every key means what it says.
func TestEverything(t *testing.T) {
	t.Parallel()
	c, err := fromText(nil, everything)
	if err != nil {
		t.Fatal(err)
	}
	checkShown(t, c)
	if want := (unit.Governor{Starts: -1, Share: 0.25, Least: 3, Within: 4 * time.Second, Pause: time.Minute}); c.Governor != want {
		t.Errorf("the governor is %+v", c.Governor)
	}
	off := unit.Switch{Because: "enabled is false in a.yaml:15"}
	expr, err := unit.ParsePattern("^ready$")
	if err != nil {
		t.Fatal(err)
	}
	web := unit.Spec{
		Name: "web", Kind: unit.Service, Enabled: off, Command: []string{"web"}, User: "web:www", Environment: map[string]string{"A": "b"},
		EnvFiles:   []unit.EnvFile{{Path: "/etc/a.env"}, {Path: "/etc/b.env", Optional: true}, {Path: "/etc/c.env"}},
		WorkingDir: "/srv",
		Attributes: unit.Attributes{
			Umask: new(uint32(0o27)), Nice: 5, OOMScoreAdj: new(-500), NoNewPrivileges: true,
			Limits: map[string]unit.Limit{
				"nofile": {Soft: 1024, Hard: 1024}, "nproc": {Soft: 10, Hard: 20}, "core": {Soft: unit.Unlimited, Hard: unit.Unlimited},
				"rtprio": {Soft: 0, Hard: unit.Unlimited},
			},
			Capabilities: []string{"KILL", "NET_BIND_SERVICE"}, AmbientCapabilities: []string{"NET_BIND_SERVICE"},
		},
		DependsOn: []unit.Dependency{{On: "gw@one", Condition: unit.OnStarted, RestartWith: true}, {On: "migrate", Condition: unit.OnDone}},
		Restart:   unit.RestartOnFailure,
		ExitRules: unit.ExitRules{
			{Code: 1}: "restart", {Code: 2}: "restart", {Code: 3}: "restart", {Code: 4}: "restart", {Code: 5}: "done", {Code: 6}: "restart",
			{Code: 7}: "restart", {Code: 8}: "restart", {Code: 9}: "restart", {Code: 78}: "fail", {Signal: 15}: "done",
			{Code: 100}: "fail", {Code: 101}: "fail", {Code: 102}: "fail", {Code: 103}: "fail",
		},
		Backoff:     unit.BackoffRule{Initial: time.Second, Max: time.Minute, Factor: 1.5, Jitter: 0.25},
		StableAfter: time.Minute,
		GiveUp:      unit.GiveUp{After: 5, Within: time.Minute},
		OnFailure:   unit.FailureStopContainer,
		Readiness: &unit.Readiness{
			Check: unit.Check{HTTP: "http://127.0.0.1:80/ready?$x"}, Period: 2 * time.Second, Timeout: 3 * time.Second,
		},
		StartTimeout: 30 * time.Second,
		Liveness: &unit.Liveness{
			Check: unit.Check{Exec: []string{"ask", "a b"}}, Period: time.Second, Timeout: 2 * time.Second, StartPeriod: 3 * time.Second,
			Failures: 4, Successes: 5,
		},
		Watchdog: 45 * time.Second,
		OnHang:   &unit.OnHang{Signal: 3, Wait: 7 * time.Second},
		Stop: unit.Stop{
			Signals: []unit.StopSignal{{Signal: 2}, {Signal: 15, After: 5 * time.Second}, {Signal: 40, After: 8 * time.Second}},
			Command: []string{"web", "stop"}, Target: unit.TargetSet, Grace: 20 * time.Second, GraceMax: time.Minute,
		},
		Labels: map[string]string{"tier": "web"}, Log: kept(""),
	}
	if diff := cmp.Diff(web, c.Services[0], compareConfigs); diff != "" {
		t.Errorf("the service, want -, got +:\n%s", diff)
	}
	migrate := unit.Spec{
		Name: "migrate", Kind: unit.Oneshot, Enabled: c.Oneshots[1].Enabled, Command: []string{"migrate", "up"}, Down: []string{"migrate", "down"},
		User: "10", Environment: map[string]string{"A": "b"}, EnvFiles: []unit.EnvFile{{Path: "/etc/a.env"}}, WorkingDir: "/srv",
		Attributes: unit.Attributes{Umask: new(uint32(0o777)), AmbientCapabilities: []string{"AUDIT_READ", "CHOWN"}},
		DependsOn:  []unit.Dependency{{On: "db", Condition: unit.OnStarted}}, Restart: unit.RestartOnFailure,
		ExitRules: unit.ExitRules{{Code: 3}: "done"}, Backoff: unit.BackoffRule{Initial: 250 * time.Millisecond, Max: 2 * time.Second, Factor: 2, Jitter: 0.1},
		GiveUp: unit.GiveUp{After: 4}, OnFailure: unit.FailureIgnore, StartTimeout: 2 * time.Minute,
		Stop:   unit.Stop{Signals: []unit.StopSignal{{Signal: 1}}, Target: unit.TargetSet, Grace: 3 * time.Second},
		Labels: map[string]string{"a": "b"}, Log: kept(""),
	}
	db := unit.Spec{
		Name: "db", Kind: unit.Oneshot, Enabled: unit.Switch{On: true}, Command: []string{"db"}, Restart: unit.RestartOnFailure,
		Backoff: unit.DefaultBackoff, GiveUp: unit.GiveUp{After: 1}, OnFailure: unit.FailureStopContainer, Required: true,
		Stop: stop(unit.SIGTERM, unit.DefaultStopGracePeriod), Log: kept(""),
	}
	if diff := cmp.Diff([]unit.Spec{db, migrate}, c.Oneshots, compareConfigs); diff != "" {
		t.Errorf("the oneshots, want -, got +:\n%s", diff)
	}
	gw, side, third := c.Templates[0].Spec, c.Templates[1].Spec, c.Templates[2].Spec
	if want := (&unit.Readiness{Log: expr}); !cmp.Equal(want, gw.Readiness, compareConfigs) || gw.GiveUp != (unit.GiveUp{After: 3}) ||
		gw.Attributes.Capabilities == nil || len(gw.Attributes.Capabilities) > 0 || len(gw.ExitRules) != 256 || gw.EnvFiles[0].Path != "/data/%i/.env" {
		t.Errorf("the template gw is %+v", gw)
	}
	if want := (&unit.Liveness{
		Check: unit.Check{HTTP: "http://%i.local:8%i/"}, Period: unit.DefaultLivenessPeriod, Timeout: unit.DefaultLivenessTimeout,
		Failures: unit.DefaultLivenessFailures, Successes: unit.DefaultLivenessSuccesses,
	}); !cmp.Equal(want, side.Liveness) || side.Readiness.FD != 3 || *side.OnHang != (unit.OnHang{Signal: 6, Wait: unit.DefaultHangWait}) {
		t.Errorf("the template side is %+v", side)
	}
	if a := third.Attributes; !third.Readiness.Notify || *a.OOMScoreAdj != 0 || *a.Umask != 0 || a.Capabilities != nil {
		t.Errorf("the template third is %+v", third)
	}
	if main := c.Main.Spec; main.Stop.GraceMax != time.Hour || main.Stop.Grace != c.StopTimeout || main.Stop.Target != unit.TargetLeader ||
		main.Attributes.Nice != -20 || *main.Attributes.Umask != 0o22 || main.EnvFiles[0].Path != "/etc/main.env" || !main.DependsOn[0].Optional {
		t.Errorf("main is %+v", main)
	}
}

// A governor that is switched off stays so when it is shown.
func TestGovernor(t *testing.T) {
	t.Parallel()
	d := unit.DefaultGovernor
	off, few, part := d, d, d
	off.Least, few.Starts, part.Share = -1, 3, 1
	for text, want := range map[string]unit.Governor{
		"": d, "governor:\n": d, "governor: {storm: }\n": d, "governor: {storm: off}\n": off, "governor: {storm: \"${A:-off}\"}\n": off,
		"governor: {starts: 3}\n": few, "governor: {storm: {share: 1}}\n": part,
	} {
		c, err := fromText(nil, text)
		if err != nil || c.Governor != want {
			t.Errorf("%q: got %+v, %v; want %+v", text, c, err, want)
			continue
		}
		checkShown(t, c)
	}
}

// Show writes what a person would, and nothing that is secret.
func TestShowUnits(t *testing.T) {
	t.Parallel()
	c, err := fromText(nil, everything)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.Show(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"    exit_codes:\n      1-4: restart\n      5: done\n      6-9: restart\n      78: fail\n      100-103: fail\n      SIGTERM: done\n",
		"    stop_signal: [SIGINT, {signal: SIGTERM, after: 5s}, {signal: 40, after: 8s}]\n",
		"    backoff: {initial: 1s, max: 1m, factor: 1.5, jitter: 0.25}\n",
		"    umask: \"0027\"\n",
		"      rtprio: {soft: 0, hard: unlimited}\n",
		"    capabilities: []\n",
		"      - {path: /etc/b.env, required: false}\n",
		"      migrate: {condition: done, restart_with: false, required: true}\n",
		"  storm: {share: 0.25, least: 3, within: 4s, pause: 1m}\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("Show does not say\n%s:\n%s", want, &out)
		}
	}
}
