package config

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"pintle/internal/unit"
)

// sizeRange is a range of numbers of bytes that a size may be in.
type sizeRange interface{ sizes() (low, high int64) }

type (
	files    struct{}
	memories struct{}
)

// A smaller file would be set aside all the time.
func (files) sizes() (low, high int64) { return 4000, 1 << 60 }

func (memories) sizes() (low, high int64) { return 4 << 10, 64 << 20 }

// size is a number of bytes in a range: 1MB is 1000 times 1000 of them, 1MiB 1024 times 1024.
type size[R sizeRange] struct {
	scalar
	n int64
}

// units of sizes, the greater before the smaller.
var sizes = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"GB", 1e9}, {"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"KB", 1e3}, {"kB", 1e3}, {"B", 1}}

func (v *size[R]) check() error {
	digits := strings.TrimRight(v.text, "BiKkMG")
	n, err := strconv.ParseUint(digits, 10, 31)
	name := v.text[len(digits):]
	i := slices.IndexFunc(sizes, func(u struct {
		name  string
		bytes int64
	}) bool {
		return u.name == name
	})
	switch {
	case err == nil && name == "":
		return fmt.Errorf("%s has no unit; write a size such as 64KiB or 1MB", v.shown())
	case err != nil || i < 0:
		return fmt.Errorf("%s is no size such as 64KiB or 1MB", v.shown())
	}
	v.n = int64(n) * sizes[i].bytes
	var r R
	switch low, high := r.sizes(); {
	case v.n < low:
		return fmt.Errorf("%s is less than %s", v.shown(), sizeWord(low))
	case v.n > high:
		return fmt.Errorf("%s is more than %s", v.shown(), sizeWord(high))
	}
	return nil
}

// or is the size, or another one where the file has none.
func (v *size[R]) or(n int64) int64 {
	if v.given() {
		return v.n
	}
	return n
}

// sizeWord is a size in the greatest unit of which it is a whole number.
func sizeWord(n int64) string {
	for _, u := range sizes {
		if n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

// total is the size of many files, or "unlimited", which is 0.
type total struct{ size[files] }

func (v *total) check() error {
	if v.text == unlimited {
		return nil
	}
	return v.size.check()
}

// age is how old a file gets, or "never", which is 0: it gets as old as it likes.
type age struct{ lasting }

const never = "never"

func (v *age) check() error {
	if v.text == never {
		return nil
	}
	if err := v.lasting.check(); err != nil {
		return err
	}
	if v.d < time.Second {
		return fmt.Errorf("%s is less than 1s", v.shown())
	}
	return nil
}

// logMode is the mode of a file of output.
type logMode struct{ mode }

func (v *logMode) check() error {
	if err := v.mode.check(); err != nil {
		return err
	}
	switch {
	case v.bits > 0o777:
		return fmt.Errorf("%s has more than permissions", v.shown())
	case v.bits&0o002 != 0:
		return fmt.Errorf("%s would let everybody write there", v.shown())
	case v.bits&0o600 != 0o600:
		return fmt.Errorf("%s would not let its owner read and write it", v.shown())
	}
	return nil
}

type (
	compressWords struct{}
	overflowWords struct{}
	consoleWords  struct{}
)

const (
	compressNone  = "none"
	compressGzip  = "gzip"
	overflowBlock = "block"
	overflowDrop  = "drop"
)

func (compressWords) words() []string { return []string{compressNone, compressGzip} }
func (overflowWords) words() []string { return []string{overflowBlock, overflowDrop} }
func (consoleWords) words() []string {
	return []string{string(unit.ConsoleRaw), string(unit.ConsolePrefixed), string(unit.ConsoleJSON), string(unit.ConsoleNone)}
}

// secretName is the name of an environment variable, or a pattern for names as a shell has it: *_TOKEN.
type secretName struct{ scalar }

func (v *secretName) check() error {
	if v.text == "" || strings.Contains(v.text, "=") {
		return fmt.Errorf("%s is no variable's name", v.shown())
	}
	if _, err := path.Match(v.text, ""); err != nil {
		return fmt.Errorf("%s is no pattern for names such as *_TOKEN", v.shown())
	}
	if strings.Trim(v.text, "*?") == "" {
		return fmt.Errorf("%s stands for every variable, and their values for half of what is written", v.shown())
	}
	return nil
}

// socket is the path of a unix socket; empty counts as not given.
type socket struct{ scalar }

// maxSocket is the longest path that unix(7) can bind a socket to.
const maxSocket = 107

func (v *socket) check() error {
	switch {
	case v.text == "":
		return nil
	case !path.IsAbs(v.text):
		return fmt.Errorf("%s is no absolute path", v.shown())
	case strings.HasSuffix(v.text, "/"):
		return errors.New("it is a directory's")
	case slices.Contains(strings.Split(v.text, "/"), ".."):
		return fmt.Errorf(`%s has a ".."`, v.shown())
	case len(path.Clean(v.text)) > maxSocket:
		return fmt.Errorf("%s is longer than a socket's path may be, %d bytes", v.shown(), maxSocket)
	}
	return nil
}
