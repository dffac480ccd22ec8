package forward

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"pintle/internal/engine"
)

// severity is what a line's stream makes of it, in the words of syslog. That it is an error is nothing that a stream says.
type severity int

// The severities of RFC 5424.
const (
	warning severity = 4
	notice  severity = 5
	info    severity = 6
)

func severityOf(stream string) severity {
	switch stream {
	case engine.Stderr:
		return warning
	case own:
		return notice
	}
	return info
}

// daemon is the facility of RFC 5424.
const daemon = 3

// mark is what UTF-8 begins with in a message (RFC 5424, 6.4).
const mark = "\xef\xbb\xbf"

// appendSyslog appends a line as a message of RFC 5424, in at most so many bytes; 0: as many as it takes. APP-NAME is
// the unit, PROCID its run, whose change says that the process is another one, and MSGID the stream. A text that had to be
// cut tells how long it was.
func appendSyslog(b []byte, host string, e *entry, most int) []byte {
	l, text := &e.line, e.text()
	begin := len(b)
	b = append(b, '<')
	b = strconv.AppendInt(b, int64(daemon*8+severityOf(l.Stream)), 10)
	b = append(b, ">1 "...)
	b = l.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z ")
	b = append(appendWord(b, host, 255), ' ')
	b = append(appendWord(b, string(l.Unit), 48), ' ')
	run := ""
	if l.Run > 0 {
		run = strconv.FormatUint(l.Run, 10)
	}
	b = append(appendWord(b, run, 128), ' ')
	b = append(appendWord(b, l.Stream, 32), ' ')

	b = append(b, "[pintle@32473"...)
	b = appendParameter(b, "unit", string(l.Unit))
	if e.lost == 0 {
		b = appendParameter(b, "run", run)
		b = appendParameter(b, "seq", strconv.FormatUint(l.Seq, 10))
	}
	b = appendParameter(b, "stream", l.Stream)
	if l.Partial {
		b = appendParameter(b, "partial", "true")
	}
	const end = "] " + mark
	whole := len(text)
	if most > 0 && len(b)-begin+len(end)+whole > most {
		b = appendParameter(b, "truncated", strconv.Itoa(whole))
		text = cut(text, max(most-(len(b)-begin)-len(end), 0))
	}
	b = append(b, "] "...)
	if !ascii(text) && utf8.ValidString(text) {
		b = append(b, mark...)
	}
	return append(b, text...)
}

// cut is the beginning of a text, and no half of a character.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for i := most; i > max(most-utf8.UTFMax, 0); i-- {
		if utf8.RuneStart(text[i]) {
			return text[:i]
		}
	}
	return text[:most] // it was no UTF-8
}

// appendWord appends a word of the header: printable ASCII without spaces, or "-" for none.
func appendWord(b []byte, word string, most int) []byte {
	if word == "" {
		return append(b, '-')
	}
	for i := range min(len(word), most) {
		c := word[i]
		if c <= ' ' || c > '~' {
			c = '_'
		}
		b = append(b, c)
	}
	return b
}

var escaping = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`)

func appendParameter(b []byte, name, value string) []byte {
	b = append(append(append(b, ' '), name...), `="`...)
	b = append(b, escaping.Replace(strings.ToValidUTF8(value, "\uFFFD"))...)
	return append(b, '"')
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
