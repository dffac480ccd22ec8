package tools

import (
	"errors"
	"os"
	"slices"
	"syscall"
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
			c.say("info", "PERMANENT FAILURE triggered after "+decimal(count)+" events involving "+event+" in the last "+decimal(seconds)+" seconds")
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
			return "signal " + decimal(uint32(signal)), true
		}
		return "exit code " + decimal(uint32(code)), true
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
			if end := indexAny(list, separators); end >= 0 {
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
			if hasPrefix(list[n:], "-") {
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
		list = skip(list[n:], separators)
	}
	return ""
}

// signalOf reads the name of a signal, with or without SIG, or its number after SIG.
func signalOf(name string) (number int, ok bool) {
	short, _ := cutPrefix(upper(name), "SIG")
	for i, known := range signalNames {
		if slices.Contains(words(known, " "), short) {
			return i + 1, true
		}
	}
	n, ok := uint32Of(short)
	return int(n), ok
}

// signalNames are the names of the signals from 1 on.
var signalNames = [...]string{
	"HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT IOT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
	"CHLD CLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO POLL", "PWR", "SYS",
}
