package reference_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// TestU64: a lock in the log directory, left behind or held in another container, had the logger of every other one fail
// several times a second, for ever. Here there is no lock: whatever is of that name is let be, containers that write to the same
// directory at the same time lose no line, and nothing is said about it.
func TestU64(t *testing.T) {
	t.Parallel()
	image := logsImage(t, map[string]string{"shared": `
main: {command: [sleep, infinity]}
services:
  a: {command: [talk, a], user: hermes, log: {directory: /opt/data/logs/shared, console: none, rotate: {size: 50KB, keep: 1000}}}
`})
	volume := prepareVolume(t, "mkdir -p /opt/data/logs/shared; touch /opt/data/logs/shared/lock; chmod 0600 /opt/data/logs/shared/lock; chown -R 10000:10000 /opt/data; chown 0:0 /opt/data/logs/shared/lock")
	const lines = 20_000
	var all []*dockertest.Container
	for range 2 {
		c := boot(t, lifeOptions(image, "shared", "-v", volume+":/opt/data"))
		succeeds(t, c.Exec("0", "sh", "-c", `perl -MFcntl=:flock -e 'open F, ">>", "/opt/data/logs/shared/lock"; flock F, LOCK_EX|LOCK_NB; sleep 1000' >/dev/null 2>&1 &`))
		all = append(all, c)
	}
	for i, c := range all {
		tell(t, c, "a", "await /opt/data/go")
		tell(t, c, "a", fmt.Sprintf("flood writer%d %d", i, lines))
	}
	succeeds(t, all[0].Exec("0", "touch", "/opt/data/go"))
	for i, c := range all {
		holds(t, c, fmt.Sprintf("cd logs/shared && cat *.log current | grep -c ' out writer%d 000'", i), fmt.Sprint(lines))
	}
	// Each is there once. Of files that two set aside at once, the names need not be in order.
	text := succeeds(t, all[0].Exec("hermes", "sh", "-c", "cd logs/shared && cat *.log current | grep -o 'writer[01] [0-9]* ' | sort"))
	for i, c := range all {
		if err := flooded(text, fmt.Sprint("writer", i), 1, lines); err != nil {
			t.Error(err)
		}
		conditions(t, c, "")
		if stdout, stderr := c.Logs(); stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("something is said about it: %s%s", stdout, stderr)
		}
	}
}

// TestU65: what a gateway wrote while its logger was still seeing to the owner of its directory was lost, the banner of
// its start first of all. Here its pipe is there before it is, and is read to its end: the first line and the last one are in
// the container's output, in pintle logs and in the file, of a gateway that starts with the container, in a directory that
// is to be given to its user first, writes more than a pipe holds, and ends at once.
func TestU65(t *testing.T) {
	t.Parallel()
	volume := prepareVolume(t, `cd /opt/data; mkdir -p logs/gateways/old; touch logs/gateways/old/{1..2000}; echo '{"desired_state": "running"}' >gateway_state.json
printf 'HERMES_GATEWAY_FLOOD=200KB\nHERMES_GATEWAY_EXIT=78\n' >gateway.conf`)
	c := boot(t, dockertest.Options{Flags: []string{"-v", volume + ":/opt/data"}}, "sleep", "infinity")
	becomes(t, c, "gateway@default", unit.Failed)
	holds(t, c, "grep -c 'gateway default: ended with 78' logs/gateways/default/current", "1")
	prints(t, c, "gateway default: ended with 78")
	_, stderr := c.Logs()
	for what, text := range map[string]string{
		"docker logs": stderr,
		"pintle logs": succeeds(t, pintle(c, "hermes", "logs", "gateway@default")),
		"the file":    succeeds(t, c.Exec("hermes", "cat", "logs/gateways/default/current")),
	} {
		lifeInOrder(t, text, "gateway default: starting (pid ", "flood default 0000000001 ", "flood default 0000002000 ")
		if n := strings.Count(text, "flood default "); n != 2000 {
			t.Errorf("%s has %d lines, want 2000", what, n)
		}
	}
}

// TestU66: whether a gateway runs was guessed from pid files and process lists, wrongly, and nothing said why one did not.
// Here it is what pintle itself knows, and each state has its reason.
func TestU66(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{}, "sleep", "infinity")
	const command = "hermes gateway run --replace"
	at := func(state unit.State, because string) {
		t.Helper()
		dockertest.Eventually(t, soon, func() (bool, string) {
			s := status(t, c, "gateway@default")
			why := pintle(c, "hermes", "why", "gateway@default").Stdout
			return s.State == state && regexp.MustCompile(because).MatchString(why), fmt.Sprintf("%s: %s\n%s", s.State, s.Because, why)
		}, fmt.Sprintf("it is %s because of %q", state, because))
		p, running := find(c.Top(), command)
		if s := status(t, c, "gateway@default"); running != (state == unit.Up) || running && p.PID != s.PID {
			t.Errorf("it is %s with pid %d, and there is %+v", s.State, s.PID, p)
		}
	}
	// The pid of somebody who is there, and a process that looks like a gateway.
	succeeds(t, c.Exec("hermes", "sh", "-c", "echo 1 >gateway.pid; bash -c 'exec -a \"hermes -p default gateway run\" sleep 1000' >/dev/null 2>&1 &"))
	at(unit.Down, "nobody has started it")
	succeeds(t, pintle(c, "hermes", "start", "gateway@default"))
	at(unit.Up, "started by uid 10000|asked for by uid 10000")
	succeeds(t, c.Exec("hermes", "kill", "-9", fmt.Sprint(status(t, c, "gateway@default").PID)))
	at(unit.Up, "run 1 .* was killed by SIGKILL")
	succeeds(t, pintle(c, "hermes", "stop", "gateway@default"))
	at(unit.Down, "stopped by uid 10000")
	succeeds(t, c.Exec("hermes", "sh", "-c", "echo HERMES_GATEWAY_EXIT=78 >gateway.conf"))
	says(t, pintle(c, "hermes", "start", "gateway@default"), 1, "exited with code 78")
	at(unit.Failed, "exited with code 78")
	says(t, pintle(c, "hermes", "status", "gateway@default"), 3, "exited with code 78")
}

// TestU67: a start exited with 0, and nothing had been started. Whatever keeps it from that, the start fails and says what;
// only --no-wait is content with the wish, and says no more than that.
func TestU67(t *testing.T) {
	t.Parallel()
	image := manageImage(t, `
services:
  missing: {command: [/nosuch], enabled: true, restart: never}
  never: {command: [sleep, infinity], readiness: {exec: ["false"], period: 100ms}, depends_on: [missing]}
`)
	c := boot(t, dockertest.Options{Image: image}, "sleep", "infinity")
	becomes(t, c, "never", unit.Failed)
	for _, try := range []struct {
		args string
		code int
		says string
	}{
		{"start dashboard", 1, "it is disabled in this container: HERMES_DASHBOARD is not set"},
		{"start missing", 1, "cannot execute /nosuch"},
		{"restart missing", 1, "cannot execute /nosuch"},
		{"start never", 1, "cannot start never: "},
		{"start gateway@nosuch", 4, "there is no such instance"},
		{"start gateway@default missing", 1, "cannot start missing: "},
		{"start --no-wait missing", 0, "missing is asked to be up"},
	} {
		r := pintle(c, "0", strings.Fields(try.args)...)
		if text := r.Stdout + r.Stderr; r.Code != try.code || !strings.Contains(text, try.says) || try.code != 0 && strings.Contains(r.Stdout, "missing is up") {
			t.Errorf("%s: want %d and %q: %s", try.args, try.code, try.says, r)
		}
	}
	becomes(t, c, "gateway@default", unit.Up) // the one that could be started
}

// TestU69: log files had no dates, and grew without end. Here each line has its time, whatever the unit writes; and
// however much it writes, its directory is never larger than it may be.
func TestU69(t *testing.T) {
	t.Parallel()
	image := logsImage(t, map[string]string{"bounded": `
main: {command: [sleep, infinity]}
services:
  a: {command: [talk, a], user: hermes, log: {directory: /opt/data/logs/a, rotate: {size: 100KB, keep: 8, total: 400KB}}}
prepare: {directories: [{path: /opt/data, owner: hermes}]}
`})
	c := boot(t, lifeOptions(image, "bounded"))
	const lines = 100_000
	tell(t, c, "a", `bytes \n\n\000\r\nno date\n`)
	// The largest that the directory is found to be until the flood is over.
	out := succeeds(t, c.Exec("hermes", "timeout", "50", "sh", "-c", fmt.Sprintf(`echo flood a %d >/talk/a; cd logs/a; most=0; until tail -n 1 current | grep -q ' a %08[1]d '; do
n=$(ls -l | awk '{ n += $5 } END { print n }'); test "$n" -gt "$most" && most=$n; done; echo $most; ls | wc -l; cat * | grep -avE '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z ' | wc -l`, lines)))
	var most, files, undated int
	if _, err := fmt.Sscan(out, &most, &files, &undated); err != nil || most > 500_000 || most < 100_000 || files > 5 || undated != 0 {
		t.Errorf("%v: it had up to %d bytes, has %d files, and %d lines have no date", err, most, files, undated)
	}
}
