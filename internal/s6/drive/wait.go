package drive

import (
	"context"
	"fmt"
	"time"

	"pintle/internal/s6/wire"
)

// again is how often is looked at what s6 says no event of: that another state is wanted of a service that is down.
const again = 200 * time.Millisecond

// until waits until is tells so, and asks it again whenever an s6-supervise of one of the directories has said
// something, and now and then. It listens first, so that nothing is missed; where it cannot, because somebody took the
// event directory away or does not let it in, there is the now and then.
func until(ctx context.Context, dirs []*wire.Dir, is func() (bool, error)) error {
	heard := make(chan struct{}, 1)
	for _, d := range dirs {
		end, err := listen(d, func() {
			select {
			case heard <- struct{}{}:
			default:
			}
		})
		if err == nil {
			defer end()
		}
	}
	seldom, stop := tick(again)
	defer stop()
	for {
		if done, err := is(); done || err != nil {
			return err
		}
		select {
		case <-heard:
		case <-seldom:
		case <-ctx.Done():
			return fmt.Errorf("s6 did not do it in time: %w", context.Cause(ctx))
		}
	}
}

// listen calls news whenever the directory's s6-supervise says something, from a goroutine of its own, until end.
func listen(d *wire.Dir, news func()) (end func(), err error) {
	events, err := d.Events()
	if err != nil {
		return nil, err
	}
	l, err := events.Listen(now())
	_ = events.Close()
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 256)
		for {
			if n, err := l.Read(buf); n == 0 || err != nil {
				return
			}
			news()
		}
	}()
	return func() {
		_ = l.SetReadDeadline(time.Unix(1, 0)) // it has passed
		<-done
		_ = l.Close()
	}, nil
}

// underWay bounds what takes s6 some time: patience, and what a run may take itself.
func (t *Tree) underWay(ctx context.Context, more time.Duration) (context.Context, context.CancelFunc) {
	limit := t.o.Patience + more
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %s", limit))
}
