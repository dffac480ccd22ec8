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

// alarm rings when the earliest time has come that it was set to since it rang.
type alarm struct {
	timer *time.Timer
	at    time.Time // zero: it is not set
}

func newAlarm() *alarm {
	a := &alarm{timer: time.NewTimer(time.Hour)}
	a.timer.Stop()
	return a
}

// by has it ring at a time, or earlier where it is set to.
func (a *alarm) by(at time.Time) {
	if a.at.IsZero() || at.Before(a.at) {
		a.at = at
		a.timer.Reset(max(at.Sub(now()), 0))
	}
}

// rings has something when it rings; who hears that calls rang.
func (a *alarm) rings() <-chan time.Time { return a.timer.C }

func (a *alarm) rang() { a.at = time.Time{} }

func (a *alarm) stop() { a.timer.Stop() }

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
