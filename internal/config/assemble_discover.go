package config

import (
	"path"
	"strings"

	"pintle/internal/unit"
)

// discovery fills the defaults in.
func discovery(d *discoverSection) *unit.Discovery {
	if d == nil {
		return nil
	}
	out := &unit.Discovery{Directory: d.Directory.text, Marker: d.Marker.text, Except: texts(d.Except), KeepIntent: unit.DefaultKeepIntent}
	if d.KeepIntent.given() {
		out.KeepIntent = d.KeepIntent.d
	}
	return out
}

// intentFrom makes the file's path absolute: a relative one is in the directory that declares instances.
func (a *assembler) intentFrom(at string, in *intentFromSection, d *unit.Discovery) *unit.IntentSource {
	if in == nil {
		return nil
	}
	out := &unit.IntentSource{File: in.File.text, Paths: texts(in.Paths), Up: texts(in.Up)}
	for i := range in.Paths {
		w := &in.Paths[i]
		if w.given() && (w.text == "" || strings.HasPrefix(w.text, ".") || strings.HasSuffix(w.text, ".") || strings.Contains(w.text, "..")) {
			a.failf(w.at, "cannot use %s.paths[%d]: %s has an empty key", at, i, w.shown())
		}
	}
	switch {
	case !in.File.given():
	case !named(out.File):
		a.failf(in.File.at, "cannot use %s.file: %s has no %%i, and would be every instance's", at, in.File.shown())
	case path.IsAbs(out.File):
	case d == nil:
		a.failf(in.File.at, "cannot use %s.file: %s is no absolute path, and there is no discover.directory that it could be in", at, in.File.shown())
	default:
		out.File = path.Join(strings.ReplaceAll(d.Directory, "%", "%%"), out.File)
	}
	return out
}

// named tells whether a path of a template has the instance's name in it.
func named(path string) bool {
	return strings.Contains(strings.ReplaceAll(path, "%%", ""), anyInstance)
}
