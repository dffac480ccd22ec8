package cli

import (
	"regexp"
	"strings"
	"sync"
	"unicode"
)

// sequence matches a terminal's control sequences (ECMA-48): strings such as
// OSC with their end, CSI with its parameters, and the short ones. It is compiled
// when it is first needed: PID 1 has this package in it and does not need it.
var sequence = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(
		`(?:\x1b[\]PX^_]|[\x{90}\x{98}\x{9d}-\x{9f}])[^\x07\x1b\x{9c}]*(?:\x07|\x1b\\|\x{9c})` +
			`|(?:\x1b\[|\x{9b})[0-?]*[ -/]*[@-~]` +
			`|\x1b[ -/]*[0-~]`)
})

// clean makes text from outside safe to show on one line of a terminal. Whole
// control sequences go, then every control character but tab, and those that
// reorder what a person reads (Unicode's bidirectional overrides); the end of a
// line becomes a space, and a byte that is not UTF-8 U+FFFD.
func clean(s string) string {
	if plain(s) {
		return s
	}
	s = sequence().ReplaceAllString(strings.ToValidUTF8(s, "\uFFFD"), "")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return r
		case r == '\n':
			return ' '
		case unicode.IsControl(r), reorders(r):
			return -1
		}
		return r
	}, s)
}

func reorders(r rune) bool {
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// plain tells whether s is printable ASCII, as nearly everything is.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
