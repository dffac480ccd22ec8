package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// keys reads typed values and keeps the first error, so that a list of keys can be read as a list.
type keys struct {
	value func(name string) string // empty: not set
	err   error
}

func (k *keys) fail(name string, err error) {
	if k.err == nil {
		k.err = fmt.Errorf("cannot use %s: %w", name, err)
	}
}

func (k *keys) duration(name string) time.Duration {
	value := k.value(name)
	if value == "" {
		return 0
	}
	d, err := time.ParseDuration(value)
	if err == nil && d < 0 {
		err = errors.New("a duration is not negative")
	}
	if err != nil {
		k.fail(name, err)
	}
	return d
}

func (k *keys) number(name string, highest int) int {
	value := k.value(name)
	if value == "" {
		return 0
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > highest {
		k.fail(name, fmt.Errorf("%q is not a number from 0 to %d", value, highest))
	}
	return n
}

// code is nil when the key is not set: 0 is a code.
func (k *keys) code(name string) *int {
	value := k.value(name)
	if value == "" {
		return nil
	}
	code, err := exitCode(value)
	if err != nil {
		k.fail(name, err)
	}
	return &code
}

// size reads bytes with a unit, a power of 1000 as in KB or of 1024 as in KiB.
func (k *keys) size(name string) int64 {
	value := k.value(name)
	if value == "" {
		return 0
	}
	digits := strings.TrimRight(value, "BKMGi")
	unit, ok := map[string]int64{
		"": 1, "B": 1,
		"KB": 1e3, "MB": 1e6, "GB": 1e9,
		"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
	}[value[len(digits):]]
	n, err := strconv.ParseUint(digits, 10, 31)
	if !ok || err != nil {
		k.fail(name, fmt.Errorf("%q is not a size like 512KB or 10MB", value))
	}
	return int64(n) * unit
}

func exitCode(s string) (int, error) {
	code, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return 0, fmt.Errorf("%q is not an exit code from 0 to 255", s)
	}
	return int(code), nil
}
