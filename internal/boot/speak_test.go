package boot

import (
	"io"
	"testing"
)

// TestUtterDoesNotWaitForAStalledReader: docker stop has hung in such a write.
func TestUtterDoesNotWaitForAStalledReader(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe() // nobody reads, so a write blocks
	defer r.Close()
	utter(w, "does not hang")
}
