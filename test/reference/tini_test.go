package reference_test

import (
	"testing"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// TestU56: an entrypoint from the days of tini (B4) means what it meant: the container's command, with pintle as PID 1 and all
// its services, whatever options tini was given.
func TestU56(t *testing.T) {
	t.Parallel()
	for name, entrypoint := range map[string]string{
		"and init":    `["/usr/bin/tini", "-g", "--", "/init"]`,
		"alone":       `["/usr/bin/tini", "-s", "-p", "SIGKILL", "-e", "143", "--"]`,
		"by its name": `["tini", "-vvv", "-g"]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := dockertest.Derive(t, "FROM reference\nENTRYPOINT "+entrypoint+"\n", nil)
			for _, r := range []routed{
				{args: []string{"--version"}, stdout: "hermes 0.0.0 (stand-in)\n"},
				{args: []string{"chat", "-q", "hello"}, stdout: "hermes chat: hello\n"},
				{args: []string{"sh", "-c", "exit 3"}, code: 3},
			} {
				if name == "by its name" && r.args[0] == "--version" {
					continue // without a -- it is tini's
				}
				r.check(t, image)
			}
			c := boot(t, dockertest.Options{Image: image, Flags: []string{"-e", "HERMES_DASHBOARD=1"}}, "sleep", "infinity")
			becomes(t, c, "dashboard", unit.Up)
			if p := processOf(t, c, "sleep infinity"); p.UID != hermes || p.PPID != 1 {
				t.Errorf("the command is not pintle's child and hermes's: %+v", p)
			}
			if code, _ := c.Stop(); code != 128+15 {
				t.Errorf("stopped, its exit code is %d, want 143", code)
			}
		})
	}
}
