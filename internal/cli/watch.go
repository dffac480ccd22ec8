package cli

import (
	"context"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// watch is one engine.Watch for several units that are waited for side by side.
//
// Each unit has a mailbox that holds its latest status only. So no waiter can
// hold up another, and all of them must be able to tell what happened from a
// status alone, which Watch asks of its readers anyway.
type watch struct {
	boxes map[unit.Name]chan engine.Status
	// opened is closed once the engine has answered: from then on no change is missed.
	opened chan struct{}
	// err is why the watch ended; it may be read once a box is closed.
	err    error
	cancel context.CancelFunc
	ended  chan struct{}
}

// openWatch begins to watch the targets; close ends it. Where the engine knows
// one of them, it waits for the engine's first answer: a verb that is sent after
// that cannot have an effect that the watch does not see, and one that cannot be
// waited for is not sent.
func openWatch(ctx context.Context, eng engine.Engine, ts []target) (*watch, error) {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{
		boxes:  map[unit.Name]chan engine.Status{},
		opened: make(chan struct{}),
		cancel: cancel,
		ended:  make(chan struct{}),
	}
	for _, t := range ts {
		w.boxes[t.name] = make(chan engine.Status, 1)
	}
	go w.run(ctx, eng)
	if known(ts) {
		select {
		case <-w.opened:
		case <-w.ended:
			cancel()
			return nil, w.err
		}
	}
	return w, nil
}

func (w *watch) run(ctx context.Context, eng engine.Engine) {
	defer close(w.ended)
	w.err = errEnded()
	first := true
	for s, err := range eng.Watch(ctx) {
		if err != nil {
			w.err = err
			break
		}
		if first {
			first = false
			close(w.opened)
		}
		if box, ok := w.boxes[s.Name]; ok {
			select { // this is the only writer: an emptied box has room
			case <-box:
			default:
			}
			box <- s
		}
	}
	if ctx.Err() != nil {
		w.err = ctx.Err()
	}
	for _, box := range w.boxes {
		close(box)
	}
}

func (w *watch) close() {
	w.cancel()
	<-w.ended
}

// errEnded is the end of a watch that nobody asked to end.
func errEnded() error {
	return engine.Errorf(engine.Unavailable, "cannot watch any longer: the supervisor has ended")
}
