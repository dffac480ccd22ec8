package reference_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// TestThePatternsOnATerminal: the two of the five patterns that need one, and a shell (section 2a; B13, B19).
func TestThePatternsOnATerminal(t *testing.T) {
	t.Parallel()
	t.Run("no arguments", func(t *testing.T) {
		t.Parallel()
		p := dockertest.Tty(t, dockertest.Options{})
		p.Expect("hermes> ", soon)
		p.Send("hello\r")
		p.Expect("you said: hello", soon)
		p.Send("exit 3\r")
		if code := p.Wait(soon); code != 3 {
			t.Errorf("the exit code is %d, want 3", code)
		}
	})
	t.Run("--tui", func(t *testing.T) {
		t.Parallel()
		p := dockertest.Tty(t, dockertest.Options{Rows: 41, Cols: 123}, "--tui")
		p.Expect("size 41x123", soon)
		p.Resize(50, 140) // is drawn because the program gets WINCH
		p.Expect("size 50x140", soon)
		p.Send("q")
		p.Expect("\x1b[?1049l", soon) // it leaves the alternate screen
		if code := p.Wait(soon); code != 0 {
			t.Errorf("the exit code is %d, want 0", code)
		}
	})
	t.Run("bash", func(t *testing.T) {
		t.Parallel()
		p := dockertest.Tty(t, dockertest.Options{}, "bash")
		if first := p.Expect("$ ", soon); strings.Contains(first, "job control") {
			t.Errorf("bash complains about the terminal: %q", first)
		}
		p.Send("set -o | grep monitor; exit 9\r")
		p.Expect("monitor        \ton", soon) // job control
		if code := p.Wait(soon); code != 9 {
			t.Errorf("the exit code is %d, want 9", code)
		}
	})
}

// TestTheTerminalIsMains: its three streams are a real terminal with the size that the person's has, and every name of
// it can be opened, as hermes (B19).
func TestTheTerminalIsMains(t *testing.T) {
	t.Parallel()
	const program = `
		until [ "$(stty size)" = "41 123" ]; do sleep 0.05; done  # docker sets it a moment after the start
		[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo "terminals: yes"
		echo "$(tput lines) lines, $(tput cols) columns, user $(id -un)"
		for name in /dev/tty /dev/stdout /dev/stderr "$(tty)"; do echo "by name: $name" >"$name"; done
		read -r word </dev/stdin && echo "read $word"
		read -r word </dev/tty && echo "read $word"`
	p := dockertest.Tty(t, dockertest.Options{Rows: 41, Cols: 123}, "bash", "-c", program)
	for _, line := range []string{
		"terminals: yes", "41 lines, 123 columns, user hermes",
		"by name: /dev/tty", "by name: /dev/stdout", "by name: /dev/stderr", "by name: /dev/pts/0",
	} {
		p.Expect(line, soon)
	}
	p.Send("one\r")
	p.Expect("read one", soon)
	p.Send("two\r")
	p.Expect("read two", soon)
	if code := p.Wait(soon); code != 0 {
		t.Errorf("the exit code is %d, want 0", code)
	}
}

// TestCtrlCInterruptsMainAndNoService: main is the terminal's foreground, the services live in other sessions.
func TestCtrlCInterruptsMainAndNoService(t *testing.T) {
	t.Parallel()
	for _, flags := range [][]string{nil, {"--init"}, {"--user", "12345:12345", "--cap-drop", "ALL"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			t.Parallel()
			a := attend(t, dockertest.Options{Flags: flags})
			a.Expect("hermes> ", soon)
			succeeds(t, a.Exec("0", "pintle", "create", "gateway@coder"))
			gateway := func() engine.Status {
				return statuses(t, a.Exec("0", "pintle", "status", "-o", "json"))["gateway@coder"]
			}
			before := gateway()
			for range 3 {
				a.Send("\x03")
				a.Expect("^C interrupted", soon)
			}
			if after := gateway(); after.State != unit.Up || after.PID != before.PID {
				t.Errorf("the gateway was %+v and is %+v", before, after)
			}
			a.Send("exit 3\r")
			if code := a.Wait(soon); code != 3 {
				t.Errorf("the exit code is %d, want 3", code)
			}
		})
	}
}

// TestJobControlInAShell: in bash as main, Ctrl-C ends the program in front and not bash, Ctrl-Z suspends it, and fg
// has it go on.
func TestJobControlInAShell(t *testing.T) {
	t.Parallel()
	p := dockertest.Tty(t, dockertest.Options{}, "bash")
	p.Expect("$ ", soon)

	p.Send(`sh -c 'echo beg""un; exec sleep 1000'` + "\r")
	p.Expect("begun", soon)
	p.Send("\x03")
	p.Expect("$ ", soon)
	p.Send("echo code=$?\r")
	p.Expect("code=130", soon)

	p.Send("hermes\r")
	p.Expect("hermes> ", soon)
	p.Send("\x1a")
	p.Expect("Stopped", soon)
	p.Send("fg; echo co''de=$?\r")
	p.Expect("\rhermes\r\n", soon) // fg says what it brings to the front
	p.Send("again\r")
	p.Expect("you said: again", soon)
	p.Send("exit 4\r")
	p.Expect("code=4", soon)

	p.Send("exit 5\r")
	if code := p.Wait(soon); code != 5 {
		t.Errorf("the exit code is %d, want 5", code)
	}
}

// TestCtrlZAtMainItselfLeavesNobodyStuck: main has no shell above it that could bring it back, so it goes on; and so do
// its children, which the key has suspended together with it.
func TestCtrlZAtMainItselfLeavesNobodyStuck(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"sh", "-c", "hermes; exit $?"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			p := dockertest.Tty(t, dockertest.Options{}, args...)
			p.Expect("hermes> ", soon)
			for _, word := range []string{"first", "second", "third"} {
				p.Send("\x1a")
				p.Send(word + "\r")
				p.Expect("you said: "+word, soon)
			}
			p.Send("exit 3\r")
			if code := p.Wait(soon); code != 3 {
				t.Errorf("the exit code is %d, want 3", code)
			}
		})
	}
}

// TestTheScreenIsMainsAlone: while main has the terminal, pintle writes nothing to it, whatever happens to services.
func TestTheScreenIsMainsAlone(t *testing.T) {
	t.Parallel()
	a := attend(t, dockertest.Options{Flags: []string{"-e", "HERMES_GATEWAY_EXIT=1"}})
	a.Expect("hermes> ", soon)
	if r := a.Exec("hermes", "pintle", "create", "gateway@coder"); r.Code == 0 {
		t.Fatalf("a gateway that dies at once is created: %s", r)
	}
	dockertest.Eventually(t, soon, func() (bool, string) {
		s := statuses(t, a.Exec("0", "pintle", "status", "-o", "json"))["gateway@coder"]
		return s.Run >= 3, fmt.Sprintf("%+v", s)
	}, "the gateway crashes again and again")
	a.Send("exit\r")
	a.Wait(soon)
	if got, want := a.Output(), "hermes> exit\r\n"; got != want {
		t.Errorf("the terminal shows %q, want %q", got, want)
	}
}

// TestTerminalModesAreRestoredInAContainer: the same where pintle was started by a container's shell.
func TestTerminalModesAreRestoredInAContainer(t *testing.T) {
	t.Parallel()
	p := dockertest.Tty(t, dockertest.Options{Flags: []string{"--entrypoint", "sh"}}, "-c", `
		echo "before $(stty -g)."; /init -- sh -c 'stty raw -echo; kill -9 $$'; echo "ended with $?"
		echo "after $(stty -g)."; read -r line; echo "got $line"`)
	p.Expect("before ", soon)
	before := p.Expect(".", soon)
	p.Expect("ended with 137", soon)
	p.Expect("after ", soon)
	if after := p.Expect(".", soon); after != before {
		t.Errorf("the terminal's modes were %s and are %s", before, after)
	}
	p.Send("hello\r")
	p.Expect("got hello", soon)
}

// TestTerminalModesAreRestored: whatever main does to the terminal and however it ends, whoever comes back to it finds
// it as it was. This is outside of any container, with a person's shell above pintle.
func TestTerminalModesAreRestored(t *testing.T) {
	t.Parallel()
	program := buildPintle(t)
	for _, main := range []struct {
		name, script string
		code         int
	}{
		{"main exits", "stty raw -echo; exit 3", 3},
		{"main is killed", "stty raw -echo; kill -9 $$", 128 + 9},
		{"pintle is stopped", "stty raw -echo; kill -TERM $PPID; exec sleep 1000", 128 + 15},
		{"main cannot be executed", "stty raw -echo; exec /nosuch", 127},
	} {
		t.Run(main.name, func(t *testing.T) {
			t.Parallel()
			shell := exec.Command("sh", "-c", `read -r go; "$1" init -- sh -c "$2"; echo "ended with $?"; read -r line; echo "got $line"`,
				"sh", program, main.script)
			shell.Env = append(os.Environ(), "PINTLE_RUNTIME_DIR="+t.TempDir())
			p := dockertest.OnTerminal(t, dockertest.Options{}, shell)
			before := modes(t, p)
			p.Send("go\r")
			p.Expect(fmt.Sprintf("ended with %d", main.code), soon)
			if after := modes(t, p); after != before {
				t.Errorf("the terminal's modes were %+v and are %+v", before, after)
			}
			p.Send("hello\r") // the terminal is the shell's again: it would be stopped otherwise
			p.Expect("got hello", soon)
		})
	}
}

// TestHangUp: when the window is closed, main gets HUP, its exit code is pintle's, and nothing is left of the services.
func TestHangUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "pintle.yaml")
	yaml := fmt.Sprintf("services: {idle: {command: [sh, -c, 'echo $$ >%s/service.pid; exec sleep 1000']}}\n", dir)
	if err := os.WriteFile(config, []byte(yaml), 0o644); err != nil {
		t.Fatal(err)
	}
	pintle := exec.Command(buildPintle(t), "init", "--config", config, "--", "perl", "-e",
		`$| = 1; $SIG{HUP} = sub { exit 3 }; print "listening\n"; select undef, undef, undef, 0.05 while 1`)
	pintle.Env = append(os.Environ(), "PINTLE_RUNTIME_DIR="+filepath.Join(dir, "run"))
	p := dockertest.OnTerminal(t, dockertest.Options{}, pintle)
	p.Expect("listening", soon)
	var service string
	dockertest.Eventually(t, soon, func() (bool, string) {
		pid, err := os.ReadFile(filepath.Join(dir, "service.pid"))
		service = strings.TrimSpace(string(pid))
		return service != "", fmt.Sprint(err)
	}, "the service runs")
	p.Close()
	if code := p.Wait(soon); code != 3 {
		t.Errorf("pintle's exit code is %d, want main's 3", code)
	}
	if _, err := os.Stat("/proc/" + service); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the service is left: %v", err)
	}
}

// buildPintle makes the program for this machine.
func buildPintle(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "pintle")
	if out, err := exec.Command("go", "build", "-o", program, "pintle/cmd/pintle").CombinedOutput(); err != nil {
		t.Fatalf("cannot build pintle: %v\n%s", err, out)
	}
	return program
}

// modes are a terminal's.
func modes(t *testing.T, p *dockertest.Terminal) unix.Termios {
	t.Helper()
	modes, err := unix.IoctlGetTermios(int(p.File().Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *modes
}
