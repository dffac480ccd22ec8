package receivers_test

import (
	"compress/gzip"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/google/go-cmp/cmp"
	"github.com/grafana/loki/pkg/push"
	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"

	"pintle/internal/engine"
	"pintle/internal/forward"
)

// collected is what a receiver made of requests, and how it answers.
type collected struct {
	t    *testing.T
	read func(t *testing.T, r *http.Request, body []byte) (lines []string)

	mu     sync.Mutex
	lines  []string
	header http.Header // of the last request
	path   string
	tries  int
	// answer is what it says instead of taking what it gets; nil: it takes it. With both it does both.
	answer func(w http.ResponseWriter)
	both   bool
}

func (c *collected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tries++
	c.header, c.path = r.Header, r.URL.Path
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Error(err)
	}
	if c.answer == nil || c.both {
		c.lines = append(c.lines, c.read(c.t, r, body)...)
	}
	if c.answer != nil {
		c.answer(w)
	} else {
		w.WriteHeader(http.StatusNoContent)
	}
}

func (c *collected) got() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.lines)
}

func (c *collected) say(answer func(w http.ResponseWriter), both bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer, c.both = answer, both
}

// readOTLP reads a request with the published types; a line is all that is in it.
func readOTLP(t *testing.T, r *http.Request, body []byte) (lines []string) {
	if r.Header.Get("Content-Type") != "application/x-protobuf" || r.Header.Get("Content-Encoding") != "gzip" || r.Method != "POST" {
		t.Errorf("%s with %v", r.Method, r.Header)
	}
	z, err := gzip.NewReader(strings.NewReader(string(body)))
	if err != nil {
		t.Error(err)
		return nil
	}
	if body, err = io.ReadAll(z); err != nil {
		t.Error(err)
	}
	var request collector.ExportLogsServiceRequest
	if err := proto.Unmarshal(body, &request); err != nil {
		t.Error(err)
	}
	if len(request.ProtoReflect().GetUnknown()) > 0 {
		t.Error("there is more in a request than the types know")
	}
	for _, rl := range request.GetResourceLogs() {
		for _, sl := range rl.GetScopeLogs() {
			for _, l := range sl.GetLogRecords() {
				if l.GetObservedTimeUnixNano() != l.GetTimeUnixNano() {
					t.Errorf("it was observed at %d", l.GetObservedTimeUnixNano())
				}
				lines = append(lines, fmt.Sprintf("%s %s %s %d %s %s %s %s", attributes(rl.GetResource().GetAttributes()), sl.GetScope().GetName(),
					stamp(time.Unix(0, int64(l.GetTimeUnixNano()))), l.GetSeverityNumber(), l.GetSeverityText(), attributes(l.GetAttributes()), kindOf(l), value(l.GetBody())))
			}
		}
	}
	return lines
}

func stamp(t time.Time) string { return t.UTC().Format("15:04:05.000000000") }

func kindOf(l *logs.LogRecord) string {
	if _, ok := l.GetBody().GetValue().(*common.AnyValue_BytesValue); ok {
		return "bytes"
	}
	return "string"
}

func attributes(all []*common.KeyValue) string {
	var pairs []string
	for _, kv := range all {
		pairs = append(pairs, kv.GetKey()+"="+value(kv.GetValue()))
	}
	return "{" + strings.Join(pairs, " ") + "}"
}

func value(v *common.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_BytesValue:
		return fmt.Sprintf("%q", v.BytesValue)
	case *common.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *common.AnyValue_BoolValue:
		return strconv.FormatBool(v.BoolValue)
	}
	return fmt.Sprintf("no value: %v", v)
}

// readLoki reads a request with the published types; a line is all that is in it.
func readLoki(t *testing.T, r *http.Request, body []byte) (lines []string) {
	if r.Header.Get("Content-Type") != "application/x-protobuf" || r.Header.Get("Content-Encoding") != "" || r.Method != "POST" {
		t.Errorf("%s with %v", r.Method, r.Header)
	}
	plain, err := snappy.Decode(nil, body)
	if err != nil {
		t.Error(err)
		return nil
	}
	var request push.PushRequest
	if err := request.Unmarshal(plain); err != nil {
		t.Error(err)
	}
	for _, s := range request.Streams {
		if !slices.IsSortedFunc(s.Entries, func(a, b push.Entry) int { return a.Timestamp.Compare(b.Timestamp) }) {
			t.Errorf("the entries of %s are not in the order of their time", s.Labels)
		}
		for _, e := range s.Entries {
			var metadata []string
			for _, m := range e.StructuredMetadata {
				metadata = append(metadata, m.Name+"="+m.Value)
			}
			lines = append(lines, fmt.Sprintf("%s %s %s %s", s.Labels, stamp(e.Timestamp), metadata, e.Line))
		}
	}
	return lines
}

// collect serves a receiver; its URL goes behind the protocol's name and a plus sign.
func collect(t *testing.T, read func(*testing.T, *http.Request, []byte) []string) (*collected, string) {
	t.Helper()
	c := &collected{t: t, read: read}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return c, server.URL
}

// everything has something of all that a line can be.
func everything() *source {
	s := newSource()
	s.write("hello")
	s.add(engine.Line{Stream: engine.Stderr, Text: "it broke"})
	s.add(engine.Line{Stream: "pintle", Text: "exited with code 1"})
	s.write("grün", "gr\xfcn", "")
	s.add(engine.Line{Stream: engine.Stdout, Text: "half", Partial: true})
	at := began.Add(time.Second)
	for range 3 { // of one chunk
		s.add(engine.Line{Stream: engine.Stdout, Text: "tick", Time: at})
	}
	s.add(engine.Line{Stream: engine.Stdout, Text: "set back", Time: began.Add(-time.Minute)})
	return s
}

func withLabels(o *forward.Options) {
	o.Targets[0].Labels = []forward.Label{{Name: "container", Value: `a"b\c`}, {Name: "zone", Value: "x"}}
}

// TestOTLP: the published types find in a request all that a line is, in its place.
func TestOTLP(t *testing.T) {
	t.Parallel()
	c, url := collect(t, readOTLP)
	startForwarder(t, everything(), "otlp+"+url, withLabels)
	resource := `{service.name=web host.name=alpha container=a"b\c zone=x} pintle `
	want := []string{
		"09:24:10.123456000 9 INFO {log.iostream=stdout log.record.uid=alpha/web/1 pintle.run=3 pintle.seq=1} string hello",
		"09:24:10.124456000 13 WARN {log.iostream=stderr log.record.uid=alpha/web/2 pintle.run=3 pintle.seq=2} string it broke",
		"09:24:10.125456000 10 INFO2 {pintle.stream=pintle log.record.uid=alpha/web/3 pintle.run=3 pintle.seq=3} string exited with code 1",
		"09:24:10.126456000 9 INFO {log.iostream=stdout log.record.uid=alpha/web/4 pintle.run=3 pintle.seq=4} string grün",
		`09:24:10.127456000 9 INFO {log.iostream=stdout log.record.uid=alpha/web/5 pintle.run=3 pintle.seq=5} bytes "gr\xfcn"`,
		"09:24:10.128456000 9 INFO {log.iostream=stdout log.record.uid=alpha/web/6 pintle.run=3 pintle.seq=6} string ",
		"09:24:10.129456000 9 INFO {log.iostream=stdout log.record.uid=alpha/web/7 pintle.run=3 pintle.seq=7 pintle.partial=true} string half",
		"09:24:11.123456000 9 INFO {log.iostream=stdout log.record.uid=alpha/web/8 pintle.run=3 pintle.seq=8} string tick",
		"09:24:11.123456001 9 INFO {log.iostream=stdout log.record.uid=alpha/web/9 pintle.run=3 pintle.seq=9} string tick",
		"09:24:11.123456002 9 INFO {log.iostream=stdout log.record.uid=alpha/web/10 pintle.run=3 pintle.seq=10} string tick",
		"09:23:10.123456000 9 INFO {log.iostream=stdout log.record.uid=alpha/web/11 pintle.run=3 pintle.seq=11} string set back",
	}
	for i := range want {
		want[i] = resource + want[i]
	}
	eventually(t, "eleven lines", func() bool { return len(c.got()) >= len(want) })
	if diff := cmp.Diff(want, c.got()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c.path != "/v1/logs" {
		t.Errorf("it was posted to %s", c.path)
	}
}

// TestLoki: the published types find in a request all that a line is; what has many values is no label, and of equal lines
// none has the time of another, because Loki would take them for one.
func TestLoki(t *testing.T) {
	t.Parallel()
	c, url := collect(t, readLoki)
	startForwarder(t, everything(), "loki+"+url, withLabels)
	labels := func(stream string) string {
		return `{container="a\"b\\c", stream="` + stream + `", unit="web", zone="x"} `
	}
	want := []string{
		labels("stdout") + "09:23:10.123456000 [run=3 seq=11] set back",
		labels("stdout") + "09:24:10.123456000 [run=3 seq=1] hello",
		labels("stdout") + "09:24:10.126456000 [run=3 seq=4] grün",
		labels("stdout") + "09:24:10.127456000 [run=3 seq=5] gr\uFFFDn",
		labels("stdout") + "09:24:10.128456000 [run=3 seq=6] ",
		labels("stdout") + "09:24:10.129456000 [run=3 seq=7 partial=true] half",
		labels("stdout") + "09:24:11.123456000 [run=3 seq=8] tick",
		labels("stdout") + "09:24:11.123456001 [run=3 seq=9] tick",
		labels("stdout") + "09:24:11.123456002 [run=3 seq=10] tick",
		labels("stderr") + "09:24:10.124456000 [run=3 seq=2] it broke",
		labels("pintle") + "09:24:10.125456000 [run=3 seq=3] exited with code 1",
	}
	eventually(t, "eleven lines", func() bool { return len(c.got()) >= len(want) })
	got := c.got()
	slices.Sort(got) // in how many requests they came is not said
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c.path != "/loki/api/v1/push" {
		t.Errorf("it was posted to %s", c.path)
	}
}

// TestHTTPReceiverIsAway: while nothing listens, and while what does answers that it can't, lines wait; then all of them
// are there, in order, once.
func TestHTTPReceiverIsAway(t *testing.T) {
	t.Parallel()
	for protocol, read := range map[string]func(*testing.T, *http.Request, []byte) []string{"otlp": readOTLP, "loki": readLoki} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			c := &collected{t: t, read: read}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			address := l.Addr().String()
			l.Close()
			s := newSource()
			f := startForwarder(t, s, protocol+"+http://"+address, nil)
			s.writeNumbered(1, 1000)
			eventually(t, "it has failed twice", func() bool { return f.Counters()[0].Retries >= 2 })
			c.say(func(w http.ResponseWriter) {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader([]int{500, 502, 503, 429}[c.tries%4])
			}, false)
			if l, err = net.Listen("tcp", address); err != nil {
				t.Fatal(err)
			}
			server := &http.Server{Handler: c}
			go func() { _ = server.Serve(l) }()
			t.Cleanup(func() { server.Close() })
			s.writeNumbered(1001, 2000)
			eventually(t, "it has failed again", func() bool { return f.Counters()[0].Retries >= 5 })
			if n := f.Counters()[0]; !n.Failing || n.Sent != 0 || n.Queued != 2000 {
				t.Errorf("%+v", n)
			}
			c.say(nil, false)
			s.writeNumbered(2001, 2100)
			eventually(t, "all have arrived", func() bool { return f.Counters()[0].Sent == 2100 })
			got := c.got()
			for i := range got {
				if want := fmt.Sprintf("line %d", i+1); !strings.HasSuffix(got[i], " "+want) {
					t.Fatalf("%q where %s should be", got[i], want)
				}
			}
			if n := f.Counters()[0]; len(got) != 2100 || n.Dropped != 0 || n.Queued != 0 {
				t.Errorf("%d lines, %+v", len(got), n)
			}
		})
	}
}

// TestPartialSuccess: what an OTLP receiver says that it has not taken is counted and not sent again.
func TestPartialSuccess(t *testing.T) {
	t.Parallel()
	c, url := collect(t, readOTLP)
	c.say(func(w http.ResponseWriter) {
		answer, err := proto.Marshal(&collector.ExportLogsServiceResponse{
			PartialSuccess: &collector.ExportLogsPartialSuccess{RejectedLogRecords: 2, ErrorMessage: "two are too old"},
		})
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(answer)
	}, true)
	s := newSource()
	s.write("a")
	s.write("b")
	s.write("c")
	f := startForwarder(t, s, "otlp+"+url, nil)
	eventually(t, "three lines are sent or dropped", func() bool { n := f.Counters()[0]; return n.Sent+n.Dropped >= 3 })
	n := f.Counters()[0]
	if n.Retries != 0 || n.Dropped < 2 || n.LastError != "two are too old" || n.Failing {
		t.Errorf("%+v", n)
	}
}

// TestRefusals: what will never be taken is dropped and said, with what the receiver says; a place to go to instead is not
// gone to, because what gives access would go there, too.
func TestRefusals(t *testing.T) {
	t.Parallel()
	c, url := collect(t, readLoki)
	c.say(func(w http.ResponseWriter) { http.Error(w, "no org id\n", http.StatusUnauthorized) }, false)
	s := newSource()
	s.write("a")
	f := startForwarder(t, s, "loki+"+url, nil)
	eventually(t, "a line is dropped", func() bool { return f.Counters()[0].Dropped == 1 })
	if n := f.Counters()[0]; n.LastError != "it answers 401 Unauthorized: no org id" || n.Retries != 0 {
		t.Errorf("%+v", n)
	}
	other, elsewhere := collect(t, readLoki)
	c.say(func(w http.ResponseWriter) {
		w.Header().Set("Location", elsewhere)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}, false)
	s.write("b")
	eventually(t, "it is asked again", func() bool { return f.Counters()[0].Retries > 0 })
	if n := f.Counters()[0]; n.LastError != "it answers 307 Temporary Redirect, to go to "+elsewhere {
		t.Errorf("%+v", n)
	}
	if other.tries > 0 {
		t.Error("it went there")
	}
}

// TestTooLargeForIt: what a receiver says is too large comes in parts, and all of it arrives.
func TestTooLargeForIt(t *testing.T) {
	t.Parallel()
	c := &collected{t: t, read: readOTLP}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > 4<<10 {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		c.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s := newSource()
	s.writeNumbered(1, 2000)
	f := startForwarder(t, s, "otlp+"+server.URL, nil)
	eventually(t, "all have arrived", func() bool { return f.Counters()[0].Sent == 2000 })
	if last, again := numbers(t, "it", c.got()); last != 2000 || again > 0 {
		t.Errorf("it has %d lines, and %d again", last, again)
	}
	if n := f.Counters()[0]; n.Dropped != 0 || n.Retries == 0 {
		t.Errorf("%+v", n)
	}
}

// TestHeadersAndTLS: a receiver gets the headers that it asks for, and is known by the authorities that were given; without
// them nothing is sent.
func TestHeadersAndTLS(t *testing.T) {
	t.Parallel()
	c := &collected{t: t, read: readLoki}
	server := httptest.NewTLSServer(c)
	t.Cleanup(server.Close)
	s := newSource()
	s.write("hello")
	header := func(o *forward.Options) {
		o.Targets[0].Header = http.Header{"X-Scope-Orgid": {"me"}, "Authorization": {"Bearer x"}}
	}
	f := startForwarder(t, s, "loki+"+server.URL, header)
	eventually(t, "it has failed", func() bool { return f.Counters()[0].Failing })
	if n := f.Counters()[0]; !strings.Contains(n.LastError, "certificate signed by unknown authority") || c.tries > 0 {
		t.Errorf("%+v", n)
	}
	f.end()
	startForwarder(t, s, "loki+"+server.URL, func(o *forward.Options) {
		header(o)
		o.Targets[0].Roots = x509.NewCertPool()
		o.Targets[0].Roots.AddCert(server.Certificate())
	})
	eventually(t, "a line", func() bool { return len(c.got()) == 1 })
	if c.header.Get("X-Scope-OrgID") != "me" || c.header.Get("Authorization") != "Bearer x" || c.header.Get("User-Agent") != "pintle-forward" {
		t.Errorf("%v", c.header)
	}
}
