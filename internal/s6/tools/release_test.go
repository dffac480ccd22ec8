package tools

import (
	"bufio"
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/s6/wire"
)

// releases are those between which something differs.
var releases = []string{"2.11.0", "2.11.1.2", "2.11.2.0", "2.11.3.0", "2.11.3.2", "2.12.0.4", "2.13.0.0", "2.13.1.0", "2.13.2.0", "2.14.0.1", "2.15.0.0", "2.15.1.0", "3"}

// TestAsWire: the tools, which do without package wire so that they start quickly, have the same formats and words in all releases.
func TestAsWire(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(6, 15))
	sorted := func(s string) string { b := []byte(s); slices.Sort(b); return string(b) }
	for _, text := range releases {
		v, err := wire.ParseVersion(text)
		if err != nil {
			t.Fatal(err)
		}
		r, ok := parseRelease(text)
		if !ok || r != release(v) {
			t.Fatalf("%s is %v, and %v to wire", text, r, v)
		}
		known := strings.ReplaceAll(svcOf(r).letters, "s:", "")
		if sorted(known) != sorted(wire.Commands(v)) {
			t.Errorf("in %s s6-svc knows %s, and wire %s", text, known, wire.Commands(v))
		}
		for range 200 {
			flag := func() bool { return random.IntN(2) == 0 }
			s := wire.Status{
				Stamp: wire.StampOf(time.Unix(random.Int64N(1<<32), random.Int64N(1e9))), ReadyStamp: wire.StampOf(time.Unix(random.Int64N(1<<32), 0)),
				PID: random.IntN(3) * random.IntN(1<<22), Wait: unix.WaitStatus(random.IntN(1 << 16)),
				Paused: flag(), Finishing: flag(), WantUp: flag(), ReadyFlag: flag(),
			}
			if r.hasPGID() {
				s.PGID = random.IntN(1 << 22)
			}
			b := s.Encode(v)
			if len(b) != r.statusSize() {
				t.Fatalf("a status of %s has %d bytes, and %d to us", text, len(b), r.statusSize())
			}
			ours := unpackStatus(b, r)
			same := ours.changed.label() == s.Stamp.Label() && ours.readied.label() == s.ReadyStamp.Label() && ours.pid == s.PID && ours.pgid == s.PGID &&
				uint32(ours.wait) == uint32(s.Wait) && ours.paused == s.Paused && ours.finishing == s.Finishing && ours.wanted == s.WantUp && ours.ready == s.ReadyFlag &&
				ours.up() == s.Up() && ours.notStarted(r) == s.NotStarted(v) && ours.exitCode(r) == s.ExitCode(v) && ours.signal(r) == s.Signal(v)
			if !same {
				t.Errorf("in %s %+v is %+v to us", text, s, ours)
			}
		}
	}
	for number := range 70 {
		if signalName(number) != wire.SignalName(number) {
			t.Errorf("signal %d is %s, and %s to wire", number, signalName(number), wire.SignalName(number))
		}
	}
	for _, text := range []string{"", "x", "2.", "2.11.3.2.1", "-1", "2.65536"} {
		if _, ok := parseRelease(text); ok {
			t.Errorf("%q is a release", text)
		}
	}
}

// TestReleases: who asks for another release of s6 has its options, fields, messages and exit codes. There is no such s6 in Debian, so
// these are from its source and were seen with 2.15.1.0 as built from it.
func TestReleases(t *testing.T) {
	t.Parallel()
	ours := linkTools(t)
	dir := openDir(t)
	service := filepath.Join(dir, "s")
	if err := os.MkdirAll(filepath.Join(dir, "none"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(service, 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := wire.Open(service)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	seat, err := d.Supervise()
	if err != nil {
		t.Fatal(err)
	}
	defer seat.Close()
	commands := bufio.NewReader(seat.Commands)
	old := wire.StampOf(time.Now().Add(-time.Hour))
	fresh := wire.Status{Stamp: old, ReadyStamp: old, WantUp: true, ReadyFlag: true, Paused: true}
	up := wire.Status{Stamp: old, ReadyStamp: old, PID: 12345, PGID: 12344, WantUp: true}
	down := wire.Status{Stamp: old, ReadyStamp: old, PGID: 12344, Wait: 9, ReadyFlag: true}
	for _, tt := range []struct {
		release string
		status  wire.Status
		line    string
		said    string
		code    int
	}{
		{"2.15.1.0", fresh, "s6-svstat s", "down (not started yet) , normally up, want up\n", 0},
		{"2.13.2.0", fresh, "s6-svstat -o paused,exitcode,signal,signum s", "false -1 NA -1\n", 0},
		{"2.13.1.0", fresh, "s6-svstat -o paused,exitcode,signal,signum s", "true 0 NA -1\n", 0},
		{"2.11.3.2", fresh, "s6-svstat -o paused,exitcode,signal,signum s", "true 0 NA -1\n", 0},
		{"2.15.1.0", up, "s6-svstat -gp s", "12345 12345\n", 0},
		{"2.13.1.0", up, "s6-svstat -gp s", "12344 12345\n", 0},
		{"2.13.1.0", down, "s6-svstat -o pgid,pid,signum s", "12344 -1 9\n", 0},
		{"2.14.0.1", down, "s6-svstat -o pgid,pid,signum s", "-1 -1 9\n", 0},
		{"2.13.0.0", up, "s6-svstat -o updownf s", "s6-svstat: fatal: invalid option field: updownf\n", 100},
		{"2.15.1.0", up, "s6-svstat -o , s", "s6-svstat: fatal: invalid option field: \n", 100},
		{"2.12.0.4", up, "s6-svstat -o , s", "s6-svstat: fatal: invalid null option field\n", 100},
		{"2.15.1.0", up, "s6-svstat none", "s6-svstat: fatal: unable to read status for none: s6-supervise not running\n", 1},
		{"2.11.1.2", up, "s6-svstat none", "s6-svstat: fatal: unable to read status for none: s6-supervise not running\n", 1},
		{"2.15.1.0", up, "s6-svc -s TERM s", "t", 0},
		{"2.15.1.0", up, "s6-svc -s sigwinch -lPCK s", "ylPCK", 0},
		{"2.15.1.0", up, "s6-svc -s FPE s", "s6-svc: fatal: FPE is not in the list of user-available signals\n", 100},
		{"2.15.1.0", up, "s6-svc -s NOSUCH s", "s6-svc: fatal: invalid signal: NOSUCH\n", 100},
		{"2.12.0.4", up, "s6-svc -P s", "s6-svc: usage: s6-svc [ -wu | -wU | -wd | -wD | -wr | -wR ] [ -T timeout ] [ -s signal | -abqhkti12pcy ] [ -roduDUxOQ ] servicedir\n", 100},
		{"2.15.1.0", up, "s6-svc -u none s missing", "us6-svc: warning: unable to control none: supervisor not listening\ns6-svc: warning: unable to control missing: No such file or directory\n", 111},
		{"2.14.0.1", up, "s6-svc -u missing s none", "us6-svc: warning: unable to control missing: No such file or directory\ns6-svc: warning: unable to control none: supervisor not listening\n", 102},
		{"2.13.2.0", up, "s6-svc -u none s", "s6-svc: warning: ignoring extra arguments\ns6-svc: fatal: unable to control none: supervisor not listening\n", 100},
		{"2.15.1.0", up, "s6-svc -wd -T 200 -d s", "ds6-svlisten: fatal: timed out\n", 99},
		{"2.13.2.0", up, "s6-svc -wd -T 200 -d s", "ds6-svlisten1: fatal: timed out\n", 99},
		{"2.12.0.0", up, "s6-svwait", "", 0},
		{"2.15.1.0", up, "s6-svwait -t 300 s", "", 0},
		{"2.15.1.0", up, "s6-svscanctl -a none", "s6-svscanctl: fatal: unable to control none: supervisor not listening\n", 100},
		{"2.x", up, "s6-svstat -p s", "12345\ns6-svstat: warning: invalid PINTLE_S6_VERSION: 2.x\n", 0},
	} {
		v, err := wire.ParseVersion(tt.release)
		if err != nil {
			v = wire.Default
		}
		if err := d.SetStatus(v, tt.status); err != nil {
			t.Fatal(err)
		}
		args := strings.Fields(tt.line)
		var out, errs bytes.Buffer
		cmd := exec.Command(filepath.Join(ours, args[0]), args[1:]...)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, []string{releaseName + "=" + tt.release}, &out, &errs
		_ = cmd.Run() // the exit code says it
		// What the supervisor was told comes first.
		if err := d.Control("\n"); err != nil {
			t.Fatal(err)
		}
		told, err := commands.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		said := strings.TrimSuffix(told, "\n") + out.String() + errs.String()
		if code := cmd.ProcessState.ExitCode(); said != tt.said || code != tt.code {
			t.Errorf("%s in %s: %q and %d, not %q and %d", tt.line, tt.release, said, code, tt.said, tt.code)
		}
	}
}
