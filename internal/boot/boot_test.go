package boot

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/process"
	"pintle/internal/unit"
)

// TestMain lets a copy of this test binary be pintle, because a process can have only one reaper, or a unit with a part to play.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == roleName {
		syscall.Exit(play(os.Args[2:])) // and not os.Exit, before which the race detector sleeps
	}
	if process.IsExecStep(os.Args) {
		os.Exit(process.ExecStep(os.Args, os.Stderr))
	}
	if config, ok := os.LookupEnv("BOOT_TEST_CONFIG"); ok {
		if os.Getenv(ownRun) != "" {
			if err := unix.Mount("none", "/run", "tmpfs", 0, "mode=755"); err != nil {
				panic(err)
			}
		}
		os.Exit(Init(Options{Config: config, Args: os.Args[1:], Environ: os.Environ(), Version: "test", Stdout: os.Stdout, Stderr: os.Stderr}))
	}
	os.Exit(m.Run())
}

// ownRun is the variable by which a pintle in a mount namespace of its own gets a /run of its own.
const ownRun = "BOOT_TEST_OWN_RUN"

// patience is how long a test waits for what must happen at once.
const patience = 20 * time.Second

// pintle is a pintle in a process of its own, not PID 1.
type pintle struct {
	*exec.Cmd
	stdout *bufio.Reader
	stderr text
}

// text is what a process says while it runs.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// start boots yaml (or nothing) with args.
func start(t testing.TB, yaml string, args ...string) *pintle {
	t.Helper()
	return startIn(t, nil, yaml, args...)
}

// startIn does so with other variables in the container's environment.
func startIn(t testing.TB, environ []string, yaml string, args ...string) *pintle {
	t.Helper()
	p := prepared(t, environ, yaml, args...)
	p.begin(t)
	return p
}

// begin starts a pintle that was prepared.
func (p *pintle) begin(t testing.TB) {
	t.Helper()
	p.Stderr = &p.stderr
	stdout, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(stdout)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.ended(t) })
}

// ended ends a pintle that has not.
func (p *pintle) ended(t testing.TB) {
	if p.ProcessState == nil { // by TERM, because SIGKILL would leave main behind
		_ = p.Process.Signal(unix.SIGTERM)
		p.code(t)
	}
}

// prepared is a pintle that is to be started.
func prepared(t testing.TB, environ []string, yaml string, args ...string) *pintle {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	config := ""
	if yaml != "" {
		config = filepath.Join(dir, "pintle.yaml")
		if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := &pintle{Cmd: exec.Command(os.Args[0], args...)}
	p.Env = append(os.Environ(), "BOOT_TEST_CONFIG="+config, "PINTLE_RUNTIME_DIR="+filepath.Join(dir, "run"))
	p.Env = append(p.Env, environ...)
	p.WaitDelay = time.Second // what holds the standard error open after the end is a fault, but must not hold up the test
	return p
}

// expect reads main's next line.
func (p *pintle) expect(t *testing.T, want string) {
	t.Helper()
	stuck := time.AfterFunc(patience, func() { _ = p.Process.Kill() })
	defer stuck.Stop()
	line, err := p.stdout.ReadString('\n')
	if strings.TrimSpace(line) != want {
		t.Fatalf("main said %q (%v), want %q\n%s", line, err, want, &p.stderr)
	}
}

// code waits for the end and returns the exit code.
func (p *pintle) code(t testing.TB) int {
	t.Helper()
	stuck := time.AfterFunc(patience, func() { _ = p.Process.Kill() })
	defer stuck.Stop()
	err := p.Wait()
	if p.ProcessState == nil {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode()
}

// TestExitCodes: pintle ends with main's code, 128+n for signal n, 126 and 127 as a shell, 125 for its own failures.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		yaml string
		args []string
		code int
		says string
	}{
		{"", []string{"true"}, 0, ""},
		{"", []string{"sh", "-c", "exit 42"}, 42, ""},
		{"", []string{"sh", "-c", "kill -KILL $$"}, 137, ""},
		{"", []string{"nosuch"}, 127, "cannot execute nosuch: there is no such program"},
		{"", []string{"/etc/passwd"}, 126, "cannot execute /etc/passwd: its mode"},
		{"", nil, 125, "no main.command"},
		{"main: {command: [sh, -c, exit 3]}", nil, 3, ""},
		{"main: {comand: [true]}", nil, 125, "pintle.yaml:1:8: "},
		{"main: {command: [true], user: nobody-of-that-name}", nil, 125, "there is no such user"},
		{"main: {command: [true], working_dir: /nosuch}", nil, 126, "working directory"},
		{"prepare: {directories: [{path: /proc/nosuch/x, owner: nobody-of-that-name}]}", []string{"echo"}, 125, "pintle: cannot prepare /proc/nosuch/x: its owner is not known: "},
		{"prepare: {directories: [{path: /proc/nosuch/x, on_error: fail}]}", []string{"echo"}, 125, "pintle: cannot prepare /proc/nosuch/x: /proc/nosuch: "},
		{"prepare: {directories: [{path: /proc/nosuch/x}]}", []string{"sh", "-c", "exit 3"}, 3, "condition: cannot prepare /proc/nosuch/x: /proc/nosuch: "},
	} {
		t.Run(fmt.Sprint(c.yaml, c.args), func(t *testing.T) {
			t.Parallel()
			if strings.Contains(c.yaml, "nobody") && os.Geteuid() != 0 {
				t.Skip("only root is asked to switch users")
			}
			p := start(t, c.yaml, c.args...)
			if code := p.code(t); code != c.code || !strings.Contains(p.stderr.String(), c.says) {
				t.Errorf("code %d, want %d and %q\n%s", code, c.code, c.says, &p.stderr)
			}
		})
	}
}

// TestStop: TERM to pintle ends main with its stop signal and pintle with main's code; a second one ends all patience.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, yaml, script string
		signals            []unix.Signal
		code               int
	}{
		{"main answers", "", "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done", []unix.Signal{unix.SIGTERM}, 7},
		{"main dies of it", "", "echo up; exec sleep 60", []unix.Signal{unix.SIGTERM}, 143},
		{"INT without a terminal", "", "echo up; exec sleep 60", []unix.Signal{unix.SIGINT}, 143},
		{"twice", "", "trap 'echo up' TERM; echo up; while :; do sleep 0.05; done", []unix.Signal{unix.SIGTERM, unix.SIGTERM}, 137},
		{"the budget ends", "stop_timeout: 200ms", "trap '' TERM; echo up; while :; do sleep 0.05; done", []unix.Signal{unix.SIGTERM}, 137},
		{"another signal", "main: {stop_signal: USR1}", "trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done", []unix.Signal{unix.SIGTERM}, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, c.yaml, "--", "sh", "-c", c.script)
			for _, sig := range c.signals {
				p.expect(t, "up") // also when it has handled the signal before: two at once would be one
				if err := p.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
			}
			if code := p.code(t); code != c.code {
				t.Errorf("code %d, want %d\n%s", code, c.code, &p.stderr)
			}
		})
	}
}

// TestSignalsArePassedOn: every other signal is main's, as it comes.
func TestSignalsArePassedOn(t *testing.T) {
	t.Parallel()
	p := start(t, "", "sh", "-c", "for s in HUP USR1 USR2 WINCH QUIT CONT; do trap \"echo $s\" $s; done; echo up; while :; do sleep 0.02; done")
	p.expect(t, "up")
	for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, unix.SIGQUIT, unix.SIGCONT} {
		if err := p.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		p.expect(t, strings.TrimPrefix(unix.SignalName(sig), "SIG"))
	}
}

// TestNothingIsLeft: what main leaves behind ends with the container, also what
// left its session and ignores TERM.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	p := start(t, "stop_timeout: 300ms", "--", "sh", "-c",
		`(trap '' TERM HUP; setsid sh -c 'echo $$; trap "" TERM; while :; do sleep 0.05; done') & read x < /dev/null; sleep 0.2; exit 5`)
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var left int
	if _, err := fmt.Sscan(line, &left); err != nil {
		t.Fatal(err)
	}
	if code := p.code(t); code != 5 {
		t.Errorf("code %d, want 5\n%s", code, &p.stderr)
	}
	if err := unix.Kill(left, 0); err != unix.ESRCH {
		t.Errorf("process %d is left (%v)\n%s", left, err, &p.stderr)
	}
}

func TestMeaningOfSignals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sig      syscall.Signal
		terminal bool
		want     meaning
	}{
		{unix.SIGTERM, false, stopAll}, {unix.SIGTERM, true, stopAll},
		{unix.SIGINT, false, stopAll}, {unix.SIGINT, true, passOn},
		{unix.SIGHUP, false, passOn}, {unix.SIGPIPE, false, nothing}, {unix.SIGWINCH, true, passOn},
	} {
		if got := means(unit.Signal(c.sig), c.terminal); got != c.want {
			t.Errorf("means(%v, terminal %v) = %v, want %v", c.sig, c.terminal, got, c.want)
		}
	}
}

// TestConditionsAreSaidOnce: a condition is said when it comes and when it is over, not in between.
func TestConditionsAreSaidOnce(t *testing.T) {
	t.Parallel()
	var said strings.Builder
	s := newSpeaker(func(line string) { fmt.Fprintln(&said, line) })
	for _, now := range [][]string{{"a"}, {"a", "b"}, {"b"}, {"b"}, nil} {
		s.conditions(now)
	}
	want := "condition: a\ncondition: b\ncondition over: a\ncondition over: b\n"
	if said.String() != want {
		t.Errorf("said:\n%swant:\n%s", &said, want)
	}
}

// What is prepared before anything starts isn't done again by a reload, which says so.
func TestReloadPreparesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "pintle.yaml")
	write := func(directory string) {
		t.Helper()
		yaml := "services: {a: {command: [a]}}\nprepare: {directories: [{path: " + filepath.Join(dir, directory) + "}]}\n"
		if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	c, err := configure(Options{Config: file, Stderr: os.Stderr}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := c.reload(); err != nil || len(d.Fixed) > 0 {
		t.Errorf("the same again differs in %v, %v", d.Fixed, err)
	}
	write("second")
	if d, err := c.reload(); err != nil || !slices.Equal(d.Fixed, []string{"prepare"}) {
		t.Errorf("another one differs in %v, %v", d.Fixed, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 || entries[0].Name() != "first" {
		t.Errorf("there are %v, %v", entries, err)
	}
}
