package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
)

// shrinkQueue makes l's queue of connections as short as it gets.
func shrinkQueue(l net.Listener) error {
	raw, err := l.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.Listen(int(fd), 0) }); err != nil {
		return err
	}
	return failed
}

// A request can choose a name, a desired state and a signal; all else is refused, and changes nothing.
func TestForms(t *testing.T) {
	t.Parallel()
	h := open(t, sample(), owned(), nil)
	huge := `{"down":` + strings.Repeat(" ", maxBody) + `true}`
	type form struct {
		question
		code int
		call string
	}
	const a = "/v1/units/gateway@a"
	forms := []form{
		{question{"PUT", a, `{"down":true}`}, 200, "create-down"},
		{question{"PUT", a, ``}, 200, "create"},
		{question{"PUT", a, `{}` + "\n"}, 200, "create"},
		{question{"POST", a + "/signal", `{"signal":"sigusr1"}`}, 200, "signal-10"},
		{question{"POST", a + "/signal", `{"signal":"10"}`}, 200, "signal-10"},
		{question{"PUT", a, `{"name":"gateway@b"}`}, 400, ""},
		{question{"PUT", a, `{"down":true,"down2":1}`}, 400, ""},
		{question{"PUT", a, `{"down":"yes"}`}, 400, ""},
		{question{"PUT", a, `[]`}, 400, ""},
		{question{"PUT", a, `"x"`}, 400, ""},
		{question{"PUT", a, `{"down":true}{"down":false}`}, 400, ""},
		{question{"PUT", a, `{"down":true} x`}, 400, ""},
		{question{"PUT", a, `{"down":true`}, 400, ""},
		{question{"PUT", a, `down=true`}, 400, ""},
		{question{"PUT", a, "\x00"}, 400, ""},
		{question{"PUT", a, huge}, 400, ""},
		{question{"PUT", a, `{}` + strings.Repeat(" ", maxBody)}, 400, ""},
		{question{"PUT", a, strings.Repeat("[", 10000)}, 400, ""},
		{question{"PUT", a + "?down=true", ``}, 400, ""},
		{question{"POST", a + "/signal", ``}, 400, ""},
		{question{"POST", a + "/signal", `{"signal":"NOSUCH"}`}, 400, ""},
		{question{"POST", a + "/signal", `{"signal":9}`}, 400, ""},
		{question{"POST", a + "/signal", `{"signal":"0"}`}, 400, ""},
		{question{"POST", a + "/signal", `{"signal":"65"}`}, 400, ""},
		{question{"POST", a + "/signal?signal=9", `{"signal":"9"}`}, 400, ""},
		{question{"POST", a + "/start", `{}`}, 400, ""},
		{question{"POST", a + "/start?user=root", ``}, 400, ""},
		{question{"DELETE", a, `{}`}, 400, ""},
		{question{"GET", a + "/logs?tail=x", ``}, 400, ""},
		{question{"GET", a + "/logs?tail=1&tail=2", ``}, 400, ""},
		{question{"GET", a + "/logs?follow=maybe", ``}, 400, ""},
		{question{"GET", a + "/logs?unit=main", ``}, 400, ""},
		{question{"GET", a + "/logs?tail=%zz", ``}, 400, ""},
		{question{"GET", a + "/logs?tail=1;follow=true", ``}, 400, ""},
		{question{"GET", a + "/logs?after=-1", ``}, 400, ""},
		{question{"GET", a + "/logs?since=yesterday", ``}, 400, ""},
		{question{"GET", a + "/logs?until=2026-11-23", ``}, 400, ""},
		{question{"GET", a + "/logs?run=last", ``}, 400, ""},
		{question{"GET", a + "/logs?cursor=x", ``}, 400, ""},
		{question{"GET", a + "/logs?tail=7&follow=false&after=18446744073709551615&since=2026-11-23T10:00:00.000001Z&until=2026-11-23T10:00:00%2B01:00&run=-1", ``}, 200, "logs-7"},
		{question{"POST", "/v1/logs", `{"units":[{"unit":"gateway@a","tail":5}]}`}, 200, "logs-5"},
		{question{"POST", "/v1/logs", ``}, 400, ""},
		{question{"POST", "/v1/logs", `{"units":[]}`}, 400, ""},
		{question{"POST", "/v1/logs", `{"units":[{"unit":"../x"}]}`}, 400, ""},
		{question{"POST", "/v1/logs", `{"units":[{"tail":1}]}`}, 400, ""},
		{question{"POST", "/v1/logs", `{"units":[{"unit":"gateway@a"},{"unit":"gateway@a"}]}`}, 400, ""},
		{question{"POST", "/v1/logs", `{"units":[{"unit":"gateway@a","tail":"1"}]}`}, 400, ""},
		{question{"POST", "/v1/logs", `{"units":[{"unit":"gateway@a","command":"x"}]}`}, 400, ""},
		{question{"POST", "/v1/logs?tail=1", `{"units":[{"unit":"gateway@a"}]}`}, 400, ""},
		{question{"POST", "/v1/logs", `{"units":[` + strings.Repeat(`{"unit":"gateway@a"},`, 4000) + `{"unit":"gateway@a"}]}`}, 400, ""},
		{question{"GET", "/v1/logs", ``}, 405, ""},
		{question{"GET", a + "/runs?limit=x", ``}, 400, ""},
		{question{"GET", a + "/runs?tail=1", ``}, 400, ""},
		{question{"GET", "/v1/units?x", ``}, 400, ""},
		{question{"GET", "/", ``}, 404, ""},
		{question{"GET", "/v1", ``}, 404, ""},
		{question{"GET", "/v2/info", ``}, 404, ""},
		{question{"GET", "/v1/units/", ``}, 404, ""},
		{question{"GET", a + "/", ``}, 404, ""},
		{question{"POST", a + "/kill", ``}, 404, ""},
		{question{"GET", "//v1/info", ``}, 404, ""},
		{question{"GET", "/v1/../v1/info", ``}, 404, ""},
		{question{"GET", "/debug/pprof/", ``}, 404, ""},
		{question{"POST", "/v1/info", ``}, 405, ""},
		{question{"HEAD", "/v1/watch", ``}, 405, ""},
		{question{"OPTIONS", a, ``}, 405, ""},
		{question{"PATCH", a, `{}`}, 405, ""},
		{question{"GET", a + "/start", ``}, 405, ""},
		{question{"CONNECT", a + "/start", ``}, 405, ""},
		{question{"FROB", "/v1/units", ``}, 405, ""},
	}
	for _, f := range forms {
		answers, err := askAll(task{Socket: h.socket, Requests: []question{f.question}})
		if err != nil {
			t.Errorf("%s %s %.40q: %v", f.Method, f.Path, f.Body, err)
			continue
		}
		if got := answers[0]; got.Code != f.code {
			t.Errorf("%s %s %.40q: %d, want %d: %s", f.Method, f.Path, f.Body, got.Code, f.code, got.Body)
		} else if got.Code >= 400 && f.Method != "HEAD" {
			checkError(t, got)
		}
		calls := strings.Join(h.engine.told(), "; ")
		if verb, _, _ := strings.Cut(calls, " "); verb != f.call {
			t.Errorf("%s %s %.40q: the engine was told %q, want %q", f.Method, f.Path, f.Body, calls, f.call)
		}
	}
}

// A body of a gigabyte costs the server 64 KiB.
func TestHugeBody(t *testing.T) {
	t.Parallel()
	h := open(t, sample(), owned(), nil)
	for _, head := range []string{"Content-Length: 1073741824", "Transfer-Encoding: chunked"} {
		c := h.dial(t)
		fmt.Fprintf(c, "PUT /v1/units/gateway@a HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", head)
		if strings.HasPrefix(head, "Transfer") {
			io.WriteString(c, "40000000\r\n")
		}
		sent := make(chan int64)
		go func() {
			n, _ := io.Copy(c, io.LimitReader(spaces{}, 1<<30))
			sent <- n
		}()
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 400 {
			t.Fatalf("%s: %v, %v", head, resp, err)
		}
		if n := <-sent; n > 4<<20 {
			t.Errorf("%s: the server took %d bytes", head, n)
		}
	}
	if calls := h.engine.told(); calls != nil {
		t.Error(calls)
	}
}

type spaces struct{}

func (spaces) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

// Headers without end, and heads and bodies that stop half-way, cost a connection for a bounded time.
func TestHalfRequests(t *testing.T) {
	t.Parallel()
	h := open(t, sample(), owned(), func(n *tuning) {
		n.header, n.request, n.idle = 50*time.Millisecond, 100*time.Millisecond, 50*time.Millisecond
	})
	for _, text := range []string{
		"",
		"GET /v1/in",
		"GET /v1/info HTTP/1.1\r\nHost: x\r\nX: ",
		"GET /v1/info HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2*maxHeader),
		"PUT /v1/units/gateway@a HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n{\"down\":",
		"GET /v1/info HTTP/1.1\r\nHost: x\r\n\r\n", // and nothing after it
		"\x16\x03\x01\x02\x00\x01\x00\x01",
	} {
		c := h.dial(t)
		go io.WriteString(c, text)
		if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset by peer") {
			t.Errorf("%.30q: %v", text, err)
		}
	}
	if calls := h.engine.told(); calls != nil {
		t.Error(calls)
	}
}

// Root gets an answer while uid 10000 holds as many connections as it can, silent or half-way through a request.
func TestFloodLeavesRoomForOwners(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for _, send := range []string{"", "GET /v1/in", "GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n"} {
		h := open(t, sample(), rules(t), nil)
		r, end := as(t, user{uid: 10000, gid: 10000}, "flood", task{Socket: h.socket, N: 1000, Keep: 64, Send: send})
		if r.Err != "" {
			t.Fatal(r.Err)
		}
		if _, err := h.client(t).Info(t.Context()); err != nil {
			t.Errorf("flooded with %.12q: %v", send, err)
		}
		other, _ := as(t, user{uid: 12345, gid: 12345}, "ask", task{Socket: h.socket, Requests: []question{{Method: "GET", Path: "/v1/units"}}})
		if other.Err != "" {
			t.Errorf("flooded with %.12q, another user: %v", send, other.Err)
		}
		end()
	}
}

// The numbers of the gate: others together, one other alone, owners up to the total; what leaves makes room.
func TestGateLimits(t *testing.T) {
	t.Parallel()
	g := &gate{limits: limits{total: 6, others: 4, perUID: 3}, owner: func(uid uint32) bool { return uid == 0 }, open: map[uint32]int{}}
	enter := func(uid uint32, want bool) {
		t.Helper()
		if got := g.enter(uid); got != want {
			t.Errorf("enter(%d) = %v", uid, got)
		}
	}
	for range 3 {
		enter(1, true)
	}
	enter(1, false)
	enter(2, true)
	enter(2, false)
	enter(3, false)
	enter(0, true)
	enter(0, true)
	enter(0, false)
	g.leave(1)
	enter(3, true)
	enter(1, false)
	g.leave(0)
	enter(2, false)
	enter(0, true)
	for _, uid := range []uint32{0, 0, 1, 1, 2, 3} {
		g.leave(uid)
	}
	if g.total != 0 || g.others != 0 || len(g.open) != 0 {
		t.Errorf("everybody has left, and %d, %d, %v are counted", g.total, g.others, g.open)
	}
}

// A peer that does not read is let go, in a stream and in a long answer, and the engine's stream ends.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	e := sample()
	for range 20000 { // more than the kernel holds for a reader
		e.units = append(e.units, e.units[0])
	}
	e.ended = make(chan struct{}, 1)
	h := open(t, e, owned(), func(n *tuning) { n.write = 100 * time.Millisecond })

	fmt.Fprint(h.dial(t), "GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n")
	<-e.ended

	before := h.closed.Load()
	c := h.dial(t)
	fmt.Fprint(c, "GET /v1/units HTTP/1.1\r\nHost: x\r\n\r\n")
	waitFor(t, func() bool { return h.closed.Load() > before })
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	if err == nil {
		t.Error("an answer that nobody read came whole")
	}
}

// waitFor returns when the condition holds.
func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.After(20 * time.Second); !holds(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("it does not come to pass")
		}
	}
}

// A stream outlives the time that a request may take, shows that it lives, and still yields.
func TestStreamLivesOn(t *testing.T) {
	t.Parallel()
	e := sample()
	e.units, e.changes = nil, make(chan engine.Status)
	h := open(t, e, owned(), func(n *tuning) {
		n.header, n.request, n.write, n.idle = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
		n.beat = 20 * time.Millisecond
	})
	c := h.dial(t)
	fmt.Fprint(c, "GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(resp.Body)
	for range 10 {
		if line, err := in.ReadString('\n'); line != "\n" || err != nil {
			t.Fatalf("%q, %v", line, err)
		}
	}
	e.changes <- engine.Status{Name: "x"}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line != "\n" {
			if s := decodeStatus(t, line); s.Name != "x" {
				t.Error(line)
			}
			return
		}
	}
}

// A peer that goes away ends its stream in the engine, also when nothing happens.
func TestPeerGoesAway(t *testing.T) {
	t.Parallel()
	e := sample()
	e.began, e.ended = make(chan struct{}, 1), make(chan struct{}, 1)
	h := open(t, e, owned(), nil)
	c := h.dial(t)
	fmt.Fprint(c, "GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n")
	<-e.began
	c.Close()
	<-e.ended
}

// Shutdown is over by the end of its context, whatever silent peers do.
func TestShutdownIsBounded(t *testing.T) {
	t.Parallel()
	h := open(t, sample(), owned(), nil)
	c := h.dial(t)
	if _, err := h.client(t).Info(t.Context()); err != nil { // so that the silent one has been accepted too
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := h.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset by peer") {
		t.Error(err)
	}
}

func TestSanitise(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"agent":                 "agent",
		"a\x1b[31m\nb\x00":      "a?[31m?b?",
		"é":                     "??",
		strings.Repeat("x", 99): strings.Repeat("x", 64),
	} {
		if got := sanitise(in); got != want {
			t.Errorf("sanitise(%q) = %q, want %q", in, got, want)
		}
	}
}

// Whatever is asked: a stranger never reaches a verb of the engine, a manager
// only with units of his template, and every refusal is an engine.Error.
func FuzzRequest(f *testing.F) {
	for _, s := range []question{
		{"GET", "/v1/units", ""}, {"PUT", "/v1/units/gateway@a", `{"down":true}`}, {"POST", "/v1/units/gateway%40a/start", ""},
		{"POST", "/v1/units/worker@a/signal", `{"signal":"HUP"}`}, {"GET", "/v1/units/gateway@a/logs?tail=1&follow=false", ""},
		{"DELETE", "/v1/units/..%2fgateway@a", ""}, {"PUT", "/v1//units/gateway@a/../worker@a", "{}"}, {"OPTIONS", "*", ""},
		{"POST", "/v1/units/main/stop", ""}, {"PUT", "/v1/units/gateway@\x00", `{"command":["sh"]}`},
	} {
		f.Add(s.Method, s.Path, s.Body)
	}
	o := rules(f)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		o := o
		for _, who := range []peer{{uid: 12345}, {uid: 10000}, {uid: 12346, gids: []uint32{20000}}} {
			e := sample()
			e.fails = make(chan error, 1)
			e.fails <- engine.Errorf(engine.Internal, "cannot follow: enough") // so that streams end
			o.Engine = e
			s := NewServer(o)
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(
				fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body))))
			if err != nil {
				return // net/http refuses it before the server sees it
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(&recorder{w}, r.WithContext(withPeer(r.Context(), who)))
			for _, call := range e.told() {
				name := strings.Fields(call)[1]
				if who.uid == 12345 || !strings.HasPrefix(name, "gateway@") {
					t.Errorf("uid %d: %s %s %s: the engine was told %s", who.uid, method, path, body, call)
				}
			}
			if w.Code >= 400 {
				checkError(t, answer{w.Code, w.Body.String()})
			} else if who.uid == 12345 && strings.Contains(w.Body.String(), "SECRET") {
				t.Errorf("a stranger sees %s", w.Body)
			}
		}
	})
}

// recorder is a ResponseRecorder with the deadlines of a connection.
type recorder struct{ *httptest.ResponseRecorder }

func (*recorder) SetReadDeadline(time.Time) error  { return nil }
func (*recorder) SetWriteDeadline(time.Time) error { return nil }
