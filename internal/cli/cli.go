// Package cli is pintle's command line: each command is a client of
// engine.Engine, and knows nothing else of the container it looks at.
//
// It promises that
//
//   - a verb that says it was done was done: start, stop, restart, create and
//     remove ask, watch for the effect, and say in one line per unit what
//     happened (--no-wait asks only);
//   - the exit code tells a script what a sentence on stderr tells a person,
//     and there is one such sentence per thing that went wrong;
//   - nothing that comes from outside (the name of a process, a reason, a line
//     of a log) reaches a terminal as a control sequence.
//
// It decides nothing about units, keeps nothing, and does not know how an
// engine is reached, how a configuration is read or how a container is booted:
// those are functions in Options.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"pintle/internal/engine"
)

// Options is everything that the command line has from the world. All
// functions must be set.
type Options struct {
	// Args are the words after the program's name.
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Environ is the environment as "KEY=value".
	Environ []string
	// StdoutIsTerminal allows colour and redrawing, and makes logs safe to show.
	StdoutIsTerminal bool
	// Width is the terminal's width in columns; 0 where it is not known, and nothing is cut.
	Width int
	// Connect reaches the engine. It is called by the commands that need one, once.
	Connect func() (engine.Engine, error)
	Config  ConfigCommands
	S6      S6
	// Init is the entrypoint with its own arguments; the result is the exit code.
	Init    func(args []string) int
	Version string
}

// ConfigCommands is what `pintle config` does. An error's text may have several lines, one for each mistake.
type ConfigCommands struct {
	// Check reads and validates files, or the usual ones where there are none. The summary goes on after
	// "configuration is valid: "; a notice is one line with its position.
	Check func(files []string) (summary string, err error)
	// Show writes the configuration as pintle understands it.
	Show func(files []string, w io.Writer) error
}

// The exit codes; DESIGN, "Command line". 69 and 77 are EX_UNAVAILABLE and EX_NOPERM of sysexits.h.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotRunning  = 3
	exitNoUnit      = 4
	exitUnavailable = 69
	exitDenied      = 77
)

// Run carries out one command line and returns its exit code. The end of ctx
// ends what follows (logs -f, status --watch) well and what waits badly; a wish
// that was recorded stays recorded.
func Run(ctx context.Context, o Options) (exitCode int) {
	o.Stderr = &shared{w: o.Stderr}
	a := &app{Options: o, out: &output{w: o.Stdout}}
	root := a.root()
	root.SetArgs(append([]string{}, o.Args...)) // never nil: cobra would take os.Args then
	root.SetIn(o.Stdin)
	root.SetOut(a.out)
	root.SetErr(o.Stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if a.out.err != nil && err == nil {
		err = failed(fmt.Errorf("cannot write to standard output: %w", a.out.err))
	}
	if err == nil {
		return exitDone
	}
	f, ok := errors.AsType[*failure](err)
	if !ok { // cobra's own: it could not make sense of the words
		a.complain(fmt.Errorf("cannot understand the command line: %w; see '%s --help'", err, cmd.CommandPath()))
		return exitUsage
	}
	if f.err != nil {
		a.complain(f.err)
	}
	return f.code
}

// app is one command line being carried out.
type app struct {
	Options
	out *output
}

// failure is the end of a command that was understood. Without err everything has been said.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit code %d", f.code)
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// failed gives err the exit code that its kind stands for.
func failed(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	return &failure{codeOf(err), err}
}

// codeOf is the exit code for an engine's error.
func codeOf(err error) int {
	switch engine.KindOf(err) {
	case engine.Invalid:
		return exitUsage
	case engine.NotFound:
		return exitNoUnit
	case engine.Denied:
		return exitDenied
	case engine.Unavailable:
		return exitUnavailable
	}
	return exitFailed // Conflict, Internal
}

// complain prints an error, on one line for each of its own.
func (a *app) complain(err error) {
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(clean(line)); line != "" {
			fmt.Fprintln(a.Stderr, "pintle: "+line)
		}
	}
}

// run makes a command's body of f.
func run(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := f(cmd.Context(), args); err != nil {
			return failed(err)
		}
		return nil
	}
}

// output is standard output, which fails once and then stays silent: what
// cannot be written fails the command once, at its end.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	if o.err == nil {
		_, o.err = o.w.Write(p)
	}
	return len(p), nil
}

// shared is standard error, for goroutines that write a line each.
type shared struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

func (a *app) sayf(format string, args ...any) { fmt.Fprintf(a.out, format+"\n", args...) }

// getenv is the value of a variable in Options.Environ, or "".
func (a *app) getenv(key string) string {
	for _, kv := range slices.Backward(a.Environ) {
		if k, v, _ := strings.Cut(kv, "="); k == key {
			return v
		}
	}
	return ""
}
