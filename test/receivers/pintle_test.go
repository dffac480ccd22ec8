package receivers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pen is what a unit writes: what is put into a pipe that it reads.
type pen struct {
	t    *testing.T
	file *os.File
	at   int
}

// writes is the command of a unit that writes what a pen does.
const writes = `[/bin/sh, -c, "exec cat 0<>DIR/pen"]`

func (h *house) pen() *pen {
	h.t.Helper()
	path := filepath.Join(h.dir, "pen")
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { f.Close() })
	return &pen{t: h.t, file: f}
}

// write writes the next n lines.
func (p *pen) write(n int) {
	p.t.Helper()
	for range n {
		p.at++
		if _, err := fmt.Fprintf(p.file, "line %d\n", p.at); err != nil {
			p.t.Fatal(err)
		}
	}
}

// flow writes 200 lines a second for so long.
func (p *pen) flow(d time.Duration) {
	p.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range d / (5 * time.Millisecond) {
		<-tick.C
		p.write(1)
	}
}

// far is a receiver that can go away and come back.
type far interface {
	start()
	kill()
	got() []string
}

// web is a receiver over HTTP, at one address.
type web struct {
	*collected
	t       *testing.T
	address string
	server  *http.Server
}

func newWeb(t *testing.T, read func(*testing.T, *http.Request, []byte) []string) *web {
	w := &web{collected: &collected{t: t, read: read}, t: t, address: fmt.Sprintf("127.0.0.1:%d", freePort(t))}
	t.Cleanup(w.kill)
	return w
}

func (w *web) start() {
	l, err := net.Listen("tcp", w.address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.server = &http.Server{Handler: w.collected}
	go func() { _ = w.server.Serve(l) }()
}

// kill answers what it has taken, so that lines which come twice are the forwarder's fault.
func (w *web) kill() { _ = w.server.Shutdown(context.Background()) }

// numbers says how far the lines that arrived go on without one being missing, and how often one came again.
func numbers(t *testing.T, name string, lines []string) (last, again int) {
	t.Helper()
	for _, l := range lines {
		var n int
		if at := strings.LastIndex(l, "line "); at < 0 {
			continue // pintle's own words
		} else if _, err := fmt.Sscanf(l[at:], "line %d", &n); err != nil {
			continue // its receiver was killed in the middle of a line
		}
		switch {
		case n == last+1:
			last = n
		case n <= last:
			again++
		default:
			t.Fatalf("%s has line %d after line %d", name, n, last)
		}
	}
	return last, again
}

// downtime is how long receivers are away: seconds, or what PINTLE_FORWARD_TEST_DOWNTIME says.
func downtime(t *testing.T) time.Duration {
	text := os.Getenv("PINTLE_FORWARD_TEST_DOWNTIME")
	if text == "" {
		return 3 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestForwardsWhatComesMay: what a real pintle's unit writes, 200 lines a second, arrives at every kind of receiver, once and
// in order, while these are away and come back, while the forwarder ends, is killed and started anew, and while pintle is.
// It is forwarded by nobody, whom log.readers names.
func TestForwardsWhatComesMay(t *testing.T) {
	t.Parallel()
	tcp, local := newRsyslog(t), newRsyslog(t)
	otlp, loki := newWeb(t, readOTLP), newWeb(t, readLoki)
	receivers := map[string]far{
		tcp.url("tcp"): tcp, local.url("unix"): local, "otlp+http://" + otlp.address: otlp, "loki+http://" + loki.address: loki,
	}
	var urls []string
	for url, r := range receivers {
		urls = append(urls, url)
		r.start()
	}
	h := newHouse(t, `
main: {command: [sleep, infinity]}
log: {readers: [nobody], console: none}
services:
  web: {command: `+writes+`}
`)
	// Datagram sockets and their directory are the receiver's: anybody may send there.
	if err := os.Chmod(filepath.Join(local.dir, "log"), 0o666); err != nil {
		t.Fatal(err)
	}
	p := h.pen()
	f := h.forward(urls...)
	arrived := func(what string, twice bool) {
		t.Helper()
		for url, r := range receivers {
			eventually(t, fmt.Sprintf("%s: %s has all %d lines", what, url, p.at), func() bool {
				last, _ := numbers(t, url, r.got())
				return last == p.at
			})
			if _, again := numbers(t, url, r.got()); again > 0 && !twice && strings.Contains(url, "http") {
				t.Errorf("%s: %s has %d lines twice", what, url, again)
			}
		}
	}
	p.write(100)
	arrived("at first", false)

	for _, r := range receivers {
		r.kill()
	}
	began := time.Now()
	p.flow(downtime(t))
	away := time.Since(began)
	most := f.metric(t, "pintle_forward_queued_bytes")
	if n := f.metric(t, "pintle_forward_failing"); n != len(urls) {
		t.Errorf("%d targets fail", n)
	}
	for _, r := range receivers {
		r.start()
	}
	if err := os.Chmod(filepath.Join(local.dir, "log"), 0o666); err != nil {
		t.Fatal(err)
	}
	p.flow(time.Second)
	arrived("after the receivers were away", false)
	eventually(t, "nothing is queued", func() bool { return f.metric(t, "pintle_forward_queued_lines") == 0 })
	if n := f.metric(t, "pintle_forward_dropped_lines_total"); n != 0 {
		t.Errorf("%d lines are lost", n)
	}
	t.Logf("%d receivers were away for %s; %d bytes were queued for them then; %d attempts failed; %s later each had all %d lines",
		len(urls), away.Round(time.Millisecond), most, f.metric(t, "pintle_forward_retries_total"), (time.Since(began) - away).Round(time.Millisecond), p.at)

	f.end(t, syscall.SIGTERM)
	if code := f.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the forwarder ended with %d", code)
	}
	p.flow(time.Second)
	f = h.forward(urls...)
	arrived("after the forwarder ended", false)

	p.write(50)
	f.end(t, syscall.SIGKILL)
	p.write(50)
	f = h.forward(urls...)
	arrived("after the forwarder was killed", true)

	h.pintle.end(t, syscall.SIGTERM)
	h.boot()
	p.flow(time.Second)
	arrived("after pintle was started anew", true)
	if n := f.metric(t, "pintle_forward_dropped_lines_total"); n != 0 {
		t.Errorf("%d lines are lost", n)
	}

	// Who is no reader hears so, once, and nothing of the lines.
	var none collected
	none.t, none.read = t, readLoki
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: &none}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	s := h.run(stranger, "forward", "--to", "loki+http://"+l.Addr().String())
	const refusal = ": uid 65533 may not: only root and log.readers (nobody) may, because "
	eventually(t, "a refusal", func() bool { return strings.Contains(s.stderr.String(), refusal) })
	p.flow(time.Second)
	s.end(t, syscall.SIGTERM)
	if text := s.stderr.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, " (nor those of another)") || len(none.got()) > 0 {
		t.Errorf("who may not read hears %q, and sends %d lines", text, len(none.got()))
	}
	arrived("at last", true)
}

// TestForwardsManyUnits: of a thousand units of a real pintle, those that write something are heard of by one who may have 64
// connections, and so is one that is made later.
func TestForwardsManyUnits(t *testing.T) {
	t.Parallel()
	r := newWeb(t, readOTLP)
	r.start()
	var names strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&names, "n%d, ", i)
	}
	h := newHouse(t, `
main: {command: [sleep, infinity]}
log: {readers: [nobody], console: none}
templates:
  job:
    command: [/bin/sh, -c, "echo here is %i; exec sleep infinity"]
    instances: {initial: down, max: 2000, always: [`+names.String()+`]}
`)
	f := h.forward("otlp+http://" + r.address)
	want := map[string]bool{}
	do := func(args ...string) {
		t.Helper()
		if text, err := h.command(args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", args, err, text)
		}
	}
	has := func() bool {
		all := strings.Join(r.got(), "\n") + "\n"
		for name := range want {
			if !strings.Contains(all, "here is "+name+"\n") {
				return false
			}
		}
		return true
	}
	for i := 0; i < 1000; i += 50 {
		want[fmt.Sprintf("n%d", i)] = true
		do("start", fmt.Sprintf("job@n%d", i))
	}
	eventually(t, "all that wrote are heard of", has)
	for i := range 5 {
		want[fmt.Sprintf("later%d", i)] = true
		do("create", fmt.Sprintf("job@later%d", i))
	}
	eventually(t, "those that came later are, too", has)
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", f.Process.Pid))
	sockets := 0
	for _, fd := range open {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "socket:") {
			sockets++
		}
	}
	if err != nil || sockets == 0 || sockets > 20 {
		t.Errorf("%v; it has %d sockets", err, sockets)
	}
	text, err := os.ReadFile(filepath.Join(h.dir, "forward", "cursors"))
	if err != nil || !json.Valid(text) {
		t.Errorf("%v; the cursors are %s", err, text)
	}
	t.Logf("%d lines of %d units by %d sockets", f.metric(t, "pintle_forward_sent_lines_total"), 1000+5, sockets)
}
