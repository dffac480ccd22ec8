package logs

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"pintle/internal/unit"
)

// between stands behind the name of who speaks.
const between = " | "

// prefix is what a unit's lines begin with where they are prefixed. A colour is a unit's own for ever, since it follows
// from the name; red is none of them: it would look like a fault.
func prefix(name string, coloured bool) string {
	if !coloured {
		return name + between
	}
	colours := [...]int{36, 33, 32, 35, 34, 96, 93, 92, 95, 94} // ECMA-48, SGR, and the bright ones of most terminals
	sum := uint32(2166136261)                                   // FNV-1a
	for i := range len(name) {
		sum = (sum ^ uint32(name[i])) * 16777619
	}
	return "\x1b[" + strconv.Itoa(colours[sum%uint32(len(colours))]) + "m" + name + "\x1b[0m" + between
}

// ownPrefix is the prefix of pintle's own words: bold, which no unit is.
func ownPrefix(coloured bool) string {
	if !coloured {
		return Own + between
	}
	return "\x1b[1m" + Own + "\x1b[0m" + between
}

// appendWords appends pintle's own words about a unit, or about none, where the console's lines are bare text: they
// read as what pintle says before there is a console.
func appendWords(b []byte, name unit.Name, text []byte) []byte {
	b = append(b, Own+": "...)
	if name != "" {
		b = append(b, name...)
		b = append(b, ": "...)
	}
	return append(b, text...)
}

// Words is what pintle says of itself, for where there is no console yet, or no more, in the format that is the
// console's otherwise: lines without the last newline.
func Words(format unit.ConsoleFormat, at time.Time, text string) string {
	var b []byte
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if format == unit.ConsoleJSON {
			var s stamp
			b = appendJSON(b, "", s.of(at.UnixMicro()), &consoleLine{stream: Own, text: []byte(line)})
		} else {
			b = appendWords(b, "", appendClean(nil, []byte(line))) // of a service that it quotes
		}
		b = append(b, '\n')
	}
	return strings.TrimSuffix(string(b), "\n")
}

// appendJSON appends a line as an object with the keys of engine.Line. A line of no unit has none of unit, run and seq.
func appendJSON(b []byte, name unit.Name, at []byte, l *consoleLine) []byte {
	b = append(b, '{')
	if name != "" {
		b = append(b, `"unit":`...)
		b = appendString(b, []byte(name))
		b = append(b, `,"run":`...)
		b = strconv.AppendUint(b, l.run, 10)
		if l.seq != 0 {
			b = append(b, `,"seq":`...)
			b = strconv.AppendUint(b, l.seq, 10)
		}
		b = append(b, ',')
	}
	b = append(b, `"time":"`...)
	b = append(b, at...)
	b = append(b, `","stream":"`...)
	b = append(b, l.stream...)
	b = append(b, `","text":`...)
	b = appendString(b, l.text)
	if l.partial {
		b = append(b, `,"partial":true`...)
	}
	return append(b, '}')
}

// appendString appends any bytes as a JSON string of valid UTF-8: a byte that is none becomes U+FFFD. Whatever a
// terminal could take for a command is escaped, so that the object may be looked at on one.
func appendString(b, text []byte) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	begun := 0 // text before it has been appended
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
				i++
				continue
			}
			b = append(b, text[begun:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\t':
				b = append(b, `\t`...)
			case '\r':
				b = append(b, `\r`...)
			default:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			begun = i
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		broken := r == utf8.RuneError && n == 1
		if broken || !harmless(r) {
			b = append(b, text[begun:i]...)
			b = append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15]) // all of these have 16 bits
			begun = i + n
		}
		i += n
	}
	b = append(b, text[begun:]...)
	return append(b, '"')
}

// harmless tells of a character that it neither controls a terminal nor reorders or breaks what a person reads.
func harmless(r rune) bool {
	return !unicode.IsControl(r) && !unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// sequence matches a terminal's control sequences (ECMA-48): strings such as OSC with their end, CSI with its
// parameters, and the short ones. It is compiled when a terminal is written to, which is seldom.
var sequence = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(
		`(?:\x1b[\]PX^_]|[\x{90}\x{98}\x{9d}-\x{9f}])[^\x07\x1b\x{9c}]*(?:\x07|\x1b\\|\x{9c})` +
			`|(?:\x1b\[|\x{9b})[0-?]*[ -/]*[@-~]` +
			`|\x1b[ -/]*[0-~]`)
})

// appendClean appends a service's text without what commands a terminal: whole control sequences go, then every control
// character but tab; a byte that is not UTF-8 becomes U+FFFD.
func appendClean(b, text []byte) []byte {
	if plain(text) {
		return append(b, text...)
	}
	s := sequence().ReplaceAllString(strings.ToValidUTF8(string(text), "\uFFFD"), "")
	for _, r := range s {
		if r == '\t' || harmless(r) {
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

// plain tells whether text is printable ASCII, as nearly everything is.
func plain(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// stamp is the time in front of lines (stampForm), formatted once for all lines of the same time.
type stamp struct {
	time int64
	text []byte
}

// of is the text of a time in microseconds since 1970. It is valid until the next call.
func (s *stamp) of(at int64) []byte {
	if s.text == nil || s.time != at {
		s.time, s.text = at, time.UnixMicro(at).UTC().AppendFormat(s.text[:0], stampForm)
	}
	return s.text
}
