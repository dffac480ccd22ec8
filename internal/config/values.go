package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pintle/internal/unit"
)

// A value is a single value of the file. The decoder fills its base and then has it
// checked; the error of check is a cause, to be read after "cannot use KEY: ".
type value interface {
	base() *scalar
	check() error
}

// scalar is a single value as text, with what is known of where it came from.
type scalar struct {
	text string
	at   Position
	// vars are the variables that were consulted for it.
	vars []variable
	// wrong is set, and nothing else, where the file has it and it cannot be used.
	wrong bool
}

func (s *scalar) base() *scalar { return s }

// given tells whether the file has the value at all.
func (s *scalar) given() bool { return s.at.Line > 0 }

// shown is the value as an error may have it: never what a variable holds, for that is secret.
func (s *scalar) shown() string {
	var used, absent []string
	for _, v := range s.vars {
		if v.state == filled {
			used = append(used, v.name)
		} else {
			absent = append(absent, v.String())
		}
	}
	switch {
	case len(used) > 0:
		return "the value from " + strings.Join(used, " and ")
	case len(absent) > 0:
		return quote(s.text) + " (" + strings.Join(absent, " and ") + ")"
	}
	return quote(s.text)
}

// secret tells whether a variable holds any of the value.
func (s *scalar) secret() bool {
	return slices.ContainsFunc(s.vars, func(v variable) bool { return v.state == filled })
}

// nearest is suggest for a value; it is empty where that is secret, for what is near to
// a value says much of it.
func (s *scalar) nearest(text string, known map[string]bool) string {
	if s.secret() {
		return ""
	}
	return suggest(text, known)
}

// quote shows text on one line, and not all of a long one.
func quote(s string) string {
	if runes := []rune(s); len(runes) > 60 {
		return strconv.Quote(string(runes[:60])) + "…"
	}
	return strconv.Quote(s)
}

// word is any text.
type word struct{ scalar }

func (*word) check() error { return nil }

// texts takes the text out of a list of words.
func texts(words []word) []string {
	if len(words) == 0 {
		return nil
	}
	out := make([]string, len(words))
	for i := range words {
		out[i] = words[i].text
	}
	return out
}

// duration is a length of time up to maxDuration.
type duration struct {
	scalar
	d time.Duration
}

const maxDuration = 24 * time.Hour

func (v *duration) check() error {
	d, err := time.ParseDuration(v.text)
	if _, bare := strconv.ParseFloat(v.text, 64); bare == nil {
		return fmt.Errorf("%s has no unit; write a duration such as 10s", v.shown())
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s is no duration such as 500ms, 10s or 1h30m", v.shown())
	case d < 0:
		return fmt.Errorf("%s is negative", v.shown())
	case d > maxDuration:
		return fmt.Errorf("%s is longer than 24h", v.shown())
	}
	v.d = d
	return nil
}

// or is the duration, or another one where the file has none.
func (v *duration) or(d time.Duration) time.Duration {
	if v.given() {
		return v.d
	}
	return d
}

// lasting is a length of time for which something is kept: up to a year.
type lasting struct {
	scalar
	d time.Duration
}

const maxLasting = 366 * 24 * time.Hour

func (v *lasting) check() error {
	d, err := parseDays(v.text)
	switch {
	case err != nil || d < 0:
		return fmt.Errorf("%s is no duration such as 30m or 168h", v.shown())
	case d > maxLasting:
		return fmt.Errorf("%s is longer than a year", v.shown())
	}
	v.d = d
	return nil
}

// parseDays is time.ParseDuration, which has no days, with days before the rest: 7d, 1d12h.
func parseDays(text string) (time.Duration, error) {
	number, rest, days := strings.Cut(text, "d")
	if !days {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || rest == "" {
		return time.Duration(n) * 24 * time.Hour, err
	}
	d, err := time.ParseDuration(rest)
	if d < 0 {
		return d, err
	}
	return time.Duration(n)*24*time.Hour + d, err
}

// positive is a length of time that is not zero.
type positive struct{ duration }

func (v *positive) check() error {
	if err := v.duration.check(); err != nil {
		return err
	}
	if v.d == 0 {
		return fmt.Errorf("%s is too short", v.shown())
	}
	return nil
}

// maxID is the largest uid; the number above it means "no change" to chown(2).
const maxID = 1<<32 - 2

// flag is a boolean: the words of YAML 1.1 and of Docker's users, in any case. Empty is
// false, so that an empty variable is an unset one.
type flag struct {
	scalar
	on bool
}

func (v *flag) check() error {
	switch strings.ToLower(v.text) {
	case "1", "true", "yes", "on":
		v.on = true
	case "0", "false", "no", "off", "":
		v.on = false
	default:
		return fmt.Errorf("%s is no boolean; write true or false", v.shown())
	}
	return nil
}

// or is the flag, or another value where the file has none.
func (v *flag) or(on bool) bool {
	if v.given() {
		return v.on
	}
	return on
}

// because says what made the flag what it is; empty when it is on and the file says so itself.
func (v *flag) because(key string) string {
	word := "off"
	if v.on {
		word = "on"
	}
	var decided, absent []string
	for _, used := range v.vars {
		if used.state == filled {
			decided = append(decided, used.name+" is "+word)
		} else {
			absent = append(absent, used.String())
		}
	}
	switch {
	case len(decided) > 0:
		return strings.Join(decided, " and ")
	case len(absent) > 0:
		return strings.Join(absent, " and ")
	case v.on:
		return ""
	}
	return fmt.Sprintf("%s is false in %s:%d", key, v.at.File, v.at.Line)
}

// signal is a signal's name or number.
type signal struct {
	scalar
	sig unit.Signal
}

func (v *signal) check() error {
	sig, err := unit.ParseSignal(v.text)
	if err != nil {
		return fmt.Errorf("%s is no signal", v.shown())
	}
	v.sig = sig
	return nil
}

// owner is "name", "uid", "name:group" or "uid:gid"; empty is pintle's own user.
type owner struct{ scalar }

func (v *owner) check() error {
	user, group, both := strings.Cut(v.text, ":")
	if v.text == "" {
		return nil
	}
	if !account(user) || both && !account(group) {
		return fmt.Errorf("%s is not of the form name, uid, name:group or uid:gid", v.shown())
	}
	return nil
}

// account tells whether s can be a user's or group's name or number. What can be in a
// passwd file is allowed; a number must be one that the kernel has.
func account(s string) bool {
	if strings.Trim(s, "0123456789") == "" {
		n, err := strconv.ParseUint(s, 10, 32)
		return err == nil && n <= maxID
	}
	return s[0] != '-' && !strings.ContainsAny(s, ":/, \t\n")
}

// manager is a user, or "group:NAME".
type manager struct {
	scalar
	name  string
	group bool
}

func (v *manager) check() error {
	v.name, v.group = strings.CutPrefix(v.text, "group:")
	if !account(v.name) {
		return fmt.Errorf("%s is neither a user nor group:NAME", v.shown())
	}
	return nil
}

// directory is an absolute path; empty counts as not given.
type directory struct{ scalar }

func (v *directory) check() error {
	if v.text != "" && !path.IsAbs(v.text) {
		return fmt.Errorf("%s is no absolute path", v.shown())
	}
	return nil
}

// file is an absolute path that must not be empty.
type file struct{ scalar }

func (v *file) check() error {
	if !path.IsAbs(v.text) {
		return fmt.Errorf("%s is no absolute path", v.shown())
	}
	return nil
}

// fileName is the name of a file in a directory; empty counts as not given.
type fileName struct{ scalar }

func (v *fileName) check() error {
	if v.text == "." || v.text == ".." || strings.Contains(v.text, "/") {
		return fmt.Errorf("%s is no file's name", v.shown())
	}
	return nil
}

// address is host:port, where %i may stand for an instance's name.
type address struct{ scalar }

func (v *address) check() error {
	host, port, err := net.SplitHostPort(v.text)
	if err != nil || host == "" || strings.ContainsAny(host, " \t\n/") {
		return fmt.Errorf("%s is not of the form host:port", v.shown())
	}
	if strings.Contains(port, "%i") {
		return nil // known only when an instance exists
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%s has no port from 1 to 65535", v.shown())
	}
	return nil
}

// httpURL is an http:// URL, where %i may stand for an instance's name.
type httpURL struct{ scalar }

func (v *httpURL) check() error {
	u, err := url.Parse(strings.NewReplacer("%%", "%25", "%i", "1").Replace(v.text))
	if err != nil || u.Scheme != "http" || u.Hostname() == "" {
		return fmt.Errorf("%s is no URL such as http://127.0.0.1:80/health", v.shown())
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || n == 0) {
		return fmt.Errorf("%s has no port from 1 to 65535", v.shown())
	}
	return nil
}

// expression is a regular expression for a part of a line.
type expression struct {
	scalar
	pattern unit.Pattern
}

func (v *expression) check() error {
	if v.text == "" {
		return errors.New("it is empty, and would be found in every line")
	}
	p, err := unit.ParsePattern(v.text)
	if err != nil {
		return fmt.Errorf("%s is no regular expression (RE2 syntax)", v.shown())
	}
	v.pattern = p
	return nil
}

// pattern is a regular expression for whole names.
type pattern struct {
	scalar
	names unit.NamePattern
}

func (v *pattern) check() error {
	if v.text == "" {
		return errors.New("it is empty, and would allow no name")
	}
	// By itself first: "a)|(b" is no expression, but inside the anchors' group it would be one that is not anchored.
	_, err := regexp.Compile(v.text)
	if err == nil {
		v.names, err = unit.ParseNamePattern(v.text)
	}
	if err != nil {
		return fmt.Errorf("%s is no regular expression (RE2 syntax)", v.shown())
	}
	return nil
}
