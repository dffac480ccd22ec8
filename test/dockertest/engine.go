package dockertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// label marks every container that this package makes; its value is the pid of
// the test binary that owns it.
const label = "pintle-test.owner"

// commandDeadline bounds a docker command that has no deadline of its own.
const commandDeadline = 2 * time.Minute

// engine is the Docker engine of this test binary.
type engine struct {
	env     []string // environment of every docker command
	private *private // nil when the engine is not ours
}

// current is the one engine of the test binary. Main owns it: it is found or
// started at the first Require and stopped after the last test.
var current struct {
	sync.Mutex
	main   bool // Main is running, so that somebody will stop the engine
	tried  bool
	engine *engine
	err    error
}

// Main runs the tests of a package and afterwards stops the engine that they
// started, if they did. It returns the exit code for os.Exit.
func Main(m *testing.M) (code int) {
	current.Lock()
	current.main = true
	current.Unlock()
	defer func() {
		current.Lock()
		defer current.Unlock()
		if current.engine == nil {
			return
		}
		if err := errors.Join(current.engine.left(), current.engine.close()); err != nil {
			fmt.Fprintln(os.Stderr, "dockertest:", err)
			code = max(code, 1)
		}
	}()
	return m.Run()
}

// Require makes sure that there is an engine, or skips the test with the reason
// (fails it, with PINTLE_TEST_NO_SKIP=1). Everything else in this package calls
// it first; a test needs it only to say early that it will need an engine.
func Require(t testing.TB) { t.Helper(); require(t) }

func require(t testing.TB) *engine {
	t.Helper()
	if testing.Short() {
		t.Skip("Docker tests: -short was asked for")
	}
	current.Lock()
	defer current.Unlock()
	if !current.main {
		t.Fatal("this package has no TestMain that calls dockertest.Main")
	}
	if !current.tried {
		current.tried = true
		current.engine, current.err = find()
	}
	if current.err != nil {
		skip(t, "Docker tests", current.err)
	}
	return current.engine
}

// skip ends a test that cannot be run here, in the words "WHAT: WHY".
func skip(t testing.TB, what string, why error) {
	t.Helper()
	if os.Getenv("PINTLE_TEST_NO_SKIP") == "1" {
		t.Fatalf("%s: %v (and PINTLE_TEST_NO_SKIP=1 lets nothing be skipped)", what, why)
	}
	t.Skipf("%s: %v", what, why)
}

// find returns the engine that answers, or else a private one.
func find() (*engine, error) {
	if _, err := exec.LookPath("docker"); err != nil {
		return nil, errors.New("no docker command on PATH")
	}
	e := &engine{env: os.Environ()}
	err := e.answers()
	if err == nil {
		e.sweep()
		return e, nil
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("no Docker engine answers, and only root can start one (%v)", err)
	}
	dir, err := CacheDir()
	if err != nil {
		return nil, err
	}
	p, err := startPrivate(filepath.Join(dir, "engine"))
	if err != nil {
		return nil, fmt.Errorf("no Docker engine answers, and a private one cannot be started: %w", err)
	}
	e = &engine{env: p.env(), private: p}
	e.sweep()
	return e, nil
}

// CacheDir returns the directory that keeps images between runs, and makes it.
func CacheDir() (string, error) {
	dir := os.Getenv("PINTLE_TEST_CACHE")
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("cannot find a cache directory: %w", err)
		}
		dir = filepath.Join(base, "pintle-test")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot make the cache directory: %w", err)
	}
	return dir, nil
}

// answers reports why the engine does not answer, nil if it does.
func (e *engine) answers() error {
	_, err := e.output(10*time.Second, "version", "--format", "{{.Server.Version}}")
	return err
}

// sweep removes containers whose test binary is gone. In a private engine,
// where nobody else can be, those are all.
func (e *engine) sweep() {
	list, err := e.output(commandDeadline, "ps", "-a", "--filter", "label="+label,
		"--format", `{{.ID}} {{.Label "`+label+`"}}`)
	if err != nil {
		return
	}
	for line := range strings.Lines(list) {
		id, owner, _ := strings.Cut(strings.TrimSpace(line), " ")
		pid, err := strconv.Atoi(owner)
		if e.private != nil || err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			e.remove(id)
		}
	}
}

// left removes what this test binary's tests have left, which is an error.
func (e *engine) left() error {
	list, err := e.output(commandDeadline, "ps", "-aq", "--filter", "label="+label+"="+strconv.Itoa(os.Getpid()))
	if err != nil || list == "" {
		return err
	}
	for id := range strings.FieldsSeq(list) {
		e.remove(id)
	}
	return fmt.Errorf("the tests left %d containers", len(strings.Fields(list)))
}

// close stops a private engine. One that is not ours stays as it is.
func (e *engine) close() error {
	if e.private == nil {
		return nil
	}
	e.sweep() // so that the engine does not wait for containers to stop
	return e.private.stop()
}

// command returns a docker command for this engine.
func (e *engine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = e.env
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// output runs a docker command and returns what it printed, without the last
// newline. The error has what the command said.
func (e *engine) output(deadline time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	return outputOf(ctx, e.command(ctx, args...))
}

// outputOf runs cmd and returns its standard output; its error has the last
// line of standard error.
func outputOf(ctx context.Context, cmd *exec.Cmd) (string, error) {
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		err = errors.New("no answer in time")
	}
	if err != nil {
		if said := strings.TrimSpace(stderr.String()); said != "" {
			err = errors.New(said)
		}
		return stdout.String(), fmt.Errorf("cannot %s %s: %w", filepath.Base(cmd.Args[0]), cmd.Args[1], err)
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}
