package logs

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// Each format shows the lines of a unit, pintle's words about it and those about none as the documentation says, on a
// terminal or not. What is shown prefixed on a terminal is harmless; raw stays raw.
func TestConsoleFormats(t *testing.T) {
	t.Parallel()
	evil := "\x1b[31moops\x1b]0;title\x07\x00\xff\tü\u009b2J\u202e\r"
	for _, c := range []struct {
		name            string
		unit, container unit.ConsoleFormat
		terminal, plain bool
		want            []string
	}{
		{"by default", "", "", false, false, []string{
			"gateway@coder | one", "gateway@coder | " + evil, "pintle | gateway@coder: exited", "pintle | stopping", "pintle | gateway@coder: 2 lines were not shown here: the console did not keep up"}},
		{"raw", unit.ConsoleRaw, "", false, false, []string{
			"one", evil, "pintle: gateway@coder: exited", "pintle | stopping", "pintle: gateway@coder: 2 lines were not shown here: the console did not keep up"}},
		{"all raw", "", unit.ConsoleRaw, true, false, []string{
			"one", evil, "pintle: gateway@coder: exited", "pintle: stopping", "pintle: gateway@coder: 2 lines were not shown here: the console did not keep up"}},
		{"none", unit.ConsoleNone, "", false, false, []string{
			"pintle | gateway@coder: exited", "pintle | stopping", "pintle | gateway@coder: 2 lines were not shown here: the console did not keep up"}},
		{"none at all", "", unit.ConsoleNone, false, false, []string{
			"pintle | gateway@coder: exited", "pintle | stopping", "pintle | gateway@coder: 2 lines were not shown here: the console did not keep up"}},
		{"none among objects", unit.ConsoleNone, unit.ConsoleJSON, false, false, []string{
			`{"unit":"gateway@coder","run":7,"seq":3,"time":"2026-01-02T02:04:05.000000Z","stream":"pintle","text":"exited"}`,
			`{"time":"2026-01-02T02:04:05.000000Z","stream":"pintle","text":"stopping"}`,
			`{"unit":"gateway@coder","run":0,"time":"2026-01-02T02:04:05.000000Z","stream":"pintle","text":"2 lines were not shown here: the console did not keep up"}`}},
		{"objects", "", unit.ConsoleJSON, true, false, []string{
			`{"unit":"gateway@coder","run":7,"seq":1,"time":"2026-01-02T02:04:05.000000Z","stream":"stdout","text":"one"}`,
			`{"unit":"gateway@coder","run":7,"seq":2,"time":"2026-01-02T02:04:05.000000Z","stream":"stderr","text":"\u001b[31moops\u001b]0;title\u0007\u0000\ufffd\tü\u009b2J\u202e\r","partial":true}`,
			`{"unit":"gateway@coder","run":7,"seq":3,"time":"2026-01-02T02:04:05.000000Z","stream":"pintle","text":"exited"}`,
			`{"time":"2026-01-02T02:04:05.000000Z","stream":"pintle","text":"stopping"}`,
			`{"unit":"gateway@coder","run":0,"time":"2026-01-02T02:04:05.000000Z","stream":"pintle","text":"2 lines were not shown here: the console did not keep up"}`}},
		{"on a terminal", "", "", true, false, []string{
			"\x1b[95mgateway@coder\x1b[0m | one", "\x1b[95mgateway@coder\x1b[0m | oops\uFFFD\tü",
			"\x1b[1mpintle\x1b[0m | gateway@coder: exited", "\x1b[1mpintle\x1b[0m | stopping",
			"\x1b[1mpintle\x1b[0m | gateway@coder: 2 lines were not shown here: the console did not keep up"}},
		{"on a terminal without colours", "", "", true, true, []string{
			"gateway@coder | one", "gateway@coder | oops\uFFFD\tü", "pintle | gateway@coder: exited", "pintle | stopping",
			"pintle | gateway@coder: 2 lines were not shown here: the console did not keep up"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var shown recorder
			console := newConsole(Options{Console: &shown, ConsoleFormat: c.container}, clock)
			console.err.terminal, console.err.coloured = c.terminal, c.terminal && !c.plain
			s := console.join(name, nil)
			s.configure(c.unit, false)
			at := clock().UnixMicro()
			s.add(&consoleLine{run: 7, seq: 1, time: at, stream: engine.Stdout, text: []byte("one")})
			s.add(&consoleLine{run: 7, seq: 2, time: at, stream: engine.Stderr, partial: true, text: []byte(evil)})
			s.add(&consoleLine{run: 7, seq: 3, time: at, stream: Own, text: []byte("exited")})
			console.say("stopping")
			if n := console.flush(t.Context()); n != 0 {
				t.Errorf("%d lines are left", n)
			}
			got := strings.TrimSuffix(shown.String(), "\n") + "\n" + string(console.appendGap(nil, console.err, s, 2))
			if d := cmp.Diff(strings.Join(c.want, "\n")+"\n", got); d != "" {
				t.Error(d)
			}
		})
	}
}

// What pintle says where there is no console has the format of the console: a collector can read every line.
func TestWords(t *testing.T) {
	t.Parallel()
	for format, want := range map[unit.ConsoleFormat]string{
		"":               "pintle: cannot start\npintle:   because",
		unit.ConsoleNone: "pintle: cannot start\npintle:   because",
		unit.ConsoleRaw:  "pintle: cannot start\npintle:   because",
		unit.ConsoleJSON: `{"time":"2026-01-02T02:04:05.000000Z","stream":"pintle","text":"cannot start"}` + "\n" +
			`{"time":"2026-01-02T02:04:05.000000Z","stream":"pintle","text":"  because"}`,
	} {
		if got := Words(format, clock(), "cannot start\n  because\n"); got != want {
			t.Errorf("%s: %q, want %q", format, got, want)
		}
	}
}

// What pintle quotes of a service commands no terminal: it may be main's, on which a container says why it ends.
func TestWordsAreHarmless(t *testing.T) {
	t.Parallel()
	if got, want := Words("", clock(), "it said:\n  web | \x1b[2J\x1b]0;title\x07oops\r"), "pintle: it said:\npintle:   web | oops"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// The time on the console is the one that pintle logs has, to the microsecond.
func TestConsoleTimes(t *testing.T) {
	t.Parallel()
	var shown recorder
	b := NewBook(Options{Console: &shown, ConsoleFormat: unit.ConsoleJSON, Now: clock})
	j := b.Journal(name)
	var s splitter
	j.take(&s, 1, engine.Stdout, []byte("one\n"))
	j.Note(1, "exited")
	b.Say("stopping")
	closed(t, b)
	for line := range strings.Lines(shown.String()) {
		var l engine.Line
		if err := json.Unmarshal([]byte(line), &l); err != nil || !l.Time.Equal(clock().Truncate(time.Microsecond)) {
			t.Errorf("%v: %s is not of %v", err, line, clock())
		}
	}
	if n := strings.Count(shown.String(), "\n"); n != 3 {
		t.Errorf("there are %d lines:\n%s", n, &shown)
	}
}

// Whatever a service writes, its line is one JSON object, of valid UTF-8 and harmless on a terminal, from which the line
// comes back; but for bytes that are not UTF-8, of which each comes back as U+FFFD.
func TestConsoleObjectsComeBack(t *testing.T) {
	t.Parallel()
	any := rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) }))
	rapid.Check(t, func(t *rapid.T) {
		text := any.Draw(t, "text")
		at := time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "time")).UTC()
		want := engine.Line{
			Unit: name, Run: rapid.Uint64().Draw(t, "run"), Seq: rapid.Uint64Min(1).Draw(t, "seq"), Time: at,
			Stream: rapid.SampledFrom([]string{engine.Stdout, engine.Stderr, Own}).Draw(t, "stream"),
			Text:   valid(text), Partial: rapid.Bool().Draw(t, "partial"),
		}
		var s stamp
		line := appendJSON(nil, name, s.of(at.UnixMicro()), &consoleLine{
			run: want.Run, seq: want.Seq, time: at.UnixMicro(), stream: want.Stream, partial: want.Partial, text: text})
		var got engine.Line
		d := json.NewDecoder(strings.NewReader(string(line)))
		d.DisallowUnknownFields()
		if err := d.Decode(&got); err != nil || !utf8.Valid(line) || strings.ContainsFunc(string(line), dangerous) {
			t.Fatalf("%q: %v", line, err)
		}
		if got != want {
			t.Fatalf("%q is %+v, want %+v", line, got, want)
		}
	})
}

// What is shown prefixed on a terminal has nothing in it that a terminal obeys, and printable text is not changed.
func TestCleanIsHarmless(t *testing.T) {
	t.Parallel()
	piece := rapid.OneOf(rapid.SampledFrom([]string{"\x1b", "[", "]", "\x07", "\x9b", "\u009b", "31m", "\x1b\\", "\u202e", "\xc2", "\r", "\x7f"}), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(piece).Draw(t, "text"), "")
		got := string(appendClean(nil, []byte(text)))
		if !utf8.ValidString(got) || strings.ContainsFunc(strings.ReplaceAll(got, "\t", ""), dangerous) {
			t.Fatalf("%q is shown as %q", text, got)
		}
		if utf8.ValidString(text) && !strings.ContainsFunc(text, dangerous) && got != text {
			t.Fatalf("%q is shown as %q", text, got)
		}
	})
}

// Not all units have the same colour. That each keeps its own, the formats show.
func TestColoursDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i := range 50 {
		name := fmt.Sprint("gateway@n", i)
		seen[strings.Split(prefix(name, true), name)[0]] = true
	}
	if len(seen) < 5 {
		t.Errorf("50 units have %d colours", len(seen))
	}
}

// valid is text as encoding/json gives it back: each byte that is not UTF-8 as a character of its own.
func valid(text []byte) string {
	return string([]rune(string(text)))
}

// dangerous tells of a character that a terminal could obey, or that makes text read as another one.
func dangerous(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.In(r, unicode.Bidi_Control)
}
