package notify

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// TestParse: what sd_notify(3) defines means here what it means there, and what pintle has no use for means nothing.
func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, datagram string
		want           Message
	}{
		{"nothing", "", Message{}},
		{"ready", "READY=1", Message{Ready: true}},
		{"ready, with an end of line", "READY=1\n", Message{Ready: true}},
		{"not ready", "READY=0", Message{}},
		{"only 1 is ready", "READY=yes", Message{}},
		{"keys are as they are written", "ready=1\n READY=1\nREADY =1", Message{}},
		{"stopping", "STOPPING=1", Message{Stopping: true}},
		{"alive", "WATCHDOG=1", Message{Alive: true}},
		{"hung", "WATCHDOG=trigger", Message{Hung: true}},
		{"another watchdog", "WATCHDOG=2", Message{}},
		{"barrier", "BARRIER=1", Message{Barrier: true}},
		{"status", "STATUS=Reading 3 of 5: a=b", Message{HasStatus: true, Status: "Reading 3 of 5: a=b"}},
		{"no status any more", "STATUS=", Message{HasStatus: true}},
		{"extend", "EXTEND_TIMEOUT_USEC=5000000", Message{Extend: 5 * time.Second}},
		{"extend by nothing", "EXTEND_TIMEOUT_USEC=0", Message{}},
		{"extend by a day", "EXTEND_TIMEOUT_USEC=86400000000", Message{Extend: MaxExtend}},
		{"extend by more", "EXTEND_TIMEOUT_USEC=86400000001", Message{Extend: MaxExtend}},
		{"extend for ever", "EXTEND_TIMEOUT_USEC=18446744073709551615", Message{Extend: MaxExtend}},
		{"another leader", "READY=1\nMAINPID=1", Message{Ready: true, Refused: "MAINPID"}},
		{"several", "READY=1\nSTATUS=Serving\nWATCHDOG=1", Message{Ready: true, HasStatus: true, Status: "Serving", Alive: true}},
		{"the later one counts", "READY=1\nSTATUS=a\nREADY=0\nSTATUS=b", Message{HasStatus: true, Status: "b"}},
		{"the later number counts", "EXTEND_TIMEOUT_USEC=x\nEXTEND_TIMEOUT_USEC=7", Message{Extend: 7 * time.Microsecond}},
		{"the later word counts", "WATCHDOG=trigger\nWATCHDOG=1", Message{Alive: true}},
		{"of no use", "RELOADING=1\nERRNO=2\nBUSERROR=a.b\nFDSTORE=1\nFDNAME=x\nMONOTONIC_USEC=1\nX_OWN=1\nWATCHDOG_USEC=5", Message{}},
		{"no assignments", "READY\n\n\n=1\n=\nREADY=1", Message{Ready: true}},
		{"a zero byte ends nothing", "READY=1\x00", Message{}},
	}
	for _, test := range tests {
		got, err := Parse([]byte(test.datagram))
		if err != nil || got != test.want {
			t.Errorf("%s: Parse(%q) = %+v, %v; want %+v", test.name, test.datagram, got, err, test.want)
		}
	}
}

// TestParseNumbers: what is no number of microseconds is an error, short and safe to print, and spoils nothing else.
func TestParseNumbers(t *testing.T) {
	t.Parallel()
	for _, number := range []string{
		"", "-1", "+1", "1.5", " 1", "1 ", "0x10", "1e3", "1_000", "infinity", "18446744073709551616",
		strings.Repeat("9", 4000), "\x1b[2J\xff",
	} {
		m, err := Parse([]byte("READY=1\nEXTEND_TIMEOUT_USEC=" + number))
		if want := (Message{Ready: true}); m != want {
			t.Errorf("%q: the message is %+v, want %+v", number, m, want)
		}
		if err == nil || len(err.Error()) > 200 || strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Errorf("%q: the error is %v", number, err)
		}
	}
}

// TestStatusIsSafe: a status can neither steer a terminal, nor fill a screen, nor be no text at all.
func TestStatusIsSafe(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]string{
		"Grüße, 世界 🙂":                  "Grüße, 世界 🙂",
		"a\tb":                         "a b",
		"a\rb\x00c\x7fd":               "a\uFFFDb\uFFFDc\uFFFDd",
		"\x1b[31mred\u009b0m":          "\uFFFD[31mred\uFFFD0m",
		"a\u202etxt.exe":               "a\uFFFDtxt.exe",
		"a\u2028b":                     "a\uFFFDb",
		"\xff\xc3(":                    "\uFFFD\uFFFD(",
		strings.Repeat("世", 300):       strings.Repeat("世", MaxStatus),
		strings.Repeat("x", 256):       strings.Repeat("x", MaxStatus),
		strings.Repeat("x", 255) + "é": strings.Repeat("x", 255) + "é",
	} {
		m, err := Parse([]byte("STATUS=" + status))
		if err != nil || m.Status != want || !m.HasStatus {
			t.Errorf("%q becomes %q (%v), want %q", status, m.Status, err, want)
		}
	}
}

// TestParseIsBounded: a megabyte of anything costs no more allocations than a few lines.
func TestParseIsBounded(t *testing.T) {
	for name, piece := range map[string]string{
		"lines": "\n", "statuses": "STATUS=x\n", "equal signs": "=", "numbers": "EXTEND_TIMEOUT_USEC=9\n", "one line": "x",
	} {
		datagram := bytes.Repeat([]byte(piece), 1<<20/len(piece))
		if allocs := testing.AllocsPerRun(1, func() { Parse(datagram) }); allocs > 10 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "READY=1", "READY=1\nSTATUS=Serving\n", "STATUS=\x1b[2J\u202e\xff\tx", "WATCHDOG=trigger\nWATCHDOG=1",
		"EXTEND_TIMEOUT_USEC=" + strconv.FormatUint(math.MaxUint64, 10), "EXTEND_TIMEOUT_USEC=99999999999999999999",
		"MAINPID=1\nBARRIER=1\nSTOPPING=1\nRELOADING=1", "=\n\n==\nSTATUS==\x00", "STATUS=" + strings.Repeat("世", 300),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, datagram []byte) {
		before := bytes.Clone(datagram)
		m, err := Parse(datagram)
		if !bytes.Equal(before, datagram) {
			t.Error("the datagram has changed")
		}
		if m.Extend < 0 || m.Extend > MaxExtend {
			t.Errorf("extends by %v", m.Extend)
		}
		if err != nil && (m.Extend != 0 || len(err.Error()) > 200 || strings.ContainsFunc(err.Error(), unicode.IsControl)) {
			t.Errorf("extends by %v in spite of %v", m.Extend, err)
		}
		if m.Alive && m.Hung {
			t.Error("both alive and hung")
		}
		if m.Refused != "" && m.Refused != "MAINPID" {
			t.Errorf("refuses %q", m.Refused)
		}
		switch {
		case !utf8.ValidString(m.Status), utf8.RuneCountInString(m.Status) > MaxStatus, strings.ContainsFunc(m.Status, unicode.IsControl):
			t.Errorf("the status is %q", m.Status)
		case m.Status != "" && !m.HasStatus:
			t.Errorf("no status, but %q", m.Status)
		}
		if again, _ := Parse([]byte("STATUS=" + m.Status)); again.Status != m.Status {
			t.Errorf("%q becomes %q when it is read again", m.Status, again.Status)
		}
		// Each line stands for itself: others around it change nothing.
		around := append(append([]byte("READY=0\nX=\n"), datagram...), "\nNOTHING\nFDSTORE=1\n"...)
		if n, _ := Parse(around); n != m {
			t.Errorf("%+v becomes %+v among lines that say nothing", m, n)
		}
	})
}
