package forward

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// TestSyslogMessages: each part stands where RFC 5424 has it.
func TestSyslogMessages(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 9, 24, 10, 123_456_000, time.UTC)
	line := func(stream, text string) entry {
		return entry{line: engine.Line{Unit: "gateway@coder", Run: 3, Seq: 42, Time: at, Stream: stream, Text: text}}
	}
	partial := line(engine.Stdout, "half")
	partial.line.Partial = true
	odd := line(engine.Stdout, "x")
	odd.line.Unit, odd.line.Run = unit.Name(`a b"]\`+strings.Repeat("ü", 30)), 0
	missing := newQueue(0, "forward").missing(7, line(engine.Stdout, "gone"))
	for _, c := range []struct {
		e    entry
		want string
	}{
		{line(engine.Stdout, "hello"), `<30>1 2026-11-23T09:24:10.123456Z alpha gateway@coder 3 stdout [pintle@32473 unit="gateway@coder" run="3" seq="42" stream="stdout"] hello`},
		{line(engine.Stderr, "hello"), `<28>1 2026-11-23T09:24:10.123456Z alpha gateway@coder 3 stderr [pintle@32473 unit="gateway@coder" run="3" seq="42" stream="stderr"] hello`},
		{line("pintle", ""), `<29>1 2026-11-23T09:24:10.123456Z alpha gateway@coder 3 pintle [pintle@32473 unit="gateway@coder" run="3" seq="42" stream="pintle"] `},
		{line("log", "grün"), `<30>1 2026-11-23T09:24:10.123456Z alpha gateway@coder 3 log [pintle@32473 unit="gateway@coder" run="3" seq="42" stream="log"] ` + "\xef\xbb\xbfgrün"},
		{line("log", "gr\xfcn"), `<30>1 2026-11-23T09:24:10.123456Z alpha gateway@coder 3 log [pintle@32473 unit="gateway@coder" run="3" seq="42" stream="log"] ` + "gr\xfcn"},
		{partial, `<30>1 2026-11-23T09:24:10.123456Z alpha gateway@coder 3 stdout [pintle@32473 unit="gateway@coder" run="3" seq="42" stream="stdout" partial="true"] half`},
		{odd, `<30>1 2026-11-23T09:24:10.123456Z alpha a_b"]\` + strings.Repeat("_", 42) + ` - stdout [pintle@32473 unit="a b\"\]\\` + strings.Repeat("ü", 30) + `" run="" seq="42" stream="stdout"] x`},
		{missing, `<29>1 2026-11-23T09:24:10.123456Z alpha forward - pintle [pintle@32473 unit="forward" stream="pintle"] 7 lines are missing here: they could not be forwarded`},
	} {
		if got := string(appendSyslog([]byte("before"), "alpha", &c.e, 0)); got != "before"+c.want {
			t.Errorf("got  %q\nwant %q", got[6:], c.want)
		}
	}
	e := line(engine.Stdout, "x")
	if got := string(appendSyslog(nil, "", &e, 0)); !strings.HasPrefix(got, "<30>1 2026-11-23T09:24:10.123456Z - gateway@coder 3 ") {
		t.Errorf("without a name of the host: %q", got)
	}
}

var rfc5424 = regexp.MustCompile(`(?s)^<(\d{1,3})>1 \S+ ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) ` +
	`\[pintle@32473((?: [a-z]+="(?:[^"\\\]]|\\["\\\]])*")*)\] (.*)$`)

// TestSyslogIsWellFormed: whatever a unit is called and writes, the message has the form of RFC 5424, keeps the bound, and
// has the text whole, or its beginning with the length that it had.
func TestSyslogIsWellFormed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
			rapid.Map(rapid.IntRange(0, 9000), func(n int) string { return strings.Repeat("ü", n) })).Draw(t, "text")
		e := entry{line: engine.Line{
			Unit: unit.Name(rapid.StringN(-1, -1, 200).Draw(t, "unit")), Run: rapid.Uint64().Draw(t, "run"), Seq: rapid.Uint64().Draw(t, "seq"),
			Time: time.Unix(1_700_000_000, 0), Stream: rapid.SampledFrom([]string{"stdout", "stderr", "pintle", "log"}).Draw(t, "stream"),
			Text: text, Partial: rapid.Bool().Draw(t, "partial"),
		}}
		most := rapid.SampledFrom([]int{0, mostUDP, 2048}).Draw(t, "most")
		message := appendSyslog(nil, rapid.String().Draw(t, "host"), &e, most)
		if most > 0 && len(message) > most {
			t.Fatalf("it has %d bytes", len(message))
		}
		parts := rfc5424.FindSubmatch(message)
		if parts == nil {
			t.Fatalf("no message of RFC 5424: %q", message)
		}
		got, marked := strings.CutPrefix(string(parts[7]), mark)
		if marked && strings.HasPrefix(text, mark) && !strings.HasPrefix(got, mark) { // the text's own
			got = mark + got
		}
		if strings.Contains(string(parts[6]), fmt.Sprintf(` truncated="%d"`, len(text))) {
			if !strings.HasPrefix(text, got) || len(got) >= len(text) || utf8.ValidString(text) && !utf8.ValidString(got) {
				t.Fatalf("it was cut to %q", got)
			}
		} else if got != text {
			t.Fatalf("%q became %q", text, got)
		}
		if e.line.Text != "" && utf8.ValidString(got) && !ascii(got) && !marked {
			t.Fatal("UTF-8 without its mark")
		}
	})
}

// TestTheLongestDatagram: what fits is whole, and of what does not as much is left as fits.
func TestTheLongestDatagram(t *testing.T) {
	t.Parallel()
	cuts := 0
	for n := mostUDP - 300; n < mostUDP+50; n++ {
		e := entry{line: engine.Line{Unit: "web", Run: 1, Seq: 1, Stream: engine.Stdout, Text: strings.Repeat("x", n)}}
		message := string(appendSyslog(make([]byte, 7), "alpha", &e, mostUDP)[7:])
		whole := strings.HasSuffix(message, "] "+e.line.Text)
		if len(message) > mostUDP || !whole && len(message) < mostUDP-len(mark) {
			t.Fatalf("of %d bytes a message of %d was made", n, len(message))
		}
		if !whole {
			cuts++
		} else if cuts > 0 {
			t.Fatalf("%d bytes fit, and less did not", n)
		}
	}
	if cuts < 50 || cuts > 200 {
		t.Errorf("%d were cut", cuts)
	}
}

// TestCut: no half of a character is left, where there are characters.
func TestCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		most int
		want string
	}{
		{"abc", 3, "abc"}, {"abc", 2, "ab"}, {"abc", 0, ""}, {"aü", 2, "a"}, {"a😀b", 4, "a"}, {"a😀b", 5, "a😀"},
		{"\x80\x80\x80\x80\x80\x80\x80", 5, "\x80\x80\x80\x80\x80"},
	} {
		if got := cut(c.text, c.most); got != c.want {
			t.Errorf("cut(%q, %d) is %q, want %q", c.text, c.most, got, c.want)
		}
	}
}
