// Package config turns pintle.yaml and conf.d into units.
//
// It promises that a Config which Load returns is complete and valid: every
// name parses, every signal exists, every duration is in range, every instance
// that is declared may exist, every unit that is depended on is there, and none
// waits for itself. Whatever is wrong is an error with file, line and column, and
// a load reports all that it finds (at most 20), not the first one alone. A file
// that somebody other than root or pintle's own user could have written is
// refused before a byte of it is parsed.
//
// What a value may be is said by its key and never by its quotes: 64, "64" and
// "${MAX:-64}" are the same integer, and in a list of words 0600 stays "0600" and
// yes stays "yes". Variables are expanded in values after the YAML has been
// parsed, so a variable can change a value but never the structure. Values of
// variables are not printed in errors.
//
// It is a strict subset of YAML: one document in a file, and no anchors, aliases,
// merge keys, tags, directives or explicit ("? ") keys.
//
// It does not look anything up: whether a user exists, a program is there or an
// address can be bound is found out when a unit starts.
package config

import (
	"path"
	"slices"
	"time"

	"pintle/internal/unit"
)

// Config is what a container was configured to run. It is never changed once loaded.
type Config struct {
	// Files is what was read, in order; empty where there is no configuration.
	Files []string
	Main  Main
	// Oneshots, Services and Templates are sorted by name, and no two of them have the same.
	Oneshots  []unit.Spec
	Services  []unit.Spec
	Templates []unit.Template
	// Prepare is what must be so before anything starts.
	Prepare unit.Prepare
	// Governor bounds what all units do together; no field of it is zero.
	Governor unit.Governor
	// Log is what holds for the output of all units; what holds for each is in its Spec.
	Log Log
	// S6 is what pintle does in s6's place.
	S6 S6
	// Role is what this container is among those that share the state directory; empty where nobody says.
	Role string
	// StateDirectory is absolute; empty means that state is kept in memory only.
	StateDirectory string
	// StopTimeout is the budget of a whole stop.
	StopTimeout time.Duration
}

// Log is what holds for the output of the container as a whole.
type Log struct {
	// Console is how pintle's own words are shown.
	Console unit.ConsoleFormat
	// Readers may read the output of every unit, beside those who may manage it.
	Readers unit.Managers
	// Secrets are the names of environment variables whose values nobody is to read, or patterns for names (path.Match).
	Secrets []string
	// Socket is where syslog(3) is heard; empty for nowhere.
	Socket string
}

// Secret tells whether an environment variable is among Secrets.
func (l *Log) Secret(name string) bool {
	return slices.ContainsFunc(l.Secrets, func(pattern string) bool {
		match, _ := path.Match(pattern, name) // it was checked when it was loaded
		return match
	})
}

// Main is the main program. Its Spec.Command is empty where the container's arguments are the command.
type Main struct {
	Spec unit.Spec
	// Subcommands are the first words that are arguments of Spec.Command rather than programs.
	Subcommands []string
}

// DefaultStopTimeout is just under the ten seconds after which docker stop kills.
const DefaultStopTimeout = 9 * time.Second

// Units are the oneshots and the services.
func (c *Config) Units() []unit.Spec { return slices.Concat(c.Oneshots, c.Services) }

// Template finds a template by its name.
func (c *Config) Template(name string) (*unit.Template, bool) {
	i := slices.IndexFunc(c.Templates, func(t unit.Template) bool { return t.Name == name })
	if i < 0 {
		return nil, false
	}
	return &c.Templates[i], true
}
