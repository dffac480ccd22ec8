package process

import (
	"os"
	"testing"
)

// TestAProcessCannotSpeakAsPintle: a process's name is shown, and can be no more than a name.
func TestAProcessCannotSpeakAsPintle(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		must(t, os.WriteFile("/proc/self/comm", []byte("\x1b[31m\npintle |"), 0)) // at most 15 bytes
		p, ok := readProcess(os.Getpid())
		if want := "?[31m?pintle |"; !ok || p.command != want {
			t.Errorf("its name is %q, want %q", p.command, want)
		}
	})
}
