package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestThePage: every example of the documentation is a valid configuration.
func TestThePage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	if len(blocks) < 5 {
		t.Fatalf("the page has %d examples", len(blocks))
	}
	for _, block := range blocks {
		yaml, _, _ := strings.Cut(block, "```")
		file := filepath.Join(t.TempDir(), "pintle.yaml")
		if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := Load(Options{Files: []string{file}, UID: os.Geteuid()}); err != nil {
			t.Errorf("%v, %v\n%s", err, c, yaml)
		}
	}
}
