package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serviceDirectory makes one of s6's.
func serviceDirectory(t *testing.T, scan, name, run string) {
	t.Helper()
	dir := filepath.Join(scan, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/run", []byte("#!/bin/sh\n"+run+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// scanDirectory is one that only its owner can write, as are those around it.
func scanDirectory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "pintle-scan-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A scan directory's services run beside the configuration's, keep a container that has nothing else, and end with it.
func TestScanDirectory(t *testing.T) {
	t.Parallel()
	scan := scanDirectory(t)
	serviceDirectory(t, scan, "web", "echo from s6; exec sleep 1000")
	serviceDirectory(t, scan, "taken", "echo wrong; exec sleep 1000")
	p := start(t, "s6: {scan: ["+scan+", "+scan+"/made]}\noneshots: {taken: {up: [\"true\"]}}")
	p.expect(t, "web | from s6")
	p.until(t, "a name that is taken is said", func() bool {
		return strings.Contains(p.stderr.String(), "cannot use name taken: another unit has it")
	})
	if st, err := os.Stat(scan + "/made"); err != nil || !st.IsDir() {
		t.Errorf("a scan directory that was not there: %v", err)
	}
	p.term(t)
	if code := p.code(t); code != 0 || strings.Contains(p.stderr.String(), "wrong") {
		t.Errorf("code %d\n%s", code, &p.stderr)
	}
}

// A scan directory that can't be supervised is a condition, and keeps nothing else from running.
func TestScanDirectoryOfAnybody(t *testing.T) {
	t.Parallel()
	scan := scanDirectory(t)
	if err := os.Chmod(scan, 0o777); err != nil {
		t.Fatal(err)
	}
	p := start(t, "s6: {scan: ["+scan+"]}\nservices: {web: {command: "+shell("echo up; exec sleep 1000")+"}}")
	p.expect(t, "web | up")
	p.until(t, "the condition is said", func() bool {
		return strings.Contains(p.stderr.String(), "condition: cannot scan "+scan+": others than its owner may write it")
	})
	p.term(t)
	p.code(t)
}
