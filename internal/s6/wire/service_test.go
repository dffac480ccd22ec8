package wire

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// A service without any file but run has the defaults, and each file changes what it is there for.
func TestService(t *testing.T) {
	t.Parallel()
	plain := Service{Run: true, NotificationFD: -1, LockFD: -1, TimeoutFinish: 5 * time.Second, MaxDeaths: 100, DownSignal: unix.SIGTERM, ReloadSignal: unix.SIGHUP}
	newest := Version{2, 15, 1}
	for name, tt := range map[string]struct {
		v      Version
		files  map[string]string
		change func(*Service)
	}{
		"nothing": {v: Default, change: func(s *Service) {}},
		"all, by default": {Default, map[string]string{
			"finish": "", "down": "", "notification-fd": "3\n", "lock-fd": "4", "timeout-kill": "1500", "timeout-finish": "0\n\n",
			"max-death-tally": "5000", "down-signal": "hup\n", "reload-signal": "USR1", "flag-timeout-killpg": "", "flag-newpidns": "", "log/run": "",
		}, func(s *Service) {
			s.Finish, s.Down, s.NotificationFD, s.LockFD, s.TimeoutKill, s.TimeoutFinish = true, true, 3, 4, 1500*time.Millisecond, 0
			s.MaxDeaths, s.DownSignal, s.Log = 4096, unix.SIGHUP, true
		}},
		"newer": {newest, map[string]string{"reload-signal": "USR1", "flag-timeout-killpg": "", "flag-newpidns": ""}, func(s *Service) {
			s.ReloadSignal, s.KillGroup, s.NewPIDs = unix.SIGUSR1, true, true
		}},
		"log is a file": {Default, map[string]string{"log": ""}, func(s *Service) {}},
	} {
		dir := t.TempDir()
		file(t, dir+"/run", "", 0o755)
		for name, text := range tt.files {
			must(t, os.MkdirAll(filepath.Dir(dir+"/"+name), 0o755))
			file(t, dir+"/"+name, text, 0o644)
		}
		want := plain
		tt.change(&want)
		for _, d := range []*Dir{openDir(t, dir), strict(t, dir)} {
			got, err := d.Service(tt.v)
			must(t, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
	if err := (Service{NotificationFD: 3, LockFD: 3}).Startable(); err == nil {
		t.Error("one descriptor for two things")
	}
	if err := plain.Startable(); err != nil {
		t.Error(err)
	}
}

// contents are what may be in a file with a number, or a signal's name. UNUSED is not among them: Debian's s6 does not
// know it, and that of s6-overlay, made with another libc, does.
var contents = []string{
	"3", "3\n", "0000000003", "00000000003", "0000000003x", "00000000003x", "000000000003", "2147483648", "4294967295", "4294967296",
	"3 ", " 3", "3\r\n", "3\x00x", "", "\n", "\n3", "+3", "-3", "0x3", "3x",
	"TERM", "SIGTERM", "sigTerm\n", "15", "SIG15", "SIGSIGTERM", "TERM ", "SIGVTALRM      ", "SIGVTALRM\n", "IOT", "CLD", "IO", "STKFLT", "RTMIN", "EMT", "???",
}

// Of every file a real supervisor warns as we do, in the same words and order.
func TestWarningsAsReal(t *testing.T) {
	t.Parallel()
	needReal(t)
	for i, text := range contents {
		t.Run(fmt.Sprintf("%02d %q", i, text), func(t *testing.T) {
			t.Parallel()
			dir := service(t, "exec sleep 1000", "exit 0")
			d := openDir(t, dir)
			numbers := []string{"notification-fd", "max-death-tally", "timeout-kill"}
			for _, name := range append(numbers, "down-signal") {
				file(t, dir+"/"+name, text, 0o644)
			}
			// Whatever timeout-kill and down-signal say, the service is to end: it is killed, and only then told to stop.
			s, err := d.Service(Default)
			must(t, err)
			compareWarnings(t, d, s)
		})
	}
	t.Run("a directory", func(t *testing.T) {
		t.Parallel()
		dir := service(t, "exec sleep 1000", "exit 0")
		d := openDir(t, dir)
		for _, name := range []string{"timeout-finish", "max-death-tally", "down-signal", "notification-fd", "lock-fd"} {
			must(t, os.Mkdir(dir+"/"+name, 0o755))
		}
		s, err := d.Service(Default)
		must(t, err)
		if len(s.Warnings) != 5 {
			t.Errorf("%q", s.Warnings)
		}
		compareWarnings(t, d, s)
	})
}

// compareWarnings has a real supervisor read each file once.
func compareWarnings(t *testing.T, d *Dir, s Service) {
	t.Helper()
	must(t, d.MakeEvents(os.Getegid()))
	l := listen(t, d)
	cmd := daemon(t, unix.SIGTERM, "s6-supervise", d.Path())
	hear(t, l, "u")
	must(t, d.Control("xdk"))
	hear(t, l, "x")
	log, err := os.ReadFile(cmd.Stderr.(*os.File).Name())
	must(t, err)
	var real []string
	for line := range strings.Lines(string(log)) {
		real = append(real, strings.TrimSuffix(strings.TrimPrefix(line, "s6-supervise "+d.Path()+": warning: "), "\n"))
	}
	if !slices.Equal(real, s.Warnings) {
		t.Errorf("we warn %q, the real one %q", s.Warnings, real)
	}
	status, err := d.Status(Default)
	must(t, err)
	if sig := status.Signal(Default); sig != int(s.DownSignal) && sig != int(unix.SIGKILL) {
		t.Errorf("the run was ended by %d, not by %d", sig, s.DownSignal)
	}
}

func FuzzService(f *testing.F) {
	for _, text := range contents {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		for _, name := range []string{"notification-fd", "timeout-kill", "timeout-finish", "max-death-tally", "down-signal"} {
			file(t, dir+"/"+name, string(b), 0o644)
		}
		s, err := openDir(t, dir).Service(Default)
		if err != nil {
			t.Fatal(err)
		}
		if s.MaxDeaths < 0 || s.MaxDeaths > MaxDeaths || s.TimeoutKill < 0 || s.NotificationFD < -1 || s.DownSignal < 0 {
			t.Errorf("%q: %+v", b, s)
		}
	})
}

// A FIFO in the place of a file holds nobody up, and a symlink is followed only for who may follow it.
func TestServiceAmongEnemies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file(t, dir+"/secret", "7", 0o600)
	must(t, unix.Mkfifo(dir+"/timeout-kill", 0o600))
	must(t, os.Symlink("secret", dir+"/notification-fd"))
	if s, err := strict(t, dir).Service(Default); err != nil || s.NotificationFD != -1 || s.TimeoutKill != 0 || len(s.Warnings) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := openDir(t, dir).Service(Default); err != nil || s.NotificationFD != 7 {
		t.Errorf("%+v, %v", s, err)
	}
}

// Every signal has the name that s6 writes, and every name is read.
func TestSignalsAsReal(t *testing.T) {
	t.Parallel()
	for _, s := range signals {
		for _, text := range []string{s.name, "SIG" + s.name, strings.ToLower(s.name), "sig" + fmt.Sprint(int(s.number))} {
			if got, ok := ScanSignal(text); got != s.number || !ok {
				t.Errorf("%s is %d", text, got)
			}
		}
	}
	needReal(t)
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/supervise", 0o700))
	d := openDir(t, dir)
	var ours strings.Builder
	for sig := 1; sig < 65; sig++ {
		death := DeathOf(Stamp{}, unix.WaitStatus(sig))
		must(t, d.AddDeath(death, 100))
		ours.WriteString(death.Stamp.Label() + " signal SIG" + SignalName(sig) + "\n")
	}
	same(t, "s6-svdt", ours.String(), tool(t, "", "s6-svdt", dir).out)
}

// Our locks and s6's keep each other out, and each sees the other's.
func TestLocks(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/lock"
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		must(t, err)
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	a, b := open(), open()
	want := func(what string, got bool, err error, want bool) {
		t.Helper()
		if got != want || err != nil {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
	got, err := Lock(a, true)
	want("the first", got, err, true)
	got, err = Lock(b, true)
	want("a second in the same process", got, err, false)
	got, err = Lock(b, false)
	want("a shared one beside it", got, err, false)
	got, err = Locked(b)
	want("it is seen", got, err, true)
	must(t, open().Close()) // which would cost a classic lock
	got, err = Locked(b)
	want("it is seen after another was closed", got, err, true)
	t.Run("real", func(t *testing.T) {
		needReal(t)
		if r := tool(t, "", "s6-setlock", "-n", path, "true"); r.code != 1 {
			t.Errorf("s6-setlock got it: %+v", r)
		}
		must(t, a.Close())
		// What another test is just forking has the descriptor for a moment, too.
		eventually(t, "s6-setlock got it", func() bool { return tool(t, "", "s6-setlock", "-n", path, "true").code == 0 })
		ready := t.TempDir() + "/ready"
		must(t, unix.Mkfifo(ready, 0o600))
		daemon(t, unix.SIGTERM, "s6-setlock", path, "sh", "-c", "echo > "+ready+"; exec sleep 1000")
		f, err := os.Open(ready)
		must(t, err)
		_, err = f.Read(make([]byte, 1))
		must(t, err)
		must(t, f.Close())
		got, err := Locked(b)
		want("s6's is seen", got, err, true)
		got, err = Lock(b, false)
		want("s6's keeps us out", got, err, false)
	})
	c := open()
	if free, err := Locked(c); err != nil || free {
		return // s6's is still there
	}
	must(t, LockWait(c, false))
	got, err = Locked(b)
	want("a shared one is none", got, err, false)
}
