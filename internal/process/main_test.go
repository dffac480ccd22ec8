package process

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"pintle/internal/process/step"
	"pintle/internal/unit"
)

// The test binary run again is one of four: a test alone in its process
// (aloneVariable), that on its way into its surroundings (surroundingsVariable),
// a child with a part to play (roleName), or the exec step itself.
const (
	aloneVariable        = "PINTLE_PROCESS_TEST_ALONE"
	surroundingsVariable = "PINTLE_PROCESS_TEST_SURROUNDINGS"
	roleName             = "pintle-role"
)

func TestMain(m *testing.M) {
	switch {
	case IsExecStep(os.Args):
		step.Run(os.Args) // as pintle does before it initialises the rest
		os.Exit(ExecStep(os.Args, os.Stderr))
	case os.Args[0] == roleName:
		os.Exit(play(os.Args[1:]))
	case os.Getenv(surroundingsVariable) != "":
		fmt.Fprintln(os.Stderr, enter(os.Getenv(surroundingsVariable)))
		os.Exit(1)
	}
	code := make(chan int)
	go func() { code <- m.Run() }()
	for {
		select {
		case do := <-mainThread:
			do()
		case code := <-code:
			os.Exit(code)
		}
	}
}

// mainThread is Options.Main.
var mainThread = make(chan func())

// init keeps TestMain on the main thread, as pintle's main is.
func init() { runtime.LockOSThread() }

// surroundings are what a test that is alone finds itself in. The zero value is the same as its parent's.
type surroundings struct {
	PID1     bool              // PID 1 of a PID namespace of its own, with a /proc that shows it
	Files    map[string]string // what these files hold instead, in a mount namespace of its own
	Caps     []int             // with NoCaps or some here: the capabilities that are left
	NoCaps   bool
	Inherit  []int  // its inheritable capabilities
	UID, GID int    // who it runs as
	Groups   []int  // its supplementary groups
	Ignored  []int  // signals that it finds ignored
	Blocked  []int  // signals that it finds blocked
	Before   string // "zombie": it has a child that has ended, "open": a descriptor 7 that is not close-on-exec
	Soft     uint64 // its soft limit of open files; 0 for the same
	Cgroup   bool   // there is a cgroup2 file system
	Delegate string // the name of a cgroup of its own, which belongs to its user and in which it is
	Terminal bool   // it leads a session whose terminal is its standard input; the other side is descriptor 3
}

// dockerCaps is what docker run leaves to root: above all, no CAP_SYS_PTRACE.
var dockerCaps = []int{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FSETID, unix.CAP_FOWNER, unix.CAP_MKNOD, unix.CAP_NET_RAW,
	unix.CAP_SETGID, unix.CAP_SETUID, unix.CAP_SETFCAP, unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE,
	unix.CAP_SYS_CHROOT, unix.CAP_KILL, unix.CAP_AUDIT_WRITE,
}

// needRoot skips a test that only root can do.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("PINTLE_TEST_NO_SKIP") == "1" {
		t.Fatal("this test needs root (and PINTLE_TEST_NO_SKIP=1 lets nothing be skipped)")
	}
	t.Skip("this test needs root: it makes namespaces and runs processes as other users")
}

// alone runs a test's body in a process of its own: a Kernel takes every child's
// exit status, so there is one in a process and nothing else that waits for
// children. At the end no goroutine and no child may be left.
func alone(t *testing.T, s surroundings, body func(t *testing.T)) {
	t.Helper()
	if os.Getenv(aloneVariable) == t.Name() {
		body(t)
		return
	}
	if s.PID1 || s.Cgroup || s.Delegate != "" || s.Files != nil || s.Caps != nil || s.NoCaps || s.UID != 0 || s.Groups != nil {
		needRoot(t)
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run="+exactly(t.Name()), "-test.timeout=50s")
	cmd.Env = append(os.Environ(), aloneVariable+"="+t.Name(), surroundingsVariable+"="+s.String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: s.Terminal, Setctty: s.Terminal}
	if s.Terminal {
		master, tty, err := pty.Open()
		must(t, err)
		cmd.Stdin, cmd.ExtraFiles = tty, []*os.File{master}
	}
	if s.PID1 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWPID | unix.CLONE_NEWNS
	}
	if s.Files != nil || s.Cgroup || s.Delegate != "" {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWNS
	}
	var out bytes.Buffer
	file := logFile(t)
	cmd.Stdout, cmd.Stderr = file, file // a file, because Wait would wait for the end of a pipe
	must(t, cmd.Start())
	for _, f := range cmd.ExtraFiles {
		f.Close() // the terminal hangs up when the last one does
	}
	err := cmd.Wait()
	if places, err := ownPlaces(); err == nil && s.Delegate != "" {
		_ = cgroup(filepath.Join(places[0].dir, s.Delegate)).remove()
	}
	_, _ = file.Seek(0, 0)
	_, _ = out.ReadFrom(file)
	if err != nil || bytes.Contains(out.Bytes(), []byte("no tests to run")) {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
}

func logFile(t testing.TB) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "output")
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// exactly is the pattern for -test.run that selects one test or subtest.
func exactly(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// String is the form for surroundingsVariable.
func (s surroundings) String() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// enter makes this thread's surroundings as described, and executes the test binary in them.
func enter(text string) error {
	runtime.LockOSThread()
	var s surroundings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	if s.PID1 || s.Cgroup || s.Delegate != "" || s.Files != nil {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("cannot make the mounts private: %w", err)
		}
	}
	if s.PID1 {
		if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			return fmt.Errorf("cannot mount /proc: %w", err)
		}
	}
	if s.Cgroup || s.Delegate != "" {
		if err := mountCgroup(); err != nil {
			return fmt.Errorf("cannot mount cgroup2: %w", err)
		}
	}
	if s.Delegate != "" {
		if err := delegate(s); err != nil {
			return fmt.Errorf("cannot delegate a cgroup: %w", err)
		}
	}
	for path, content := range s.Files {
		if err := replace(path, content); err != nil {
			return fmt.Errorf("cannot replace %s: %w", path, err)
		}
	}
	if s.Soft != 0 {
		// Through prlimit(2), so that Go's runtime does not put back what it remembers.
		var limit unix.Rlimit
		if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
			return err
		}
		limit.Cur = s.Soft
		if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
			return err
		}
	}
	for _, n := range s.Ignored {
		if err := dispose(n, sigIgnore); err != nil {
			return err
		}
	}
	var blocked unix.Sigset_t
	for _, n := range s.Blocked {
		for i, v := range signalSet(unix.Signal(n)).Val {
			blocked.Val[i] |= v
		}
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &blocked, nil); err != nil {
		return err
	}
	switch s.Before {
	case "zombie":
		if err := zombies(3); err != nil {
			return err
		}
	case "open":
		if err := unix.Dup2(0, 7); err != nil {
			return err
		}
	}
	if err := become(s); err != nil {
		return err
	}
	if s.Inherit != nil {
		own, err := ownCapabilities()
		if err != nil {
			return err
		}
		for _, c := range s.Inherit {
			own.inheritable |= 1 << c
		}
		if err := own.take(); err != nil {
			return err
		}
	}
	environ := slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, surroundingsVariable+"=") })
	return syscall.Exec("/proc/self/exe", os.Args, environ)
}

// mountCgroup mounts a cgroup2 file system, which nobody else sees, where there is none that can be used.
func mountCgroup() error {
	if places, err := ownPlaces(); err == nil && unix.Access(places[0].dir, unix.W_OK) == nil {
		return nil
	}
	return unix.Mount("cgroup2", "/mnt", "cgroup2", 0, "")
}

func delegate(s surroundings) error {
	places, err := ownPlaces()
	if err != nil {
		return err
	}
	dir := cgroup(filepath.Join(places[0].dir, s.Delegate))
	return errors.Join(os.MkdirAll(string(dir), 0o755), os.Chown(string(dir), s.UID, s.GID),
		os.Chown(dir.file("cgroup.procs"), s.UID, s.GID), dir.write("cgroup.procs", "0"))
}

func replace(path, content string) error {
	f, err := os.CreateTemp("", "replaced")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(content)
	return errors.Join(err, f.Chmod(0o644), f.Close(), unix.Mount(f.Name(), path, "", unix.MS_BIND, ""))
}

// become takes capabilities, groups and user as described. It changes this thread only, which is the one that executes.
func become(s surroundings) error {
	if s.Groups != nil || s.UID != 0 {
		if err := step.SetGroups(s.Groups); err != nil {
			return fmt.Errorf("cannot set groups: %w", err)
		}
	}
	if s.NoCaps || s.Caps != nil {
		for c := range unix.CAP_LAST_CAP + 1 {
			if !slices.Contains(s.Caps, c) {
				if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil {
					return fmt.Errorf("cannot drop capability %d: %w", c, err)
				}
			}
		}
	}
	if s.GID != 0 {
		if err := step.SetAll(unix.SYS_SETRESGID, s.GID); err != nil {
			return fmt.Errorf("cannot set gid: %w", err)
		}
	}
	if s.UID != 0 {
		if err := step.SetAll(unix.SYS_SETRESUID, s.UID); err != nil {
			return fmt.Errorf("cannot set uid: %w", err)
		}
	}
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until a condition holds that the kernel or another process brings about.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// within waits for a channel.
func within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("still not: %s", what)
		panic("not reached")
	}
}

// world is a Kernel with the runs of one test.
type world struct {
	*Kernel
	t       testing.TB
	number  atomic.Uint64
	log     lines
	stopped chan unit.Signal
}

// newWorld makes this process's Kernel, which attributes processes to runs, and sees to it that nothing is left of it.
func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOf(t, SetsAttribution)
}

// newWorldOf does the same with another means.
func newWorldOf(t testing.TB, sets Sets) *world {
	t.Helper()
	w := &world{t: t, stopped: make(chan unit.Signal, 16)}
	var err error
	w.Kernel, err = New(Options{Log: w.log.logger(), Sets: sets, Main: mainThread, Stopped: func(_ int, s unit.Signal) {
		select {
		case w.stopped <- s:
		default:
		}
	}})
	must(t, err)
	t.Cleanup(func() {
		all := w.Everything()
		gone := make(chan bool, 2)
		all.Sweep(func() { gone <- true }, nil)
		all.Kill()
		within(t, "everything gone at the end of the test", gone)
		eventually(t, "every zombie reaped", childless)
		w.Close()
		if w.cgroups != nil {
			if _, err := os.Stat(string(w.cgroups.base)); err == nil {
				t.Errorf("%s is left", w.cgroups.base)
			}
		}
		goleak.VerifyNone(t, goleak.IgnoreTopFunction("pintle/internal/process.TestMain"))
		if t.Failed() {
			t.Logf("the Kernel said:\n%s", w.log.String())
		}
	})
	return w
}

// life is one run as its hooks tell of it, and what its processes say.
type life struct {
	*Run
	t      testing.TB
	mu     sync.Mutex
	events []string
	exit   chan unit.Exit
	empty  chan bool
	left   chan []Left

	said  chan string // lines of standard output
	heard map[string]process
}

// as returns a Command that plays the words of a role.
func as(words string) Command {
	return Command{Path: "/proc/self/exe", Args: append([]string{roleName}, strings.Fields(words)...), Env: []string{"A=b"}}
}

// start starts a command, with its standard output read, as a run of a unit of its own.
func (w *world) start(c Command) *life {
	w.t.Helper()
	l, err := w.try(c)
	must(w.t, err)
	return l
}

func (w *world) try(c Command) (*life, error) {
	l := &life{
		t: w.t, exit: make(chan unit.Exit, 10), empty: make(chan bool, 10), left: make(chan []Left, 1000),
		said: make(chan string, 4096), heard: map[string]process{},
	}
	number := w.number.Add(1)
	if c.Unit == "" {
		c.Unit, c.Number = unit.Name(fmt.Sprintf("unit%d", number)), 1
	}
	if c.Files[1] == nil {
		r, out, err := Pipe()
		must(w.t, err)
		defer out.Close()
		c.Files[1] = out
		go func() {
			defer r.Close()
			for s := bufio.NewScanner(r); s.Scan(); {
				l.said <- s.Text()
			}
			close(l.said)
		}()
	}
	if c.Files[2] == nil {
		c.Files[2] = os.Stderr
	}
	run, err := w.Start(c, Hooks{
		Started: func(*Run) { l.event("started") },
		Exited:  func(e unit.Exit, _ unit.Usage) { l.event("exited"); l.exit <- e },
	})
	l.Run = run
	return l, err
}

func (l *life) event(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, what)
}

// happened is what the hooks were told, in order.
func (l *life) happened() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.events, " ")
}

// line is the next line that the run's processes say.
func (l *life) line() string {
	l.t.Helper()
	return within(l.t, "a line of output", l.said)
}

// hears waits until some process of the run has said "word pid", and identifies it.
func (l *life) hears(word string) process {
	l.t.Helper()
	for {
		if p, ok := l.heard[word]; ok {
			return p
		}
		said, number, _ := strings.Cut(l.line(), " ")
		pid, err := strconv.Atoi(number)
		if err != nil {
			l.t.Fatalf("a process said %q while %q was waited for", said+" "+number, word)
		}
		p, _ := readProcess(pid)
		p.pid = pid // also where it has ended already
		l.heard[said] = p.process
	}
}

// ends waits for the leader's end.
func (l *life) ends() unit.Exit {
	l.t.Helper()
	return within(l.t, "the leader's end", l.exit)
}

// sweep begins the Sweep, and returns what is closed when the run is empty.
func (l *life) sweep() {
	l.Sweep(func() { l.empty <- true }, func(left []Left) { l.left <- left })
}

// emptied waits until the Sweep has told that the run is empty.
func (l *life) emptied() {
	l.t.Helper()
	within(l.t, "the run's set empty", l.empty)
}

// alive tells whether a process has not ended; a zombie has.
func alive(p process) bool {
	now, ok := readProcess(p.pid)
	return ok && now.process == p
}

// mustLive fails the test unless all of these processes are alive.
func mustLive(t testing.TB, all ...process) {
	t.Helper()
	for _, p := range all {
		if !alive(p) {
			t.Errorf("process %d is not alive", p.pid)
		}
	}
}

// mustBeGone fails the test if one of these processes is alive.
func mustBeGone(t testing.TB, all ...process) {
	t.Helper()
	for _, p := range all {
		if p.pid == 0 {
			t.Error("a process was not identified")
		}
		if alive(p) {
			t.Errorf("process %d is alive", p.pid)
		}
	}
}

// childless tells whether this process has no child, not even one that has ended and waits to be reaped.
func childless() bool {
	return unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) == unix.ECHILD
}

// inBothForms runs a test on real processes twice: with a cgroup for each run, and without.
func inBothForms(t *testing.T, s surroundings, body func(w *world)) {
	t.Run(string(SetsCgroup), func(t *testing.T) {
		s := s
		s.Cgroup = true
		alone(t, s, func(t *testing.T) { body(newWorldOf(t, SetsCgroup)) })
	})
	attributed(t, s, body)
}

// attributed runs a test without cgroups.
func attributed(t *testing.T, s surroundings, body func(w *world)) {
	t.Run(string(SetsAttribution), func(t *testing.T) {
		alone(t, s, func(t *testing.T) { body(newWorldOf(t, SetsAttribution)) })
	})
}
