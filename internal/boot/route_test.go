package boot

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pintle/internal/account"
	"pintle/internal/process"
)

// TestRouting: what the container's arguments mean, rule by rule (DESIGN.md,
// "The main program"), with everything that a shell would have taken for
// something else (hermes-behaviours.md, section 2c).
func TestRouting(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	program := func(name string, mode os.FileMode) string {
		path := filepath.Join(bin, name)
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ls := program("ls", 0o755)
	program("mcp", 0o755) // also a subcommand
	plain := program("plain", 0o644)
	if err := os.Mkdir(filepath.Join(bin, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	self := process.Self(account.Database{})
	r := routing{
		command: []string{"agent", "--quiet"}, subcommands: []string{"chat", "mcp"},
		path: bin, dir: bin, identity: &self,
	}
	for _, c := range []struct {
		args []string
		want []string
		code int // of the *process.ExecError, 0 for none
	}{
		{nil, []string{"agent", "--quiet"}, 0},
		{[]string{"chat", "-q", "hi"}, []string{"agent", "--quiet", "chat", "-q", "hi"}, 0},
		{[]string{"--tui"}, []string{"agent", "--quiet", "--tui"}, 0},
		{[]string{"-p", "coder", "gateway", "run"}, []string{"agent", "--quiet", "-p", "coder", "gateway", "run"}, 0},
		{[]string{"-"}, []string{"agent", "--quiet", "-"}, 0},
		{[]string{"mcp"}, []string{"agent", "--quiet", "mcp"}, 0}, // a subcommand before a program of its name
		{[]string{"ls", "-l"}, []string{"ls", "-l"}, 0},
		{[]string{"nosuch"}, []string{"agent", "--quiet", "nosuch"}, 0},
		{[]string{"plain"}, []string{"agent", "--quiet", "plain"}, 0}, // not executable, so no program
		{[]string{"folder"}, []string{"agent", "--quiet", "folder"}, 0},
		{[]string{""}, []string{"agent", "--quiet", ""}, 0},
		{[]string{"cd"}, []string{"agent", "--quiet", "cd"}, 0},
		{[]string{"exit", "3"}, []string{"agent", "--quiet", "exit", "3"}, 0},
		{[]string{"--", "ls"}, []string{"ls"}, 0},
		{[]string{"--", "mcp"}, []string{"mcp"}, 0},
		{[]string{"--", "nosuch"}, nil, 127},
		{[]string{"--", "plain"}, nil, 126},
		{[]string{ls}, []string{ls}, 0},
		{[]string{"./ls"}, []string{"./ls"}, 0},
		{[]string{plain}, nil, 126},
		{[]string{"./nosuch"}, nil, 127},
		{[]string{bin + "/folder"}, nil, 126},
	} {
		got, err := r.route(c.args)
		checkRoute(t, c.args, got, err, c.want, c.code)
	}

	bare := routing{path: bin, dir: bin, identity: &self} // an image without main.command
	got, err := bare.route([]string{"ls"})
	checkRoute(t, []string{"ls"}, got, err, []string{"ls"}, 0)
	got, err = bare.route([]string{"nosuch"})
	checkRoute(t, []string{"nosuch"}, got, err, nil, 127)
	if _, err := bare.route(nil); !errors.Is(err, errNoMain) {
		t.Errorf("route without a command: %v", err)
	}
	for _, r := range []routing{bare, r} {
		if _, err := r.route([]string{"--"}); !errors.Is(err, errNoProgram) {
			t.Errorf("route of -- alone, with main.command %q: %v", r.command, err)
		}
	}
}

func checkRoute(t *testing.T, args, got []string, err error, want []string, code int) {
	t.Helper()
	gotCode := 0
	if e, ok := errors.AsType[*process.ExecError](err); ok {
		gotCode = e.Code
	} else if err != nil {
		t.Errorf("route(%q): %v", args, err)
	}
	if gotCode != code || code == 0 && !slices.Equal(got, want) {
		t.Errorf("route(%q) = %q, code %d; want %q, code %d", args, got, gotCode, want, code)
	}
}

func TestParseArgs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args   []string
		config string
		rest   []string
		fails  bool
	}{
		{nil, "", nil, false},
		{[]string{"sleep", "1"}, "", []string{"sleep", "1"}, false},
		{[]string{"--tui"}, "", []string{"--tui"}, false},
		{[]string{"--", "--tui"}, "", []string{"--tui"}, false},
		{[]string{"--", "--", "ls"}, "", []string{"--", "ls"}, false},
		{[]string{"--config", "f", "ls"}, "f", []string{"ls"}, false},
		{[]string{"--config=f", "--", "--config", "g"}, "f", []string{"--config", "g"}, false},
		{[]string{"--config"}, "", nil, true},
	} {
		config, rest, err := ParseArgs(c.args)
		if config != c.config || !slices.Equal(rest, c.rest) || (err != nil) != c.fails {
			t.Errorf("ParseArgs(%q) = %q, %q, %v", c.args, config, rest, err)
		}
	}
}
