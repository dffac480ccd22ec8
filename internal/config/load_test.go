package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/trust"
)

// Which files are read, and in which order.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	main := write(t, dir, "etc/pintle.yaml", "main: {command: [a]}\n")
	last := write(t, dir, "etc/conf.d/20-b.yaml", "services: {b: {command: [b]}}\n")
	first := write(t, dir, "etc/conf.d/10-a.yaml", "services: {a: {command: [a]}}\n")
	for _, ignored := range []string{"README", ".hidden.yaml", "c.yaml.bak", "c.yml"} {
		write(t, dir, "etc/conf.d/"+ignored, "no: configuration\n")
	}
	other := write(t, dir, "other.yaml", "stop_timeout: 3s\n")
	confd := filepath.Dir(first)
	tests := []struct {
		name      string
		options   Options
		file, dir string
		want      []string
	}{
		{"defaults", Options{}, main, confd, []string{main, first, last}},
		{"only a file", Options{}, main, dir + "/none", []string{main}},
		{"only a directory", Options{}, dir + "/none", confd, []string{first, last}},
		{"nothing", Options{}, dir + "/none", dir + "/none.d", nil},
		{"PINTLE_CONFIG", Options{Environ: []string{"PINTLE_CONFIG=" + other}}, main, confd, []string{other}},
		{"an empty PINTLE_CONFIG", Options{Environ: []string{"PINTLE_CONFIG="}}, main, confd, []string{main, first, last}},
		{"--config", Options{Files: []string{other, main}, Environ: []string{"PINTLE_CONFIG=/none"}}, main, confd, []string{other, main}},
	}
	for _, test := range tests {
		test.options.UID = os.Getuid()
		c, err := load(test.options, test.file, test.dir)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(test.want, c.Files); diff != "" {
			t.Errorf("%s, want -, got +:\n%s", test.name, diff)
		}
	}
}

// What cannot be read or trusted is an error at the start of the file, and the other files' errors come too.
func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := write(t, dir, "good.yaml", "main: {}\n")
	bad := write(t, dir, "bad.yaml", "\nmain: 1\n")
	open := write(t, dir, "open.yaml", "main: {}\n")
	huge := write(t, dir, "huge.yaml", strings.Repeat("# more\n", trust.MaxFile/7+1))
	if err := os.Chmod(open, 0o666); err != nil {
		t.Fatal(err)
	}
	openDir := filepath.Dir(write(t, dir, "open.d/a.yaml", "main: {}\n"))
	if err := os.Chmod(openDir, 0o777); err != nil {
		t.Fatal(err)
	}
	dangling := filepath.Join(dir, "dangling.yaml")
	if err := os.Symlink("nowhere", dangling); err != nil {
		t.Fatal(err)
	}
	none := dir + "/none"
	tests := []struct {
		name      string
		files     []string
		file, dir string
		want      []string // beginnings of lines
	}{
		{"missing", []string{none}, good, none, []string{none + ":1:1: cannot open " + none + ": no such file or directory"}},
		{"a directory", []string{dir}, good, none, []string{dir + ":1:1: cannot read " + dir + ": it is not a regular file"}},
		{"writable by others", []string{open}, good, none, []string{open + ":1:1: cannot trust " + open}},
		{"huge", []string{huge}, good, none, []string{huge + ":1:1: cannot read " + huge}},
		{"in a directory that others may write", []string{openDir + "/a.yaml"}, good, none, []string{openDir + "/a.yaml:1:1: cannot trust "}},
		{"several", []string{open, bad, none}, good, none, []string{open + ":1:1: cannot trust", bad + ":2:7: cannot use main", none + ":1:1: cannot open"}},
		{"a default that is a symlink to nowhere", nil, dangling, none, []string{dangling + ":1:1: cannot open"}},
		{"a conf.d that others may write", nil, bad, openDir, []string{bad + ":2:7: ", openDir + ":1:1: cannot trust"}},
	}
	for _, test := range tests {
		_, err := load(Options{Files: test.files, UID: os.Getuid()}, test.file, test.dir)
		lines := strings.Split(fmt.Sprint(err), "\n")
		if len(lines) != len(test.want) {
			t.Errorf("%s: %v; want %q", test.name, err, test.want)
			continue
		}
		for i, want := range test.want {
			if !strings.HasPrefix(lines[i], want) {
				t.Errorf("%s: got %q, want %q…", test.name, lines[i], want)
			}
		}
	}
}

// Whatever a file holds: no panic, every error has a place in it and a cause, and
// what loads can be shown and loaded again.
func FuzzLoad(f *testing.F) {
	f.Add(reference(f))
	f.Add(everything)
	for _, seed := range []string{
		service("enabled: ${A:-no}"), template("overrides: {a: {command: [x]}}"), "\ufeffa: |\r\n  x\r\n", "- - - -", "? [a]: b", "a: &x *x",
		"a: {b: [}", "'a': \"\\x41\"", "x-a: !!binary x\n", "%YAML 1.2\n---\n...\n", "services: {main: }", "\t", "a:\n- b:\n  - c", "a: >\n\n b\n#",
		family("main: {depends_on: [db, ever]}"), template("depends_on: [gw@%i]"), template("depends_on: [\"gw@${A}\"]"),
		service("depends_on: {web: {condition: done, restart_with: 1, required: 0}}"), service("exit_codes: {0-255: fail, 9: done, KILL: done}"),
		service("readiness: {exec: [a], fd: 3}"), service("readiness: {log: \"a(b)*$$\"}"), service("liveness: {http: \"http://%i/\"}"),
		service("stop_signal: [INT, {signal: 40, after: 1s}]"), service("capabilities: []"), service("ulimits: {core: -1, nproc: {soft: 1, hard: 2}}"),
		service("env_file: [/a, {path: /b, required: no}]"), service("backoff: {max: 1ms, jitter: 1e-3}"), oneshot("down: [a]\n    retries: 3"),
		"governor: {starts: unlimited, storm: off}", "governor: {storm: {share: 0x1p-1, least: 3}}",
		logging, service("log: {directory: /l, rotate: {age: 1d1h1ns, total: 1GiB}}"), template("log: {directory: /%i}\n    overrides: {a: {log: {directory: \"\"}}}"),
		service("log: {console: {wait: 1}}") + "log: {rotate: {keep: unlimited, total: 4KB, size: 4KB}, secrets: [\"[^a]\"], socket: /}",
	} {
		f.Add(seed)
	}
	env := []string{"HERMES_HOME=/opt/data", "A=on"}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := fromText(env, text)
		if err == nil {
			checkShown(t, c)
			return
		}
		lines := strings.Count(text, "\n") + 1
		errs, ok := err.(Errors)
		if !ok || len(errs) == 0 || len(errs) > maxErrors {
			t.Fatalf("the error is %T: %v", err, err)
		}
		for _, e := range errs {
			if e.File != "a.yaml" || e.Line < 1 || e.Line > lines || e.Column < 1 || !strings.HasPrefix(e.Message, "cannot ") || strings.Contains(e.Message, "\n") {
				t.Errorf("error is %+v", e)
			}
		}
	})
}
