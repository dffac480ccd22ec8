package boot

import (
	"net"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/process"
	"pintle/internal/unit"
)

// fixedConditions finds what is not as it should be and stays so.
func (c *container) fixedConditions(p place) {
	c.fixed = append(c.fixed, p.lacks...)
	if c.otherUsers() {
		c.fixed = append(c.fixed, engine.Conditionf(engine.OneUser, "pintle runs as uid %d and can't switch users: all units run as uid %[1]d", os.Geteuid()))
	}
}

// conditions are all the things that are not as they should be.
func (c *container) conditions() []engine.Condition {
	return slices.Concat(c.fixed, c.store.Conditions(), c.leases.Conditions(), c.logs.Conditions())
}

// sayConditions says them, now and whenever they may have changed, until the container ends.
func (c *container) sayConditions(changed <-chan struct{}) {
	for {
		var texts []string
		for _, condition := range c.conditions() {
			texts = append(texts, condition.Text)
		}
		c.say.conditions(texts)
		select {
		case <-changed:
		case <-c.ended:
			return
		}
	}
}

// otherUsers tells whether some unit should run as a user that pintle can't become.
func (c *container) otherUsers() bool {
	self := process.Self(c.accounts)
	if self.UID == 0 {
		return false // where root can't, the run that needs it fails with the reason
	}
	others := func(spec *unit.Spec) bool { return spec.User != "" && spec.User != self.Name }
	if c.main != nil && others(c.main) {
		return true
	}
	cfg := c.config.Load()
	units := cfg.Units()
	for i := range units {
		if others(&units[i]) {
			return true
		}
	}
	return slices.ContainsFunc(cfg.Templates, func(t unit.Template) bool { return others(&t.Spec) })
}

// managers is the policy's data for package api.
func (c *container) managers(template string) (unit.Managers, bool) {
	t, ok := c.config.Load().Template(template)
	if !ok {
		return unit.Managers{}, false
	}
	return t.Managers, true
}

// readers is that too.
func (c *container) readers() unit.Managers { return c.config.Load().Log.Readers }

func (c *container) serve(l net.Listener) {
	if err := c.server.Serve(l); err != nil {
		c.say.log.Error(err.Error())
	}
}

// mainStopped answers the terminal's key that suspends a program (Ctrl-Z): the
// main program has no shell above it that could continue it, so it goes on. As a
// container's PID 1 it would not have been suspended either.
func (c *container) mainStopped(pid int, sig unit.Signal) {
	if c.terminal != nil && sig == unit.Signal(unix.SIGTSTP) {
		go c.kernel.Continue(pid) // the reaper, whose goroutine this is, holds what that needs
	}
}

// leftovers is what is left of everything, as the census reports it.
type leftovers struct {
	mu   sync.Mutex
	left []process.Left
}

func (l *leftovers) set(left []process.Left) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = left
}

func (l *leftovers) names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []string
	for _, p := range l.left {
		names = append(names, p.String())
	}
	return names
}
