package receivers_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// nobody is the user that forwards, and stranger one who may not read.
const nobody, stranger = 65534, 65533

// build is the path of a pintle made of this tree.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "pintle-built-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "pintle")
	cmd := exec.Command("go", "-C", "../..", "build", "-o", path, "./cmd/pintle")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, text)
	}
	return path, os.Chmod(dir, 0o755)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := build(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// house is a directory in which a pintle runs, with processes of other users beside it.
type house struct {
	t      *testing.T
	dir    string
	binary string
	pintle *child
}

// newHouse has pintle run with a configuration, in which DIR is the house's directory; nobody may write in DIR/forward.
func newHouse(t *testing.T, yaml string) *house {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("PINTLE_TEST_NO_SKIP") == "1" {
			t.Fatal("only root can forward as somebody else")
		}
		t.Skip("only root can forward as somebody else")
	}
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, dir: t.TempDir(), binary: binary}
	for dir := h.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(h.dir, "forward"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(h.dir, "forward"), nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(h.dir, "pen"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "pintle.yaml"), []byte(strings.ReplaceAll(yaml, "DIR", h.dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	h.boot()
	return h
}

// boot starts pintle, and waits until it answers.
func (h *house) boot() {
	h.t.Helper()
	h.pintle = h.run(0, "init", "--config", filepath.Join(h.dir, "pintle.yaml"))
	eventually(h.t, "pintle answers", func() bool { return h.command("status").Run() == nil })
}

// command is a pintle command of root's.
func (h *house) command(args ...string) *exec.Cmd {
	cmd := exec.Command(h.binary, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PINTLE_RUNTIME_DIR=" + filepath.Join(h.dir, "run")}
	return cmd
}

// child is a process, and what it has said.
type child struct {
	*exec.Cmd
	stdout, stderr said
	over           chan struct{} // closed once it has ended
}

type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// run starts pintle as a user; it ends with the test at the latest.
func (h *house) run(uid uint32, args ...string) *child {
	h.t.Helper()
	c := &child{Cmd: h.command(args...), over: make(chan struct{})}
	c.Stdout, c.Stderr = &c.stdout, &c.stderr
	c.WaitDelay = time.Second
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if err := c.Start(); err != nil {
		h.t.Fatal(err)
	}
	go func() { defer close(c.over); _ = c.Wait() }()
	h.t.Cleanup(func() {
		c.end(h.t, syscall.SIGTERM)
		if h.t.Failed() {
			h.t.Logf("pintle %s said:\n%s%s", args[0], &c.stdout, &c.stderr)
		}
	})
	return c
}

// end sends a signal, and waits for the end.
func (c *child) end(t *testing.T, sig syscall.Signal) {
	_ = c.Process.Signal(sig)
	select {
	case <-c.over:
	case <-time.After(time.Minute):
		_ = c.Process.Kill()
		t.Errorf("%s did not end", c)
	}
}

// forward has nobody forward to targets, and waits until that has begun.
func (h *house) forward(urls ...string) *child {
	h.t.Helper()
	args := []string{"forward", "--cursors", filepath.Join(h.dir, "forward", "cursors"), "--listen", "127.0.0.1:0"}
	for _, url := range urls {
		args = append(args, "--to", url)
	}
	f := h.run(nobody, args...)
	eventually(h.t, "it forwards", func() bool { return strings.Count(f.stdout.String(), "\n") > len(urls) })
	return f
}

// metric is the sum over all targets of one of a forwarder's metrics.
func (c *child) metric(t *testing.T, name string) (sum int) {
	t.Helper()
	first, _, _ := strings.Cut(c.stdout.String(), "\n")
	a, err := http.Get(strings.TrimPrefix(first, "metrics are at "))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	for lines := bufio.NewScanner(a.Body); lines.Scan(); {
		if line := lines.Text(); strings.HasPrefix(line, name+"{") {
			n := 0
			if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &n); err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}
