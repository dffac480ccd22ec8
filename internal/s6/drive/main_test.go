package drive

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/s6/wire"
	"pintle/internal/unit"
)

// patience bounds waits that end with their condition.
const patience = time.Minute

// user is who is nobody in particular.
const user = 10000

// asVariable names the test that this process was started for, as another user.
const asVariable = "PINTLE_DRIVE_TEST_AS"

// TestMain lets a copy of this test binary be what run scripts begin with.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == LaunchRole {
		err := Launch(os.Args[2:], os.Environ())
		fmt.Fprintln(os.Stderr, err)
		os.Exit(LaunchCode(err))
	}
	if len(os.Args) > 1 && os.Args[1] == sayAll {
		dir, _ := os.Getwd()
		fmt.Printf("%q %q\n%s", dir, os.Args[2:], strings.Join(os.Environ(), "\x00"))
		os.Exit(0)
	}
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") {
		fmt.Fprintf(os.Stderr, "these are tests, and can't do %q\n", os.Args[1:])
		os.Exit(125) // or each run of a test would be all tests again
	}
	os.Exit(m.Run())
}

// world is a scan directory with Debian's own s6-svscan on it.
type world struct {
	t *testing.T
	// dir is the test's own, which everybody may enter; scan is in it.
	dir, scan string
	svscan    *exec.Cmd
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func needReal(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("s6-svscan"); err != nil {
		t.Skip("Debian's package s6 is not installed")
	}
}

// eachUser runs a test as who the tests are run as, and where that is root also as an unprivileged user whose the scan
// directory is, once in a tree of root's, as in s6-overlay, and once in one of that user's own.
func eachUser(t *testing.T, body func(t *testing.T, w *world)) {
	needReal(t)
	t.Run("own", func(t *testing.T) { inWorld(t, os.Geteuid(), os.Geteuid(), body) })
	if os.Getenv(asVariable) == "" && os.Geteuid() != 0 {
		return
	}
	t.Run("user", func(t *testing.T) { inWorld(t, user, user, body) })
	t.Run("overlay", func(t *testing.T) { inWorld(t, user, 0, body) })
}

// inWorld runs the body as a user, in a process of its own where that is another one; the tree is treeUser's.
func inWorld(t *testing.T, uid, treeUser int, body func(t *testing.T, w *world)) {
	needReal(t)
	if dir, ok := strings.CutPrefix(os.Getenv(asVariable), t.Name()+"="); ok {
		body(t, &world{t: t, dir: dir, scan: dir + "/service"})
		return
	}
	if os.Getenv(asVariable) != "" {
		t.Skip("not the test that this process is for")
	}
	t.Parallel()
	w := newWorld(t, uid, treeUser)
	if uid == os.Geteuid() {
		body(t, w)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	var pattern []string
	for part := range strings.SplitSeq(t.Name(), "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(part)+"$")
	}
	cmd := exec.CommandContext(ctx, self(t), "-test.run="+strings.Join(pattern, "/"), "-test.timeout=7m", "-test.v")
	cmd.Env = append(os.Environ(), asVariable+"="+t.Name()+"="+w.dir, "TMPDIR="+w.dir, "HOME="+w.dir)
	cmd.Dir = w.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") || strings.Contains(string(out), "--- SKIP: "+t.Name()) {
		t.Fatalf("as uid %d: %v\n%s", uid, err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "figure: ") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

// newWorld makes a scan directory of a user's, and has treeUser's s6-svscan run on it until the test ends. Then nothing of
// it may be left.
func newWorld(t *testing.T, uid, treeUser int) *world {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "drive")
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	w := &world{t: t, dir: dir, scan: dir + "/service"}
	must(t, os.Mkdir(w.scan, 0o755))
	must(t, os.Chown(dir, uid, uid))
	must(t, os.Chown(w.scan, uid, uid))
	log, err := os.Create(dir + "/svscan.log")
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(dir + "/svscan.log")
			t.Logf("s6 said:\n%s", text)
		}
		_ = log.Close()
		_ = os.RemoveAll(dir)
	})
	w.svscan = exec.Command("s6-svscan", "-c", "1000", w.scan)
	w.svscan.Stdout, w.svscan.Stderr, w.svscan.Dir = log, log, "/"
	w.svscan.SysProcAttr = &syscall.SysProcAttr{}
	if treeUser != os.Geteuid() {
		w.svscan.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(treeUser), Gid: uint32(treeUser)}
	}
	must(t, w.svscan.Start())
	t.Cleanup(func() {
		w.end()
		left, _ := os.ReadDir(w.scan)
		for _, e := range left {
			if name := e.Name(); name != ".s6-svscan" && name != workshop && t.Failed() {
				t.Logf("%s is left", name)
			}
		}
	})
	w.eventually("s6-svscan to listen", func() bool {
		d, err := wire.Open(w.scan)
		must(t, err)
		defer d.Close()
		return d.ControlScan("") == nil
	})
	if treeUser == 0 && uid != 0 { // as a container's boot has it, so that its owner may ask for a rescan
		must(t, os.Chown(w.scan+"/.s6-svscan", uid, uid))
		must(t, os.Chown(w.scan+"/.s6-svscan/control", uid, uid))
	}
	return w
}

// end has s6-svscan and all below it end, unless the test has seen to it.
func (w *world) end() {
	if w.svscan.ProcessState != nil {
		return
	}
	// By the FIFO, so that it is told after all else: where "n" follows a signal, s6-svscan 2.11 takes that it ends from
	// the one and whom to tell so from the other, and waits for ever.
	d, err := wire.Open(w.scan)
	if err == nil {
		err = d.ControlScan("q") // loggers too
		d.Close()
	}
	if err != nil {
		w.t.Errorf("s6-svscan is not to be told to end: %v", err)
	}
	late := time.AfterFunc(patience, func() {
		w.t.Error("s6-svscan does not end")
		_ = w.svscan.Process.Kill()
	})
	_ = w.svscan.Wait()
	late.Stop()
}

// self is a copy of this test binary that everybody may execute.
func self(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "drive-self")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	program, err := os.Executable()
	must(t, err)
	// By another program: what this one writes, a child that another test is just making has open for writing, too.
	must(t, exec.Command("install", "-m", "755", program, dir+"/pintle").Run())
	return dir + "/pintle"
}

func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited too long for %s", what)
		}
	}
}

// template makes instances that sleep.
func template(change ...func(*unit.Template)) unit.Template {
	t := unit.Template{
		Name: "gateway", Max: 300, Initial: unit.InitialDown,
		Spec: unit.Spec{
			Enabled: unit.Switch{On: true}, Command: []string{"/bin/sh", "-c", "exec sleep 100000"},
			Restart: unit.RestartOnFailure, Stop: unit.Stop{Grace: 20 * time.Second},
		},
	}
	for _, c := range change {
		c(&t)
	}
	return t
}

// script is a template whose instances run a shell script.
func script(text string, change ...func(*unit.Template)) unit.Template {
	return template(append([]func(*unit.Template){func(t *unit.Template) { t.Spec.Command = []string{"/bin/sh", "-c", text} }}, change...)...)
}

// open opens the tree.
func (w *world) open(templates ...unit.Template) *Tree {
	w.t.Helper()
	program, err := os.Executable()
	must(w.t, err)
	tree, err := Open(Options{
		Scan: w.scan, Templates: templates, StateDirectory: w.dir + "/state", Self: program,
		Actor: unit.Actor{Kind: "peer", UID: uint32(os.Geteuid()), PID: 7, Command: "pintle"}, Patience: patience,
	})
	must(w.t, err)
	w.t.Cleanup(tree.Close)
	return tree
}

// await waits until a unit's status is as judge wants it.
func await(t *testing.T, tree *Tree, name unit.Name, what string, judge func(engine.Status) bool) engine.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last engine.Status
	for s, err := range tree.Watch(ctx) {
		must(t, err)
		if s.Name != name {
			continue
		}
		if last = s; judge(s) {
			return s
		}
	}
	t.Fatalf("%s is not %s: %+v %+v", name, what, last, last.Last)
	return engine.Status{}
}

func untilState(t *testing.T, tree *Tree, name unit.Name, state unit.State) engine.Status {
	t.Helper()
	return await(t, tree, name, string(state), func(s engine.Status) bool { return s.State == state })
}

// supervisors counts the s6-supervise processes below the s6-svscan, in whatever directory they are by now.
func (w *world) supervisors() (names []string) {
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range procs {
		text, err := os.ReadFile(file)
		words := strings.Split(string(text), "\x00")
		if err != nil || len(words) < 2 || filepath.Base(words[0]) != "s6-supervise" {
			continue
		}
		if w.ours(filepath.Base(filepath.Dir(file))) {
			names = append(names, words[1])
		}
	}
	return names
}

// ours tells whether a process is a child of the world's s6-svscan.
func (w *world) ours(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 2 || fields[0] == "Z" {
		return false
	}
	cmdline, _ := os.ReadFile("/proc/" + fields[1] + "/cmdline")
	return strings.Contains(string(cmdline), w.scan)
}

// left are the names in the scan directory and in the workshop that a tree without services has not.
func (w *world) left() (names []string) {
	for _, dir := range []string{w.scan, w.scan + "/" + workshop} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if e.Name() != ".s6-svscan" && e.Name() != workshop {
				names = append(names, dir+"/"+e.Name())
			}
		}
	}
	return names
}

func lives(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}
