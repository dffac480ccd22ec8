package reference_test

import (
	"strings"
	"testing"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// s6Places are what pintle reads, writes, executes and enters of a service directory of hermes's, and of his scan directory.
var s6Places = []string{
	"a=b", "a/run", "a/supervise", "a/supervise/status", "a/supervise/control", "a/supervise/lock", "a/supervise/death_tally",
	"a/supervise/service-lock", "a/event", "a/log", "a/log/supervise", "a/finish", "a/notification-fd", ".s6-svscan",
}

// TestU5UnderAStorm: while all that pintle works with in hermes's scan directory changes places with links to what is root's,
// with FIFOs, huge files and nothing, as fast as he can, and his services are told to end, start and be found anew, nothing
// that is not his is changed, nothing runs as another, and pintle and root's service go on; afterwards his services work.
func TestU5UnderAStorm(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{Image: s6Image(t)}, "sleep", "infinity")
	vault := becomes(t, c, "vault", unit.Up).PID
	succeeds(t, c.Exec("root", "sh", "-ec", `mkdir -m 700 /opt/data/roots; (umask 077; echo 5 >/opt/data/roots/secret); mkdir -p /bait/listens`))
	succeeds(t, c.Exec("hermes", "sh", "-ec", `printf %s "$1" >/opt/data/proof; chmod 755 /opt/data/proof; touch /opt/data/ran`, "sh", s6Proof))
	for _, name := range []string{"a", "b"} {
		s6Make(t, c, name, `for f in run finish log/run; do
				mkdir -p log; printf '#!/bin/sh\n/opt/data/proof `+name+`\n' >$f; chmod 755 $f
			done
			echo 'exec sleep 1000100' >>run; echo 'exec cat >/dev/null' >>log/run
			echo 4 >notification-fd; echo 5 >lock-fd`)
		succeeds(t, c.Exec("hermes", "s6-svwait", "-u", "-t", "30000", "/run/service/"+name))
	}
	theirs := s6Theirs(t, c)

	places := "cd /run/service; exec attack storm " + strings.Join(s6Places, " ")
	succeeds(t, dockertest.Docker(t, "exec", "-d", "-u", "hermes", c.Name, "sh", "-c", "echo $$ >/tmp/storm.pid; "+places+" >/tmp/storm 2>&1"))
	dockertest.Eventually(t, soon, func() (bool, string) {
		r := c.Exec("", "cat", "/tmp/storm")
		return strings.HasPrefix(r.Stdout, "storming"), r.String()
	}, "the storm has begun")
	succeeds(t, c.Exec("hermes", "bash", "-c", `cd /run/service
		for i in $(seq 150); do
			for d in a b; do timeout 2 s6-svc -k $d; timeout 2 s6-svc -u $d; timeout 2 s6-svc -x $d/log; done
			timeout 2 s6-svscanctl -an .
			pkill -KILL -f '^sleep 1000100'
			sleep 0.03
		done >/dev/null 2>&1; true`))
	succeeds(t, c.Exec("hermes", "sh", "-c", `kill $(cat /tmp/storm.pid)`))
	dockertest.Eventually(t, soon, func() (bool, string) {
		r := c.Exec("", "cat", "/tmp/storm")
		return strings.Contains(r.Stdout, "exchanged "), r.String()
	}, "the storm is over")
	t.Log(succeeds(t, c.Exec("", "cat", "/tmp/storm")))
	s6Unharmed(t, c, theirs, vault, "the storm")

	// What he repairs works again.
	succeeds(t, c.Exec("hermes", "bash", "-ec", "cd /run/service; rm -rf a* b* .a* .b* .storm*; s6-svscanctl -an ."))
	s6Make(t, c, "anew", `printf '#!/bin/sh\n/opt/data/proof anew\nexec sleep 1000101\n' >run; chmod 755 run`)
	succeeds(t, c.Exec("hermes", "s6-svwait", "-u", "-t", "30000", "/run/service/anew"))
	s6Unharmed(t, c, theirs, vault, "what came after it")
	if _, stderr := c.Logs(); strings.Contains(stderr, "panic") {
		t.Errorf("pintle says:\n%s", stderr)
	}
}
