package reference_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/test/dockertest"
)

// consoleUnits are services of each format, which write a line on each stream.
const consoleUnits = `
services:
  naked: {command: [sh, -c, "echo out of naked; echo err of naked >&2; exec talk naked"], log: {console: raw}}
  named: {command: [sh, -c, "echo out of named; echo err of named >&2; exec talk named"], log: {console: prefixed}}
  object: {command: [sh, -c, "echo out of object; echo err of object >&2; exec talk object"], log: {console: json}}
  hidden: {command: [sh, -c, "echo out of hidden; echo err of hidden >&2; exec talk hidden"], log: {console: none}}
  patient: {command: [sh, -c, "echo out of patient; echo err of patient >&2; exec talk patient"], log: {console: {format: prefixed, wait: true}}}
  naked-failed: {command: [/nosuch], restart: never, log: {console: raw}}
  named-failed: {command: [/nosuch], restart: never}
  object-failed: {command: [/nosuch], restart: never, log: {console: json}}
  hidden-failed: {command: [/nosuch], restart: never, log: {console: none}}
`

// shownBy are the lines of a stream of the container, sorted; a line of JSON is shown as "object RUN STREAM | TEXT". What
// pintle says of how runs began and ended is left out.
func shownBy(t *testing.T, text string, since time.Time) (lines []string) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "{") {
			var l engine.Line
			if err := json.Unmarshal([]byte(line), &l); err != nil || l.Time.Before(since.Add(-time.Second)) || l.Time.After(time.Now().Add(time.Second)) || l.Seq == 0 {
				t.Errorf("%v: this is no line of now: %s", err, line)
			}
			line = fmt.Sprintf("%s %d %s | %s", l.Unit, l.Run, l.Stream, l.Text)
		}
		if !strings.HasPrefix(line, "pintle | ") || !strings.Contains(line, ": run 1 ") {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}

// docker logs shows the lines of each unit as its configuration says (docs/console.md): without a main program on the
// stream that they were written to, beside one on standard error, and main's own output as it is. What is shown
// nowhere can be read all the same.
func TestDockerLogsShowEachUnitAsItIsConfigured(t *testing.T) {
	t.Parallel()
	image := logsImage(t, map[string]string{"units": consoleUnits})
	out := []string{"named | out of named", "object 1 stdout | out of object", "out of naked", "patient | out of patient"}
	// Also what pintle says in a unit's log is in the unit's format, but never hidden.
	const failed = "cannot execute /nosuch: there is no such file"
	errs := []string{"err of naked", "named | err of named", "object 1 stderr | err of object", "object-failed 1 pintle | " + failed,
		"patient | err of patient", "pintle | hidden-failed: " + failed, "pintle | named-failed: " + failed, "pintle: naked-failed: " + failed}
	both := slices.Sorted(slices.Values(slices.Concat(out, errs)))

	t.Run("without a main program", func(t *testing.T) {
		t.Parallel()
		began := time.Now()
		c := boot(t, lifeOptions(image, "units"))
		dockertest.Eventually(t, soon, func() (bool, string) {
			stdout, stderr := c.Logs()
			return strings.Count(stdout, "\n") >= len(out) && len(shownBy(t, stderr, began)) >= len(errs), stdout + stderr
		}, "all have written")
		stdout, stderr := c.Logs()
		if got := shownBy(t, stdout, began); !slices.Equal(got, out) {
			t.Errorf("standard output has %q, want %q", got, out)
		}
		if got := shownBy(t, stderr, began); !slices.Equal(got, errs) {
			t.Errorf("standard error has %q, want %q", got, errs)
		}
		if got := wrote(readLogs(t, c, "hidden")); got != "hidden out of hidden\nhidden err of hidden" {
			t.Errorf("of what the console does not show, pintle logs shows %q", got)
		}
	})
	t.Run("beside a main program", func(t *testing.T) {
		t.Parallel()
		began := time.Now()
		// Main waits until all others have written.
		r := dockertest.Run(t, lifeOptions(image, "units"), "sh", "-c",
			`for u in naked named object hidden patient; do until test -p /talk/$u; do sleep 0.01; done; done
pintle wait '*-failed' --for down >/dev/null; printf 'data\000\377\r\n half'`)
		if r.Code != 0 || r.Stdout != "data\x00\xff\r\n half" {
			t.Errorf("what main writes is changed: %q", r.Stdout)
		}
		if got := shownBy(t, r.Stderr, began); !slices.Equal(got, both) {
			t.Errorf("standard error has %q, want %q", got, both)
		}
	})
	t.Run("beside a main program that has the terminal", func(t *testing.T) {
		t.Parallel()
		a := attend(t, lifeOptions(image, "units"), "sh", "-c", "echo begun; read -r line; echo ended")
		a.Expect("begun", soon)
		// Nobody waits for a console that is nowhere.
		succeeds(t, a.Exec("0", "timeout", "30", "sh", "-c", "until test -p /talk/patient; do sleep 0.01; done; echo flood patient 30000 >/talk/patient"))
		dockertest.Eventually(t, soon, func() (bool, string) {
			r := a.Exec("0", "pintle", "logs", "--tail", "1", "patient")
			return strings.HasPrefix(r.Stdout, "patient 00030000 "), r.String()
		}, "the patient one has written all")
		a.Send("\r")
		a.Wait(soon)
		if got, want := a.Output(), "begun\r\n\r\nended\r\n"; got != want {
			t.Errorf("the terminal shows %q, want %q", got, want)
		}
	})
}

// A slow reader of the container's output stalls no service that is not asked to wait for it: what finds no room is left
// out there, and counted. One that is asked to wait goes on when the reader does, and nothing of it is left out. When the
// reader is gone, nobody waits for it.
func TestASlowReaderStallsNobodyWhoIsNotAskedToWait(t *testing.T) {
	t.Parallel()
	image := logsImage(t, map[string]string{"units": consoleUnits})
	c := boot(t, lifeOptions(image, "units"))
	// More than docker, its command and the sockets and pipes between them hold.
	const lines = 60_000
	flood := func(name string) { tell(t, c, name, fmt.Sprintf("flood %s %d", name, lines)) }
	all := func(name string) {
		t.Helper()
		dockertest.Eventually(t, 2*soon, func() (bool, string) {
			r := pintle(c, "0", "logs", "--tail", "1", name)
			return strings.HasPrefix(r.Stdout, fmt.Sprintf("%s %08d ", name, lines)), r.String()
		}, name+" has written all")
	}

	slow := attach(t, c)
	flood("patient")
	flood("named")
	all("named")
	text := slow.until(fmt.Sprintf("patient | patient %08d ", lines))
	if err := flooded(text, "patient", 1, lines); err != nil {
		t.Error(err)
	}
	if !strings.Contains(text, "pintle | named: ") || !strings.Contains(text, "lines were not shown here: the console did not keep up") {
		t.Error("the reader stalled nobody, so that this shows nothing")
	}
	all("patient")
	slow.kill()

	gone := attach(t, c)
	flood("patient")
	flood("named")
	all("named")
	gone.kill()
	all("patient")
	if code, _ := c.Stop("-t", "60"); code != 0 {
		t.Errorf("the container's exit code is %d", code)
	}
}

// attached is a docker attach whose output is read only when the test does.
type attached struct {
	t     *testing.T
	out   *os.File
	lines *bufio.Reader
	kill  func()
}

// attach attaches to a container's output, and returns when it has come to what the container writes.
func attach(t *testing.T, c *dockertest.Container) *attached {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := dockertest.Command(ctx, t, "attach", "--no-stdin", "--sig-proxy=false", c.Name)
	cmd.Stdout = in
	err = cmd.Start()
	in.Close()
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	a := &attached{t: t, out: out, lines: bufio.NewReaderSize(out, 64<<10)}
	a.kill = sync.OnceFunc(func() {
		cancel()
		_ = cmd.Wait() // it is killed
		out.Close()
	})
	t.Cleanup(a.kill)
	dockertest.Eventually(t, soon, func() (bool, string) {
		tell(t, c, "naked", "out attached")
		out.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		line, err := a.lines.ReadString('\n')
		return strings.Contains(line, "attached"), fmt.Sprint(line, err)
	}, "docker attach shows what is written")
	return a
}

// until reads up to and with the line that begins with text.
func (a *attached) until(text string) string {
	a.t.Helper()
	a.out.SetReadDeadline(time.Now().Add(2 * soon))
	var got strings.Builder
	for {
		line, err := a.lines.ReadString('\n')
		got.WriteString(line)
		if strings.HasPrefix(line, text) {
			return got.String()
		}
		if err != nil {
			a.t.Fatalf("cannot read until %q: %v; the last line is %q", text, err, line)
		}
	}
}
