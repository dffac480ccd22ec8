package reference_test

import (
	"fmt"
	"strings"
	"testing"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// lifeGets has a service for each thing that a container may be too restricted for, and one with all that never needs
// a right. Each service says what it has in one line.
// That many of them fail together is meant so, and no storm.
const lifeGets = `
governor: {storm: off}
main: {command: [sleep, infinity]}
services:
  plain:
    command: [sh, -c, "LINE"]
    umask: "0027"
    ulimits: {nofile: {soft: 100, hard: 200}, core: 0}
    nice: 5
    oom_score_adj: 500
    no_new_privileges: true
    env_file: [/etc/pintle/cases/fine.env, {path: /etc/nosuch.env, required: false}]
    environment: {SECOND: declared}
  bounded: {command: [sh, -c, "LINE"], capabilities: [NET_BIND_SERVICE, KILL]}
  none: {command: [sh, -c, "LINE"], capabilities: []}
  ambient:
    command: [sh, -c, "LINE"]
    user: "10000:10000"
    capabilities: [NET_BIND_SERVICE]
    ambient_capabilities: [NET_BIND_SERVICE]
  port: {command: [life, serve, "0.0.0.0:80"], user: "10000:10000", ambient_capabilities: [NET_BIND_SERVICE], readiness: {tcp: "127.0.0.1:80"}}
  portless: {command: [life, serve, "0.0.0.0:81"], user: "10000:10000", restart: never}
  nicer: {command: [sh, -c, "LINE"], nice: -5}
  safer: {command: [sh, -c, "LINE"], oom_score_adj: -500}
  larger: {command: [sh, -c, "LINE"], ulimits: {memlock: unlimited}}
  raised: {command: [sh, -c, "LINE"], capabilities: [SYS_ADMIN], ambient_capabilities: [SYS_ADMIN]}
  fileless: {command: [sh, -c, "LINE"], env_file: [/etc/nosuch.env]}
  talks:
    command: [sh, -c, "trap 'cat $$PINTLE_STOP_FILE; exit 0' TERM; life notify STATUS=well READY=1; while :; do sleep 0.05; done"]
    readiness: {notify: true}
`

// lifeLine says what a process has, on one line. Fields of /proc/self/status are tab-separated.
const lifeLine = `echo has u=$(umask) f=$(ulimit -Sn)/$(ulimit -Hn) c=$(ulimit -c) n=$(nice) o=$(cat /proc/self/oom_score_adj) ` +
	`$(grep -E '^(CapBnd|CapPrm|CapEff|CapAmb|NoNewPrivs|Uid)' /proc/self/status | cut -f1,2) a=$FIRST b=$SECOND.; exec sleep infinity`

// What a unit declares about its process is what the process has, and where the
// container forbids it, why says so in one sentence, and nothing else suffers
// (docs/configuration.md, "What a process gets"; promises 1 and 6, U21, U23).
func TestWhatAProcessGets(t *testing.T) {
	t.Parallel()
	image := lifeImage(t, map[string]string{
		"gets": strings.ReplaceAll(lifeGets, "LINE", strings.ReplaceAll(lifeLine, "$", "$$")),
	})
	image = dockertest.Derive(t, "FROM "+image+"\nCOPY fine.env /etc/pintle/cases/\n", map[string]string{
		"fine.env": "# a comment\nFIRST='of the file'\nSECOND=of-the-file\n",
	})
	const (
		netBind, netBindAndKill = "0000000000000400", "0000000000000420"
		zero                    = "0000000000000000"
		plain                   = "u=0027 f=100/200 c=0 n=5 o=500 "
		files                   = "a=of the file b=declared."
		notThere                = "pintle does not have it"
		noResource, noNice      = "only CAP_SYS_RESOURCE makes it", "only CAP_SYS_NICE makes it less than pintle's own"
	)
	for _, r := range []struct {
		name  string
		flags []string
		nnp   bool // everything has no_new_privs
		// what each service has, or in parentheses what why says of it
		has map[string]string
	}{
		{name: "default Docker", has: map[string]string{
			"bounded": "CapPrm: " + netBindAndKill + " CapEff: " + netBindAndKill + " CapBnd: " + netBindAndKill + " CapAmb: " + zero,
			"none":    "CapPrm: " + zero + " CapEff: " + zero + " CapBnd: " + zero,
			"ambient": "Uid: 10000 CapPrm: " + netBind + " CapEff: " + netBind + " CapBnd: " + netBind + " CapAmb: " + netBind,
			"port":    "serving",
		}},
		{name: "no capabilities", flags: []string{"--cap-drop", "ALL"}, has: map[string]string{
			"bounded": "CapPrm: " + zero, "none": "CapBnd: " + zero,
			"ambient": "(cannot run as user hermes (uid 10000)", "port": "(cannot run as user hermes (uid 10000)",
		}},
		{name: "as 12345", flags: []string{"--user", "12345"}, has: map[string]string{
			// The bounding set can't be made smaller, but no_new_privs keeps everything in it from being had.
			"bounded": "CapPrm: " + zero + " CapEff: " + zero, "none": "CapPrm: " + zero + " CapEff: " + zero,
			"ambient": "(" + notThere, "port": "(cannot give the ambient capability NET_BIND_SERVICE: " + notThere,
		}},
		{name: "read-only", flags: []string{"--read-only", "--tmpfs", "/run", "--tmpfs", noData}, has: map[string]string{
			"bounded": "CapBnd: " + netBindAndKill, "none": "CapBnd: " + zero,
			"ambient": "CapAmb: " + netBind, "port": "serving",
		}},
		{name: "no new privileges", flags: []string{"--security-opt", "no-new-privileges"}, nnp: true, has: map[string]string{
			"bounded": "CapBnd: " + netBindAndKill, "none": "CapBnd: " + zero,
			"ambient": "CapAmb: " + netBind, "port": "serving",
		}},
		{name: "all at once", nnp: true, flags: []string{"--user", "12345", "--cap-drop", "ALL", "--read-only", "--tmpfs", noData, "--security-opt", "no-new-privileges"},
			has: map[string]string{"bounded": "CapBnd: " + zero, "none": "CapBnd: " + zero, "ambient": "(" + notThere, "port": "(" + notThere}},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			has := map[string]string{
				"plain": plain + "Uid: ", "nicer": "(" + noNice, "safer": "(" + noResource, "larger": "(" + noResource,
				"raised": "(cannot give the ambient capability SYS_ADMIN: ", "fileless": "(cannot use env_file: ",
			}
			for name, text := range r.has {
				has[name] = text
			}
			// Docker lets everybody bind every port, unless it is told.
			c := boot(t, lifeOptions(image, "gets", append(r.flags, "--sysctl", "net.ipv4.ip_unprivileged_port_start=1024", "--ulimit", "memlock=65536:65536")...))
			main := becomes(t, c, "main", unit.Up)
			becomes(t, c, "talks", unit.Up)
			for name, text := range has {
				if sentence, forbidden := strings.CutPrefix(text, "("); forbidden {
					lifeForbidden(t, c, name, sentence)
					continue
				}
				becomes(t, c, name, unit.Up)
				var line string
				dockertest.Eventually(t, soon, func() (bool, string) {
					line = strings.ReplaceAll(succeeds(t, pintle(c, "0", "logs", name)), "\t", " ")
					return strings.Contains(line, "has u=") || strings.Contains(line, "serving"), line
				}, name+" says what it has")
				for _, word := range strings.SplitAfter(text, " Cap") {
					if word = strings.TrimSuffix(word, " Cap"); !strings.Contains(line, word) {
						t.Errorf("%s has not %q: %s", name, word, line)
					}
				}
				nnp := "NoNewPrivs: 0"
				if r.nnp || name == "plain" || r.name == "as 12345" && (name == "bounded" || name == "none") {
					nnp = "NoNewPrivs: 1"
				}
				if !strings.Contains(line, "serving") && !strings.Contains(line, nnp) || name == "plain" && !strings.Contains(line, files) {
					t.Errorf("%s has not %q, or %q: %s", name, nnp, files, line)
				}
			}
			// The control: without the capability the port can't be had.
			says(t, pintle(c, "0", "why", "portless"), 0, "portless has failed")
			if s := status(t, c, "main"); s.State != unit.Up || s.PID != main.PID {
				t.Errorf("main was %+v and is %+v", main, s)
			}
			// It is told of its stop in a file, also where there is nothing but one tmpfs to write to.
			says(t, pintle(c, "0", "why", "talks"), 0, "Says:    well")
			succeeds(t, pintle(c, "0", "stop", "talks"))
			says(t, pintle(c, "0", "logs", "talks"), 0, `"unit":"talks","run":1,"reason":"asked","then":"end","actor":"uid 0 (pintle, pid `, `"deadline":"`)
			if left := c.Exec("0", "sh", "-c", "ls /run/pintle/runs /tmp/pintle/runs /dev/shm/pintle/runs 2>/dev/null | grep -E 'stop|notify'"); left.Stdout != "" {
				t.Errorf("files of the run are left: %s", left)
			}
			if code, _ := c.Stop("-t", "60"); code != 128+15 {
				t.Errorf("the container's exit code is %d, want main's 143", code)
			}
		})
	}
}

// lifeForbidden fails the test unless a unit is known not to be executable, and why says so in one sentence.
func lifeForbidden(t *testing.T, c *dockertest.Container, name, sentence string) {
	t.Helper()
	var r dockertest.Result
	dockertest.Eventually(t, soon, func() (bool, string) {
		r = pintle(c, "0", "why", name)
		given := strings.Contains(r.Stdout, ", between two runs: ") || strings.HasPrefix(r.Stdout, name+" has failed")
		return given && strings.Contains(r.Stdout, sentence), r.String()
	}, fmt.Sprintf("%s is between two runs or given up, and why says %q", name, sentence))
	why := ""
	for line := range strings.Lines(r.Stdout) {
		if rest, ok := strings.CutPrefix(line, "  Why:     "); ok {
			why = rest
		}
	}
	if !strings.Contains(why, sentence) || !strings.HasPrefix(why, "cannot ") || strings.Count(r.Stdout, "\n") > 10 {
		t.Errorf("want one sentence why %s can't be executed, with %q: %s", name, sentence, r)
	}
	t.Logf("%s: %s", name, why)
}
