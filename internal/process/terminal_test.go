package process

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// onTerminal runs a test's body alone, as the leader of a terminal's session; master is the terminal's other side.
func onTerminal(t *testing.T, body func(t *testing.T, w *world, master *os.File, tty *Terminal)) {
	t.Helper()
	alone(t, surroundings{Terminal: true}, func(t *testing.T) {
		must(t, unix.SetNonblock(3, true)) // so that Close ends the Read
		master := os.NewFile(3, "master")
		w := newWorld(t)
		var reading sync.WaitGroup
		reading.Go(func() { // nobody looks at the screen, but it must not fill up
			for buf := make([]byte, 1000); ; {
				if _, err := master.Read(buf); err != nil {
					return
				}
			}
		})
		t.Cleanup(func() {
			signal.Ignore(unix.SIGHUP) // which closing it sends
			master.Close()
			reading.Wait()
		})
		tty := OpenTerminal(os.Stdin)
		if tty == nil {
			t.Fatal("the terminal was not recognised")
		}
		body(t, w, master, tty)
	})
}

// onIt is a command that gets the terminal.
func onIt(c Command) Command {
	c.Terminal = true
	c.Files[0] = os.Stdin
	return c
}

// TestForegroundFromTheFirstInstruction: the program finds itself in the terminal's foreground, however busy the machine is.
func TestForegroundFromTheFirstInstruction(t *testing.T) {
	onTerminal(t, func(t *testing.T, w *world, _ *os.File, tty *Terminal) {
		for range 2 {
			w.start(as("say busy spin")).hears("busy")
		}
		for i := range rounds(50) {
			c := onIt(as("report"))
			if i%2 == 1 && os.Geteuid() == 0 {
				c.Identity = &victim
			}
			l := w.start(c)
			f := l.report()
			if f.Foreground != f.Group || f.Group != l.Pid() || f.Session != unix.Getpid() {
				t.Errorf("process %d: %+v", l.Pid(), f)
			}
			l.ends()
			must(t, tty.Restore())
		}
	})
}

// TestTheInterruptKey reaches the main program and not pintle.
func TestTheInterruptKey(t *testing.T) {
	onTerminal(t, func(t *testing.T, w *world, master *os.File, _ *Terminal) {
		mine := make(chan os.Signal, 1)
		signal.Notify(mine, unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP)
		defer signal.Stop(mine)
		beside := w.start(as("say beside sleep"))
		p := beside.hears("beside")
		l := w.start(onIt(as("fork [ say child sleep ] say ready sleep")))
		child := l.hears("child")
		l.hears("ready")
		_, err := master.WriteString("\x03")
		must(t, err)
		if e := l.ends(); e != (unit.Exit{Code: 2}) && e.Signal != unit.Signal(unix.SIGINT) { // Go's own default is a code
			t.Errorf("it %v", e)
		}
		eventually(t, "the child's end", func() bool { return !alive(child) })
		mustLive(t, p)
		if len(mine) > 0 {
			t.Errorf("pintle got %v", <-mine)
		}
	})
}

// TestTheSuspendKey stops the main program, which pintle is told, and which can go on.
func TestTheSuspendKey(t *testing.T) {
	onTerminal(t, func(t *testing.T, w *world, master *os.File, _ *Terminal) {
		l := w.start(onIt(as("say ready eof say end exit 4")))
		l.hears("ready")
		_, err := master.WriteString("\x1a")
		must(t, err)
		if s := within(t, "the stop", w.stopped); s != unit.Signal(unix.SIGTSTP) {
			t.Errorf("it was stopped by %v", s)
		}
		w.Continue(l.Pid())
		_, err = master.WriteString("\x04")
		must(t, err)
		if e := l.ends(); e.Code != 4 {
			t.Errorf("it %v", e)
		}
	})
}

// TestOnATerminalNothingIsIgnored: the exec step once handed on that it ignored SIGTTOU.
func TestOnATerminalNothingIsIgnored(t *testing.T) {
	onTerminal(t, func(t *testing.T, w *world, _ *os.File, tty *Terminal) {
		for range 2 { // also once the terminal was restored
			l := w.start(onIt(Command{Path: "/bin/cat", Args: []string{"cat", "/proc/self/status"}}))
			for line := range l.said {
				if f := strings.Fields(line); (f[0] == "SigIgn:" || f[0] == "SigBlk:") && strings.Trim(f[1], "0") != "" {
					t.Error(line)
				}
			}
			l.ends()
			l = w.start(onIt(Command{Path: "/bin/ls", Args: []string{"ls", "/proc/self/fd"}}))
			if a, b, c, d := l.line(), l.line(), l.line(), l.line(); a+b+c+d != "0123" {
				t.Errorf("it has %s%s%s%s open", a, b, c, d)
			}
			if extra, more := <-l.said; more {
				t.Errorf("it has %s open", extra)
			}
			l.ends()
			must(t, tty.Restore())
		}
	})
}

// TestCannotExecuteOnATerminal: the failure is Start's, with its sentence, and nothing is said on the screen.
func TestCannotExecuteOnATerminal(t *testing.T) {
	onTerminal(t, func(t *testing.T, w *world, _ *os.File, tty *Terminal) {
		for path, want := range map[string]*ExecError{
			"/none":       {127, fmt.Errorf("cannot execute /none: there is no such file")},
			"/etc":        {126, fmt.Errorf("cannot execute /etc: it is a directory")},
			"/etc/passwd": {126, fmt.Errorf("cannot execute /etc/passwd: its mode 0644 does not allow it")},
		} {
			l, err := w.try(onIt(Command{Path: path, Args: []string{path}}))
			if e, ok := err.(*ExecError); !ok || e.Code != want.Code || e.Error() != want.Error() || l.happened() != "" {
				t.Errorf("%s: %v, %s", path, err, l.happened())
			}
		}
		must(t, tty.Restore())
	})
}

// TestRestore puts the terminal's modes and its foreground back as they were found.
func TestRestore(t *testing.T) {
	onTerminal(t, func(t *testing.T, w *world, master *os.File, tty *Terminal) {
		before, err := unix.IoctlGetTermios(0, unix.TCGETS)
		must(t, err)
		l := w.start(onIt(as("raw say raw eof exit 0")))
		l.hears("raw")
		l.Kill()
		l.ends()
		during, err := unix.IoctlGetTermios(0, unix.TCGETS)
		must(t, err)
		if *before == *during {
			t.Error("the modes did not change")
		}
		if OpenTerminal(os.Stdin) != nil {
			t.Error("a terminal whose foreground is somebody else was taken for pintle's")
		}
		must(t, tty.Restore())
		after, err := unix.IoctlGetTermios(0, unix.TCGETS)
		must(t, err)
		if *before != *after {
			t.Errorf("the modes are %+v, were %+v", after, before)
		}
		if group, err := unix.IoctlGetInt(0, unix.TIOCGPGRP); err != nil || group != unix.Getpgrp() {
			t.Errorf("the foreground is %d, %v", group, err)
		}
	})
}

// TestRestoreWithoutATerminal: one that has gone is told, and does not hold up the end.
func TestRestoreWithoutATerminal(t *testing.T) {
	onTerminal(t, func(t *testing.T, w *world, master *os.File, tty *Terminal) {
		hup := make(chan os.Signal, 1)
		signal.Notify(hup, unix.SIGHUP)
		defer signal.Stop(hup)
		master.Close()
		within(t, "the hangup", hup)
		if err := tty.Restore(); err == nil {
			t.Error("a terminal that is gone was restored")
		}
	})
}

// TestWhoseTerminal: a background job has none to give away, and what is no terminal is none.
func TestWhoseTerminal(t *testing.T) {
	onTerminal(t, func(t *testing.T, w *world, _ *os.File, _ *Terminal) {
		null, err := os.Open(os.DevNull)
		must(t, err)
		defer null.Close()
		if OpenTerminal(null) != nil {
			t.Error("/dev/null was taken for a terminal")
		}
		l := w.start(onIt(as("terminal fork [ setpgid 0 terminal ] sleep")))
		for range 2 {
			line := l.line()
			if foreground := strings.HasPrefix(line, fmt.Sprint(l.Pid())); strings.HasSuffix(line, " true") != foreground {
				t.Errorf("foreground %t: it says %s", foreground, line)
			}
		}
	})
}

// TestALeaderInAnotherGroup: on the terminal a leader can leave its group. Terminate reaches it, and who has stayed.
func TestALeaderInAnotherGroup(t *testing.T) {
	onTerminal(t, func(t *testing.T, w *world, _ *os.File, _ *Terminal) {
		hup := make(chan os.Signal, 1)
		signal.Notify(hup, unix.SIGUSR1)
		defer signal.Stop(hup)
		l := w.start(onIt(as(fmt.Sprintf("fork [ say child sleep ] setpgid %d say ready sleep", unix.Getpgrp()))))
		child := l.hears("child")
		l.hears("ready")
		l.Terminate(unit.SIGTERM, unit.TargetGroup)
		if e := l.ends(); e.Signal != unit.SIGTERM {
			t.Errorf("it %v", e)
		}
		eventually(t, "the child's end", func() bool { return !alive(child) })
	})
}

// TestJobsOfAShell: on the terminal a shell's jobs are groups of pintle's own session; they end with the run.
func TestJobsOfAShell(t *testing.T) {
	onTerminal(t, func(t *testing.T, w *world, _ *os.File, _ *Terminal) {
		l := w.start(onIt(as("fork [ setpgid 0 say job sleep ] fork [ fork [ setpgid 0 ignore TERM say orphan sleep ] exit 0 ] say ready exit 0")))
		job, orphan := l.hears("job"), l.hears("orphan")
		l.ends()
		l.sweep()
		eventually(t, "the job's end", func() bool { return !alive(job) })
		l.Kill()
		l.emptied()
		mustBeGone(t, job, orphan)
	})
}
