package forward

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pintle/internal/unit"
)

// TestTargets: what is not said is what the protocol has by default; what makes no sense is refused with what would.
func TestTargets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"syslog+udp://logs":                   "syslog udp logs:514 ",
		"syslog+tcp://[::1]:6514/":            "syslog tcp [::1]:6514 ",
		"syslog+unix:///dev/log":              "syslog unix /dev/log ",
		"otlp+http://collector":               "otlp http collector:4318 /v1/logs",
		"otlp+https://collector:443/otlp/v1/": "otlp https collector:443 /otlp/v1/",
		"loki+http://loki/":                   "loki http loki:3100 /loki/api/v1/push",
		"loki+https://loki/a%2Fb":             "loki https loki:3100 /a%2Fb",
	} {
		got, err := ParseTarget(text)
		if is := got.Protocol + " " + got.Transport + " " + got.Address + " " + got.Path; err != nil || is != want || got.Name != text {
			t.Errorf("%s: %q, %v, want %q", text, is, err, want)
		}
	}
	for text, want := range map[string]string{
		"logs:514":                   "it begins with",
		"http://logs":                "it begins with",
		"syslog+http://logs":         "it begins with",
		"loki+udp://logs":            "it begins with",
		"syslog+udp://":              "it has no host",
		"loki+http:///x":             "it has no host",
		"syslog+udp://logs/x":        "nothing follows the port",
		"syslog+unix://dev/log":      "the path of a socket is absolute",
		"loki+https://me:secret@x":   "a user or a password must not stand here",
		"loki+https://x?y=z":         "nothing follows the path",
		"loki+https://x:port":        `invalid port ":port" after host`,
		"loki+https://x\x7f":         "invalid control character",
		"syslog+tcp://logs:514#part": "nothing follows the path",
	} {
		if _, err := ParseTarget(text); err == nil || !strings.HasPrefix(err.Error(), "cannot forward to ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestLabels: their names are those that Loki takes, and not those that lines have anyway.
func TestLabels(t *testing.T) {
	t.Parallel()
	if l, err := ParseLabel("team_1=a=b c"); err != nil || l != (Label{"team_1", "a=b c"}) {
		t.Errorf("%v, %v", l, err)
	}
	for _, text := range []string{"", "a", "=b", "1a=b", "a-b=c", "ä=b", "unit=x", "stream=y"} {
		if l, err := ParseLabel(text); err == nil {
			t.Errorf("%q became %v", text, l)
		}
	}
}

// TestCursorFiles: one that can't be read or written is said before anything is forwarded; a torn one is no new beginning.
func TestCursorFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, want string }{
		"torn":  {`{"version":1,"tar`, "cannot read the cursors in "},
		"newer": {`{"version":2}`, "their version is 2, not 1"},
		"empty": {``, "cannot read the cursors in "},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Options{Cursors: file}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if text, err := os.ReadFile(file); err != nil || string(text) != c.text {
			t.Errorf("%s became %q, %v", name, text, err)
		}
	}
	if _, err := New(Options{Cursors: filepath.Join(dir, "no", "cursors")}); err == nil || !strings.HasPrefix(err.Error(), "cannot keep the cursors: ") {
		t.Errorf("a directory that is not there: %v", err)
	}
}

// TestCursorsAreBounded: of units that come and go for ever, the newest are remembered.
func TestCursorsAreBounded(t *testing.T) {
	t.Parallel()
	places := map[unit.Name]uint64{}
	for i := range 3 * mostCursors {
		places[unit.Name(strings.Repeat("x", i))] = uint64(i)
	}
	forget(places)
	if len(places) != mostCursors || places[unit.Name(strings.Repeat("x", 3*mostCursors-1))] == 0 {
		t.Errorf("%d are remembered", len(places))
	}
}

// FuzzFields: whatever a receiver answers is read without harm.
func FuzzFields(f *testing.F) {
	f.Add([]byte{0x0a, 0x04, 0x08, 0x02, 0x12, 0x00})
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, answer []byte) {
		if n, cause := (otlp{}).rejected(answer); n < 0 || n > 0 && cause == "" {
			t.Errorf("%d lines, %q", n, cause)
		}
	})
}
