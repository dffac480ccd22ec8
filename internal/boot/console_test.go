package boot

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// Without a main program what services write to their standard output is on the container's, and the rest on its
// standard error.
func TestServicesHaveBothStreams(t *testing.T) {
	t.Parallel()
	p := start(t, "services: {web: {command: "+shell("echo listening; echo oops >&2; exec sleep 60")+"}}")
	p.expect(t, "web | listening")
	p.until(t, "the line on stderr", func() bool { return strings.Contains(p.stderr.String(), "web | oops\n") })
	p.term(t)
	p.code(t)
	if got := p.stderr.String(); strings.Contains(got, "listening") {
		t.Errorf("stderr has stdout's line:\n%s", got)
	}
}

// Beside a main program nothing of services is on the standard output: it is main's, whose output may be data.
func TestStdoutIsMains(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, "services: {web: {command: "+shell("echo listening; echo > "+dir+"/said; exec sleep 60")+"}}",
		"--", "sh", "-c", "until [ -e "+dir+"/said ]; do sleep 0.02; done; echo data")
	stdout, err := io.ReadAll(p.stdout)
	if err != nil {
		t.Error(err)
	}
	if code := p.code(t); code != 0 || string(stdout) != "data\n" || !strings.Contains(p.stderr.String(), "web | listening\n") {
		t.Errorf("code %d, stdout %q\n%s", code, stdout, &p.stderr)
	}
}

// Where main has the terminal, nothing of services and nothing that pintle says of them is on it.
func TestTheTerminalIsMains(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startOnTerminal(t, nil, "services: {web: {command: "+shell("echo listening; echo oops >&2; echo >> "+dir+"/said; exit 3")+", restart: always}}",
		"--", "sh", "-c", `until [ "$(cat `+dir+`/said 2>/dev/null | wc -l)" -ge 2 ]; do sleep 0.02; done; echo data`)
	if got := p.screen(t); got != "data\r\n" {
		t.Errorf("the terminal shows %q", got)
	}
}

// On a terminal that is nobody's, the names of services have colours, where the environment allows it; what they print
// commands nothing.
func TestColoursOnATerminal(t *testing.T) {
	t.Parallel()
	for environ, want := range map[string]string{
		"TERM=xterm": "\x1b[96mweb\x1b[0m | red alert\r\n",
		"TERM=dumb":  "web | red alert\r\n",
		"NO_COLOR=1": "web | red alert\r\n",
	} {
		t.Run(environ, func(t *testing.T) {
			t.Parallel()
			p := startOnTerminal(t, []string{"TERM=xterm", environ}, "oneshots: {web: {required: true, up: "+shell(`printf 'red \033[31malert\n'; exit 1`)+"}}")
			if got := p.screen(t); !strings.Contains("\n"+got, "\n"+want) { // a line, not what is quoted of it at the end
				t.Errorf("the terminal shows %q, want %q", got, want)
			}
		})
	}
}

// Docker's reader of the container's output stalls, and a service floods it: the stop takes no longer for it.
func TestStalledReaderOfDockerLogs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, "services: {web: {command: "+shell("trap 'exit 0' TERM; i=0; while [ $i -lt 2000 ]; do echo "+strings.Repeat("x", 1000)+"; i=$((i+1)); done; echo > "+dir+"/said; while :; do sleep 0.05; done")+"}}")
	p.until(t, "the flood's end, though nobody reads", func() bool { return there(dir + "/said") })
	began := time.Now()
	p.term(t)
	if code := p.code(t); code != 0 || time.Since(began) > 8*time.Second {
		t.Errorf("code %d after %s\n%s", code, time.Since(began), &p.stderr)
	}
}

// onTerminal is a pintle that leads a session on a terminal.
type onTerminal struct {
	*pintle
	shown chan string
}

func startOnTerminal(t *testing.T, environ []string, yaml string, args ...string) *onTerminal {
	t.Helper()
	p := prepared(t, environ, yaml, args...)
	p.Stdin, p.Stdout, p.Stderr = nil, nil, nil
	master, err := pty.StartWithAttrs(p.Cmd, nil, &unix.SysProcAttr{Setsid: true, Setctty: true})
	if err != nil {
		t.Skipf("skipped: cannot open a terminal: %v", err)
	}
	o := &onTerminal{p, make(chan string, 1)}
	go func() {
		defer master.Close()
		all, _ := io.ReadAll(master) // EIO once nobody has the terminal
		o.shown <- string(all)
	}()
	t.Cleanup(func() { p.ended(t) })
	return o
}

// screen waits for the end, and is all that the terminal has shown.
func (o *onTerminal) screen(t *testing.T) string {
	t.Helper()
	o.code(t)
	return <-o.shown
}
