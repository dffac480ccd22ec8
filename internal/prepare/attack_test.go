package prepare

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// The adversary is this test binary as uid 10000, told by the variable what to do, in
// the volume that it owns and works in.
const roleVar = "PINTLE_PREPARE_TEST_ROLE"

// play does one thing until it is killed.
func play(role string) int {
	if role == "prepare" {
		place := os.Getenv("PLACE")
		plan := tree(place)
		plan.Directories = append(plan.Directories, directories(place+"/a/b").Directories...)
		plan.Files = []unit.PreparedFile{{Path: place + "/.env", Copy: "example", Owner: "hermit", Mode: 0o600}}
		for _, p := range Run(plan, Options{UID: os.Getuid(), GID: os.Getgid(), Now: time.Now}).Problems {
			fmt.Println(p.Text)
		}
		return 0
	}
	swap := func(a, b string) { _ = unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE) }
	for i := 0; ; i++ {
		switch role {
		case "exchange": // directories on the way and at the end for symlinks, and files for links
			swap("cron", "trap")
			swap("cron/a", "cron/trap-a")
			swap("trap/a", "trap/trap-a")
			swap("deep/a/b", "deep/a/trap")
			swap("deep", "trap-deep")
			swap("cron/file", "cron/link")
			swap(".env", "trap-env")
		case "unlink": // the only name within, of a file that has another one outside
			_ = os.Remove(fmt.Sprintf("cron/hard%d", i%1000))
			_ = os.Rename(fmt.Sprintf("cron/hard%d", (i+500)%1000), "cron/moved")
		case "come and go": // what pintle makes is taken away and replaced while it makes it
			_ = os.Rename("fresh", "gone")
			_ = os.Symlink("../outside", "fresh")
			_ = os.Remove("fresh")
			_ = os.RemoveAll("gone")
			_ = os.Symlink("../outside/file", ".env")
			_ = os.Remove(".env")
			_ = os.Remove("..env.pintle-new")
			_ = os.Symlink("../outside/file", "..env.pintle-new")
		}
	}
}

// binary is a copy of this test binary that every user can execute.
func (h *house) binary() string {
	h.t.Helper()
	binary := h.dir + "/binary"
	if _, err := os.Stat(binary); err == nil {
		return binary
	}
	from, err := os.Open("/proc/self/exe")
	must(h.t, err)
	defer from.Close()
	to, err := os.OpenFile(binary, os.O_CREATE|os.O_WRONLY, 0o755)
	must(h.t, err)
	_, err = io.Copy(to, from)
	must(h.t, err)
	must(h.t, to.Close())
	must(h.t, os.Chmod(binary, 0o755))
	return binary
}

// adversary starts one, who lives until the test ends or stop is called.
func (h *house) adversary(role string) (stop func()) {
	h.t.Helper()
	cmd := exec.Command(h.binary())
	cmd.Dir = h.vol
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: hermit, Gid: hermit}, Pdeathsig: syscall.SIGKILL}
	must(h.t, cmd.Start())
	ended := false
	stop = func() {
		if !ended {
			ended = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	h.t.Cleanup(stop)
	return stop
}

// outside is what nobody may ever change: as text, with owners, modes and content.
func (h *house) outside() string {
	h.t.Helper()
	var b strings.Builder
	must(h.t, filepath.WalkDir(h.dir+"/outside", func(path string, d os.DirEntry, err error) error {
		must(h.t, err)
		var st unix.Stat_t
		must(h.t, unix.Lstat(path, &st))
		text := ""
		if d.Type().IsRegular() {
			data, err := os.ReadFile(path)
			must(h.t, err)
			text = string(data)
		}
		fmt.Fprintf(&b, "%s %d:%d %o %q\n", path, st.Uid, st.Gid, st.Mode, text)
		return nil
	}))
	return b.String()
}

// attack runs the plan again and again for a second while the adversary is at it, with again
// putting back before each what is to be repaired.
func (h *house) attack(role string, plan unit.Prepare, again func()) {
	h.t.Helper()
	h.mkdir("outside/a/b", 0)
	for _, name := range []string{"file", "a/file", "a/b/file"} {
		h.write("outside/"+name, "root's", 0)
	}
	again()
	before := h.outside()
	stop := h.adversary(role)
	rounds, problems := 0, 0
	for until := time.Now().Add(time.Second); time.Now().Before(until); rounds++ {
		again()
		problems += len(Run(plan, h.opts).Problems)
	}
	stop()
	if after := h.outside(); after != before {
		h.t.Errorf("outside was\n%s\nand is\n%s", before, after)
	}
	h.t.Logf("%d rounds, %d problems", rounds, problems)
}

// Whoever owns the volume may exchange everything in it for symlinks to root's files at
// any moment: nothing outside is ever given away, changed or written.
func TestAgainstExchange(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write("example", "seed", 0)
	for _, d := range []string{"vol/cron/a/b", "vol/deep/a/b"} {
		h.mkdir(d, hermit)
	}
	for _, d := range []string{"vol/cron", "vol/cron/a", "vol/deep", "vol/deep/a"} {
		h.mkdir(d, hermit)
	}
	h.write("vol/cron/file", "", hermit)
	for link, target := range map[string]string{
		"trap": "outside", "cron/trap-a": "outside/a", "deep/a/trap": "outside/a/b", "trap-deep": "outside",
		"cron/link": "outside/file", "trap-env": "outside/file", ".env": "outside/new",
	} {
		must(t, os.Symlink(h.dir+"/"+target, h.vol+"/"+link))
	}
	plan := tree(h.vol + "/cron")
	plan.Directories = append(plan.Directories, directories(h.vol+"/deep/a/b", h.vol+"/deep/a/b/new").Directories...)
	for i := range plan.Directories {
		plan.Directories[i].Mode = new(uint32(0o750))
	}
	plan.Files = h.seeds().Files[:1]
	vol, err := os.OpenRoot(h.vol) // what puts things back must not fall into the traps either
	must(t, err)
	defer vol.Close()
	h.attack("exchange", plan, func() {
		for _, path := range []string{"cron", "cron/a", "cron/file", "cron/a/b", "deep", "deep/a", "deep/a/b"} {
			_ = vol.Lchown(path, stranger, stranger)
		}
	})
}

// A file of root's with a name in the tree and another one outside stays root's also if the
// name in the tree goes at the very moment when its names are counted.
func TestAgainstUnlinking(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mkdir("vol/cron", hermit)
	h.mkdir("outside", 0)
	for i := range 1000 {
		h.write(fmt.Sprintf("outside/hard%d", i), "root's", 0)
	}
	h.attack("unlink", tree(h.vol+"/cron"), func() {
		for i := range 1000 {
			_ = os.Link(fmt.Sprintf("%s/outside/hard%d", h.dir, i), fmt.Sprintf("%s/cron/hard%d", h.vol, i))
		}
	})
}

// What pintle makes can be taken away, and replaced, between any two steps of making it.
func TestAgainstComingAndGoing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write("example", "seed", 0)
	plan := directories(h.vol+"/fresh/a/b", h.vol+"/fresh")
	plan.Directories[1].Mode = new(uint32(0o770))
	plan.Directories[1].Repair = true
	plan.Files = h.seeds().Files[:1]
	h.attack("come and go", plan, func() {})
	dir, err := os.Open(h.vol)
	must(t, err)
	defer dir.Close()
	stop := h.adversary("come and go")
	defer stop()
	before := h.outside()
	for range 500 {
		_ = (&seed{int(dir.Fd()), ".env", []byte("seed"), 0o666, &owner{uid: hermit, gid: hermit}}).named()
	}
	if after := h.outside(); after != before {
		t.Errorf("outside was\n%s\nand is\n%s", before, after)
	}
}
