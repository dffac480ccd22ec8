package prepare

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// seeds is a plan with one file of the hermit's, from a file and from a variable.
func (h *house) seeds() unit.Prepare {
	return unit.Prepare{Files: []unit.PreparedFile{
		{Path: h.vol + "/.env", Copy: h.dir + "/example", Owner: "hermit", Mode: 0o600},
		{Path: h.vol + "/new/auth.json", FromEnvironment: "AUTH", Owner: "hermit:users", Mode: 0o640},
	}}
}

// A file is written once: with owner and mode, and never over what somebody has there.
func TestFilesAreSeededOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write("example", "A=1\n", 0)
	h.opts.Environ = []string{"AUTH={}", "AUTH=second"}
	h.run(h.seeds())
	h.is("vol/.env", "10000:10000 0600")
	h.is("vol/new", "10000:10000 0755")
	h.is("vol/new/auth.json", "10000:100 0640")
	if h.read("vol/.env") != "A=1\n" || h.read("vol/new/auth.json") != "{}" {
		t.Errorf("the files have %q and %q", h.read("vol/.env"), h.read("vol/new/auth.json"))
	}
	h.write("vol/.env", "mine\n", stranger)
	must(t, os.Remove(h.dir+"/example")) // what is there needs no source
	h.run(h.seeds())
	h.is("vol/.env", "4242:4242 0644")
	if h.read("vol/.env") != "mine\n" {
		t.Error("the file was written over")
	}
}

// No variable, no file, and no directory for it; an empty one is as good as none.
func TestUnsetVariablesSeedNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write("example", "", 0)
	h.opts.Environ = []string{"AUTH=", "AUTHOR=x"}
	h.run(h.seeds())
	if _, err := os.Lstat(h.vol + "/new"); err == nil {
		t.Error("a directory was made")
	}
	h.is("vol/.env", "10000:10000 0600") // an empty source is a file
}

// Whatever has the name is there: a directory, a symlink to nowhere, to root's file, a FIFO.
func TestSeedsGoThroughNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write("example", "new", 0)
	h.write("passwords", "old", 0)
	for _, put := range []func(path string) error{
		func(path string) error { return os.Symlink(h.dir+"/nowhere", path) },
		func(path string) error { return os.Symlink(h.dir+"/passwords", path) },
		func(path string) error { return os.Link(h.dir+"/passwords", path) },
		func(path string) error { return os.Mkdir(path, 0o755) },
		func(path string) error { return unix.Mkfifo(path, 0o644) },
	} {
		must(t, put(h.vol+"/.env"))
		h.run(h.seeds())
		must(t, os.Remove(h.vol+"/.env"))
	}
	if _, err := os.Lstat(h.dir + "/nowhere"); err == nil || h.read("passwords") != "old" {
		t.Error("a symlink was followed")
	}
	h.is("passwords", "0:0 0644")
}

// What is copied must be root's: else whoever can write it would choose what others trust.
func TestSourcesMustBeTrusted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write("vol/example", "", hermit)
	plan := h.seeds()
	plan.Files = plan.Files[:1]
	h.run(plan, "!cannot prepare DIR/vol/.env: cannot open DIR/example: no such file or directory")
	plan.Files[0].Copy = h.vol + "/example"
	h.run(plan, "!cannot prepare DIR/vol/.env: cannot trust DIR/vol/example: DIR/vol belongs to uid 10000, not to root")
	if _, err := os.Lstat(h.vol + "/.env"); err == nil {
		t.Error("a file was made")
	}
}

// Where the file system has no unnamed files, the same holds; what a crash left is cleared away.
func TestSeedWithAName(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dir, err := os.Open(h.vol)
	must(t, err)
	defer dir.Close()
	h.write("vol/.a.pintle-new", "half", 0)
	s := seed{int(dir.Fd()), "a", []byte("whole"), 0o600, &owner{uid: hermit, gid: hermit}}
	must(t, s.named())
	h.is("vol/a", "10000:10000 0600")
	must(t, os.WriteFile(h.vol+"/a", []byte("mine"), 0o600))
	must(t, s.named())
	if h.read("vol/a") != "mine" {
		t.Error("the file was written over")
	}
	entries, err := os.ReadDir(h.vol)
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("there are %v", entries)
	}
}
