package main

import (
	"fmt"
	"os"

	"pintle/internal/cli"
	"pintle/internal/config"
	"pintle/internal/engine"
	"pintle/internal/s6/drive"
	"pintle/internal/s6/wire"
	"pintle/internal/unit"
)

// connectS6 opens a tree of s6's with the container's configuration.
func connectS6(scan string, say func(line string)) (cli.S6Tree, error) {
	release := wire.Default
	if text := os.Getenv("PINTLE_S6_VERSION"); text != "" {
		var err error
		if release, err = wire.ParseVersion(text); err != nil {
			return nil, engine.Errorf(engine.Invalid, "%v", err)
		}
	}
	asker := os.Geteuid()
	if err := drive.GiveUpRoot(scan); err != nil {
		return nil, err
	}
	c, err := config.Load(config.Options{Environ: os.Environ(), UID: os.Geteuid()})
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find pintle itself: %w", err)
	}
	tree, err := drive.Open(drive.Options{
		Scan: scan, Release: release, Templates: c.Templates, StateDirectory: c.StateDirectory, Version: version, Self: self, Say: say,
		Actor: unit.Actor{Kind: "peer", UID: uint32(asker), PID: int32(os.Getpid()), Command: "pintle"},
	})
	if err != nil {
		return nil, err // a nil *Tree would be no nil S6Tree
	}
	return tree, nil
}
