package install

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/s6/tools"
)

// binary is a file that stands for pintle.
func binary(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "pintle")
	if err := os.WriteFile(path, []byte("pintle"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// names is what a directory holds.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestInstall: a directory that was not there has every tool and nothing else, as the same file as pintle; doing it again
// changes nothing.
func TestInstall(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	o := Options{Dir: filepath.Join(top, "a/command"), Binary: binary(t, top)}
	done, err := Install(o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Result{Made: tools.Names()}, done); diff != "" {
		t.Error(diff)
	}
	want := slices.Sorted(slices.Values(tools.Names()))
	if diff := cmp.Diff(want, names(t, o.Dir)); diff != "" {
		t.Error(diff)
	}
	for _, name := range want {
		if info, err := os.Lstat(filepath.Join(o.Dir, name)); err != nil || !info.Mode().IsRegular() || content(t, filepath.Join(o.Dir, name)) != "pintle" {
			t.Errorf("%s is no hard link to pintle: %v, %v", name, info, err)
		}
	}
	done, err = Install(o)
	if diff := cmp.Diff(Result{Kept: tools.Names()}, done); diff != "" || err != nil {
		t.Errorf("the second time: %v, %s", err, diff)
	}
}

// TestInstallAcrossFileSystems: where a hard link cannot be made, the tools are symbolic links that name the binary itself, and are
// known again.
func TestInstallAcrossFileSystems(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/dev/shm", "pintle")
	if err != nil {
		t.Skipf("there is no second file system here: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	top := t.TempDir()
	path := binary(t, top)
	if os.Link(path, filepath.Join(dir, "probe")) == nil {
		t.Skip("there is no second file system here")
	}
	linked := filepath.Join(top, "link")
	if err := os.Symlink(path, linked); err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: dir, Binary: linked}
	for range 2 {
		if _, err := Install(o); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range tools.Names() {
		to, err := os.Readlink(filepath.Join(dir, name))
		if resolved, _ := filepath.EvalSymlinks(path); err != nil || to != resolved {
			t.Errorf("%s leads to %q, %v", name, to, err)
		}
	}
}

// TestInstallReplacesNothingForeign: where one name is taken by something else, nothing changes and each such name is said; with
// force they are pintle's, but for a directory.
func TestInstallReplacesNothingForeign(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	o := Options{Dir: filepath.Join(top, "command"), Binary: binary(t, top)}
	for path, text := range map[string]string{"command/s6-log": "real", "command/other": "other", "real": "real"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(top, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(top, path), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"s6-setsid": "../real", "s6-envdir": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(o.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	before := names(t, o.Dir)
	done, err := Install(o)
	if err == nil || len(done.Made) > 0 {
		t.Fatalf("it made %v, error %v", done.Made, err)
	}
	for _, name := range []string{"s6-log", "s6-setsid", "s6-envdir"} {
		if want := "cannot replace " + filepath.Join(o.Dir, name) + ": it is not pintle's (--force replaces it)"; !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if diff := cmp.Diff(before, names(t, o.Dir)); diff != "" {
		t.Errorf("it changed something: %s", diff)
	}
	o.Force = true
	if _, err := Install(o); err != nil {
		t.Fatal(err)
	}
	if content(t, filepath.Join(o.Dir, "s6-log")) != "pintle" || content(t, filepath.Join(top, "real")) != "real" || content(t, filepath.Join(o.Dir, "other")) != "other" {
		t.Error("with force, it replaced too little or too much")
	}
	log := filepath.Join(o.Dir, "s6-log")
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(log, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Install(o); err == nil || err.Error() != "cannot replace "+log+": it is a directory" {
		t.Errorf("a directory in the way: %v", err)
	}
}

// TestInstallIsNeverHalfDone: while one tool after the other is replaced, again and again and by two at once, every name is
// there at every moment.
func TestInstallIsNeverHalfDone(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	a, b := filepath.Join(top, "a"), filepath.Join(top, "b")
	for _, dir := range []string{a, b} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(top, "command")
	versions := []string{binary(t, a), binary(t, b)}
	if _, err := Install(Options{Dir: dir, Binary: versions[0]}); err != nil {
		t.Fatal(err)
	}
	var replacing sync.WaitGroup
	for _, version := range versions {
		replacing.Go(func() {
			for range 50 {
				if _, err := Install(Options{Dir: dir, Binary: version, Force: true}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		replacing.Wait()
		close(ended)
	}()
	for {
		for _, name := range tools.Names() {
			if text := content(t, filepath.Join(dir, name)); text != "pintle" {
				t.Fatalf("%s holds %q", name, text)
			}
		}
		select {
		case <-ended:
			if diff := cmp.Diff(slices.Sorted(slices.Values(tools.Names())), names(t, dir)); diff != "" {
				t.Errorf("afterwards: %s", diff)
			}
			return
		default:
		}
	}
}

// TestInstallSaysWhy: what cannot be done is said with the path and the cause, once.
func TestInstallSaysWhy(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	path := binary(t, top)
	for want, o := range map[string]Options{
		"cannot make " + path + "/x: not a directory":               {Dir: path + "/x", Binary: path},
		"cannot find " + top + "/nosuch: no such file or directory": {Dir: top, Binary: top + "/nosuch"},
	} {
		if _, err := Install(o); err == nil || err.Error() != want {
			t.Errorf("%v; want %s", err, want)
		}
	}
}
