package reference_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// Profiles come and go while the container runs, and nobody has to tell pintle.

// A profile that somebody makes in the container is an instance in the next moment; without its soul it is stopped, and
// what was asked of it is remembered (B54, B55, B73, B74, U31, U42).
func TestAProfileIsAnInstance(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{}, "sleep", "infinity")
	// Made and started in one breath.
	says(t, c.Exec("hermes", "sh", "-c", "hermes profile create coder && pintle start gateway@coder"), 0, "gateway@coder is up")
	const origin = "declared by /opt/data/profiles/coder (SOUL.md)"
	if s := status(t, c, "gateway@coder"); s.Origin != origin || s.Intent.Actor.UID != hermes {
		t.Errorf("%+v", s)
	}
	says(t, pintle(c, "hermes", "why", "gateway@coder"), 0, "gateway@coder has been up", origin)
	if r := pintle(c, "12345", "why", "gateway@coder"); strings.Contains(r.String(), "/opt/data") {
		t.Errorf("a stranger is told where: %s", r)
	}

	// Whatever else lies there disturbs nobody.
	succeeds(t, c.Exec("hermes", "sh", "-ec", `
		cd profiles
		mkdir default Bad two empty
		touch default/SOUL.md Bad/SOUL.md two/SOUL.md
		ln -s coder link`))
	becomes(t, c, "gateway@two", unit.Down)
	units := statuses(t, pintle(c, "hermes", "status", "-o", "json"))
	if len(units) != 5 || units["gateway@default"].Origin != "" { // main, dashboard, default, coder, two
		t.Errorf("there are %+v", units)
	}
	says(t, pintle(c, "0", "status"), 0, `"Bad" (cannot use instance name`, `"link" (it is a symlink, which is not followed)`)

	// To remove one that is declared stops it, and says that it is known still.
	succeeds(t, pintle(c, "hermes", "start", "gateway@two"))
	says(t, pintle(c, "hermes", "remove", "gateway@two"), 0, "gateway@two is removed; it is known still, as down, because it is declared by /opt/data/profiles/two (SOUL.md)")
	becomes(t, c, "gateway@two", unit.Down)

	succeeds(t, c.Exec("hermes", "mv", "profiles/coder/SOUL.md", "profiles/coder/soul"))
	says(t, pintle(c, "hermes", "wait", "gateway@coder", "--for", "gone", "--timeout", "30s"), 0)
	if p, found := find(c.Top(), "hermes -p coder gateway run --replace"); found {
		t.Errorf("%+v is left", p)
	}
	succeeds(t, c.Exec("hermes", "mv", "profiles/coder/soul", "profiles/coder/SOUL.md"))
	if s := becomes(t, c, "gateway@coder", unit.Up); s.Intent.Actor.UID != hermes {
		t.Errorf("%+v", s)
	}
}

// A profile that is made on the host, through the mount, is an instance within two seconds (U36).
func TestAProfileFromTheHost(t *testing.T) {
	t.Parallel()
	home := hostHome(t)
	c := boot(t, dockertest.Options{Flags: []string{"-v", home + ":/opt/data"}}, "sleep", "infinity")
	profile := func(name string) {
		t.Helper()
		dir := filepath.Join(home, "profiles", name)
		err := os.MkdirAll(dir, 0o755)
		if err == nil {
			err = os.Chown(dir, hermes, hermes)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "SOUL.md"), nil, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 { // the first one makes the directory, too
		name := fmt.Sprintf("host%d", i)
		profile(name)
		began := time.Now()
		becomes(t, c, "gateway@"+name, unit.Down)
		if took := time.Since(began); took > 5*time.Second { // two, and what docker and a busy machine add
			t.Errorf("it took %v", took)
		}
	}
	// The mount's directory goes and comes back: nothing is stopped by that.
	succeeds(t, pintle(c, "hermes", "start", "gateway@host0"))
	pid := status(t, c, "gateway@host0").PID
	if err := os.Rename(home+"/profiles", home+"/away"); err != nil {
		t.Fatal(err)
	}
	dockertest.Eventually(t, soon, func() (bool, string) {
		r := pintle(c, "0", "status")
		return strings.Contains(r.String(), "the 3 instances that are known stay"), r.String()
	}, "the trouble is said")
	if err := os.Rename(home+"/away", home+"/profiles"); err != nil {
		t.Fatal(err)
	}
	if s := status(t, c, "gateway@host0"); s.PID != pid || s.State != unit.Up {
		t.Errorf("%+v", s)
	}
}

// hostHome is a directory of the host's that can be the container's home.
func hostHome(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	for d := home; d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(home, hermes, hermes); err != nil {
		t.Skip("skipped: only root can make a home for hermes")
	}
	return home
}

// A volume from before pintle comes up as it was, once; from then on only somebody's verb decides (section 4; B99, U28–U30, U32).
func TestStateFilesOfBeforeDecideOnce(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{}, "sleep", "infinity")
	succeeds(t, c.Exec("hermes", "sh", "-ec", `
		state() { mkdir -p "profiles/$1"; echo "$2" >"profiles/$1/gateway_state.json"; touch "profiles/$1/SOUL.md"; }
		mkdir -p /tmp/home && cd /tmp/home
		state running '{"desired_state":"running","gateway_state":"stopped","updated_at":1}'
		state drained '{"gateway_state":"draining","pid":7}'
		state stopped '{"desired_state":"stopped","gateway_state":"running"}'
		state failed '{"gateway_state":"startup_failed"}'
		state broken '{"desired_state":"runn'
		state list '["running"]'
		ln -s ../running/gateway_state.json profiles/list/link
		echo '{"gateway_state":"running"}' >/opt/data/gateway_state.json
		mv profiles /opt/data/`))
	// What was there when the first container started was nothing; this is a volume of another time.
	succeeds(t, c.Exec("0", "sh", "-c", "rm -f /opt/data/.pintle/intents/*"))
	c.Kill("KILL")
	c.Wait()
	c.StartAgain()
	answers(t, c)
	want := map[string]unit.State{
		"running": unit.Up, "drained": unit.Up, "default": unit.Up,
		"stopped": unit.Down, "failed": unit.Down, "broken": unit.Down, "list": unit.Down,
	}
	for name, state := range want {
		becomes(t, c, "gateway@"+name, state)
	}
	report := ""
	dockertest.Eventually(t, soon, func() (bool, string) {
		report = c.Exec("hermes", "cat", "logs/container-boot.log").Stdout
		return strings.Contains(report, "profile=running"), report
	}, "there is a boot report")
	for _, line := range []string{
		"profile=default prior_state=running action=started prior_exit=", "profile=running prior_state=running action=started",
		"profile=drained prior_state=draining action=started", "profile=stopped prior_state=stopped action=registered",
		"profile=failed prior_state=startup_failed action=registered", "profile=broken prior_state=None action=registered",
	} {
		if strings.Count(report, line) != 1 {
			t.Errorf("the boot report does not say %s:\n%s", line, report)
		}
	}
	if owner := strings.TrimSpace(c.Exec("0", "stat", "-c", "%u", "/opt/data/logs/container-boot.log").Stdout); owner != fmt.Sprint(hermes) {
		t.Errorf("the boot report belongs to %s", owner)
	}

	succeeds(t, pintle(c, "hermes", "stop", "gateway@running", "gateway@default"))
	succeeds(t, pintle(c, "hermes", "start", "gateway@stopped"))
	c.Restart()
	answers(t, c)
	becomes(t, c, "gateway@stopped", unit.Up)
	becomes(t, c, "gateway@drained", unit.Up)
	for _, name := range []string{"gateway@running", "gateway@default"} {
		if s := becomes(t, c, name, unit.Down); s.Run != 0 || s.Intent.Actor.UID != hermes {
			t.Errorf("%+v", s)
		}
	}
}
