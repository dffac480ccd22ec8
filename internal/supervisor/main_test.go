package supervisor

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/logs"
	"pintle/internal/process"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// TestMain lets a copy of this test binary be the exec step of a run that is another user's, or a unit with a part to play.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == roleName {
		play(os.Args[2:])
	}
	if process.IsExecStep(os.Args) {
		os.Exit(process.ExecStep(os.Args, os.Stderr))
	}
	os.Exit(m.Run())
}

// aloneVariable names the test that this process was started for.
const aloneVariable = "PINTLE_SUPERVISOR_TEST_ALONE"

// alone runs a test's body in a process of its own: there may be one reaper in a
// process, which takes every child, so two tests with real processes can't share
// one. At the end nothing of the body may be left, no goroutine and no child.
func alone(t *testing.T, body func(t *testing.T)) {
	t.Helper()
	if os.Getenv(aloneVariable) == t.Name() {
		body(t)
		return
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.timeout=50s")
	cmd.Env = append(os.Environ(), aloneVariable+"="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// world is a supervisor with everything that it works with.
type world struct {
	*Supervisor
	t   *testing.T
	dir string // for the test's files; every user may write to it
	log *lines
}

// lines is what pintle itself said.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// newWorld makes a supervisor of o, filled up with what the test does not care
// about, and boots it. The test must be alone.
func newWorld(t *testing.T, o Options) *world {
	t.Helper()
	w := &world{t: t, log: &lines{}}
	o.Log = slog.New(slog.NewTextHandler(w.log, nil))
	kernel, err := process.New(process.Options{Log: o.Log, Senders: o.Syslog != nil})
	if err != nil {
		t.Fatal(err)
	}
	o.Kernel = NewKernel(kernel)
	o.Logs = logs.NewBook(logs.Options{})
	if o.Store == nil {
		o.Store, _ = store.Open(store.Options{})
	}
	if o.Environ == nil {
		o.Environ = []string{"PATH=" + os.Getenv("PATH"), "LANG=C"}
	}
	w.dir = t.TempDir()
	for d := w.dir; d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	w.Supervisor = New(o)
	t.Cleanup(func() {
		w.Halt()
		w.Hurry()
		within(t, w.Idle(), "everything to end")
		w.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = o.Store.Close(ctx) // a test may have broken its directory
		if err := o.Logs.Close(ctx); err != nil {
			t.Error(err)
		}
		kernel.Close()
		goleak.VerifyNone(t)
		for { // who has ended, and only waits to be reaped, is not left
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err == unix.ECHILD {
				break
			} else if pid == 0 {
				t.Error("a child is left")
				break
			}
		}
		if t.Failed() {
			t.Logf("pintle said:\n%s", w.log)
		}
	})
	w.Boot()
	return w
}

func within(t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("waited too long for %s", what)
	}
}

// until waits until a unit's status is as judge wants it, and returns that.
func (w *world) until(name unit.Name, what string, judge func(engine.Status) bool) engine.Status {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	var last engine.Status
	for s, err := range w.Watch(ctx) {
		if err != nil {
			w.t.Fatalf("waiting for %s to be %s: %v", name, what, err)
		}
		if s.Name != name {
			continue
		}
		if last = s; judge(s) {
			return s
		}
	}
	w.t.Fatalf("%s is not %s: %+v\npintle said:\n%s", name, what, last, w.log)
	return engine.Status{}
}

func (w *world) untilState(name unit.Name, state unit.State) engine.Status {
	w.t.Helper()
	return w.until(name, string(state), func(s engine.Status) bool { return s.State == state })
}

// untilFile waits until somebody has written a whole line to a file in the world's directory, and returns it.
func (w *world) untilFile(name string) string {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if text, err := os.ReadFile(filepath.Join(w.dir, name)); err == nil && strings.HasSuffix(string(text), "\n") {
			return strings.TrimSpace(string(text))
		}
	}
	w.t.Fatalf("nobody wrote %s", name)
	return ""
}

// must returns what a verb answered, which must be no refusal.
func (w *world) must(s engine.Status, err error) engine.Status {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// onPeersBehalf is a context whose actor is somebody at the socket.
func onPeersBehalf(uid uint32) context.Context {
	return engine.WithActor(context.Background(), unit.Actor{Kind: "peer", UID: uid, PID: 33, Command: "pintle"})
}

// service is a unit that runs a shell script.
func service(name unit.Name, script string, change ...func(*unit.Spec)) unit.Spec {
	s := unit.Spec{
		Name: name, Kind: unit.Service, Enabled: unit.Switch{On: true}, Command: []string{"/bin/sh", "-c", script},
		Restart: unit.RestartAlways, Stop: unit.Stop{Grace: 5 * time.Second},
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

// mainProgram is a main program that runs a shell script.
func mainProgram(script string) unit.Spec {
	return service(unit.MainName, script, func(s *unit.Spec) { s.Kind, s.Restart = unit.Main, unit.RestartNever })
}

const forever = "exec sleep 1000"

// down makes it a unit that is not started with the container.
func down(name unit.Name) store.Record {
	return store.Record{Unit: name, Intent: unit.Intent{Actor: unit.Boot}}
}

func sleeper(name unit.Name, change ...func(*unit.Spec)) unit.Spec {
	return service(name, forever, change...)
}

// template makes instances that sleep.
func template(change ...func(*unit.Template)) unit.Template {
	t := unit.Template{Name: "gateway", Spec: sleeper(""), Max: 3, Initial: unit.InitialDown}
	for _, c := range change {
		c(&t)
	}
	return t
}

// lives tells whether a process exists and is no zombie.
func lives(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// refusal checks that err is one, of this kind, and that it names the rule.
func refusal(t *testing.T, err error, kind engine.ErrorKind, text string) {
	t.Helper()
	if err == nil || engine.KindOf(err) != kind || err.Error() != text {
		t.Errorf("refused as %s: %v\nwant %s: %s", engine.KindOf(err), err, kind, text)
	}
}

// newStore is a store on a directory.
func newStore(t *testing.T) (s *store.Store, directory string) {
	t.Helper()
	directory = filepath.Join(t.TempDir(), "state")
	s, records := store.Open(store.Options{Directory: directory, UID: os.Geteuid()})
	if len(records) != 0 || len(s.Conditions()) != 0 {
		t.Fatalf("%v, %q", records, s.Conditions())
	}
	return s, directory
}

// recordsIn counts a store's records on disk.
func recordsIn(t *testing.T, directory string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(directory, "intents", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// inLoop runs do in the loop, and returns when that is done.
func (w *world) inLoop(do func(s *Supervisor)) {
	w.t.Helper()
	done := make(chan struct{})
	w.do(func(s *Supervisor) {
		defer close(done)
		do(s)
	})
	within(w.t, done, "the loop")
}

// watchFor watches from now on, and sends the first status of a unit that is as judge wants it.
func (w *world) watchFor(name unit.Name, judge func(engine.Status) bool) <-chan engine.Status {
	found := make(chan engine.Status, 1)
	begun := make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
		defer cancel()
		begin := sync.OnceFunc(func() { close(begun) })
		for s, err := range w.Watch(ctx) {
			begin()
			if err == nil && s.Name == name && judge(s) {
				found <- s
				return
			}
		}
		close(found) // too late: a zero status, which the test does not expect
	}()
	within(w.t, begun, "the watch to begin")
	return found
}

// untilLine waits for a line in a unit's log.
func (w *world) untilLine(name unit.Name, text string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	for l, err := range w.Logs(ctx, engine.LogRequest{Name: name, Tail: -1, Follow: true}) {
		if err != nil {
			w.t.Fatal(err)
		}
		if l.Text == text {
			return
		}
	}
	w.t.Fatalf("%s did not write %q", name, text)
}

// closedPort is an address where nobody listens, until the test does.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
