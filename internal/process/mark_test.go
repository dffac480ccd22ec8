package process

import (
	"strings"
	"testing"
)

// TestAMarkTellsNothingOfAnother: who knows one run's mark, as every user knows
// those of his own processes, can't make up another run's, be it of the same unit.
func TestAMarkTellsNothingOfAnother(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		w := newWorld(t)
		c := as("say ready exit 0")
		c.Unit, c.Number = "vault", 1
		first := w.start(c)
		first.ends()
		second := w.start(c)
		second.ends()
		secret, name, _ := strings.Cut(first.mark, "/")
		other, same, _ := strings.Cut(second.mark, "/")
		if secret == other || len(secret) < 16 || name != "vault/1" || same != name {
			t.Errorf("the marks are %s and %s", first.mark, second.mark)
		}
	})
}
