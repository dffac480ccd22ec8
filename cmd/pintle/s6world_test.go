package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/s6/wire"
)

// patience bounds waits that end with their condition.
const patience = 2 * time.Minute

// TestMain lets a copy of this test binary be pintle: for whoever calls it with anything but the options of a test.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") {
		os.Exit(run(os.Args))
	}
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree is a scan directory with Debian's own s6-svscan on it, and a pintle for it.
type tree struct {
	t *testing.T
	// dir is the test's own; scan, the configuration and the state directory are in it.
	dir, scan, pintle string
	// uid is whose the scan directory is, and who calls pintle.
	uid    int
	svscan *exec.Cmd
}

// newTree makes a tree of who the test runs as; where that is root, and uid is another's, the scan directory is that
// user's, as in s6-overlay.
func newTree(t *testing.T, uid int) *tree {
	t.Helper()
	if _, err := exec.LookPath("s6-svscan"); err != nil {
		t.Skip("Debian's package s6 is not installed")
	}
	if os.Geteuid() != 0 {
		uid = os.Geteuid()
	}
	dir, err := os.MkdirTemp("/tmp", "pintle-s6")
	must(t, err)
	w := &tree{t: t, dir: dir, scan: dir + "/service", pintle: dir + "/pintle", uid: uid}
	log, err := os.Create(dir + "/svscan.log")
	must(t, err)
	t.Cleanup(func() {
		if text, _ := os.ReadFile(dir + "/svscan.log"); t.Failed() {
			t.Logf("s6 said:\n%s", text)
		}
		_ = log.Close()
		_ = os.RemoveAll(dir)
	})
	must(t, os.Chmod(dir, 0o755))
	for _, d := range []string{w.scan, dir + "/state"} {
		must(t, os.Mkdir(d, 0o755))
		must(t, os.Chown(d, uid, uid))
	}
	w.copySelf()
	must(t, os.WriteFile(dir+"/pintle.yaml", []byte(`
state_directory: `+dir+`/state
templates:
  gateway:
    command: [/bin/sh, -c, "exec sleep 100000"]
    instances: {max: 300}
`), 0o644))
	must(t, os.Chown(dir+"/pintle.yaml", uid, uid))
	w.svscan = exec.Command("s6-svscan", "-c", "1000", w.scan)
	w.svscan.Stdout, w.svscan.Stderr, w.svscan.Dir = log, log, "/"
	must(t, w.svscan.Start())
	t.Cleanup(func() {
		_ = w.svscan.Process.Signal(unix.SIGQUIT)
		_ = w.svscan.Wait()
	})
	w.until("s6-svscan to listen", func() bool {
		d, err := wire.Open(w.scan)
		must(t, err)
		defer d.Close()
		return d.ControlScan("") == nil
	})
	if uid != os.Geteuid() {
		must(t, os.Chown(w.scan+"/.s6-svscan", uid, uid))
		must(t, os.Chown(w.scan+"/.s6-svscan/control", uid, uid))
	}
	return w
}

// copySelf makes the pintle that everybody may execute.
func (w *tree) copySelf() {
	program, err := os.Executable()
	must(w.t, err)
	// By another program: what this one writes, a child that another test is just making has open for writing, too.
	must(w.t, exec.Command("install", "-m", "755", program, w.pintle).Run())
}

func (w *tree) until(what string, is func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited too long for %s", what)
		}
	}
}

// args are those of pintle for this tree.
func (w *tree) args(words ...string) []string {
	return append([]string{w.pintle, "--engine", "s6", "--scandir", w.scan}, words...)
}

// environ has no PATH, so that no tool of s6's can be found.
func (w *tree) environ() []string {
	return []string{"PINTLE_CONFIG=" + w.dir + "/pintle.yaml", "PATH="}
}

// call runs pintle as a user.
func (w *tree) call(uid int, words ...string) (code int, output string) {
	args := w.args(words...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Dir = w.environ(), "/"
	if uid != os.Geteuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		w.t.Errorf("%v: %v", words, err)
		return -1, ""
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// done is call for what must succeed.
func (w *tree) done(words ...string) string {
	w.t.Helper()
	code, out := w.call(w.uid, words...)
	if code != 0 {
		w.t.Errorf("%v: exit %d\n%s", words, code, out)
	}
	return out
}

// children are the processes below the s6-svscan, in words; zombies, too.
func (w *tree) children() (all []string) {
	parents := map[string]string{}
	comm := map[string]string{}
	procs, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range procs {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		name, rest, _ := strings.Cut(string(text), ") ")
		if f := strings.Fields(rest); len(f) > 1 {
			pid := filepath.Base(filepath.Dir(file))
			parents[pid] = f[1]
			_, comm[pid], _ = strings.Cut(name, " (")
			comm[pid] += " " + f[0]
		}
	}
	root := fmt.Sprint(w.svscan.Process.Pid)
	for pid := range parents {
		for up := parents[pid]; up != "" && up != "0"; up = parents[up] {
			if up == root {
				all = append(all, pid+" "+comm[pid])
				break
			}
		}
	}
	return all
}

// left are the names in the scan directory and in pintle's own that a tree without services has not.
func (w *tree) left() (names []string) {
	for _, dir := range []string{w.scan, w.scan + "/.pintle"} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if e.Name() != ".s6-svscan" && e.Name() != ".pintle" {
				names = append(names, dir+"/"+e.Name())
			}
		}
	}
	return names
}

// clean checks that nothing is left of any instance.
func (w *tree) clean(after string) bool {
	w.t.Helper()
	var c []string
	w.until("the last processes to be reaped", func() bool { // s6-svscan hears of their ends a moment later than we do
		c = w.children()
		for _, one := range c {
			if !strings.HasSuffix(one, " Z") {
				return true
			}
		}
		return len(c) == 0
	})
	if l := w.left(); len(c)+len(l) > 0 {
		w.t.Errorf("%s: there are left %q, %q", after, c, l)
		return false
	}
	return true
}
