package tools

import (
	"strconv"
	"syscall"
	"time"
)

// now is the wall clock's time.
func now() instant {
	t := time.Now()
	return fromUnix(t.Unix(), int64(t.Nanosecond()))
}

// started is a moment to count from; with it comes a clock that nobody sets.
var started = time.Now()

// elapsed is the time since then, in nanoseconds.
func elapsed() int64 { return int64(time.Since(started)) }

// maxLocalUnix is the last second of the last year that struct tm can hold.
const maxLocalUnix = 67768036191676799

// local is the instant as "2006-01-02 15:04:05.000000000"; there is none of times before 1970.
func (i instant) local(zone *time.Location) (string, bool) {
	seconds, leap := i.unix()
	if seconds < 0 || seconds > maxLocalUnix {
		return "", false
	}
	extra := 0
	if leap {
		seconds--
		extra = 1
	}
	t := time.Unix(seconds, 0).In(zone)
	year, month, day := t.Date()
	text := strconv.Itoa(year) + "-" + padded(int(month), 2) + "-" + padded(day, 2) + " " +
		padded(t.Hour(), 2) + ":" + padded(t.Minute(), 2) + ":" + padded(t.Second()+extra, 2) + "."
	return text + padded(int(i.nano), 9)[:9], true
}

// padded is n with zeros before it.
func padded(n, width int) string {
	text := strconv.Itoa(n)
	for len(text) < width {
		text = "0" + text
	}
	return text
}

// within does what may wait, and gives up after ms milliseconds with ETIMEDOUT; the deed goes on then, until the process ends.
func within(ms uint32, deed func() error) error {
	done := make(chan error, 1)
	go func() { done <- deed() }()
	late := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		return syscall.ETIMEDOUT
	}
}
