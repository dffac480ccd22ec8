package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/unit"
)

// TestForward: lines of the units that are meant arrive, of its own run none; its counters can be scraped, pintle is told
// its status, it remembers how far it has come, and when it is told to end it ends well.
func TestForward(t *testing.T) {
	t.Parallel()
	f := newFake(at("web", unit.Up, 1), at("noise", unit.Up, 1), at("forward", unit.Up, 1))
	for _, name := range []unit.Name{"web", "noise", "forward"} {
		f.wrote(name, 1, string(name)+" says hello")
	}
	dir := t.TempDir()
	receiver, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "log"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	url := "syslog+unix://" + filepath.Join(dir, "log")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout, written := io.Pipe()
	ended := make(chan result, 1)
	go func() {
		ended <- pintleWith(t, f, func(_ context.Context, o *Options) context.Context {
			o.Stdout = written
			o.Environ = []string{"PINTLE_UNIT=forward", "NOTIFY_SOCKET=" + filepath.Join(dir, "notify")}
			return ctx
		}, "forward", "--to", url, "--cursors", filepath.Join(dir, "cursors"), "--exclude", "n*", "--listen", "127.0.0.1:0")
		written.Close()
	}()
	said := bufio.NewReader(stdout)
	line, err := said.ReadString('\n')
	metrics, ok := strings.CutPrefix(strings.TrimSpace(line), "metrics are at ")
	if err != nil || !ok {
		t.Fatalf("it says %q, %v: %+v", line, err, <-ended)
	}
	if line, err = said.ReadString('\n'); err != nil || line != "forwarding to "+url+"\n" {
		t.Errorf("it says %q, %v", line, err)
	}
	got := read(t, receiver)
	if !strings.Contains(got, ` web 1 stdout [pintle@32473 unit="web" `) || !strings.HasSuffix(got, "] web says hello") {
		t.Errorf("got %q", got)
	}
	for want := "READY=1\nSTATUS=" + url + ": 1 sent, 0 queued, 0 dropped, 0 retries"; ; {
		status := read(t, notify)
		if status == want {
			break
		}
		if !strings.HasPrefix(status, "READY=1\nSTATUS="+url+": ") {
			t.Fatalf("pintle is told %q", status)
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := client.Get(metrics)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(a.Body)
	a.Body.Close()
	if want := `pintle_forward_sent_lines_total{target="` + url + `"} 1`; err != nil || !strings.Contains(string(body), want) {
		t.Errorf("%v; there is no %s in\n%s", err, want, body)
	}
	cancel()
	if got := <-ended; got.code != 0 || got.stderr != "" {
		t.Errorf("it ended with %+v", got)
	}
	text, err := os.ReadFile(filepath.Join(dir, "cursors"))
	var cursors struct{ Targets map[string]map[string]uint64 }
	if err == nil {
		err = json.Unmarshal(text, &cursors)
	}
	if diff := cmp.Diff(map[string]map[string]uint64{url: {"web": 1}}, cursors.Targets); err != nil || diff != "" {
		t.Errorf("%v; the cursors (-want +got):\n%s", err, diff)
	}
	_ = receiver.SetReadDeadline(time.Unix(1, 0))
	if n, err := receiver.Read(make([]byte, 4096)); err == nil {
		t.Errorf("there is more: %d bytes", n)
	}
}

// read reads one datagram.
func read(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64<<10)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// TestForwardWords: what makes no sense is said before anything is connected to, and no secret with it.
func TestForwardWords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	none := filepath.Join(dir, "none.pem")
	if err := os.WriteFile(none, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	const loki = "--to loki+http://x "
	for words, want := range map[string]string{
		"":                               `cannot forward: it needs a target, --to URL`,
		"--to http://x":                  `cannot forward to "http://x": it begins with syslog+udp, syslog+tcp, syslog+unix, otlp+http, otlp+https, loki+http or loki+https, and ://`,
		loki + loki:                      `cannot forward to "loki+http://x": it is there twice`,
		loki + "--queue 16":              `cannot have a queue of "16": it is at least 256 KiB`,
		loki + "--queue 16M":             `cannot have a queue of "16M": it is written 16MiB, 500kB or 1000000`,
		loki + "--label a-b=c":           `cannot use label "a-b=c": it is written name=value, and the name has letters, digits and _`,
		loki + "--label a=b --label a=c": `cannot use label "a=c": it is there twice`,
		loki + "--header a":              `cannot use header "a": it is written name=value, or name=env:VARIABLE`,
		loki + "--header a:b=secret":     `cannot use header "a:b": it is written name=value, or name=env:VARIABLE`,
		loki + "--header a=env:NONE":     `cannot use header a: the variable NONE is not set`,
		loki + "--header a=env:LINES":    `cannot use header a: its value has control characters`,
		loki + "--ca-file " + none:       `cannot read the authorities in ` + none + `: there is no certificate in PEM`,
		loki + "a/b":                     `cannot use name "a/b": `,
		"--to otlp+http://x":             `cannot use OTEL_EXPORTER_OTLP_HEADERS: it is written name=value,name=value, and values may have %XX`,
	} {
		f := newFake()
		got := pintleWith(t, f, func(ctx context.Context, o *Options) context.Context {
			o.Environ = []string{"OTEL_EXPORTER_OTLP_HEADERS=a", "LINES=secret\nsecret"}
			return ctx
		}, append([]string{"forward"}, strings.Fields(words)...)...)
		if got.code != exitUsage || !strings.HasPrefix(got.stderr, "pintle: "+want) || strings.Contains(got.stderr, "secret") {
			t.Errorf("forward %s:\n got %+v\nwant %s", words, got, want)
		}
	}
	for words, want := range map[string]string{
		loki + "--listen nowhere":                 "cannot serve metrics: listen tcp: address nowhere: missing port in address",
		loki + "--cursors " + dir + "/no/cursors": "cannot keep the cursors: ",
		loki + "--cursors " + none:                "cannot read the cursors in ",
	} {
		got := pintle(t, newFake(), append([]string{"forward"}, strings.Fields(words)...)...)
		if got.code != exitFailed || !strings.HasPrefix(got.stderr, "pintle: "+want) {
			t.Errorf("forward %s:\n got %+v\nwant %s", words, got, want)
		}
	}
}

// TestForwardHeaders: what gives access comes from the environment, by pintle's flag or OpenTelemetry's variables; the more
// exact one counts.
func TestForwardHeaders(t *testing.T) {
	t.Parallel()
	a := &app{Options: Options{Environ: []string{
		"AUTH=Bearer x\n", "OTEL_EXPORTER_OTLP_HEADERS=api-key=a%20b, tenant=1,", "OTEL_EXPORTER_OTLP_LOGS_HEADERS=tenant=2,other=3",
	}}}
	targets, err := a.forwardTargets(&forwardFlags{
		to: []string{"otlp+http://x", "loki+http://x"}, headers: []string{"Authorization=env:AUTH", "other=4"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []http.Header{
		{"Authorization": {"Bearer x"}, "Api-Key": {"a b"}, "Tenant": {"2"}, "Other": {"4"}},
		{"Authorization": {"Bearer x"}, "Other": {"4"}},
	}
	if diff := cmp.Diff(want, []http.Header{targets[0].Header, targets[1].Header}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestBytes: sizes are written as everywhere.
func TestBytes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"16MiB": 16 << 20, "64KiB": 64 << 10, "500kB": 500_000, "1GB": 1e9, "7": 7, "7B": 7} {
		if got, err := parseBytes(text); err != nil || got != want {
			t.Errorf("%s is %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "MiB", "-1MiB", "1TiB", "1.5MiB", "99999999999GiB"} {
		if got, err := parseBytes(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}
