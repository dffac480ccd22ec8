package boot

import (
	"fmt"
	"io"
	"testing"

	"pintle/internal/unit"
)

// TestUtterDoesNotWaitForAStalledReader: docker stop has hung in such a write.
func TestUtterDoesNotWaitForAStalledReader(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe() // nobody reads, so a write blocks
	defer r.Close()
	utter(w, unit.ConsolePrefixed, "does not hang")
}

// TestTookBack: the sentence is short, however many leases there are.
func TestTookBack(t *testing.T) {
	t.Parallel()
	var names []unit.Name
	for i := range 12 {
		names = append(names, unit.Name(fmt.Sprint("gateway@", i)))
	}
	for n, want := range map[int]string{
		1:  "took back the lease of this container's earlier life: gateway@0",
		2:  "took back the leases of this container's earlier life: gateway@0, gateway@1",
		12: "took back the leases of this container's earlier life: gateway@0, gateway@1, gateway@2, gateway@3, gateway@4, gateway@5, gateway@6, gateway@7, gateway@8, gateway@9 and 2 more",
	} {
		if got := tookBack(names[:n]); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
