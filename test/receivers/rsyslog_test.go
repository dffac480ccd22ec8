package receivers_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pintle/internal/engine"
)

// rsyslog is Debian's rsyslogd, which writes all parts of each message into a file.
type rsyslog struct {
	t    *testing.T
	dir  string
	port int
	cmd  *exec.Cmd
}

// url is where it receives by a transport.
func (r *rsyslog) url(transport string) string {
	if transport == "unix" {
		return "syslog+unix://" + filepath.Join(r.dir, "log")
	}
	return fmt.Sprintf("syslog+%s://127.0.0.1:%d", transport, r.port)
}

func newRsyslog(t *testing.T) *rsyslog {
	t.Helper()
	if _, err := exec.LookPath("rsyslogd"); err != nil {
		if os.Getenv("PINTLE_TEST_NO_SKIP") == "1" {
			t.Fatal(err)
		}
		t.Skip("there is no rsyslogd here (apt-get install rsyslog)")
	}
	r := &rsyslog{t: t, dir: t.TempDir(), port: freePort(t)}
	config := fmt.Sprintf(`
global(workDirectory="%[1]s" maxMessageSize="128k" parser.escapeControlCharactersOnReceive="off")
module(load="imudp")
module(load="imtcp")
module(load="imuxsock" SysSock.Use="off")
template(name="parts" type="string"
  string="%%pri%%|%%timereported:::date-rfc3339%%|%%hostname%%|%%app-name%%|%%procid%%|%%msgid%%|%%structured-data%%|%%msg%%\n")
ruleset(name="all") { action(type="omfile" file="%[1]s/got" template="parts") }
input(type="imudp" address="127.0.0.1" port="%[2]d" rcvbufSize="8m" ruleset="all")
input(type="imtcp" address="127.0.0.1" port="%[2]d" ruleset="all")
input(type="imuxsock" socket="%[1]s/log" useSpecialParser="off" parseHostname="on" rateLimit.interval="0" ruleset="all"
  useSysTimeStamp="off" ignoreTimestamp="off")
`, r.dir, r.port)
	if err := os.WriteFile(filepath.Join(r.dir, "conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.kill)
	return r
}

// freePort is one that is free for TCP and UDP.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		p, err := net.ListenPacket("udp", l.Addr().String())
		l.Close()
		if err == nil {
			p.Close()
			return port
		}
	}
	t.Fatal("there is no free port")
	return 0
}

// start has it run, and waits until it can be reached.
func (r *rsyslog) start() {
	r.t.Helper()
	os.Remove(filepath.Join(r.dir, "log"))
	os.Remove(filepath.Join(r.dir, "pid"))
	r.cmd = exec.Command("rsyslogd", "-n", "-f", filepath.Join(r.dir, "conf"), "-i", filepath.Join(r.dir, "pid"))
	r.cmd.Stderr = os.Stderr
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, "rsyslogd answers", func() bool {
		for _, at := range [][2]string{{"tcp", fmt.Sprintf("127.0.0.1:%d", r.port)}, {"unixgram", filepath.Join(r.dir, "log")}} {
			c, err := net.Dial(at[0], at[1])
			if err != nil {
				return false
			}
			c.Close()
		}
		return true
	})
}

// kill ends it as a crash does.
func (r *rsyslog) kill() {
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
		r.cmd = nil
	}
}

// got is what it has received, a message a line.
func (r *rsyslog) got() []string {
	text, err := os.ReadFile(filepath.Join(r.dir, "got"))
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// TestRsyslogReadsAllParts: by each transport, rsyslog finds in a message what was put into it.
func TestRsyslogReadsAllParts(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 20_000)
	for _, transport := range []string{"udp", "tcp", "unix"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			r := newRsyslog(t)
			r.start()
			s := newSource()
			s.write("hello")
			s.add(engine.Line{Stream: engine.Stderr, Text: "it broke"})
			s.add(engine.Line{Stream: "pintle", Text: "exited with code 1"})
			s.write("grün", "gr\xfcn", `tab	and "quotes"]`, "", long)
			s.add(engine.Line{Stream: engine.Stdout, Text: "half", Partial: true})
			startForwarder(t, s, r.url(transport), nil)
			eventually(t, "nine messages", func() bool { return len(r.got()) >= 9 })
			want := []string{
				`30|2026-11-23T09:24:10.123456Z|alpha|web|3|stdout|[pintle@32473 unit="web" run="3" seq="1" stream="stdout"]|hello`,
				`28|2026-11-23T09:24:10.124456Z|alpha|web|3|stderr|[pintle@32473 unit="web" run="3" seq="2" stream="stderr"]|it broke`,
				`29|2026-11-23T09:24:10.125456Z|alpha|web|3|pintle|[pintle@32473 unit="web" run="3" seq="3" stream="pintle"]|exited with code 1`,
				`30|2026-11-23T09:24:10.126456Z|alpha|web|3|stdout|[pintle@32473 unit="web" run="3" seq="4" stream="stdout"]|` + "\xef\xbb\xbfgrün",
				`30|2026-11-23T09:24:10.127456Z|alpha|web|3|stdout|[pintle@32473 unit="web" run="3" seq="5" stream="stdout"]|` + "gr\xfcn",
				`30|2026-11-23T09:24:10.128456Z|alpha|web|3|stdout|[pintle@32473 unit="web" run="3" seq="6" stream="stdout"]|tab	and "quotes"]`,
				`30|2026-11-23T09:24:10.129456Z|alpha|web|3|stdout|[pintle@32473 unit="web" run="3" seq="7" stream="stdout"]|`,
				`30|2026-11-23T09:24:10.130456Z|alpha|web|3|stdout|[pintle@32473 unit="web" run="3" seq="8" stream="stdout"]|` + "\xef\xbb\xbf" + long,
				`30|2026-11-23T09:24:10.131456Z|alpha|web|3|stdout|[pintle@32473 unit="web" run="3" seq="9" stream="stdout" partial="true"]|half`,
			}
			got := r.got()
			for i := range want {
				if transport == "udp" && i == 7 {
					parts := strings.SplitN(got[i], "|", 8)
					text := strings.TrimPrefix(parts[7], "\xef\xbb\xbf")
					if !strings.Contains(parts[6], ` truncated="40000"`) || !strings.HasPrefix(long, text) || len(text) < 7900 {
						t.Errorf("a long line over UDP: %d bytes, %.200q", len(text), got[i])
					}
				} else if got[i] != want[i] {
					t.Errorf("got  %.300q\nwant %.300q", got[i], want[i])
				}
			}
		})
	}
}

// TestRsyslogIsKilled: lines that are written before, while and after it is away all arrive, in order; those that it may
// have had already may come twice.
func TestRsyslogIsKilled(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"udp", "tcp", "unix"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			r := newRsyslog(t)
			r.start()
			s := newSource()
			f := startForwarder(t, s, r.url(transport), nil)
			burst := 2000
			if transport == "udp" {
				burst = 200 // which a socket's buffer holds, however slow its reader is: nobody tells of more
			}
			at := 0
			write := func(n int) { s.writeNumbered(at+1, at+n); at += n }
			for range 2 {
				write(200)
				eventually(t, "some are there", func() bool { return len(r.got()) > at-150 })
				r.kill()
				write(burst)
				eventually(t, "all new ones wait", func() bool {
					c := f.Counters()[0]
					return c.Failing && c.Queued >= burst
				})
				write(burst / 10)
				retries := f.Counters()[0].Retries
				eventually(t, "it has tried again", func() bool { return f.Counters()[0].Retries > retries })
				r.start()
				write(20)
				eventually(t, "all have arrived", func() bool { return f.Counters()[0].Sent == uint64(at) })
			}
			next := 1
			for _, m := range r.got() {
				var n int
				if _, err := fmt.Sscanf(m[strings.LastIndexByte(m, '|')+1:], "line %d", &n); err != nil {
					continue // it was killed in the middle of a line
				}
				if n > next {
					t.Fatalf("line %d comes where %d should", n, next)
				}
				if n == next {
					next++
				}
			}
			if next != at+1 {
				t.Errorf("%d of %d lines have arrived", next-1, at)
			}
			if c := f.Counters()[0]; c.Dropped != 0 || c.Queued != 0 || c.Failing {
				t.Errorf("%+v", c)
			}
		})
	}
}
