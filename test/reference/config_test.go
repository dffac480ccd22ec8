package reference_test

import (
	"strings"
	"testing"

	"pintle/test/dockertest"
)

// A wrong configuration is said with file, line and column, and what was likely
// meant; pintle exits with 125, and nothing was started.

// configFiles are configurations, all in /etc/bad of one image. Each has a
// service that would be seen if anything was started.
var configFiles = map[string]string{
	"good.yaml":             "",
	"unknown-section.yaml":  "servces: {}\n",
	"unknown-key.yaml":      "main:\n  comand: [sleep]\n",
	"unknown-nested.yaml":   "templates:\n  gateway:\n    command: [sleep]\n    instances: {manager: [hermes]}\n",
	"unknown-far.yaml":      "kubernetes: yes\n",
	"wrong-type.yaml":       "main:\n  command: sleep infinity\n",
	"wrong-number.yaml":     "templates:\n  gateway:\n    command: [sleep]\n    instances:\n      max: many\n",
	"wrong-duration.yaml":   "stop_timeout: 10\n",
	"wrong-boolean.yaml":    "services:\n  witness:\n    command: [echo, \"service ran\"]\n    enabled: maybe\n",
	"undefined.yaml":        "main:\n  user: ${NO_SUCH_VARIABLE}\n",
	"undefined-needed.yaml": "main:\n  user: ${NO_SUCH_VARIABLE:?say who main is}\n",
	"twice.yaml":            "services:\n  web: {command: [sleep]}\n  web: {command: [sleep]}\n",
	"two-kinds.yaml":        "services:\n  web: {command: [sleep]}\ntemplates:\n  web: {command: [sleep]}\n",
	"mains-name.yaml":       "services:\n  main: {command: [sleep]}\n",
	"no-yaml.yaml":          "main:\n\tcommand: [sleep]\n",
	"writable.yaml":         "",
	"group-writable.yaml":   "",
	"foreign.yaml":          "",
	"loose/file.yaml":       "",
	"theirs/file.yaml":      "",
}

const configWitness = "services:\n  witness: {command: [echo, \"service ran\"]}\n"

func configImage(t *testing.T) string {
	t.Helper()
	files := map[string]string{"again.yaml": "services:\n  dashboard: {command: [sleep, infinity]}\n"}
	for name, text := range configFiles {
		switch {
		case text == "":
			text = configWitness
		case !strings.Contains(text, "services:"):
			text += configWitness
		}
		files["bad/"+name] = text
	}
	return dockertest.Derive(t, `FROM reference
COPY bad /etc/bad/
COPY again.yaml /etc/pintle/conf.d/again.yaml
RUN cd /etc/bad && chmod 0666 writable.yaml && chgrp hermes group-writable.yaml && chmod 0664 group-writable.yaml && chown hermes foreign.yaml && chmod 0777 loose && chown hermes theirs && ln -s /etc/bad/good.yaml theirs/link.yaml && ln -s /opt/data/nosuch.yaml dangling.yaml
`, files)
}

func TestConfigurationErrorsStartNothing(t *testing.T) {
	t.Parallel()
	image := configImage(t)
	run := func(t *testing.T, flags []string, args ...string) dockertest.Result {
		t.Helper()
		return dockertest.Run(t, dockertest.Options{Image: image, Flags: append([]string{"--entrypoint", "pintle"}, flags...)},
			append(append([]string{"init"}, args...), "--", "sh", "-c", "echo main ran; until pintle logs witness | grep ran; do :; done")...)
	}
	// The witness is worth something: with a good configuration it is seen.
	t.Run("good", func(t *testing.T) {
		t.Parallel()
		says(t, run(t, nil, "--config", "/etc/bad/good.yaml"), 0, "main ran", "service ran")
	})
	for file, want := range map[string]string{
		"unknown-section.yaml":  "1:1: cannot use servces: there is no such key; did you mean services?",
		"unknown-key.yaml":      "2:3: cannot use main.comand: there is no such key; did you mean command?",
		"unknown-nested.yaml":   "4:17: cannot use templates.gateway.instances.manager: there is no such key; did you mean managers?",
		"unknown-far.yaml":      "1:1: cannot use kubernetes: there is no such key\n",
		"wrong-type.yaml":       "2:12: cannot use main.command: write a list, such as [sleep, 60]",
		"wrong-number.yaml":     `5:12: cannot use templates.gateway.instances.max: "many" is no whole number`,
		"wrong-duration.yaml":   `1:15: cannot use stop_timeout: "10" has no unit`,
		"wrong-boolean.yaml":    `4:14: cannot use services.witness.enabled: "maybe" is no boolean`,
		"undefined.yaml":        "2:9: cannot expand ${NO_SUCH_VARIABLE}: NO_SUCH_VARIABLE is not set; write ${NO_SUCH_VARIABLE:-default} to allow that",
		"undefined-needed.yaml": "2:9: cannot expand ${NO_SUCH_VARIABLE}: say who main is",
		"twice.yaml":            "3:3: cannot use services.web: it is given twice, first in line 2",
		"two-kinds.yaml":        `4:3: cannot define "web": it is defined in /etc/bad/two-kinds.yaml:2:3 already`,
		"mains-name.yaml":       `2:3: cannot use name "main": it is the main program's`,
		"no-yaml.yaml":          "2:1: cannot parse: a tab is not allowed here",
		"writable.yaml":         "1:1: cannot trust /etc/bad/writable.yaml: /etc/bad/writable.yaml is writable by others (mode 0666)",
		"group-writable.yaml":   "1:1: cannot trust /etc/bad/group-writable.yaml: /etc/bad/group-writable.yaml is writable by others (mode 0664)",
		"foreign.yaml":          "1:1: cannot trust /etc/bad/foreign.yaml: /etc/bad/foreign.yaml belongs to uid 10000, not to root",
		"loose/file.yaml":       "1:1: cannot trust /etc/bad/loose/file.yaml: /etc/bad/loose is writable by others (mode 0777)",
		"theirs/file.yaml":      "1:1: cannot trust /etc/bad/theirs/file.yaml: /etc/bad/theirs belongs to uid 10000, not to root",
		"theirs/link.yaml":      "1:1: cannot trust /etc/bad/theirs/link.yaml: /etc/bad/theirs belongs to uid 10000, not to root",
		"dangling.yaml":         "1:1: cannot trust /etc/bad/dangling.yaml: /opt/data belongs to uid 10000, not to root",
		"nosuch.yaml":           "1:1: cannot open /etc/bad/nosuch.yaml: no such file or directory",
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			file := "/etc/bad/" + file
			configRefused(t, run(t, nil, "--config", file), file+":"+want)
		})
	}
	// The other ways to say which files: the variable, and the usual places.
	t.Run("PINTLE_CONFIG", func(t *testing.T) {
		t.Parallel()
		configRefused(t, run(t, []string{"-e", "PINTLE_CONFIG=/etc/bad/unknown-key.yaml"}), "/etc/bad/unknown-key.yaml:2:3: cannot use main.comand")
	})
	t.Run("conf.d", func(t *testing.T) {
		t.Parallel()
		configRefused(t, run(t, nil), `/etc/pintle/conf.d/again.yaml:2:3: cannot define "dashboard": it is defined in /etc/pintle/pintle.yaml:7:3 already`)
	})
	// As another user pintle trusts that user, but still nobody else.
	t.Run("as another user", func(t *testing.T) {
		t.Parallel()
		configRefused(t, run(t, []string{"--user", "12345"}, "--config", "/etc/bad/foreign.yaml"),
			"/etc/bad/foreign.yaml:1:1: cannot trust /etc/bad/foreign.yaml: /etc/bad/foreign.yaml belongs to uid 10000, not to root or uid 12345")
	})
}

// configRefused fails the test unless pintle ended with 125, said the mistake and did nothing else.
func configRefused(t *testing.T, r dockertest.Result, mistake string) {
	t.Helper()
	says(t, r, 125, "pintle: "+mistake)
	if r.Stdout != "" || strings.Contains(r.Stderr, "ran") || strings.Count(r.Stderr, "\n") != 1 {
		t.Errorf("want one line and nothing started: %s", r)
	}
}

// Everything that is wrong is said at once, and pintle config check says it without starting anything.
func TestConfigCheckSaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	image := dockertest.Derive(t, "FROM reference\nCOPY bad.yaml /etc/bad.yaml\n", map[string]string{
		"bad.yaml": "stop_timeout: soon\nservces: {}\nmain: {user: \"${NOPE}\"}\n",
	})
	const want = `pintle: /etc/bad.yaml:1:15: cannot use stop_timeout: "soon" is no duration such as 500ms, 10s or 1h30m
pintle: /etc/bad.yaml:2:1: cannot use servces: there is no such key; did you mean services?
pintle: /etc/bad.yaml:3:15: cannot expand ${NOPE}: NOPE is not set; write ${NOPE:-default} to allow that
`
	for _, user := range []string{"0", "10000"} {
		r := dockertest.Run(t, dockertest.Options{Image: image, Flags: []string{"--entrypoint", "pintle", "--user", user}}, "config", "check", "--config", "/etc/bad.yaml")
		if r.Code != 1 || r.Stderr != want {
			t.Errorf("as %s: %s", user, r)
		}
	}
	r := dockertest.Run(t, dockertest.Options{Image: image, Flags: []string{"--entrypoint", "pintle"}}, "init", "--config", "/etc/bad.yaml", "--", "echo", "main ran")
	if r.Code != 125 || r.Stderr != want || r.Stdout != "" {
		t.Errorf("at boot: %s", r)
	}
}
