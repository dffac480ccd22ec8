package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/unit"
)

const discovering = `
templates:
  gw:
    command: [gw, "%i"]
    instances:
      always: [main]
      discover: {directory: "/data/50%/profiles", marker: SOUL.md, except: [main, old], keep_intent: 720h}
      intent_from: {file: "%i/state.json", paths: [desired_state, gateway.state], up: [running, draining]}
      boot_report: /data/logs/boot.log
    overrides:
      main: {intent_file: /data/state.json}
  all:
    command: [all, "%i"]
    instances:
      discover: {directory: /srv}
      intent_from: {file: "/state/%i", paths: up, up: true}
`

// Where instances are looked for, and what is wanted of them, means what it says.
func TestDiscover(t *testing.T) {
	t.Parallel()
	c, err := fromText(nil, discovering)
	if err != nil {
		t.Fatal(err, c)
	}
	checkShown(t, c)
	gw, all := &c.Templates[1], &c.Templates[0]
	if diff := cmp.Diff(&unit.Discovery{
		Directory: "/data/50%/profiles", Marker: "SOUL.md", Except: []string{"main", "old"}, KeepIntent: 720 * time.Hour,
	}, gw.Discover); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if diff := cmp.Diff(&unit.IntentSource{
		File: "/data/50%%/profiles/%i/state.json", Paths: []string{"desired_state", "gateway.state"}, Up: []string{"running", "draining"},
	}, gw.IntentFrom); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if gw.BootReport != "/data/logs/boot.log" || gw.FileOf("main") != "/data/state.json" || gw.FileOf("a") != "/data/50%/profiles/a/state.json" {
		t.Errorf("%q, %q, %q", gw.BootReport, gw.FileOf("main"), gw.FileOf("a"))
	}
	if d := (unit.Discovery{Directory: "/srv", KeepIntent: 168 * time.Hour}); !cmp.Equal(&d, all.Discover) || all.BootReport != "" ||
		all.FileOf("x") != "/state/x" || !cmp.Equal(all.IntentFrom.Up, []string{"true"}) {
		t.Errorf("%+v, %+v", all.Discover, all.IntentFrom)
	}
	if origin := gw.Discover.Origin("a") + ", " + all.Discover.Origin("b"); origin != "declared by /data/50%/profiles/a (SOUL.md), declared by /srv/b" {
		t.Error(origin)
	}
}

// Each mistake is said, with its place.
func TestBadDiscover(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"discover: {directory: rel}":                                       `a.yaml:5:29: cannot use templates.gw.instances.discover.directory: "rel" is no absolute path`,
		"discover: {directory: /a, marker: a/b}":                           `a.yaml:5:41: cannot use templates.gw.instances.discover.marker: "a/b" is no file's name`,
		"discover: {directory: /a, marker: ..}":                            `a.yaml:5:41: cannot use templates.gw.instances.discover.marker: ".." is no file's name`,
		"discover: {directory: /a, keep_intent: 7}":                        `a.yaml:5:46: cannot use templates.gw.instances.discover.keep_intent: "7" is no duration such as 30m or 168h`,
		"discover: {directory: /a, keep_intent: 9000h}":                    `a.yaml:5:46: cannot use templates.gw.instances.discover.keep_intent: "9000h" is longer than a year`,
		"discover: {directory: /a, markers: b}":                            `a.yaml:5:33: cannot use templates.gw.instances.discover.markers: there is no such key; did you mean marker?`,
		"intent_from: {file: \"%i.json\", paths: a, up: b}":                `a.yaml:5:27: cannot use templates.gw.instances.intent_from.file: "%i.json" is no absolute path, and there is no discover.directory that it could be in`,
		"intent_from: {file: /a%%i, paths: a, up: b}":                      `a.yaml:5:27: cannot use templates.gw.instances.intent_from.file: "/a%%i" has no %i, and would be every instance's`,
		"intent_from: {file: /%i, paths: [a..b], up: b}":                   `a.yaml:5:40: cannot use templates.gw.instances.intent_from.paths[0]: "a..b" has an empty key`,
		"intent_from: {file: /%i, paths: a, up: []}":                       `a.yaml:5:46: cannot use templates.gw.instances.intent_from.up: it is empty`,
		"intent_from: {file: /%i, up: b}":                                  `a.yaml:5:7: cannot use templates.gw.instances.intent_from: it has no paths`,
		"boot_report: rel":                                                 `a.yaml:5:20: cannot use templates.gw.instances.boot_report: "rel" is no absolute path`,
		"x-a: 1\n    overrides: {a: {intent_file: /a}}":                    `a.yaml:6:34: cannot use templates.gw.overrides.a.intent_file: the template has no instances.intent_from`,
		"x-a: 1\n    overrides: {a: {intent_file: a}}":                     `a.yaml:6:34: cannot use templates.gw.overrides.a.intent_file: "a" is no absolute path`,
		"discover: {directory: \"${SECRET}\"}":                             `a.yaml:5:29: cannot use templates.gw.instances.discover.directory: the value from SECRET is no absolute path`,
		"intent_from: {file: \"/%i${SECRET}\", paths: a, up: \"${NONE}\"}": `cannot expand ${NONE}`,
	} {
		_, err := fromText([]string{"SECRET=hunter2"}, "templates:\n  gw:\n    command: [gw]\n    instances:\n      "+text+"\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}
