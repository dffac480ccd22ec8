// Package boot is the init contract: the main program, signals, phases and the
// exit code of a container.
//
// It promises that a container ends with the main program's code; that nothing
// is started when the configuration is wrong; that a stop ends as soon as
// everything has ended, and is bounded; and that when pintle ends, no process
// that descends from it is left.
//
// It puts the other rooms together and holds no unit's state: that is package
// supervisor's.
package boot

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pintle/internal/account"
	"pintle/internal/api"
	"pintle/internal/boot/signals"
	"pintle/internal/config"
	"pintle/internal/engine"
	"pintle/internal/logs"
	"pintle/internal/process"
	"pintle/internal/s6/serve"
	"pintle/internal/store"
	"pintle/internal/supervisor"
	"pintle/internal/unit"
)

// Exit codes of pintle itself; 126 and 127 come with a *process.ExecError.
const exitFailed = 125

// The phases of a stop, beside the configured stop_timeout.
const (
	sayAfter   = 2 * time.Second        // what is waited for is said after this
	afterKill  = 2 * time.Second        // how long SIGKILL may take, before pintle ends without
	drainLogs  = 500 * time.Millisecond // how long output that is still in pipes may take
	writeStore = time.Second            // how long the last intents and run records may take to be written
)

// Options for Init.
type Options struct {
	// Config is the configuration file, or "" for the usual ones.
	Config string
	// Args are the container's arguments.
	Args    []string
	Environ []string
	Version string
	// Stdout and Stderr are the container's. Without a main program, whose standard output may be data, the console is both.
	Stdout io.Writer
	Stderr io.Writer
	// Main is as process.Options has it.
	Main chan<- func()
}

// ParseArgs splits what follows "pintle init" into options and the container's
// arguments: [--config F] [--] [CMD…]. It takes no other option, so that every
// other word reaches the main program.
func ParseArgs(args []string) (configFile string, rest []string, err error) {
	if len(args) > 0 {
		if file, ok := strings.CutPrefix(args[0], "--config="); ok {
			configFile, args = file, args[1:]
		} else if args[0] == "--config" {
			if len(args) < 2 {
				return "", nil, errors.New("cannot use --config: it needs a file")
			}
			configFile, args = args[1], args[2:]
		}
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	return configFile, args, nil
}

// Init runs a container: it returns when everything in it has ended, with the
// exit code for pintle.
func Init(o Options) int {
	usual := debug.SetGCPercent(startGarbage)
	received, _ := signals.Receive()
	c, err := configure(o, received)
	c.garbage = usual
	if err != nil {
		c.utter(err.Error())
		if e, ok := errors.AsType[*process.ExecError](err); ok {
			return e.Code
		}
		if e, ok := errors.AsType[stoppedEarly](err); ok {
			return unit.Exit{Signal: e.by}.ShellCode()
		}
		return exitFailed
	}
	if err := c.start(); err != nil {
		c.utter(err.Error())
		return exitFailed
	}
	if c.main != nil {
		signals.ReceiveRealTime()
	}
	c.supervise(received)
	return c.end()
}

// container is one container's life.
type container struct {
	o        Options
	files    []string                      // the configuration's, where somebody named them
	config   atomic.Pointer[config.Config] // another one after a reload
	main     *unit.Spec                    // nil where there is none
	accounts account.Database              // with the users that were prepared
	identity *process.Identity             // main's
	terminal *process.Terminal

	// format is how the console shows pintle's own words; empty means prefixed.
	format unit.ConsoleFormat
	say    *speaker
	kernel *process.Kernel
	logs   *logs.Book
	store  *store.Store
	leases *store.Keeper
	units  *supervisor.Supervisor
	trees  trees
	server *api.Server

	garbage  int // as runtime/debug.SetGCPercent has it, once everything has started
	ended    chan struct{}
	fixed    []engine.Condition // conditions that hold for the container's whole life
	deadline time.Time          // when the stop's budget is over
}

// configure reads the configuration, and prepares what it says must be so before
// anything starts; it starts nothing. With an error, the container can only speak.
func configure(o Options, received chan os.Signal) (*container, error) {
	var files []string
	if o.Config != "" {
		files = []string{o.Config}
	}
	c := &container{o: o, files: files, ended: make(chan struct{})}
	cfg, err := c.read()
	if err == nil {
		c.format = cfg.Log.Console
		err = c.prepare(cfg, received)
	}
	if err == nil {
		c.main, err = c.route(cfg)
	}
	if err != nil {
		return c, err
	}
	c.config.Store(cfg)
	return c, nil
}

// console is where and how the output of units is seen. Where main has the terminal, it is nowhere: the screen is main's
// alone. Beside a main program it is the standard error, because what others print has no place in main's output
// (docker run IMAGE … | jq); without one, each line goes to the stream that it was written to.
func (c *container) console() logs.Options {
	if c.terminal != nil {
		return logs.Options{}
	}
	o := logs.Options{Console: c.o.Stderr, ConsoleFormat: c.format, ConsoleColour: wantsColour(c.o.Environ)}
	if c.main == nil {
		o.ConsoleOut = c.o.Stdout
	}
	return o
}

// wantsColour follows no-color.org: a terminal that is not told otherwise has colours.
func wantsColour(environ []string) bool {
	for _, e := range environ {
		if name, value, _ := strings.Cut(e, "="); name == "NO_COLOR" && value != "" || name == "TERM" && value == "dumb" {
			return false
		}
	}
	return true
}

// start makes everything run.
func (c *container) start() error {
	c.say = newSpeaker(c.utter)
	if c.main != nil {
		c.terminal = process.OpenTerminal(os.Stdin)
	}
	changed := make(chan struct{}, 1)
	notice := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	output := c.console()
	output.Now, output.Changed = now, notice
	c.logs = logs.NewBook(output)
	c.say.through(c.logs.Say)
	if c.main != nil {
		process.Lend(c.identity, os.Stdin, os.Stdout, os.Stderr)
	}
	var at place
	late := make(chan []store.Record, 1)
	var records []store.Record
	var beside sync.WaitGroup // with the kernel's side, since main waits for both
	beside.Go(func() {
		at = openPlace()
		c.store, records = store.Open(store.Options{
			Directory: c.config.Load().StateDirectory, UID: os.Geteuid(),
			Changed: notice,
			Late:    func(records []store.Record) { late <- records },
		})
	})
	var err error
	logSocket := c.config.Load().Log.Socket
	c.kernel, err = process.New(process.Options{Log: c.say.log, Stopped: c.mainStopped, Senders: logSocket != "", Main: c.o.Main})
	beside.Wait()
	if err != nil {
		at.close()
		return err
	}
	c.fixedConditions(at)
	c.leases = store.NewKeeper(store.KeeperOptions{
		Directory: c.config.Load().StateDirectory, UID: os.Geteuid(), RunDirectory: at.directory, Noticed: notice,
		Changed:  func(name unit.Name) { c.units.LeaseChanged(name) },
		TookBack: func(names []unit.Name) { c.say.log.Info(tookBack(names)) },
	})
	if life := c.store.Life(); life.Before != engine.LifeClean && life.String() != "" {
		c.say.log.Warn("this container has started before, and " + life.String())
	}
	// A socket that an outer pintle has set is not this container's.
	environ := slices.DeleteFunc(slices.Clone(c.o.Environ), func(e string) bool { return strings.HasPrefix(e, "PINTLE_SOCKET=") })
	if at.listener != nil {
		environ = append(environ, "PINTLE_SOCKET="+at.socket)
	}
	var syslog supervisor.LogSocket
	if logSocket != "" {
		if syslog, err = supervisor.ListenSyslog(logSocket); err != nil {
			c.fixed = append(c.fixed, engine.Conditionf(engine.LogSocketMissing, "what processes say by syslog(3) is not heard: %v", err))
		}
	}
	c.openTrees(environ)
	d := c.declarations(c.config.Load(), c.main)
	c.units = supervisor.New(supervisor.Options{
		Version: c.o.Version, Main: d.Main, Services: d.Services, Templates: d.Templates, Governor: d.Governor,
		Load: c.reload, Records: records, Environ: environ, Secret: c.config.Load().Log.Secret, Accounts: c.accounts,
		Kernel: supervisor.NewKernel(c.kernel), Logs: c.logs, Syslog: syslog, Store: c.store, Leases: c.leases, Log: c.say.log,
		RunDirectory: at.runs, Kept: len(c.config.Load().S6.Scan) > 0, Terminal: c.terminal != nil, Conditions: c.conditions, PriorExit: c.priorExit,
	})
	_, registered := signals.Receive()
	<-registered // or main could send pintle one that ends it
	c.units.Boot()
	runtime.Gosched() // to what starts main, for which another processor would have to be woken
	if at.listener != nil {
		c.server = api.NewServer(api.Options{Engine: serve.Join(c.units, c.trees.list...), Managers: c.managers, Readers: c.readers, Keeper: c.trees.keeper, Accounts: c.accounts, UID: os.Geteuid(), ErrorLog: slog.NewLogLogger(c.say, slog.LevelError)})
		go c.serve(at.listener)
	}
	go c.sayConditions(changed)
	go c.recall(late)
	go c.giveBack()
	if c.main != nil && len(c.main.DependsOn) > 0 {
		go c.sayMainWaits()
	}
	return nil
}
