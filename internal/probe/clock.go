package probe

import (
	"context"
	"time"
)

// This file is the only one of the package that knows the time; under testing/synctest it is virtual.

func now() time.Time { return time.Now() }

// pause waits, unless ctx ends first; it tells whether it waited to the end.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
