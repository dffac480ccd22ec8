package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// TestInstallS6: the command says what it made, what was there, and what it refuses, with an exit code for each.
func TestInstallS6(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "command")
	for _, want := range []result{
		{0, "made 22 tools of s6's in " + dir + "\n", ""},
		{0, "all 22 tools of s6's are in " + dir + " already\n", ""},
	} {
		if got := pintle(t, newFake(), "install-s6", dir); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	log := filepath.Join(dir, "s6-log")
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	want := result{1, "", "pintle: cannot replace " + log + ": it is not pintle's (--force replaces it)\n"}
	if got := pintle(t, newFake(), "install-s6", dir); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	want = result{0, "made 1 tool of s6's in " + dir + "; 21 were there already\n", ""}
	if got := pintle(t, newFake(), "install-s6", "--force", dir); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := pintle(t, newFake(), "install-s6"); got.code != 2 {
		t.Errorf("without a directory: %+v", got)
	}
}
