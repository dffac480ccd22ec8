package cli

import (
	"maps"
	"strings"
	"testing"
	"time"

	"pintle/internal/unit"
)

// TestCursor: a cursor's text is read as what it was, of any unit that can be; what is not one is refused.
func TestCursor(t *testing.T) {
	t.Parallel()
	long := unit.Name("a@" + strings.Repeat("x", 198))
	for _, c := range []cursor{{}, {"a": 1}, {"gateway@a-b_c.d": 1<<64 - 1, "0": 2, "A.": 3, long: 1 << 50}} {
		got, err := parseCursor(c.String())
		if err != nil || !maps.Equal(got, c) {
			t.Errorf("%v is read as %v, %v", c, got, err)
		}
	}
	good := cursor{"gateway@a": 5, "b": 6}.String()
	for _, text := range []string{"", "c1", "c2-", "C1-", good + "=", good + "A", good[:len(good)-1], good[:len(good)-2], " " + good, good + "\n", "c1-!",
		cursor{"../x": 5}.String(), cursor{"": 5}.String(), cursor{"a": 0}.String(), good + good} {
		if c, err := parseCursor(text); err == nil {
			t.Errorf("%q is read as %v", text, c)
		}
	}
}

// FuzzCursor: what is read as a cursor is written as it was read, and has only names that can be.
func FuzzCursor(f *testing.F) {
	for _, c := range []cursor{{}, {"a": 1}, {"gateway@coder": 1795426164123456, "gateway@default": 1795426164123999}} {
		f.Add(c.String())
	}
	f.Add("c1-BG1haW6BgAE")
	f.Add("c1-__________8B")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCursor(text)
		if err != nil {
			return
		}
		if c.String() != text {
			t.Errorf("%q is read as %v, which is written %q", text, c, c)
		}
		for name, seq := range c {
			if _, err := unit.ParseName(string(name)); err != nil || seq == 0 {
				t.Errorf("%q is read as %v: %v", text, c, err)
			}
		}
	})
}

// TestMoment: a time is read in the zone of who asks, and what could be another one is refused.
func TestMoment(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("there", 2*60*60)
	now := time.Date(2026, 11, 23, 9, 45, 30, 0, zone)
	for text, want := range map[string]time.Time{
		"10m": now.Add(-10 * time.Minute), "2h30m": now.Add(-150 * time.Minute), "3d": now.Add(-72 * time.Hour), "1d12h": now.Add(-36 * time.Hour),
		"1.5h": now.Add(-90 * time.Minute), "0s": now, "250ms": now.Add(-time.Second / 4),
		"today": time.Date(2026, 11, 23, 0, 0, 0, 0, zone), "yesterday": time.Date(2026, 11, 22, 0, 0, 0, 0, zone),
		"09:30": time.Date(2026, 11, 23, 9, 30, 0, 0, zone), "09:30:15": time.Date(2026, 11, 23, 9, 30, 15, 0, zone),
		"2026-11-23 09:30:00": time.Date(2026, 11, 23, 9, 30, 0, 0, zone), "2026-11-23 09:30": time.Date(2026, 11, 23, 9, 30, 0, 0, zone),
		"2026-11-20": time.Date(2026, 11, 20, 0, 0, 0, 0, zone), "2026-11-23T09:30:00": time.Date(2026, 11, 23, 9, 30, 0, 0, zone),
		"2026-11-23T09:30:00Z":        time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC),
		"2026-11-23T09:30:00.123456Z": time.Date(2026, 11, 23, 9, 30, 0, 123456000, time.UTC),
		"2026-11-23 09:30:00.25":      time.Date(2026, 11, 23, 9, 30, 0, 250000000, zone),
		"2026-11-23T09:30:00+05:00":   time.Date(2026, 11, 23, 4, 30, 0, 0, time.UTC),
	} {
		if got, err := parseMoment(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "10", "-10m", "+10m", "d", "-3d", "3d-1h", "3d+1h", "3dx", "1h3d", "9 o'clock", "25:00", "2026-13-01", "2026-11-23 9", "tomorrow",
		"99999999d", "2026-11-23T09:30:00Z ", " 10m", "1e3s"} {
		if got, err := parseMoment(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
