// Package early runs a tool of s6's before pintle is there. Services start such tools at each of their starts, by the
// dozen, and initialising all that pintle has linked would be half of the time that one takes. Go initialises packages in the order of their
// needs and then of their paths, and this one needs little: what is behind it in that order is never touched. The process ends here.
package early

import (
	"os"

	"pintle/internal/s6/tools"
)

func init() {
	if code, found := tools.Run(os.Args); found {
		os.Exit(code)
	}
}
