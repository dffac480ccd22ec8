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

var base = regexp.MustCompile(`\A[a-zA-Z0-9][a-zA-Z0-9_.-]*\z`)

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
	case !base.MatchString(s):
		return errors.New("only letters, digits, '_', '.' and '-' are allowed, and the first must be a letter or a digit")
	}
	return nil
}

// quote shows a string from outside on one line, and not all of a long one.
func quote(s string) string {
	if len(s) > 60 {
		return strconv.Quote(s[:60]) + "…"
	}
	return strconv.Quote(s)
}

// NamePattern is a regular expression that a whole instance name must match.
type NamePattern struct{ re *regexp.Regexp }

// DefaultNamePattern is what instances may be called where a template does not say.
var DefaultNamePattern = NamePattern{regexp.MustCompile(`\A(?:[a-z0-9][a-z0-9_-]{0,62})\z`)}

// ParseNamePattern compiles an expression (RE2 syntax, anchored at both ends).
func ParseNamePattern(expr string) (NamePattern, error) {
	_, err := regexp.Compile(expr) // alone first: "a)|(?:b" must not escape the anchors
	var re *regexp.Regexp
	if err == nil {
		re, err = regexp.Compile(`\A(?:` + expr + `)\z`)
	}
	if err != nil {
		return NamePattern{}, fmt.Errorf("cannot use name pattern %s: %w", quote(expr), err)
	}
	return NamePattern{re}, nil
}

// Check tells whether an instance may have this name; the error names the rule.
func (p NamePattern) Check(instance string) error {
	if p.re == nil {
		return DefaultNamePattern.Check(instance)
	}
	if !p.re.MatchString(instance) {
		return fmt.Errorf("cannot use instance name %s: the template allows only names that match %s", quote(instance), p)
	}
	return nil
}

// String is the expression as it was written.
func (p NamePattern) String() string {
	if p.re == nil {
		return DefaultNamePattern.String()
	}
	return strings.TrimSuffix(strings.TrimPrefix(p.re.String(), `\A(?:`), `)\z`)
}
