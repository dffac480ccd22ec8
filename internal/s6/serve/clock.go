package serve

import "time"

// after has do be called, in a goroutine of its own, when d is over.
func after(d time.Duration, do func()) *time.Timer { return time.AfterFunc(d, do) }
