package config

import (
	"slices"
	"strconv"

	"pintle/internal/unit"
)

// containerLog writes what holds for all output; the defaults for units are written at each of them.
func (p *printer) containerLog(l *Log) {
	p.line(0, "log:")
	p.line(1, "console: %s", l.Console)
	p.managers(1, "readers", l.Readers)
	p.list(1, "secrets", l.Secrets)
	p.text(1, "socket", l.Socket)
}

// managers writes users and groups; nothing where there are none.
func (p *printer) managers(level int, name string, m unit.Managers) {
	all := slices.Clone(m.Users)
	for _, g := range m.Groups {
		all = append(all, "group:"+g)
	}
	p.list(level, name, all)
}

// log writes what becomes of a unit's output. That it is in no files is said too, for a template's would be an override's.
func (p *printer) log(level int, l *unit.Log) {
	p.line(level, "log:")
	p.line(level+1, "directory: %s", plain(l.Directory))
	if l.Directory != "" {
		age, keep, total, compress, overflow := never, unlimited, unlimited, compressNone, overflowBlock
		if l.Age > 0 {
			age = readable(l.Age)
		}
		if l.Keep > 0 {
			keep = strconv.Itoa(l.Keep)
		}
		if l.Total > 0 {
			total = sizeWord(l.Total)
		}
		if l.Compress {
			compress = compressGzip
		}
		if l.Drop {
			overflow = overflowDrop
		}
		p.line(level+1, `mode: "%04o"`, l.Mode)
		p.line(level+1, "rotate: {size: %s, age: %s, keep: %s, total: %s, compress: %s}", sizeWord(l.Size), age, keep, total, compress)
		p.line(level+1, "overflow: %s", overflow)
	}
	p.line(level+1, "memory: %s", sizeWord(l.Memory))
	p.line(level+1, "console: {format: %s, wait: %t}", l.Console, l.ConsoleWait)
}
