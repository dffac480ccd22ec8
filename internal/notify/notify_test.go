package notify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/datagram"
)

// TestSenderIsTheKernelsWord: a message comes with who sent it, and any user may send.
func TestSenderIsTheKernelsWord(t *testing.T) {
	path, all := serve(t)
	if err := send(path, []byte("READY=1\nSTATUS=Serving"), nil); err != nil {
		t.Fatal(err)
	}
	want := got{self(), Message{Ready: true, HasStatus: true, Status: "Serving"}, nil}
	if g := <-all; g != want {
		t.Errorf("got %+v, want %+v", g, want)
	}

	needRoot(t)
	c := start(t, as(10000, 10001), "send", task{Socket: path, Text: "READY=1"})
	want = got{Sender{PID: c.pid, UID: 10000, GID: 10001}, Message{Ready: true}, nil}
	if g := <-all; g != want {
		t.Errorf("got %+v, want %+v", g, want)
	}
	if r := c.result(); r.Err != "" {
		t.Error(r.Err)
	}
}

// TestNobodyClaimsToBeAnother: a process without capabilities cannot give another's PID for its own.
func TestNobodyClaimsToBeAnother(t *testing.T) {
	needRoot(t)
	path, all := serve(t)
	c := start(t, as(10000, 10000), "send", task{Socket: path, Text: "READY=1", Claim: int32(os.Getpid())})
	if r := c.result(); r.Err == "" {
		t.Errorf("it was sent, and taken as from %+v", (<-all).from)
	}
}

// TestUnseenSenderIsRefused: a sender in a PID namespace that cannot be seen from the receiver's is nobody.
func TestUnseenSenderIsRefused(t *testing.T) {
	needRoot(t)
	path := place(t)
	c := start(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}, "receive", task{Socket: path})
	if r := c.result(); r.PID != 1 || r.Err != "" {
		t.Fatalf("the receiver is %+v, want PID 1", r)
	}
	if err := send(path, []byte("READY=1"), nil); err != nil {
		t.Fatal(err)
	}
	if r, want := c.result(), fmt.Sprintf("refused %+v: %v", Sender{}, ErrUnknown); r.Err != want {
		t.Errorf("the receiver %s; want: %s", r.Err, want)
	}
}

// TestOnlyItsOwnerMaySend: nobody else can fill the socket, whatever the umask.
func TestOnlyItsOwnerMaySend(t *testing.T) {
	if os.Geteuid() == 0 {
		path := place(t)
		s, err := Listen(path, owner())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c := start(t, as(10002, 10002), "send", task{Socket: path, Text: "READY=1"})
		if r := c.result(); !strings.Contains(r.Err, "permission denied") {
			t.Errorf("a stranger sent: %+v", r)
		}
	}
	r := start(t, nil, "listen", task{Socket: place(t)}).result()
	if r.Err != "" || r.Mode != 0o600 {
		t.Errorf("the mode is %#o (%s), want 0600", r.Mode, r.Err)
	}
}

// TestListenReplacesOnlyWhatIsStale: neither a file nor a socket that somebody reads is removed.
func TestListenReplacesOnlyWhatIsStale(t *testing.T) {
	path := place(t)
	left, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, owner()); err == nil || !strings.Contains(err.Error(), "another process listens there") {
		t.Errorf("beside another: %v", err)
	}
	left.Close() // its name stays
	s, err := Listen(path, owner())
	if err != nil {
		t.Fatalf("after another: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Close leaves the name: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if err := s.Serve(nil, nil); err != nil {
		t.Errorf("Serve on a closed socket: %v", err)
	}

	if err := os.WriteFile(path, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, owner()); err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("on a file: %v", err)
	}
	if text, err := os.ReadFile(path); string(text) != "dear" {
		t.Errorf("the file is %q, %v", text, err)
	}
}

// TestListenSaysWhyNot: an error names the path and the cause.
func TestListenSaysWhyNot(t *testing.T) {
	dir := t.TempDir()
	for path, why := range map[string]string{
		"notify": "is not absolute",
		"@away":  "is not absolute",
		filepath.Join(dir, strings.Repeat("x", datagram.MaxPath)): "longer than the 107 bytes",
		filepath.Join(dir, "none/notify"):                         "no such file or directory",
	} {
		s, err := Listen(path, owner())
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.HasPrefix(err.Error(), "cannot listen on "+path+": ") || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v; want %s", path, err, why)
		}
	}
	longest := filepath.Join(dir, strings.Repeat("x", datagram.MaxPath-len(dir)-1))
	s, err := Listen(longest, owner())
	if err != nil {
		t.Fatalf("%d bytes: %v", len(longest), err)
	}
	s.Close()
}

// TestLongDatagramIsRefused: what does not fit is refused as a whole, by name, and what comes after it is taken.
func TestLongDatagramIsRefused(t *testing.T) {
	path, all := serve(t)
	fd := sender(t, path)
	for _, size := range []int{MaxDatagram, MaxDatagram + 1, 1 << 20} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 2*size); err != nil {
			t.Fatal(err)
		}
		datagram := append([]byte("READY=1\nX="), bytes.Repeat([]byte{'x'}, size)...)[:size]
		if err := unix.Sendmsg(fd, datagram, nil, nil, 0); errors.Is(err, unix.EMSGSIZE) {
			t.Logf("%d bytes: not even sent on this system", size)
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		want := got{self(), Message{}, ErrTooLong}
		if size <= MaxDatagram {
			want = got{self(), Message{Ready: true}, nil}
		}
		if g := <-all; g != want {
			t.Errorf("%d bytes: got %+v, want %+v", size, g, want)
		}
	}
	if err := send(path, []byte("STOPPING=1"), nil); err != nil {
		t.Fatal(err)
	}
	if g := <-all; g.message != (Message{Stopping: true}) {
		t.Errorf("got %+v after it", g)
	}
}

// TestWhatSaysNothingIsNotHandedOn: not even an empty datagram, which ends nothing either.
func TestWhatSaysNothingIsNotHandedOn(t *testing.T) {
	path, all := serve(t)
	for _, text := range []string{"", "\n", "FDSTORE=1", "READY=0", "STATUS=last"} {
		if err := send(path, []byte(text), nil); err != nil {
			t.Fatal(err)
		}
	}
	if g := <-all; g.message != status("last") {
		t.Errorf("got %+v", g)
	}
}

// TestBadNumberIsRefusedAlone: the rest of its message is taken.
func TestBadNumberIsRefusedAlone(t *testing.T) {
	path, all := serve(t)
	if err := send(path, []byte("EXTEND_TIMEOUT_USEC=soon\nREADY=1"), nil); err != nil {
		t.Fatal(err)
	}
	if g := <-all; g.err == nil || g.from != self() {
		t.Errorf("got %+v, want an error", g)
	}
	if g := <-all; g.message != (Message{Ready: true}) {
		t.Errorf("got %+v, want the rest", g)
	}
}

// TestFloodWaitsInTheKernel: who sends faster than messages are taken finds the queue full. None is lost for it.
func TestFloodWaitsInTheKernel(t *testing.T) {
	path, all := serve(t)
	fd := sender(t, path)
	sent, err := 0, error(nil)
	for ; sent < 100_000; sent++ {
		if err = unix.Send(fd, fmt.Appendf(nil, "STATUS=%d", sent), unix.MSG_DONTWAIT); err != nil {
			break
		}
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("%d messages were sent though none was taken; then: %v", sent, err)
	}
	for n := range sent {
		if g := <-all; g.message != status(fmt.Sprint(n)) {
			t.Fatalf("message %d is %+v", n, g)
		}
	}
}

// open is how many descriptors this process has.
func open(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// rights are n descriptors to pass along.
func rights(t *testing.T, n int) []byte {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	fds := make([]int, n)
	for i := range fds {
		fds[i] = int(null.Fd())
	}
	return unix.UnixRights(fds...)
}

// TestPassedDescriptorsAreClosed: also those of messages that are refused or say nothing, and as many as can be passed.
func TestPassedDescriptorsAreClosed(t *testing.T) {
	path, all := serve(t)
	most, rest := rights(t, datagram.MaxRights), rights(t, 300-datagram.MaxRights)
	before := open(t)
	for range 5 {
		for _, text := range []string{"READY=1", "", "FDSTORE=1", strings.Repeat("x", MaxDatagram+1)} {
			for _, passed := range [][]byte{most, rest} {
				if err := send(path, []byte(text), passed); err != nil {
					t.Fatal(err)
				}
				if text == "" || text == "FDSTORE=1" {
					continue
				}
				if g := <-all; g.from != self() {
					t.Fatalf("got %+v", g)
				}
			}
		}
	}
	if err := send(path, []byte("READY=1"), nil); err != nil {
		t.Fatal(err)
	}
	<-all // so all before it is done with
	if after := open(t); after != before {
		t.Errorf("%d descriptors were open before and %d after", before, after)
	}
	if err := send(path, nil, rights(t, datagram.MaxRights+1)); err == nil {
		t.Errorf("more than %d descriptors can be passed at once on this kernel", datagram.MaxRights)
	}
}

// TestNoRoomForDescriptors: at the limit of open files, a message and its sender arrive all the same.
func TestNoRoomForDescriptors(t *testing.T) {
	path, all := serve(t)
	passed := rights(t, datagram.MaxRights)
	fd := sender(t, path)
	before := open(t)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	tight := unix.Rlimit{Cur: uint64(before) + 5, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &tight); err != nil {
		t.Fatal(err)
	}
	sendErr := unix.Sendmsg(fd, []byte("READY=1"), passed, nil, 0)
	if sendErr == nil {
		if g := <-all; g != (got{self(), Message{Ready: true}, nil}) {
			t.Errorf("got %+v", g)
		}
		if sendErr = unix.Send(fd, []byte("READY=1"), 0); sendErr == nil {
			<-all
		}
	}
	if err := errors.Join(sendErr, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)); err != nil {
		t.Fatal(err)
	}
	if after := open(t); after != before {
		t.Errorf("%d descriptors were open before and %d after", before, after)
	}
}

// TestBarrier: its descriptor is closed when all that was sent before has been taken, and not before.
func TestBarrier(t *testing.T) {
	path, all := serve(t)
	ours, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	passed := unix.UnixRights(int(theirs.Fd()))
	if err := errors.Join(send(path, []byte("READY=1"), nil), send(path, []byte("BARRIER=1"), passed)); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	hungUp := func() bool {
		poll := []unix.PollFd{{Fd: int32(ours.Fd())}}
		if _, err := unix.Poll(poll, 0); err != nil {
			t.Fatal(err)
		}
		return poll[0].Revents&unix.POLLHUP != 0
	}
	if hungUp() {
		t.Error("the barrier is up before the first message was taken")
	}
	if g := <-all; !g.message.Ready {
		t.Errorf("got %+v first", g)
	}
	if hungUp() {
		t.Error("the barrier is up before its own message was taken")
	}
	if g := <-all; g.message != (Message{Barrier: true}) {
		t.Errorf("got %+v then", g)
	}
	if n, err := ours.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read %d, %v; want the end of the pipe", n, err)
	}
}

// TestLingeringConnectionHoldsNobodyUp: closing a TCP connection can take as long as its owner likes. Who passes one
// along must not stop the messages of others with it.
func TestLingeringConnectionHoldsNobodyUp(t *testing.T) {
	path, all := serve(t)
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and reads nothing
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	address := unix.SockaddrInet4{Port: deaf.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Connect(fd, &address); err != nil {
		t.Fatal(err)
	}
	for err == nil { // until there is no room for more
		err = unix.Send(fd, make([]byte, 1<<16), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 3600}); err != nil {
		t.Fatal(err)
	}
	err = errors.Join(send(path, []byte("STATUS=mine"), unix.UnixRights(fd)), unix.Close(fd)) // Serve has the last one
	if err != nil {
		t.Fatal(err)
	}
	if g := <-all; g.message != status("mine") {
		t.Errorf("got %+v", g)
	}
	if err := send(path, []byte("STATUS=another's"), nil); err != nil {
		t.Fatal(err)
	}
	if g := <-all; g.message != status("another's") { // and does not hang
		t.Errorf("got %+v", g)
	}
}
