package boot

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// This file keeps the bugs of a system that was run on another supervisor from
// coming back: each test has the number and the story of one (docs/bug-classes.md).

// bots is a configuration with a template, whose instances are down until somebody starts them, and remembered.
func bots(dir, command string) string {
	return `
main: {command: ` + self("sleep") + `}
state_directory: ` + dir + `/state
stop_timeout: 1h
services:
  web: {command: ` + self("sleep") + `}
templates:
  bot:
    command: ` + command + `
    stop_grace_period: 1h
    instances: {always: [a, b], initial: down}
`
}

// TestU28: the end of a container was recorded as if an operator had stopped its
// bots, and they stayed dark. What somebody wanted up is up again, and what
// somebody has stopped is not.
func TestU28(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	yaml := bots(dir, self("sleep"))
	p := start(t, yaml)
	client := p.client(t)
	for verb, name := range map[string]unit.Name{"start": "bot@a", "stop": "web"} {
		do := map[string]func() (engine.Status, error){
			"start": func() (engine.Status, error) { return client.Start(t.Context(), name) },
			"stop":  func() (engine.Status, error) { return client.Stop(t.Context(), name) },
		}[verb]
		if _, err := do(); err != nil {
			t.Fatal(err)
		}
	}
	p.untilUnit(t, "bot@a", is(unit.Up))
	p.untilUnit(t, "web", is(unit.Down))
	p.term(t)
	p.code(t)

	p = start(t, yaml)
	if s := p.untilUnit(t, "bot@a", is(unit.Up)); s.Desired != "up" || s.Intent.Actor.UID != uint32(os.Geteuid()) {
		t.Errorf("what was started is %+v", s)
	}
	for name, generation := range map[unit.Name]uint64{"web": 1, "bot@b": 0} {
		if s := p.untilUnit(t, name, is(unit.Down)); s.Desired != "down" || s.Run != 0 || s.Intent.Generation != generation {
			t.Errorf("what is not wanted up is %+v", s)
		}
	}
	p.term(t)
	p.code(t)
}

// TestU29: a bot that was killed while it was draining was down for ever. That it
// is on its way down with the container is nobody's wish for it to be down.
func TestU29(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	yaml := bots(dir, shell("trap 'echo $$ > "+dir+"/draining' TERM; echo on > "+dir+"/on; while :; do sleep 0.01; done"))
	p := start(t, yaml)
	if _, err := p.client(t).Start(t.Context(), "bot@a"); err != nil {
		t.Fatal(err)
	}
	p.line(t, dir+"/on")
	p.term(t)
	pid, err := strconv.Atoi(p.line(t, dir+"/draining"))
	if err != nil {
		t.Fatal(err)
	}
	p.untilUnit(t, "web", is(unit.Down)) // the others have ended, and only it is left
	p.untilUnit(t, "main", is(unit.Down))
	_ = p.Process.Kill() // as a container's end comes, with all that is in it
	_ = unix.Kill(pid, unix.SIGKILL)
	p.code(t)

	p = start(t, yaml)
	if s := p.untilUnit(t, "bot@a", is(unit.Up)); s.Desired != "up" || s.Run != 1 {
		t.Errorf("after that it is %+v", s)
	}
	_ = unix.Kill(p.untilUnit(t, "bot@a", is(unit.Up)).PID, unix.SIGKILL) // it would not end
	if err := os.Remove(dir + "/draining"); err != nil {
		t.Fatal(err)
	}
	p.term(t)
	p.term(t)
	p.code(t)
}

// TestU38: a stop was recorded and the child went on; a removal left a supervisor
// behind. Here both are over when nothing is left, and not before.
func TestU38(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, strings.Replace(bots(dir, shell("trap '' TERM; echo $$ > "+dir+"/$PINTLE_INSTANCE; while :; do sleep 0.01; done")), "1h\n    inst", "200ms\n    inst", 1))
	client := p.client(t)
	if _, _, err := client.Create(t.Context(), engine.CreateRequest{Name: "bot@c"}); err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(p.line(t, dir+"/c"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := client.Remove(t.Context(), "bot@c")
	if err != nil || s.Gone || s.State != unit.Stopping {
		t.Errorf("the removal answered %+v, %v", s, err)
	}
	p.until(t, "the removal", func() bool {
		_, err := client.Get(t.Context(), "bot@c")
		return engine.KindOf(err) == engine.NotFound
	})
	if err := unix.Kill(pid, 0); err != unix.ESRCH {
		t.Errorf("it is removed, and process %d is left (%v)", pid, err)
	}
	p.term(t)
	p.code(t)
}

// TestU50: a restart that was asked for from inside the unit died with it, half
// done. It is pintle that carries it out, whoever asked.
func TestU50(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, "main: {command: "+self("sleep")+"}\nservices:\n  web: {command: "+self("restart-me", dir+"/asked")+"}\n")
	s := p.untilUnit(t, "web", func(s engine.Status) bool { return s.Run == 2 && s.State == unit.Up })
	if s.Desired != "up" || s.Reason != unit.Asked || !s.Last.Asked || s.Last.Killed || s.Failures != 0 || int(s.Intent.Actor.PID) != s.Last.PID {
		t.Errorf("it is %+v, after %+v", s, s.Last)
	}
	p.term(t)
	p.code(t)
}

// TestU53: without a "sleep" on the PATH the container died. Pintle executes
// nothing but what it was told to: with an empty PATH it supervises all the same.
func TestU53(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startIn(t, []string{"PATH="}, withoutHelpers(dir+"/go"))
	supervises(t, p, dir+"/go")
}

// TestU53AsPID1InAnEmptyRoot: and so it does where there is no other program at all.
func TestU53AsPID1InAnEmptyRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can make a root directory")
	}
	dir := t.TempDir()
	for _, sub := range []string{"proc", "dev", "run", "etc"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	touch(t, dir+"/dev/null")
	for _, file := range neededFiles(t) {
		if err := copyFile(dir+file, file); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(dir+"/etc/pintle.yaml", []byte(withoutHelpers("/go")), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &pintle{Cmd: exec.Command(os.Args[0], roleName, "enter", dir, os.Args[0])}
	p.Env = []string{"BOOT_TEST_CONFIG=/etc/pintle.yaml", "PINTLE_RUNTIME_DIR=/run"}
	p.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}
	p.Stderr = &p.stderr
	if err := p.Start(); err != nil {
		t.Skip("no namespaces can be made here: ", err)
	}
	t.Cleanup(func() {
		if p.ProcessState == nil {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
	})
	p.Env = []string{"PINTLE_RUNTIME_DIR=" + dir + "/run"} // as it is seen from here
	supervises(t, p, dir+"/go")
}

// withoutHelpers is a configuration that needs no program but this one.
func withoutHelpers(file string) string {
	return "main: {command: " + self("until", file, "5") + "}\nservices:\n  web: {command: " + self("sleep") + "}\n"
}

// supervises holds a pintle with that configuration to its work.
func supervises(t *testing.T, p *pintle, file string) {
	t.Helper()
	p.untilUnit(t, "web", is(unit.Up))
	if _, err := p.client(t).Signal(t.Context(), "web", unit.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.untilUnit(t, "web", func(s engine.Status) bool { return s.Run == 2 && s.State == unit.Up })
	p.untilUnit(t, "main", is(unit.Up))
	touch(t, file)
	if code := p.code(t); code != 5 {
		t.Errorf("code %d\n%s", code, &p.stderr)
	}
}

// neededFiles are those that this process was made of: the binary, and where it is not static what it was linked with.
func neededFiles(t *testing.T) []string {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	files := []string{os.Args[0]}
	for line := range strings.Lines(string(maps)) {
		fields := strings.Fields(line)
		if len(fields) == 6 && strings.HasPrefix(fields[5], "/") && !slices.Contains(files, fields[5]) {
			files = append(files, fields[5])
		}
	}
	// What asks for the loader may know it by another name.
	loaders, _ := filepath.Glob("/lib*/ld-linux*")
	return append(files, loaders...)
}

func copyFile(to, from string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// TestU54: the guard against the crash loop of an auxiliary shut the container
// down, thousands of times. Whatever becomes of a unit, the container goes on,
// unless its declaration says otherwise (TestFailureStopsTheContainer).
func TestU54(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, `
main: {command: `+self("until", dir+"/go", "6")+`}
services:
  loops: {command: [sh, -c, exit 1], backoff: {initial: 5ms, max: 10ms}}
  failed: {command: [sh, -c, exit 1], backoff: {initial: 5ms, max: 10ms}, give_up: {after: 3}}
`)
	p.untilUnit(t, "failed", func(s engine.Status) bool { return s.State == unit.Failed && s.Reason == unit.GaveUp })
	p.untilUnit(t, "loops", func(s engine.Status) bool { return s.Failures >= 10 })
	p.untilUnit(t, "main", is(unit.Up))
	info, err := p.client(t).Info(t.Context())
	if err != nil || len(info.Conditions) < 2 {
		t.Errorf("the conditions are %q (%v)", info.Conditions, err)
	}
	touch(t, dir+"/go")
	if code := p.code(t); code != 6 {
		t.Errorf("code %d\n%s", code, &p.stderr)
	}
}

// TestU7: something that was left lying about from an earlier life stopped the start of everything. What a
// life that was cut off leaves in any of pintle's places, and what lies among the directories of instances, is in nobody's way.
func TestU7(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	yaml := strings.Replace(bots(dir, self("sleep")), "always: [a, b],", "always: [a, b], discover: {directory: "+dir+"/profiles, marker: SOUL.md},", 1)
	run := []string{"PINTLE_RUNTIME_DIR=" + dir + "/run"}
	p := startIn(t, run, yaml)
	if _, err := p.client(t).Start(t.Context(), "bot@a"); err != nil {
		t.Fatal(err)
	}
	p.untilUnit(t, "bot@a", is(unit.Up))
	p.term(t)
	p.code(t)

	for _, name := range []string{
		"run/runs/web.1.stop/x", "run/runs/bot@a.1.notify/x", "state/intents/.new-bot@a.json/x", "state/runs/.new-x/x", "state/lives/.new-x/x",
		"profiles/.coder.tmp", "profiles/coder.tmp",
	} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"run/runs/web.1.stop~", "run/pintle.sock.new", "state/intents/.new-1", "state/aside/.new-1", "profiles/.coder.tmp/SOUL.md", "profiles/coder.tmp/SOUL.md"} {
		touch(t, filepath.Join(dir, name))
	}
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: dir + "/run/pintle.sock"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	_ = stale.Close()

	p = startIn(t, run, yaml)
	p.untilUnit(t, "web", is(unit.Up))
	p.untilUnit(t, "bot@a", is(unit.Up))
	p.until(t, "what lies among the instances to be said", func() bool {
		info, err := p.client(t).Info(t.Context())
		if err == nil && len(info.Conditions) > 1 {
			t.Fatalf("the conditions are %q", info.Conditions)
		}
		return err == nil && len(info.Conditions) == 1 && strings.Contains(info.Conditions[0].Text, `"coder.tmp" (cannot use instance name`)
	})
	p.term(t)
	p.code(t)
}

// TestU31: to make a profile started its bot, which had no token yet; it failed, and it was started again at every
// boot. A directory only declares an instance: nobody has asked for it to run, in this life or the next.
func TestU31(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	yaml := "main: {command: " + self("sleep") + "}\nstate_directory: " + dir + "/state\ntemplates:\n  bot: {command: " + self("sleep") +
		", instances: {initial: down, discover: {directory: " + dir + "/profiles, marker: SOUL.md}}}\n"
	p := start(t, yaml)
	if err := os.MkdirAll(dir+"/profiles/coder", 0o755); err != nil {
		t.Fatal(err)
	}
	touch(t, dir+"/profiles/coder/SOUL.md")
	for range 2 {
		if s := p.untilUnit(t, "bot@coder", is(unit.Down)); s.Run != 0 || s.Desired != "down" || s.Reason != unit.NeverStarted {
			t.Errorf("it is %+v", s)
		}
		p.term(t)
		p.code(t)
		p = start(t, yaml)
	}
	if _, err := p.client(t).Start(t.Context(), "bot@coder"); err != nil {
		t.Error(err)
	}
	p.untilUnit(t, "bot@coder", is(unit.Up))
}

// TestU33: what a container was for was guessed from the command lines of its processes, so that one for the web page
// ran a second bot. A container's role is what its configuration says, whatever words its command has.
func TestU33(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]struct {
		state   unit.State
		because string
		command []string
	}{
		"web":  {unit.Disabled, "this container's role is web, and only chat owns it", []string{"bot", "run"}},
		"chat": {unit.Up, "", []string{"web"}},
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			yaml := "role: ${ROLE}\ntemplates:\n  bot: {command: " + self("sleep") + ", instances: {always: [a], initial: up, roles: [chat]}}\n"
			p := startIn(t, []string{"ROLE=" + role}, yaml, append([]string{"--", os.Args[0], roleName, "sleep"}, want.command...)...)
			p.untilUnit(t, "main", is(unit.Up))
			s := p.untilUnit(t, "bot@a", is(want.state))
			if (s.Run > 0) != (want.state == unit.Up) || want.because != "" && s.Because != want.because {
				t.Errorf("it is %+v", s)
			}
		})
	}
}
