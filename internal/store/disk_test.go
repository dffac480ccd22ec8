package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: needs root")
	}
}

// mount makes a small file system that goes away with the test.
func mount(t *testing.T, options string) string {
	t.Helper()
	needRoot(t)
	dir := scratch(t)
	if err := unix.Mount("pintle-test", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("skipped: cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// wantFault fails the test unless the outcome and the one condition have all the parts.
func wantFault(t *testing.T, s *Store, outcome error, parts ...string) {
	t.Helper()
	if outcome == nil {
		t.Error("reported durable")
		return
	}
	conditions := s.Conditions()
	for _, part := range parts {
		if !strings.Contains(outcome.Error(), part) {
			t.Errorf("outcome %q, want %q in it", outcome, part)
		}
		if len(conditions) != 1 || conditions[0].Code != engine.StateInMemory || !strings.HasPrefix(conditions[0].Text, "desired states are kept in memory only: ") ||
			!strings.Contains(conditions[0].Text, part) {
			t.Errorf("conditions %q, want %q in it", conditions, part)
		}
	}
}

// recovery returns a callback for Options.Changed, and a wait for the store to be well again by itself.
func recovery() (changed func(), wait func(*Store)) {
	signal := make(chan struct{}, 1)
	return func() {
			select {
			case signal <- struct{}{}:
			default:
			}
		}, func(s *Store) {
			for s.Conditions() != nil {
				<-signal
			}
		}
}

// A full disk is a condition. The record from before stays, and the new one
// follows when there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := mount(t, "size=128k,mode=0755")
	changed, wait := recovery()
	s, _ := Open(Options{Directory: dir + "/state", UID: os.Geteuid(), Changed: changed})
	must(t, put(s, record("a", true, 1)))
	ballast, err := os.Create(dir + "/ballast")
	must(t, err)
	for {
		if _, err := ballast.Write(make([]byte, 4096)); err != nil {
			break
		}
	}
	must(t, ballast.Close())

	wantFault(t, s, put(s, record("a", false, 2)), "cannot write "+dir+"/state/intents/a.json: no space left on device")
	names, err := filepath.Glob(dir + "/state/intents/.*")
	must(t, err)
	if len(names) != 0 {
		t.Errorf("left behind: %q", names)
	}
	// To forget needs no room.
	must(t, remove(s, "b"))
	text, err := os.ReadFile(dir + "/state/intents/a.json")
	must(t, err)
	if r, err := decode("a.json", text); err != nil || r.Intent.Generation != 1 {
		t.Errorf("on disk: %q", text)
	}

	must(t, os.Remove(dir+"/ballast"))
	wait(s)
	must(t, s.Close(t.Context()))
	wantRecords(t, reopen(t, dir+"/state"), record("a", false, 2))
}

// No inode left is a full disk too, already for the directory itself.
func TestFullDiskAtOpen(t *testing.T) {
	t.Parallel()
	dir := mount(t, "nr_inodes=2,mode=0755")
	s, records := open(t, dir+"/state")
	wantRecords(t, records)
	wantFault(t, s, put(s, record("a", true, 1)), "cannot open "+dir+"/state/intents: no space left on device")
}

// A read-only disk is read, and a wish against it is a condition.
func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	dir := mount(t, "mode=0755")
	s, _ := open(t, dir+"/state")
	must(t, put(s, record("a", true, 1)))
	must(t, s.Close(t.Context()))
	must(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	s, records := open(t, dir+"/state")
	wantRecords(t, records, record("a", true, 1))
	wantFault(t, s, put(s, record("a", false, 2)), "state/intents/a.json: read-only file system")
	wantFault(t, s, remove(s, "a"), "read-only file system")
	must(t, unix.Mount("", dir, "", unix.MS_REMOUNT, ""))
	must(t, put(s, record("b", true, 1)))
	if got := s.Conditions(); got != nil {
		t.Errorf("conditions %q", got)
	}
	must(t, s.Close(t.Context()))
	wantRecords(t, reopen(t, dir+"/state"), record("b", true, 1))
}

// One record that cannot be replaced keeps no other from being written.
func TestOneFailureDisturbsNoOther(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	s, _ := open(t, dir)
	must(t, os.MkdirAll(dir+"/intents/a.json/x", 0o700))
	wantFault(t, s, put(s, record("a", true, 1)), "intents/a.json: file exists")
	must(t, put(s, record("b", true, 1)))
	wantFault(t, s, put(s, record("a", true, 2)), "intents/a.json: file exists")
	must(t, os.RemoveAll(dir+"/intents/a.json"))
	must(t, put(s, record("c", true, 1)))
	must(t, s.Close(t.Context()))
	wantRecords(t, reopen(t, dir), record("a", true, 2), record("b", true, 1), record("c", true, 1))
}

// What an interrupted write left is cleared away.
func TestLeftoversAreRemoved(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	s, _ := open(t, dir)
	must(t, put(s, record("a", true, 1)))
	must(t, s.Close(t.Context()))
	for _, name := range []string{"/.new-1", "/.new-X.json"} {
		must(t, os.WriteFile(dir+"/intents"+name, []byte("{"), 0o600))
	}
	wantRecords(t, reopen(t, dir), record("a", true, 1))
	names, err := os.ReadDir(dir + "/intents")
	must(t, err)
	if len(names) != 1 {
		t.Errorf("left: %v", names)
	}
}

// A directory that was moved away is still the one that is written to.
func TestReplacedDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	s, _ := open(t, dir)
	must(t, put(s, record("a", true, 1)))
	must(t, os.Rename(dir, dir+".old"))
	must(t, os.MkdirAll(dir+"/intents", 0o700))
	must(t, put(s, record("a", true, 2)))
	must(t, s.Close(t.Context()))
	wantRecords(t, reopen(t, dir))
	wantRecords(t, reopen(t, dir+".old"), record("a", true, 2))
}

// A directory that was removed is made again.
func TestRemovedDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	s, _ := open(t, dir)
	must(t, put(s, record("a", true, 1)))
	must(t, os.RemoveAll(dir))
	wantFault(t, s, put(s, record("b", true, 1)), "intents/b.json: no such file or directory")
	must(t, put(s, record("c", true, 1)))
	must(t, s.Close(t.Context()))
	wantRecords(t, reopen(t, dir), record("b", true, 1), record("c", true, 1))
}
