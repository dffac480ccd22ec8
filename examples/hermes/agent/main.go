// Hermes is the stand-in for the Hermes agent: a small program with the agent's command line and its manners, good
// and bad, for the tests and the demo of a supervisor. It promises to do what it is told, at once, and to say on one
// line what it did. It does not promise to be an agent.
//
// The home is $HERMES_HOME, or $HOME/.hermes. Profile "default" lives in the home itself, profile NAME in
// profiles/NAME below it.
//
// These keys choose how the long-running commands behave. They come from the environment; for a gateway also from the
// file gateway.conf in its profile's home, KEY=VALUE on each line, which wins, so that one gateway among many can be
// made to misbehave by whoever owns the home. An empty value is the same as none. Durations are Go's: 500ms, 2s.
//
//	HERMES_GATEWAY_PORT          answer /healthz on 127.0.0.1:PORT; none or 0: do not listen
//	HERMES_GATEWAY_READY_AFTER   time from the start until it listens and says "ready"
//	HERMES_GATEWAY_DRAIN         time it takes to end after TERM or INT
//	HERMES_GATEWAY_TERM_EXIT     exit code after TERM or INT; none: 0
//	HERMES_GATEWAY_IGNORE_TERM   1: TERM is ignored (the kernel discards it)
//	HERMES_GATEWAY_EXIT          end with this code before it is ready
//	HERMES_GATEWAY_EXIT_AFTER    end so long after the start instead; with HERMES_GATEWAY_EXIT, or 0 without it
//	HERMES_GATEWAY_ESCAPE        start N processes that leave the session, lose their parent and ignore TERM
//	HERMES_GATEWAY_FLOOD         write SIZE to standard output first, in numbered lines of 100 bytes: 512KB, 10MB
//	HERMES_GATEWAY_ADDRESS       hold this address of a unix socket (@NAME has no file), or fail where another holds it
//	HERMES_GATEWAY_JOURNAL       add a line to this file at the begin, the end and ten times a second between (witness.go)
//	HERMES_DASHBOARD_READY_AFTER time from the start until the dashboard listens
//	HERMES_DASHBOARD_EXIT        the dashboard ends with this code at once
//
// Exit codes: 0 done, 1 failed, 2 usage; else what was asked for.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

const version = "hermes 0.0.0 (stand-in)"

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "hermes: %v\n", err)
		code = 1
		if misused, ok := errors.AsType[usageError](err); ok {
			fmt.Fprint(os.Stderr, misused.help)
			code = 2
		}
	}
	os.Exit(code)
}

// A command returns the exit code of the process, or an error, which is printed and exits with 1.
type command struct {
	name     string
	synopsis string // what follows the name on the usage line
	about    string // empty: not in the help, because it is only for the program itself
	run      func(h home, args []string) (int, error)
}

// commands is a function because help prints the table that it stands in.
func commands() []command {
	return []command{
		{"chat", "[-q TEXT]", "answer TEXT, or prompt", chat},
		{"gateway", "run [--replace]", "serve a profile until TERM", gateway},
		{"dashboard", "[--host H] [--port P] [--no-open]", "serve a web page until TERM", dashboard},
		{"profile", "create NAME | list", "make or list profiles", profile},
		{"config", "set KEY VALUE | get KEY", "change or read config.yaml", config},
		{"mcp", "", "has a name and nothing else", nothing},
		{"login", "", "has a name and nothing else", nothing},
		{"env", "", "print the environment, sorted", printEnvironment},
		{"whoami", "", "print identity, session and signal masks as JSON", whoami},
		{"exit", "N", "exit with N", exit},
		{"trap-exit", "N", "wait for TERM, then exit with N", trapExit},
		{"crash", "SIGNAL", "die of SIGNAL", crash},
		{"zombies", "[--exit] N", "leave N orphans to init, then wait for TERM", zombies},
		{"version", "", "print the version", printVersion},
		{"help", "", "print this", help},
		{"detach", "COMMAND...", "", detach},
		{"escapee", "PROFILE I", "", escapee},
	}
}

func run(args []string) (int, error) {
	profile := "default"
	var tui, showVersion bool
	global := newFlags("hermes")
	global.StringVar(&profile, "p", profile, "")
	global.StringVar(&profile, "profile", profile, "")
	global.BoolVar(&tui, "tui", false, "")
	global.BoolVar(&showVersion, "version", false, "")
	switch err := global.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return help(home{}, nil)
	case err != nil:
		return 0, usageError{err.Error(), usage()}
	case showVersion:
		return printVersion(home{}, nil)
	}
	h, err := openHome(profile)
	if err != nil {
		return 0, err
	}
	args = global.Args()
	switch {
	case tui && len(args) > 0:
		return 0, usageError{fmt.Sprintf("unexpected argument %q", args[0]), usage()}
	case tui:
		return screen()
	case len(args) == 0:
		return prompt()
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		if len(args) > 1 && (args[1] == "--help" || args[1] == "-h") {
			fmt.Print(c.usage())
			return 0, nil
		}
		code, err := c.run(h, args[1:])
		if errors.Is(err, flag.ErrHelp) {
			fmt.Print(c.usage())
			return 0, nil
		}
		if misused, ok := errors.AsType[usageError](err); ok {
			err = usageError{misused.message, c.usage()}
		}
		return code, err
	}
	return 0, usageError{fmt.Sprintf("unknown command %q", args[0]), usage()}
}

// A usageError exits with 2 and shows the help that it belongs to, which run fills in.
type usageError struct{ message, help string }

func (e usageError) Error() string { return e.message }

func misuse(format string, a ...any) error { return usageError{message: fmt.Sprintf(format, a...)} }

// newFlags returns a set that reports its errors and prints nothing: main is who talks.
func newFlags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// parseFlags parses args and wants exactly n words to be left.
func parseFlags(fs *flag.FlagSet, args []string, n int) error {
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return misuse("%v", err)
	}
	return wantArgs(fs.Args(), n)
}

func wantArgs(args []string, n int) error {
	switch {
	case len(args) < n:
		return misuse("argument missing")
	case len(args) > n:
		return misuse("unexpected argument %q", args[n])
	}
	return nil
}

func (c command) usage() string {
	return strings.TrimSpace("usage: hermes "+c.name+" "+c.synopsis) + "\n"
}

func usage() string {
	var b strings.Builder
	b.WriteString("usage: hermes [-p PROFILE] [COMMAND]\n\n")
	fmt.Fprintf(&b, "  %-44s %s\n", "(no command)", "prompt")
	fmt.Fprintf(&b, "  %-44s %s\n", "--tui", "full screen")
	for _, c := range commands() {
		if c.about != "" {
			fmt.Fprintf(&b, "  %-44s %s\n", c.name+" "+c.synopsis, c.about)
		}
	}
	return b.String()
}

func help(home, []string) (int, error) {
	fmt.Print(usage())
	return 0, nil
}

func printVersion(home, []string) (int, error) {
	fmt.Println(version)
	return 0, nil
}

// nothing never runs with a useful argument: mcp and login only show that they are there.
func nothing(home, []string) (int, error) { return 0, flag.ErrHelp }
