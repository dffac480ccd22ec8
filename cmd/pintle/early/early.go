// Package early is what pintle does before it is there: the exec step of most runs, and the tools of s6's. Services start
// such tools at each of their starts, by the dozen, and initialising all that pintle has linked would be half of the time that
// either takes. Go initialises packages in the order of their needs and then of their paths, and this one needs little: what is
// behind it in that order is never touched. The process ends here, or is the unit's program; an init only begins here to hear
// signals.
package early

import (
	"os"
	"path"

	"pintle/internal/boot/signals"
	"pintle/internal/process/step"
	"pintle/internal/s6/tools"
)

func init() {
	step.Run(os.Args)
	if code, found := tools.Run(os.Args); found {
		os.Exit(code)
	}
	if Init(os.Args) {
		signals.Receive() // beside the initialisation of the rest
	}
}

// Init tells whether a process called so is the init of a container.
func Init(args []string) bool {
	switch path.Base(args[0]) {
	case "init", "tini":
		return true
	}
	return len(args) > 1 && args[1] == "init"
}
