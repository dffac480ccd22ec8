package reference_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pintle/internal/engine"
	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// What a process of a unit says on /dev/log, by logger(1), is a line of that unit, beside what it writes; main's is
// main's. What somebody else says there is nobody's, and pintle says so.
func TestWhatIsSaidOnDevLogIsTheUnits(t *testing.T) {
	t.Parallel()
	image := logsImage(t, map[string]string{"devlog": `
main: {command: [sh, -c, "logger -t mainly from main; exec sleep infinity"]}
log: {socket: /dev/log}
services:
  a: {command: [talk, a], user: nobody}
  b: {command: [talk, b], user: hermes}
`})
	c := boot(t, lifeOptions(image, "devlog"))
	said := func(name, want string) {
		t.Helper()
		dockertest.Eventually(t, soon, func() (bool, string) {
			var got []string
			for _, l := range readLogs(t, c, name) {
				if l.Stream == engine.Syslog {
					got = append(got, l.Text)
				}
			}
			return strings.Join(got, "\n") == want, strings.Join(got, "\n")
		}, name+" has said what it should")
	}
	for _, name := range []string{"a", "b"} {
		tell(t, c, name, "out written by "+name)
		tell(t, c, name, "log said by "+name)
	}
	// Strangers: one that is gone at once, and one that is there while it is heard, of the user of a unit.
	succeeds(t, c.Exec("12345", "logger", "-t", "stranger", "a stranger was here"))
	succeeds(t, c.Exec("hermes", "sh", "-c", `perl -MSocket -e 'socket S, AF_UNIX, SOCK_DGRAM, 0 or die; connect S, sockaddr_un("/dev/log") or die $!;
send S, "<13>stranger: a stranger is here", 0 or die $!; open F, ">", "/talk/sent"; select undef, undef, undef, 0.01 until -e "/talk/heard"' >/dev/null 2>&1 &
timeout 30 sh -c 'until test -e /talk/sent; do sleep 0.01; done'`))
	prints(t, c, "pintle | cannot take a line on the log socket from process ")
	tell(t, c, "a", "log at last") // behind what the strangers have said
	said("a", "user.notice a: said by a\nuser.notice a: at last")
	succeeds(t, c.Exec("0", "touch", "/talk/heard"))
	said("b", "user.notice b: said by b")
	said("main", "user.notice mainly: from main")
	if got := wrote(readLogs(t, c, "a")); !strings.Contains(got, "a written by a") {
		t.Errorf("a has %q", got)
	}
	if stdout, stderr := c.Logs(); strings.Contains(stdout+stderr, "a stranger ") || !strings.Contains(stderr, "b | user.notice b: said by b\n") {
		t.Errorf("docker logs shows %q", stderr)
	}
}

// What a secret variable holds is nowhere to be read: not in docker logs, nor in pintle logs, why and runs, nor in any file
// that is kept; wherever the variable came from, whichever way the line took, and also where it was written in pieces.
func TestSecretsAreNowhere(t *testing.T) {
	t.Parallel()
	const outer, inner, filed = "outer-s3cret/+=", "inner-s3cret", "filed-s3cret"
	image := logsImage(t, map[string]string{"secrets": `
main: {command: [sleep, infinity]}
log: {socket: /dev/log, secrets: [API_KEY, "*_TOKEN"]}
state_directory: /opt/data/.pintle
services:
  a:
    command: [sh, -c, 'env; echo "out $$API_KEY."; echo "err $$IN_TOKEN," >&2; printf %s "in $${IN_TOKEN%cret}"; printf "%s\n" "cret pieces";
      logger -t a "log $$FILE_TOKEN"; echo "last words $$API_KEY$$FILE_TOKEN"; exit 3']
    user: hermes
    restart: never
    environment: {IN_TOKEN: inner-s3cret, OPEN: not-secret}
    env_file: [/etc/pintle/a.env]
    log: {directory: /opt/data/logs/a}
prepare:
  directories:
    - {path: /opt/data, owner: hermes}
`})
	image = dockertest.Derive(t, "FROM "+image+"\nRUN echo FILE_TOKEN="+filed+" >/etc/pintle/a.env\n", nil)
	c := boot(t, lifeOptions(image, "secrets", "-e", "API_KEY="+outer))
	becomes(t, c, "a", unit.Failed)
	holds(t, c, "grep -c 'last words' logs/a/current", "1")
	dockertest.Eventually(t, soon, func() (bool, string) {
		r := pintle(c, "0", "logs", "a")
		return strings.Contains(r.Stdout, "user.notice a: log "), r.String()
	}, "what it said by logger(1) is heard")

	stdout, stderr := c.Logs()
	shown := map[string]string{
		"docker logs":       stdout + stderr,
		"pintle logs":       succeeds(t, pintle(c, "0", "logs", "a")),
		"logs -o json":      succeeds(t, pintle(c, "0", "logs", "-o", "json", "a")),
		"pintle why":        pintle(c, "0", "why", "a").Stdout,
		"pintle runs":       pintle(c, "0", "runs", "a").Stdout,
		"pintle status":     pintle(c, "0", "status", "-o", "json").Stdout,
		"the file":          succeeds(t, c.Exec("hermes", "cat", "logs/a/current")),
		"files in the home": c.Exec("0", "grep", "-raE", strings.Join([]string{outer[:12], inner, filed}, "|"), "/opt/data").Stdout,
	}
	for what, text := range shown {
		lifeLacks(t, what, text, outer, inner, filed, "inner-s3")
	}
	for _, what := range []string{"docker logs", "pintle logs", "the file"} {
		for _, want := range []string{"out ***.", "err ***,", "in *** pieces", "user.notice a: log ***", "last words ***", "IN_TOKEN=***", "OPEN=not-secret"} {
			if !strings.Contains(shown[what], want) {
				t.Errorf("%s lacks %q:\n%s", what, want, shown[what])
			}
		}
	}
	// What was read last is the end of any of its three streams.
	if !regexp.MustCompile(`Wrote: +(last words \*\*\*|err \*\*\*|user.notice a: log \*\*\*)`).MatchString(shown["pintle why"]) {
		t.Errorf("why does not show what it wrote last:\n%s", shown["pintle why"])
	}
	if !json.Valid([]byte(shown["pintle status"])) || slices.Contains([]string{shown["pintle runs"], shown["pintle status"]}, "") {
		t.Errorf("runs and status: %q, %q", shown["pintle runs"], shown["pintle status"])
	}
}
