package logs

import "time"

// systemNow is the clock of a Book that was given none.
func systemNow() time.Time { return time.Now() }

// after has do be called, in a goroutine of its own, when d is over.
func after(d time.Duration, do func()) *time.Timer { return time.AfterFunc(d, do) }
