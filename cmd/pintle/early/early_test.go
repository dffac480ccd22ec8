package early_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	_ "pintle/cmd/pintle/early"
	// What is not to be initialised; it stands for the rest of pintle.
	_ "pintle/internal/api"
	_ "pintle/internal/config"
	"pintle/internal/process/step"
)

// TestBeforeTheRest: a tool has ended, and a unit's program runs, before what pintle has linked is initialised, even what is
// initialised first there.
func TestBeforeTheRest(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	become := step.Step{
		User: step.User{UID: os.Getuid(), GID: os.Getgid()}, Called: "self", Channel: 3, Path: "/bin/echo", Args: []string{"echo", "ran"},
	}
	for _, words := range [][]string{{"/command/s6-setsid", "/bin/echo", "ran"}, become.Words()} {
		t.Run(words[0], func(t *testing.T) {
			t.Parallel()
			if words[0] == step.Name && os.Getuid() != 0 {
				if os.Getenv("PINTLE_TEST_NO_SKIP") == "1" {
					t.Fatal("this test needs root (and PINTLE_TEST_NO_SKIP=1 lets nothing be skipped)")
				}
				t.Skip("only root becomes a user")
			}
			var traced strings.Builder
			cmd := &exec.Cmd{Path: self, Args: words, Env: append(os.Environ(), "GODEBUG=inittrace=1"), Stderr: &traced}
			out, err := cmd.Output()
			if err != nil || string(out) != "ran\n" {
				t.Fatalf("it said %q, %v: %s", out, err, traced.String())
			}
			if !strings.Contains(traced.String(), "init os @") {
				t.Fatalf("there is no trace of initialisation: %s", traced.String())
			}
			for _, name := range []string{"reflect", "crypto/sha256", "encoding/json", "net/http", "github.com/goccy/go-yaml", "pintle/internal/config"} {
				if strings.Contains(traced.String(), "init "+name+" @") {
					t.Errorf("%s was initialised before", name)
				}
			}
		})
	}
}
