package reference_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"pintle/internal/engine"
	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// What an unprivileged user can do with a template's instances, and what not.
// All of it is done as he would do it: docker exec -u hermes CONTAINER pintle …

// A manager has the whole life of an instance in his hands, while the container
// runs and without any root (B46, B53, B58, B63–B72), and each verb says
// truthfully what became of it (U2, U3, U39, U67, U68).
func TestPromise5InstancesAreManagedAtRunTimeWithoutRoot(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{}, "sleep", "infinity")
	const gateway = "gateway@coder"
	const command = "hermes -p coder gateway run --replace"
	succeeds(t, c.Exec("hermes", "mkdir", "-p", "profiles/coder")) // without its soul, so that no directory declares it

	pid := 0 // of the run before
	for _, step := range []struct {
		verb string
		code int
		says string
		then unit.State // "": there is no such unit
	}{
		{"status", 4, "there is no such instance; pintle create gateway@coder makes it", ""},
		{"start", 4, "there is no such instance", ""}, // a mistyped name makes nothing
		{"stop", 4, "there is no such instance", ""},
		{"remove", 4, "there is no such instance", ""},
		{"create", 0, "gateway@coder is created; gateway@coder is up", unit.Up},
		{"create", 0, "gateway@coder exists already, and is up", unit.Up},
		{"start", 0, "gateway@coder is already up", unit.Up},
		{"status", 0, "uid 10000", unit.Up},
		{"why", 0, "gateway@coder has been up", unit.Up},
		{"logs", 0, "gateway coder: ready", unit.Up},
		{"restart", 0, "gateway@coder is up", unit.Up},
		{"stop", 0, "gateway@coder is down", unit.Down},
		{"stop", 0, "gateway@coder is already down", unit.Down},
		{"status", 3, "stopped by uid 10000", unit.Down},
		{"logs", 0, "gateway coder: ended with 0: SIGTERM", unit.Down},
		{"restart", 0, "gateway@coder is up", unit.Up}, // of what is stopped: it ends up
		{"stop", 0, "gateway@coder is down", unit.Down},
		{"start", 0, "gateway@coder is up", unit.Up},
		{"remove", 0, "gateway@coder is removed", ""},
		{"remove", 4, "there is no such instance", ""},
		{"register", 0, "gateway@coder is created", unit.Up}, // by its other name
		{"unregister", 0, "gateway@coder is removed", ""},
		{"create --down", 0, "gateway@coder is created, and is asked to be down", unit.Down},
		{"start", 0, "gateway@coder is up", unit.Up},
		{"remove", 0, "gateway@coder is removed", ""},
	} {
		args := append(strings.Fields(step.verb), gateway)
		r := pintle(c, "hermes", args...)
		t.Logf("pintle %s: %s", strings.Join(args, " "), strings.TrimSpace(r.Stdout+r.Stderr))
		says(t, r, step.code, step.says)

		units, processes := manageLook(t, c, "hermes", command)
		s, is := units[gateway]
		switch {
		case is != (step.then != ""):
			t.Fatalf("after %s there is such a unit: %v", step.verb, is)
		case s.State != step.then:
			t.Fatalf("after %s it is %s, want %s", step.verb, s.State, step.then)
		case is && (s.Intent.Up != (step.then == unit.Up) || s.Intent.Actor.Kind != "peer" || s.Intent.Actor.UID != hermes):
			t.Errorf("after %s the wish is %+v, and is said to be %s's", step.verb, s.Intent, s.Intent.Actor)
		case step.then == unit.Up:
			if len(processes) != 1 || processes[0].UID != hermes || processes[0].PID != s.PID {
				t.Errorf("after %s it is up with pid %d, and its processes are %+v", step.verb, s.PID, processes)
			}
		case len(processes) > 0:
			t.Errorf("after %s there is still %+v", step.verb, processes)
		}
		same := step.verb == "status" || step.verb == "why" || step.verb == "logs" || strings.Contains(step.says, "already")
		if step.then == unit.Up && (s.PID == pid) != same {
			t.Errorf("after %s its pid is %d, and was %d", step.verb, s.PID, pid)
		}
		pid = s.PID
	}
}

// TestU68: a start reported success for what died in the next moment. A start that fails says so, with the reason and
// what the run wrote last, and fails (B68): whatever the rules make of the end.
func TestU68(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{}, "sleep", "infinity")
	for _, test := range []struct{ name, conf, died, now string }{ // one that is started again may be anything by now
		{"refused", "HERMES_GATEWAY_EXIT=78", "exited with code 78", "is now failed"},
		{"crashed", "HERMES_GATEWAY_EXIT=1", "exited with code 1", ""},
		{"again", "HERMES_GATEWAY_EXIT=75", "exited with code 75", ""},
		{"finished", "HERMES_GATEWAY_EXIT=0", "exited with code 0", "is now done"},
		{"a-bit-later", "HERMES_GATEWAY_EXIT_AFTER=300ms\nHERMES_GATEWAY_EXIT=78", "exited with code 78", "is now failed"},
	} {
		gateway := "gateway@" + test.name
		manageConf(t, c, test.name, test.conf)
		succeeds(t, pintle(c, "hermes", "create", "--down", gateway))
		says(t, pintle(c, "hermes", "start", gateway), 1,
			"cannot start "+gateway+": it died after", test.died, test.now, "  | gateway "+test.name+": starting")
		says(t, pintle(c, "hermes", "restart", gateway), 1, "cannot restart "+gateway+": it died after", test.died, test.now)
		succeeds(t, pintle(c, "hermes", "stop", gateway))
	}
	says(t, pintle(c, "hermes", "create", "gateway@refused"), 1, "cannot start gateway@refused: it died")
}

// manageMore is configuration beside the reference's: units that hermes does not manage.
const manageMore = `
templates:
  worker:
    command: [sleep, infinity]
    user: hermes
    instances: {managers: [root], always: [one], initial: up}
  other:
    command: [sleep, infinity]
    user: hermes
    instances: {managers: [nobody, "group:root"]}
`

// Whatever else a manager tries is refused, the rule is named, and nothing has
// changed: no unit, no process, no file.
func TestUnprivilegedUsersAreRefused(t *testing.T) {
	t.Parallel()
	image := manageImage(t, manageMore, "max: 64", "max: 3")
	c := boot(t, dockertest.Options{Image: image, Flags: []string{"-e", "HERMES_DASHBOARD=1"}}, "sleep", "infinity")
	becomes(t, c, "dashboard", unit.Up)
	becomes(t, c, "worker@one", unit.Up)
	succeeds(t, pintle(c, "hermes", "create", "gateway@coder"))
	succeeds(t, pintle(c, "hermes", "create", "gateway@writer", "--down"))
	before := manageSnapshot(t, c)

	const denied, usage, failed = 77, 2, 1
	var tries []manageTry
	refused := func(code int, rule string, args ...string) {
		tries = append(tries, manageTry{code, rule, args})
	}
	// Units that are nobody's but root's.
	for _, name := range []string{"dashboard", "main"} {
		rule := "uid 10000 may not: only root may, because " + name + " is no instance of a template"
		for _, verb := range []string{"start", "stop", "restart", "remove", "create", "logs", "signal KILL"} {
			refused(denied, rule, append(strings.Fields(verb), name)...)
		}
		refused(denied, name+" has been up", "why", name)
	}
	// Another template: managed by root, by somebody else, not there at all.
	const workers = "uid 10000 is not among the managers of template worker (root)"
	for _, verb := range []string{"start", "stop", "restart", "remove", "create", "logs", "signal TERM"} {
		refused(denied, workers, append(strings.Fields(verb), "worker@one")...)
	}
	refused(denied, workers, "create", "worker@two")
	refused(denied, workers, "start", "worker@nosuch")
	refused(denied, "uid 10000 is not among the managers of template other (nobody", "create", "other@x")
	refused(denied, "there is no template coder", "create", "coder@x")
	refused(denied, "daemon is no instance of a template", "create", "daemon")
	// A pattern chooses only what there is, and each unit of it is judged alone.
	refused(denied, "cannot stop dashboard: uid 10000 may not", "stop", "dash*", "worker@*")
	// A manager chooses a name and nothing else.
	for _, flag := range []string{"--user", "--command", "--env", "--environment", "--working-dir", "--config"} {
		refused(usage, "unknown flag: "+flag, "create", "gateway@x", flag, "root")
	}
	// Names.
	const pattern = "the template allows only names that match [a-z0-9][a-z0-9_-]{0,62}"
	const letters = "only letters, digits, '_', '.' and '-' are allowed, and the first must be a letter or a digit"
	for name, rule := range map[string]string{
		"A":                           pattern,
		"a.b":                         pattern,
		strings.Repeat("x", 64):       pattern,
		strings.Repeat("x", 300):      "it is longer than 200 bytes",
		"../x":                        letters,
		"..":                          letters,
		"a/b":                         letters,
		"a%2fb":                       letters,
		"a\nb":                        letters,
		"a\n":                         letters,
		"-x":                          letters,
		".x":                          letters,
		"a b":                         letters,
		"ä":                           letters,
		"a\xff":                       letters,
		"\u202egnp.exe":               letters,
		"a@b":                         letters,
		"$(id)":                       letters,
		"":                            "instance name: it is empty",
		"default\x1b]0;title\x07\x1b": letters,
	} {
		refused(usage, rule, "create", "gateway@"+name)
	}
	refused(usage, "it is empty", "create", "")
	refused(usage, letters, "create", "../gateway@x")
	refused(usage, "unknown", "create", "-rf")
	// More than max: default, coder and writer are there.
	refused(failed, "template gateway has 3 instances already, which is its max", "create", "gateway@one-more")
	// What is declared as always there.
	refused(failed, "template gateway declares it as always there; stop it instead", "remove", "gateway@default")

	manageRefused(t, c, "hermes", tries)
	manageUnchanged(t, c, before, "one of the tries")

	// The place that another one left is free.
	succeeds(t, pintle(c, "hermes", "remove", "gateway@writer"))
	succeeds(t, pintle(c, "hermes", "create", "gateway@one-more"))
}

// Everybody else sees names and states, and is refused the rest.
func TestStrangersSeeNamesAndStatesOnly(t *testing.T) {
	t.Parallel()
	const stranger = "12345"
	c := boot(t, dockertest.Options{Flags: []string{"-e", "HERMES_DASHBOARD=1"}}, "sleep", "infinity")
	becomes(t, c, "dashboard", unit.Up)
	succeeds(t, pintle(c, "hermes", "create", "gateway@coder"))
	before := manageSnapshot(t, c)

	r := pintle(c, stranger, "status", "-o", "json")
	var units []map[string]any
	if err := json.Unmarshal([]byte(succeeds(t, r)), &units); err != nil {
		t.Fatal(err)
	}
	visible := map[string]bool{"name": true, "kind": true, "state": true, "desired": true, "since": true, "reason": true, "because": true, "restricted": true, "run": true}
	for _, u := range units {
		for key := range u {
			if !visible[key] {
				t.Errorf("a stranger sees %s of %s: %v", key, u["name"], u[key])
			}
		}
		if u["state"] != "up" && u["name"] != "gateway@default" {
			t.Errorf("a stranger sees that %s is %s", u["name"], u["state"])
		}
	}
	if len(units) != 4 {
		t.Errorf("a stranger sees %d units, want main, dashboard and two gateways", len(units))
	}
	var tries []manageTry
	for _, unit := range []string{"main", "dashboard", "gateway@coder"} {
		tries = append(tries, manageTry{77, unit + " has been up", []string{"why", unit}})
		for _, verb := range []string{"start", "stop", "restart", "remove", "create", "logs", "signal KILL"} {
			tries = append(tries, manageTry{77, "uid 12345", append(strings.Fields(verb), unit)})
		}
	}
	tries = append(tries, manageTry{77, "uid 12345 is not among the managers of template gateway (hermes)", []string{"create", "gateway@mine"}})
	manageRefused(t, c, stranger, tries)
	says(t, pintle(c, stranger, "wait", "gateway@coder", "--for", "up"), 0, "is up")
	says(t, pintle(c, stranger, "healthcheck"), 0, "healthy")
	manageUnchanged(t, c, before, "a stranger")
}

// wait and healthcheck answer by what is so, and Docker's HEALTHCHECK follows.
func TestWaitAndHealthcheck(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Flags: []string{
		"--health-interval", "500ms", "--health-retries", "1", "--health-start-period", "1ms", "--health-timeout", "30s",
	}}, "sleep", "infinity")
	healthIs := func(want string) {
		t.Helper()
		dockertest.Eventually(t, soon, func() (bool, string) {
			health := c.Inspect("{{.State.Health.Status}}")
			return health == want, health
		}, "docker says "+want)
	}
	says(t, pintle(c, "hermes", "healthcheck"), 0, "healthy: 1 unit up")
	healthIs("healthy")

	manageConf(t, c, "coder", "HERMES_GATEWAY_EXIT=78")
	says(t, pintle(c, "hermes", "create", "gateway@coder", "--no-wait"), 0)
	says(t, pintle(c, "hermes", "wait", "gateway@coder", "--for", "up"), 3, "cannot wait for gateway@coder to be up", "failed")
	says(t, pintle(c, "hermes", "wait", "gateway@coder", "--for", "down"), 0, "gateway@coder is failed")
	says(t, pintle(c, "hermes", "healthcheck"), 3, "not healthy: gateway@coder is failed", "exited with code 78")
	says(t, pintle(c, "hermes", "healthcheck", "--level", "alive"), 0, "healthy: the supervisor answers")
	healthIs("unhealthy")

	// What is not wanted up can't be ill.
	succeeds(t, pintle(c, "hermes", "stop", "gateway@coder"))
	says(t, pintle(c, "hermes", "healthcheck"), 0, "healthy")
	healthIs("healthy")

	says(t, pintle(c, "hermes", "wait", "gateway@coder", "--for", "up", "--timeout", "200ms"), 1, "it is down")
	manageConf(t, c, "coder", "")
	waiter := make(chan dockertest.Result, 1)
	go func() { waiter <- pintle(c, "hermes", "wait", "gateway@coder", "--for", "up", "--timeout", "30s") }()
	succeeds(t, pintle(c, "hermes", "start", "gateway@coder"))
	says(t, <-waiter, 0, "gateway@coder is up")
	says(t, pintle(c, "hermes", "wait", "gateway@nosuch"), 4, "there is no such instance")
	says(t, pintle(c, "hermes", "wait", "gateway@nosuch", "--for", "gone"), 0)
	succeeds(t, pintle(c, "hermes", "remove", "gateway@coder"))
	says(t, pintle(c, "hermes", "wait", "gateway@*", "--for", "down"), 0, "gateway@default is down")
}

// logs -f goes on across a restart: a person does not have to begin again.
func TestLogsFollowAcrossARestart(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{}, "sleep", "infinity")
	succeeds(t, pintle(c, "hermes", "create", "gateway@coder"))
	first := status(t, c, "gateway@coder")

	ctx, cancel := context.WithTimeout(t.Context(), 2*soon)
	follow := dockertest.Command(ctx, t, "exec", "-u", "hermes", c.Name, "pintle", "logs", "-f", "gateway@coder")
	out, err := follow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); follow.Wait() }()
	var seen []string
	lines := bufio.NewScanner(out)
	expect := func(texts ...string) { // in any order: stdout and stderr are two pipes
		t.Helper()
		missing := map[string]bool{}
		for _, text := range texts {
			missing[text] = true
		}
		for len(missing) > 0 && lines.Scan() {
			seen = append(seen, lines.Text())
			delete(missing, lines.Text())
		}
		if len(missing) > 0 {
			t.Fatalf("logs -f has never shown %v: %q", missing, seen)
		}
	}
	expect(fmt.Sprintf("gateway coder: starting (pid %d)", first.PID), "gateway coder: ready")
	succeeds(t, pintle(c, "hermes", "restart", "gateway@coder"))
	second := status(t, c, "gateway@coder")
	expect("gateway coder: drained", "gateway coder: ended with 0: SIGTERM",
		fmt.Sprintf("gateway coder: starting (pid %d)", second.PID), "gateway coder: ready")

	// And what is kept has both runs, once.
	kept := succeeds(t, pintle(c, "hermes", "logs", "gateway@coder"))
	if strings.Join(seen, "\n")+"\n" != kept {
		t.Errorf("followed:\n%q\nkept:\n%q", seen, kept)
	}
	r := pintle(c, "hermes", "logs", "--tail", "1", "gateway@coder")
	if r.Stdout != "gateway coder: ready\n" {
		t.Errorf("the last line is %q", r.Stdout)
	}
}

// A signal reaches the leader, and only a manager's.
func TestSignal(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{}, "sleep", "infinity")
	succeeds(t, pintle(c, "hermes", "create", "gateway@coder"))
	says(t, pintle(c, "hermes", "signal", "HUP", "gateway@coder"), 0, "gateway@coder was sent SIGHUP")
	dockertest.Eventually(t, soon, func() (bool, string) { // the agent has no use for it, and dies of it
		s := status(t, c, "gateway@coder")
		return s.State == unit.Up && s.Run == 2 && s.Last.Exit.Signal == 1, fmt.Sprintf("%s: %s", s.State, s.Because)
	}, "it has died of SIGHUP and is back")
	says(t, pintle(c, "hermes", "signal", "NOSUCH", "gateway@coder"), 2, `cannot use signal "NOSUCH"`)
	succeeds(t, pintle(c, "hermes", "stop", "gateway@coder"))
	says(t, pintle(c, "hermes", "signal", "HUP", "gateway@coder"), 1, "it is not running")
}

// The shell completes live names, and every output has a form for machines.
func TestNamesAreCompletedAndListed(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{}, "sleep", "infinity")
	succeeds(t, pintle(c, "hermes", "create", "gateway@coder"))
	succeeds(t, pintle(c, "hermes", "create", "gateway@writer", "--down"))

	r := pintle(c, "hermes", "__complete", "stop", "gateway@default", "")
	if want := "main\tup\ndashboard\tdisabled\ngateway@coder\tup\ngateway@writer\tdown\n:4\n"; r.Stdout != want || r.Code != 0 {
		t.Errorf("the shell is told %s", r)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		says(t, pintle(c, "hermes", "completion", shell), 0, "__complete")
	}
	says(t, c.Exec("hermes", "bash", "-c", "source <(pintle completion bash) && complete -p pintle"), 0, "pintle")

	for _, test := range []struct {
		args string
		want string
	}{
		{"-o name", "main\ndashboard\ngateway@coder\ngateway@default\ngateway@writer\n"},
		{"-o name gateway@*", "gateway@coder\ngateway@default\ngateway@writer\n"},
		{"-o name gateway@[cw]*", "gateway@coder\ngateway@writer\n"},
		{"-o name gateway@coder main", "main\ngateway@coder\n"},
		{"-o name nosuch@*", ""},
	} {
		if r := pintle(c, "hermes", append([]string{"status"}, strings.Fields(test.args)...)...); r.Stdout != test.want || r.Code != 0 {
			t.Errorf("pintle status %s: %s", test.args, r)
		}
	}
	y := succeeds(t, pintle(c, "hermes", "status", "-o", "yaml", "gateway@coder"))
	if !strings.HasPrefix(y, "- name: gateway@coder\n  kind: instance\n  state: up\n  desired: up\n") {
		t.Errorf("as YAML it is\n%s", y)
	}
	s := statuses(t, pintle(c, "hermes", "status", "-o", "json"))
	if len(s) != 5 || s["gateway@coder"].State != unit.Up || s["gateway@writer"].State != unit.Down {
		t.Errorf("as JSON it is %+v", s)
	}
	says(t, pintle(c, "hermes", "status", "gateway@coder", "gateway@writer"), 3) // one of them is down
	says(t, pintle(c, "12345", "version"), 0, "pintle ", "linux/")
	if v := succeeds(t, pintle(c, "12345", "version", "-o", "json")); !json.Valid([]byte(v)) {
		t.Errorf("the version is %q", v)
	}
}

// The configuration is checked and shown inside the container, by whoever can
// read it; the check says nothing but that it is valid: all of it works.
func TestConfigCheckAndShow(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Flags: []string{"-e", "HERMES_DASHBOARD=yes"}}, "sleep", "infinity")
	for _, user := range []string{"root", "hermes", "12345"} {
		r := pintle(c, user, "config", "check")
		if says(t, r, 0, "configuration is valid"); strings.Count(r.Stdout+r.Stderr, "\n") != 1 {
			t.Errorf("the check says more than that: %s%s", r.Stdout, r.Stderr)
		}
		r = pintle(c, user, "config", "show")
		says(t, r, 0, "enabled: true  # HERMES_DASHBOARD is on", `names: "[a-z0-9][a-z0-9_-]{0,62}"`, "state_directory: /opt/data/.pintle", "stop_timeout: 9s")
	}
	// What is shown is a configuration again.
	says(t, c.Exec("", "sh", "-c", "pintle config show >/root/shown.yaml && pintle config check --config /root/shown.yaml"), 0, "configuration is valid")
}

// Environment values are secret: no output of any command shows one, to nobody.
func TestEnvironmentValuesAreNeverShown(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	image := manageImage(t, `
services:
  probe:
    command: [sh, -c, "test -n \"$$PROBE_KEY\" && echo have-key && exec sleep infinity"]
    user: hermes
    environment: {PROBE_KEY: hunter2-service}
  crash:
    command: [sh, -c, "exit 1"]
    environment: {CRASH_KEY: hunter2-crash}
  wrong:
    command: [/nosuch]
    environment: {WRONG_KEY: hunter2-wrong}
`,
		"user: hermes\n\nservices", "user: hermes\n  environment: {MAIN_KEY: hunter2-main}\n\nservices",
		`{HERMES_SUPERVISED_CHILD: "1"}`, `{HERMES_SUPERVISED_CHILD: "1", GATEWAY_KEY: hunter2-template, FROM_CONTAINER: "${CONTAINER_KEY}"}`,
		"gateway, run, --replace],", "gateway, run, --replace], environment: {DEFAULT_KEY: hunter2-override},",
	)
	c := boot(t, dockertest.Options{Image: image, Flags: []string{"-e", "CONTAINER_KEY=hunter2-container"}}, "sh", "-c", "test -n \"$MAIN_KEY\" && exec sleep infinity")
	becomes(t, c, "probe", unit.Up)
	prints(t, c, "have-key")
	succeeds(t, pintle(c, "hermes", "start", "gateway@default"))
	succeeds(t, pintle(c, "hermes", "create", "gateway@coder"))
	environ := succeeds(t, c.Exec("hermes", "cat", fmt.Sprintf("/proc/%d/environ", status(t, c, "gateway@coder").PID)))
	for _, value := range []string{"GATEWAY_KEY=hunter2-template", "FROM_CONTAINER=hunter2-container"} {
		if !strings.Contains(environ, value) {
			t.Errorf("the gateway itself has no %s: %q", value, environ)
		}
	}

	const script = `
		units='main dashboard probe crash wrong gateway@default gateway@coder'
		for form in table wide json yaml name; do pintle status -o $form; done
		for unit in $units; do
			pintle why $unit
			pintle why -o json $unit
			pintle status -o json $unit
			pintle logs $unit
		done
		pintle config show
		pintle config check
		pintle healthcheck
		pintle restart gateway@coder
		pintle start crash
		pintle signal 0x1 gateway@coder
		timeout 1 pintle status --watch -o json
		true`
	for _, user := range []string{"root", "hermes", "12345"} {
		r := c.Exec(user, "env", "-u", "CONTAINER_KEY", "sh", "-c", script) // config show expands it from the asker's own
		if user == "root" {
			r = c.Exec(user, "sh", "-c", script)
		}
		said := r.Stdout + r.Stderr
		if !strings.Contains(said, "gateway@coder") || r.Code != 0 {
			t.Errorf("%s sees nothing at all: %s", user, r)
		}
		for line := range strings.Lines(said) {
			if strings.Contains(line, secret) {
				t.Errorf("%s sees a secret: %s", user, line)
			}
		}
	}
	stdout, stderr := c.Logs()
	if strings.Contains(stdout+stderr, secret) {
		t.Errorf("the container has printed a secret:\n%s%s", stdout, stderr)
	}
	r := c.Exec("root", "grep", "-rl", secret, "/opt/data", "/run", "/tmp", "/var")
	if r.Code != 1 {
		t.Errorf("a secret was written to a file: %s", r)
	}
}

// why answers in words: what it is and since when, why, who wanted that, how the
// last run ended, what comes next, and what a person can do.
func TestPromise6WhyAnswersInWords(t *testing.T) {
	t.Parallel()
	image := manageImage(t, `
services:
  off:
    enabled: ${PROBE:-false}
    command: [sleep, infinity]
templates:
  broken:
    command: [nosuch, "%i"]
    instances: {managers: [hermes]}
`)
	c := boot(t, dockertest.Options{Image: image, Flags: []string{
		"-e", "HERMES_DASHBOARD=1", "-e", "HERMES_DASHBOARD_READY_AFTER=1h",
	}}, "sleep", "infinity")
	for name, conf := range map[string]string{
		"crashing": "HERMES_GATEWAY_EXIT=1",
		"refusing": "HERMES_GATEWAY_EXIT=78",
		"finished": "HERMES_GATEWAY_EXIT=0",
		"stubborn": "HERMES_GATEWAY_IGNORE_TERM=1",
	} {
		manageConf(t, c, name, conf)
	}
	succeeds(t, c.Exec("hermes", "sh", "-ec", `
		for name in running stopped killed stubborn; do pintle create gateway@$name; done
		for name in crashing refusing finished; do pintle create --no-wait gateway@$name; done
		pintle create --no-wait broken@x
		pintle stop gateway@stopped
		pintle signal KILL gateway@killed`))
	succeeds(t, pintle(c, "hermes", "wait", "gateway@killed", "--for", "up"))
	succeeds(t, pintle(c, "hermes", "stop", "--no-wait", "gateway@stubborn"))

	const byHermes = `by uid 10000 \(pintle, pid \d+\)`
	for _, test := range []struct {
		user, unit string
		says       []string // expressions
	}{
		{"hermes", "gateway@stubborn", []string{
			`^gateway@stubborn has been stopping for .*, in run 1`,
			`Why: +being stopped ` + byHermes,
			`Next: +it is down once no process of this run is left; SIGKILL follows in [\d.]+ s`,
			`pintle signal KILL gateway@stubborn +kills its leader now`}},
		{"hermes", "gateway@default", []string{
			`^gateway@default has been down for .*: no process of it is left\.`,
			`Why: +nobody has started it\.`,
			`Wanted: +down, as declared, since the container started`,
			`Next: +nothing, until somebody asks\.`,
			`pintle start gateway@default +starts it`}},
		{"hermes", "gateway@running", []string{
			`^gateway@running has been up for .*, in run 1 with pid \d+\.`,
			`Why: +started ` + byHermes,
			`Wanted: +up, asked for ` + byHermes,
			`Next: +it stays up`,
			`pintle stop gateway@running +stops it`}},
		{"hermes", "gateway@stopped", []string{
			`^gateway@stopped has been down`,
			`Why: +stopped ` + byHermes,
			`Last: +run 1 \(pid \d+\) exited with code 0 after .*; it was asked to end ` + byHermes + `\.`}},
		{"hermes", "gateway@killed", []string{
			`^gateway@killed has been up for .*, in run 2`,
			`Why: +started again after run 1 was killed by SIGKILL`,
			`Last: +run 1 .* was killed by SIGKILL .*; uid 10000 \(pintle, pid \d+\) sent that by way of pintle`}},
		{"hermes", "gateway@crashing", []string{
			`^gateway@crashing has been down for .*, between two runs: it will be started again\.`,
			`Why: +it exited with code 1 after`,
			`Wanted: +up`,
			`Next: +run \d+ starts `,
			`pintle start gateway@crashing +starts it now`}},
		{"hermes", "gateway@refusing", []string{
			`^gateway@refusing has failed, and has been given up`,
			`Why: +it exited with code 78 after .*, and exit_codes says what follows\.`,
			`Next: +nothing, until somebody asks\.`,
			`pintle logs --tail 20 gateway@refusing +shows what it wrote`}},
		{"hermes", "gateway@finished", []string{
			`^gateway@finished has been done .*: it ended by itself, as it should\.`,
			`Why: +it exited with code 0 after .*, and restart is on-failure\.`}},
		{"hermes", "broken@x", []string{
			`^broken@x `,
			`Why: +cannot execute nosuch: there is no such program in PATH`,
			`Last: +run \d+ could not be executed`}},
		{"root", "dashboard", []string{
			`^dashboard has been starting`,
			`Why: +waiting for 127\.0\.0\.1:9119 to accept a connection: 127\.0\.0\.1:9119 refuses connections\.`,
			`Next: +it is up once it is ready by tcp 127\.0\.0\.1:9119\.`}},
		{"root", "off", []string{
			`^off is disabled: it does not run in this container\.`,
			`Why: +PROBE is not set\.`}},
		{"root", "main", []string{
			`^main has been up`,
			`Why: +started with the container\.`,
			`pintle signal TERM main +asks it to end, and the container with it`}},
	} {
		var text string
		missing := func() string {
			text = pintle(c, test.user, "why", test.unit).Stdout
			for _, expression := range test.says {
				if !regexp.MustCompile(expression).MatchString(text) {
					return expression
				}
			}
			return ""
		}
		// One that crashes again and again is between two runs most of the time, but not always.
		dockertest.Eventually(t, soon, func() (bool, string) {
			lacks := missing()
			return lacks == "", fmt.Sprintf("it does not match %q:\n%s", lacks, text)
		}, "why answers for "+test.unit)
		if lines := strings.Count(text, "\n"); lines > 10 {
			t.Errorf("the answer for %s does not fit on a screen:\n%s", test.unit, text)
		}
	}
	says(t, pintle(c, "hermes", "why", "gateway@nosuch"), 4, "there is no such instance")
}

// manageImage derives an image from the reference's: more is a second file of
// configuration, if it is not empty, and each pair of replacements a text of the
// first one and what stands there instead.
func manageImage(t *testing.T, more string, replacements ...string) string {
	t.Helper()
	text, err := os.ReadFile("../../examples/hermes/pintle.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := string(text)
	for i := 0; i < len(replacements); i += 2 {
		if !strings.Contains(config, replacements[i]) {
			t.Fatalf("the reference configuration has no %q", replacements[i])
		}
		config = strings.Replace(config, replacements[i], replacements[i+1], 1)
	}
	files := map[string]string{"etc/pintle.yaml": config}
	if more != "" {
		files["etc/conf.d/more.yaml"] = more
	}
	return dockertest.Derive(t, "FROM reference\nCOPY etc /etc/pintle/\n", files)
}

// manageConf makes a profile, as hermes, whose gateway is to behave as conf says.
func manageConf(t *testing.T, c *dockertest.Container, profile, conf string) {
	t.Helper()
	succeeds(t, c.Exec("hermes", "sh", "-c", `mkdir -p "profiles/$1" && echo "$2" >"profiles/$1/gateway.conf"`, "sh", profile, conf))
}

// manageLook returns what a user sees of all units, and the processes with a command line.
func manageLook(t *testing.T, c *dockertest.Container, user, args string) (map[string]engine.Status, []dockertest.Process) {
	t.Helper()
	r := c.Exec(user, "sh", "-c", "pintle status -o json; ps -ww -eo pid,uid,args --no-headers >&2")
	var found []dockertest.Process
	for line := range strings.Lines(r.Stderr) {
		var p dockertest.Process
		f := strings.Fields(line)
		if p.Args = strings.Join(f[2:], " "); p.Args != args {
			continue
		}
		if _, err := fmt.Sscan(f[0]+" "+f[1], &p.PID, &p.UID); err != nil {
			t.Fatalf("cannot read what ps printed: %q", line)
		}
		found = append(found, p)
	}
	return statuses(t, r), found
}

// manageTry is a pintle command that is to be refused: with which code, and in which words.
type manageTry struct {
	code int
	rule string
	args []string
}

// manageRefused lets a user try commands, one after the other in one shell, and
// fails the test for each that does something else than to refuse: it must not
// even change what he himself sees.
func manageRefused(t *testing.T, c *dockertest.Container, user string, tries []manageTry) {
	t.Helper()
	const end = "\n=== end of try ===\n"
	var script strings.Builder
	script.WriteString("units() { pintle status -o json; }\nbefore=$(units)\n")
	for _, try := range tries {
		script.WriteString("said=$(pintle")
		for _, arg := range try.args {
			script.WriteString(" " + manageQuote(arg))
		}
		script.WriteString(" 2>&1); echo \"$? $said\"\n")
		script.WriteString("[ \"$(units)\" = \"$before\" ] || echo THE UNITS CHANGED\n")
		script.WriteString("printf '" + strings.ReplaceAll(end, "\n", `\n`) + "'\n")
	}
	r := c.Exec(user, "bash", "-c", script.String())
	answers := strings.Split(r.Stdout, end)
	if len(answers) != len(tries)+1 || r.Code != 0 {
		t.Fatalf("%d answers to %d tries: %s", len(answers)-1, len(tries), r)
	}
	for i, try := range tries {
		code, said, _ := strings.Cut(answers[i], " ")
		if code != fmt.Sprint(try.code) || !strings.Contains(said, try.rule) {
			t.Errorf("pintle %q as %s: want exit code %d and %q, got %s: %s", try.args, user, try.code, try.rule, code, said)
		}
		if strings.Contains(said, "CHANGED") || strings.Contains(said, "panic") || strings.ContainsAny(said, "\x1b\u202e") {
			t.Errorf("pintle %q as %s: %q", try.args, user, said)
		}
	}
}

// manageQuote is a word for bash, of printable ASCII only: Docker's own protocol carries nothing that is not UTF-8.
func manageQuote(s string) string {
	var b strings.Builder
	b.WriteString("$'")
	for i := range len(s) {
		fmt.Fprintf(&b, `\x%02x`, s[i])
	}
	b.WriteString("'")
	return b.String()
}

// manageState is all that somebody could have changed.
type manageState struct{ units, processes, files string }

func manageSnapshot(t *testing.T, c *dockertest.Container) manageState {
	t.Helper()
	return manageState{
		units:     succeeds(t, pintle(c, "root", "status", "-o", "json")),
		processes: fmt.Sprint(c.Top()),
		files:     manageFiles(t, c),
	}
}

// manageFiles lists every file there is, with owner, mode, size and time; the times of the leases leave out,
// where pintle shows every few seconds that it lives.
func manageFiles(t *testing.T, c *dockertest.Container) string {
	t.Helper()
	return succeeds(t, c.Exec("root", "sh", "-c",
		`find / -xdev -printf '%p %U:%G %m %s %T@\n' | sort
		find /opt/data /dev/shm -path '*/.pintle/leases*' -printf '%p %U:%G %m\n' -o -printf '%p %U:%G %m %s %T@\n' | sort`))
}

// manageUnchanged fails the test when the units, processes or files are not as they were.
func manageUnchanged(t *testing.T, c *dockertest.Container, before manageState, by string) {
	t.Helper()
	now := manageSnapshot(t, c)
	for _, part := range []struct{ what, before, now string }{
		{"units", before.units, now.units}, {"processes", before.processes, now.processes}, {"files", before.files, now.files},
	} {
		if part.before != part.now {
			t.Errorf("%s changed the %s: %s", by, part.what, manageDiff(part.before, part.now))
		}
	}
}

// manageDiff has the lines that are not in both texts.
func manageDiff(before, now string) string {
	lines := func(text string) map[string]bool {
		set := map[string]bool{}
		for line := range strings.Lines(text) {
			set[line] = true
		}
		return set
	}
	was, is := lines(before), lines(now)
	var b strings.Builder
	for line := range strings.Lines(before) {
		if !is[line] {
			b.WriteString("\n- " + strings.TrimSpace(line))
		}
	}
	for line := range strings.Lines(now) {
		if !was[line] {
			b.WriteString("\n+ " + strings.TrimSpace(line))
		}
	}
	return b.String()
}
