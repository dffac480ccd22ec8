package reference_test

import (
	"fmt"
	"strings"
	"testing"

	"pintle/internal/engine"
	"pintle/internal/unit"
	"pintle/test/dockertest"
)

const lifeBefore = `
main: {command: [sleep, infinity], user: hermes}
services:
  keep: {command: [sleep, "1001"], user: hermes}
  edit: {command: [sleep, "1002"], user: hermes}
  rule: {command: [sleep, "1003"]}
  drop: {command: [sh, -c, "sleep 1004 & sleep 1005"]}
templates:
  script: {command: [sleep, "2001"], user: hermes, instances: {managers: [hermes], max: 3}}
`

const lifeAfter = `
main: {command: [sleep, infinity], user: hermes}
services:
  keep: {command: [sleep, "1001"], user: hermes}
  edit: {command: [sleep, "1002"], user: hermes, environment: {MODE: new}}
  rule: {command: [sleep, "1003"], stop_grace_period: 3s}
  new: {command: [sleep, "1006"], user: hermes, depends_on: {keep: {condition: ready}}}
templates:
  script: {command: [sleep, "2001"], user: hermes, instances: {managers: [hermes], max: 2}}
`

// lifeReload boots a container with lifeBefore as its /etc/pintle/pintle.yaml and one instance.
func lifeReload(t *testing.T, flags ...string) *dockertest.Container {
	t.Helper()
	image := dockertest.Derive(t, "FROM reference\nCOPY pintle.yaml /etc/pintle/\n", map[string]string{"pintle.yaml": lifeBefore})
	c := boot(t, dockertest.Options{Image: image, Flags: flags})
	for _, name := range []string{"keep", "edit", "rule", "drop"} {
		becomes(t, c, name, unit.Up)
	}
	says(t, pintle(c, "hermes", "create", "script@one"), 0, "script@one is up")
	return c
}

// lifeWrite replaces the container's configuration, as root does with an editor.
func lifeWrite(t *testing.T, c *dockertest.Container, yaml string) {
	t.Helper()
	succeeds(t, c.Exec("0", "sh", "-c", `printf %s "$1" >/etc/pintle/pintle.yaml`, "sh", yaml))
}

// diff says what differs, reload changes that and nothing else: a run is replaced
// only where what it was executed with differs (docs/configuration.md, "Changing
// it"). Neither diff nor a dry run changes anything.
func TestReloadChangesWhatDiffersAndNothingElse(t *testing.T) {
	t.Parallel()
	c := lifeReload(t)
	says(t, pintle(c, "0", "diff"), 0, "Nothing differs from the configuration.")
	says(t, pintle(c, "0", "reload"), 0, "Nothing differs from the configuration.")
	was := statuses(t, pintle(c, "0", "status", "-o", "json"))

	lifeWrite(t, c, lifeAfter)
	before := manageSnapshot(t, c)
	for _, try := range []struct {
		code int
		args []string
	}{{1, []string{"diff"}}, {0, []string{"reload", "--dry-run"}}} {
		r := pintle(c, "0", try.args...)
		says(t, r, try.code, "Nothing was changed.", "1 added, 1 removed, 3 changed")
		lifeMatches(t, r.Stdout, "- drop", "it is stopped and forgotten", "~ edit", "environment", "its run is replaced", "+ new", "it is started",
			"~ rule", "stop_grace_period", "its run goes on", "~ script", "instances.max", "holds for instances from now on")
		lifeLacks(t, "the answer", r.Stdout, "keep", "main", "script@one")
	}
	manageUnchanged(t, c, before, "diff or a dry run")

	says(t, pintle(c, "0", "reload"), 0, "5 changes have begun: 1 added, 1 removed, 3 changed.")
	becomes(t, c, "new", unit.Up)
	var is map[string]engine.Status
	dockertest.Eventually(t, soon, func() (bool, string) {
		is = statuses(t, pintle(c, "0", "status", "-o", "json"))
		_, there := is["drop"]
		return !there && is["edit"].State == unit.Up && is["edit"].Run == 2, fmt.Sprintf("%+v", is)
	}, "all of it is done")
	for _, name := range []string{"main", "keep", "rule", "script@one"} {
		if was[name].PID != is[name].PID || is[name].Run != 1 || is[name].State != unit.Up {
			t.Errorf("%s was %+v and is %+v", name, was[name], is[name])
		}
	}
	if is["edit"].PID == was["edit"].PID || !is["edit"].Last.Asked || is["edit"].Last.Killed || is["edit"].Failures != 0 {
		t.Errorf("edit was %+v and is %+v", was["edit"], is["edit"])
	}
	if mode := attackEnviron(t, c, is["edit"].PID)["MODE"]; mode != "new" {
		t.Errorf("edit's MODE is %q", mode)
	}
	for _, p := range c.Top() { // promise 4
		if strings.Contains(p.Args, "1004") || strings.Contains(p.Args, "1005") || p.State == "Z" {
			t.Errorf("there is a process of what was dropped: %+v", p)
		}
	}
	says(t, pintle(c, "0", "why", "drop"), 4)
	says(t, pintle(c, "hermes", "create", "script@two"), 0)
	says(t, pintle(c, "hermes", "create", "script@three"), 1, "which is its max")
	says(t, pintle(c, "0", "diff"), 0, "Nothing differs from the configuration.")

	// What only a new container can change is said, and goes on differing.
	lifeWrite(t, c, strings.Replace(lifeAfter, "[sleep, infinity], user: hermes", "[sleep, infinity], user: root", 1))
	says(t, pintle(c, "0", "reload"), 0, "~ main", "user", "takes effect when the container starts anew")
	says(t, pintle(c, "0", "diff"), 1, "~ main")
	if s := status(t, c, "main"); s.PID != was["main"].PID {
		t.Errorf("main was replaced: %+v", s)
	}

	// A configuration with a mistake changes nothing, and each mistake is said with its place.
	before = manageSnapshot(t, c)
	for _, mistake := range []struct{ yaml, says string }{
		{strings.Replace(lifeAfter, "services:", "servces:", 1), "/etc/pintle/pintle.yaml:3:1: "},
		{strings.Replace(lifeAfter, "1006", "1006\", \"", 1) + "  x: [", "/etc/pintle/pintle.yaml:"},
		{strings.Replace(lifeAfter, "keep: {condition", "kepp: {condition", 1), "kepp"},
		{strings.Replace(lifeAfter, "keep: {command", "keep: {depends_on: [new], command", 1), "new"},
		{strings.Replace(lifeAfter, `"1006"], user: hermes`, `"1006"], restart: sometimes`, 1), "/etc/pintle/pintle.yaml:7:"},
		{"", "cannot"},
	} {
		lifeWrite(t, c, mistake.yaml)
		before.files = manageFiles(t, c)
		says(t, pintle(c, "0", "reload"), 1, mistake.says, "nothing was changed")
		says(t, pintle(c, "0", "diff"), 2, mistake.says)
		says(t, pintle(c, "0", "reload", "--dry-run"), 1, mistake.says)
		manageUnchanged(t, c, before, fmt.Sprintf("the mistake %q", mistake.says))
	}
}

// lifeMatches fails the test unless the text has all of the words, in this order.
func lifeMatches(t *testing.T, text string, words ...string) {
	t.Helper()
	rest := text
	for _, word := range words {
		_, after, found := strings.Cut(rest, word)
		if !found {
			t.Errorf("want %q, in this order:\n%s", words, text)
			return
		}
		rest = after
	}
}

// The configuration is root's: nobody else may have it read anew, or be told what
// would change, and the refusal names the rule (promise 5, "Trust").
func TestReloadIsRootsAlone(t *testing.T) {
	t.Parallel()
	c := lifeReload(t)
	lifeWrite(t, c, lifeAfter)
	before := manageSnapshot(t, c)
	for user, uid := range map[string]string{"hermes": "10000", "12345": "12345"} {
		rule := "cannot reload the configuration: uid " + uid + " may not: only root may"
		var tries []manageTry
		for _, args := range []string{"diff", "reload", "reload --dry-run", "diff -o json", "reload -o json"} {
			tries = append(tries, manageTry{77, rule, strings.Fields(args)})
		}
		manageRefused(t, c, user, tries)
	}
	manageUnchanged(t, c, before, "a reload by others")
}

// Where pintle runs as some user, that user is its owner, and others are not.
func TestReloadAsPintlesOwnUser(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Flags: []string{"--user", "12345"}}, "sleep", "infinity")
	says(t, pintle(c, "12345", "diff"), 0, "Nothing differs")
	says(t, pintle(c, "0", "reload"), 0, "Nothing differs")
	says(t, pintle(c, "hermes", "reload"), 77, "uid 10000 may not: only root and uid 12345 may")
}

// A configuration that somebody else than root can have written is no
// configuration: not at a reload, and not at the start (promise 5).
func TestAConfigurationThatOthersCanWriteIsRefused(t *testing.T) {
	t.Parallel()
	c := lifeReload(t)
	units := pintle(c, "0", "status", "-o", "json").Stdout
	for _, spoilt := range []struct{ name, spoil, mend, says string }{
		{"a file of hermes's", "chown hermes /etc/pintle/pintle.yaml", "chown root /etc/pintle/pintle.yaml", "/etc/pintle/pintle.yaml belongs to uid 10000"},
		{"a file that all may write", "chmod 666 /etc/pintle/pintle.yaml", "chmod 644 /etc/pintle/pintle.yaml", "/etc/pintle/pintle.yaml"},
		{"a file that hermes's group may write", "chgrp hermes /etc/pintle/pintle.yaml; chmod 664 /etc/pintle/pintle.yaml", "chgrp root /etc/pintle/pintle.yaml; chmod 644 /etc/pintle/pintle.yaml", "/etc/pintle/pintle.yaml"},
		{"a directory of hermes's", "chown hermes /etc/pintle", "chown root /etc/pintle", "/etc/pintle belongs to uid 10000"},
		{"another file of hermes's", "mkdir -p /etc/pintle/conf.d; echo 'x-mine: 1' >/etc/pintle/conf.d/z.yaml; chown hermes /etc/pintle/conf.d/z.yaml", "rm -r /etc/pintle/conf.d", "/etc/pintle/conf.d/z.yaml belongs to uid 10000"},
		{"a link to a file of hermes's", "mv /etc/pintle/pintle.yaml /etc/pintle/old; cp /etc/pintle/old /opt/data/evil.yaml; chown hermes /opt/data/evil.yaml; ln -s /opt/data/evil.yaml /etc/pintle/pintle.yaml",
			"mv /etc/pintle/old /etc/pintle/pintle.yaml", "belongs to uid 10000"},
	} {
		succeeds(t, c.Exec("0", "sh", "-ec", spoilt.spoil))
		for _, args := range []string{"reload", "reload --dry-run"} {
			r := pintle(c, "0", strings.Fields(args)...)
			says(t, r, 1, "cannot trust", spoilt.says, "nothing was changed")
		}
		says(t, pintle(c, "0", "diff"), 2, "cannot trust", spoilt.says)
		succeeds(t, c.Exec("0", "sh", "-ec", spoilt.mend))
		says(t, pintle(c, "0", "diff"), 0, "Nothing differs")

		r := dockertest.Run(t, dockertest.Options{Flags: []string{"--entrypoint", "sh"}}, "-c", spoilt.spoil+"; exec pintle init echo main ran")
		says(t, r, 125, "cannot trust", spoilt.says)
		lifeLacks(t, "standard output", r.Stdout, "main ran")
	}
	if now := pintle(c, "0", "status", "-o", "json").Stdout; now != units {
		t.Errorf("the units changed:%s", manageDiff(units, now))
	}
}
