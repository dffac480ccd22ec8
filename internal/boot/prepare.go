package boot

import (
	"errors"
	"os"

	"pintle/internal/config"
	"pintle/internal/prepare"
	"pintle/internal/store"
)

// prepare brings about what must be so before anything starts. What is missing and
// is no reason not to start stays a condition: it isn't tried again while the container runs.
func (c *container) prepare(cfg *config.Config) error {
	groups, _ := os.Getgroups() // of none at all, none are pintle's
	done := prepare.Run(cfg.Prepare, prepare.Options{
		UID: os.Geteuid(), GID: os.Getegid(), Groups: groups, Environ: c.o.Environ,
		StateDirectory: cfg.StateDirectory, StateMark: store.Mark, Now: now,
	})
	c.accounts = done.Accounts
	var fatal []error
	for _, p := range done.Problems {
		if p.Fatal {
			fatal = append(fatal, errors.New(p.Text))
		} else {
			c.fixed = append(c.fixed, p.Text)
		}
	}
	return errors.Join(fatal...)
}
