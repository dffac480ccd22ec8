package syslog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"pintle/internal/datagram"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type got struct {
	from Sender
	line string
}

// serve serves a new socket until the test ends. What comes is put into the channel, which holds nothing.
func serve(t *testing.T) (path string, all <-chan got) {
	t.Helper()
	dir, err := os.MkdirTemp("", "pintle-syslog-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // for other users
	}
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "log")
	s, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	c, over, ended := make(chan got), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- s.Serve(func(from Sender, m Message) {
			select {
			case c <- got{from, string(m.Line())}:
			case <-over:
			}
		})
	}()
	t.Cleanup(func() {
		close(over)
		err := s.Close()
		if err := errors.Join(err, <-ended, os.Remove(dir)); err != nil {
			t.Error(err)
		}
	})
	return path, c
}

// sender is a socket of somebody who sends.
func sender(t *testing.T, path string) (fd int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	return fd
}

func send(t *testing.T, fd int, data, control []byte) {
	t.Helper()
	if err := unix.Sendmsg(fd, data, control, nil, 0); err != nil {
		t.Error(err)
	}
}

func self() Sender {
	return Sender{PID: os.Getpid(), UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
}

// Everybody may send, under whatever umask the socket was made, and a sender is who the kernel says it is: logger(1), as
// another user, that calls itself somebody else.
func TestEverybodySends(t *testing.T) {
	logger, err := exec.LookPath("logger")
	if err != nil || os.Getuid() != 0 {
		t.Skip("skipped: there is no logger(1), or nobody to be another user")
	}
	old := syscall.Umask(0o777)
	path, all := serveUnder(t, old)
	cmd := exec.Command(logger, "-u", path, "-t", "sshd", "-p", "authpriv.crit", "--id=1", "I am root")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4242, Gid: 4243}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	want := got{Sender{PID: cmd.Process.Pid, UID: 4242, GID: 4243}, "authpriv.crit sshd[1]: I am root"}
	if g := <-all; g != want {
		t.Errorf("got %+v, want %+v", g, want)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// serveUnder is serve under the umask that holds; then the old one holds again.
func serveUnder(t *testing.T, old int) (string, <-chan got) {
	defer syscall.Umask(old)
	return serve(t)
}

// A datagram of up to 64 KiB is taken whole; of a longer one the beginning is, and how much is missing is said. What
// comes after it is taken as ever.
func TestGiantDatagrams(t *testing.T) {
	path, all := serve(t)
	c := sender(t, path)
	for _, n := range []int{MaxDatagram - 4, MaxDatagram - 3, 150_000} {
		want := strings.Repeat("x", min(n, MaxDatagram-4))
		if more := n - (MaxDatagram - 4); more > 0 {
			want += fmt.Sprintf(" [%d more bytes are cut off]", more)
		}
		go send(t, c, []byte("<14>"+strings.Repeat("x", n)), nil)
		if g := <-all; g.line != "user.info "+want {
			t.Errorf("of %d bytes: %d, …%q", n, len(g.line), g.line[len(g.line)-60:])
		}
	}
	go send(t, c, []byte("<14>a: b"), nil)
	if g := <-all; g != (got{self(), "user.info a: b"}) {
		t.Errorf("got %+v", g)
	}
}

// Descriptors that somebody sends along are closed, all of them; also a connection whose close would last.
func TestPassedDescriptorsAreClosed(t *testing.T) {
	path, all := serve(t)
	c := sender(t, path)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	fds := make([]int, datagram.MaxRights)
	for i := range fds {
		fds[i] = int(null.Fd())
	}
	before := open(t)
	for range 20 {
		go send(t, c, []byte("<14>a: b"), unix.UnixRights(fds...))
		if g := <-all; g != (got{self(), "user.info a: b"}) {
			t.Fatalf("got %+v", g)
		}
	}
	if after := open(t); after != before {
		t.Errorf("%d descriptors were open before and %d after", before, after)
	}
}

func open(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// Who floods the socket waits, and so nothing is lost; who says little meanwhile is heard, too.
func TestFlood(t *testing.T) {
	path, all := serve(t)
	const flood, words = 100_000, 100
	var said atomic.Int64
	var both sync.WaitGroup
	for n, text := range map[int][]byte{flood: []byte("<14>flood: x"), words: []byte("<14>word: x")} {
		c := sender(t, path)
		both.Go(func() {
			for range n {
				send(t, c, text, nil)
			}
			said.Add(1)
		})
	}
	floods, heard, at := 0, 0, 0
	for floods+heard < flood+words {
		if g := <-all; g.line == "user.info flood: x" {
			floods++
		} else if heard++; heard == words {
			at = floods
		}
	}
	both.Wait()
	if floods != flood || heard != words {
		t.Errorf("%d and %d were heard", floods, heard)
	}
	if at > flood/2 {
		t.Errorf("the few words were heard after %d of the flood", at)
	}
}

// All that was sent is taken before Serve ends, and what is sent then fails, so that nobody believes it heard.
func TestCloseTakesWhatWasSent(t *testing.T) {
	s, err := Listen(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	c := sender(t, s.path)
	var want bytes.Buffer
	for i := range 5 {
		text := fmt.Sprintf("<14>a: %d\n", i)
		send(t, c, []byte(text), nil)
		fmt.Fprintf(&want, "user.info a: %d\n", i)
	}
	var heard bytes.Buffer
	begun, first, ended := make(chan struct{}), make(chan struct{}), make(chan error, 2)
	go func() {
		once := sync.OnceFunc(func() {
			close(begun)
			<-first
		})
		ended <- s.Serve(func(_ Sender, m Message) {
			once()
			heard.Write(append(m.Line(), '\n'))
		})
	}()
	<-begun
	go func() { ended <- s.Close() }() // it waits for Serve
	for !s.closed.Load() {
		runtime.Gosched()
	}
	close(first)
	if err := errors.Join(<-ended, <-ended, s.Close()); err != nil {
		t.Error(err)
	}
	if heard.String() != want.String() {
		t.Errorf("heard %q", heard.String())
	}
	if err := unix.Send(c, []byte("late"), 0); err == nil {
		t.Error("what is sent to a closed socket seems to be heard")
	}
	if _, err := os.Lstat(s.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the name stays: %v", err)
	}
}

// Neither a file nor a socket that somebody reads gives way; an error names the path.
func TestListenSaysWhyNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	s, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil || err.Error() != "cannot listen on "+path+": another process listens there" {
		t.Errorf("beside another: %v", err)
	}
	s.Close()
	if err := os.WriteFile(path, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil || err.Error() != "cannot listen on "+path+": it is there and is no socket" {
		t.Errorf("on a file: %v", err)
	}
}
