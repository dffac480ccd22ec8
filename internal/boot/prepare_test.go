package boot

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// hung mounts a file system that answers nothing until it is told to be gone, which it is at the end of the test.
func hung(t *testing.T) (dir string, beGone func()) {
	t.Helper()
	dir = t.TempDir() + "/hung"
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("skipped: no FUSE here: ", err)
	}
	server := os.NewFile(uintptr(fd), "/dev/fuse")
	beGone = func() { _ = server.Close() }
	t.Cleanup(beGone)
	if err := unix.Mount("hung", dir, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)); err != nil {
		t.Skip("skipped: cannot mount here: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir, beGone
}

// TestU72TheStartCanBeStopped: a start stood still for ever, without a word, because a file system did not answer. What
// takes long before anything runs is said, who wants the end need not wait for it, and other signals wait for main.
func TestU72TheStartCanBeStopped(t *testing.T) {
	t.Parallel()
	dir, beGone := hung(t)
	yaml := "main: {command: [sleep, infinity]}\nprepare: {directories: [{path: " + dir + "/a}]}\n"
	stands := func(sig unix.Signal) *pintle {
		t.Helper()
		p := start(t, yaml)
		p.until(t, "what takes long to be said", func() bool {
			said := p.stderr.String()
			return strings.Contains(said, "pintle: still preparing "+dir+"/a after ") && strings.HasSuffix(said, "; nothing is started before that is done\n")
		})
		if err := p.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for sig, code := range map[unix.Signal]int{unix.SIGTERM: 143, unix.SIGINT: 130} {
		p := stands(sig)
		if got := p.code(t); got != code {
			t.Errorf("code %d, want %d\n%s", got, code, &p.stderr)
		}
		p.says(t, "pintle: "+unix.SignalName(sig)+": stopping; nothing was started yet\n")
	}
	p := stands(unix.SIGUSR1)
	beGone() // whoever asks is told so, and the start goes on
	if got := p.code(t); got != 128+int(unix.SIGUSR1) {
		t.Errorf("main ended with code %d\n%s", got, &p.stderr)
	}
	p.says(t, "condition: cannot prepare "+dir+"/a: ")
}
