package tools

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// pattern is an extended regular expression of POSIX that s6-log selects lines by. It is one of bytes, as in the C locale
// that s6-log has: Go's engine is given each byte as a character of its own.
type pattern struct{ re *regexp.Regexp }

func (p pattern) matches(line []byte) bool {
	for _, b := range line {
		if b >= utf8.RuneSelf {
			return p.re.MatchString(bytewise(line))
		}
	}
	return p.re.Match(line)
}

func bytewise(text []byte) string {
	var s strings.Builder
	for _, b := range text {
		s.WriteRune(rune(b))
	}
	return s.String()
}

// compilePattern translates text to Go's dialect, with glibc's answers where POSIX leaves them open. What Go's engine has
// not is an error: references back, and more than 1000 repetitions.
func compilePattern(text string) (pattern, error) {
	t := translation{in: text}
	if err := t.alternatives(0); err != nil {
		return pattern{}, err
	}
	re, err := regexp.Compile("(?s)" + t.out.String())
	return pattern{re}, err
}

var errPattern = errors.New("invalid regular expression")

// translation is an expression on its way to Go's dialect, by recursive descent.
type translation struct {
	in  string
	at  int
	out strings.Builder
}

func (t *translation) more() bool { return t.at < len(t.in) }

// alternatives is branches between "|", up to the end or the parenthesis that ends depth.
func (t *translation) alternatives(depth int) error {
	for {
		if err := t.branch(depth); err != nil {
			return err
		}
		if !t.more() || t.in[t.at] != '|' {
			return nil
		}
		t.at++
		t.out.WriteByte('|')
	}
}

func (t *translation) branch(depth int) error {
	for t.more() {
		c := t.in[t.at]
		if c == '|' || c == ')' && depth > 0 {
			return nil
		}
		atom, repeatable, err := t.atom(depth)
		if err != nil {
			return err
		}
		for repeatable && t.more() {
			times, err := t.repetition()
			if err != nil {
				return err
			}
			if times == "" {
				break
			}
			atom = "(?:" + atom + ")" + times
		}
		t.out.WriteString(atom)
	}
	return nil
}

// atom is one thing that may be repeated; an anchor may not.
func (t *translation) atom(depth int) (text string, repeatable bool, err error) {
	c := t.in[t.at]
	t.at++
	switch c {
	case '*', '+', '?', '{':
		return "", false, errPattern // there is nothing to repeat
	case '^', '$':
		return string(c), false, nil
	case '.':
		return ".", true, nil
	case '[':
		text, err := t.bracket()
		return text, true, err
	case '(':
		inner := translation{in: t.in, at: t.at}
		if err := inner.alternatives(depth + 1); err != nil {
			return "", false, err
		}
		if t.at = inner.at; !t.more() {
			return "", false, errPattern
		}
		t.at++
		return "(?:" + inner.out.String() + ")", true, nil
	case '\\':
		return t.escape()
	}
	return literal(c), true, nil
}

func literal(c byte) string { return regexp.QuoteMeta(string(rune(c))) }

// escape is a character after a backslash: glibc gives some of them a meaning.
func (t *translation) escape() (text string, repeatable bool, err error) {
	if !t.more() {
		return "", false, errPattern
	}
	c := t.in[t.at]
	t.at++
	switch c {
	case 'w', 'W', 's', 'S':
		if c == 's' {
			return `[\t-\r ]`, true, nil
		}
		if c == 'S' {
			return `[^\t-\r ]`, true, nil
		}
		return `\` + string(c), true, nil
	case 'b', 'B':
		return `\` + string(c), false, nil
	case '<', '>':
		return `\b`, false, nil // Go has no look-around; beside a word this is the same
	case '`':
		return `\A`, false, nil
	case '\'':
		return `\z`, false, nil
	case '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return "", false, errPattern
	}
	return literal(c), true, nil
}

// repetition is "*", "+", "?" or an interval, or nothing.
func (t *translation) repetition() (string, error) {
	switch c := t.in[t.at]; c {
	case '*', '+', '?':
		t.at++
		return string(c), nil
	case '{':
	default:
		return "", nil
	}
	inside, _, closed := strings.Cut(t.in[t.at+1:], "}")
	if !closed {
		return "", errPattern
	}
	t.at += len(inside) + 2
	low, high, ranged := strings.Cut(inside, ",")
	least, okLeast := uint32Of(low)
	if low == "" && ranged {
		okLeast = true
	}
	most, okMost := uint32Of(high)
	switch {
	case !okLeast, ranged && high != "" && (!okMost || most < least):
		return "", errPattern
	case !ranged:
		return fmt.Sprintf("{%d}", least), nil
	case high == "":
		return fmt.Sprintf("{%d,}", least), nil
	}
	return fmt.Sprintf("{%d,%d}", least, most), nil
}

// classes are POSIX's in the C locale, as they stand in a bracket of Go's.
const classes = " alnum alpha blank cntrl digit graph lower print punct space upper xdigit "

// bracket is what follows "[": characters, ranges and classes; a backslash is a character there.
func (t *translation) bracket() (string, error) {
	var set strings.Builder
	set.WriteByte('[')
	if strings.HasPrefix(t.in[t.at:], "^") {
		t.at++
		set.WriteByte('^')
	}
	for first := true; ; first = false {
		if !t.more() {
			return "", errPattern
		}
		if t.in[t.at] == ']' && !first {
			t.at++
			set.WriteByte(']')
			return set.String(), nil
		}
		if rest := t.in[t.at:]; strings.HasPrefix(rest, "[:") {
			name, _, closed := strings.Cut(rest[2:], ":]")
			if !closed || !strings.Contains(classes, " "+name+" ") {
				return "", errPattern
			}
			t.at += len(name) + 4
			set.WriteString("[:" + name + ":]")
			continue
		}
		low, err := t.member()
		if err != nil {
			return "", err
		}
		high := low
		if rest := t.in[t.at:]; len(rest) > 1 && rest[0] == '-' && rest[1] != ']' {
			t.at++
			if high, err = t.member(); err != nil || high < low {
				return "", errPattern
			}
		}
		fmt.Fprintf(&set, `\x{%02x}-\x{%02x}`, low, high)
	}
}

// member is one character of a bracket, which may stand as "[.c.]" or "[=c=]".
func (t *translation) member() (byte, error) {
	if rest := t.in[t.at:]; len(rest) > 1 && rest[0] == '[' && (rest[1] == '.' || rest[1] == '=') {
		if len(rest) < 5 || rest[3] != rest[1] || rest[4] != ']' {
			return 0, errPattern
		}
		t.at += 5
		return rest[2], nil
	}
	c := t.in[t.at]
	t.at++
	return c, nil
}
