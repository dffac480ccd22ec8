package dashboard

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is an engine that can be asked what a dashboard asks; anything else is a nil pointer.
type fake struct {
	engine.Engine
	info func(context.Context) (engine.Info, error)
	list func(context.Context) ([]engine.Status, error)
}

func (f *fake) Info(ctx context.Context) (engine.Info, error)     { return f.info(ctx) }
func (f *fake) List(ctx context.Context) ([]engine.Status, error) { return f.list(ctx) }

func newFake() *fake {
	return &fake{
		info: func(context.Context) (engine.Info, error) { return sampleInfo(), nil },
		list: func(context.Context) ([]engine.Status, error) { return sampleUnits(), nil },
	}
}

// served is a dashboard that serves f until the test ends, or stop is called, which returns what Serve did.
type served struct {
	t       *testing.T
	address string
	client  *http.Client
	l       *listener
	stop    func() error
}

func start(t *testing.T, f *fake, tune func(*tuning)) *served {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tuned := defaultTuning()
	if tune != nil {
		tune(&tuned)
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	own := &listener{Listener: l, ends: map[string]chan struct{}{}}
	go func() { result <- serve(ctx, own, ofEngine(f), tuned) }()
	s := &served{t: t, l: own, address: l.Addr().String(), client: &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}}
	s.stop = sync.OnceValue(func() error { cancel(); return <-result })
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("it ended with %v", err)
		}
		s.client.CloseIdleConnections()
	})
	return s
}

// closed is closed once the server has closed its end of a connection.
func (s *served) closed(c net.Conn) <-chan struct{} { return s.l.end(c.LocalAddr().String()) }

// listener knows which of its connections have been closed, by their peers, and how many were open at most.
type listener struct {
	net.Listener
	open, most atomic.Int64

	mu   sync.Mutex
	ends map[string]chan struct{}
}

func (l *listener) end(peer string) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ends[peer] == nil {
		l.ends[peer] = make(chan struct{})
	}
	return l.ends[peer]
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	_ = c.(*net.TCPConn).SetWriteBuffer(64 << 10) // so that it does not hold a whole answer
	end := l.end(c.RemoteAddr().String())
	l.most.Store(max(l.most.Load(), l.open.Add(1))) // Accept is called by one goroutine
	return &connection{Conn: c, end: sync.OnceFunc(func() { l.open.Add(-1); close(end) })}, nil
}

type connection struct {
	net.Conn
	end func()
}

func (c *connection) Close() error {
	err := c.Conn.Close()
	c.end()
	return err
}

// ask sends a request and returns the answer with its body.
func (s *served) ask(method, path string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.address+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	a, err := s.client.Do(r)
	if err != nil {
		s.t.Errorf("%s %s: %v", method, path, err)
		return &http.Response{}, ""
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		s.t.Errorf("%s %s: %v", method, path, err)
	}
	return a, string(body)
}

// connect says something to the server, and leaves it at that.
func (s *served) connect(says string) net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, says); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// TestWhatIsServed: the metrics, at one path, to be read only.
func TestWhatIsServed(t *testing.T) {
	t.Parallel()
	s := start(t, newFake(), nil)
	want := string(metrics(sampleInfo(), sampleUnits()))
	for _, c := range []struct {
		method, path, body, kind string
		code                     int
	}{
		{"GET", "/metrics", want, contentType, 200},
		{"GET", "/metrics?x=y", want, contentType, 200},
		{"HEAD", "/metrics", "", contentType, 200},
		{"GET", "/", "Metrics are at /metrics.\n", "text/plain; charset=utf-8", 200},
		{"POST", "/metrics", "Method Not Allowed\n", "text/plain; charset=utf-8", 405},
		{"DELETE", "/", "Method Not Allowed\n", "text/plain; charset=utf-8", 405},
		{"OPTIONS", "/metrics", "Method Not Allowed\n", "text/plain; charset=utf-8", 405},
		{"GET", "/v1/units", "404 page not found\n", "text/plain; charset=utf-8", 404},
		{"GET", "/metrics/x", "404 page not found\n", "text/plain; charset=utf-8", 404},
	} {
		a, body := s.ask(c.method, c.path)
		if a.StatusCode != c.code || body != c.body || a.Header.Get("Content-Type") != c.kind {
			t.Errorf("%s %s: %d, %s, %q", c.method, c.path, a.StatusCode, a.Header, body)
		}
		if c.method == "HEAD" && a.ContentLength != int64(len(want)) {
			t.Errorf("HEAD says that there are %d bytes of %d", a.ContentLength, len(want))
		}
	}
	long := s.connect("GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2*maxHeader))
	if a, err := http.ReadResponse(bufio.NewReader(long), nil); err != nil || a.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a long header: %v, %v", a, err)
	}
}

// TestAnEngineThatFails: the scrape fails with the cause, whole, and the next one is as good as ever.
func TestAnEngineThatFails(t *testing.T) {
	t.Parallel()
	f := newFake()
	var how atomic.Value
	how.Store("")
	err := engine.Errorf(engine.Unavailable, "cannot reach pintle: it does not run here")
	info, list := f.info, f.list
	f.info = func(ctx context.Context) (engine.Info, error) {
		switch how.Load() {
		case "info":
			return engine.Info{}, err
		case "hangs":
			<-ctx.Done()
			return engine.Info{}, engine.Errorf(engine.Unavailable, "cannot see the container: %v", ctx.Err())
		}
		return info(ctx)
	}
	f.list = func(ctx context.Context) ([]engine.Status, error) {
		if how.Load() == "list" {
			return nil, err
		}
		return list(ctx)
	}
	s := start(t, f, func(t *tuning) { t.collect = 100 * time.Millisecond })
	for kind, want := range map[string]string{
		"info": "cannot reach pintle: it does not run here\n", "list": "cannot reach pintle: it does not run here\n",
		"hangs": "cannot see the container: context deadline exceeded\n",
	} {
		how.Store(kind)
		if a, body := s.ask("GET", "/metrics"); a.StatusCode != http.StatusServiceUnavailable || body != want {
			t.Errorf("%s: %d %q", kind, a.StatusCode, body)
		}
	}
	how.Store("")
	if a, _ := s.ask("GET", "/metrics"); a.StatusCode != http.StatusOK {
		t.Errorf("after that: %d", a.StatusCode)
	}
}

// TestManyScrapesAtOnce: all are answered.
func TestManyScrapesAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, newFake(), func(t *tuning) { t.collect = time.Minute })
	var all sync.WaitGroup
	for range 3 * maxReaders {
		all.Go(func() {
			if a, body := s.ask("GET", "/metrics"); a.StatusCode != 200 || !strings.Contains(body, `pintle_build_info{version="1.2.3"} 1`) {
				t.Errorf("%d %q", a.StatusCode, body)
			}
		})
	}
	all.Wait()
}

// TestTooManyAtOnce: the engine is asked by few at a time, and who waits in vain for his turn is told so.
func TestTooManyAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		var asked atomic.Int64
		f.info = func(ctx context.Context) (engine.Info, error) {
			asked.Add(1)
			<-ctx.Done()
			return engine.Info{}, engine.Errorf(engine.Unavailable, "cannot see the container: it hangs")
		}
		h := handler(ofEngine(f), defaultTuning())
		answers := make(chan string, 2*maxScrapes)
		scrape := func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
			answers <- fmt.Sprint(w.Code, " ", w.Body)
		}
		for range cap(answers) {
			go scrape()
		}
		synctest.Wait()
		if asked.Load() != maxScrapes {
			t.Errorf("%d asked the engine at once, want %d", asked.Load(), maxScrapes)
		}
		for range cap(answers) {
			if got := <-answers; !strings.HasPrefix(got, "503 cannot ") {
				t.Errorf("who hangs, or waits, is told %q", got)
			}
		}
		s := &scraper{collect: ofEngine(f), turns: make(chan struct{})} // no turn is ever free
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if text, err := s.scrape(ctx); text != nil || err == nil || err.Error() != "cannot collect metrics: too many ask at once" {
			t.Errorf("%q, %v", text, err)
		}
	})
}

// TestSlowReaders: those who send half a request, or read nothing of a large answer, are let go of; others then get theirs.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	f := newFake()
	many := make([]engine.Status, 3000) // more than the buffers of a connection hold
	for i := range many {
		many[i] = engine.Status{Name: unit.Name(fmt.Sprintf("gateway@%d", i)), Kind: unit.Instance, State: unit.Up}
	}
	var large atomic.Bool
	f.list = func(context.Context) ([]engine.Status, error) {
		if large.Load() {
			return many, nil
		}
		return nil, nil
	}
	s := start(t, f, func(t *tuning) {
		t.request, t.write, t.idle = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
		t.collect = time.Minute
	})
	for range maxReaders + 4 {
		s.connect("GET /metrics HTTP/1.1\r\nHost: x\r\n")
	}
	s.connect("")
	if a, _ := s.ask("GET", "/metrics"); a.StatusCode != 200 {
		t.Errorf("after half requests: %d", a.StatusCode)
	}
	if n := s.l.most.Load(); n != maxReaders {
		t.Errorf("%d were served at once, want %d", n, maxReaders)
	}

	large.Store(true)
	want := len(metrics(sampleInfo(), many))
	var deaf []net.Conn
	for range 4 {
		deaf = append(deaf, s.connect("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"))
	}
	for _, c := range deaf {
		<-s.closed(c)
		if n, _ := io.Copy(io.Discard, c); n >= int64(want) {
			t.Errorf("an answer of %d bytes was given to who did not read it", want)
		}
	}
}

// TestEndsAtOnce: whoever is being served, and whatever is waited for, the end is the end, and no failure.
func TestEndsAtOnce(t *testing.T) {
	t.Parallel()
	f := newFake()
	asked := make(chan struct{}, 1)
	f.info = func(ctx context.Context) (engine.Info, error) {
		asked <- struct{}{}
		<-ctx.Done()
		return engine.Info{}, ctx.Err()
	}
	s := start(t, f, func(t *tuning) { t.collect, t.request = time.Hour, time.Hour })
	waiting := s.connect("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
	half := s.connect("GET /metrics HTTP/1.1\r\n")
	<-asked
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	for _, c := range []net.Conn{waiting, half} {
		if n, _ := io.Copy(io.Discard, c); n > 0 {
			t.Errorf("%d bytes were sent after the end", n)
		}
	}
	if c, err := net.Dial("tcp", s.address); err == nil {
		c.Close()
		t.Error("it still listens")
	}
}

// TestAListenerThatFails: that is the end of it, and a failure.
func TestAListenerThatFails(t *testing.T) {
	t.Parallel()
	if err := Serve(t.Context(), broken{}, newFake()); err == nil || err.Error() != "it is broken" {
		t.Errorf("%v", err)
	}
}

type broken struct{ net.Listener }

func (broken) Accept() (net.Conn, error) { return nil, errors.New("it is broken") }
func (broken) Close() error              { return nil }
func (broken) Addr() net.Addr            { return &net.TCPAddr{} }
