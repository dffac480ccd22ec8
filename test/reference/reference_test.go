// Package reference_test shows the reference container: everything that the
// README says of it is shown here, in real containers of a real Docker engine.
package reference_test

import (
	"os"
	"testing"

	"pintle/test/dockertest"
)

func TestMain(m *testing.M) { os.Exit(dockertest.Main(m)) }
