package config

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"pintle/internal/unit"
)

// containerLog makes what holds for the output of the container as a whole, and keeps the defaults for units.
func (a *assembler) containerLog(l *containerLogSection) Log {
	if l == nil {
		l = &containerLogSection{}
	}
	a.logs = &l.logSection
	if l.Directory.given() {
		a.failf(l.Directory.at, "cannot use log.directory: units can't share one; write it at each unit's own log")
	}
	a.total("log", a.logs)
	out := Log{
		Console: unit.ConsoleFormat(l.Console.Format.or(string(unit.ConsolePrefixed))),
		Readers: managers(l.Readers),
	}
	for i := range l.Secrets {
		if l.Secrets[i].given() {
			out.Secrets = append(out.Secrets, l.Secrets[i].text)
		}
	}
	if l.Socket.text != "" {
		out.Socket = path.Clean(l.Socket.text)
	}
	return out
}

// log makes what becomes of a unit's output, of the sections that say something of it, the nearest first, and the
// container's: for each key the first that has it decides. What is about files is left out where there are none.
// Nearest may be nil; only what it says itself is an error of its.
func (a *assembler) log(at string, nearest *logSection, further ...*logSection) *unit.Log {
	var levels []*logSection
	directory := ""
	decided := false
	for _, l := range append([]*logSection{nearest}, further...) {
		if l == nil {
			continue
		}
		levels = append(levels, l)
		if d := &l.Directory; !decided && (d.given() || d.wrong) {
			directory, decided = d.text, true
		}
	}
	if nearest != nil {
		a.directory(at, nearest, decided)
		a.ownDirectory(at, nearest, further...)
	}
	levels = append(levels, a.logs)
	if nearest != nil {
		a.total(at, levels...)
	}
	out := &unit.Log{
		Memory:      first(levels, func(l *logSection) *size[memories] { return &l.Memory }).or(unit.DefaultLogMemory),
		Console:     unit.ConsoleFormat(first(levels, func(l *logSection) *oneOf[consoleWords] { return &l.Console.Format }).or(string(unit.ConsolePrefixed))),
		ConsoleWait: first(levels, func(l *logSection) *flag { return &l.Console.Wait }).on,
	}
	if directory == "" {
		return out
	}
	out.Directory, out.Mode, out.Keep = path.Clean(directory), unit.DefaultLogMode, unit.DefaultLogKeep
	if m := first(levels, func(l *logSection) *logMode { return &l.Mode }); m.given() {
		out.Mode = fs.FileMode(m.bits)
	}
	if k := first(levels, func(l *logSection) *bound[archives] { return &l.Rotate.Keep }); k.given() {
		out.Keep = max(k.n, 0)
	}
	out.Size = first(levels, sizeOf).or(unit.DefaultLogSize)
	out.Total = first(levels, totalOf).n
	out.Age = first(levels, func(l *logSection) *age { return &l.Rotate.Age }).d
	out.Compress = first(levels, func(l *logSection) *oneOf[compressWords] { return &l.Rotate.Compress }).text == compressGzip
	out.Drop = first(levels, func(l *logSection) *oneOf[overflowWords] { return &l.Overflow }).text == overflowDrop
	return out
}

func sizeOf(l *logSection) *size[files] { return &l.Rotate.Size }
func totalOf(l *logSection) *total      { return &l.Rotate.Total }

// first is the value of the first section that has it, usable or not; else of the last one, which has none.
func first[V value](levels []*logSection, of func(*logSection) V) V {
	for _, l := range levels {
		if v := of(l); v.base().given() || v.base().wrong {
			return v
		}
	}
	return of(levels[len(levels)-1])
}

// ownDirectory checks that a section has files be where nobody else's are. An instance's section may say what its template's
// does.
func (a *assembler) ownDirectory(at string, l *logSection, further ...*logSection) {
	same := func(other *logSection) bool { return other != nil && other.Directory.text == l.Directory.text }
	if l.Directory.text == "" || slices.ContainsFunc(further, same) {
		return
	}
	directory := path.Clean(l.Directory.text)
	if other, taken := a.logDirectories[directory]; taken {
		a.failf(l.Directory.at, "cannot use %s.directory: units can't share one, and it is used in %s already", at, other)
		return
	}
	a.logDirectories[directory] = l.Directory.at
}

// directory checks where a section has files be, and that it does not say how without saying where.
func (a *assembler) directory(at string, l *logSection, decided bool) {
	if slices.Contains(strings.Split(l.Directory.text, "/"), "..") {
		a.failf(l.Directory.at, `cannot use %s.directory: %s has a ".."`, at, l.Directory.shown())
	}
	if decided {
		return
	}
	for _, key := range []struct {
		name string
		at   Position
	}{{"mode", l.Mode.at}, {"rotate", l.Rotate.At}, {"overflow", l.Overflow.at}} {
		if key.at.Line > 0 {
			a.failf(key.at, "cannot use %s.%s: it has no directory, so there are no files", at, key.name)
		}
	}
}

// total checks that what is kept at all has room for one file, where the first section says either.
func (a *assembler) total(at string, levels ...*logSection) {
	size, total := first(levels, sizeOf), first(levels, totalOf)
	own := &levels[0].Rotate
	switch {
	case size.wrong || total.wrong || total.n == 0 || total.n >= size.or(unit.DefaultLogSize):
	case own.Total.given() && size.given():
		a.failf(total.at, "cannot use %s.rotate.total: it is less than size", at)
	case own.Total.given():
		a.failf(total.at, "cannot use %s.rotate.total: it is less than the default of size, %s", at, sizeWord(unit.DefaultLogSize))
	case own.Size.given():
		a.failf(size.at, "cannot use %s.rotate.size: it is more than total", at)
	}
}

// managers sorts users from groups.
func managers(list []manager) (m unit.Managers) {
	for i := range list {
		switch l := &list[i]; {
		case !l.given():
		case l.group:
			m.Groups = append(m.Groups, l.name)
		default:
			m.Users = append(m.Users, l.name)
		}
	}
	return m
}
