package serve

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// stranger is a user who owns service directories, and nothing else.
const stranger = 10000

// give makes all below a directory, and itself, the stranger's.
func give(t *testing.T, dir string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, stranger, stranger)
		}
		return err
	}))
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root has service directories of several users")
	}
}

// TestU5: what pintle does in another user's service directory it does with that user's rights. So a file of root's that he
// has moved there is neither read out to him nor changed, and all that is made is his.
func TestU5(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := plant(t, map[string]map[string]string{"his": {"run*": "exec sleep 1000"}})
	give(t, dir+"/his")
	tr := grow(t, dir)
	up := func() bool { out, _ := tr.tool(t, "s6-svstat", "-o", "up", "@his"); return out == "true\n" }
	tr.until(t, "it is up", up)

	secret := strings.Repeat("secret of root", 3) // as long as three deaths
	tally := dir + "/his/supervise/death_tally"
	must(t, os.WriteFile(dir+"/secret", []byte(secret), 0o600))
	must(t, os.Rename(dir+"/secret", tally)) // as who owns the directory where it was could have done
	if out, code := tr.tool(t, "s6-svc", "-wr", "-T", "20000", "-k", "@his"); code != 0 {
		t.Errorf("s6-svc: code %d, %s", code, out)
	}
	tr.until(t, "it is up again", up)
	var st unix.Stat_t
	must(t, unix.Lstat(tally, &st))
	if text, err := os.ReadFile(tally); err != nil || string(text) != secret || st.Uid != 0 || st.Mode&0o777 != 0o600 {
		t.Errorf("it is %q, %v, of uid %d with mode %#o", text, err, st.Uid, st.Mode)
	}
	must(t, os.Remove(tally))

	out, err := exec.Command("find", dir+"/his", "!", "-uid", "10000").CombinedOutput()
	if err != nil || len(out) != 0 {
		t.Errorf("these are not his: %s, %v", out, err)
	}
	if out, code := tr.tool(t, "setpriv", "--reuid=10000", "--regid=10000", "--clear-groups", "s6-svc", "-wD", "-T", "20000", "-d", dir+"/his"); code != 0 {
		t.Errorf("he can't stop it: code %d, %s", code, out)
	}
}

// TestU3: who owns a scan directory may have it be scanned.
func TestU3(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := plant(t, map[string]map[string]string{"his": {"run*": "exec sleep 1000"}})
	give(t, dir)
	tr := grow(t, dir)
	for _, words := range []string{"-a", "-an", "-h"} {
		out, code := tr.tool(t, "setpriv", "--reuid=10000", "--regid=10000", "--clear-groups", "s6-svscanctl", words, dir)
		if code != 0 {
			t.Errorf("s6-svscanctl %s: code %d, %s", words, code, out)
		}
	}
}

// TestRootsServiceInAnothersScanDirectory: a service directory that root made in another user's scan directory runs as that
// user, who may control it.
func TestRootsServiceInAnothersScanDirectory(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := plant(t, map[string]map[string]string{"roots": {"run*": "exec sleep 1000", "log/run*": "exec cat"}})
	must(t, os.Chown(dir, stranger, stranger))
	tr := grow(t, dir)
	for _, name := range []string{"@roots", "@roots/log"} {
		tr.until(t, name+" is up", func() bool { out, _ := tr.tool(t, "s6-svstat", "-o", "up", name); return out == "true\n" })
		out, code := tr.tool(t, "setpriv", "--reuid=10000", "--regid=10000", "--clear-groups", "s6-svc", "-wu", "-T", "20000", "-t", filepath.Join(dir, name[1:]))
		if code != 0 {
			t.Errorf("he can't restart %s: code %d, %s", name, code, out)
		}
	}
}

// TestAnEventDirectoryOfRoots: who waited for a user's service before it was there, as root, has made its event directory (as
// s6-svwait does). It comes up all the same.
func TestAnEventDirectoryOfRoots(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := plant(t, map[string]map[string]string{"his": {"run*": "exec sleep 1000"}})
	give(t, dir+"/his")
	must(t, os.Mkdir(dir+"/his/event", 0o700))
	tr := grow(t, dir)
	tr.up(t, "his")
	if out, code := tr.tool(t, "s6-svc", "-wr", "-T", "20000", "-k", "@his"); code != 0 {
		t.Errorf("code %d, %s", code, out)
	}
}

// TestALoggerWithoutAService: a logger ends with its directory also where its service could not be supervised.
func TestALoggerWithoutAService(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]map[string]string{"web": {"run*": "exec sleep 1000", "supervise": "no directory", "log/run*": "exec cat"}})
	tr := grow(t, dir)
	tr.up(t, "web/log")
	must(t, os.Rename(dir+"/web", dir+"/.web"))
	tr.until(t, "its logger has ended", func() bool { _, code := tr.tool(t, "s6-svok", "@.web/log"); return code == 1 })
}
