package forward

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Target is where lines go.
type Target struct {
	// Name is its URL, as it was given.
	Name string
	// Protocol is one of "syslog", "otlp" and "loki", Transport one of "udp", "tcp", "unix", "http" and "https".
	Protocol, Transport string
	// Address is what to connect to: host:port, or the path of a socket.
	Address string
	// Path is an HTTP target's.
	Path string
	// Header goes with each request of an HTTP target.
	Header http.Header
	// Labels go with each line: of the stream at Loki, of the resource for OTLP. Syslog has none.
	Labels []Label
	// Roots are the authorities that an https target is to be known by; nil: the system's.
	Roots *x509.CertPool
}

// Label is a word that goes with lines.
type Label struct{ Name, Value string }

// transports are those of each protocol, with the port and the path that are meant where a URL has none.
var transports = map[string]struct {
	transports []string
	port, path string
}{
	"syslog": {[]string{"udp", "tcp", "unix"}, "514", ""},
	"otlp":   {[]string{"http", "https"}, "4318", "/v1/logs"},
	"loki":   {[]string{"http", "https"}, "3100", "/loki/api/v1/push"},
}

// ParseTarget reads a URL: syslog+udp://host:514, syslog+tcp://host:514, syslog+unix:///dev/log, otlp+http://host:4318,
// loki+http://host:3100, or with +https. What gives access must not stand in it, because everybody sees command lines.
func ParseTarget(text string) (Target, error) {
	t, err := parseTarget(text)
	if err != nil {
		return t, fmt.Errorf("cannot forward to %q: %w", text, err)
	}
	return t, nil
}

func parseTarget(text string) (Target, error) {
	u, err := url.Parse(text)
	if e, ok := errors.AsType[*url.Error](err); ok {
		return Target{}, e.Err // its own text has the URL again
	}
	if err != nil {
		return Target{}, err
	}
	t := Target{Name: text, Header: http.Header{}}
	t.Protocol, t.Transport, _ = strings.Cut(u.Scheme, "+")
	known, ok := transports[t.Protocol]
	if !ok || !slices.Contains(known.transports, t.Transport) {
		return t, errors.New("it begins with syslog+udp, syslog+tcp, syslog+unix, otlp+http, otlp+https, loki+http or loki+https, and ://")
	}
	switch {
	case u.User != nil:
		return t, errors.New("a user or a password must not stand here, where everybody can read it: use --header Authorization=env:NAME")
	case u.RawQuery != "" || u.Fragment != "":
		return t, errors.New("nothing follows the path")
	case t.Transport == "unix":
		if u.Host != "" || !path.IsAbs(u.Path) {
			return t, errors.New("the path of a socket is absolute: syslog+unix:///dev/log")
		}
		t.Address = u.Path
		return t, nil
	case u.Hostname() == "":
		return t, errors.New("it has no host")
	case known.path == "" && strings.Trim(u.Path, "/") != "":
		return t, errors.New("nothing follows the port")
	}
	port := u.Port()
	if port == "" {
		port = known.port
	}
	t.Address = net.JoinHostPort(u.Hostname(), port)
	if t.Path = known.path; strings.Trim(u.Path, "/") != "" {
		t.Path = u.EscapedPath()
	}
	return t, nil
}

// ParseLabel reads NAME=VALUE.
func ParseLabel(text string) (Label, error) {
	name, value, ok := strings.Cut(text, "=")
	for i, c := range []byte(name) {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		ok = ok && (letter || i > 0 && '0' <= c && c <= '9')
	}
	switch {
	case !ok || name == "":
		return Label{}, fmt.Errorf("cannot use label %q: it is written name=value, and the name has letters, digits and _", text)
	case name == "unit" || name == "stream":
		return Label{}, fmt.Errorf("cannot use label %q: there is a label %s already", text, name)
	}
	return Label{name, value}, nil
}
