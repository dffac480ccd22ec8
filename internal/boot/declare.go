package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"time"

	"pintle/internal/config"
	"pintle/internal/engine"
	"pintle/internal/process"
	"pintle/internal/supervisor"
	"pintle/internal/unit"
)

// This file makes of a configuration, and of the container's arguments, what the
// supervisor is to run: at the container's start, and at each reload.

// read reads the configuration.
func (c *container) read() (*config.Config, error) {
	return config.Load(config.Options{Files: c.files, Environ: c.o.Environ, UID: os.Geteuid()})
}

// route finds the main program. It is nil where there is none and the configuration
// has other things to run.
func (c *container) route(cfg *config.Config) (main *unit.Spec, err error) {
	spec := cfg.Main.Spec
	spec.Restart = unit.RestartNever // its end is the container's
	identity, err := supervisor.Identity(c.accounts, spec.User)
	if err != nil {
		return nil, fmt.Errorf("cannot start the main program: %w", err)
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("cannot find the working directory: %w", err)
	}
	if spec.WorkingDir != "" {
		dir = spec.WorkingDir
	}
	spec.Command, err = routing{
		command: spec.Command, subcommands: cfg.Main.Subcommands,
		path: process.PathOf(c.o.Environ), dir: dir, identity: identity,
	}.route(c.o.Args)
	switch {
	case errors.Is(err, errNoMain) && len(cfg.Units())+len(cfg.Templates)+len(cfg.S6.Scan) > 0:
		return nil, nil
	case err != nil:
		return nil, err
	}
	c.identity = identity
	spec.DependsOn = append(slices.Clone(spec.DependsOn), required(cfg, spec.DependsOn)...)
	return &spec, nil
}

// required are the oneshots without which the container must not run: main waits
// for them, but for those that are themselves to come after main.
func required(cfg *config.Config, already []unit.Dependency) []unit.Dependency {
	needs := map[unit.Name][]unit.Dependency{}
	for _, spec := range cfg.Units() {
		needs[spec.Name] = spec.DependsOn
	}
	var afterMain func(name unit.Name) bool
	afterMain = func(name unit.Name) bool {
		return slices.ContainsFunc(needs[name], func(d unit.Dependency) bool { // no cycle gets past the configuration
			return d.On == unit.MainName || afterMain(d.On)
		})
	}
	var list []unit.Dependency
	for i := range cfg.Oneshots {
		o := &cfg.Oneshots[i]
		named := slices.ContainsFunc(already, func(d unit.Dependency) bool { return d.On == o.Name })
		if o.Required && o.Enabled.On && !named && !afterMain(o.Name) {
			list = append(list, unit.Dependency{On: o.Name, Condition: unit.OnDone})
		}
	}
	return list
}

// declarations are what the supervisor takes of a configuration.
func (c *container) declarations(cfg *config.Config, main *unit.Spec) supervisor.Declarations {
	return supervisor.Declarations{
		Main: main, Services: cfg.Units(), Templates: cfg.Templates, Governor: cfg.Governor,
		Differ: config.Keys, Commit: func() { c.config.Store(cfg) },
	}
}

// reload reads it all anew.
func (c *container) reload() (supervisor.Declarations, error) {
	cfg, err := c.read()
	if err != nil {
		return supervisor.Declarations{}, err
	}
	main, err := c.route(cfg)
	if err != nil {
		return supervisor.Declarations{}, err
	}
	if (main == nil) != (c.main == nil) {
		return supervisor.Declarations{}, errors.New("cannot change whether there is a main program while the container runs")
	}
	d := c.declarations(cfg, main)
	compareLogs(&d, &c.config.Load().Log, &cfg.Log)
	if !reflect.DeepEqual(cfg.Prepare, c.config.Load().Prepare) {
		d.Fixed = append(d.Fixed, "prepare")
	}
	if !reflect.DeepEqual(cfg.S6, c.config.Load().S6) {
		d.Fixed = append(d.Fixed, "s6")
	}
	if cfg.StateDirectory != c.config.Load().StateDirectory {
		d.Fixed = append(d.Fixed, "state_directory")
	}
	return d, nil
}

// compareLogs finds what differs of what holds for the output of the container as a whole.
func compareLogs(d *supervisor.Declarations, was, is *config.Log) {
	if is.Console != was.Console { // units' own change with them
		d.Fixed = append(d.Fixed, "log.console")
	}
	if is.Socket != was.Socket {
		d.Fixed = append(d.Fixed, "log.socket")
	}
	if !reflect.DeepEqual(is.Readers, was.Readers) {
		d.Free = append(d.Free, "log.readers")
	}
	if !slices.Equal(is.Secrets, was.Secrets) {
		d.Free, d.Secret = append(d.Free, "log.secrets"), is.Secret
	}
}

// readRecords is how long the record of a unit's last run may take to be read for the boot report.
const readRecords = time.Second

// priorExit tells how a unit ended in the container's life before, as its last
// record has it. A run that a life was cut off under left none, so nothing can be
// called clean then.
func (c *container) priorExit(name unit.Name) string {
	life := c.store.Life()
	if life.Before == engine.LifeKilled || life.Before == engine.LifeMachineDown {
		return "unclean"
	}
	ctx, cancel := context.WithTimeout(context.Background(), readRecords)
	defer cancel()
	runs, err := c.store.Runs(ctx, name, 1)
	switch {
	case err != nil || len(runs) == 0 || life.Before != engine.LifeClean || runs[0].Life >= life.Number:
		return "unknown"
	case runs[0].Asked && !runs[0].Killed || runs[0].Exit.Success():
		return "clean"
	}
	return "unclean"
}
