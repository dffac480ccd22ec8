package unit

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Name is a unit's name: "main", "dashboard", or "gateway@coder" for the
// instance coder of the template gateway. A Name that came from ParseName or
// InstanceName is safe as a file name and as one segment of a URL path.
type Name string

// MainName is the name of the main program's unit.
const MainName Name = "main"

// maxName keeps a name and a suffix within one file name on every file system (NAME_MAX, limits.h, is 255).
const maxName = 200

// ParseName checks s and returns it as a Name.
func ParseName(s string) (Name, error) {
	template, instance, ok := strings.Cut(s, "@")
	if err := checkBase(template); err != nil {
		return "", fmt.Errorf("cannot use name %s: %w", quote(s), err)
	}
	if ok {
		if err := checkBase(instance); err != nil {
			return "", fmt.Errorf("cannot use name %s: instance name: %w", quote(s), err)
		}
	}
	if len(s) > maxName {
		return "", fmt.Errorf("cannot use name %s: it is longer than %d bytes", quote(s), maxName)
	}
	return Name(s), nil
}

// InstanceName joins a template's name and an instance's.
func InstanceName(template, instance string) (Name, error) {
	return ParseName(template + "@" + instance)
}

// Template is the part before the "@", or "" for a name that is no instance's.
func (n Name) Template() string {
	template, _, ok := strings.Cut(string(n), "@")
	if !ok {
		return ""
	}
	return template
}

// Instance is the part after the "@", or "".
func (n Name) Instance() string {
	_, instance, _ := strings.Cut(string(n), "@")
	return instance
}

func checkBase(s string) error {
	switch {
	case s == "":
		return errors.New("it is empty")
	case !isBase(s):
		return errors.New("only letters, digits, '_', '.' and '-' are allowed, and the first must be a letter or a digit")
	}
	return nil
}

// isBase tells whether a template or an instance may be called s.
func isBase(s string) bool {
	for i, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && (c == '_' || c == '.' || c == '-'):
		default:
			return false
		}
	}
	return true
}

// quote shows a string from outside on one line, and not all of a long one.
func quote(s string) string {
	if len(s) > 60 {
		return strconv.Quote(s[:60]) + "…"
	}
	return strconv.Quote(s)
}

// NamePattern is a regular expression that a whole instance name must match; the zero value is DefaultNamePattern.
type NamePattern struct{ re *regexp.Regexp }

// DefaultNamePattern is what instances may be called where a template does not say.
const DefaultNamePattern = `[a-z0-9][a-z0-9_-]{0,62}`

// anchored compiles an expression so that it must match all of a name.
func anchored(expr string) (*regexp.Regexp, error) { return regexp.Compile(`\A(?:` + expr + `)\z`) }

// isDefaultName is DefaultNamePattern without an expression, which pintle would compile at each of its starts and most
// containers never need.
func isDefaultName(s string) bool {
	const most = 63
	for i, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && (c == '_' || c == '-'):
		default:
			return false
		}
	}
	return 0 < len(s) && len(s) <= most
}

// ParseNamePattern compiles an expression (RE2 syntax, anchored at both ends).
func ParseNamePattern(expr string) (NamePattern, error) {
	_, err := regexp.Compile(expr) // alone first: "a)|(?:b" must not escape the anchors
	var re *regexp.Regexp
	if err == nil {
		re, err = anchored(expr)
	}
	if err != nil {
		return NamePattern{}, fmt.Errorf("cannot use name pattern %s: %w", quote(expr), err)
	}
	return NamePattern{re}, nil
}

// Check tells whether an instance may have this name; the error names the rule.
func (p NamePattern) Check(instance string) error {
	fits := isDefaultName
	if p.re != nil {
		fits = p.re.MatchString
	}
	if !fits(instance) {
		return fmt.Errorf("cannot use instance name %s: the template allows only names that match %s", quote(instance), p)
	}
	return nil
}

// String is the expression as it was written.
func (p NamePattern) String() string {
	if p.re == nil {
		return DefaultNamePattern
	}
	return strings.TrimSuffix(strings.TrimPrefix(p.re.String(), `\A(?:`), `)\z`)
}
