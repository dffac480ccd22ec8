// Pintle is the init and the supervisor of a container. This file only decides
// which of its roles a process has, by argv[0] or by the first word; each role is
// a package.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	_ "pintle/cmd/pintle/early" // which ends the process where it was called by the name of a tool of s6's
	"pintle/internal/boot"
	"pintle/internal/process"
	"pintle/internal/s6/drive"
)

// version is set by the build.
var version = "dev"

func main() { os.Exit(run(os.Args)) }

func run(args []string) int {
	switch {
	case process.IsExecStep(args):
		return process.ExecStep(args, os.Stderr)
	case len(args) > 1 && args[1] == drive.LaunchRole:
		err := drive.Launch(args[2:], os.Environ())
		fmt.Fprintln(os.Stderr, "pintle:", err)
		return drive.LaunchCode(err)
	case filepath.Base(args[0]) == "init": // as /init or /sbin/init every word is the container's
		return initialise("", args[1:])
	case filepath.Base(args[0]) == "tini":
		return initialise("", boot.TiniArgs(args[1:]))
	case len(args) > 1 && args[1] == "init":
		config, rest, err := boot.ParseArgs(args[2:])
		if err != nil {
			fmt.Fprintln(os.Stderr, "pintle:", err)
			return 2
		}
		return initialise(config, rest)
	}
	return command(args[1:])
}

func initialise(config string, args []string) int {
	return boot.Init(boot.Options{
		Config: config, Args: args, Environ: os.Environ(), Version: version, Stdout: os.Stdout, Stderr: os.Stderr,
	})
}
