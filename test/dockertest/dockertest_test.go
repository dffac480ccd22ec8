package dockertest

import (
	"bufio"
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
)

// TestMain has a second face: with PINTLE_TEST_ENGINE_DIR it is a test binary
// that starts a private engine there, with a container in it, and never ends
// (TestKilledTestBinaryLeavesNothing).
func TestMain(m *testing.M) {
	if dir := os.Getenv("PINTLE_TEST_ENGINE_DIR"); dir != "" {
		fmt.Println(holdEngine(dir))
		select {}
	}
	os.Exit(Main(m))
}

func TestEngineAnswers(t *testing.T) {
	t.Parallel()
	r := Docker(t, "version", "--format", "{{.Server.Version}}")
	if r.Code != 0 || strings.TrimSpace(r.Stdout) == "" {
		t.Errorf("docker version: %s", r)
	}
}

func TestRunGivesOutputAndExitCode(t *testing.T) {
	t.Parallel()
	for _, code := range []int{0, 1, 42, 137} {
		r := Run(t, Options{Image: Busybox(t)}, "sh", "-c", fmt.Sprintf("echo out; echo err >&2; exit %d", code))
		if r.Code != code || r.Stdout != "out\n" || r.Stderr != "err\n" {
			t.Errorf("exit %d: %s", code, r)
		}
	}
}

func TestRunFeedsStdinOrNone(t *testing.T) {
	t.Parallel()
	o := Options{Image: Busybox(t)}
	if r := Run(t, o, "cat"); r.Stdout != "" || r.Code != 0 {
		t.Errorf("without stdin: %s", r)
	}
	o.Stdin = strings.NewReader("fed")
	if r := Run(t, o, "cat"); r.Stdout != "fed" || r.Code != 0 {
		t.Errorf("with stdin: %s", r)
	}
}

func TestContainerLife(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Image: Busybox(t)}, "sh", "-c",
		`trap 'echo bye; exit 7' TERM; trap 'echo usr1' USR1; echo up; while :; do sleep 0.05; done`)
	printed := func(text string) {
		t.Helper()
		Eventually(t, 10*time.Second, func() (bool, string) {
			stdout, _ := c.Logs()
			return strings.Contains(stdout, text), stdout
		}, "the container printed "+text)
	}
	printed("up")
	if r := c.Exec("nobody", "id", "-u"); r.Stdout != "65534\n" {
		t.Errorf("exec as nobody: %s", r)
	}
	c.Kill("USR1")
	printed("usr1")

	// The first process as this machine sees it is the one in the container.
	inside, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.HostPID()))
	if err != nil || !strings.Contains(string(inside), "trap 'echo bye") {
		t.Errorf("HostPID is not the container's shell: %q, %v", inside, err)
	}

	code, took := c.Stop()
	if code != 7 || took > 5*time.Second {
		t.Errorf("stop: code %d after %v, want 7 at once", code, took)
	}
	if c.Running() {
		t.Error("it runs after stop")
	}
	c.StartAgain()
	first := c.Inspect("{{.State.StartedAt}}")
	c.Restart()
	if again := c.Inspect("{{.State.StartedAt}}"); again == first || !c.Running() {
		t.Errorf("restart: started at %s, then at %s, running %v", first, again, c.Running())
	}
	c.Kill("KILL")
	if code := c.Wait(); code != 137 {
		t.Errorf("killed: code %d, want 137", code)
	}
}

func TestTopSeesProcessesAsInside(t *testing.T) {
	t.Parallel()
	// Under sh as pid 1, which never waits, /bin/true becomes a zombie.
	c := Start(t, Options{Image: Debian(t), Flags: []string{"--user", "10000"}}, "sh", "-c", `true & exec sleep 1000`)
	Eventually(t, 10*time.Second, func() (bool, string) {
		top := c.Top()
		if len(top) != 2 {
			return false, fmt.Sprint(top)
		}
		main, zombie := top[0], top[1]
		ok := main.PID == 1 && main.PPID == 0 && main.UID == 10000 && main.Args == "sleep 1000" &&
			zombie.PPID == 1 && zombie.State == "Z"
		return ok, fmt.Sprintf("%+v", top)
	}, "sleep and one zombie are there")
}

func TestTerminalHasSizeAndKeys(t *testing.T) {
	t.Parallel()
	p := Tty(t, Options{Image: Busybox(t), Rows: 37, Cols: 111}, "sh")
	size := func(want string) {
		t.Helper()
		p.Send("until [ \"$(stty size)\" = \"" + want + "\" ]; do sleep 0.05; done; echo size-'ok'\r")
		p.Expect("size-ok", 10*time.Second)
	}
	p.Expect("# ", 20*time.Second)
	size("37 111")
	p.Resize(20, 60)
	size("20 60")
	p.Send("echo cat-'runs'; cat\r")
	p.Expect("cat-runs", 5*time.Second)
	p.Send("hello\r")
	p.Expect("hello", 5*time.Second)
	p.Expect("hello", 5*time.Second) // once from the terminal, once from cat
	p.Send("\x03")
	p.Expect("# ", 5*time.Second)
	p.Send("exit 9\r")
	if code := p.Wait(10 * time.Second); code != 9 {
		t.Errorf("exit code %d, want 9", code)
	}
}

func TestExecOnTerminal(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Image: Busybox(t)}, "sleep", "1000")
	p := c.Tty(Options{}, "nobody", "sh", "-c", "tty; id -u")
	p.Expect("/dev/pts/", 10*time.Second)
	p.Expect("65534", 10*time.Second)
	if code := p.Wait(10 * time.Second); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

func TestReferenceImage(t *testing.T) {
	t.Parallel()
	r := Run(t, Options{Image: Reference(t), Flags: []string{"--entrypoint", "sh"}}, "-ec", `
		stat -c '%n %U %a' /usr/local/bin/pintle /usr/local/bin/hermes /etc/pintle/pintle.yaml /etc/pintle /opt/data
		readlink /init
		id hermes
		echo $HERMES_HOME
		pwd`)
	want := `/usr/local/bin/pintle root 755
/usr/local/bin/hermes root 755
/etc/pintle/pintle.yaml root 644
/etc/pintle root 755
/opt/data hermes 755
/usr/local/bin/pintle
uid=10000(hermes) gid=10000(hermes) groups=10000(hermes)
/opt/data
/opt/data
`
	if r.Code != 0 || r.Stdout != want {
		t.Errorf("%s\nwant: %s", r, want)
	}
}

func TestDerivedImage(t *testing.T) {
	t.Parallel()
	image := Derive(t, "FROM "+Busybox(t)+"\nCOPY a/b /c\n", map[string]string{"a/b": "text"})
	if r := Run(t, Options{Image: image}, "cat", "/c"); r.Stdout != "text" {
		t.Errorf("%s", r)
	}
}

// A test binary that is killed takes its private engine, its containers and
// their mounts with it, and the next one can start at once.
func TestKilledTestBinaryLeavesNothing(t *testing.T) {
	t.Parallel()
	Require(t)
	if os.Geteuid() != 0 {
		skip(t, "the private engine's own test", errors.New("only root can start one"))
	}
	dir := filepath.Join(t.TempDir(), "engine")
	self := exec.Command(os.Args[0])
	self.Env = append(os.Environ(), "PINTLE_TEST_ENGINE_DIR="+dir)
	out, err := self.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	self.Stderr = os.Stderr
	if err := self.Start(); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	pid, sleeper, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(said), "ready "), " ")
	if !ok || !strings.HasPrefix(said, "ready ") {
		t.Fatalf("the other test binary said %q, %v", said, err)
	}
	for _, p := range []string{pid, sleeper} {
		if !alive(p) {
			t.Errorf("before the kill: no process %s", p)
		}
	}
	self.Process.Kill()
	self.Wait()

	Eventually(t, 20*time.Second, func() (bool, string) {
		lock, err := lockFile(filepath.Join(dir, "lock"), 0)
		if err != nil {
			return false, err.Error()
		}
		lock.Close()
		return true, ""
	}, "the private engine has ended")
	Eventually(t, 5*time.Second, func() (bool, string) {
		return !alive(pid) && !alive(sleeper), fmt.Sprintf("engine %v, container %v", alive(pid), alive(sleeper))
	}, "its processes and its container's are gone")
	if mounts, err := os.ReadFile("/proc/self/mounts"); err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("mounts are left (%v):\n%s", err, mounts)
	}

	again, err := startPrivate(dir)
	if err != nil {
		t.Fatalf("cannot start the next one: %v", err)
	}
	(&engine{env: again.env(), private: again}).sweep()
	if err := again.stop(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob("/sys/fs/cgroup/*/" + again.cgroup); len(left) > 0 {
		t.Errorf("cgroups are left: %v", left)
	}
}

// holdEngine is the other test binary of TestKilledTestBinaryLeavesNothing.
func holdEngine(dir string) string {
	p, err := startPrivate(dir)
	if err != nil {
		return err.Error()
	}
	e := &engine{env: p.env(), private: p}
	if err := e.makeBusybox(); err != nil {
		return err.Error()
	}
	id, err := e.output(commandDeadline, "run", "-d", "--label", label+"=1", busyboxTag, "sleep", "1000")
	if err != nil {
		return err.Error()
	}
	pid, err := e.output(commandDeadline, "inspect", "--format", "{{.State.Pid}}", id)
	if err != nil {
		return err.Error()
	}
	n, err := strconv.Atoi(pid)
	if err != nil {
		return err.Error()
	}
	host, err := p.hostPID(n)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("ready %d %d", p.pid, host)
}

// alive says whether there is a process with the pid that is no zombie.
func alive(pid string) bool {
	n, _ := strconv.Atoi(pid)
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	return syscall.Kill(n, 0) == nil && err == nil && !strings.Contains(string(text), ") Z ")
}

// A test with no Docker engine to be had is skipped with one line of reason, or
// fails where nothing may be skipped.
func TestSkipSaysWhatAndWhy(t *testing.T) {
	for env, want := range map[string]string{
		"":  "skip: Docker tests: no engine",
		"1": "fatal: Docker tests: no engine (and PINTLE_TEST_NO_SKIP=1 lets nothing be skipped)",
	} {
		t.Setenv("PINTLE_TEST_NO_SKIP", env)
		r := &recorder{TB: t}
		skip(r, "Docker tests", errors.New("no engine"))
		if r.said != want {
			t.Errorf("said %q, want %q", r.said, want)
		}
	}
}

// An Eventually that fails tells the last state.
func TestEventuallyTellsLastState(t *testing.T) {
	n, r := 0, &recorder{TB: t}
	func() {
		defer func() { recover() }()
		Eventually(r, 20*time.Millisecond, func() (bool, string) { n++; return false, "state" + strconv.Itoa(n) }, "it is done")
	}()
	want := fmt.Sprintf("fatal: not so after 20ms: it is done; last seen: state%d", n)
	if r.said != want || n < 2 {
		t.Errorf("said %q, want %q", r.said, want)
	}
}

// recorder is a test that writes down how it was ended, and panics after a
// failure since it cannot end.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Helper() {}
func (r *recorder) Skipf(format string, args ...any) {
	if r.said == "" {
		r.said = "skip: " + fmt.Sprintf(format, args...)
	}
}
func (r *recorder) Fatalf(format string, args ...any) {
	if r.said == "" {
		r.said = "fatal: " + fmt.Sprintf(format, args...)
	}
	if strings.Contains(r.said, "not so") {
		panic(r.said)
	}
}
