package tools

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// now is the wall clock's time.
func now() instant {
	t := time.Now()
	return fromUnix(t.Unix(), int64(t.Nanosecond()))
}

// elapsed is the time since some moment, in nanoseconds, by a clock that nobody sets.
func elapsed() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // it has no error for this clock
	return t.Nano()
}

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
	text := fmt.Sprintf("%d-%02d-%02d %02d:%02d:%02d.%09d", year, month, day, t.Hour(), t.Minute(), t.Second()+extra, i.nano)
	return text[:len(text)-len(fmt.Sprintf("%09d", i.nano))+9], true
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
