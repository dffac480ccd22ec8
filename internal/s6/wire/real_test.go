package wire

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds waits that end with their condition.
const patience = time.Minute

// needReal skips a test that compares with Debian's s6, which hack/deps installs.
func needReal(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("s6-supervise"); err != nil {
		t.Skip("Debian's package s6 is not installed")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// result is what a tool said.
type result struct {
	out, err string
	code     int
}

// tool runs one of s6's tools to its end.
func tool(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.Env = append(os.Environ(), "TZ=Europe/Paris")
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// daemon starts a program of s6's that ends with the test, by a signal after which it leaves nothing behind.
func daemon(t *testing.T, end os.Signal, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	log, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	must(t, err)
	cmd.Stderr = log
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(end)
		_ = cmd.Wait()
		_ = log.Close()
	})
	return cmd
}

func openDir(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := Open(path)
	must(t, err)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// strict is the directory as somebody with more rights than its owner opens it.
func strict(t *testing.T, path string) *Dir {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	d := In(f)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func file(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), mode))
	must(t, os.Chmod(path, mode))
}

// service makes a service directory with a run and perhaps a finish, both shell scripts.
func service(t *testing.T, run, finish string) string {
	t.Helper()
	dir := t.TempDir()
	file(t, dir+"/run", "#!/bin/sh\n"+run+"\n", 0o755)
	if finish != "" {
		file(t, dir+"/finish", "#!/bin/sh\n"+finish+"\n", 0o755)
	}
	return dir
}

func listen(t *testing.T, d *Dir) *Listener {
	t.Helper()
	events, err := d.Events()
	must(t, err)
	defer events.Close()
	l, err := events.Listen(time.Now())
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	must(t, l.SetReadDeadline(time.Now().Add(patience)))
	return l
}

// hear waits until the events of a listener end with those wanted, and returns them all.
func hear(t *testing.T, l *Listener, end string) string {
	t.Helper()
	var all []byte
	buf := make([]byte, 64)
	for !strings.HasSuffix(string(all), end) {
		n, err := l.Read(buf)
		if err != nil {
			t.Fatalf("heard %q, want …%q: %v", all, end, err)
		}
		all = append(all, buf[:n]...)
	}
	return string(all)
}

// whenRead returns what waits until somebody has read the status file that is there now. A real tool that waits has
// listened by then; of what is said while it begins to, it may lose some or sleep on it.
func whenRead(t *testing.T, dir string) (wait func()) {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	must(t, err)
	watch := os.NewFile(uintptr(fd), "inotify")
	_, err = unix.InotifyAddWatch(fd, dir+"/supervise/status", unix.IN_CLOSE_NOWRITE)
	must(t, err)
	must(t, watch.SetReadDeadline(time.Now().Add(patience)))
	return func() {
		t.Helper()
		_, err := watch.Read(make([]byte, 4096))
		must(t, err)
		must(t, watch.Close())
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// A real supervisor does what our control bytes say, says so in its status file and in our listener, and leaves a
// death tally that we read.
func TestWithRealSupervisor(t *testing.T) {
	t.Parallel()
	needReal(t)
	dir := service(t, "exec sleep 1000", "exit 0")
	d := openDir(t, dir)
	if err := d.Control("d"); !errors.Is(err, ErrNotListening) {
		t.Errorf("without a supervisor: %v", err)
	}
	if up, err := d.Supervised(); up || err != nil {
		t.Errorf("without a supervisor: %v, %v", up, err)
	}
	must(t, d.MakeEvents(os.Getegid()))
	l := listen(t, d)
	before := time.Now().Add(-time.Second)
	daemon(t, unix.SIGTERM, "s6-supervise", dir)
	if got := hear(t, l, "u"); got != "su" {
		t.Errorf("the start was heard as %q", got)
	}
	if up, err := d.Supervised(); !up || err != nil {
		t.Errorf("supervised: %v, %v", up, err)
	}
	if _, err := d.Supervise(); !errors.Is(err, ErrRunning) {
		t.Errorf("a second supervisor: %v", err)
	}
	s, err := d.Status(Default)
	must(t, err)
	if !s.Up() || s.Ready() || !s.WantUp || s.Paused || s.Finishing {
		t.Errorf("up: %+v", s)
	}
	if at := s.Stamp.Time(); at.Before(before) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("up since %v", at)
	}
	first := s.PID
	must(t, d.Control("p"))
	eventually(t, "it is paused", func() bool { s, err := d.Status(Default); return err == nil && s.Paused })
	must(t, d.Control("c"))
	must(t, d.Control("k"))
	if got := hear(t, l, "u"); got != "dDu" {
		t.Errorf("a run that is killed was heard as %q", got)
	}
	s, err = d.Status(Default)
	must(t, err)
	if !s.Wait.Signaled() || s.Wait.Signal() != unix.SIGKILL || s.PID == first {
		t.Errorf("after a kill: %+v", s)
	}
	must(t, d.Control("d"))
	if got := hear(t, l, "D"); got != "dD" {
		t.Errorf("a stop was heard as %q", got)
	}
	s, err = d.Status(Default)
	must(t, err)
	if s.Up() || s.WantUp || s.Signal(Default) != int(unix.SIGTERM) || s.ExitCode(Default) != -1 {
		t.Errorf("after a stop: %+v", s)
	}
	deaths, err := d.Deaths(MaxDeaths)
	must(t, err)
	if len(deaths) != 2 || deaths[0].Signal != 9 || deaths[0].Code != 128+9 || deaths[1].Signal != 15 || deaths[1].Stamp != s.Stamp {
		t.Errorf("deaths: %+v", deaths)
	}
	must(t, d.Control("x"))
	if got := hear(t, l, "x"); got != "x" {
		t.Errorf("the supervisor's end was heard as %q", got)
	}
	eventually(t, "nobody listens", func() bool { return errors.Is(d.Control(""), ErrNotListening) })
}

// Real tools see who holds our Seat as a supervisor, read our status, and their bytes arrive.
func TestRealToolsWithOurSeat(t *testing.T) {
	t.Parallel()
	needReal(t)
	dir := service(t, "exit 0", "")
	d := openDir(t, dir)
	if r := tool(t, "", "s6-svok", dir); r.code != 1 {
		t.Errorf("s6-svok before: %+v", r)
	}
	seat, err := d.Supervise()
	must(t, err)
	if r := tool(t, "", "s6-svok", dir); r.code != 0 {
		t.Errorf("s6-svok: %+v", r)
	}
	if r := tool(t, "", "s6-supervise", dir); r.code != 100 || !strings.Contains(r.err, "another instance of s6-supervise is already running") {
		t.Errorf("s6-supervise: %+v", r)
	}
	if r := tool(t, "", "s6-svc", "-"+Commands(Default), dir); r.code != 0 {
		t.Errorf("s6-svc: %+v", r)
	}
	buf := make([]byte, 100)
	n, err := seat.Commands.Read(buf)
	must(t, err)
	if got := string(buf[:n]); got != Commands(Default) || got != "abqhkti12pcyroduDUxOQ" {
		t.Errorf("s6-svc wrote %q, want %q", got, Commands(Default))
	}

	now := time.Now()
	for name, tt := range map[string]struct {
		status Status
		human  string
		fields string
	}{
		"up":        {Status{PID: 42, WantUp: true}, "up (pid 42) 10 seconds", "true true true false false 42 -1 NA -1 10"},
		"ready":     {Status{PID: 42, WantUp: true, ReadyFlag: true}, "up (pid 42) 10 seconds, ready 10 seconds", "true true true true false 42 -1 NA -1 10"},
		"paused":    {Status{PID: 42, WantUp: true, Paused: true}, "up (pid 42) 10 seconds, paused", "true true true false true 42 -1 NA -1 10"},
		"going":     {Status{PID: 42}, "up (pid 42) 10 seconds, want down", "true false true false false 42 -1 NA -1 10"},
		"finishing": {Status{PID: 43, Finishing: true, WantUp: true, Wait: 3 << 8}, "down (exitcode 3) 10 seconds, normally up, want up", "false true true false false -1 3 NA -1 10"},
		"down":      {Status{ReadyFlag: true, Wait: 9}, "down (signal SIGKILL) 10 seconds, normally up, ready 10 seconds", "false false true false false -1 -1 SIGKILL 9 10"},
		"aborted":   {Status{ReadyFlag: true, Wait: 6}, "down (signal SIGABRT) 10 seconds, normally up, ready 10 seconds", "false false true false false -1 -1 SIGABRT 6 10"},
	} {
		s := tt.status
		s.Stamp = StampOf(now.Add(-10*time.Second - 500*time.Millisecond))
		s.ReadyStamp = s.Stamp
		// Neither a test that was held up for half a second nor a tool that was may count as a difference.
		eventually(t, name, func() bool {
			age := time.Since(now)
			s.Stamp = StampOf(now.Add(age - 10*time.Second - 100*time.Millisecond))
			s.ReadyStamp = s.Stamp
			must(t, d.SetStatus(Default, s))
			human := tool(t, "", "s6-svstat", dir)
			fields := tool(t, "", "s6-svstat", "-o", "up,wantedup,normallyup,ready,paused,pid,exitcode,signal,signum,updownfor", dir)
			if time.Since(now)-age > 800*time.Millisecond {
				return false
			}
			if human.out != tt.human+"\n" || fields.out != tt.fields+"\n" {
				t.Errorf("%s: s6-svstat says %q, %q", name, human.out, fields.out)
			}
			return true
		})
		if got := [2]int{s.ExitCode(Default), s.Signal(Default)}; !strings.Contains(tt.fields, " "+strings.Trim(tool(t, "", "s6-svstat", "-e", dir).out, "\n")+" ") || tool(t, "", "s6-svstat", "-e", dir).out != strconv.Itoa(got[0])+"\n" {
			t.Errorf("%s: exit code %d, signal %d", name, got[0], got[1])
		}
		since := tool(t, "", "s6-svstat", "-o", "updownsince,readysince", dir)
		if want := s.Stamp.Label() + " " + s.ReadyStamp.Label() + "\n"; since.out != want {
			t.Errorf("since %q, want %q", since.out, want)
		}
	}
	must(t, seat.Close())
	// What another test is just forking has its descriptors for a moment, too.
	eventually(t, "s6-svok sees nobody", func() bool { return tool(t, "", "s6-svok", dir).code == 1 })
	if r := tool(t, "", "s6-svc", "-d", dir); r.code != 100 || !strings.HasSuffix(r.err, "supervisor not listening\n") {
		t.Errorf("s6-svc after: %+v", r)
	}
}

// Real tools that wait are ended by our notifications, and by our status where it is so already.
func TestRealToolsHearUs(t *testing.T) {
	t.Parallel()
	needReal(t)
	dir := service(t, "exit 0", "")
	d := openDir(t, dir)
	seat, err := d.Supervise()
	must(t, err)
	defer seat.Close()
	events, err := d.Events()
	must(t, err)
	defer events.Close()
	down := Status{ReadyFlag: true, Stamp: StampOf(time.Now())}
	for option, told := range map[string]string{"-u": "u", "-U": "uU", "-d": "d", "-D": "dD", "-r": "du", "-R": "dDuU"} {
		s := down
		if told[0] != 'u' {
			s.PID, s.ReadyFlag = 42, false
		}
		must(t, d.SetStatus(Default, s))
		read := whenRead(t, dir)
		cmd := exec.Command("s6-svwait", option, "-t", "60000", dir)
		must(t, cmd.Start())
		read()
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		if n, err := events.Notify(told); n != 1 || err != nil {
			t.Errorf("%s: told %d, %v", option, n, err)
		}
		// A real one that waits for two things in turn throws away what comes together with the first.
		eventually(t, "s6-svwait has ended", func() bool {
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("s6-svwait %s: %v", option, err)
				}
				return true
			default:
				if strings.Contains("-r -R", option) {
					_, err := events.Notify(told)
					must(t, err)
				}
				return false
			}
		})
	}
	must(t, d.SetStatus(Default, down))
	if r := tool(t, "", "s6-svwait", "-u", "-t", "100", dir); r.code != 99 {
		t.Errorf("s6-svwait for what never comes: %+v", r)
	}
	// s6-svlisten1 listens before it runs its program, which tells us so by a byte to the control FIFO.
	cmd := exec.Command("s6-svlisten1", "-U", dir, "s6-svc", "-u", dir)
	must(t, cmd.Start())
	_, err = seat.Commands.Read(make([]byte, 1))
	must(t, err)
	_, err = events.Notify("uU")
	must(t, err)
	must(t, cmd.Wait())
}

// A scan directory's control FIFO and lock are understood both ways.
func TestScanDirectory(t *testing.T) {
	t.Parallel()
	needReal(t)
	dir := t.TempDir()
	d := openDir(t, dir)
	seat, err := d.SuperviseScan()
	must(t, err)
	if r := tool(t, "", "s6-svscan", dir); r.code != 100 || !strings.Contains(r.err, "another instance of s6-svscan is already running") {
		t.Errorf("s6-svscan: %+v", r)
	}
	if r := tool(t, "", "s6-svscanctl", "-"+ScanCommands, dir); r.code != 0 {
		t.Errorf("s6-svscanctl: %+v", r)
	}
	buf := make([]byte, 100)
	n, err := seat.Commands.Read(buf)
	must(t, err)
	if string(buf[:n]) != ScanCommands {
		t.Errorf("s6-svscanctl wrote %q", buf[:n])
	}
	must(t, seat.Close())
	eventually(t, "nobody listens", func() bool { return errors.Is(d.ControlScan(""), ErrNotListening) })

	// What a real one supervises is what Scan finds.
	long := strings.Repeat("n", 252)
	for _, name := range []string{"a", "b", ".hidden", long, "with-log", "with-log/log", CatchAll, CatchAll + "/log"} {
		must(t, os.Mkdir(dir+"/"+name, 0o755))
		file(t, dir+"/"+name+"/run", "#!/bin/sh\nexec sleep 1000\n", 0o755)
		file(t, dir+"/"+name+"/down", "", 0o644)
	}
	must(t, os.Symlink("a", dir+"/again"))
	file(t, dir+"/file", "", 0o644)
	must(t, unix.Mkfifo(dir+"/fifo", 0o600))
	must(t, os.Symlink("nowhere", dir+"/dangling"))
	daemon(t, unix.SIGTERM, "s6-svscan", dir)
	entries, warnings, again, err := d.Scan(Default)
	must(t, err)
	ids := map[Identity]string{}
	for _, e := range entries {
		ids[e.ID] = e.Name
		if e.Log != (e.Name == "with-log") {
			t.Errorf("%+v", e)
		}
		of := openDir(t, dir+"/"+e.Name)
		eventually(t, e.Name+" is supervised", func() bool { up, err := of.Supervised(); return up && err == nil })
		if e.Log {
			log := openDir(t, dir+"/"+e.Name+"/log")
			eventually(t, "its logger is supervised", func() bool { up, err := log.Supervised(); return up && err == nil })
		}
	}
	if len(ids) != 5 || len(entries) != 5 {
		t.Errorf("found %v", entries)
	}
	if len(warnings) != 1 || !strings.HasPrefix(warnings[0], "unable to stat dangling: ") || !again {
		t.Errorf("warnings %q, again %v", warnings, again)
	}
	for _, name := range []string{".hidden", CatchAll + "/log"} {
		if _, err := os.Stat(dir + "/" + name + "/supervise"); err == nil {
			t.Errorf("a real s6-svscan supervises %s", name)
		}
	}
	if up, err := d.Scanned(); !up || err != nil {
		t.Errorf("scanned: %v, %v", up, err)
	}
	if entries, warnings, _, err := d.Scan(Version{2, 12}); len(entries) != 4 || len(warnings) != 2 || err != nil {
		t.Errorf("2.12 finds %v, %q, %v", entries, warnings, err)
	}
	must(t, d.ControlScan("t"))
	eventually(t, "s6-svscan has ended", func() bool { up, err := d.Scanned(); return !up && err == nil })
}
