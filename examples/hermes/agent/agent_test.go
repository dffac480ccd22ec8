package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// A result is how a short command ended.
type result struct {
	args   string // split at spaces; "''" is an empty word
	stdout string // "…" at the end: and more
	stderr string
	code   int
}

func check(w *world, want result) {
	w.Helper()
	args := strings.Fields(want.args)
	for i := range args {
		if args[i] == "''" {
			args[i] = ""
		}
	}
	stdout, stderr, code := w.run(args...)
	match := func(name, got, want string) {
		w.Helper()
		if start, more := strings.CutSuffix(want, "…"); got != want && !(more && strings.HasPrefix(got, start)) {
			w.Errorf("hermes %s: %s is %q, want %q", strings.Join(args, " "), name, got, want)
		}
	}
	match("standard output", stdout, want.stdout)
	match("standard error", stderr, want.stderr)
	if code != want.code {
		w.Errorf("hermes %s: exit code %d, want %d", strings.Join(args, " "), code, want.code)
	}
}

func TestCommandLine(t *testing.T) {
	w := newWorld(t)
	for _, r := range []result{
		{args: "chat -q hello", stdout: "hermes chat: hello\n"},
		{args: "-p coder chat -q ''", stdout: "hermes chat: \n"},
		{args: "version", stdout: "hermes …"},
		{args: "--version", stdout: "hermes …"},
		{args: "--help", stdout: "usage: hermes [-p PROFILE] [COMMAND]\n…"},
		{args: "help", stdout: "usage: hermes [-p PROFILE] [COMMAND]\n…"},
		{args: "gateway run --help", stdout: "usage: hermes gateway run [--replace]\n"},
		{args: "mcp", stdout: "usage: hermes mcp\n"},
		{args: "login now", stdout: "usage: hermes login\n"},
		{args: "exit 0"},
		{args: "exit 78", code: 78},
		{args: "exit 256", stderr: "hermes: \"256\" is not an exit code from 0 to 255\nusage: hermes exit N\n", code: 2},
		{args: "exit", stderr: "hermes: argument missing\nusage: hermes exit N\n", code: 2},
		{args: "x", stderr: "hermes: unknown command \"x\"\nusage: hermes …", code: 2},
		{args: "''", stderr: "hermes: unknown command \"\"\nusage: hermes …", code: 2},
		{args: "gateway stop", stderr: "hermes: unknown command \"gateway stop\"\nusage: hermes gateway …", code: 2},
		{args: "chat --loud", stderr: "hermes: flag provided but not defined: -loud\nusage: hermes chat …", code: 2},
		{args: "--loud", stderr: "hermes: flag provided but not defined: -loud\nusage: hermes …", code: 2},
		{args: "", stderr: "hermes: cannot start a prompt: standard input is not a terminal\n", code: 1},
		{args: "chat", stderr: "hermes: cannot start a prompt: standard input is not a terminal\n", code: 1},
		{args: "--tui", stderr: "hermes: cannot start the screen: standard input is not a terminal\n", code: 1},
		{args: "-p ../x env", stderr: "hermes: cannot use profile \"../x\": …", code: 1},
	} {
		check(w, r)
	}
	for _, c := range commands() {
		check(w, result{args: c.name + " --help", stdout: "usage: hermes " + c.name + "…"})
	}
}

func TestProfiles(t *testing.T) {
	w := newWorld(t)
	for _, r := range []result{
		{args: "profile list", stdout: "default\n"},
		{args: "profile create coder", stdout: "profile coder: created\n"},
		{args: "profile create a_1-b", stdout: "profile a_1-b: created\n"},
		{args: "profile create coder", stderr: "hermes: cannot create profile \"coder\": it exists already\n", code: 1},
		{args: "profile create default", stderr: "hermes: cannot create profile \"default\": …", code: 1},
		{args: "profile create ../x", stderr: "hermes: cannot create profile \"../x\": a name is made of …", code: 1},
		{args: "profile create Coder", stderr: "hermes: cannot create profile \"Coder\": a name is made of …", code: 1},
		{args: "profile create ''", stderr: "hermes: cannot create profile \"\": a name is made of …", code: 1},
		{args: "profile list", stdout: "default\na_1-b\ncoder\n"},
	} {
		check(w, r)
	}
	if _, err := os.Stat(filepath.Join(w.home, "profiles", "coder", "SOUL.md")); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(w.home, "config.yaml")
	if err := os.WriteFile(path, []byte("# mine\nmodel: small\nnested:\n  model: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, r := range []result{
		{args: "config get model", stdout: "small\n"},
		{args: "config set model big:2", stdout: ""},
		{args: "config set voice.on yes", stdout: ""},
		{args: "config get model", stdout: "big:2\n"},
		{args: "config get mode", stderr: "hermes: cannot get \"mode\": it is not set\n", code: 1},
		{args: "config set a:b c", stderr: "hermes: cannot set \"a:b\": …", code: 1},
		{args: "-p nobody config set a b", stderr: "hermes: cannot set \"a\": …", code: 1},
	} {
		check(w, r)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "# mine\nmodel: big:2\nnested:\n  model: x\nvoice.on: yes\n"
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("config.yaml (-want +got):\n%s", diff)
	}
	if info, _ := os.Stat(path); info.Mode() != 0o640 {
		t.Errorf("mode of config.yaml is %v", info.Mode())
	}
	if left, _ := filepath.Glob(filepath.Join(w.home, ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// Without HERMES_HOME the home is below HOME; without either, only who needs a home minds.
func TestHomeComesFromHOME(t *testing.T) {
	w := newWorld(t)
	cmd := w.command(nil, "config", "set", "a", "b")
	cmd.Env = []string{w.mark, "HOME=" + w.home}
	if code := w.launch(cmd).wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(filepath.Join(w.home, ".hermes", "config.yaml")); err != nil {
		t.Error(err)
	}
	cmd = w.command(nil, "profile", "list")
	cmd.Env = []string{w.mark}
	p := w.launch(cmd)
	if code := p.wait(); code != 1 || p.stderr() != "hermes: cannot list profiles: neither HERMES_HOME nor HOME is set\n" {
		t.Errorf("exit code %d, %q", code, p.stderr())
	}
	cmd = w.command(nil, "exit", "3")
	cmd.Env = []string{w.mark}
	if code := w.launch(cmd).wait(); code != 3 {
		t.Errorf("exit code %d", code)
	}
}

func TestPrompt(t *testing.T) {
	w := newWorld(t)
	p := w.startOnTerminal(24, 80)
	p.says("hermes> ")
	p.types("hello there\n")
	p.says("you said: hello there\r\nhermes> ")
	p.types("size\n")
	p.says("24x80\r\nhermes> ")
	p.resizeTo(t, 50, 132)
	p.types("size\n")
	p.says("50x132\r\nhermes> ")
	p.types("half a li\x03")
	p.says("\r\n^C interrupted\r\nhermes> ")
	p.types("whole\n")
	p.says("you said: whole\r\nhermes> ")
	p.types("exit many\n")
	p.says(`"many" is not an exit code`)
	p.types("exit 7\n")
	if code := p.wait(); code != 7 {
		t.Errorf("exit code %d after exit 7", code)
	}
}

func TestPromptEnds(t *testing.T) {
	for name, end := range map[string]func(p *terminal){
		"exit":   func(p *terminal) { p.types("exit\n") },
		"Ctrl-D": func(p *terminal) { p.types("\x04") },
		"TERM":   func(p *terminal) { p.signal(unix.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newWorld(t).startOnTerminal(24, 80, "chat")
			p.says("hermes> ")
			end(p)
			if code := p.wait(); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

func TestScreen(t *testing.T) {
	for name, end := range map[string]func(p *terminal){
		"q":    func(p *terminal) { p.types("q") },
		"TERM": func(p *terminal) { p.signal(unix.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			other := w.startOnTerminal(24, 80) // a terminal that nobody changes
			p := w.startOnTerminal(24, 80, "--tui")
			p.says(enterScreen + clearScreen + "size 24x80\r\n")
			if raw := p.modes(); raw == other.modes() {
				t.Error("the terminal is not in raw mode")
			}
			p.resizeTo(t, 40, 100)
			p.says("size 40x100\r\n")
			p.types("x\x03")
			p.resizeTo(t, 41, 101)
			p.says("size 41x101\r\n") // so neither x nor Ctrl-C has ended it
			end(p)
			if code := p.wait(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			p.says(leaveScreen)
			if p.modes() != other.modes() {
				t.Error("the terminal's modes are not what they were")
			}
		})
	}
}

// get returns status and body, 0 while nobody listens.
func get(url string) (int, string) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		return 0, ""
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func TestGatewayServesAndDrains(t *testing.T) {
	w, port := newWorld(t), freePort(t)
	begin := time.Now()
	p := w.start([]string{
		"HERMES_GATEWAY_PORT=" + port,
		"HERMES_GATEWAY_READY_AFTER=50ms",
		"HERMES_GATEWAY_DRAIN=200ms",
		"HERMES_GATEWAY_TERM_EXIT=75",
	}, "gateway", "run", "--replace")
	pid := p.cmd.Process.Pid
	p.says(fmt.Sprintf("gateway default: starting (pid %d)\n", pid))
	p.says("gateway default: ready\n")
	if took := time.Since(begin); took < 50*time.Millisecond {
		t.Errorf("ready after %v", took)
	}
	if status, body := get("http://127.0.0.1:" + port + "/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("healthz answers %d %q", status, body)
	}
	if text, _ := os.ReadFile(filepath.Join(w.home, "gateway.pid")); string(text) != fmt.Sprintln(pid) {
		t.Errorf("gateway.pid is %q, want %d", text, pid)
	}
	begin = time.Now()
	p.signal(unix.SIGTERM)
	p.says("gateway default: draining\n")
	if status, _ := get("http://127.0.0.1:" + port + "/healthz"); status == 200 { // 0: it has drained by now
		t.Errorf("healthz answers %d while draining", status)
	}
	if code := p.wait(); code != 75 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(begin); took < 200*time.Millisecond {
		t.Errorf("drained in %v", took)
	}
	p.says("gateway default: draining\ngateway default: drained\n")
	if want := "gateway default: ended with 75: SIGTERM\n"; p.stderr() != want {
		t.Errorf("standard error is %q, want %q", p.stderr(), want)
	}
	if _, err := os.Stat(filepath.Join(w.home, "gateway.pid")); !os.IsNotExist(err) {
		t.Errorf("gateway.pid after a clean end: %v", err)
	}
}

// Each gateway that ends by itself says why, on one line.
func TestGatewayEnds(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	_, port, _ := net.SplitHostPort(address)

	for _, c := range []struct {
		env    string
		code   int
		stderr string
		least  time.Duration
	}{
		{"EXIT=0", 0, "gateway coder: ended with 0: HERMES_GATEWAY_EXIT\n", 0},
		{"EXIT=78", 78, "gateway coder: ended with 78: HERMES_GATEWAY_EXIT\n", 0},
		{"EXIT=3 EXIT_AFTER=40ms", 3, "gateway coder: ended with 3: HERMES_GATEWAY_EXIT_AFTER\n", 40 * time.Millisecond},
		{"EXIT_AFTER=10ms READY_AFTER=1h", 0, "gateway coder: ended with 0: HERMES_GATEWAY_EXIT_AFTER\n", 10 * time.Millisecond},
		{"PORT=" + port, 1, "hermes: cannot listen on " + address + ": address already in use\n", 0},
		{"PORT=http", 1, "hermes: cannot use HERMES_GATEWAY_PORT: \"http\" is not a number from 0 to 65535\n", 0},
		{"DRAIN=2", 1, "hermes: cannot use HERMES_GATEWAY_DRAIN: time: missing unit in duration \"2\"\n", 0},
		{"FLOOD=many", 1, "hermes: cannot use HERMES_GATEWAY_FLOOD: \"many\" is not a size like 512KB or 10MB\n", 0},
	} {
		t.Run(c.env, func(t *testing.T) {
			var env []string
			for _, entry := range strings.Fields(c.env) {
				env = append(env, "HERMES_GATEWAY_"+entry)
			}
			begin := time.Now()
			p := newWorld(t).start(env, "-p", "coder", "gateway", "run") // also: there is no such home
			if code := p.wait(); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if p.stderr() != c.stderr {
				t.Errorf("standard error is %q, want %q", p.stderr(), c.stderr)
			}
			if took := time.Since(begin); took < c.least {
				t.Errorf("ended after %v", took)
			}
		})
	}
}

func TestGatewayConfWins(t *testing.T) {
	w := newWorld(t)
	check(w, result{args: "profile create coder", stdout: "profile coder: created\n"})
	conf := func(text string) *process {
		t.Helper()
		if err := os.WriteFile(filepath.Join(w.home, "profiles", "coder", "gateway.conf"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return w.start([]string{"HERMES_GATEWAY_EXIT=1"}, "-p", "coder", "gateway", "run")
	}
	if code := conf("# for one only\n\nHERMES_GATEWAY_EXIT = 42\n").wait(); code != 42 {
		t.Errorf("exit code %d, want the file's", code)
	}
	p := conf("HERMES_GATEWAY_EXIT=") // takes the environment's away
	p.says("gateway coder: ready\n")
	p.signal(unix.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p = conf("HERMES_GATEWAY_EXITS=1\n")
	if code := p.wait(); code != 1 || p.stderr() != "hermes: cannot use HERMES_GATEWAY_EXITS: gateway.conf has no such key\n" {
		t.Errorf("exit code %d, %q", code, p.stderr())
	}
	p = conf("\nnonsense\n")
	if code := p.wait(); code != 1 || p.stderr() != "hermes: cannot read gateway.conf: line 2 is not KEY=VALUE\n" {
		t.Errorf("exit code %d, %q", code, p.stderr())
	}
}

func TestGatewayIgnoresTerm(t *testing.T) {
	p := newWorld(t).start([]string{"HERMES_GATEWAY_IGNORE_TERM=1"}, "gateway", "run")
	p.says("ready\n")
	if !ignores(p.cmd.Process.Pid, unix.SIGTERM) {
		t.Error("the kernel does not discard TERM")
	}
	p.signal(unix.SIGTERM)
	p.signal(unix.SIGINT)
	if code := p.wait(); code != 0 || !strings.HasSuffix(p.stderr(), "SIGINT\n") {
		t.Errorf("exit code %d, %q", code, p.stderr())
	}
}

func TestGatewayEscapees(t *testing.T) {
	w := newWorld(t)
	p := w.start([]string{"HERMES_GATEWAY_ESCAPE=3"}, "-p", "coder", "gateway", "run")
	p.says("ready\n")
	for i := 1; i <= 3; i++ {
		found := w.processes(fmt.Sprintf("hermes escapee coder %d ", i))
		if len(found) != 1 {
			t.Fatalf("escapee %d is there %d times", i, len(found))
		}
		e := found[0]
		if e.session != e.pid || e.group != e.pid {
			t.Errorf("escapee %d (pid %d) is in session %d, group %d", i, e.pid, e.session, e.group)
		}
		if e.parent != os.Getpid() {
			t.Errorf("escapee %d has parent %d, want the reaper %d", i, e.parent, os.Getpid())
		}
		if !ignores(e.pid, unix.SIGTERM) {
			t.Errorf("escapee %d does not ignore TERM", i)
		}
	}
	if all := w.processes(""); len(all) != 4 {
		t.Errorf("%d processes, want the gateway and three escapees: %v", len(all), all)
	}
	p.signal(unix.SIGTERM)
	p.wait()
	if left := w.processes("hermes escapee coder "); len(left) != 3 {
		t.Errorf("%d escapees after the gateway's end", len(left))
	}
}

func TestGatewayFlood(t *testing.T) {
	p := newWorld(t).start([]string{"HERMES_GATEWAY_FLOOD=1MB"}, "gateway", "run")
	p.says("gateway default: ready\n")
	var lines []string
	for line := range strings.Lines(p.stdout()) {
		if strings.HasPrefix(line, "flood ") {
			lines = append(lines, line)
		}
	}
	if len(lines) != 10_000 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, line := range lines {
		if prefix := fmt.Sprintf("flood default %010d ", i+1); len(line) != 100 || !strings.HasPrefix(line, prefix) {
			t.Fatalf("line %d is %q", i+1, line)
		}
	}
}

// Two gateways of one profile can be told from a restart, also after the first has been killed.
func TestGatewayOfSameProfile(t *testing.T) {
	w := newWorld(t)
	first := w.start(nil, "gateway", "run")
	first.says("ready\n")
	other := fmt.Sprintf("another gateway of this profile is running (pid %d)\n", first.cmd.Process.Pid)
	check(w, result{args: "gateway run", stderr: "hermes: cannot start gateway default: " + other, code: 1})

	second := w.start(nil, "gateway", "run", "--replace")
	second.says("gateway default: " + other)
	second.says("ready\n")
	second.signal(unix.SIGTERM)
	second.wait()
	if text, _ := os.ReadFile(filepath.Join(w.home, "gateway.pid")); string(text) != fmt.Sprintln(first.cmd.Process.Pid) {
		t.Errorf("gateway.pid is %q, want the first one's", text)
	}

	first.signal(unix.SIGKILL)
	first.wait()
	third := w.start(nil, "gateway", "run")
	third.says("ready\n")
	if strings.Contains(third.stdout(), "another") {
		t.Error("a killed gateway still counts")
	}
}

// A witness proves that a gateway was alone, and when it ran: one address, one life in the journal after the other.
func TestGatewayWitness(t *testing.T) {
	w := newWorld(t)
	journal := filepath.Join(w.home, "journal")
	start := func(fence string) *process {
		return w.start([]string{
			"HERMES_GATEWAY_ADDRESS=@" + w.home, "HERMES_GATEWAY_JOURNAL=" + journal, "PINTLE_FENCE=" + fence,
		}, "gateway", "run", "--replace")
	}
	words := func() (all []string) { // FENCE WORD of each line, those that are alike once
		text, _ := os.ReadFile(journal)
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) != 5 {
				t.Fatalf("a line of the journal is %q", line)
			}
			if word := f[1] + " " + f[4]; len(all) == 0 || all[len(all)-1] != word {
				all = append(all, word)
			}
		}
		return all
	}
	beats := func(fence string) {
		t.Helper()
		eventually(t, "a beat of "+fence, func() bool { return slices.Contains(words(), fence+" beat") })
	}

	first := start("1")
	beats("1")
	second := start("2")
	if code := second.wait(); code != 1 || !strings.Contains(second.stderr(), "cannot hold the address @"+w.home) {
		t.Errorf("the second one ended with %d: %s", code, second.stderr())
	}
	first.signal(unix.SIGKILL)
	first.wait()
	third := start("3")
	beats("3")
	third.signal(unix.SIGTERM)
	third.wait()
	var lives []string // beats of the first one may surround what the second one wrote
	for _, word := range words() {
		if word != "1 beat" {
			lives = append(lives, word)
		}
	}
	if want := []string{"1 begin", "2 refused", "3 begin", "3 beat", "3 end"}; !slices.Equal(lives, want) {
		t.Errorf("the journal has %q, want %q", lives, want)
	}
}

func TestDashboard(t *testing.T) {
	w := newWorld(t)
	port := freePort(t)
	args := []string{"dashboard", "--host", "127.0.0.1", "--port", port, "--no-open"}
	begin := time.Now()
	p := w.start([]string{"HERMES_DASHBOARD_READY_AFTER=30ms"}, args...)
	p.says("dashboard: listening on 127.0.0.1:" + port + "\n")
	if took := time.Since(begin); took < 30*time.Millisecond {
		t.Errorf("listening after %v", took)
	}
	if status, body := get("http://127.0.0.1:" + port + "/"); status != 200 || body != page {
		t.Errorf("/ answers %d %q", status, body)
	}
	if status, body := get("http://127.0.0.1:" + port + "/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("/healthz answers %d %q", status, body)
	}
	check(w, result{args: strings.Join(args, " "), code: 1,
		stderr: "hermes: cannot listen on 127.0.0.1:" + port + ": address already in use\n"})
	p.signal(unix.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if code := w.start([]string{"HERMES_DASHBOARD_EXIT=78"}, args...).wait(); code != 78 {
		t.Errorf("exit code %d, want 78", code)
	}
}

func TestTrapExit(t *testing.T) {
	p := newWorld(t).start(nil, "trap-exit", "9")
	p.says("waiting for TERM\n")
	p.signal(unix.SIGTERM)
	if code := p.wait(); code != 9 {
		t.Errorf("exit code %d", code)
	}
}

func TestCrash(t *testing.T) {
	w := newWorld(t)
	for name, want := range map[string]syscall.Signal{
		"SEGV": unix.SIGSEGV, "SIGABRT": unix.SIGABRT, "quit": unix.SIGQUIT, "KILL": unix.SIGKILL,
		"TERM": unix.SIGTERM, "PIPE": unix.SIGPIPE, "10": unix.SIGUSR1, "34": 34,
	} {
		p := w.start(nil, "crash", name)
		p.wait()
		if !p.status.Signaled() || p.status.Signal() != want || p.status.CoreDump() {
			t.Errorf("crash %s: %v, %q", name, p.status, p.stderr())
		}
	}
	check(w, result{args: "crash CHLD", stderr: "hermes: cannot crash by CHLD: the process outlived the signal\n", code: 1})
	check(w, result{args: "crash BANG", stderr: "hermes: unknown signal \"BANG\"\n…", code: 2})
}

func TestEnvironment(t *testing.T) {
	w := newWorld(t)
	p := w.start([]string{"B=2", "A=1", "Z=last"}, "env")
	p.wait()
	want := "A=1\nB=2\nHERMES_HOME=" + w.home + "\n" + w.mark + "\nZ=last\n"
	if diff := cmp.Diff(want, p.stdout()); diff != "" {
		t.Errorf("env (-want +got):\n%s", diff)
	}
}

func TestWhoami(t *testing.T) {
	w := newWorld(t)
	// A child takes over the blocked signals of the thread that starts it, and the ignored ones of the process.
	signal.Ignore(unix.SIGHUP)
	defer signal.Reset(unix.SIGHUP)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	block, before := unix.Sigset_t{}, unix.Sigset_t{}
	block.Val[0] = 1 << (unix.SIGUSR1 - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &block, &before); err != nil {
		t.Fatal(err)
	}
	cmd := w.command(nil, "whoami")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	p := w.launch(cmd)
	ignored, blocked, err := signalMasks() // ours, since the tester may have come with some
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil); err != nil {
		t.Fatal(err)
	}
	p.wait()

	var got identity
	if err := json.Unmarshal([]byte(p.stdout()), &got); err != nil || strings.Count(p.stdout(), "\n") != 1 {
		t.Fatalf("not one line of JSON: %q", p.stdout())
	}
	groups, _ := os.Getgroups()
	if groups == nil {
		groups = []int{}
	}
	pid := cmd.Process.Pid
	want := identity{
		UID: os.Getuid(), GID: os.Getgid(), Groups: groups, CWD: w.home,
		PID: pid, PPID: os.Getpid(), PGID: pid, SID: pid,
		SigIgnored: ignored, SigBlocked: blocked,
	}
	if mask, _ := strconv.ParseUint(blocked, 16, 64); mask&block.Val[0] == 0 || !ignores(os.Getpid(), unix.SIGHUP) {
		t.Fatalf("the test has failed to set its masks: ignored %s, blocked %s", ignored, blocked)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("whoami (-want +got):\n%s", diff)
	}

	tty := w.startOnTerminal(24, 80, "whoami")
	tty.says(`"tty":true`)
}

func TestZombies(t *testing.T) {
	w := newWorld(t)
	p := w.start(nil, "zombies", "4")
	p.says("orphaned 4\n")
	w.reaps(4)
	if !p.running() {
		t.Error("it did not stay")
	}
	p.signal(unix.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, args := range []string{"zombies --exit 2", "zombies 2 --exit"} {
		check(w, result{args: args, stdout: "orphaned 2\n"})
		w.reaps(2)
	}
}
