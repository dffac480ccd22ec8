// Pintle is the init and the supervisor of a container. This file only decides
// which of its roles a process has, by argv[0] or by the first word; each role is
// a package.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"pintle/cmd/pintle/early" // whose init does not come back where it is a unit's exec step or a tool of s6's
	"pintle/internal/boot"
	"pintle/internal/process"
	"pintle/internal/s6/drive"
)

// version is set by the build.
var version = "dev"

// init keeps main on the main thread, of which initialise makes use.
func init() { runtime.LockOSThread() }

func main() { os.Exit(run(os.Args)) }

func run(args []string) int {
	switch {
	case process.IsExecStep(args):
		return process.ExecStep(args, os.Stderr)
	case len(args) > 1 && args[1] == drive.LaunchRole:
		err := drive.Launch(args[2:], os.Environ())
		fmt.Fprintln(os.Stderr, "pintle:", err)
		return drive.LaunchCode(err)
	case early.Init(args):
		config, rest, err := containers(args)
		if err != nil {
			fmt.Fprintln(os.Stderr, "pintle:", err)
			return 2
		}
		return initialise(config, rest)
	}
	runtime.UnlockOSThread()
	return command(args[1:])
}

// containers are the words of an init's that are the container's, and the configuration that is named before them.
func containers(args []string) (config string, rest []string, err error) {
	switch filepath.Base(args[0]) {
	case "init": // as /init or /sbin/init every word is the container's
		return "", args[1:], nil
	case "tini":
		return "", boot.TiniArgs(args[1:]), nil
	}
	return boot.ParseArgs(args[2:])
}

// initialise is the init and supervisor. The main thread does only what package process needs it for.
func initialise(config string, args []string) int {
	code, main := make(chan int), make(chan func())
	go func() {
		code <- boot.Init(boot.Options{
			Config: config, Args: args, Environ: os.Environ(), Version: version, Stdout: os.Stdout, Stderr: os.Stderr, Main: main,
		})
	}()
	for {
		select {
		case do := <-main:
			do()
		case code := <-code:
			return code
		}
	}
}
