//go:build !race

// The race detector's larger stack frames are not what is measured here; hack/test runs this file without it.

package logs

import (
	"fmt"
	"os"
	"testing"
)

// 1,000 units that say nothing hold less than 4 MB in all, with two pipes and a file each, their journals and all that
// reads and writes for them included, before and after a line has come from each stream. A process of its own measures it:
// how large a new stack is follows from all the goroutines that a process has had.
func TestMemoryOfQuietUnits(t *testing.T) {
	const limit = 4_000_000
	cmd := play("quiet", scratch(t))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var fresh, used int
	if _, err := fmt.Sscan(string(out), &fresh, &used); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("1000 quiet units hold %d kB, and %d kB once each has said a line on both streams", fresh/1000, used/1000)
	if fresh > limit || used > limit {
		t.Errorf("that is more than %d kB", limit/1000)
	}
}
