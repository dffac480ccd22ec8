package peers

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds every wait for a peer: who is slower than this is not measured but an error.
const patience = 90 * time.Second

// size is how much is measured.
type size int

// The sizes: smoke only proves that everything can be measured, quick has smaller counts, full has those of the issue.
const (
	smoke size = iota
	quick
	full
)

// workshop is what every question measures with: the programs, and the test that is told what cannot be.
type workshop struct {
	testing.TB
	size size
	bin  string // a directory with pintle, pebble and the C programs of testdata
	// missing are the peers that are not to be had here, each with its cause.
	missing map[string]string
}

// pick is the number for the size of this run.
func (w *workshop) pick(full_, quick_, smoke_ int) int {
	return map[size]int{full: full_, quick: quick_, smoke: smoke_}[w.size]
}

// many is how many services there are where the issue says 1,000.
func (w *workshop) many() int { return w.pick(1000, 1000, 5) }

// program is the path of one that was built, or found on PATH.
func (w *workshop) program(name string) string {
	built := filepath.Join(w.bin, name)
	if _, err := os.Stat(built); err == nil {
		return built
	}
	path, err := exec.LookPath(name)
	if err != nil {
		w.Fatalf("cannot find %s: %v", name, err)
	}
	return path
}

// has tells whether a peer's programs are there. Who is not there is named below the tables, unless nothing may be skipped.
func (w *workshop) has(peer string, programs ...string) bool {
	for _, p := range programs {
		if _, err := os.Stat(filepath.Join(w.bin, p)); err == nil {
			continue
		}
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if w.missing[peer] == "" {
			w.missing[peer] = p + " is not installed"
		}
		if os.Getenv("PINTLE_TEST_NO_SKIP") == "1" && !optional[peer] {
			w.Fatalf("cannot measure %s: %s (and PINTLE_TEST_NO_SKIP=1 lets nothing be skipped)", peer, w.missing[peer])
		}
		return false
	}
	return true
}

// optional are the peers that no package of Debian's or the module proxy's has: they are measured where they are on PATH.
var optional = map[string]bool{"process-compose": true}

// absent are the notes about the peers that are not there.
func (w *workshop) absent(peers ...string) (notes []string) {
	for _, p := range peers {
		if cause := w.missing[p]; cause != "" {
			notes = append(notes, p+" is not measured: "+cause+".")
		}
	}
	return notes
}

// newWorkshop builds everything that is measured.
func newWorkshop(t testing.TB, s size) *workshop {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("PINTLE_TEST_NO_SKIP") == "1" {
			t.Fatal("peers are measured by root (and PINTLE_TEST_NO_SKIP=1 lets nothing be skipped)")
		}
		t.Skip("peers are measured by root: it makes namespaces")
	}
	raiseLimit(t)
	w := &workshop{TB: t, size: s, bin: t.TempDir(), missing: map[string]string{}}
	if err := os.Chmod(w.bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(w.bin); dir != os.TempDir() && len(dir) > 1; dir = filepath.Dir(dir) { // a user without rights runs the service, too
		_ = os.Chmod(dir, 0o755)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	w.build(root, "pintle", "./cmd/pintle")
	w.build(root, "forkexec", "./test/peers/testdata/forkexec")
	if err := w.tryBuild(filepath.Join(root, "hack/peers/pebble"), "pebble", "github.com/canonical/pebble/cmd/pebble"); err != nil {
		w.missing["pebble"] = err.Error()
	}
	for _, p := range []string{"service", "cell", "bareloop", "killer"} {
		w.run(exec.Command("gcc", "-static", "-O2", "-Wall", "-Werror", "-o", filepath.Join(w.bin, p), filepath.Join("testdata", p+".c")))
	}
	w.missing["process-compose"] = "the module proxy refuses github.com/f1bonacc1/process-compose (403, \"This module version is not available\"), and it is not on PATH"
	return w
}

// build makes a static program of a Go package.
func (w *workshop) build(dir, name, pkg string) {
	w.Helper()
	if err := w.tryBuild(dir, name, pkg); err != nil {
		w.Fatal(err)
	}
}

func (w *workshop) tryBuild(dir, name, pkg string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(w.bin, name), pkg)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	f, err := elf.Open(filepath.Join(w.bin, name))
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", name, err)
	}
	return f.Close()
}

// run runs a command that must succeed, and returns its output.
func (w *workshop) run(cmd *exec.Cmd) string {
	w.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.Fatalf("cannot run %v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}

// must ends the question where something has failed.
func (w *workshop) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// raiseLimit gives everybody as many descriptors as the kernel lets this process have.
func raiseLimit(t testing.TB) uint64 {
	t.Helper()
	var l syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l)
	if err == nil {
		l.Cur = l.Max
		err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
	}
	if err != nil {
		t.Fatalf("cannot raise the limit of open files: %v", err)
	}
	return l.Max
}

// now is CLOCK_MONOTONIC, which the programs of testdata tell the time by.
func now() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

// monotonic is a time of day as now would have said it then.
func monotonic(t time.Time) time.Duration { return now() - time.Since(t.Round(0)) }

// until waits for something to be so, looking every few milliseconds.
func (w *workshop) until(what string, so func() bool) {
	w.Helper()
	for end := now() + patience; !so(); time.Sleep(2 * time.Millisecond) {
		if now() > end {
			w.Fatalf("cannot measure: %s is not so after %v", what, patience)
		}
	}
}

// ms is a duration as figures have it.
func ms(d time.Duration) float64 { return float64(d) / 1e6 }

// itoa is short for the numbers in file names and command lines.
func itoa(i int) string { return strconv.Itoa(i) }

// write makes a file, with the directories on the way.
func (w *workshop) write(path, text string, mode os.FileMode) {
	w.Helper()
	w.must(errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)))
}
