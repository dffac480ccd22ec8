package syslog

import (
	"strings"
	"testing"
)

// Whatever is sent becomes lines that say facility, severity, who and what, without the sender's time; what can't be
// read is text, byte by byte.
func TestLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, sent, want string }{
		{"syslog(3)", "<30>Nov 23 10:00:00 cron[42]: started", "daemon.info cron[42]: started"},
		{"a day below ten", "<13>Nov  3 10:00:00 root: hi", "user.notice root: hi"},
		{"a zero at its end", "<13>Nov  3 10:00:00 root: hi\n\x00", "user.notice root: hi"},
		{"no time", "<165>app: hi: there", "local4.notice app: hi: there"},
		{"no tag", "<11>Nov 23 10:00:00 it went wrong: no disk", "user.err it went wrong: no disk"},
		{"no priority", "Nov 23 10:00:00 app: hi", "user.notice app: hi"},
		{"text alone", "just text", "user.notice just text"},
		{"nothing", "", "user.notice "},
		{"lines", "<14>app: one\n two\n\nthree\n", "user.info app: one\nuser.info app:  two\nuser.info app: \nuser.info app: three"},
		{"bytes are kept", "<8>a: \x00\xff\x1b[2J\r\t", "user.emerg a: \x00\xff\x1b[2J\r\t"},
		{"a priority that is none", "<192>a: b", "user.notice <192>a: b"},
		{"a priority too long", "<0013>a: b", "user.notice <0013>a: b"},
		{"a priority with a sign", "<+13>a: b", "user.notice <+13>a: b"},
		{"no end of it", "<13", "user.notice <13"},
		{"an empty one", "<>a: b", "user.notice <>a: b"},
		{"the highest", "<191>a: b", "local7.debug a: b"},
		{"the kernel's", "<0>a: b", "kern.emerg a: b"},
		{"no tag but a colon", "<13>: b", "user.notice : b"},
		{"not quite a time", "<13>Nov 23 10:00_00 a: b", "user.notice Nov 23 10:00_00 a: b"},
		{"RFC 5424", `<165>1 2026-11-23T10:00:00.003Z host app 42 ID47 - text`, "local4.notice app[42]: text"},
		{"with data", `<165>1 2026-11-23T10:00:00Z - app - - [a@1 b="c"] text`, `local4.notice app: [a@1 b="c"] text`},
		{"with a mark of its order", "<14>1 - - app 1 - - \xef\xbb\xbftext", "user.info app[1]: text"},
		{"with nothing", "<14>1 - - - - - -", "user.info "},
		{"a newline where none may be", "<14>1 - - a\nb 1 - - x", "user.info 1 - - a\nuser.info b 1 - - x"},
		{"not quite", "<14>1 for the money", "user.info 1 for the money"},
		{"not quite either", "<14>1 2 3 4 5 6 7", "user.info 1 2 3 4 5 6 7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := string(Parse([]byte(c.sent)).Line()); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Nothing that is sent is lost but what is a time, or a field that RFC 5424 has beside: the text ends as it was sent.
func FuzzParse(f *testing.F) {
	f.Add([]byte("<30>Nov 23 10:00:00 cron[42]: started"))
	f.Add([]byte(`<165>1 2026-11-23T10:00:00.003Z host app 42 ID47 [a b="c"] text`))
	f.Add([]byte("<14>1 - - app 1 - -"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		m := Parse(sent)
		if !strings.HasSuffix(strings.TrimRight(string(sent), "\n\x00"), string(m.Text)) {
			t.Errorf("the text is %q", m.Text)
		}
		if m.Facility < 0 || m.Facility > 23 || m.Severity < 0 || m.Severity > 7 || strings.ContainsAny(m.Tag, "\n") {
			t.Errorf("%+v", m)
		}
		if n := strings.Count(string(m.Line()), "\n"); n != strings.Count(string(m.Text), "\n") {
			t.Errorf("%q has %d ends of lines", m.Text, n)
		}
	})
}
