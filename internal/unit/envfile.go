package unit

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// ParseEnvFile reads a file of environment variables, as Compose's env_file has
// them and docker run --env-file has the simpler ones, into entries NAME=VALUE:
//
//	# a comment, and blank lines
//	NAME=a value   # a comment needs a blank before it
//	export NAME='literal, "quotes", \n and # too'
//	NAME="with \n, \r, \t, \", \\ and \$ for a newline, a return, a tab and themselves"
//
// Space around a name and around a value that is not quoted is no part of them. A
// value in quotes may go on over several lines; in double quotes, a backslash
// before anything else stands for itself. Of two values of a name the last one
// counts. A byte order mark and carriage returns before newlines are passed over.
//
// Variables are not expanded: $NAME and ${NAME} stand for themselves everywhere.
// Nor is a NAME without "=" the value that pintle has for it, as in docker run; it
// is an error.
//
// An error says the line, but nothing that stands there: values are secret, and
// what is no name may be a value.
func ParseEnvFile(data []byte) ([]string, error) {
	if at := bytes.IndexByte(data, 0); at >= 0 {
		return nil, fmt.Errorf("line %d: there is a zero byte, which ends a string", 1+bytes.Count(data[:at], []byte("\n")))
	}
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
	var entries []string
	place := map[string]int{}
	for rest := text; rest != ""; {
		name, value, after, err := nextVariable(rest)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", 1+strings.Count(text[:len(text)-len(rest)], "\n"), err)
		}
		rest = after
		if name == "" {
			continue
		}
		at, again := place[name]
		if !again {
			at = len(entries)
			place[name], entries = at, append(entries, "")
		}
		entries[at] = name + "=" + value
	}
	return entries, nil
}

// envBlank is what may stand between the parts of a line.
const envBlank = " \t\r\v\f"

// nextVariable reads the variable that text begins with; without a name where the first line has none.
func nextVariable(text string) (name, value, rest string, err error) {
	line, rest, _ := strings.Cut(text, "\n")
	line = strings.TrimLeft(line, envBlank)
	if line == "" || line[0] == '#' {
		return "", "", rest, nil
	}
	name, value, found := strings.Cut(line, "=")
	if word, after, ok := cutBlank(name); ok && word == "export" && strings.Trim(after, envBlank) != "" {
		name = after
	}
	name = strings.Trim(name, envBlank)
	switch {
	case name == "" && found:
		return "", "", "", errors.New("there is no name before the =")
	case !isEnvName(name):
		return "", "", "", errors.New("what it begins with is no name: letters, digits and _ . - of ASCII, with a letter or _ first")
	case !found:
		return "", "", "", errors.New("there is no = after the name; a variable is not taken from pintle's own environment")
	}
	trimmed := strings.TrimLeft(value, envBlank)
	if trimmed == "" || trimmed[0] != '\'' && trimmed[0] != '"' {
		return name, unquoted(value), rest, nil
	}
	// The value may go on in the lines after this one, so it is looked for in all that follows.
	value, after, err := quoted(text[strings.Index(text, "=")+1:])
	return name, value, after, err
}

// cutBlank cuts at the first blank.
func cutBlank(s string) (before, after string, found bool) {
	if at := strings.IndexAny(s, envBlank); at >= 0 {
		return s[:at], s[at:], true
	}
	return s, "", false
}

func isEnvName(s string) bool {
	for i, c := range []byte(s) {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c != '.' && c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

// unquoted is a value up to its comment.
func unquoted(s string) string {
	for i := 1; i < len(s); i++ {
		if s[i] == '#' && strings.IndexByte(envBlank, s[i-1]) >= 0 {
			s = s[:i]
		}
	}
	return strings.Trim(s, envBlank)
}

// quoted reads a value in quotes, which may have blanks before it, and the rest of the line that it ends in.
func quoted(s string) (value, rest string, err error) {
	s = strings.TrimLeft(s, envBlank)
	quote, s := s[0], s[1:]
	var out strings.Builder
	for i := 0; ; i++ {
		if i == len(s) {
			return "", "", errors.New("the value begins with a quote that nothing ends")
		}
		if s[i] == quote {
			line, rest, _ := strings.Cut(s[i+1:], "\n")
			if end := strings.TrimLeft(line, envBlank); end != "" && (end[0] != '#' || end == line) {
				return "", "", errors.New("after the quote that ends the value there may only be a comment, after a blank")
			}
			return out.String(), rest, nil
		}
		if s[i] == '\\' && quote == '"' && i+1 < len(s) {
			if c, ok := escapes[s[i+1]]; ok {
				out.WriteByte(c)
				i++
				continue
			}
		}
		out.WriteByte(s[i])
	}
}

// escapes are what may follow a backslash in double quotes.
var escapes = map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', '"': '"', '\\': '\\', '$': '$'}
