package main

import (
	"bytes"
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

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// The tests look at real processes. TestMain builds the program once and makes the test process a subreaper, so that
// what loses its parent becomes its child and can be seen, killed and reaped.

var hermes string // the built program

func TestMain(m *testing.M) {
	code, err := testMain(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func testMain(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "hermes")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	hermes = filepath.Join(dir, "hermes")
	build := exec.Command("go", "build", "-o", hermes, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("cannot build hermes: %w\n%s", err, out)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("cannot become a subreaper: %w", err)
	}
	return m.Run(), nil
}

// patience is how long a condition may take on a machine that is busy. Nothing waits for it to pass.
const patience = 20 * time.Second

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// A world is a home and all processes that were started in it, which carry its mark in their environment. None of
// them outlives the test.
type world struct {
	*testing.T
	home    string
	mark    string
	started []*process
}

func newWorld(t *testing.T) *world {
	home := t.TempDir()
	w := &world{T: t, home: home, mark: "HERMES_TEST_MARK=" + home}
	t.Cleanup(w.sweep)
	return w
}

// env is all that a process gets, beside the mark: nothing of the tester's own environment changes a test.
func (w *world) env(more ...string) []string {
	return append([]string{w.mark, "HERMES_HOME=" + w.home}, more...)
}

func (w *world) sweep() {
	for _, p := range w.started {
		p.cmd.Process.Kill()
		<-p.ended
	}
	eventually(w.T, "no process left", func() bool {
		left := w.processes("")
		for _, p := range left {
			unix.Kill(p.pid, unix.SIGKILL)
			if p.parent == os.Getpid() {
				unix.Wait4(p.pid, nil, 0, nil)
			}
		}
		return len(left) == 0
	})
}

// A seen process is what /proc says of it.
type seen struct {
	pid, parent, group, session int
	comm, state                 string
}

func look(pid int) (s seen, ok bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	head, tail, found := strings.Cut(string(stat), ") ")
	if err != nil || !found {
		return s, false
	}
	s.pid = pid
	_, s.comm, _ = strings.Cut(head, "(")
	fmt.Sscan(tail, &s.state, &s.parent, &s.group, &s.session)
	return s, true
}

func everybody() (all []seen) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if s, ok := look(pid); ok {
				all = append(all, s)
			}
		}
	}
	return all
}

// processes returns the living ones of this world whose command line starts with prefix.
func (w *world) processes(prefix string) (found []seen) {
	for _, s := range everybody() {
		environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", s.pid))
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.pid))
		line := strings.ReplaceAll(string(cmdline), "\x00", " ")
		if bytes.Contains(environ, []byte(w.mark+"\x00")) && strings.HasPrefix(line, prefix) {
			found = append(found, s)
		}
	}
	return found
}

// ignores says whether the kernel discards the signal for that process.
func ignores(pid int, sig syscall.Signal) bool {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(status), "SigIgn:\t")
	hex, _, _ := strings.Cut(rest, "\n")
	mask, _ := strconv.ParseUint(hex, 16, 64)
	return mask&(1<<(sig-1)) != 0
}

// A process is a hermes that the test has started. Its output goes to files, or to a terminal, and never to a pipe:
// who waits for the end of a pipe waits for escapees too.
type process struct {
	*world
	cmd    *exec.Cmd
	ended  chan struct{}
	status syscall.WaitStatus // valid after ended
	stdout func() string
	stderr func() string
}

func (w *world) command(env []string, args ...string) *exec.Cmd {
	return &exec.Cmd{Path: hermes, Args: append([]string{"hermes"}, args...), Env: w.env(env...), Dir: w.home}
}

func (w *world) start(env []string, args ...string) *process {
	w.Helper()
	return w.launch(w.command(env, args...))
}

func (w *world) launch(cmd *exec.Cmd) *process {
	w.Helper()
	p := &process{world: w, cmd: cmd, ended: make(chan struct{})}
	if cmd.Stdout == nil {
		dir := w.TempDir()
		file := func(name string) (*os.File, func() string) {
			f, err := os.Create(filepath.Join(dir, name))
			if err != nil {
				w.Fatal(err)
			}
			w.Cleanup(func() { f.Close() })
			return f, func() string { text, _ := os.ReadFile(f.Name()); return string(text) }
		}
		cmd.Stdout, p.stdout = file("stdout")
		cmd.Stderr, p.stderr = file("stderr")
	}
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	w.started = append(w.started, p)
	go func() {
		defer close(p.ended)
		cmd.Wait()
		p.status = cmd.ProcessState.Sys().(syscall.WaitStatus)
	}()
	return p
}

// run starts hermes and returns how it ended.
func (w *world) run(args ...string) (stdout, stderr string, code int) {
	w.Helper()
	p := w.start(nil, args...)
	code = p.wait()
	return p.stdout(), p.stderr(), code
}

// wait returns the exit code, or 128+n after signal n.
func (p *process) wait() int {
	p.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.Fatalf("%q has not ended; it said:\n%s", p.cmd.Args, p.stdout())
	}
	if p.status.Signaled() {
		return 128 + int(p.status.Signal())
	}
	return p.status.ExitStatus()
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *process) signal(sig syscall.Signal) {
	p.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.Fatal(err)
	}
}

// says waits until the text stands in the standard output. That may be after the end: a terminal is read behind.
func (p *process) says(text string) {
	p.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(p.stdout(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.Fatalf("%q has not said %q within %v, but:\n%s", p.cmd.Args, text, patience, p.stdout())
		}
	}
}

// A terminal is a process in the foreground of a pseudo-terminal of its own. The test holds the other end open too,
// so that the modes can still be read when the process has gone.
type terminal struct {
	*process
	keyboard *os.File
}

func (w *world) startOnTerminal(rows, cols uint16, args ...string) *terminal {
	w.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { tty.Close(); master.Close() })
	term := &terminal{keyboard: master}
	term.resizeTo(w.T, rows, cols)

	var mu sync.Mutex
	var shown bytes.Buffer
	go func() {
		for chunk := make([]byte, 4096); ; {
			n, err := master.Read(chunk)
			mu.Lock()
			shown.Write(chunk[:n])
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	cmd := w.command(nil, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	term.process = w.launch(cmd)
	term.stdout = func() string {
		mu.Lock()
		defer mu.Unlock()
		return shown.String()
	}
	return term
}

func (t *terminal) resizeTo(tt *testing.T, rows, cols uint16) {
	tt.Helper()
	if err := pty.Setsize(t.keyboard, &pty.Winsize{Rows: rows, Cols: cols}); err != nil {
		tt.Fatal(err)
	}
}

func (t *terminal) types(keys string) {
	t.Helper()
	if _, err := t.keyboard.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

func (t *terminal) modes() term.State {
	t.Helper()
	state, err := term.GetState(int(t.keyboard.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return *state
}

// reaps waits for n ended children that the test has not started itself.
func (w *world) reaps(n int) {
	w.Helper()
	eventually(w.T, fmt.Sprintf("%d orphans to reap", n), func() bool {
		for _, s := range everybody() {
			if s.parent != os.Getpid() || s.state != "Z" || w.isStarted(s.pid) {
				continue
			}
			if pid, _ := unix.Wait4(s.pid, nil, unix.WNOHANG, nil); pid == s.pid {
				n--
			}
		}
		return n <= 0
	})
	if n < 0 {
		w.Errorf("%d orphans too many", -n)
	}
}

func (w *world) isStarted(pid int) bool {
	for _, p := range w.started {
		if p.cmd.Process.Pid == pid {
			return true
		}
	}
	return false
}
