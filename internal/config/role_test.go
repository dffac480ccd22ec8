package config

import (
	"slices"
	"strings"
	"testing"
)

// A template runs where its roles have the container's own, and says who owns it elsewhere.
func TestRoles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ role, roles, because string }{
		{"", "", ""},
		{"web", "", ""},
		{"web", "[web]", ""},
		{"web", "[cron, web]", ""},
		{"web", "[cron]", "this container's role is web, and only cron owns it"},
		{"web", "[cron, chat]", "this container's role is web, and only cron and chat own it"},
		{"", "[cron]", "this container has no role, and only cron owns it"},
	} {
		text := "templates:\n  gw:\n    command: [x]\n    instances: {always: [a], exclusive: yes"
		if c.roles != "" {
			text += ", roles: " + c.roles
		}
		text += "}\n"
		if c.role != "" {
			text += "role: ${ROLE}\n"
		}
		cfg, err := fromText([]string{"ROLE=" + c.role}, text)
		if err != nil {
			t.Errorf("%v: %v", c, err)
			continue
		}
		spec, err := cfg.Templates[0].Instantiate("a")
		if err != nil || !spec.Exclusive || spec.Enabled.On != (c.because == "") || spec.Enabled.Because != c.because {
			t.Errorf("%v: %+v, %v", c, spec.Enabled, err)
		}
		checkShown(t, cfg)
	}
}

func TestBadRoles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"role: Web\n":      "cannot use role: \"Web\" is no role",
		"role: \"a b\"\n":  "is no role",
		"role: \"\"\n":     "is no role",
		"role: [a, b]\n":   "role",
		"role: a\nrole: b": "role",
		"templates: {gw: {command: [x], instances: {roles: [a, a]}}}\n": "instances.roles[1]: \"a\" is listed twice",
		"templates: {gw: {command: [x], instances: {roles: [-]}}}\n":    "is no role",
	} {
		if _, err := fromText(nil, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	a, err := fromText(nil, "templates: {gw: {command: [x], instances: {exclusive: true}}}\n")
	must(t, err)
	b, err := fromText(nil, "templates: {gw: {command: [x], instances: {exclusive: false}}}\n")
	must(t, err)
	if got := Keys(&a.Templates[0].Spec, &b.Templates[0].Spec); !slices.Equal(got, []string{"instances.exclusive"}) {
		t.Errorf("they differ in %q", got)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
