package wire

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func eventsOf(t *testing.T, dir string) (*Dir, *Fifodir) {
	t.Helper()
	d := openDir(t, dir)
	must(t, d.MakeEvents(-1))
	events, err := d.Events()
	must(t, err)
	t.Cleanup(func() { _ = events.Close() })
	return d, events
}

// Each listener hears all that was notified since it listens, in order; who has gone is forgotten.
func TestListenAndNotify(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, events := eventsOf(t, dir)
	if n, err := events.Notify("s"); n != 0 || err != nil {
		t.Errorf("nobody listens: %d, %v", n, err)
	}
	one := listen(t, d)
	names, err := os.ReadDir(dir + "/event")
	must(t, err)
	if len(names) != 1 || !regexp.MustCompile(`^ftrig1:@[0-9a-f]{24}:[A-Za-z0-9]{6}$`).MatchString(names[0].Name()) {
		t.Errorf("a listener is called %v", names)
	}
	info, err := names[0].Info()
	must(t, err)
	if info.Mode() != os.ModeNamedPipe|0o622 {
		t.Errorf("its mode is %v", info.Mode())
	}
	_, err = events.Notify("u")
	must(t, err)
	two := listen(t, d)
	if n, err := events.Notify("U"); n != 2 || err != nil {
		t.Errorf("two listen: %d, %v", n, err)
	}
	if got := hear(t, one, "U"); got != "uU" {
		t.Errorf("the first heard %q", got)
	}
	if got, err := two.Pending(); string(got) != "U" || err != nil {
		t.Errorf("the second heard %q, %v", got, err)
	}
	if got, err := two.Pending(); len(got) != 0 || err != nil {
		t.Errorf("nothing is pending: %q, %v", got, err)
	}
	must(t, two.SetReadDeadline(time.Now()))
	if _, err := two.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("at its deadline: %v", err)
	}
	must(t, one.Close())
	must(t, two.Close())
	if names, err := os.ReadDir(dir + "/event"); err != nil || len(names) != 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

// Whoever may write an event directory can neither hold up its notifier nor turn it on anybody else's files.
func TestNotifyAmongEnemies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, events := eventsOf(t, dir)
	name := func(n string) string {
		return dir + "/event/ftrig1:@400000006500000000000000:" + n
	}
	victim, fifo := dir+"/victim", dir+"/fifo"
	file(t, victim, "precious", 0o600)
	must(t, unix.Mkfifo(fifo, 0o600))
	reader, err := unix.Open(fifo, unix.O_RDWR|unix.O_NONBLOCK, 0)
	must(t, err)
	defer unix.Close(reader)
	must(t, os.Symlink(victim, name("link00")))
	must(t, os.Symlink(fifo, name("link01")))
	must(t, os.Link(victim, name("hard00")))
	must(t, os.Link(fifo, name("hard01")))
	must(t, os.Mkdir(name("direct"), 0o700))
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	defer unix.Close(socket)
	short, err := os.MkdirTemp("", "s") // since a socket's path is short
	must(t, err)
	defer os.RemoveAll(short)
	short += "/s"
	must(t, unix.Bind(socket, &unix.SockaddrUnix{Name: short}))
	must(t, os.Rename(short, name("socket")))
	must(t, unix.Mkfifo(name("stale0"), 0o600))
	must(t, unix.Mkfifo(dir+"/event/ftrig1:@short", 0o600))
	full := listen(t, d)
	stuff := make([]byte, 4096)
	for err = nil; err == nil; {
		_, err = write(int(full.write.Fd()), string(stuff))
	}
	l := listen(t, d)
	if n, err := events.Notify("du"); n != 1 || err != nil {
		t.Errorf("told %d, %v", n, err)
	}
	if got := hear(t, l, "u"); got != "du" {
		t.Errorf("heard %q", got)
	}
	if n, err := unix.Read(reader, stuff); n > 0 || err != unix.EAGAIN {
		t.Errorf("somebody else's FIFO got %q, %v", stuff[:max(n, 0)], err)
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
		t.Errorf("the victim is %q, %v", text, err)
	}
	for path, want := range map[string]bool{name("stale0"): false, name("socket"): true, dir + "/event/ftrig1:@short": true, name("link00"): true} {
		if _, err := os.Lstat(path); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	must(t, unix.Mkfifo(name("stale1"), 0o600))
	must(t, events.Clean())
	if _, err := os.Lstat(name("stale1")); err == nil {
		t.Error("a FIFO without a reader was left")
	}
	if n, err := events.Notify("x"); n != 1 || err != nil {
		t.Errorf("told %d after cleaning, %v", n, err)
	}
}

// A command is never written to what somebody has put in the place of the control FIFO, nor waited for.
func TestControlAmongEnemies(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		arrange func(dir string)
		want    error
	}{
		"no supervise":           {func(string) {}, ErrNotListening},
		"supervise a file":       {func(dir string) { file(t, dir+"/supervise", "", 0o600) }, ErrBroken},
		"no control":             {func(dir string) { must(t, os.Mkdir(dir+"/supervise", 0o700)) }, ErrBroken},
		"control a file":         {func(dir string) { mk(t, dir); file(t, dir+"/supervise/control", "", 0o600) }, ErrBroken},
		"control a directory":    {func(dir string) { mk(t, dir+"/supervise", "control") }, ErrBroken},
		"control without reader": {func(dir string) { mk(t, dir); must(t, unix.Mkfifo(dir+"/supervise/control", 0o600)) }, ErrNotListening},
		"control full": {func(dir string) {
			mk(t, dir)
			must(t, unix.Mkfifo(dir+"/supervise/control", 0o600))
			fd, err := unix.Open(dir+"/supervise/control", unix.O_RDWR|unix.O_NONBLOCK, 0)
			must(t, err)
			t.Cleanup(func() { _ = unix.Close(fd) })
			for err == nil {
				_, err = unix.Write(fd, make([]byte, 4096))
			}
		}, unix.EAGAIN},
		"control a symlink": {func(dir string) {
			mk(t, dir)
			d := openDir(t, dir)
			must(t, os.Mkdir(dir+"/other", 0o700))
			other := openDir(t, dir+"/other")
			seat, err := other.Supervise()
			must(t, err)
			t.Cleanup(func() { _ = seat.Close() })
			must(t, os.Symlink("../other/supervise/control", d.path("supervise/control")))
		}, ErrBroken},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tt.arrange(dir)
			if err := strict(t, dir).Control("d"); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

func mk(t *testing.T, dir string, names ...string) {
	t.Helper()
	must(t, os.MkdirAll(dir+"/supervise", 0o700))
	for _, name := range names {
		must(t, os.MkdirAll(dir+"/"+name, 0o700))
	}
}

const user = 10000

// asUser runs a tool with an ordinary user's rights.
func asUser(args ...string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	return cmd
}

// What is seeded for a user lets him control and await a service of root's real supervisor, under log/ too, and
// seeding a live service changes nothing.
func TestSeed(t *testing.T) {
	t.Parallel()
	needReal(t)
	if os.Geteuid() != 0 {
		t.Skip("only root may give away")
	}
	dir, err := os.MkdirTemp("/tmp", "seed")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	for _, sub := range []string{"", "/log"} {
		must(t, os.MkdirAll(dir+sub, 0o755))
		file(t, dir+sub+"/run", "#!/bin/sh\nexec sleep 1000\n", 0o755)
		file(t, dir+sub+"/down", "", 0o644)
	}
	owner := Owner{UID: user, GID: user}
	must(t, strict(t, dir).Seed(owner))
	look := func() string {
		var b strings.Builder
		for _, sub := range []string{"", "/log"} {
			for _, name := range []string{"/event", "/supervise", "/supervise/event", "/supervise/control"} {
				var st unix.Stat_t
				must(t, unix.Lstat(dir+sub+name, &st))
				b.WriteString(strings.Join([]string{sub + name, octal(st.Mode), octal(st.Uid), octal(st.Gid), octal(uint32(st.Ino))}, " ") + "\n")
			}
		}
		return b.String()
	}
	seeded := look()
	for _, want := range []string{"/event 43730", "/supervise 40755", "/supervise/event 43730", "/supervise/control 10660", "/log/event 43730"} {
		if !strings.Contains(seeded, want+" "+octal(user)+" "+octal(user)) {
			t.Errorf("no %s in %s", want, seeded)
		}
	}
	d := openDir(t, dir)
	daemon(t, unix.SIGTERM, "s6-supervise", dir)
	eventually(t, "it is supervised", func() bool {
		r := asUser("s6-svstat", dir)
		return r.Run() == nil
	})
	if out, err := asUser("s6-svc", "-wu", "-T", "60000", "-u", dir).CombinedOutput(); err != nil {
		t.Errorf("the user may not start it: %v, %s", err, out)
	}
	l := listen(t, d)
	must(t, strict(t, dir).Seed(owner))
	if again := look(); again != seeded {
		t.Errorf("a second time:\n%s\nfirst\n%s", again, seeded)
	}
	if out, err := asUser("s6-svc", "-wD", "-T", "60000", "-d", dir).CombinedOutput(); err != nil {
		t.Errorf("the user may not stop it: %v, %s", err, out)
	}
	if got := hear(t, l, "D"); got != "dD" {
		t.Errorf("heard %q", got)
	}
}

func octal(n uint32) string {
	const digits = "01234567"
	if n < 8 {
		return digits[n : n+1]
	}
	return octal(n/8) + digits[n%8:n%8+1]
}

// Where others can write, seeding follows no symlink.
func TestSeedAmongEnemies(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"event", "supervise", "log", "supervise/event", "supervise/control"} {
		dir, outside := t.TempDir(), t.TempDir()
		if strings.HasPrefix(name, "supervise/") {
			must(t, os.Mkdir(dir+"/supervise", 0o700))
		}
		must(t, os.Symlink(outside, dir+"/"+name))
		if err := strict(t, dir).Seed(Owner{UID: os.Geteuid(), GID: os.Getegid()}); err == nil && name != "log" {
			t.Errorf("%s was followed", name)
		}
		if names, err := os.ReadDir(outside); err != nil || len(names) != 0 {
			t.Errorf("%s: made %v, %v", name, names, err)
		}
	}
}

// A supervise that leads nowhere yet is made where it leads, for who follows symlinks.
func TestDanglingSupervise(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/service", 0o700))
	must(t, os.Symlink("../supervise-elsewhere", dir+"/service/supervise"))
	if _, err := strict(t, dir+"/service").Supervise(); err == nil {
		t.Error("it was followed by who must not")
	}
	seat, err := openDir(t, dir+"/service").Supervise()
	must(t, err)
	defer seat.Close()
	if _, err := os.Stat(dir + "/supervise-elsewhere/control"); err != nil {
		t.Error(err)
	}
}
