package prepare

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/account"
	"pintle/internal/unit"
)

const (
	hermit   = 10000 // a service's user
	stranger = 4242
)

// TestMain lets a copy of this test binary be the adversary, as another user.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		os.Exit(play(role))
	}
	os.Exit(m.Run())
}

// house is a place for one test: an image that is root's, and in it a volume.
type house struct {
	t    *testing.T
	dir  string // trusted, all the way up
	vol  string // the hermit's
	opts Options
}

func newHouse(t *testing.T) *house {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: only root can give files away")
	}
	dir, err := os.MkdirTemp("/var/lib", "pintle-prepare-") // /tmp is everybody's, and so nothing in it is trusted
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &house{t: t, dir: dir, vol: dir + "/vol"}
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Mkdir(h.vol, 0o755))
	must(t, os.Chown(h.vol, hermit, hermit))
	h.write("passwd", "root:x:0:0:root:/root:/bin/sh\nhermit:x:10000:10000:,,,:/opt/data:/bin/bash\n", 0)
	h.write("group", "root:x:0:\nusers:x:100:\nhermit:x:10000:\n", 0)
	h.opts = Options{Now: time.Now, Accounts: account.Database{Passwd: dir + "/passwd", Group: dir + "/group"}}
	return h
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write makes a file of somebody's, with mode 0644.
func (h *house) write(name, text string, uid int) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	must(h.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(h.t, os.WriteFile(path, []byte(text), 0o644))
	must(h.t, os.Chmod(path, 0o644))
	must(h.t, os.Chown(path, uid, uid))
}

func (h *house) mkdir(name string, uid int) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	must(h.t, os.MkdirAll(path, 0o755))
	must(h.t, os.Chown(path, uid, uid))
}

// read is a file's text.
func (h *house) read(name string) string {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, name))
	must(h.t, err)
	return string(text)
}

// is checks an entry's owner and mode, as "UID:GID MODE".
func (h *house) is(name, want string) {
	h.t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(h.dir, name), &st); err != nil {
		h.t.Errorf("%s: %v", name, err)
		return
	}
	if got := fmt.Sprintf("%d:%d %04o", st.Uid, st.Gid, st.Mode&0o7777); got != want {
		h.t.Errorf("%s is %s, want %s", name, got, want)
	}
}

// run prepares, and checks that the problems are these; "!" before one says that it
// is fatal, DIR in one is the house's, and "…" at its end leaves the rest open.
func (h *house) run(plan unit.Prepare, want ...string) Result {
	h.t.Helper()
	r := Run(plan, h.opts)
	for i, p := range r.Problems {
		got := p.Text
		if p.Fatal {
			got = "!" + got
		}
		w := ""
		if i < len(want) {
			w = strings.ReplaceAll(want[i], "DIR", h.dir)
		}
		if begin, open := strings.CutSuffix(w, "…"); got != w && !(open && strings.HasPrefix(got, begin)) {
			h.t.Errorf("problem %d:\n got %s\nwant %s", i, got, w)
		}
	}
	if len(r.Problems) < len(want) {
		h.t.Errorf("%d problems, want %q", len(r.Problems), want)
	}
	return r
}

// directories is a plan with directories of the hermit's.
func directories(paths ...string) unit.Prepare {
	var plan unit.Prepare
	for _, p := range paths {
		plan.Directories = append(plan.Directories, unit.PreparedDirectory{Path: p, Owner: "hermit"})
	}
	return plan
}

// tree is a plan with one tree that is to be the hermit's.
func tree(path string) unit.Prepare {
	plan := directories(path)
	plan.Directories[0].Repair = true
	return plan
}
