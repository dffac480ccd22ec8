package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// How much of an answer is read.
const (
	maxHeaders = 64 << 10
	maxBody    = 4 << 10
)

// TCP passes when host:port accepts a connection. It says nothing there, and hangs up.
func TCP(address string) Check {
	return func(ctx context.Context) error {
		conn, err := dial(ctx, address)
		if err != nil {
			return err
		}
		conn.Close()
		return nil
	}
}

// dial connects, and says in words why not.
func dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{KeepAlive: -1}).DialContext(ctx, "tcp", address)
	if err == nil {
		return conn, nil
	}
	// The dialer looks at the clock for itself, and may find the deadline over a moment before the context says so.
	late := errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
	if _, bounded := ctx.Deadline(); bounded && late {
		<-ctx.Done()
	}
	host, _, _ := net.SplitHostPort(address)
	var unknown *net.DNSError
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, unix.ECONNREFUSED):
		return nil, fmt.Errorf("%s refuses connections", address)
	case errors.As(err, &unknown) && unknown.IsNotFound:
		return nil, fmt.Errorf("there is no host %s", host)
	}
	return nil, fmt.Errorf("cannot connect to %s: %w", address, cause(err))
}

// HTTP passes when an http:// or https:// URL is answered with a status from 200 to 399, and as much of the body as is
// read arrives. The certificate must be one that the system trusts. Every try is a connection of its own.
func HTTP(address string) Check {
	target, err := url.Parse(address)
	if err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Hostname() == "" {
		// Parse's own error is not told: a password may be in it.
		return func(context.Context) error { return errors.New("its URL is not one of http or https with a host") }
	}
	return func(ctx context.Context) error { return get(ctx, target) }
}

// get asks for target. It works in this goroutine alone: the end of ctx closes the connection, which ends any read and
// write on it.
func get(ctx context.Context, target *url.URL) error {
	port := target.Port()
	switch {
	case port != "":
	case target.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	address := net.JoinHostPort(target.Hostname(), port)
	conn, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	err = converse(ctx, conn, target)
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case brokeOff(err):
		return fmt.Errorf("%s hung up before it had answered", address)
	}
	return err
}

// converse asks on a fresh connection. Its errors are clauses, but for those that brokeOff knows. What the other side
// says is in none of them: it would have to be made short and safe first.
func converse(ctx context.Context, conn net.Conn, target *url.URL) error {
	if target.Scheme == "https" {
		secure := tls.Client(conn, &tls.Config{ServerName: target.Hostname()})
		if err := secure.HandshakeContext(ctx); err != nil {
			return handshakeError(err)
		}
		conn = secure
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return errors.New("its URL cannot be asked for") // not the error itself: a password may be in it
	}
	request.Close = true
	request.Header.Set("User-Agent", "pintle")
	if target.User != nil {
		password, _ := target.User.Password()
		request.SetBasicAuth(target.User.Username(), password)
	}
	if err := request.Write(conn); err != nil {
		return fmt.Errorf("cannot ask it: %w", cause(err))
	}

	source := &io.LimitedReader{R: conn, N: maxHeaders}
	answers := bufio.NewReader(source)
	answer, err := http.ReadResponse(answers, request)
	for err == nil && answer.StatusCode/100 == 1 && answer.StatusCode != http.StatusSwitchingProtocols {
		answer, err = http.ReadResponse(answers, request) // what was, is only a word on the way
	}
	switch {
	case err != nil && source.N <= 0:
		return errors.New("answered with too long a header")
	case err != nil:
		return answerError(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode < 200 || answer.StatusCode > 399 {
		return fmt.Errorf("answered %d", answer.StatusCode)
	}
	// A service that hangs may do so after the status. And one whose short answer nobody reads would complain.
	source.N = maxBody
	_, err = io.CopyN(io.Discard, answer.Body, maxBody)
	if err == nil || err == io.EOF || source.N <= 0 {
		return nil
	}
	return answerError(err)
}

// brokeOff tells whether the other side hung up.
func brokeOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE)
}

// answerError says in words what is wrong with an answer.
func answerError(err error) error {
	within := (*net.OpError)(nil)
	switch {
	case brokeOff(err):
		return err
	case errors.As(err, &within):
		return fmt.Errorf("cannot read its answer: %w", cause(err))
	}
	return errors.New("answered, but not in HTTP")
}

// handshakeError says in words why there is no TLS.
func handshakeError(err error) error {
	var (
		foreign tls.RecordHeaderError
		other   x509.HostnameError
		invalid x509.CertificateInvalidError
		bad     *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &foreign):
		return errors.New("answered, but not in TLS")
	case errors.As(err, &other):
		return errors.New("its certificate is for another host")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return errors.New("its certificate has expired or is not valid yet")
	case errors.As(err, &bad):
		return errors.New("its certificate is not trusted by the system")
	}
	return fmt.Errorf("cannot speak TLS with it: %w", cause(err))
}

// cause is a system's error without the call and the addresses, which the caller names.
func cause(err error) error {
	if errno := unix.Errno(0); errors.As(err, &errno) {
		return errno
	}
	if within := (*net.OpError)(nil); errors.As(err, &within) {
		return within.Err
	}
	return err
}

// span is a duration as a person would have set it: "1 s" and not "1.0 s".
func span(d time.Duration) string { return strings.Replace(unit.Span(d), ".0 s", " s", 1) }
