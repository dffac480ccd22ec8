package forward

import (
	"context"
	"math/rand/v2"
	"time"
)

// now is the only place of this package that reads the clock.
func now() time.Time { return time.Now() }

// wait returns after d, or as soon as one of the channels has something or is closed; nil channels never have.
func wait(d time.Duration, a, b <-chan struct{}) {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a:
	case <-b:
	}
}

// afterwards is a context that ends d after ctx has, or when it is cancelled.
func afterwards(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		wait(d, later.Done(), nil)
		cancel()
	})
	return later, func() { stop(); cancel() }
}

// backoff is how long to wait after so many failures in a row, the first being 1: twice as long each time, and never quite
// the same, so that those who failed together don't come back together.
func backoff(failures int, first, most time.Duration) time.Duration {
	d := most
	if shift := max(failures-1, 0); shift < 20 {
		d = min(first<<shift, most)
	}
	return d/2 + rand.N(d/2+1)
}
