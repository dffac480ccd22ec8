package supervisor

import "strings"

// This file finds out what nobody is to read: the values of the environment
// variables that the configuration calls secret, wherever a process gets them from.
// Package logs masks them in all that is written, from then on and for good.

// conceal has the values of an environment that are secret be masked in every line from now on.
func (s *Supervisor) conceal(environ []string) {
	secret := s.secret.Load()
	if secret == nil || *secret == nil {
		return
	}
	var values []string
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && value != "" && (*secret)(name) {
			values = append(values, value)
		}
	}
	if len(values) == 0 {
		return
	}
	if err := s.o.Logs.Mask(values...); err != nil {
		s.o.Log.Warn(err.Error())
	}
}

// classify changes what is secret, also for the runs that there are. Their files are read again for that, by a worker.
func (s *Supervisor) classify(secret func(name string) bool) {
	s.secret.Store(&secret)
	s.conceal(s.o.Environ)
	var environments []func() ([]string, error)
	for _, u := range s.units {
		if u.life.Alive() {
			spec, run := u.spec, u.life.Run
			environments = append(environments, func() ([]string, error) {
				id, err := s.identity(spec.User)
				if err != nil {
					return nil, err
				}
				return s.environment(spec, run, id)
			})
		}
	}
	go func() {
		for _, of := range environments {
			if environ, err := of(); err == nil { // else its file is gone, and what it held is not known
				s.conceal(environ)
			}
		}
	}()
}
