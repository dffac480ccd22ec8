package forward

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pintle/internal/engine"
)

// oneLine is a batch of one.
func oneLine(text string) []entry {
	return []entry{{line: engine.Line{Unit: "web", Run: 1, Seq: 1, Stream: engine.Stdout, Text: text}}}
}

// settles waits until a receiver has settled something, or has failed.
func settles(t *testing.T, w receiver) (int, error) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if n, err := w.settled(); n > 0 || err != nil {
			return n, err
		}
	}
	t.Fatal("it settles nothing")
	return 0, nil
}

// listener listens on a socket, and hands out the first connection.
func listener(t *testing.T, network, address string) (net.Listener, func() net.Conn) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, func() net.Conn {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

// TestAClosedConnection: that the other end has closed is noticed before anything else is written into the void.
func TestAClosedConnection(t *testing.T) {
	t.Parallel()
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "log")} {
		l, accept := listener(t, network, address)
		tuned := defaultTuning()
		tuned.settle = 10 * time.Millisecond
		w := newSyslog(Target{Transport: network, Address: l.Addr().String()}, "alpha", tuned)
		t.Cleanup(w.close)
		if err := w.send(context.Background(), oneLine("first")); err != nil {
			t.Fatal(err)
		}
		c := accept()
		if n, err := settles(t, w); n != 1 || err != nil {
			t.Errorf("%s: %d lines, %v", network, n, err)
		}
		if _, err := bufio.NewReader(c).Peek(10); err != nil {
			t.Error(err)
		}
		switch c := c.(type) { // it has ended orderly, and the kernel sees no fault in that
		case *net.TCPConn:
			_ = c.CloseWrite()
		case *net.UnixConn:
			_ = c.CloseWrite()
		}
		if _, err := settles(t, w); err == nil || !strings.HasSuffix(err.Error(), " closed the connection") {
			t.Errorf("%s: %v", network, err)
		}
	}
}

// TestStreamFraming: over TCP each message is behind its length, on a unix socket of streams each is a line.
func TestStreamFraming(t *testing.T) {
	t.Parallel()
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "log")} {
		l, accept := listener(t, network, address)
		w := newSyslog(Target{Transport: network, Address: l.Addr().String()}, "alpha", defaultTuning())
		batch := append(oneLine("first"), oneLine("")...)
		if err := w.send(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
		c := accept()
		w.close()
		got, err := io.ReadAll(c)
		first, second := string(appendSyslog(nil, "alpha", &batch[0], 0)), string(appendSyslog(nil, "alpha", &batch[1], 0))
		want := first + "\n" + second + "\n"
		if network == "tcp" {
			want = "116 " + first + "111 " + second
		}
		if err != nil || string(got) != want {
			t.Errorf("%s: %v\n got %q\nwant %q", network, err, got, want)
		}
	}
}

// TestWhatIsNotTaken: what the other end's kernel has not taken is not settled, however long ago it was sent; it is when
// that has it.
func TestWhatIsNotTaken(t *testing.T) {
	t.Parallel()
	l, accept := listener(t, "tcp", "127.0.0.1:0")
	tuned := defaultTuning()
	tuned.settle = time.Millisecond
	w := newSyslog(Target{Transport: "tcp", Address: l.Addr().String()}, "alpha", tuned)
	t.Cleanup(w.close)
	if err := w.send(context.Background(), oneLine("first")); err != nil {
		t.Fatal(err)
	}
	c := accept()
	settled, err := settles(t, w)
	if err != nil {
		t.Fatal(err)
	}
	// Nobody reads: the other end's buffer fills up, and the rest stays in ours.
	if err := w.conn.(*net.TCPConn).SetWriteBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	const batches = 5
	for range batches {
		if err := w.send(context.Background(), oneLine(strings.Repeat("x", 60<<10))); err != nil {
			t.Fatal(err)
		}
	}
	for last := w.sent[len(w.sent)-1].at; time.Since(last) < 10*tuned.settle; time.Sleep(tuned.settle) {
	}
	n, err := w.settled()
	if settled += n; err != nil || settled > batches {
		t.Errorf("%d of %d batches are settled, though nobody reads; %v", settled, batches+1, err)
	}
	go func() { _, _ = io.Copy(io.Discard, c) }()
	for settled < batches+1 {
		n, err := settles(t, w)
		if err != nil {
			t.Fatal(err)
		}
		settled += n
	}
}

// TestNobodyListens: a datagram that nobody took is not settled: that comes as news a little later.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	w := newSyslog(Target{Transport: "udp", Address: c.LocalAddr().String()}, "alpha", defaultTuning())
	t.Cleanup(w.close)
	if err := w.send(context.Background(), oneLine("first")); err != nil {
		t.Fatal(err)
	}
	if n, err := settles(t, w); n != 0 || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%d lines are settled, %v", n, err)
	}
}

// TestSettling: what was sent a moment ago may still be on its way to somebody who is gone.
func TestSettling(t *testing.T) {
	t.Parallel()
	l, accept := listener(t, "tcp", "127.0.0.1:0")
	tuned := defaultTuning()
	tuned.settle = time.Hour
	w := newSyslog(Target{Transport: "tcp", Address: l.Addr().String()}, "alpha", tuned)
	t.Cleanup(w.close)
	if err := w.send(context.Background(), oneLine("first")); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(accept()).Peek(10); err != nil {
		t.Fatal(err)
	}
	if n, err := w.settled(); n != 0 || err != nil {
		t.Errorf("%d lines are settled at once, %v", n, err)
	}
}
