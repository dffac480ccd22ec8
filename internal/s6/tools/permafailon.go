package tools

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	deathTally  = "supervise/death_tally"
	deathLength = 14   // of a record: an instant, an exit code, a signal
	maxDeaths   = 4096 // as many as s6-supervise keeps
	// exitPermanent has s6-supervise not start the service again.
	exitPermanent = 125
)

// deaths is a set of ways to die.
type deaths struct {
	codes   [256]bool
	signals [65]bool
}

// permafailon looks, from a finish script, whether a service died so often in such a way that it had better stay down.
func permafailon(c *call) int {
	if len(c.args) < 3 {
		return c.wrongUsage()
	}
	seconds, okSeconds := uint32Of(c.args[0])
	count, okCount := uint32Of(c.args[1])
	if !okSeconds || !okCount || count == 0 {
		return c.wrongUsage()
	}
	count = min(count, maxDeaths)
	var set deaths
	if wrong := set.read(c.args[2]); wrong != "" {
		return c.fatal(exitUsage, wrong)
	}
	tally, err := os.ReadFile(deathTally)
	switch {
	case errors.Is(err, syscall.ENOENT):
		c.warnUnable(err, "stat "+deathTally)
	case err != nil:
		c.warnUnable(err, "read "+deathTally)
	case len(tally)%deathLength != 0 || len(tally) > maxDeaths*deathLength:
		c.warn("invalid " + deathTally)
	default:
		if event, failed := set.often(tally, count, seconds); failed {
			c.say("info", fmt.Sprintf("PERMANENT FAILURE triggered after %d events involving %s in the last %d seconds", count, event, seconds))
			return exitPermanent
		}
	}
	if len(c.args) == 3 {
		return 0
	}
	return c.execute(c.args[3:])
}

// often says whether tally has count deaths of the set within the last seconds, and how the last of them was.
func (d *deaths) often(tally []byte, count, seconds uint32) (event string, yes bool) {
	if len(tally)/deathLength < int(count) {
		return "", false
	}
	oldest := now()
	oldest.seconds -= uint64(seconds)
	for ; len(tally) > 0; tally = tally[deathLength:] {
		at, code, signal := unpack(tally), tally[12], tally[13]
		if at.before(oldest) || !(d.codes[code] || signal > 0 && int(signal) < len(d.signals) && d.signals[signal]) {
			continue
		}
		if count--; count > 0 {
			continue
		}
		if signal > 0 {
			return fmt.Sprintf("signal %d", signal), true
		}
		return fmt.Sprintf("exit code %d", code), true
	}
	return "", false
}

// read takes a list of exit codes, intervals of them and names of signals.
func (d *deaths) read(list string) (wrong string) {
	const separators = ",; \n\r\t"
	for list != "" {
		first, n := leadingNumber(list, 1<<32-1)
		if n == 0 {
			word := list
			if end := strings.IndexAny(list, separators); end >= 0 {
				word = list[:end]
			}
			number, ok := signalOf(word)
			if !ok {
				return "invalid status list specification"
			}
			if number <= 0 || number >= len(d.signals) {
				return "invalid signal"
			}
			d.signals[number] = true
			n = len(word)
		} else {
			last := first
			if strings.HasPrefix(list[n:], "-") {
				var digits int
				last, digits = leadingNumber(list[n+1:], 1<<32-1)
				if digits == 0 {
					return "invalid interval specification"
				}
				n += 1 + digits
			}
			switch {
			case first > 255 || last > 255:
				return "invalid exit code"
			case last < first:
				return "invalid interval"
			}
			for code := first; code <= last; code++ {
				d.codes[code] = true
			}
		}
		list = strings.TrimLeft(list[n:], separators)
	}
	return ""
}

// signalOf reads the name of a signal, with or without SIG, or its number after SIG.
func signalOf(name string) (number int, ok bool) {
	upper := strings.ToUpper(name)
	short := strings.TrimPrefix(upper, "SIG")
	for _, alias := range [...][2]string{{"IOT", "ABRT"}, {"CLD", "CHLD"}, {"POLL", "IO"}, {"UNUSED", "SYS"}} {
		if short == alias[0] {
			short = alias[1]
		}
	}
	if n := unix.SignalNum("SIG" + short); n != 0 {
		return int(n), true
	}
	n, ok := uint32Of(short)
	return int(n), ok
}
