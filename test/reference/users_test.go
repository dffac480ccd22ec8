package reference_test

import (
	"strings"
	"testing"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// This file keeps the bugs of a system that was run on another supervisor from
// coming back: each test has the number and the story of one (docs/bug-classes.md).

// TestU30: after an upgrade the gateway never started: its container had always been run with "gateway run", so there
// was no file in which its state had been kept. The words of a command mean what they always meant: that gateway is
// main, and is there again whenever the container is.
func TestU30(t *testing.T) {
	t.Parallel()
	volume := prepareVolume(t, "mkdir -p /opt/data/profiles/coder; touch /opt/data/profiles/coder/SOUL.md; chown -R 10000:10000 /opt/data")
	c := boot(t, dockertest.Options{Flags: []string{"-v", volume + ":/opt/data"}}, "gateway", "run")
	for range 2 {
		prints(t, c, "gateway default: ready")
		if p := processOf(t, c, "hermes gateway run"); p.UID != hermes || p.PPID != 1 {
			t.Errorf("the gateway is %+v", p)
		}
		for _, name := range []string{"gateway@default", "gateway@coder"} {
			if s := becomes(t, c, name, unit.Down); s.Run != 0 {
				t.Errorf("beside it there is %+v", s)
			}
		}
		c.Restart()
		answers(t, c)
	}
}

// TestU73: who worked in the container as root left files that its user could not read, and hours later nobody could log
// in. Pintle's own commands leave nothing behind, whoever runs them; and what root has put into a directory that is
// declared as the user's is the user's from the container's next start on.
func TestU73(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{}, "sleep", "infinity")
	for _, args := range [][]string{
		{"create", "gateway@byroot"}, {"restart", "gateway@byroot"}, {"logs", "gateway@byroot"}, {"why", "gateway@byroot"}, {"stop", "gateway@byroot"}, {"status"},
	} {
		succeeds(t, pintle(c, "0", args...))
	}
	foreign := func() string {
		return succeeds(t, c.Exec("0", "find", "/opt/data", "-path", "/opt/data/.pintle", "-prune", "-o", "!", "-user", "hermes", "-print"))
	}
	if left := foreign(); left != "" {
		t.Errorf("root's commands have left %q", left)
	}
	succeeds(t, c.Exec("0", "sh", "-ec", "umask 077; mkdir profiles/coder; echo TOKEN=1 >profiles/coder/auth.json; touch profiles/coder/SOUL.md"))
	if r := c.Exec("hermes", "cat", "profiles/coder/auth.json"); r.Code == 0 {
		t.Fatalf("there is nothing to be mended: %s", r)
	}
	c.Restart()
	answers(t, c)
	if text := succeeds(t, c.Exec("hermes", "cat", "profiles/coder/auth.json")); text != "TOKEN=1\n" {
		t.Errorf("it says %q", text)
	}
	if left := strings.TrimSpace(foreign()); left != "" {
		t.Errorf("not the user's is %q", left)
	}
	succeeds(t, pintle(c, "hermes", "start", "gateway@coder"))
}
