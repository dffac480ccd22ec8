package cli

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// moment is a flag whose value is a time: zero where it was not given.
type moment struct{ at *time.Time }

func (m moment) String() string { return "" }
func (m moment) Type() string   { return "duration|time" }

func (m moment) Set(text string) (err error) {
	*m.at, err = parseMoment(text, now())
	return err
}

// The forms of a time, in the zone of the reader where they name none. A fraction of the second may follow it in all.
var (
	moments = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"}
	clocks  = []string{"15:04:05", "15:04"}
)

// days is a duration that begins with days, which time.ParseDuration does not have.
var days = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\A(\d{1,5})d(.*)\z`) })

// parseMoment reads a time: how long ago it is, or when, in the zone of now.
func parseMoment(text string, now time.Time) (time.Time, error) {
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	switch text {
	case "today":
		return midnight, nil
	case "yesterday":
		return midnight.AddDate(0, 0, -1), nil
	}
	if ago, ok := parseAgo(text); ok {
		return now.Add(-ago), nil
	}
	for _, form := range moments {
		if t, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, form := range clocks {
		if t, err := time.ParseInLocation("2006-01-02 "+form, midnight.Format("2006-01-02 ")+text, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New(`it is how long ago (10m, 2h30m, 3d) or a time (09:30, "2026-11-23 09:30:00", today, yesterday, RFC 3339)`)
}

// parseAgo reads "10m", "3d" and "1d12h".
func parseAgo(text string) (time.Duration, bool) {
	var whole time.Duration
	if parts := days().FindStringSubmatch(text); parts != nil {
		n, err := strconv.Atoi(parts[1])
		if whole, text = time.Duration(n)*24*time.Hour, parts[2]; text == "" {
			return whole, err == nil
		}
	}
	rest, err := time.ParseDuration(text)
	return whole + rest, err == nil && rest >= 0 && !strings.HasPrefix(text, "+") && whole+rest >= whole
}
