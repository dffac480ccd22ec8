package boot

import (
	"errors"
	"slices"
	"strings"

	"pintle/internal/process"
)

// routing is what decides what the container's arguments mean.
type routing struct {
	command     []string // main.command
	subcommands []string // main.subcommands
	path        string   // PATH
	dir         string   // the working directory
	identity    *process.Identity
}

// The refusals to run a container with nothing in it.
var (
	errNoMain    = errors.New("cannot start the main program: there is no main.command in the configuration, and no command was given")
	errNoProgram = errors.New("cannot start the main program: no command was given after --")
)

// route makes the main program's argument vector of the container's arguments.
// The rules are DESIGN.md's, in its order. No shell is asked, so that no builtin,
// function or option of one is ever taken for a program
// (hermes-behaviours.md, section 2c, lists what goes wrong when one is).
//
// An error is errNoMain, errNoProgram or a *process.ExecError.
func (r routing) route(args []string) ([]string, error) {
	withCommand := func() ([]string, error) { return slices.Concat(r.command, args), nil }
	switch {
	case len(args) > 0 && args[0] == "--": // the rest, as it is
		args = args[1:]
		if len(args) == 0 {
			return nil, errNoProgram
		}
		return args, r.find(args[0])
	case len(args) == 0 && len(r.command) == 0:
		return nil, errNoMain
	case len(r.command) == 0:
		return args, r.find(args[0])
	case len(args) == 0:
		return withCommand()
	case strings.HasPrefix(args[0], "-"), slices.Contains(r.subcommands, args[0]):
		return withCommand()
	case strings.Contains(args[0], "/"):
		return args, r.find(args[0])
	case args[0] != "" && r.find(args[0]) == nil:
		return args, nil
	}
	return withCommand()
}

// find tells why a word can't be executed as a program; nil when it can.
func (r routing) find(word string) error {
	_, err := process.LookPath(word, r.path, r.dir, r.identity)
	return err
}
