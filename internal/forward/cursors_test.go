package forward

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// TestOneOwner: two forwarders don't have the same cursors, each of which would undo what the other has written; what was
// killed leaves nothing in the way of the next.
func TestOneOwner(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cursors")
	for _, left := range []string{".new", ".lock"} { // half a file, and a lock that nobody holds
		if err := os.WriteFile(path+left, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, err := openCursors(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openCursors(path); err == nil || err.Error() != "cannot keep the cursors in "+path+": another forwarder does" {
		t.Errorf("the second one: %v", err)
	}
	first.close()
	second, err := openCursors(path)
	if err != nil {
		t.Fatal(err)
	}
	second.close()
	left, err := filepath.Glob(path + "*")
	if err != nil || len(left) != 2 {
		t.Errorf("%v; there are %q", err, left)
	}
}

// TestForeignFiles: what is no file of cursors is refused with a sentence, is not waited for, and stays as it is.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := map[string]string{"text": "hello", "version": `{"version":2}`, "half": `{"version":1,"targets":{"a":{"we`}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "pipes.new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "directory"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"text", "version", "half", "directory", "pipe", "pipes", "none/none"} {
		if c, err := openCursors(filepath.Join(dir, name)); err == nil || c != nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	for name, text := range files {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != text {
			t.Errorf("%s became %q, %v", name, got, err)
		}
	}
}

// TestCursorsInMemoryAreBounded: however many units come and go, also where there is no file.
func TestCursorsInMemoryAreBounded(t *testing.T) {
	t.Parallel()
	c, err := openCursors("")
	if err != nil {
		t.Fatal(err)
	}
	const units = 5 * mostCursors
	for i := range units {
		c.passed("target", []entry{{line: engine.Line{Unit: unit.Name(fmt.Sprintf("u%d", i)), Seq: uint64(i + 1)}}})
	}
	if n := len(c.places["target"]); n > 2*mostCursors || c.get("target", unit.Name(fmt.Sprintf("u%d", units-1))) != units {
		t.Errorf("%d units are remembered", n)
	}
}

// TestAFullDisk: that cursors can't be kept for the time being is no reason not to forward.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		fmt.Errorf("cannot keep the cursors: %w", &os.PathError{Op: "write", Err: unix.ENOSPC}): true,
		fmt.Errorf("cannot keep the cursors: %w", &os.PathError{Op: "open", Err: unix.EACCES}):  false,
	} {
		if full(err) != want {
			t.Errorf("%v: %v", err, !want)
		}
	}
}
