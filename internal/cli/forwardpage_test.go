package cli

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pintle/internal/config"
	"pintle/internal/unit"
)

// TestTheForwardPage: what docs/forwarding.md shows is a configuration, whose command line does what the page says, as a user
// who may read; and every flag is on the page.
func TestTheForwardPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/forwarding.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```yaml\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("the page has no example")
	}
	for _, block := range blocks {
		yaml, _, _ := strings.Cut(block, "```")
		file := filepath.Join(t.TempDir(), "pintle.yaml")
		if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(config.Options{Files: []string{file}, UID: os.Geteuid(), Environ: []string{"HOSTNAME=alpha"}})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(c.Services, func(s unit.Spec) bool { return s.Name == "forward" })
		if i < 0 {
			t.Fatal("the example has no service forward")
		}
		s := c.Services[i]
		if !slices.Contains(c.Log.Readers.Users, s.User) {
			t.Errorf("it forwards as %s, and %s may read", s.User, c.Log.Readers)
		}
		var args []string
		for _, arg := range s.Command[1:] { // its directory is of another container
			args = append(args, strings.ReplaceAll(arg, "/var/lib/forward", t.TempDir()))
		}
		got := pintleWith(t, newFake(), func(ctx context.Context, o *Options) context.Context {
			for name, value := range s.Environment {
				o.Environ = append(o.Environ, name+"="+value)
			}
			ctx, cancel := context.WithCancel(ctx)
			cancel() // that it begins is enough
			return ctx
		}, args...)
		want := "forwarding to loki+http://loki.internal:3100\nforwarding to syslog+tcp://logs.internal:514\n"
		if got.code != 0 || got.stdout != want || got.stderr != "" {
			t.Errorf("%s ended with %+v", s.Command, got)
		}
	}
	for _, word := range strings.Fields(new(app).forwardCommand().Flags().FlagUsages()) {
		if strings.HasPrefix(word, "--") && !strings.Contains(string(page), "`"+word+" ") {
			t.Errorf("the page has no %s", word)
		}
	}
}
