package process

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/process/step"
	"pintle/internal/unit"
)

// TestCannotExecute: whatever keeps a command from being executed is an
// *ExecError with a shell's code and a sentence that names the cause; no hook is
// told, and neither a process nor a descriptor is left.
func TestCannotExecute(t *testing.T) {
	alone(t, surroundings{PID1: true}, func(t *testing.T) {
		w := newWorld(t)
		var all []*forker
		for range maxForkers { // so that none begins, or is new, below
			all = append(all, w.forkers.engage())
		}
		for _, one := range all {
			one.uncopy()
			w.forkers.release(one)
		}
		dir := openDir(t)
		file := func(name, content string, mode os.FileMode) string {
			path := filepath.Join(dir, name)
			must(t, os.MkdirAll(filepath.Dir(path), 0o755))
			must(t, os.WriteFile(path, []byte(content), mode))
			must(t, os.Chmod(path, mode))
			return path
		}
		secret := filepath.Join(dir, "secret")
		inSecret := file("secret/program", "#!/bin/sh\n", 0o755)
		must(t, os.Chmod(secret, 0o700))
		mounted := filepath.Join(dir, "mounted")
		must(t, os.Mkdir(mounted, 0o755))
		must(t, unix.Mount("tmpfs", mounted, "tmpfs", unix.MS_NOEXEC, "mode=755"))
		t.Cleanup(func() { must(t, unix.Unmount(mounted, 0)) })
		long := strings.Repeat("x", 1<<20)
		sh := "/bin/sh"
		for _, c := range []struct {
			name    string
			command Command
			code    int
			says    string
			user    string // what it says for the other user, where that is something else
		}{
			{name: "missing", command: Command{Path: dir + "/none"}, code: 127, says: "cannot execute " + dir + "/none: there is no such file"},
			{name: "interpreter", command: Command{Path: file("script", "#!/none\n", 0o755)}, code: 127, says: "its interpreter"},
			{name: "directory", command: Command{Path: dir}, code: 126, says: "it is a directory"},
			{name: "mode", command: Command{Path: file("plain", "#!/bin/sh\n", 0o644)}, code: 126, says: "its mode 0644 does not allow it"},
			{name: "fifo", command: Command{Path: fifo(t, dir)}, code: 126, says: "it is not a regular file"},
			{name: "noexec", command: Command{Path: file("mounted/x", "#!/bin/sh\n", 0o755)}, code: 126, says: "its file system is mounted noexec"},
			{name: "format", command: Command{Path: file("data", "\x01\x02", 0o755)}, code: 126, says: "neither a program for this machine nor a script"},
			{name: "vanished", command: Command{Path: sh, Dir: dir + "/none"}, code: 126, says: "its working directory is not usable: stat " + dir + "/none: no such file"},
			{name: "file as directory", command: Command{Path: sh, Dir: sh}, code: 126, says: "its working directory " + sh + " is not a directory"},
			{name: "long", command: Command{Path: sh, Args: []string{"sh", long, long, long, long}}, code: 126, says: "arguments and environment together are too long"},
			{name: "zero in argument", command: Command{Path: sh, Args: []string{"sh", "a\x00b"}}, code: 126, says: "a zero byte, which ends a string, is in its arguments"},
			{name: "zero in environment", command: Command{Path: sh, Env: []string{"a=secret\x00"}}, code: 126, says: "is in its environment"}, // whose values are not said
			{name: "zero in path", command: Command{Path: "/bin/\x00"}, code: 126, says: "is in its path"},
			{name: "zero in directory", command: Command{Path: sh, Dir: "/\x00"}, code: 126, says: "is in its working directory"},
			{name: "user's mode", command: Command{Path: file("roots", "#!/bin/sh\n", 0o700)}, user: "its mode 0700 does not allow it (user victim, uid 10001)"},
			{name: "user's way", command: Command{Path: inSecret}, user: "permission denied for a directory on the way to it (user victim"},
			{name: "user's directory", command: Command{Path: sh, Dir: secret}, user: "its working directory is not usable"},
		} {
			for who, base := range ways() {
				id := base.Identity
				if c.says == "" && id == nil {
					continue // root may
				}
				code, says := c.code, c.says
				if c.user != "" && id != nil {
					code, says = 126, c.user
				}
				before := openDescriptors(t)
				command := c.command
				command.Identity, command.Attributes = id, base.Attributes
				command.Files = [3]*os.File{nil, os.Stderr, os.Stderr}
				if command.Args == nil {
					command.Args = []string{c.name}
				}
				l, err := w.try(command)
				var failure *ExecError
				if !errors.As(err, &failure) || failure.Code != code || !strings.Contains(failure.Error(), says) || strings.Contains(failure.Error(), "\n") {
					t.Errorf("%s as %s: %v", c.name, who, err)
				}
				if l.Run != nil || l.happened() != "" {
					t.Errorf("%s as %s: the hooks were told: %s", c.name, who, l.happened())
				}
				if !childless() {
					t.Errorf("%s as %s left a process", c.name, who)
				}
				if after := openDescriptors(t); !slices.Equal(before, after) {
					t.Errorf("%s as %s: descriptors were %v, are %v", c.name, who, before, after)
				}
			}
		}
		if _, err := w.Start(Command{Path: sh}, Hooks{}); err == nil {
			t.Error("a command without even a name was started")
		}
	})
}

// openDir is a directory that every user can reach.
func openDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		must(t, os.Chmod(d, 0o755))
	}
	return dir
}

func fifo(t testing.TB, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "fifo")
	must(t, unix.Mkfifo(path, 0o755))
	return path
}

// openDescriptors lists what this process has open.
func openDescriptors(t testing.TB) []string {
	t.Helper()
	var list []string
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			list = append(list, e.Name()+" "+to)
		}
	}
	return list
}

// TestWhatACommandSays: a child has the arguments, the environment with the mark first, the directory, and a session of its own.
func TestWhatACommandSays(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		w := newWorld(t)
		c := as("report")
		c.Env, c.Dir, c.Unit, c.Number = []string{"B=2", "A=", "C=x y"}, "/usr", "web@one", 7
		l := w.start(c)
		f := l.report()
		if want := append([]string{markName + "=" + l.mark}, c.Env...); !slices.Equal(f.Env, want) {
			t.Errorf("environment %q, want %q", f.Env, want)
		}
		if !strings.HasSuffix(l.mark, "/web@one/7") || f.Dir != "/usr" || !slices.Equal(f.Args, c.Args) || f.Session != l.Pid() || f.Group != l.Pid() {
			t.Errorf("%s: %+v", l.mark, f)
		}
		l.ends()
	})
}

// report is what the run's process finds about itself.
func (l *life) report() (f found) {
	l.t.Helper()
	must(l.t, json.Unmarshal([]byte(l.line()), &f))
	return f
}

// TestStepWithoutAnybody: an exec step that nobody listens to says on standard error why it failed.
func TestStepWithoutAnybody(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		w := newWorld(t)
		c := Command{Path: "/none", Args: []string{"none"}}
		args, err := c.stepArgs()
		must(t, err)
		r, out, err := Pipe()
		must(t, err)
		defer r.Close()
		l := w.start(Command{Path: "/proc/self/exe", Args: args, Files: [3]*os.File{nil, os.Stderr, out}})
		out.Close()
		if e := l.ends(); e != (unit.Exit{Code: 127}) {
			t.Errorf("it %v", e)
		}
		text := make([]byte, 1000)
		n, _ := r.Read(text)
		if got, want := string(text[:n]), "pintle: cannot execute /none: there is no such file\n"; got != want {
			t.Errorf("it said %q", got)
		}
		for _, args := range [][]string{nil, {"x"}, {execStepName}, {execStepName, "{}", "", "/bin/sh"}, {"sh", "{}", "", "/bin/sh", "sh"}} {
			if IsExecStep(args) {
				t.Errorf("%q was taken for the exec step", args)
			}
		}
		for _, args := range [][]string{{execStepName, "nonsense", "", "/bin/sh", "sh"}, {step.Name, "x", "0", "", "root", "3", "0", "", "/bin/sh", "sh"}} {
			if _, _, failure := readTask(args); failure == nil || failure.Code != 126 {
				t.Errorf("%q is read, with %v", args, failure)
			}
		}
	})
}

// TestKilledInTheStep: a leader that is killed in the exec step has started and ended, in that order.
func TestKilledInTheStep(t *testing.T) {
	alone(t, surroundings{PID1: true}, func(t *testing.T) {
		w := newWorld(t)
		for range 50 {
			began := make(chan bool)
			go func() {
				for end := false; !end; {
					for pid, p := range scan() {
						if p.ppid == os.Getpid() {
							_ = unix.Kill(pid, unix.SIGKILL)
							end = true
						}
					}
				}
				close(began)
			}()
			l, err := w.try(victim.does("sleep"))
			if err != nil {
				t.Fatalf("%v", err)
			}
			<-began
			if e := l.ends(); e.Signal != unit.SIGKILL {
				t.Errorf("it %v", e)
			}
			if h := l.happened(); h != "started exited" {
				t.Error(h)
			}
		}
	})
}
