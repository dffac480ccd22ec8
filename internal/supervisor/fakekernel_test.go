package supervisor

import (
	"context"
	"sync"
	"time"

	"pintle/internal/notify"
	"pintle/internal/process"
	"pintle/internal/unit"
)

// fakeKernel is a kernel whose processes take virtual time: each lives for as
// long, and ends as, the test says. It is for what takes hours.
type fakeKernel struct {
	mu     sync.Mutex
	starts []time.Time
	// life is how long a run lives, and how it ends; negative is until it is signalled.
	life func(l Launch) (time.Duration, unit.Exit)
}

type obedient struct {
	end    sync.Once
	ended  chan struct{}
	exited func(unit.Exit, unit.Usage)
}

func (k *fakeKernel) Start(l Launch, h Hooks) (Run, error) {
	k.mu.Lock()
	k.starts = append(k.starts, time.Now())
	k.mu.Unlock()
	r := &obedient{ended: make(chan struct{}), exited: h.Exited}
	if h.Started != nil {
		h.Started(r)
	}
	if lives, exit := k.life(l); lives >= 0 {
		time.AfterFunc(lives, func() { r.die(exit) })
	}
	return r, nil
}

// count counts the starts up to now.
func (k *fakeKernel) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.starts)
}

func (k *fakeKernel) RunOf(int) Run                         { return nil }
func (k *fakeKernel) SendersOf(int, uint32) []Run           { return nil }
func (k *fakeKernel) Strays(context.Context) []process.Left { return nil }
func (k *fakeKernel) Sets() string                          { return "none" }

func (r *obedient) die(e unit.Exit) {
	r.end.Do(func() {
		close(r.ended)
		r.exited(e, unit.Usage{})
	})
}

func (r *obedient) Pid() int                   { return 1 << 22 } // no process has it
func (r *obedient) Names() (unit.Name, uint64) { return "", 0 }
func (r *obedient) Signal(sig unit.Signal) error {
	r.die(unit.Exit{Signal: sig})
	return nil
}
func (r *obedient) Terminate(sig unit.Signal, _ unit.Target) { r.die(unit.Exit{Signal: sig}) }
func (r *obedient) Kill()                                    { r.die(unit.Exit{Signal: unit.SIGKILL}) }
func (r *obedient) Sweep(empty func(), _ func([]process.Left)) {
	go func() {
		<-r.ended
		empty()
	}()
}

func (k *fakeKernel) Listen(string, int) (Socket, error) { return quiet(make(chan struct{})), nil }

// quiet is a socket on which nobody ever says anything.
type quiet chan struct{}

// Serve waits for the end.
func (q quiet) Serve(func(notify.Sender, notify.Message), func(notify.Sender, error)) error {
	<-q
	return nil
}

// Close is the end.
func (q quiet) Close() error {
	close(q)
	return nil
}
