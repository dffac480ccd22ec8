package cli

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"pintle/internal/unit"
)

// TestDashboard: it says where the metrics are, they are there, and when it is told to end it ends well.
func TestDashboard(t *testing.T) {
	t.Parallel()
	f := newFake(at(coder, unit.Up, 1))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout, written := io.Pipe()
	ended := make(chan result, 1)
	go func() {
		ended <- pintleWith(t, f, func(_ context.Context, o *Options) context.Context {
			o.Stdout = written
			return ctx
		}, "dashboard", "--listen", "127.0.0.1:0")
		written.Close()
	}()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "metrics are at ")
	if err != nil || !ok {
		t.Fatalf("it says %q, %v: %+v", line, err, <-ended)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(a.Body)
	a.Body.Close()
	if want := `pintle_unit_state{unit="gateway@coder",kind="service",state="up"} 1`; err != nil || !strings.Contains(string(body), want) {
		t.Errorf("%v; there is no %s in\n%s", err, want, body)
	}
	cancel()
	if got := <-ended; got.code != 0 || got.stderr != "" {
		t.Errorf("it ended with %+v", got)
	}
}

// TestDashboardWithoutAPlace: an address that is taken, or is none, is a failure that says so.
func TestDashboardWithoutAPlace(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for address, want := range map[string]string{
		taken.Addr().String(): "cannot serve metrics: listen tcp " + taken.Addr().String() + ": bind: address already in use",
		"nowhere":             "cannot serve metrics: listen tcp: address nowhere: missing port in address",
	} {
		if got := pintle(t, newFake(), "dashboard", "--listen", address); got != (result{1, "", "pintle: " + want + "\n"}) {
			t.Errorf("%s: got %+v", address, got)
		}
	}
}
