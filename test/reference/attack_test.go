package reference_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// One honest set of tries: what a program could do that has everything that the
// user hermes (uid 10000) has, to become root, to change what is not its own, or
// to stop what is another's. In the real thing such a program is an agent that
// runs what a language model or a stranger tells it.

// attackMore is configuration beside the reference's: a template whose instances
// are programs of hermes's own, and a service of root's that is not his.
const attackMore = `
services:
  vault:
    command: [sleep, infinity]
    user: root
    environment: {VAULT_KEY: hunter2, PINTLE_UNIT: main, PINTLE_RUN: "99", PINTLE_MARK: forged}
    stop_grace_period: 8s
templates:
  script:
    command: [bash, "${HERMES_HOME}/%i.sh"]
    user: hermes
    restart: never
    stop_grace_period: 10s
    instances: {managers: [hermes]}
`

// attackProgram is the program testdata/attack.
var attackProgram = sync.OnceValues(func() (string, error) { return buildProgram("attack") })

// attackImage is the reference image with the program testdata/attack, with attackMore and with more files of configuration.
func attackImage(t *testing.T, more ...string) string {
	t.Helper()
	dockertest.Require(t)
	program, err := attackProgram()
	if err != nil {
		t.Fatalf("cannot build testdata/attack: %v\n%s", err, program)
	}
	files := map[string]string{"bin/attack": program, "conf.d/more.yaml": attackMore}
	for i, text := range more {
		files[fmt.Sprintf("conf.d/more%d.yaml", i)] = text
	}
	return dockertest.Derive(t, "FROM reference\nCOPY conf.d /etc/pintle/conf.d\nCOPY bin /usr/local/bin\nRUN chmod 0755 /usr/local/bin/attack\n", files)
}

// Requests of an attacker's own making choose a name, a desired state and a
// signal and nothing else, and who he is comes from the kernel.
func TestAttackByRawRequests(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Image: attackImage(t), Flags: []string{"-e", "HERMES_DASHBOARD=1"}}, "sleep", "infinity")
	becomes(t, c, "dashboard", unit.Up)
	becomes(t, c, "vault", unit.Up)
	succeeds(t, pintle(c, "hermes", "create", "gateway@coder"))
	before := manageSnapshot(t, c)

	request := func(line, body string, headers ...string) string {
		text := line + " HTTP/1.1\r\nHost: pintle\r\nConnection: close\r\n"
		for _, h := range headers {
			text += h + "\r\n"
		}
		if body != "" {
			text += fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
		}
		return text + "\r\n" + body
	}
	type try struct {
		request string
		answers []int // the status of each answer on the connection
		says    string
	}
	var tries []try
	add := func(says string, code int, request string) { tries = append(tries, try{request, []int{code}, says}) }

	// What only the configuration may say.
	for _, field := range []string{
		`"command":["/bin/sh"]`, `"user":"root"`, `"environment":{"LD_PRELOAD":"/opt/data/x.so"}`, `"working_dir":"/"`,
		`"name":"dashboard"`, `"restart":"always"`, `"managers":["hermes"]`, `"actor":{"kind":"peer","uid":0}`,
	} {
		name, _, _ := strings.Cut(field, ":")
		add("unknown field "+strings.ReplaceAll(name, `"`, `\"`), 400, request("PUT /v1/units/gateway@evil", `{"down":true,`+field+`}`))
	}
	add("one JSON value", 400, request("PUT /v1/units/gateway@evil", `{"down":true}{"user":"root"}`))
	add("no object", 400, request("PUT /v1/units/gateway@evil", `["root"]`))
	add("no body is allowed", 400, request("POST /v1/units/gateway@coder/stop", `{"user":"root"}`))
	add("unknown parameter", 400, request("POST /v1/units/gateway@coder/stop?user=root", ""))
	add("unknown parameter", 400, request("PUT /v1/units/gateway@evil?uid=0", `{}`))
	add("longer than 64 KiB", 400, request("PUT /v1/units/gateway@evil", `{"down":`+strings.Repeat(" ", 70<<10)+`true}`))
	// Who he says that he is.
	for _, header := range []string{
		"X-Remote-User: root", "X-Forwarded-User: root", "X-Forwarded-For: 127.0.0.1", "X-Pintle-Uid: 0", "Uid: 0",
		"Authorization: Basic cm9vdDo=", "Cookie: uid=0", "X-HTTP-Method-Override: GET",
	} {
		add("uid 10000 may not: only root may", 403, request("POST /v1/units/dashboard/stop", "", header))
	}
	// Names that are to mean something else on the way.
	const notAllowed = "only letters, digits"
	add(notAllowed, 400, request("PUT /v1/units/gateway@..%2F..%2Fetc%2Fcron.d%2Fx", `{}`))
	add(notAllowed, 400, request("PUT /v1/units/gateway@%2e%2e", `{}`))
	add(notAllowed, 400, request("PUT /v1/units/gateway@x%00", `{}`))
	add(notAllowed, 400, request("PUT /v1/units/gateway@x%0aTransfer-Encoding:%20chunked", `{}`))
	add(notAllowed, 400, request("POST /v1/units/gateway@coder%2f..%2fdashboard/stop", ""))
	add(notAllowed, 400, request("POST /v1/units/gateway@coder%252f/stop", ""))
	add("longer than 200 bytes", 400, request("PUT /v1/units/gateway@"+strings.Repeat("x", 4000), `{}`))
	add("there is no such path", 404, request("POST /v1/units/gateway@coder/../dashboard/stop", ""))
	add("there is no such path", 404, request("POST /v1/units//dashboard/stop", ""))
	add("there is no such path", 404, request("POST //v1/units/dashboard/stop", ""))
	add("there is no such path", 404, request("POST /v1/units/dashboard/stop/", ""))
	add("there is no such path", 404, request("POST /v2/units/dashboard/stop", ""))
	add("there is no such path", 404, request("GET /debug/pprof/cmdline", ""))
	add("uid 10000 may not", 403, request("POST /v1/units/d%61shboard/stop", ""))
	add("uid 10000 may not", 403, request("POST http://root@pintle/v1/units/dashboard/stop", ""))
	add("uid 10000 may not", 403, request("PUT /v1/units/dashboard", `{}`))
	add("uid 10000 may not", 403, request("DELETE /v1/units/vault", ""))
	add("uid 10000 may not", 403, request("GET /v1/units/vault/logs?follow=false", ""))
	add("uid 10000 may not", 403, request("POST /v1/units/vault/signal", `{"signal":"KILL"}`))
	// Other methods, other protocols, and what is no request at all.
	add("cannot use method", 405, request("PATCH /v1/units/gateway@coder", `{}`))
	add("cannot use method", 405, request("TRACE /v1/units", ""))
	add("there is no such path", 404, request("OPTIONS *", ""))
	add("", 400, "GET /v1/units HTTP/1.1\r\n\r\n")
	add("", 400, "nonsense\r\n\r\n")
	add("", 431, request("GET /v1/units", "", "X: {1 MiB}"))
	add("", 404, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	// Several requests on one connection: each is asked anew who may.
	pipelined := func(requests ...string) string {
		last := len(requests) - 1
		return strings.ReplaceAll(strings.Join(requests[:last], ""), "Connection: close\r\n", "") + requests[last]
	}
	tries = append(tries,
		try{pipelined(request("GET /v1/units/gateway@coder", ""), request("POST /v1/units/dashboard/stop", ""), request("POST /v1/units/main/stop", "")), []int{200, 403, 403}, "only root may"},
		try{pipelined(request("POST /v1/units/vault/stop", ""), request("GET /v1/info", ""), request("POST /v1/units/vault/stop", "")), []int{403, 200, 403}, "only root may"},
		// A body that holds a request: it is not read as one.
		try{pipelined(request("GET /v1/units/gateway@coder", request("POST /v1/units/dashboard/stop", ""))), []int{400}, "no body is allowed"},
		// Two answers to where a body ends (RFC 9112, 6.3): by both of them the next request is refused on its own account.
		try{pipelined("GET /v1/units HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", request("POST /v1/units/dashboard/stop", "")), []int{400, 403}, "only root may"},
		try{"GET /v1/units HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 44\r\n\r\n", []int{400}, ""},
	)

	argv := []string{"attack", "send"}
	for _, try := range tries {
		argv = append(argv, strconv.QuoteToASCII(try.request))
	}
	answers := strings.Split(strings.TrimSuffix(succeeds(t, c.Exec("hermes", argv...)), "\n"), "\n")
	if len(answers) != len(tries) {
		t.Fatalf("%d answers to %d requests: %q", len(answers), len(tries), answers)
	}
	status := regexp.MustCompile(`HTTP/1\.1 (\d\d\d) `)
	for i, try := range tries {
		var codes []int
		for _, match := range status.FindAllStringSubmatch(answers[i], -1) {
			code, _ := strconv.Atoi(match[1])
			codes = append(codes, code)
		}
		answer, err := strconv.Unquote(answers[i])
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(codes, try.answers) {
			t.Errorf("%.300q\nis answered with %v, want %v: %.600q", try.request, codes, try.answers, answer)
		}
		if !strings.Contains(answer, try.says) {
			t.Errorf("%.300q\nis answered without %q: %.600q", try.request, try.says, answer)
		}
		for _, secret := range []string{"hunter2", "VAULT_KEY"} {
			if strings.Contains(answer, secret) {
				t.Errorf("%.300q\nis answered with a secret: %q", try.request, answer)
			}
		}
	}
	manageUnchanged(t, c, before, "one of the requests")
}

// Connections cost pintle something, so a user can have so many, and can't keep
// others out with them: neither root nor another user.
func TestAttackByIdleConnections(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Image: attackImage(t)}, "sleep", "infinity")
	succeeds(t, dockertest.Docker(t, "exec", "-d", "-u", "hermes", c.Name, "sh", "-c", "exec attack idle 500 >/opt/data/idle"))
	dockertest.Eventually(t, soon, func() (bool, string) {
		said := c.Exec("", "cat", "/opt/data/idle").Stdout
		return strings.HasPrefix(said, "opened "), said
	}, "500 connections are opened")
	dockertest.Eventually(t, soon, func() (bool, string) {
		files := strings.Count(succeeds(t, c.Exec("root", "ls", "/proc/1/fd")), "\n")
		return files < 100, fmt.Sprintf("%d files", files)
	}, "pintle has closed most of them")
	for _, user := range []string{"root", "12345", "root"} {
		r := pintle(c, user, "status", "-o", "name")
		says(t, r, 0, "gateway@default")
	}
	says(t, pintle(c, "root", "start", "gateway@default"), 0, "is up")
	says(t, pintle(c, "root", "healthcheck"), 0, "healthy")

	// And he himself is served again when he lets go.
	succeeds(t, c.Exec("hermes", "bash", "-c", `for p in /proc/[0-9]*; do [ "$(readlink $p/exe)" != /usr/local/bin/attack ] || kill -TERM ${p#/proc/}; done`))
	dockertest.Eventually(t, soon, func() (bool, string) {
		r := pintle(c, "hermes", "status", "gateway@default")
		return r.Code == 0, r.String()
	}, "hermes is answered again")
}

// The state directory lies in hermes's home, so he can put something else in
// its place. Nothing of that is believed, nothing outside is written, and it is
// said; the container boots and works.
func TestAttackOnTheStateDirectory(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Image: attackImage(t), Flags: []string{"-e", "HERMES_DASHBOARD=1"}}, "sleep", "infinity")
	becomes(t, c, "dashboard", unit.Up)
	// His own is not his to change.
	for _, try := range []string{
		"echo x >.pintle/x", "ls .pintle", "rm -rf .pintle", "mv .pintle/intents .pintle/x", "chmod 777 .pintle", "ln -s /etc .pintle/x",
	} {
		if r := c.Exec("hermes", "sh", "-c", try); r.Code == 0 {
			t.Errorf("hermes can %s: %s", try, r)
		}
	}
	const forged = `{"unit":"vault","desired":"down","generation":99,"time":"2030-01-01T00:00:00Z","actor":{"kind":"peer","uid":0}}`
	// With everything in it that could be believed: a life to come after, a lease that nobody may take, runs, a link in place of a directory.
	const forgedTree = `mkdir -m 777 -p .pintle/{intents,lives,leases,runs}; ln -s /etc .pintle/aside
		for u in vault dashboard gateway@default; do
			echo '` + forged + `' | sed s/vault/$u/ >.pintle/intents/$u.json
			echo '{"unit":"'$u'","fence":99,"owner":"x","host":"y"}' >.pintle/leases/$u.99.claim
			echo '{"unit":"'$u'","life":7,"run":9}' >.pintle/runs/$u.jsonl
		done
		echo '{"life":7,"state":"running"}' >.pintle/lives/$HOSTNAME.json; chmod -R 777 .pintle/*s`
	for _, attack := range []struct{ name, script, condition string }{
		{"a symlink to /etc", "ln -s /etc .pintle", "is a symlink"},
		{"a symlink to nowhere", "ln -s /etc/nosuch .pintle", "is a symlink"},
		{"a symlink to what root has", "ln -s .old .pintle", "is a symlink"},
		{"forged records", "mkdir -p .pintle/intents; for u in vault dashboard main; do echo '" + forged + "' | sed s/vault/$u/ >.pintle/intents/$u.json; done", "belongs to uid 10000, not to root"},
		{"a FIFO", "mkfifo .pintle", "is a file that others may have put there"},
		{"a device", "ln -s /dev/zero .pintle", "is a symlink"},
		{"a forged tree, open to all", forgedTree, "belongs to uid 10000, not to root"},
	} {
		succeeds(t, c.Exec("hermes", "bash", "-c", "mv .pintle .old && "+attack.script))
		before := attackRootsFiles(t, c)
		c.Restart("-t", "5")
		answers(t, c)
		says(t, c.Exec("root", "sh", "-c", "pintle wait vault dashboard --for up --timeout 30s && pintle status"), 0,
			"condition: desired states are kept in memory only: cannot trust /opt/data/.pintle: /opt/data/.pintle "+attack.condition)
		// It works all the same, in memory.
		says(t, pintle(c, "hermes", "create", "gateway@coder"), 0, "gateway@coder is up")
		if after := attackRootsFiles(t, c); after != before {
			t.Errorf("with %s, files outside were changed:%s", attack.name, manageDiff(before, after))
		}
		succeeds(t, c.Exec("hermes", "bash", "-c", "rm -rf .pintle && mv .old .pintle"))
	}
	// With the real one back all is well again.
	c.Restart("-t", "5")
	answers(t, c)
	if r := pintle(c, "root", "status"); strings.Contains(r.Stdout, "kept in memory") {
		t.Errorf("it is not well again: %s", r)
	}
}

// What hermes can replace beneath his home is never followed with more rights
// than his: not the home's directories, not profiles, not logs.
func TestAttackByLinksInTheHome(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{}, "sleep", "infinity")
	before := attackRootsFiles(t, c)
	for _, script := range []string{
		"ln -s /etc profiles/coder",
		"rm -r profiles; ln -s /root profiles",
		"rm profiles; rm -r logs/gateways; ln -s /var/log logs/gateways",
		"rm -r logs; ln -s /etc logs; ln -s /etc/passwd gateway.pid; ln -sf /etc/shadow .env",
	} {
		succeeds(t, c.Exec("hermes", "sh", "-ec", script))
		succeeds(t, pintle(c, "hermes", "create", "gateway@coder", "--no-wait"))
		pintle(c, "hermes", "wait", "gateway@coder", "--for", "up", "--timeout", "1s") // the agent may fail with such a home
		succeeds(t, pintle(c, "hermes", "remove", "gateway@coder"))
		if after := attackRootsFiles(t, c); after != before {
			t.Errorf("after %q files outside are changed:%s", script, manageDiff(before, after))
		}
		if r := c.Exec("root", "find", "/opt/data", "-path", "/opt/data/.pintle", "-prune", "-o", "!", "-user", "hermes", "-print"); r.Stdout != "" {
			t.Errorf("after %q there is something of root's in the home: %s", script, r)
		}
	}
	c.Restart("-t", "5")
	answers(t, c)
	if after := attackRootsFiles(t, c); after != before {
		t.Errorf("after a restart files outside are changed:%s", manageDiff(before, after))
	}
}

// The environment of who asks is his own business: nothing of it reaches what is
// started, and nothing in it makes a command of root's trust another pintle.
func TestAttackByEnvironment(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Image: attackImage(t)}, "sleep", "infinity")
	becomes(t, c, "vault", unit.Up)
	succeeds(t, c.Exec("hermes", "bash", "-ec", `
		mkdir bin
		printf '#!/bin/sh\nid >/opt/data/ran\nexec sleep infinity\n' >bin/hermes
		cp bin/hermes bin/sleep; cp bin/hermes bin/bash
		chmod +x bin/*
		printf 'services:\n  evil: {command: [sh, -c, "id >/opt/data/ran"]}\n' >evil.yaml`))
	says(t, c.Exec("hermes", "env",
		"PATH=/opt/data/bin:/usr/local/bin:/usr/bin:/bin", "LD_PRELOAD=/opt/data/evil.so", "LD_LIBRARY_PATH=/opt/data", "HOME=/etc", "USER=root",
		"PINTLE_CONFIG=/opt/data/evil.yaml", "PINTLE_MARK=x", "PINTLE_UNIT=main", "HERMES_HOME=/etc", "GODEBUG=netdns=go", "BASH_ENV=/opt/data/bin/hermes",
		"pintle", "create", "gateway@coder"), 0, "gateway@coder is up")
	s := status(t, c, "gateway@coder")
	environ := attackEnviron(t, c, s.PID)
	for name, value := range map[string]string{
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/opt/data", "USER": "hermes", "LOGNAME": "hermes",
		"HERMES_HOME": "/opt/data", "PINTLE_UNIT": "gateway@coder", "PINTLE_RUN": "1", "PINTLE_SOCKET": "/run/pintle/pintle.sock",
		"HERMES_SUPERVISED_CHILD": "1",
	} {
		if environ[name] != value {
			t.Errorf("the gateway has %s=%q, want %q", name, environ[name], value)
		}
	}
	for _, name := range []string{"LD_PRELOAD", "LD_LIBRARY_PATH", "PINTLE_CONFIG", "GODEBUG", "BASH_ENV"} {
		if value, is := environ[name]; is {
			t.Errorf("the gateway has %s=%q", name, value)
		}
	}
	// What the configuration itself says about pintle's own variables is no better.
	environ = attackEnviron(t, c, status(t, c, "vault").PID)
	if environ["PINTLE_UNIT"] != "vault" || environ["PINTLE_RUN"] != "1" || environ["PINTLE_MARK"] == "forged" || environ["VAULT_KEY"] != "hunter2" {
		t.Errorf("the service has %v", environ)
	}
	if r := c.Exec("", "test", "-e", "/opt/data/ran"); r.Code == 0 {
		t.Error("a program of hermes's own choice was run")
	}

	// A false pintle, wherever hermes can put one, fools nobody but him.
	succeeds(t, c.Exec("hermes", "mkdir", "/tmp/pintle", "/dev/shm/pintle"))
	for _, path := range []string{"/tmp/pintle/pintle.sock", "/dev/shm/pintle/pintle.sock"} {
		succeeds(t, dockertest.Docker(t, "exec", "-d", "-u", "hermes", c.Name, "attack", "listen", path))
	}
	dockertest.Eventually(t, soon, func() (bool, string) {
		r := c.Exec("", "test", "-S", "/dev/shm/pintle/pintle.sock", "-a", "-S", "/tmp/pintle/pintle.sock")
		return r.Code == 0, r.String()
	}, "false pintles listen")
	says(t, pintle(c, "root", "status"), 0, "vault")
	for _, dir := range []string{"/tmp/pintle", "/dev/shm/pintle"} {
		for _, user := range []string{"root", "12345"} {
			r := c.Exec(user, "env", "PINTLE_RUNTIME_DIR="+dir, "pintle", "status")
			says(t, r, 69, "cannot trust "+dir, "belongs to uid 10000")
		}
	}
}

// The kernel keeps hermes from everything else that is pintle's.
func TestAttackOnTheProcessAndItsFiles(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Image: attackImage(t), Flags: []string{"-e", "HERMES_DASHBOARD=1"}}, "sleep", "infinity")
	becomes(t, c, "vault", unit.Up)
	becomes(t, c, "dashboard", unit.Up)
	vault := status(t, c, "vault").PID
	before := manageSnapshot(t, c)
	var tries []string
	for _, sig := range []string{"TERM", "KILL", "STOP", "HUP", "INT", "QUIT", "SEGV", "USR1"} {
		tries = append(tries, "kill -s "+sig+" 1", fmt.Sprintf("kill -s %s %d", sig, vault))
	}
	for _, file := range []string{"environ", "mem", "maps", "fd/3", "auxv", "cwd/x", "root/x", "exe"} {
		tries = append(tries, "cat /proc/1/"+file)
	}
	tries = append(tries,
		fmt.Sprintf("cat /proc/%d/environ", vault),
		"echo -1000 >/proc/1/oom_score_adj",
		"rm -f /run/pintle/pintle.sock", "mv /run/pintle /run/x", "mv /run/pintle/pintle.sock /run/pintle/x", "touch /run/pintle/x",
		"ln -sf /opt/data/x /run/pintle/pintle.sock", "chmod 600 /run/pintle/pintle.sock", "chmod 777 /run/pintle", "flock -n /run/pintle/pintle.lock true",
		"attack listen /run/pintle/pintle.sock", "attack listen /run/pintle/x.sock",
		"cp /bin/sh /usr/local/bin/pintle", "rm -f /usr/local/bin/pintle", "echo x >>/etc/pintle/pintle.yaml", "touch /etc/pintle/conf.d/x.yaml",
		"setpriv --reuid=0 true",
		"pintle stop vault", "pintle signal KILL vault", "pintle signal KILL main", "pintle stop dashboard",
	)
	for i, try := range tries {
		tries[i] = "(" + try + ") >/dev/null 2>&1 && echo " + manageQuote("hermes can: "+try)
	}
	r := c.Exec("hermes", "bash", "-c", strings.Join(tries, "\n")+"\ntrue")
	if r.Code != 0 || r.Stdout != "" {
		t.Errorf("want none of these to work: %s", r)
	}
	manageUnchanged(t, c, before, "one of the tries")
	if !c.Running() {
		t.Error("the container has ended")
	}
}

// A run's processes are told by a mark in their environment, among other things.
// Who puts another unit's mark on his own processes gains nothing by it: he can't
// have another's unit stopped, and can't keep it from stopping.
func TestAttackByForgedMarks(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Image: attackImage(t)}, "sleep", "infinity")
	becomes(t, c, "vault", unit.Up)
	// It learns how marks look from its own, and from those of other processes of its user, and leaves three processes
	// outside of its session: one with root's mark as it would be, one with another script's, one with none at all.
	succeeds(t, c.Exec("hermes", "bash", "-ec", `
		echo 'exec sleep infinity' >other.sh
		cat >forger.sh <<'END'
			leave() { (setsid env PINTLE_MARK="$1" bash -c 'trap "" TERM; echo '$2' ready; while :; do sleep 1000; done' &); }
			leave "$(echo "$PINTLE_MARK" | sed "s,/.*,/vault/1,")" vaults
			leave "$(tr '\0' '\n' </proc/"$(cat other.pid)"/environ | sed -n s,^PINTLE_MARK=,,p)" others
			exec sleep infinity
END
		pintle create script@other`))
	other, vault := status(t, c, "script@other"), status(t, c, "vault")
	succeeds(t, c.Exec("hermes", "sh", "-c", fmt.Sprintf("echo %d >other.pid; pintle create script@forger", other.PID)))
	dockertest.Eventually(t, soon, func() (bool, string) {
		said := pintle(c, "hermes", "logs", "script@forger").Stdout
		return strings.Contains(said, "vaults ready") && strings.Contains(said, "others ready"), said
	}, "the forged processes are there")

	// The end of the forger is not the end of those whose marks it has used.
	says(t, pintle(c, "hermes", "stop", "script@forger"), 0, "script@forger is down")
	for _, was := range []engine.Status{other, vault} {
		if now := status(t, c, string(was.Name)); now.State != unit.Up || now.PID != was.PID {
			t.Errorf("when the forger was stopped, %s became %s (%s)", was.Name, now.State, now.Because)
		}
	}
	// And the forger's processes are not waited for, where they are not the unit's.
	succeeds(t, pintle(c, "hermes", "restart", "script@forger"))
	dockertest.Eventually(t, soon, func() (bool, string) {
		said := pintle(c, "hermes", "logs", "script@forger").Stdout
		return strings.Count(said, "vaults ready") == 2, said
	}, "the forged processes are there again")
	r := pintle(c, "root", "stop", "vault")
	says(t, r, 0, "vault is down")
	if s := status(t, c, "vault"); s.Last.Killed || s.Since.Sub(s.Last.Ended) > 4*time.Second {
		t.Errorf("the stop of root's service was held up by processes of hermes's: %s", r)
	}
}

// What processes call themselves is shown, and nothing in a name can make pintle
// say something else, or command the terminal of who reads it.
func TestAttackByProcessNames(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Image: attackImage(t)}, "sleep", "infinity")
	succeeds(t, c.Exec("hermes", "bash", "-ec", `
		echo '(setsid attack name "$(printf "\033[31mx\npintle |")" &); exec sleep infinity' >named.sh
		pintle create script@named
		until grep -qs 'x$' /proc/[0-9]*/comm; do :; done
		pintle stop --no-wait script@named`))
	dockertest.Eventually(t, soon, func() (bool, string) {
		left := status(t, c, "script@named").Remaining
		return len(left) == 1 && strings.HasPrefix(left[0], "?[31mx?pintle | (pid "), fmt.Sprintf("%q", left)
	}, "the process is said to be left")
	for _, args := range [][]string{{"why", "script@named"}, {"status", "-o", "json"}, {"status", "-o", "yaml"}} {
		if r := pintle(c, "root", args...); strings.Contains(r.Stdout, "\x1b") || strings.Contains(r.Stdout, "\npintle") {
			t.Errorf("pintle %q: %q", args, r.Stdout)
		}
	}
}

// attackRootsFiles lists the files outside the home and pintle's own places in
// /run, with owner, mode, size and times: a user's attack must leave them alone.
func attackRootsFiles(t *testing.T, c *dockertest.Container) string {
	t.Helper()
	// The three that are left out Docker writes anew whenever the container starts.
	return succeeds(t, c.Exec("root", "sh", "-c", `find /bin/ /etc /home /lib/ /root /sbin/ /srv /usr /var -xdev ! -path /etc/hostname ! -path /etc/hosts ! -path /etc/resolv.conf -printf '%p %U:%G %m %s %T@ %C@\n' | sort`))
}

// attackEnviron is the environment that a process was started with.
func attackEnviron(t *testing.T, c *dockertest.Container, pid int) map[string]string {
	t.Helper()
	// A container's root may not read it, but the process's own user may.
	path := fmt.Sprintf("/proc/%d/environ", pid)
	owner := strings.TrimSpace(succeeds(t, c.Exec("root", "stat", "-c", "%u", fmt.Sprintf("/proc/%d", pid))))
	environ := map[string]string{}
	for entry := range strings.SplitSeq(succeeds(t, c.Exec(owner, "cat", path)), "\x00") {
		if name, value, ok := strings.Cut(entry, "="); ok {
			environ[name] = value
		}
	}
	return environ
}
