package notify

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// jobVariable makes the test binary do one job, as another user or in another namespace, instead of running tests.
const jobVariable = "PINTLE_NOTIFY_TEST_JOB"

func TestMain(m *testing.M) {
	if job := os.Getenv(jobVariable); job != "" {
		os.Exit(work(job))
	}
	goleak.VerifyTestMain(m)
}

// task is what a job gets on stdin.
type task struct {
	Socket string
	// Text is what is sent; Claim is the PID that the sender gives for its own, 0 for what it is.
	Text  string
	Claim int32
}

// result is what a job says on stdout.
type result struct {
	PID  int    // its own, as it sees itself
	Mode uint32 // of the socket
	Err  string
}

func work(job string) int {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	var t task
	if err := in.Decode(&t); err != nil {
		return 1
	}
	over := make(chan struct{}) // closed when the test has seen enough
	go func() {
		defer close(over)
		io.Copy(io.Discard, io.MultiReader(in.Buffered(), os.Stdin))
	}()
	r := result{PID: os.Getpid()}
	var err error
	switch job {
	case "send":
		var oob []byte
		if t.Claim != 0 {
			oob = unix.UnixCredentials(&unix.Ucred{Pid: t.Claim, Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())})
		}
		err = send(t.Socket, []byte(t.Text), oob)
	case "listen": // under the strictest umask
		syscall.Umask(0o777)
		var s *Socket
		if s, err = Listen(t.Socket, owner()); err == nil {
			defer s.Close()
			var st unix.Stat_t
			err = unix.Stat(t.Socket, &st)
			r.Mode = st.Mode & 0o7777
		}
	case "receive": // says so, and then what comes first
		var s *Socket
		if s, err = Listen(t.Socket, owner()); err != nil {
			break
		}
		if out.Encode(r) != nil {
			return 1
		}
		go func() {
			<-over
			s.Close()
		}()
		err = s.Serve(func(from Sender, m Message) {
			r.Err = fmt.Sprintf("took %+v from %+v", m, from)
			s.Close()
		}, func(from Sender, why error) {
			r.Err = fmt.Sprintf("refused %+v: %v", from, why)
			s.Close()
		})
	}
	if err != nil {
		r.Err = err.Error()
	}
	if out.Encode(r) != nil {
		return 1
	}
	<-over
	return 0
}

// send sends one datagram, from a socket of its own.
func send(path string, data, oob []byte) error {
	fd, err := connect(path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendmsg(fd, data, oob, nil, 0)
}

// connect makes a sender's socket.
func connect(path string) (fd int, err error) {
	if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// sender is a sender's socket, until the test ends.
func sender(t *testing.T, path string) (fd int) {
	t.Helper()
	fd, err := connect(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// child is a job at work.
type child struct {
	t   *testing.T
	pid int
	out *json.Decoder
	end func() // lets it end, and waits; once
}

// start does a job in a process of its own, which ends with the test.
func start(t *testing.T, attr *syscall.SysProcAttr, job string, do task) *child {
	t.Helper()
	input, err := json.Marshal(do)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")                                   // its directory is closed to others
	cmd.Env = []string{jobVariable + "=" + job, "GORACE=atexit_sleep_ms=0"} // a second each, otherwise
	cmd.Dir = "/"
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = attr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := sync.OnceFunc(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("job %s: %v", job, err)
		}
	})
	t.Cleanup(end)
	if _, err := in.Write(input); err != nil {
		t.Fatal(err)
	}
	return &child{t, cmd.Process.Pid, json.NewDecoder(bufio.NewReader(out)), end}
}

// result waits for what the job says next.
func (c *child) result() result {
	c.t.Helper()
	var r result
	if err := c.out.Decode(&r); err != nil {
		c.t.Fatal(err)
	}
	return r
}

// as is another user.
func as(uid, gid uint32) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("skipped: only root can act as other users")
	}
}

// place is a path for a socket, in a directory that other users can pass through.
func place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pintle-notify-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "notify")
}

// got is what Serve handed on: a message, or an error where it was refused.
type got struct {
	from    Sender
	message Message
	err     error
}

// serve serves a new socket until the test ends. What comes is put into the channel, which holds nothing: a message
// that the test does not take keeps Serve where it is.
func serve(t *testing.T) (path string, all <-chan got) {
	t.Helper()
	path = place(t)
	s, err := Listen(path, owner())
	if err != nil {
		t.Fatal(err)
	}
	c, over, ended := make(chan got), make(chan struct{}), make(chan error, 1)
	put := func(g got) {
		select {
		case c <- g:
		case <-over:
		}
	}
	go func() {
		ended <- s.Serve(func(from Sender, m Message) { put(got{from, m, nil}) },
			func(from Sender, err error) { put(got{from, Message{}, err}) })
	}()
	t.Cleanup(func() {
		close(over)
		err := s.Close()
		if err := errors.Join(err, <-ended); err != nil {
			t.Error(err)
		}
	})
	return path, c
}

// self is this process as a sender.
func self() Sender {
	return Sender{PID: os.Getpid(), UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
}

// status is the message that has a status alone.
func status(text string) Message { return Message{HasStatus: true, Status: text} }

// owner is the user who may send in the tests, beside root: another one where that can be tested.
func owner() int {
	if os.Geteuid() == 0 {
		return 10000
	}
	return os.Geteuid()
}
