package boot

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/config"
	"pintle/internal/engine"
	"pintle/internal/prepare"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// prepare brings about what must be so before anything starts. What is missing and
// is no reason not to start stays a condition: it isn't tried again while the container runs.
func (c *container) prepare(cfg *config.Config, signals chan os.Signal) error {
	groups, _ := os.Getgroups() // of none at all, none are pintle's
	var at atomic.Value
	done := make(chan prepare.Result, 1)
	besideTheMainThread(func() {
		done <- prepare.Run(cfg.Prepare, prepare.Options{
			UID: os.Geteuid(), GID: os.Getegid(), Groups: groups, Environ: c.o.Environ,
			StateDirectory: cfg.StateDirectory, StateMark: store.Mark, Now: now, At: func(what string) { at.Store(what) },
		})
	})
	r, err := c.prepared(done, signals, &at)
	if err != nil {
		return err
	}
	c.accounts = r.Accounts
	var fatal []error
	for _, p := range r.Problems {
		if p.Fatal {
			fatal = append(fatal, errors.New(p.Text))
		} else {
			c.fixed = append(c.fixed, engine.Condition{Code: engine.NotPrepared, Text: p.Text})
		}
	}
	return errors.Join(fatal...)
}

// besideTheMainThread does something in a goroutine, and never on the process's first thread: the kernel has that take
// the process's signals, and while it stands still in a call that only SIGKILL ends, they stand still with it.
func besideTheMainThread(do func()) {
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if unix.Gettid() != unix.Getpid() {
			do()
			return
		}
		done := make(chan struct{})
		go func() { // on another one, because this one is taken
			defer close(done)
			do()
		}()
		<-done
	}()
}

// prepared waits for it. A file system that does not answer can make that long: it is
// said then, and who wants the end does not wait. Other signals are main's, and are kept for it.
func (c *container) prepared(done <-chan prepare.Result, signals chan os.Signal, at *atomic.Value) (prepare.Result, error) {
	began := now()
	say := time.NewTimer(sayAfter)
	defer say.Stop()
	var kept []os.Signal
	defer func() {
		for _, s := range kept {
			select {
			case signals <- s:
			default:
			}
		}
	}()
	for {
		select {
		case r := <-done:
			return r, nil
		case s := <-signals:
			if sig := signalOf(s); means(sig, false) == stopAll { // on a terminal too: there is nobody yet whom its key could interrupt
				return prepare.Result{}, stoppedEarly{sig}
			}
			kept = append(kept, s)
		case <-say.C:
			what, _ := at.Load().(string)
			c.utter(fmt.Sprintf("still preparing %s after %s; nothing is started before that is done", what, unit.Span(now().Sub(began).Round(100*time.Millisecond))))
			say.Reset(sayEvery)
		}
	}
}

// stoppedEarly is that somebody wanted the end before anything was started.
type stoppedEarly struct{ by unit.Signal }

func (e stoppedEarly) Error() string { return e.by.String() + ": stopping; nothing was started yet" }
