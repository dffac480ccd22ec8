package config

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"pintle/internal/unit"
)

// masked stands for an environment value, all of which are secret.
const masked = "***"

// Show writes the effective configuration, with every default filled in, as YAML
// that Load takes again; only the values of environments are masked. Its error is w's.
func (c *Config) Show(w io.Writer) error {
	var p printer
	for _, file := range c.Files {
		p.line(0, "# from %s", strings.Map(printable, file))
	}
	p.line(0, "main:")
	p.spec(1, &c.Main.Spec)
	if len(c.Main.Subcommands) > 0 {
		p.line(1, "subcommands: %s", flowList(c.Main.Subcommands))
	}
	p.units("oneshots", c.Oneshots)
	p.units("services", c.Services)
	if len(c.Templates) > 0 {
		p.line(0, "templates:")
	}
	for i := range c.Templates {
		p.line(1, "%s:", plain(c.Templates[i].Name))
		p.template(2, &c.Templates[i])
	}
	p.prepare(&c.Prepare)
	p.governor(c.Governor)
	p.containerLog(&c.Log)
	p.s6(&c.S6)
	p.text(0, "role", c.Role)
	if c.StateDirectory != "" {
		p.line(0, "state_directory: %s", plain(c.StateDirectory))
	}
	p.line(0, "stop_timeout: %s", readable(c.StopTimeout))
	_, err := w.Write(p.Bytes())
	return err
}

// printer is a buffer with indented lines.
type printer struct{ bytes.Buffer }

func (p *printer) line(level int, format string, args ...any) {
	p.WriteString(strings.Repeat("  ", level))
	fmt.Fprintf(p, format, args...)
	p.WriteByte('\n')
}

// units writes a section of units; nothing where there is none.
func (p *printer) units(section string, units []unit.Spec) {
	if len(units) > 0 {
		p.line(0, "%s:", section)
	}
	for i := range units {
		s := &units[i]
		p.line(1, "%s:", plain(string(s.Name)))
		because := ""
		if s.Enabled.Because != "" {
			because = "  # " + strings.Map(printable, s.Enabled.Because)
		}
		p.line(2, "enabled: %t%s", s.Enabled.On, because)
		p.spec(2, s)
	}
}

func (p *printer) governor(g unit.Governor) {
	starts := strconv.Itoa(g.Starts)
	if g.Starts < 0 {
		starts = unlimited
	}
	p.line(0, "governor:")
	p.line(1, "starts: %s", starts)
	if g.Least < 0 {
		p.line(1, "storm: off")
		return
	}
	p.line(1, "storm: {share: %s, least: %d, within: %s, pause: %s}", decimal(g.Share), g.Least, readable(g.Within), readable(g.Pause))
}

func (p *printer) template(level int, t *unit.Template) {
	p.spec(level, &t.Spec)
	p.line(level, "instances:")
	p.line(level+1, "names: %s", plain(t.Names.String()))
	p.managers(level+1, "managers", t.Managers)
	p.line(level+1, "max: %d", t.Max)
	if len(t.Always) > 0 {
		p.line(level+1, "always: %s", flowList(t.Always))
	}
	p.line(level+1, "initial: %s", t.Initial)
	p.discovery(level+1, t)
	if t.Spec.Exclusive {
		p.line(level+1, "exclusive: true")
	}
	if len(t.Roles) > 0 {
		because := ""
		if !t.Spec.Enabled.On {
			because = "  # " + t.Spec.Enabled.Because
		}
		p.line(level+1, "roles: %s%s", flowList(t.Roles), because)
	}
	if len(t.Overrides) == 0 {
		return
	}
	p.line(level, "overrides:")
	for _, name := range slices.Sorted(maps.Keys(t.Overrides)) {
		o := t.Overrides[name]
		p.line(level+1, "%s:", plain(name))
		if len(o.Command) > 0 {
			p.line(level+2, "command: %s", flowList(o.Command))
		}
		p.environment(level+2, o.Environment)
		p.text(level+2, "intent_file", o.IntentFile)
		if o.Log != nil {
			p.log(level+2, o.Log)
		}
	}
}

// discovery writes where instances and what is wanted of them are looked for.
func (p *printer) discovery(level int, t *unit.Template) {
	if d := t.Discover; d != nil {
		p.line(level, "discover:")
		p.text(level+1, "directory", d.Directory)
		p.text(level+1, "marker", d.Marker)
		p.list(level+1, "except", d.Except)
		p.line(level+1, "keep_intent: %s", readable(d.KeepIntent))
	}
	if f := t.IntentFrom; f != nil {
		p.line(level, "intent_from:")
		p.text(level+1, "file", f.File)
		p.list(level+1, "paths", f.Paths)
		p.list(level+1, "up", f.Up)
	}
	p.text(level, "boot_report", t.BootReport)
}

func flowList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = plain(w)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// plain is a value as YAML, with quotes where any reader of YAML could need them.
func plain(s string) string {
	return quoteKey(strings.ReplaceAll(s, "$", "$$"))
}

// quoteKey is a key as YAML. In keys nothing is expanded.
func quoteKey(s string) string {
	switch strings.ToLower(s) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
		return strconv.Quote(s)
	}
	for i, c := range s {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '/' || c == '_'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789.@-", c)) {
			return strconv.Quote(s)
		}
	}
	if s == "" {
		return `""`
	}
	return s
}

// decimal is a number with as many digits as it has.
func decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// readable is a duration without the zeros that time.Duration prints: 1m, not 1m0s.
func readable(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
