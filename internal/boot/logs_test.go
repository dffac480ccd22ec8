package boot

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pintle/internal/engine"
)

// A reload says of what holds for all output what is so at once, and what when the container starts anew. Who may read
// it may from then on, and not before.
func TestReloadOfLogs(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pintle.yaml")
	write := func(log string) {
		t.Helper()
		if err := os.WriteFile(file, []byte("services: {a: {command: [a]}}\nlog: {"+log+"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("readers: [first]")
	c, err := configure(Options{Config: file, Stderr: os.Stderr}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		log         string
		fixed, free []string
		secret      bool
	}{
		{log: "readers: [first]"},
		{log: "readers: [first], memory: 1MiB"}, // that is the units'
		{log: "readers: [second, \"group:third\"]", free: []string{"log.readers"}},
		{log: "secrets: [KEY], readers: [first]", free: []string{"log.secrets"}, secret: true},
		{log: "secrets: [KEY]", free: []string{"log.readers", "log.secrets"}, secret: true},
		{log: "console: json, socket: /dev/log, readers: [first]", fixed: []string{"log.console", "log.socket"}},
	} {
		write(step.log)
		d, err := c.reload()
		if err != nil || !slices.Equal(d.Fixed, step.fixed) || !slices.Equal(d.Free, step.free) || (d.Secret != nil) != step.secret {
			t.Errorf("%s: %v, fixed %v, free %v, secret %t", step.log, err, d.Fixed, d.Free, d.Secret != nil)
		}
		if step.secret && (!d.Secret("KEY") || d.Secret("OTHER")) {
			t.Errorf("%s: other variables are secret", step.log)
		}
		if got := c.readers().String(); got != "first" {
			t.Errorf("%s: before it holds, %s may read", step.log, got)
		}
	}
	write("readers: [second, \"group:third\"]")
	d, err := c.reload()
	if err != nil {
		t.Fatal(err)
	}
	d.Commit()
	if got := c.readers(); !reflect.DeepEqual(got.Users, []string{"second"}) || !reflect.DeepEqual(got.Groups, []string{"third"}) {
		t.Errorf("after it, %s may read", got)
	}
}

// What a secret variable of the container holds is not on its console, and what becomes secret by a reload is not from then on.
func TestSecretsOfTheContainer(t *testing.T) {
	t.Parallel()
	yaml := "services:\n  a:\n    command: " + shell("while :; do echo has $KEY and $LATER >&2; sleep 0.05; done") + "\n"
	p := startIn(t, []string{"KEY=first-secret", "LATER=later-secret"}, yaml+"log: {secrets: [KEY]}\n")
	p.until(t, "a masked line", func() bool { return strings.Contains(p.stderr.String(), "a | has *** and later-secret\n") })
	for _, e := range p.Env {
		if file, ok := strings.CutPrefix(e, "BOOT_TEST_CONFIG="); ok && file != "" {
			if err := os.WriteFile(file, []byte(yaml+"log: {secrets: [KEY, \"L*R\"]}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	changes, err := p.client(t).Reload(t.Context(), engine.ReloadRequest{})
	if err != nil || len(changes) != 1 || !slices.Equal(changes[0].Keys, []string{"log.secrets"}) || changes[0].Effect != "holds from now on" {
		t.Errorf("the reload says %+v, %v", changes, err)
	}
	p.until(t, "a line with both masked", func() bool { return strings.Contains(p.stderr.String(), "a | has *** and ***\n") })
	if strings.Contains(p.stderr.String(), "first-secret") {
		t.Errorf("a secret is on the console:\n%s", &p.stderr)
	}
}
