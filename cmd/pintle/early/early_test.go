package early_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "pintle/cmd/pintle/early"
	// What is not to be initialised; it stands for the rest of pintle.
	_ "pintle/internal/api"
	_ "pintle/internal/config"
)

// TestBeforeTheRest: a tool has ended before what pintle has linked is initialised, even what is initialised first there.
func TestBeforeTheRest(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tool := filepath.Join(t.TempDir(), "s6-setsid")
	if err := os.Symlink(self, tool); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tool, "/bin/echo", "ran")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var traced strings.Builder
	cmd.Stderr = &traced
	out, err := cmd.Output()
	if err != nil || string(out) != "ran\n" {
		t.Fatalf("the tool said %q, %v: %s", out, err, traced.String())
	}
	if !strings.Contains(traced.String(), "init os @") {
		t.Fatalf("there is no trace of initialisation: %s", traced.String())
	}
	for _, name := range []string{"reflect", "crypto/sha256", "encoding/json", "net/http", "github.com/goccy/go-yaml", "pintle/internal/config"} {
		if strings.Contains(traced.String(), "init "+name+" @") {
			t.Errorf("%s was initialised before the tool ran", name)
		}
	}
}
