package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// A status file has exactly the bytes that the release has, each in its place.
func TestStatusBytes(t *testing.T) {
	t.Parallel()
	s := Status{Stamp: Stamp{0x4000000065000001, 1}, ReadyStamp: Stamp{0x4000000065000002, 2}, PID: 0x1234, PGID: 0x5678, Wait: 0x100, Finishing: true, ReadyFlag: true}
	for v, want := range map[Version]string{
		{2, 11, 3, 2}: "400000006500000100000001" + "400000006500000200000002" + "0000000000001234" + "0100" + "0a",
		{2, 12, 0, 4}: "400000006500000100000001" + "400000006500000200000002" + "0000000000001234" + "0100" + "0a",
		{2, 13, 2, 0}: "400000006500000100000001" + "400000006500000200000002" + "0000000000001234" + "0000000000005678" + "0100" + "0a",
		{2, 14, 0, 1}: "400000006500000100000001" + "400000006500000200000002" + "0000000000001234" + "0100" + "0a",
		{2, 15, 1, 0}: "400000006500000100000001" + "400000006500000200000002" + "0000000000001234" + "0100" + "0a",
	} {
		if got := hex.EncodeToString(s.Encode(v)); got != want || len(got) != 2*v.StatusSize() {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
		if _, err := DecodeStatus(v, s.Encode(v)[1:]); err != unix.EPIPE {
			t.Errorf("%v: a short file is %v", v, err)
		}
	}
}

func drawStamp(t *rapid.T, name string) Stamp {
	return Stamp{rapid.Uint64().Draw(t, name), rapid.Uint32().Draw(t, name)}
}

// What is written is read, whatever it is and whatever follows it.
func TestStatusRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom([]Version{Default, {2, 13}, {2, 15, 1}}).Draw(t, "version")
		s := Status{
			Stamp: drawStamp(t, "stamp"), ReadyStamp: drawStamp(t, "ready"),
			PID: int(rapid.Int32().Draw(t, "pid")), Wait: unix.WaitStatus(rapid.Uint16().Draw(t, "wait")),
			Paused: rapid.Bool().Draw(t, "paused"), Finishing: rapid.Bool().Draw(t, "finishing"),
			WantUp: rapid.Bool().Draw(t, "want"), ReadyFlag: rapid.Bool().Draw(t, "flag"),
		}
		if v.hasPGID() {
			s.PGID = int(rapid.Int32().Draw(t, "pgid"))
		}
		got, err := DecodeStatus(v, append(s.Encode(v), rapid.SliceOf(rapid.Byte()).Draw(t, "rest")...))
		if got != s || err != nil {
			t.Fatalf("%+v became %+v, %v", s, got, err)
		}
	})
}

func FuzzDecodeStatus(f *testing.F) {
	f.Add(make([]byte, 43), true)
	f.Fuzz(func(t *testing.T, b []byte, long bool) {
		v := Default
		if long {
			v = Version{2, 13}
		}
		s, err := DecodeStatus(v, b)
		if err != nil {
			if len(b) >= v.StatusSize() {
				t.Error(err)
			}
			return
		}
		again, err := DecodeStatus(v, s.Encode(v))
		if again != s || err != nil {
			t.Errorf("%+v became %+v, %v", s, again, err)
		}
		if s.Up() && (s.ExitCode(v) != -1 || s.Signal(v) != -1) || s.ExitCode(v) > 255 || s.Signal(v) > 127 {
			t.Errorf("%+v: %d, %d", s, s.ExitCode(v), s.Signal(v))
		}
	})
}

// A status is replaced in one step, and never written through what somebody has put in its way.
func TestSetStatus(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/supervise", 0o700))
	victim := t.TempDir() + "/victim"
	file(t, victim, "precious", 0o600)
	must(t, os.Symlink(victim, dir+"/supervise/status.new"))
	must(t, os.Symlink(victim, dir+"/supervise/status"))
	for _, d := range []*Dir{openDir(t, dir), strict(t, dir)} {
		s := Status{PID: 7}
		must(t, d.SetStatus(Default, s))
		got, err := d.Status(Default)
		if got != s || err != nil {
			t.Errorf("%+v, %v", got, err)
		}
		if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
			t.Errorf("the victim is %q, %v", text, err)
		}
	}
	if names, err := os.ReadDir(dir + "/supervise"); err != nil || len(names) != 1 {
		t.Errorf("left behind: %v, %v", names, err)
	}
	must(t, os.WriteFile(dir+"/supervise/status", make([]byte, 34), 0o600))
	if _, err := openDir(t, dir).Status(Default); !errors.Is(err, unix.EPIPE) {
		t.Errorf("a short file: %v", err)
	}
}

// In the death tally stay the newest records, as many as are asked for; s6-svdt reads it.
func TestDeaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/supervise", 0o700))
	d := openDir(t, dir)
	if deaths, err := d.Deaths(10); len(deaths) != 0 || err != nil {
		t.Errorf("without a file: %v, %v", deaths, err)
	}
	if _, err := os.Stat(dir + "/supervise/death_tally"); err != nil {
		t.Error(err)
	}
	at := func(i uint64) Stamp { return Stamp{epoch + i, uint32(i)} }
	for i := range uint64(5) {
		must(t, d.AddDeath(DeathOf(at(i), unix.WaitStatus(i<<8)), 3))
	}
	must(t, d.AddDeath(DeathOf(at(5), 9), 3))
	must(t, d.AddDeath(DeathOf(at(6), 9), 0))
	deaths, err := d.Deaths(2)
	if len(deaths) != 2 || err != nil || deaths[0] != (Death{at(4), 4, 0}) || deaths[1] != (Death{at(5), 137, 9}) {
		t.Errorf("%+v, %v", deaths, err)
	}
	t.Run("real", func(t *testing.T) {
		needReal(t)
		want := at(3).Label() + " exitcode 3\n" + at(4).Label() + " exitcode 4\n" + at(5).Label() + " signal SIGKILL\n"
		if r := tool(t, "", "s6-svdt", dir); r.out != want {
			t.Errorf("s6-svdt says %q, want %q", r.out, want)
		}
		if r := tool(t, "", "s6-svdt-clear", dir); r.code != 0 {
			t.Errorf("%+v", r)
		}
		if deaths, err := d.Deaths(10); len(deaths) != 0 || err != nil {
			t.Errorf("%v, %v", deaths, err)
		}
	})
	must(t, d.AddDeath(DeathOf(at(1), 0), 3))
	must(t, d.ClearDeaths())
	must(t, os.WriteFile(dir+"/supervise/death_tally", make([]byte, 15), 0o600))
	if deaths, err := d.Deaths(10); len(deaths) != 0 || err != nil {
		t.Errorf("of no tally: %v, %v", deaths, err)
	}
	if info, err := os.Stat(dir + "/supervise/death_tally"); err != nil || info.Size() != 0 {
		t.Errorf("it was left as it was: %v, %v", info, err)
	}
	// A second name of somebody's file is not emptied.
	victim := dir + "/victim"
	file(t, victim, "precious", 0o600)
	must(t, os.Remove(dir+"/supervise/death_tally"))
	must(t, os.Link(victim, dir+"/supervise/death_tally"))
	if err := strict(t, dir).ClearDeaths(); err == nil {
		t.Error("a second name was taken")
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
		t.Errorf("the victim is %q, %v", text, err)
	}
}

func FuzzDecodeDeaths(f *testing.F) {
	f.Add(make([]byte, 28))
	f.Fuzz(func(t *testing.T, b []byte) {
		deaths, ok := DecodeDeaths(b)
		if ok != (len(b)%14 == 0) || ok && !bytes.Equal(EncodeDeaths(deaths), b) {
			t.Errorf("%x became %+v, %v", b, deaths, ok)
		}
	})
}

// Versions compare number by number.
func TestVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"2.11.3.2": false, "2.12": true, "2.12.0.0": true, "2.11.99": false, "3": true, "2.12.0.1": true} {
		v, err := ParseVersion(text)
		if err != nil || v.AtLeast(2, 12) != want {
			t.Errorf("%s: %v, %v", text, v, err)
		}
	}
	for _, text := range []string{"", "2..1", "2.11.3.2.1", "v2", "2.-1", "2.70000"} {
		if v, err := ParseVersion(text); err == nil {
			t.Errorf("%q is %v", text, v)
		}
	}
	if Default.String() != "2.11.3.2" || Commands(Version{2, 15, 1}) != "abqhkti12pcyrlPCKoduDUxOQ" || Commands(Version{2, 13}) != "abqhkti12pcyrPCKoduDUxOQ" {
		t.Error(Default, Commands(Version{2, 15, 1}))
	}
}
