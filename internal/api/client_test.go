package api

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// owned is the options of a server whose user runs the test.
func owned() Options { return Options{UID: os.Getuid()} }

// Every method of the engine arrives, and what it returns comes back unchanged.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	h := open(t, sample(), owned(), nil)
	c, ctx := h.client(t), t.Context()

	info, err := c.Info(ctx)
	if diff := cmp.Diff(h.engine.info, info); diff != "" || err != nil {
		t.Error(diff, err)
	}
	all, err := c.List(ctx)
	if diff := cmp.Diff(h.engine.units, all); diff != "" || err != nil {
		t.Error(diff, err)
	}
	gateway := h.engine.units[2]
	call := func(s engine.Status, err error) {
		t.Helper()
		if diff := cmp.Diff(gateway, s); diff != "" || err != nil {
			t.Error(diff, err)
		}
	}
	call(c.Get(ctx, "gateway@a"))
	call(c.Start(ctx, "gateway@a"))
	call(c.Stop(ctx, "gateway@a"))
	call(c.Restart(ctx, "gateway@a"))
	call(c.Remove(ctx, "gateway@a"))
	call(c.Signal(ctx, "gateway@a", 10))
	call(c.Signal(ctx, "gateway@a", 40)) // a signal without a name
	s, created, err := c.Create(ctx, engine.CreateRequest{Name: "gateway@a", Down: true})
	call(s, err)
	if created {
		t.Error("an instance that was there is said to be created")
	}
	s, created, err = c.Create(ctx, engine.CreateRequest{Name: "gateway@new"})
	if err != nil || !created || s.Name != "gateway@new" {
		t.Errorf("create: %v, %v, %v", s, created, err)
	}
	for _, dry := range []bool{false, true} {
		changes, err := c.Reload(ctx, engine.ReloadRequest{DryRun: dry})
		if diff := cmp.Diff(h.engine.changed, changes); diff != "" || err != nil {
			t.Error(diff, err)
		}
	}
	want := []string{"start", "stop", "restart", "remove", "signal-10", "signal-40", "create-down", "create", "reload", "reload-dry"}
	for i, call := range h.engine.told() {
		if verb, _, _ := strings.Cut(call, " "); verb != want[i] {
			t.Errorf("call %d is %s, want %s", i, call, want[i])
		}
	}
	if a := h.engine.last; a.Kind != "peer" || a.UID != uint32(os.Getuid()) || a.PID != int32(os.Getpid()) || a.Command == "" {
		t.Errorf("the actor is %+v", a)
	}
}

// An error comes back as it is: its kind and its sentence.
func TestErrorsComeBack(t *testing.T) {
	t.Parallel()
	h := open(t, sample(), owned(), nil)
	c, ctx := h.client(t), t.Context()
	_, err := c.Stop(ctx, "nosuch@x")
	if engine.KindOf(err) != engine.NotFound || err.Error() != "cannot find nosuch@x: there is no such unit" {
		t.Errorf("stop of what is not there: %v", err)
	}
	// What is wrong with a configuration has many lines, more than a request may have.
	wrong := strings.Repeat("/etc/pintle/pintle.yaml:1:1: unknown key \"x\"\n", 4000)
	h.engine.refusal = engine.Errorf(engine.Invalid, "%s", wrong)
	if _, err := c.Reload(ctx, engine.ReloadRequest{}); engine.KindOf(err) != engine.Invalid || err.Error() != wrong {
		t.Errorf("a reload of what is not valid: %.200v", err)
	}
	for _, bad := range []unit.Name{"", "..", "a/b", "a?b=c", "a\n"} {
		if _, err := c.Stop(ctx, bad); engine.KindOf(err) != engine.Invalid {
			t.Errorf("stop of %q: %v", bad, err)
		}
		for _, err := range c.Logs(ctx, engine.LogRequest{Name: bad}) {
			if engine.KindOf(err) != engine.Invalid {
				t.Errorf("logs of %q: %v", bad, err)
			}
		}
	}
	for _, kind := range []engine.ErrorKind{engine.Invalid, engine.NotFound, engine.Denied, engine.Conflict, engine.Unavailable, engine.Internal} {
		e := sample()
		e.units = nil
		e.fails = make(chan error, 1)
		e.fails <- engine.Errorf(kind, "cannot watch: %s", kind)
		c := open(t, e, owned(), nil).client(t)
		for _, err := range c.Watch(ctx) { // before anything was sent: the error is the answer
			if engine.KindOf(err) != kind || err.Error() != "cannot watch: "+string(kind) {
				t.Errorf("kind %s came back as %v (%s)", kind, err, engine.KindOf(err))
			}
		}
	}
}

// A watch yields what there is, then changes, also the last one of a unit that
// is removed; it ends when the caller stops, and then the engine's does too.
func TestWatch(t *testing.T) {
	t.Parallel()
	e := sample()
	e.changes, e.ended = make(chan engine.Status), make(chan struct{}, 1)
	c := open(t, e, owned(), nil).client(t)
	gone := engine.Status{Name: "gateway@a", Kind: unit.Instance, State: unit.Down, Gone: true}
	n := 0
	for s, err := range c.Watch(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if n == len(e.units) {
			e.changes <- gone
		}
		if n > len(e.units) {
			if diff := cmp.Diff(gone, s); diff != "" {
				t.Error(diff)
			}
			break
		}
		if diff := cmp.Diff(e.units[n-1], s); diff != "" {
			t.Error(diff)
		}
	}
	<-e.ended
}

// A stream whose context ends, ends without an error.
func TestWatchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for _, units := range [][]engine.Status{sample().units, nil} { // in mid-stream; before the first line
		e := sample()
		e.units, e.began, e.ended = units, make(chan struct{}, 1), make(chan struct{}, 1)
		c := open(t, e, owned(), nil).client(t)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-e.began
			cancel()
		}()
		for _, err := range c.Watch(ctx) {
			if err != nil {
				t.Error(err)
			}
		}
		<-e.ended
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	e := sample()
	e.kept = nil
	for i := range uint64(5) {
		e.kept = append(e.kept, engine.Line{Unit: "gateway@a", Seq: i, Text: "line", Time: time.Unix(int64(i), 0).UTC()})
	}
	e.lines = make(chan engine.Line, 1)
	c := open(t, e, owned(), nil).client(t)
	for tail, want := range map[int]int{-1: 5, 0: 0, 2: 2, 9: 5} {
		n := 0
		for l, err := range c.Logs(t.Context(), engine.LogRequest{Name: "gateway@a", Tail: tail}) {
			if diff := cmp.Diff(e.kept[5-want+n], l); diff != "" || err != nil {
				t.Fatal(diff, err)
			}
			n++
		}
		if n != want {
			t.Errorf("tail %d: %d lines, want %d", tail, n, want)
		}
	}
	e.lines <- engine.Line{Seq: 6, Text: "new\x1b"}
	for l, err := range c.Logs(t.Context(), engine.LogRequest{Name: "gateway@a", Follow: true}) {
		if err != nil || l.Text != "new\x1b" {
			t.Errorf("%q, %v", l.Text, err)
		}
		break
	}
	for _, err := range c.Logs(t.Context(), engine.LogRequest{Name: "gateway@nosuch"}) {
		if engine.KindOf(err) != engine.NotFound {
			t.Error(err)
		}
	}
}

// A stream that fails after it has begun says why; one that is cut off is Unavailable.
func TestBrokenStreams(t *testing.T) {
	t.Parallel()
	for what, broken := range map[string]struct {
		breakIt func(h *house)
		kind    engine.ErrorKind
	}{
		"the engine fails":      {func(h *house) { h.engine.fails <- engine.Errorf(engine.Conflict, "cannot watch: no") }, engine.Conflict},
		"another kind of error": {func(h *house) { h.engine.fails <- errors.New("cannot watch: no") }, engine.Internal},
		"the server ends":       {func(h *house) { h.server.Shutdown(context.Background()) }, engine.Unavailable},
		"the server is cut":     {func(h *house) { h.server.http.Close() }, engine.Unavailable},
	} {
		e := sample()
		e.fails = make(chan error, 1)
		h := open(t, e, owned(), nil)
		c := h.client(t)
		var last error
		n := 0
		for _, err := range c.Watch(t.Context()) {
			if n++; n == len(e.units) {
				go broken.breakIt(h)
			}
			last = err
		}
		if n != len(e.units)+1 || engine.KindOf(last) != broken.kind {
			t.Errorf("%s: %d lines, then %v", what, n, last)
		}
	}
}

// Where no supervisor answers, every method says so with kind Unavailable.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	h := open(t, sample(), owned(), nil)
	c := h.client(t)
	h.server.Close()
	check := func(err error) {
		t.Helper()
		if _, ok := errors.AsType[*engine.Error](err); !ok || engine.KindOf(err) != engine.Unavailable || !strings.HasPrefix(err.Error(), "cannot reach pintle: ") {
			t.Errorf("%T %v", err, err)
		}
	}
	ctx := t.Context()
	_, err := c.Info(ctx)
	check(err)
	_, err = c.List(ctx)
	check(err)
	_, _, err = c.Create(ctx, engine.CreateRequest{Name: "a@b"})
	check(err)
	_, err = c.Signal(ctx, "a@b", 1)
	check(err)
	for _, err := range c.Watch(ctx) {
		check(err)
	}
	for _, err := range c.Logs(ctx, engine.LogRequest{Name: "a"}) {
		check(err)
	}
	_, err = Dial(ctx, DialOptions{Getenv: none, Candidates: []string{h.dir}})
	check(err)
}

// A server that is no pintle is Unavailable, and not believed.
func TestOtherServers(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi!",
		"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n{}",
		"220 smtp ready\r\n",
		"",
	} {
		l, path, err := Listen(ListenOptions{Getenv: none, Candidates: []string{t.TempDir()}})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Read(make([]byte, 4096))
				c.Write([]byte(answer))
				c.Close()
			}
		}()
		c, err := Dial(t.Context(), DialOptions{Getenv: func(key string) string { return map[string]string{socketVariable: path}[key] }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Info(t.Context()); engine.KindOf(err) != engine.Unavailable {
			t.Errorf("answer %.20q: %v", answer, err)
		}
		for _, err := range c.Watch(t.Context()) {
			if engine.KindOf(err) != engine.Unavailable {
				t.Errorf("answer %.20q to a watch: %v", answer, err)
			}
		}
		c.Close()
		l.Close()
		<-done
	}
}

// A full queue of connections is waited for.
func TestBusyServer(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/s"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := shrinkQueue(l); err != nil {
		t.Fatal(err)
	}
	var queued []net.Conn
	for {
		c, err := net.Dial("unix", path)
		if err != nil {
			break
		}
		defer c.Close()
		queued = append(queued, c)
	}
	got := make(chan error, 1)
	go func() {
		c, err := dial(t.Context(), path, path)
		if err == nil {
			c.Close()
		}
		got <- err
	}()
	for range queued {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}
