package config

import (
	"path"
	"slices"
)

// S6 is what pintle does in s6's place.
type S6 struct {
	// Scan are the scan directories; without one it does nothing.
	Scan []string
	// Owner is whose a scan directory is that has to be made; empty: pintle's own.
	Owner string
	// Version is the release of s6 whose ways are kept; empty: as PINTLE_S6_VERSION says.
	Version string
	// Environment has the container's environment be laid where with-contenv reads it; it is, unless that is not wanted.
	Environment bool
	// ProcessName has pintle's process be called s6-svscan, by which some programs find out that they run under s6.
	ProcessName bool
}

func (a *assembler) s6(s *s6Section) S6 {
	if s == nil {
		return S6{}
	}
	out := S6{Owner: s.Owner.text, Version: s.Version.text, Environment: !s.Environment.given() || s.Environment.on, ProcessName: s.ProcessName.on}
	for i := range s.Scan {
		d := &s.Scan[i]
		if !d.given() {
			continue
		}
		directory := path.Clean(d.text)
		if slices.Contains(out.Scan, directory) {
			a.failf(d.at, "cannot use s6.scan[%d]: %s is listed twice", i, d.shown())
			continue
		}
		out.Scan = append(out.Scan, directory)
	}
	return out
}
