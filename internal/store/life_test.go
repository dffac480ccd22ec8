package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pintle/internal/engine"
)

// The next life knows how the last one ended: with a code, cut off, or with the machine.
func TestLives(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "state")
	// live opens the store, and ends it as the container would: with a code, or not at all.
	live := func(code int) engine.Life {
		t.Helper()
		s, _ := open(t, dir)
		if code >= 0 {
			s.End(code)
		}
		must(t, s.Close(t.Context()))
		return s.Life()
	}
	const killed = -1
	first := live(3)
	if first.Number != 1 || first.Before != engine.LifeFirst || first.String() != "" || first.Container == "" {
		t.Errorf("the first life: %+v", first)
	}
	clean := live(killed)
	if clean.Number != 2 || clean.Before != engine.LifeClean || clean.BeforeCode != 3 || clean.BeforeStarted.IsZero() || clean.BeforeEnded.IsZero() {
		t.Errorf("after a clean end: %+v", clean)
	}
	if got := live(0); got.Number != 3 || got.Before != engine.LifeKilled || !got.BeforeEnded.IsZero() {
		t.Errorf("after SIGKILL: %+v", got)
	}
	live(killed)
	file := filepath.Join(dir, lifeFile(first.Container))
	text, err := os.ReadFile(file)
	must(t, err)
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	must(t, err)
	other := strings.Replace(string(text), strings.TrimSpace(string(boot)), "4b6ff92c-0000-0000-0000-000000000000", 1)
	must(t, os.WriteFile(file, []byte(other), 0o600))
	if got := live(killed); got.Number != 5 || got.Before != engine.LifeMachineDown {
		t.Errorf("after another boot of the machine: %+v", got)
	}

	must(t, os.WriteFile(file, []byte("[]"), 0o600))
	s, _ := open(t, dir)
	got := s.Conditions()
	if s.Life().Before != engine.LifeUnknown || len(got) != 1 || got[0].Code != engine.StateUnreadable || !strings.HasPrefix(got[0].Text, "how the container's last life ended is not known: cannot read "+file) {
		t.Errorf("after a bad file: %+v, %q", s.Life(), got)
	}
	must(t, s.Close(t.Context()))
	if got := live(0); got.Number != 2 || got.Before != engine.LifeKilled {
		t.Errorf("after that: %+v", got)
	}
	if got := (engine.Life{}); got != func() engine.Life { s, _ := open(t, ""); return s.Life() }() {
		t.Error("a life is counted without a directory")
	}
}

// Whatever host name a container has, its file is in the directory.
func TestLifeFile(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"c0ffee":                  "lives/c0ffee.json",
		"../../x":                 "lives/..%2F..%2Fx.json",
		"a b\x00":                 "lives/a%20b%00.json",
		strings.Repeat("ä", 1000): "lives/" + strings.Repeat("%C3%A4", 32) + ".json",
	} {
		if got := lifeFile(host); got != want {
			t.Errorf("%q: %s, want %s", host, got, want)
		}
	}
}
