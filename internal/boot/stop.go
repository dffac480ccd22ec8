package boot

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"pintle/internal/engine"
	"pintle/internal/store"
	"pintle/internal/supervisor"
	"pintle/internal/unit"
)

// supervise passes signals on until the container's end begins: somebody asks for it, or main has ended.
func (c *container) supervise(signals <-chan os.Signal) {
	for {
		select {
		case s := <-signals:
			sig := signalOf(s)
			switch means(sig, c.terminal != nil) {
			case passOn:
				c.units.SignalMain(sig)
			case stopAll:
				c.say.log.Info(fmt.Sprintf("%s: stopping everything, within %s", sig, unit.Span(c.config.Load().StopTimeout)))
				c.stop(signals)
				return
			}
		case <-c.units.Over():
			c.sayWhy(c.units.Verdict())
			c.stop(signals)
			return
		case <-c.trees.over():
			c.say.log.Info("s6-svscanctl asked for the end")
			c.stop(signals)
			return
		}
	}
}

// lastLines is how much of its log is said of a unit because of which the container ends.
const lastLines = 10

// sayWhy says why the container ends, where that is not main's own end.
func (c *container) sayWhy(v supervisor.Verdict) {
	if v.Unit == "" {
		return
	}
	text := v.Message
	for _, line := range c.logs.Journal(v.Unit).Tail(lastLines) {
		text += "\n  " + string(v.Unit) + " | " + line.Text
	}
	c.sayAloud(text)
}

func signalOf(s os.Signal) unit.Signal {
	n, _ := s.(syscall.Signal) // os/signal delivers no other type on Linux
	return unit.Signal(n)
}

// stop ends every unit, and then whatever is left. Every timer in it is a
// maximum: it returns the moment that everything has ended.
func (c *container) stop(signals <-chan os.Signal) {
	c.deadline = now().Add(c.config.Load().StopTimeout)
	c.logs.Stopping()
	c.units.Halt()
	trees := c.trees.close()
	c.wait(c.units.Idle(), signals, waiting{
		hurry: c.units.Hurry,
		left:  c.unitsLeft,
	})
	c.wait(trees, signals, waiting{hurry: c.trees.hurry, left: c.trees.left})
	rest := c.kernel.Everything()
	var left leftovers
	gone := make(chan struct{})
	rest.Sweep(func() { close(gone) }, left.set)
	c.wait(gone, signals, waiting{
		hurry: rest.Kill,
		left:  left.names,
	})
}

// waiting is one thing that the stop waits for.
type waiting struct {
	// hurry makes its grace periods be over now.
	hurry func()
	// left names what has not ended yet, and what comes next.
	left func() []string
}

// wait waits until done is closed. Grace periods end at the stop's deadline or
// at a second wish to stop; when even SIGKILL does not end everything, it gives up.
func (c *container) wait(done <-chan struct{}, signals <-chan os.Signal, w waiting) {
	say := time.NewTimer(sayAfter)
	defer say.Stop()
	budget := time.NewTimer(c.deadline.Sub(now()))
	defer budget.Stop()
	var giveUp <-chan time.Time
	hurry := func() {
		if giveUp == nil {
			c.deadline = now() // for what is waited for after this, too
			w.hurry()
			giveUp = time.After(afterKill)
		}
	}
	for {
		select {
		case <-done:
			return
		case s := <-signals:
			switch sig := signalOf(s); means(sig, c.terminal != nil) {
			case passOn:
				c.units.SignalMain(sig)
			case stopAll:
				hurry()
			}
		case <-budget.C:
			hurry()
		case <-say.C:
			for _, line := range w.left() {
				c.say.log.Info("waiting for " + line)
			}
		case <-giveUp:
			c.say.log.Error("giving up: these do not end even by SIGKILL: " + strings.Join(w.left(), "; "))
			return
		}
	}
}

// unitsLeft names the units that have not ended, with pid and what comes next.
func (c *container) unitsLeft() []string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	units, err := c.units.List(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	var lines []string
	for _, u := range units {
		if u.State == unit.Stopping || u.State == unit.Starting {
			lines = append(lines, c.leftOf(u))
		}
	}
	return lines
}

func (c *container) leftOf(u engine.Status) string {
	next := c.deadline
	if !u.Next.IsZero() && u.Next.Before(next) {
		next = u.Next
	}
	what := string(u.Name)
	switch {
	case len(u.Remaining) > 0:
		what += ": " + strings.Join(u.Remaining, ", ")
	case u.PID != 0:
		what += fmt.Sprintf(" (pid %d)", u.PID)
	}
	return fmt.Sprintf("%s; SIGKILL in %s", what, unit.Span(next.Sub(now())))
}

// end puts everything away and returns the container's exit code.
func (c *container) end() int {
	close(c.ended)
	if c.terminal != nil {
		// A terminal that has been closed meanwhile can't be restored, and needn't be.
		_ = c.terminal.Restore()
	}
	if c.server != nil {
		_ = c.server.Close() // the socket is of no use any more, whatever it says
	}
	c.units.Close()
	c.closeWithin(writeStore, c.leases.Close)
	code, message := c.code()
	c.store.End(code)
	c.closeWithin(writeStore, c.store.Close)
	c.closeWithin(drainLogs, c.logs.Close)
	c.kernel.Close()
	if message != "" {
		c.utter(message)
	}
	return code
}

// code is the container's exit code, and what there is to be said about it.
func (c *container) code() (code int, message string) {
	select {
	case <-c.units.Over():
	default:
		return exitFailed, "" // main does not end even by SIGKILL
	}
	v := c.units.Verdict()
	if v.Unit != "" {
		return v.Code, "" // it has been said
	}
	return v.Code, v.Message
}

// recall hands over the records that the store could read only after the units had been started.
func (c *container) recall(late <-chan []store.Record) {
	select {
	case records := <-late:
		c.units.Recall(records)
	case <-c.ended:
	}
}

func (c *container) closeWithin(limit time.Duration, closing func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := closing(ctx)
	c.say.through(c.utter) // the console is closed, or about to be
	if err != nil {
		c.say.log.Warn(err.Error())
	}
}
