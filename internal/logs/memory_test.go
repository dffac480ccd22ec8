//go:build !race

// The race detector's larger stack frames are not what is measured here; hack/test runs this file without it.

package logs

import (
	"fmt"
	"testing"
)

// 1,000 pipes that nothing comes from hold less than 5 MB in all, their files, journals and goroutines included, before
// and after a line has come from each. A process of its own measures it: how large a new stack is follows from all the
// goroutines that a process has had.
func TestMemoryOfIdleCaptures(t *testing.T) {
	const limit = 5 << 20
	out, err := play("memory").Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var fresh, used int
	if _, err := fmt.Sscan(string(out), &fresh, &used); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("1000 idle captures hold %d KiB, and %d KiB once each has read a line", fresh>>10, used>>10)
	if fresh > limit || used > limit {
		t.Errorf("that is more than %d KiB", limit>>10)
	}
}
