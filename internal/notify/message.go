package notify

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"
)

// The bounds of what a message may say.
const (
	// MaxStatus is the longest status, in characters; the rest is cut off.
	MaxStatus = 256
	// MaxExtend is the longest that one message may put a deadline off.
	MaxExtend = 24 * time.Hour
)

// Message is what a datagram says. Messages can be compared; the zero value says nothing.
type Message struct {
	// Ready is READY=1: the sender does its work.
	Ready bool
	// Stopping is STOPPING=1: the sender is about to end.
	Stopping bool
	// Alive is WATCHDOG=1: the sender does still work.
	Alive bool
	// Hung is WATCHDOG=trigger: the sender asks to be treated as one that hangs.
	Hung bool
	// Barrier is BARRIER=1: the sender waits for the descriptor that it passed to be closed. Serve does that.
	Barrier bool
	// HasStatus tells that there is a STATUS; an empty one takes back the one before.
	HasStatus bool
	// Status is the STATUS: one line of valid UTF-8, safe to print, of at most MaxStatus characters.
	Status string
	// Extend is EXTEND_TIMEOUT_USEC: how much longer the sender needs from now on. It is at most MaxExtend, and 0 where
	// there is none.
	Extend time.Duration
	// Refused is the name of an assignment that asks for what no process may ask for, "" for none.
	Refused string
}

// Parse reads a datagram: lines of the form KEY=VALUE. Of two assignments of a key the later one counts. What is no
// assignment, and keys that pintle has no use for, are passed over. MAINPID is refused: which process leads a run is
// known from having started it.
//
// An error is about one assignment. The message is what the others say, as it is with systemd.
func Parse(datagram []byte) (Message, error) {
	var m Message
	var watchdog, status, extend []byte // nil where there is none
	for line := range bytes.SplitSeq(datagram, []byte{'\n'}) {
		key, value, found := bytes.Cut(line, []byte{'='})
		if !found {
			continue
		}
		on := string(value) == "1"
		switch string(key) {
		case "READY":
			m.Ready = on
		case "STOPPING":
			m.Stopping = on
		case "BARRIER":
			m.Barrier = on
		case "WATCHDOG":
			watchdog = value
		case "STATUS":
			status = value
		case "EXTEND_TIMEOUT_USEC":
			extend = value
		case "MAINPID":
			m.Refused = "MAINPID"
		}
	}
	m.Alive, m.Hung = string(watchdog) == "1", string(watchdog) == "trigger"
	m.Status, m.HasStatus = printable(status), status != nil
	if extend == nil {
		return m, nil
	}
	n, err := strconv.ParseUint(string(extend), 10, 64)
	if err != nil {
		return m, fmt.Errorf("cannot read EXTEND_TIMEOUT_USEC: %.24q is no number of microseconds below 2^64", extend)
	}
	m.Extend = time.Duration(min(n, uint64(MaxExtend/time.Microsecond))) * time.Microsecond
	return m, nil
}

// printable makes text safe to show on one line of a terminal. A tab becomes a space; U+FFFD takes the place of every
// other control character, of what ends a line or reorders what a person reads, and of bytes that are not UTF-8.
func printable(text []byte) string {
	var b []byte
	for n := 0; len(text) > 0 && n < MaxStatus; n++ {
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		switch {
		case r == '\t':
			r = ' '
		case unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control):
			r = utf8.RuneError
		}
		b = utf8.AppendRune(b, r)
	}
	return string(b)
}
