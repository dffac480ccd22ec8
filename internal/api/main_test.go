package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"pintle/internal/engine"
)

// jobVariable makes the test binary do one job, as another user, instead of running tests.
const jobVariable = "PINTLE_API_TEST_JOB"

func TestMain(m *testing.M) {
	if name := os.Getenv(jobVariable); name != "" {
		os.Exit(work(name))
	}
	goleak.VerifyTestMain(m)
}

// task is what a job gets on stdin.
type task struct {
	Socket     string            `json:",omitempty"`
	Env        map[string]string `json:",omitempty"`
	Candidates []string          `json:",omitempty"`
	Requests   []question        `json:",omitempty"`
	N          int               `json:",omitempty"`
	Keep       int               `json:",omitempty"`
	Send       string            `json:",omitempty"`
	Umask      int               `json:",omitempty"`
}

type question struct{ Method, Path, Body string }

// result is what a job says on stdout.
type result struct {
	Path    string   `json:",omitempty"`
	Err     string   `json:",omitempty"`
	Answers []answer `json:",omitempty"`
}

type answer struct {
	Code int
	Body string
}

func work(job string) int {
	in := json.NewDecoder(os.Stdin)
	var t task
	if err := in.Decode(&t); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var r result
	getenv := func(key string) string { return t.Env[key] }
	var err error
	switch job {
	case "ask":
		r.Answers, err = askAll(t)
	case "flood":
		err = flood(t)
	case "listen":
		syscall.Umask(t.Umask)
		var l net.Listener
		if l, r.Path, err = Listen(ListenOptions{Getenv: getenv, Candidates: t.Candidates}); err == nil {
			defer l.Close()
		}
	case "serve":
		var l net.Listener
		if l, r.Path, err = Listen(ListenOptions{Getenv: getenv, Candidates: t.Candidates}); err == nil {
			s := NewServer(Options{Engine: &fake{}, UID: os.Getuid()})
			go s.Serve(l)
			defer s.Close()
		}
	case "dial":
		var c *Client
		if c, err = Dial(context.Background(), DialOptions{Getenv: getenv, Candidates: t.Candidates}); err == nil {
			r.Path = c.Path()
			_, err = c.Info(context.Background())
		}
	}
	if err != nil {
		r.Err = err.Error()
	}
	if json.NewEncoder(os.Stdout).Encode(r) != nil {
		return 1
	}
	io.Copy(io.Discard, io.MultiReader(in.Buffered(), os.Stdin)) // until the test has seen it
	return 0
}

// askAll puts plain requests, without any of the client's own checks.
func askAll(t task) ([]answer, error) {
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", t.Socket)
	}}}
	var all []answer
	for _, q := range t.Requests {
		r, err := http.NewRequest(q.Method, "http://x"+q.Path, strings.NewReader(q.Body))
		if err != nil {
			return nil, err
		}
		resp, err := c.Do(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		all = append(all, answer{resp.StatusCode, string(body)})
	}
	return all, nil
}

// flood opens t.N connections, sends t.Send on each, and returns once all but t.Keep have been closed by the server.
func flood(t task) error {
	closed := make(chan struct{}, t.N)
	for range t.N {
		c, err := dial(context.Background(), t.Socket, t.Socket)
		if err != nil {
			return err
		}
		go func() {
			io.WriteString(c, t.Send)
			io.Copy(io.Discard, c)
			closed <- struct{}{}
			<-make(chan struct{}) // keep our own end open
			c.Close()
		}()
	}
	for range t.N - t.Keep {
		<-closed
	}
	return nil
}

// user is who does a job.
type user struct {
	uid, gid uint32
	groups   []uint32
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("skipped: only root can act as other users")
	}
}

// as does a job as another user and returns what it says. The job ends with the
// test, or when the returned function is called.
func as(t *testing.T, u user, job string, do task) (result, func()) {
	t.Helper()
	input, err := json.Marshal(do)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")                                   // its directory is closed to others
	cmd.Env = []string{jobVariable + "=" + job, "GORACE=atexit_sleep_ms=0"} // a second each, otherwise
	cmd.Dir = "/"
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: u.uid, Gid: u.gid, Groups: u.groups}}
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
	var r result
	if _, err := in.Write(input); err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&r); err != nil {
		t.Fatalf("job %s: %v", job, err)
	}
	return r, end
}

// openTempDir is a temporary directory that other users can pass through.
func openTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pintle-api-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// none is an environment without variables.
func none(string) string { return "" }

// house is a served engine.
type house struct {
	engine *fake
	server *Server
	socket string
	dir    string
	closed atomic.Int64 // connections that the server has closed
}

// open serves e on a socket in a directory that everybody can reach, until the test ends.
func open(t *testing.T, e *fake, o Options, tune func(*tuning)) *house {
	t.Helper()
	h := &house{engine: e, dir: filepath.Join(openTempDir(t), "run")}
	l, path, err := Listen(ListenOptions{Getenv: none, Candidates: []string{h.dir}})
	if err != nil {
		t.Fatal(err)
	}
	h.socket = path
	numbers := defaultTuning()
	if tune != nil {
		tune(&numbers)
	}
	o.Engine = e
	h.server = newServer(o, numbers)
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(&counter{l, &h.closed}) }()
	t.Cleanup(func() {
		h.server.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return h
}

// client is a client of h, as the user who runs the test.
func (h *house) client(t *testing.T) *Client {
	t.Helper()
	c, err := Dial(t.Context(), DialOptions{Getenv: none, Candidates: []string{h.dir}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// dial is a bare connection to h.
func (h *house) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", h.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// counter counts the connections that are closed.
type counter struct {
	net.Listener
	closed *atomic.Int64
}

func (l *counter) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &counted{UnixConn: c.(*net.UnixConn), closed: l.closed}, nil
}

type counted struct {
	*net.UnixConn
	closed *atomic.Int64
	once   sync.Once
}

func (c *counted) Close() error {
	err := c.UnixConn.Close()
	c.once.Do(func() { c.closed.Add(1) })
	return err
}

var _ engine.Engine = (*fake)(nil)
