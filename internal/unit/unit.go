// Package unit says what a unit is: its name, its kind and everything that was
// declared about it.
//
// It promises that a value of these types, once checked by the function that
// makes it, is valid: names that parse are safe as file names and in a URL, a
// signal that parses exists, an exit rule that parses is unambiguous. It is
// pure: no clock, no goroutine, no system call. It does not know what a unit is
// doing; that is package lifecycle.
package unit

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Kind says what role a unit plays.
type Kind string

const (
	// Main is the container's command: it has the terminal, and its end ends the container.
	Main Kind = "main"
	// Service is a program that is kept running.
	Service Kind = "service"
	// Oneshot is a program that is run to completion, at boot or on the way down.
	Oneshot Kind = "oneshot"
	// Instance is a service made from a template: by somebody's request, because a directory declares it, or because its
	// template names it in always.
	Instance Kind = "instance"
)

// Switch is a boolean with the reason for its value, because a unit that is
// switched off must be able to say by what.
type Switch struct {
	On bool
	// Because names what decided, such as "WEB_ENABLED is not set"; empty where the configuration says so literally.
	Because string
}

// Spec is everything that was declared about one unit. Instances are made from
// their Template by Instantiate. A Spec is never changed once it is in use.
type Spec struct {
	Name Name
	Kind Kind
	// Enabled is off for a unit that must not run in this container.
	Enabled Switch
	// Command is the argument vector; Command[0] is looked up in the unit's own PATH when it has no slash. No shell is asked.
	Command []string
	// User is "name", "uid", "name:group" or "uid:gid"; empty means pintle's own. It is resolved when a run starts.
	User string
	// EnvFiles are files of NAME=VALUE lines, laid over the container's environment in their order.
	EnvFiles []EnvFile
	// Environment is laid over both.
	Environment map[string]string
	// WorkingDir is absolute, or empty for the container's own (docker run -w).
	WorkingDir string
	Attributes Attributes

	// DependsOn are the units that must have come to something before this one begins.
	DependsOn []Dependency
	Restart   RestartPolicy
	ExitRules ExitRules
	Backoff   BackoffRule
	// StableAfter is how long a run is up before earlier failures are forgotten; zero is DefaultStableAfter.
	StableAfter time.Duration
	GiveUp      GiveUp
	// OnFailure is what it means for the container when the unit has failed; empty is FailureIgnore.
	OnFailure FailureAction
	// Readiness is nil where a run counts as ready once it has been executed.
	Readiness *Readiness
	// StartTimeout is how long a run may take to be ready, or a oneshot to be done; zero for as long as it takes.
	StartTimeout time.Duration
	// Liveness is nil where a run that is up counts as alive until it ends.
	Liveness *Liveness
	// Watchdog is the longest time between two WATCHDOG=1 of a run that is up; zero for none.
	Watchdog time.Duration
	// OnHang is what is done to a run that hangs before it is stopped; nil for nothing.
	OnHang *OnHang
	Stop   Stop
	// Down is the command of a oneshot that undoes what Command did, on the way down; empty for none.
	Down []string
	// Exclusive has one container at a time run the unit, of all those that share the state directory.
	Exclusive bool
	// Required is set for a oneshot without which the container must not run.
	Required bool
	Labels   map[string]string
	// Log is what becomes of the output; nil where nobody has said so, as for main, whose output is its own.
	Log *Log
}

// EnvFile is a file with environment variables.
type EnvFile struct {
	Path string
	// Optional has a missing file mean an empty one.
	Optional bool
}

// Defaults for what a configuration does not say. The grace period is Docker's and Compose's.
const (
	DefaultStopGracePeriod = 10 * time.Second
	DefaultStopSignal      = SIGTERM
)

// Managers are the users and groups who may manage a template's instances.
type Managers struct {
	// Users are names or numeric uids.
	Users []string
	// Groups are names or numeric gids.
	Groups []string
}

// String lists the managers as a refusal names them.
func (m Managers) String() string {
	all := slices.Clone(m.Users)
	for _, g := range m.Groups {
		all = append(all, "group:"+g)
	}
	if len(all) == 0 {
		return "nobody but root"
	}
	return strings.Join(all, ", ")
}

// Initial desired states of an instance that nobody has asked anything of yet.
const (
	InitialDown = "down"
	InitialUp   = "up"
)

// Template is what instances are made from.
type Template struct {
	// Name is the part before the "@".
	Name string
	// Spec is the pattern: "%i" in its commands, environment values, paths, checks and dependencies stands for the
	// instance's name, "%%" for a percent sign.
	Spec Spec
	// Names is what an instance may be called.
	Names    NamePattern
	Managers Managers
	// Max is the largest number of instances; those in Always count.
	Max int
	// Always lists the instances that exist in every container.
	Always []string
	// Overrides replaces parts of the pattern for single instances.
	Overrides map[string]Override
	// Initial is the desired state of an instance when it is first seen: InitialUp or InitialDown.
	Initial string
	// Discover is nil where no directory declares instances.
	Discover *Discovery
	// IntentFrom is asked before Initial; nil for nothing.
	IntentFrom *IntentSource
	// BootReport is the file that gets a line for each instance when the container starts; "" for none.
	BootReport string
	// Roles are those of the containers that may run instances; nil for any.
	Roles []string
}

// Override is what one instance has different from its template; zero fields change nothing.
type Override struct {
	Command     []string
	Environment map[string]string
	// IntentFile is its file of the template's IntentFrom.
	IntentFile string
	// Log is what becomes of its output, all of it; nil: what becomes of the template's.
	Log *Log
}

// DefaultMax is the largest number of instances of a template that does not say.
const DefaultMax = 100

// Instantiate makes the Spec of one instance. It fails when the template's own
// rule does not allow the name, so that a Spec of a forbidden name cannot exist.
func (t *Template) Instantiate(instance string) (Spec, error) {
	name, err := InstanceName(t.Name, instance)
	if err != nil {
		return Spec{}, err
	}
	if err := t.Names.Check(instance); err != nil {
		return Spec{}, err
	}
	s := t.Spec
	s.Name, s.Kind = name, Instance
	command, environment := s.Command, maps.Clone(s.Environment)
	if o, ok := t.Overrides[instance]; ok {
		if len(o.Command) > 0 {
			command = o.Command
		}
		if environment == nil {
			environment = map[string]string{}
		}
		maps.Copy(environment, o.Environment)
		s.Log = cmp.Or(o.Log, s.Log)
	}
	expand := strings.NewReplacer("%%", "%", "%i", instance)
	s.Command = replaceAll(expand, command)
	for key, value := range environment {
		environment[key] = expand.Replace(value)
	}
	s.Environment = environment
	s.WorkingDir = expand.Replace(s.WorkingDir)
	s.EnvFiles = slices.Clone(s.EnvFiles)
	for i := range s.EnvFiles {
		s.EnvFiles[i].Path = expand.Replace(s.EnvFiles[i].Path)
	}
	if s.Readiness != nil {
		r := *s.Readiness
		r.Check = r.instantiate(expand)
		s.Readiness = &r
	}
	if s.Liveness != nil {
		l := *s.Liveness
		l.Check = l.instantiate(expand)
		s.Liveness = &l
	}
	s.Stop.Command = replaceAll(expand, s.Stop.Command)
	s.DependsOn = slices.Clone(s.DependsOn)
	for i := range s.DependsOn {
		s.DependsOn[i].On = Name(expand.Replace(string(s.DependsOn[i].On)))
	}
	if s.Log != nil && s.Log.Directory != "" {
		l := *s.Log
		l.Directory = expand.Replace(l.Directory)
		s.Log = &l
	}
	s.ExitRules, s.Labels = maps.Clone(s.ExitRules), maps.Clone(s.Labels)
	return s, nil
}

// replaceAll expands every word of a list; it leaves the list as it is.
func replaceAll(expand *strings.Replacer, words []string) []string {
	out := slices.Clone(words)
	for i := range out {
		out[i] = expand.Replace(out[i])
	}
	return out
}
