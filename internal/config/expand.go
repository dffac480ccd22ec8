package config

import (
	"fmt"
	"strings"
)

// The grammar of a value, in which NAME is a letter or '_' and then letters, digits or '_':
//
//	${NAME}            its value; an error when it is not set
//	${NAME:-default}   the default when it is not set or empty; it may hold further expansions
//	${NAME:?message}   an error with this message when it is not set or empty
//	$$                 one dollar sign
//
// Any other dollar sign is an error. Compose would expand $NAME and a shell would
// too, so leaving it as it is would surprise, and expanding it would break what was
// meant for the program; "$$" says the one, "${NAME}" the other, and an error loses
// nothing. The first "}" that closes no inner "${" ends a default.

const (
	// maxExpanded bounds one value, because a short file can name a long variable many times.
	maxExpanded = 1 << 20
	// maxNested bounds defaults within defaults, and so the recursion.
	maxNested = 16
)

// state is what an expansion found a variable to be.
type state int

const (
	unset state = iota
	empty
	filled
)

// variable is one that an expansion looked at.
type variable struct {
	name  string
	state state
}

// String is a clause such as "HOME is not set"; never what the variable holds.
func (v variable) String() string {
	switch v.state {
	case unset:
		return v.name + " is not set"
	case empty:
		return v.name + " is empty"
	}
	return v.name + " is set"
}

// expandError is what is wrong with a value, and at which byte of it.
type expandError struct {
	offset  int
	message string
}

func (e *expandError) Error() string { return e.message }

// environment is the container's own, for expansion.
type environment map[string]string

// newEnvironment takes NAME=VALUE pairs; the first of two with one name counts, as in os.Getenv.
func newEnvironment(pairs []string) environment {
	env := make(environment, len(pairs))
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		if _, again := env[name]; !again {
			env[name] = value
		}
	}
	return env
}

// expand replaces the variables in s and says which ones it consulted, in order.
func (env environment) expand(s string) (string, []variable, *expandError) {
	if !strings.Contains(s, "$") {
		return s, nil, nil
	}
	e := expansion{env: env, text: s}
	out, err := e.until(false, 0, true)
	if err != nil {
		return "", nil, err
	}
	return out, e.used, nil
}

// expansion is a cursor over one value.
type expansion struct {
	env  environment
	text string
	at   int
	used []variable
}

func failAt(offset int, format string, args ...any) *expandError {
	return &expandError{offset, fmt.Sprintf(format, args...)}
}

// until expands up to the end, or inside braces up to the "}" that ends them, which
// is not consumed. Where live is false it only checks the syntax.
func (e *expansion) until(braces bool, depth int, live bool) (string, *expandError) {
	var out strings.Builder
	for e.at < len(e.text) {
		c := e.text[e.at]
		switch {
		case braces && c == '}':
			return out.String(), nil
		case c != '$':
			out.WriteByte(c)
			e.at++
		case strings.HasPrefix(e.text[e.at:], "$$"):
			out.WriteByte('$')
			e.at += 2
		case strings.HasPrefix(e.text[e.at:], "${"):
			value, err := e.variable(depth, live)
			if err != nil {
				return "", err
			}
			if out.Len()+len(value) > maxExpanded {
				return "", failAt(e.at, "cannot expand the value: it grows over %d bytes", maxExpanded)
			}
			out.WriteString(value)
		default:
			return "", failAt(e.at, "cannot expand $: write $$ for a dollar sign, or ${NAME} for a variable")
		}
	}
	return out.String(), nil
}

// variable expands one "${…}".
func (e *expansion) variable(depth int, live bool) (string, *expandError) {
	start := e.at
	if depth == maxNested {
		return "", failAt(start, "cannot expand ${: more than %d are nested", maxNested)
	}
	e.at += len("${")
	name := e.name()
	var operator string
	if rest := e.text[e.at:]; strings.HasPrefix(rest, ":-") || strings.HasPrefix(rest, ":?") {
		operator = rest[:2]
		e.at += 2
	}
	inner := e.at
	value, found := e.env[name]
	lacking := operator != "" && value == ""

	fallback := ""
	if operator != "" {
		if live && lacking {
			e.used = append(e.used, variable{name, stateOf(value, found)})
		}
		var err *expandError
		if fallback, err = e.until(true, depth+1, live && lacking && operator == ":-"); err != nil {
			return "", err
		}
	}
	switch {
	case e.at == len(e.text):
		return "", failAt(start, "cannot expand ${%s: its } is missing", name)
	case name == "":
		return "", failAt(start, "cannot expand ${…}: a variable's name has letters, digits and _, and begins with no digit")
	case e.text[e.at] != '}':
		return "", failAt(start, "cannot expand ${%s…}: after the name comes }, :-default} or :?message}", name)
	}
	message := e.text[inner:e.at]
	e.at++
	switch {
	case !live:
		return "", nil
	case operator == ":-" && lacking:
		return fallback, nil
	case operator == ":?" && lacking:
		if message == "" {
			message = name + " is needed"
		}
		return "", failAt(start, "cannot expand ${%s}: %s", name, message)
	case !found:
		return "", failAt(start, "cannot expand ${%s}: %[1]s is not set; write ${%[1]s:-default} to allow that", name)
	}
	e.used = append(e.used, variable{name, stateOf(value, found)})
	return value, nil
}

// name consumes a variable's name; it is empty where there is none.
func (e *expansion) name() string {
	start := e.at
	for e.at < len(e.text) {
		c := e.text[e.at]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (e.at == start || c < '0' || c > '9') {
			break
		}
		e.at++
	}
	return e.text[start:e.at]
}

func stateOf(value string, found bool) state {
	switch {
	case !found:
		return unset
	case value == "":
		return empty
	}
	return filled
}
