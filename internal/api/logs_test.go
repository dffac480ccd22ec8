package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// everything is a request for lines with each of its members set.
func everything(name unit.Name) engine.LogRequest {
	run := -1
	return engine.LogRequest{
		Name: name, Tail: 3, Follow: true, After: 1<<64 - 1, Run: &run,
		Since: time.Date(2026, 11, 23, 9, 0, 0, 1000, time.UTC), Until: time.Date(2026, 11, 23, 9, 0, 0, 123456789, time.UTC),
	}
}

// Which lines are asked for arrives as it was asked, of one unit and of many, and what is not asked for is not there.
func TestLogRequestsArrive(t *testing.T) {
	t.Parallel()
	h := open(t, sample(), owned(), nil)
	c := h.client(t)
	h.engine.kept = []engine.Line{{Text: "a line, so that the stream can be left"}}
	read := func(stream func(func(engine.Line, error) bool)) {
		t.Helper()
		for _, err := range stream {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	for _, req := range []engine.LogRequest{everything("gateway@a"), {Name: "gateway@a", Tail: -1}} {
		h.engine.asked = nil
		read(c.Logs(t.Context(), req))
		if diff := cmp.Diff([]engine.LogRequest{req}, h.engine.asked); diff != "" {
			t.Error(diff)
		}
	}
	h.engine.asked = nil
	all := []engine.LogRequest{{Name: "dashboard", Tail: -1}, {Name: "gateway@a", Tail: 2, After: 9}, {Name: "worker@a", Tail: 1}}
	read(c.LogsOf(t.Context(), all))
	if diff := cmp.Diff(all, h.engine.asked); diff != "" {
		t.Error(diff)
	}
}

// Every byte of a line arrives, also what JSON cannot carry.
func TestBytesArrive(t *testing.T) {
	t.Parallel()
	e := sample()
	e.kept = []engine.Line{{Text: "\xff\x00\xfe"}, {Text: "é\x1b\u2028<&>"}, {Text: "\xc3", Partial: true}, {Text: ""}}
	c := open(t, e, owned(), nil).client(t)
	n := 0
	for l, err := range c.Logs(t.Context(), engine.LogRequest{Name: "gateway@a", Tail: -1}) {
		if diff := cmp.Diff(e.kept[n], l); diff != "" || err != nil {
			t.Error(diff, err)
		}
		n++
	}
	if n != len(e.kept) {
		t.Errorf("%d lines of %d", n, len(e.kept))
	}
	text, err := json.Marshal(toWire(e.kept[0]))
	if err != nil || !strings.Contains(string(text), `"text":"\ufffd\u0000\ufffd"`) {
		t.Errorf("other clients read %s, %v", text, err)
	}
}

// Many units are followed by one request, and more than one body has room for by a few: an ordinary user may have 64
// connections, and follows a thousand units.
func TestManyUnitsFewConnections(t *testing.T) {
	t.Parallel()
	h := open(t, sample(), owned(), nil)
	c := h.client(t)
	var reqs []engine.LogRequest
	h.engine.units = nil
	for i := range 1000 {
		req := everything(unit.Name(fmt.Sprintf("gateway@profile-number-%04d", i)))
		req.Follow = false
		reqs = append(reqs, req)
		h.engine.units = append(h.engine.units, engine.Status{Name: req.Name})
	}
	n := 0
	for _, err := range c.LogsOf(t.Context(), reqs) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if diff := cmp.Diff(reqs, h.engine.asked); diff != "" || n != 1000 {
		t.Errorf("%d lines; %.2000s", n, diff)
	}
	bodies, err := logsBodies(reqs)
	if err != nil || len(bodies) < 2 || len(bodies) > 8 {
		t.Errorf("%d requests, %v", len(bodies), err)
	}
	for _, b := range bodies {
		if text, err := json.Marshal(b); err != nil || len(text) > maxBody {
			t.Errorf("a body has %d bytes, %v", len(text), err)
		}
	}
	for _, err := range c.LogsOf(t.Context(), []engine.LogRequest{{Name: "../x"}}) {
		if engine.KindOf(err) != engine.Invalid {
			t.Error(err)
		}
	}
}

// A bad parameter has a sentence of its own.
func TestLogParameters(t *testing.T) {
	t.Parallel()
	h := open(t, sample(), owned(), nil)
	for query, want := range map[string]string{
		"tail=many":       "tail is no number",
		"follow=maybe":    "follow is neither true nor false",
		"after=-5":        "after is no line's number",
		"since=yesterday": "since is no time as in RFC 3339",
		"until=10m":       "until is no time as in RFC 3339",
		"run=1.5":         "run is no number",
	} {
		answers, err := askAll(task{Socket: h.socket, Requests: []question{{Method: "GET", Path: "/v1/units/gateway@a/logs?" + query}}})
		if err != nil {
			t.Fatal(err)
		}
		if want := "cannot read the logs of gateway@a: " + want + `"`; answers[0].Code != 400 || !strings.Contains(answers[0].Body, want) {
			t.Errorf("%s: %+v, want %s", query, answers[0], want)
		}
	}
}

// What broke off says that pintle has ended.
func TestBrokenOff(t *testing.T) {
	t.Parallel()
	e := sample()
	h := open(t, e, owned(), nil)
	var last error
	for _, err := range h.client(t).Logs(t.Context(), engine.LogRequest{Name: "gateway@a", Tail: -1, Follow: true}) {
		if last = err; err == nil {
			go h.server.http.Close()
		}
	}
	if want := "cannot reach pintle: the connection broke: it has ended, or was restarted"; last == nil || last.Error() != want {
		t.Errorf("got %v, want %s", last, want)
	}
}

// slowPeer is a peer who has not read more than he was given, and who counts how many lines came in one piece.
type slowPeer struct {
	*recorder
	lines atomic.Int64
	most  atomic.Int64 // of one piece
	// before is called before each piece.
	before func(written int64)
}

func (p *slowPeer) Write(b []byte) (int, error) {
	p.before(p.lines.Load())
	n := int64(bytes.Count(b, []byte{'\n'}))
	p.most.Store(max(p.most.Load(), n))
	p.lines.Add(n)
	return p.recorder.Write(b)
}

// A line leaves at once, and what comes while the peer takes it leaves together; what waits for a slow peer is bounded.
func TestFloodIsWrittenTogether(t *testing.T) {
	t.Parallel()
	const flood = 20000
	const most = 2*mostPending/50 + 2 // a line has more than 50 bytes
	numbers := defaultTuning()
	numbers.beat = time.Hour // which would take a line along that did not leave by itself
	s := newServer(Options{Engine: sample(), UID: 0}, numbers)
	var yielded atomic.Int64
	first := make(chan struct{})
	p := &slowPeer{recorder: &recorder{httptest.NewRecorder()}}
	p.before = func(written int64) {
		if written == 0 {
			close(first)
			waitFor(t, func() bool { return yielded.Load() > 100 }) // nobody waits for the first line to be taken
		}
		if n := yielded.Load(); n-written > most {
			t.Errorf("%d lines wait for the peer", n-written)
		}
	}
	lines := func(context.Context) iter.Seq2[engine.Line, error] {
		return func(yield func(engine.Line, error) bool) {
			for i := range uint64(flood) {
				yielded.Add(1)
				if !yield(engine.Line{Seq: i, Text: "a line of a flood"}, nil) {
					return
				}
				if i == 0 {
					<-first // it does not wait for company
				}
			}
		}
	}
	if err := pour(s, p, &request{Request: httptest.NewRequest("GET", "/", nil)}, lines, toWire); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(p.Body)
	for i := range uint64(flood) {
		l, err := line[logLine](in)
		if err != nil || l.Seq != i {
			t.Fatalf("line %d is %v, %v", i, l, err)
		}
	}
	if n := p.most.Load(); n < 99 { // those that had come before the first was taken
		t.Errorf("at most %d lines were written together", n)
	}
}
