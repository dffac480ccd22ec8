package config

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// id is a uid or a gid of a service's user: never root's, and none of those that mean
// nobody or nothing in 16 bits. Digits alone, since "+5" and "0x5" are most likely slips.
type id struct {
	scalar
	n int
}

const maxServiceID = 65534

func (v *id) check() error {
	n, err := strconv.ParseUint(v.text, 10, 32)
	if err == nil && n == 0 {
		return fmt.Errorf("%s is root's id, and no service's user or group; use 1 to %d", v.shown(), maxServiceID)
	}
	if err != nil || n > maxServiceID {
		return fmt.Errorf("%s is no id from 1 to %d", v.shown(), maxServiceID)
	}
	v.n = int(n)
	return nil
}

// mode is a file's permission bits, octal as chmod(1) has them.
type mode struct {
	scalar
	bits uint32
}

func (v *mode) check() error {
	digits := strings.TrimPrefix(v.text, "0o")
	n, err := strconv.ParseUint(digits, 8, 16)
	if err != nil || len(digits) < 3 || n > 0o7777 {
		return fmt.Errorf("%s is no octal mode such as 0644", v.shown())
	}
	v.bits = uint32(n)
	return nil
}

// pointer is the mode, nil where the file has none.
func (v *mode) pointer() *uint32 {
	if !v.given() {
		return nil
	}
	return new(v.bits)
}

// lineSafe tells whether s can stand in a field of passwd(5).
func lineSafe(s string) bool { return !strings.ContainsAny(s, ":\n\r") }

// variableName is the name of an environment variable, not its value.
type variableName struct{ scalar }

func (v *variableName) check() error {
	if v.text == "" || strings.Contains(v.text, "=") {
		return fmt.Errorf("%s is no variable's name", v.shown())
	}
	return nil
}

// paths are absolute paths, written as one with lists in braces as a shell has them:
// /a/{b,c/d} is /a/b and /a/c/d. A list within a list is not understood.
type paths struct {
	scalar
	list []string
}

// maxPaths bounds one item, because a few short lists make many paths.
const maxPaths = 1000

func (v *paths) check() error {
	list := []string{""}
	rest := v.text
	for rest != "" {
		before, after, braces := strings.Cut(rest, "{")
		inside, next, closed := strings.Cut(after, "}")
		switch {
		case strings.Contains(before, "}"), braces && !closed:
			return fmt.Errorf("%s has a brace without its other one", v.shown())
		case strings.Contains(inside, "{") && braces:
			return fmt.Errorf("%s has a list within a list", v.shown())
		}
		words := []string{""}
		if braces {
			words = strings.Split(inside, ",")
		}
		if len(list)*len(words) > maxPaths {
			return fmt.Errorf("%s stands for more than %d paths", v.shown(), maxPaths)
		}
		longer := make([]string, 0, len(list)*len(words))
		for _, l := range list {
			for _, w := range words {
				if braces && w == "" {
					return fmt.Errorf("%s has an empty word in a list", v.shown())
				}
				longer = append(longer, l+before+w)
			}
		}
		list, rest = longer, next
	}
	for i, p := range list {
		if !path.IsAbs(p) {
			return fmt.Errorf("%s is no absolute path", v.shown())
		}
		if list[i] = path.Clean(p); list[i] == "/" {
			return errors.New("it is the root directory")
		}
	}
	v.list = list
	return nil
}
