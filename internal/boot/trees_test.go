package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/config"
	"pintle/internal/process"
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
	dir, err := os.MkdirTemp("/var/lib", "pintle-scan-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startInS6sPlace boots yaml with args, where it may make what s6-overlay has in /run.
func startInS6sPlace(t *testing.T, yaml string, args ...string) *pintle {
	t.Helper()
	p := prepared(t, []string{ownRun + "=1", "ODD=a  b\n\nc"}, yaml, args...)
	p.SysProcAttr = &unix.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	p.begin(t)
	return p
}

// What programs look for under s6-overlay is there: basedir for everybody, and the environment for root and the group of who owns
// the services, with what a variable holds, byte for byte; but no file for what is no file's name, nor in what another has laid.
func TestOverlay(t *testing.T) {
	t.Parallel()
	const look = `cd /run/s6; stat -c '%n %A %u %g' basedir container_environment; cat container_environment/ODD; ls container_environment | grep -c /`
	for name, test := range map[string]struct {
		settings string
		want     []string
	}{
		"environment":    {"owner: nobody", []string{"basedir drwxr-xr-x 0 0", "container_environment drwxr-x--- 0 65534", "a  b", "", "c0"}},
		"no environment": {"container_environment: false", []string{"basedir drwxr-xr-x 0 0", "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startInS6sPlace(t, "s6: {scan: ["+scanDirectory(t)+"], "+test.settings+"}", "sh", "-c", look)
			for _, want := range test.want {
				p.expect(t, want)
			}
			p.code(t)
		})
	}
}

// A scan directory's services run beside the configuration's, keep a container that has nothing else, and end with it.
func TestScanDirectory(t *testing.T) {
	t.Parallel()
	scan := scanDirectory(t)
	serviceDirectory(t, scan, "web", "echo from s6; exec sleep 1000")
	serviceDirectory(t, scan, "taken", "echo wrong; exec sleep 1000")
	serviceDirectory(t, scan, "gateway@taken", "echo wrong; exec sleep 1000")
	p := startInS6sPlace(t, "s6: {scan: ["+scan+", "+scan+"/made]}\noneshots: {taken: {up: [\"true\"]}}\ntemplates: {gateway: {command: [\"true\"]}}")
	p.expect(t, "web | from s6")
	p.until(t, "names that are taken, or may be, are said", func() bool {
		said := p.stderr.String()
		return strings.Contains(said, "cannot use name taken: another unit has it") && strings.Contains(said, "cannot use name gateway@taken: another unit has it")
	})
	if st, err := os.Stat(scan + "/made"); err != nil || !st.IsDir() {
		t.Errorf("a scan directory that was not there: %v", err)
	}
	p.term(t)
	if code := p.code(t); code != 0 || strings.Contains(p.stderr.String(), "wrong") {
		t.Errorf("code %d\n%s", code, &p.stderr)
	}
}

// The container's environment is laid only where nobody else could have put symlinks.
func TestTheEnvironmentIsLaidWhereNobodyElseWrites(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: it takes root to give a directory away")
	}
	owner := &process.Identity{UID: 10000, GID: 10000}
	for what, change := range map[string]func(dir string) error{
		"the directory is another's":   func(dir string) error { return os.Chown(dir+"/s6/container_environment", 10000, 10000) },
		"the one above is another's":   func(dir string) error { return os.Chown(dir+"/s6", 10000, 10000) },
		"everybody may write it":       func(dir string) error { return os.Chmod(dir+"/s6/container_environment", 0o1777) },
		"everybody may write above it": func(dir string) error { return os.Chmod(dir+"/s6", 0o777) },
	} {
		dir := scanDirectory(t)
		if err := os.MkdirAll(dir+"/s6/container_environment", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(dir+"/secret", dir+"/s6/container_environment/A"); err != nil {
			t.Fatal(err)
		}
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
		if err := layOverlay(dir+"/s6", &config.S6{Environment: true}, owner, []string{"A=1"}); err == nil {
			t.Errorf("%s: it was laid", what)
		}
		if _, err := os.Stat(dir + "/secret"); err == nil {
			t.Errorf("%s: what a symlink leads to was written", what)
		}
	}
}

// A scan directory that can't be supervised is a condition, and keeps nothing else from running.
func TestScanDirectoryOfAnybody(t *testing.T) {
	t.Parallel()
	scan := scanDirectory(t)
	if err := os.Chmod(scan, 0o777); err != nil {
		t.Fatal(err)
	}
	p := startInS6sPlace(t, "s6: {scan: ["+scan+"]}\nservices: {web: {command: "+shell("echo up; exec sleep 1000")+"}}")
	p.expect(t, "web | up")
	p.until(t, "the condition is said", func() bool {
		return strings.Contains(p.stderr.String(), "condition: cannot scan "+scan+": others than its owner may write it")
	})
	p.term(t)
	p.code(t)
}

// A name is one service's in all scan directories, pintle's own user's first, until its directory is gone.
func TestANameInTwoScanDirectories(t *testing.T) {
	t.Parallel()
	theirs, own := scanDirectory(t), scanDirectory(t)
	serviceDirectory(t, theirs, "web", "echo from theirs; exec sleep 1000")
	serviceDirectory(t, own, "web", "echo from own; exec sleep 1000")
	if os.Geteuid() != 0 {
		t.Skip("skipped: it takes root to give a scan directory away")
	}
	if err := os.Chown(theirs, 10000, 10000); err != nil {
		t.Fatal(err)
	}
	p := start(t, "s6: {scan: ["+theirs+", "+own+"]}")
	p.until(t, "it is said that the name is taken", func() bool {
		return strings.Contains(p.stderr.String(), theirs+": cannot use name web: another unit has it")
	})
	p.expect(t, "web | from own")
	if err := os.Rename(own+"/web", own+"/.web"); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "web | from theirs")
	p.term(t)
	p.code(t)
}
