package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"pintle/internal/api"
	"pintle/internal/cli"
	"pintle/internal/config"
	"pintle/internal/engine"
	"pintle/internal/s6/drive"
)

// command is every role but init: a client of the supervisor that runs in this container.
func command(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	o := cli.Options{
		Args: args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Version: version,
		Connect: func() (engine.Engine, error) { return api.Dial(ctx, api.DialOptions{}) },
		Config:  cli.ConfigCommands{Check: checkConfig, Show: showConfig},
		S6:      cli.S6{Connect: connectS6, Permit: drive.Permit, Owner: drive.Owner, Scan: drive.DefaultScan},
		Init:    func(args []string) int { return run(append([]string{"pintle", "init"}, args...)) },
	}
	if fd := int(os.Stdout.Fd()); term.IsTerminal(fd) {
		o.StdoutIsTerminal = true
		if width, _, err := term.GetSize(fd); err == nil {
			o.Width = width
		}
	}
	return cli.Run(ctx, o)
}

func loadConfig(files []string) (*config.Config, error) {
	return config.Load(config.Options{Files: files, Environ: os.Environ(), UID: os.Geteuid()})
}

func checkConfig(files []string) (summary string, err error) {
	c, err := loadConfig(files)
	if err != nil {
		return "", err
	}
	summary = count(len(c.Services), "service") + ", " + count(len(c.Templates), "template")
	if n := len(c.Oneshots); n > 0 {
		summary += ", " + count(n, "oneshot")
	}
	return summary, nil
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func showConfig(files []string, w io.Writer) error {
	c, err := loadConfig(files)
	if err != nil {
		return err
	}
	return c.Show(w)
}
