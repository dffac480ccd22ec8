package serve

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/account"
	"pintle/internal/logs"
	"pintle/internal/process"
	"pintle/internal/s6/tools"
	"pintle/internal/s6/wire"
)

const treeVariable = "PINTLE_SERVE_TEST_TREE"

// linkDir is the directory of the links to tools: what is called by one is never the tests.
const linkDir = "tools"

// TestMain is the tests, or a tool of s6's by its name, or a tree: one process reaps all its children, so that a test and its
// tree are two.
func TestMain(m *testing.M) {
	if code, found := tools.Run(os.Args); found {
		syscall.Exit(code) // and not os.Exit, before which the race detector sleeps
	}
	if process.IsExecStep(os.Args) {
		syscall.Exit(process.ExecStep(os.Args, os.Stderr))
	}
	if dir := os.Getenv(treeVariable); dir != "" {
		if err := playTree(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if filepath.Base(filepath.Dir(os.Args[0])) == linkDir {
		fmt.Fprintln(os.Stderr, "there is no such tool:", os.Args)
		os.Exit(1)
	}
	// Debian's s6 hands on what is ignored, as under nohup(1), and pintle does not: that is none of the differences meant here.
	if err := process.DefaultSignals(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// playTree supervises a scan directory until it gets SIGTERM or s6-svscanctl ends it, and shows what its services print.
func playTree(dir string) error {
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, unix.SIGTERM)
	log := slog.New(slog.NewTextHandler(os.Stdout, nil))
	kernel, err := process.New(process.Options{Log: log})
	if err != nil {
		return err
	}
	book := logs.NewBook(logs.Options{Console: os.Stdout})
	t, err := Open(Options{
		Directory: dir, Version: wire.Default, Self: os.Geteuid(), Kernel: kernel, Accounts: account.Database{Passwd: "/etc/passwd", Group: "/etc/group"},
		Environ: []string{"PATH=" + os.Getenv("PATH")}, Logs: book, Log: log, Now: time.Now,
	})
	if err != nil {
		return err
	}
	count := make(chan os.Signal, 1)
	signal.Notify(count, unix.SIGUSR2)
	go func() {
		for range count {
			fmt.Printf("%d goroutines\n", runtime.NumGoroutine())
		}
	}()
	fmt.Println("ready")
	select {
	case <-terminate:
	case <-t.Ended():
		return nil // what is left of its services may print for ever
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := t.Close(ctx); err != nil {
		return err
	}
	return book.Close(ctx)
}

// tree is a scan directory that is supervised.
type tree struct {
	dir string
	cmd *exec.Cmd
	out *os.File
}

// plant makes service directories: name → file → content. A file's name that ends with "*" is executable.
func plant(t *testing.T, services map[string]map[string]string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pintle-scan-")
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for name, files := range services {
		for file, text := range files {
			file, run := strings.CutSuffix(file, "*")
			mode := os.FileMode(0o644)
			if run {
				mode = 0o755
				text = "#!/bin/sh\n" + text + "\n"
			}
			path := filepath.Join(dir, name, file)
			must(t, os.MkdirAll(filepath.Dir(path), 0o755))
			must(t, os.WriteFile(path, []byte(text), mode))
		}
	}
	return dir
}

// grow has a scan directory be supervised until the test ends.
func grow(t *testing.T, dir string) *tree {
	t.Helper()
	out, err := os.CreateTemp(t.TempDir(), "out")
	must(t, err)
	self, err := os.Executable()
	must(t, err)
	tr := &tree{dir: dir, cmd: exec.Command(self), out: out}
	tr.cmd.Env = append(os.Environ(), treeVariable+"="+dir)
	tr.cmd.Stdout, tr.cmd.Stderr = out, out
	must(t, tr.cmd.Start())
	t.Cleanup(func() {
		_ = tr.cmd.Process.Signal(unix.SIGTERM)
		if err := tr.cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("the tree: %v; it said:\n%s", err, tr.said(t))
		}
	})
	tr.until(t, "it is ready", func() bool { return strings.Contains(tr.said(t), "ready\n") })
	return tr
}

func (tr *tree) said(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(tr.out.Name())
	must(t, err)
	return string(data)
}

// until waits for a condition that the tree brings about.
func (tr *tree) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// tool runs one of Debian's tools on services, and returns what it printed, and its exit code.
func (tr *tree) tool(t *testing.T, name string, args ...string) (string, int) {
	t.Helper()
	for i, a := range args {
		if strings.HasPrefix(a, "@") {
			args[i] = filepath.Join(tr.dir, a[1:])
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
