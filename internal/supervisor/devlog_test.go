package supervisor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// logSocket is a socket for logger(1), which the world closes.
func logSocket(t *testing.T) (socket LogSocket, path string) {
	t.Helper()
	if _, err := exec.LookPath("logger"); err != nil {
		t.Skip("skipped: there is no logger(1)")
	}
	dir, err := os.MkdirTemp("/run", "pintle-log-") // a directory that nobody else can write, as /dev is
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Skipf("skipped: there is no place for a socket: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "log")
	if socket, err = ListenSyslog(path); err != nil {
		t.Fatal(err)
	}
	return socket, path
}

// said are the lines that a unit's processes said on the log socket, from the number of the run on.
func (w *world) said(name unit.Name) (lines []string) {
	w.t.Helper()
	for l, err := range w.Logs(context.Background(), engine.LogRequest{Name: name, Tail: -1}) {
		if err != nil {
			w.t.Fatal(err)
		}
		if l.Stream == engine.Syslog {
			lines = append(lines, fmt.Sprintf("%d %s", l.Run, l.Text))
		}
	}
	return lines
}

// TestLinesOnTheLogSocket: what a unit's shell script says by logger(1) is the unit's, though each logger has often ended
// by the time it is heard, and others of the same user say something at that time: 200 times each. Main's is main's.
func TestLinesOnTheLogSocket(t *testing.T) {
	alone(t, func(t *testing.T) {
		socket, path := logSocket(t)
		const times = 200
		script := func(tag string) string {
			return fmt.Sprintf("i=0; while [ $i -lt %d ]; do logger -u %s -t %s -p daemon.info $i; i=$((i+1)); done; %s", times, path, tag, forever)
		}
		main := mainProgram(script("init"))
		w := newWorld(t, Options{Syslog: socket, Main: &main, Services: []unit.Spec{service("web", script("web")), service("db", script("db"))}})
		for name, tag := range map[unit.Name]string{unit.MainName: "init", "web": "web", "db": "db"} {
			var want []string
			for i := range times {
				want = append(want, fmt.Sprintf("1 daemon.info %s: %d", tag, i))
			}
			eventually(t, string(name)+" has said all", func() bool { return len(w.said(name)) >= times })
			if got := w.said(name); strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%s has %d lines:\n%s", name, len(got), strings.Join(got, "\n"))
			}
		}
	})
}

// TestLastWordsOnTheLogSocket: what is said by a process that pintle itself reaps at once is its run's: by a leader that
// is nothing but logger(1), and by one that was left behind.
func TestLastWordsOnTheLogSocket(t *testing.T) {
	alone(t, func(t *testing.T) {
		socket, path := logSocket(t)
		again := func(s *unit.Spec) {
			s.Backoff = unit.BackoffRule{Initial: 20 * time.Millisecond, Max: 50 * time.Millisecond, Factor: 1}
		}
		w := newWorld(t, Options{Syslog: socket, Services: []unit.Spec{
			service("leader", fmt.Sprintf("exec logger -u %s -t it hello", path), again),
			service("orphan", fmt.Sprintf("n=$(logger -u %s -t it hello >/dev/null & echo $!); while kill -0 $n 2>/dev/null; do sleep 0.01; done", path), again),
			sleeper("other"),
		}})
		for _, name := range []unit.Name{"leader", "orphan"} {
			const runs = 5
			w.until(name, "run often", func(s engine.Status) bool { return s.Run > runs })
			eventually(t, string(name)+" is heard", func() bool { return len(w.said(name)) >= runs })
			for i, line := range w.said(name)[:runs] {
				if want := fmt.Sprintf("%d user.notice it: hello", i+1); line != want {
					t.Errorf("%s said %q, want %q", name, line, want)
				}
			}
		}
	})
}

// TestStrangersOnTheLogSocket: who belongs to no run can put no line into any unit's journal, whoever he says that he is.
// That there was something is said once, and counted, however much it is.
func TestStrangersOnTheLogSocket(t *testing.T) {
	alone(t, func(t *testing.T) {
		socket, path := logSocket(t)
		main := mainProgram(forever)
		w := newWorld(t, Options{Syslog: socket, Main: &main, Services: []unit.Spec{sleeper("web")}})
		pid := w.untilState("web", unit.Up).PID
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
			t.Fatal(err)
		}
		const times = 10_000
		for range times {
			if err := unix.Send(fd, fmt.Appendf(nil, "<14>web[%d]: all is well", pid), 0); err != nil {
				t.Fatal(err)
			}
		}
		w.deafen()
		for _, name := range []unit.Name{"web", unit.MainName} {
			if lines := w.said(name); len(lines) > 0 {
				t.Errorf("%s has %q", name, lines)
			}
		}
		said := strings.Split(strings.TrimSpace(w.log.String()), "\n")
		var about []string
		for _, line := range said {
			if strings.Contains(line, "on the log socket") {
				about = append(about, line)
			}
		}
		first := fmt.Sprintf("cannot take a line on the log socket from process %d (uid %d): it belongs to no run", os.Getpid(), os.Getuid())
		rest := fmt.Sprintf("cannot take %d lines on the log socket: it is not known which runs they are of", times-1)
		if len(about) != 2 || !strings.Contains(about[0], first) || !strings.Contains(about[1], rest) {
			t.Errorf("pintle says\n%s", strings.Join(about, "\n"))
		}
	})
}

// TestLogSocketWhereOthersCanWrite: a directory in which somebody else could put another socket in its place is refused.
func TestLogSocketWhereOthersCanWrite(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenSyslog(filepath.Join(dir, "log")); err == nil || !strings.HasPrefix(err.Error(), "cannot listen on "+dir+"/log: cannot trust "+dir) {
		t.Errorf("%v", err)
	}
}
