package probe

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// errTime is the cause of the contexts that end in these tests.
var errTime = errors.New("took longer than a test may")

// patient is a context that is over before the test is, but not before an answer that comes at all.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Second, errTime)
	t.Cleanup(cancel)
	return ctx
}

// serve lets a function have each connection to a new port, until the test ends, and returns host:port. The connection
// is closed when the function returns, and at the test's end.
func serve(t *testing.T, each func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	over, end := context.WithCancel(context.Background())
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(over, func() { conn.Close() })()
				each(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		end()
		all.Wait()
	})
	return l.Addr().String()
}

// closed is a host:port on which nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}

// drain reads until the other side hangs up.
func drain(conn net.Conn) { io.Copy(io.Discard, conn) }

// answer reads a request, and writes text.
func answer(text string) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			io.WriteString(conn, text)
		}
	}
}

// says holds an error to its words, "" for a pass.
func says(t *testing.T, what string, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// TestTCP: passes where somebody listens, and says in words why not.
func TestTCP(t *testing.T) {
	heard := make(chan int64, 1)
	open := serve(t, func(conn net.Conn) {
		n, _ := io.Copy(io.Discard, conn)
		heard <- n
	})
	says(t, "open", TCP(open)(patient(t)), "")
	if n := <-heard; n != 0 { // and it has hung up
		t.Errorf("it said %d bytes", n)
	}
	shut := closed(t)
	says(t, "closed", TCP(shut)(patient(t)), shut+" refuses connections")
	says(t, "no port", TCP("127.0.0.1")(patient(t)), "cannot connect to 127.0.0.1: address 127.0.0.1: missing port in address")
	says(t, "no such port", TCP("127.0.0.1:70000")(patient(t)), "cannot connect to 127.0.0.1:70000: address 70000: invalid port")
}

// full is a host:port whose queue of connections is full: who connects to it hears nothing.
func full(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	err = errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0))
	if err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(c) })
		if err := unix.Connect(c, name); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
}

// TestAnswersInTime: a check ends with its context, wherever it is, and gives the context's cause.
func TestAnswersInTime(t *testing.T) {
	deaf := serve(t, drain)
	slow := serve(t, func(conn net.Conn) { // a header that never ends, a line at a time
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		for {
			if _, err := io.WriteString(conn, "X: y\r\n"); err != nil {
				return
			}
			if conn.SetReadDeadline(time.Now().Add(5*time.Millisecond)) != nil {
				return
			}
			if _, err := io.Copy(io.Discard, conn); err == nil {
				return
			}
		}
	})
	stuck := serve(t, func(conn net.Conn) {
		answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nso far")(conn)
		drain(conn)
	})
	for what, check := range map[string]Check{
		"TCP, full":                    TCP(full(t)),
		"HTTP, full":                   HTTP("http://" + full(t)),
		"HTTP, no answer":              HTTP("http://" + deaf),
		"HTTPS, no answer":             HTTP("https://" + deaf),
		"HTTP, slow header":            HTTP("http://" + slow),
		"HTTP, the body does not come": HTTP("http://" + stuck),
	} {
		t.Run(what, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errTime)
			defer cancel()
			says(t, what, check(ctx), errTime.Error())
		})
	}
}

// TestHTTP: the status decides, and what is no answer is told apart.
func TestHTTP(t *testing.T) {
	for what, test := range map[string]struct{ text, want string }{
		"200":                   {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ""},
		"200, until the end":    {"HTTP/1.0 200 OK\r\n\r\nok", ""},
		"200, chunked":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", ""},
		"204":                   {"HTTP/1.1 204 No Content\r\n\r\n", ""},
		"399":                   {"HTTP/1.1 399 ?\r\n\r\n", ""},
		"after a word":          {"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", ""},
		"101":                   {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "answered 101"},
		"400":                   {"HTTP/1.1 400 Bad Request\r\n\r\n", "answered 400"},
		"500":                   {"HTTP/1.1 500 \x1b[31mOh\r\nContent-Length: 2\r\n\r\nno", "answered 500"},
		"hangs up":              {"", "ADDRESS hung up before it had answered"},
		"hangs up in the head":  {"HTTP/1.1 200 OK\r\nX: y", "ADDRESS hung up before it had answered"},
		"hangs up in the body":  {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok", "ADDRESS hung up before it had answered"},
		"another protocol":      {"SSH-2.0-OpenSSH\r\n\x1b[2J", "answered, but not in HTTP"},
		"bad chunks":            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\x1b[2J\r\n", "answered, but not in HTTP"},
		"bad header":            {"HTTP/1.1 200 OK\r\n\x1b[2J\r\n\r\n", "answered, but not in HTTP"},
		"a header of 60 KiB":    {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 60<<10) + "\r\n\r\n", ""},
		"a header of 70 KiB":    {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70<<10) + "\r\n\r\n", "answered with too long a header"},
		"a megabyte of headers": {"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 1<<20/6) + "\r\n", "answered with too long a header"},
		"words without end":     {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1<<13), "answered with too long a header"},
	} {
		address := serve(t, answer(test.text))
		says(t, what, HTTP("http://"+address)(patient(t)), strings.ReplaceAll(test.want, "ADDRESS", address))
	}
	address := closed(t)
	says(t, "closed", HTTP("http://"+address+"/health")(patient(t)), address+" refuses connections")
}

// TestHTTPAsks: what a service sees is a plain request by pintle, on a connection of its own that ends with the answer.
func TestHTTPAsks(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://"+closed(t))
	t.Setenv("http_proxy", "http://"+closed(t))
	var connections, requests, redirected atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			redirected.Add(1)
			return
		}
		requests.Add(1)
		user, password, _ := r.BasicAuth()
		if r.Method != "GET" || r.RequestURI != "/health?a=b%20c" || r.UserAgent() != "pintle" || !r.Close ||
			r.Host != r.Context().Value(http.LocalAddrContextKey).(net.Addr).String() || user != "me" || password != "secret" {
			t.Errorf("asked %+v", r)
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	ended := make(chan struct{}, 3)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			connections.Add(1)
		case http.StateIdle:
			t.Error("a connection is kept")
		case http.StateClosed:
			ended <- struct{}{}
		}
	}
	server.Start()
	defer server.Close()
	check := HTTP(strings.Replace(server.URL, "http://", "http://me:secret@", 1) + "/health?a=b%20c#top")
	for range 3 {
		says(t, "redirect", check(patient(t)), "")
		<-ended
	}
	if c, r, e := connections.Load(), requests.Load(), redirected.Load(); c != 3 || r != 3 || e != 0 {
		t.Errorf("%d connections, %d requests, %d after a redirect; want 3, 3, 0", c, r, e)
	}
}

// TestEndlessBody: of 100 MB, hardly more is read than what counts, and the rest is not waited for.
func TestEndlessBody(t *testing.T) {
	for what, head := range map[string]string{
		"with a length": "Content-Length: 100000000\r\n\r\n",
		"until the end": "\r\n",
		"chunked":       "Transfer-Encoding: chunked\r\n\r\n",
	} {
		t.Run(what, func(t *testing.T) {
			wrote := make(chan int64, 1)
			address := serve(t, func(conn net.Conn) {
				answer("HTTP/1.1 200 OK\r\n" + head)(conn)
				var n int64
				for n < 100_000_000 {
					m, err := io.WriteString(conn, "8\r\n12345678\r\n")
					if n += int64(m); err != nil {
						break
					}
				}
				wrote <- n
			})
			says(t, what, HTTP("http://"+address)(patient(t)), "")
			if n := <-wrote; n >= 50_000_000 { // the kernel's buffers hold some
				t.Errorf("%d bytes were taken", n)
			}
		})
	}
}

// sign makes a certificate for 127.0.0.1 by that of issuer, or by its own where issuer is nil.
func sign(t *testing.T, issuer *tls.Certificate, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    until.Add(-time.Hour),
		NotAfter:     until,
	}
	by, byKey := leaf, crypto.PrivateKey(key)
	if issuer != nil {
		by, byKey = issuer.Leaf, issuer.PrivateKey
		if by == nil {
			if by, err = x509.ParseCertificate(issuer.Certificate[0]); err != nil {
				t.Fatal(err)
			}
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, by, key.Public(), byKey)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestHTTPS: a certificate that the system does not trust is no pass, and neither is what does not speak TLS.
func TestHTTPS(t *testing.T) {
	trusted := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer trusted.Close()
	trusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	// The system's certificates are loaded once, by the first check: these here are all.
	roots := filepath.Join(t.TempDir(), "roots")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: trusted.Certificate().Raw})
	if err := os.WriteFile(roots, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", roots)
	t.Setenv("SSL_CERT_DIR", t.TempDir())
	says(t, "trusted", HTTP(trusted.URL)(patient(t)), "")
	says(t, "another host", HTTP(strings.Replace(trusted.URL, "127.0.0.1", "localhost", 1))(patient(t)),
		"its certificate is for another host")

	with := func(c ...tls.Certificate) string {
		return "https://" + serve(t, func(conn net.Conn) { drain(tls.Server(conn, &tls.Config{Certificates: c})) })
	}
	later := time.Now().Add(time.Minute)
	says(t, "untrusted", HTTP(with(sign(t, nil, later)))(patient(t)), "its certificate is not trusted by the system")
	expired := sign(t, &trusted.TLS.Certificates[0], later.Add(-time.Hour))
	says(t, "expired", HTTP(with(expired))(patient(t)), "its certificate has expired or is not valid yet")
	says(t, "no certificate", HTTP(with())(patient(t)), "cannot speak TLS with it: tls: unrecognized name")

	garbage := serve(t, func(conn net.Conn) {
		io.WriteString(conn, strings.Repeat("\x1b[2J", 1000))
		drain(conn)
	})
	says(t, "garbage", HTTP("https://"+garbage)(patient(t)), "answered, but not in TLS")
	plain := serve(t, func(conn net.Conn) {
		io.ReadFull(conn, make([]byte, 1))
		io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		drain(conn)
	})
	says(t, "plain HTTP", HTTP("https://"+plain)(patient(t)), "answered, but not in TLS")
	hangsUp := serve(t, func(conn net.Conn) { io.ReadFull(conn, make([]byte, 1)) })
	says(t, "hangs up", HTTP("https://"+hangsUp)(patient(t)), hangsUp+" hung up before it had answered")
}

// TestHTTPRefusesOtherURLs: without giving away a password that is in one.
func TestHTTPRefusesOtherURLs(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:80", "ftp://127.0.0.1", "http://", "http:///x", "http://me:secret@ho st:80\x7f", "unix:/x"} {
		says(t, url, HTTP(url)(patient(t)), "its URL is not one of http or https with a host")
	}
}
